"""Asks a person at a terminal for the passphrase of the certificate authority's key. It is shown nowhere.

What a passphrase is stands in `aerodb.transport.passphrase`, which is imported when somebody is asked.
"""

from aerodb.cli.failures import TerminalMissing
from aerodb.cli.terminal import Terminal

TRIES_MAX = 3


class Asking:
    """One person, who is asked once it is known that they must be."""

    def __init__(self, terminal: Terminal) -> None:
        """Ask nothing yet."""
        self._terminal = terminal

    def present(self) -> bytes:
        """Return the passphrase by which the key opens, as somebody says.

        Raises:
            TerminalMissing: nobody reads and types.
        """
        from aerodb.transport.passphrase import used

        return used(self._typed("Passphrase of the authority's key: "))

    def new(self) -> bytes:
        """Return a passphrase that was typed twice, after so many tries at most.

        Raises:
            TerminalMissing: nobody reads and types.
            PassphraseRefused: no try was one.
        """
        from aerodb.transport.passphrase import PassphraseRefused, chosen

        refused = 0
        while True:
            first = self._typed("New passphrase of the authority's key: ")
            try:
                return chosen(first, self._typed("The same passphrase again: "))
            except PassphraseRefused as error:
                refused += 1
                if refused == TRIES_MAX:
                    raise
                self._terminal.line(f"Not taken: {error.message}.", "warn")

    def _typed(self, question: str) -> str:
        typed = self._terminal.ask_secret(question) if self._terminal.interactive else None
        if typed is None:
            raise TerminalMissing("a passphrase is typed by a person: stdin and stdout must both be a terminal")
        return typed
