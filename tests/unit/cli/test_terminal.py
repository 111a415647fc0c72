"""What a person types without its being shown."""

import os
import pty
import select
import termios
from contextlib import suppress

from aerodb.cli.terminal import Terminal, _unshown

ECHO = 3


def test_what_is_typed_is_not_shown_and_the_terminal_is_as_it_was() -> None:
    """Also where the question is interrupted; and what was typed before it was asked is no answer."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, encoding="utf-8") as stdin, os.fdopen(os.dup(theirs), "w", encoding="utf-8") as stdout:
        os.write(ours, b"typed ahead\n")
        assert select.select([theirs], [], [], 10)[0]  # A terminal takes its time to have it.
        before = termios.tcgetattr(theirs)
        assert before[ECHO] & termios.ECHO
        with suppress(KeyboardInterrupt), _unshown(stdin):
            assert not termios.tcgetattr(theirs)[ECHO] & termios.ECHO
            raise KeyboardInterrupt
        assert termios.tcgetattr(theirs) == before
        answers = [b"a secret\n"]

        class Asked:
            """A screen on which the answer is typed once the question stands there."""

            def write(self, text: str) -> int:
                """Show, and type what is left to type."""
                if answers:
                    os.write(ours, answers.pop())
                return stdout.write(text)

            def flush(self) -> None:
                """Show at once."""
                stdout.flush()

            def isatty(self) -> bool:
                """Tell that this is a terminal."""
                return True

        assert Terminal(stdin, Asked(), stdout).ask_secret("Secret: ") == "a secret"  # type: ignore[arg-type]
        assert termios.tcgetattr(theirs) == before
        assert b"a secret" not in os.read(ours, 4096)
    os.close(ours)
