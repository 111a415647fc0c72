"""This program, run once more in a process of its own. Pure: no I/O, no clock."""

import sys


def itself() -> list[str]:
    """Return the words that run this program, no less isolated than it runs now.

    A package's program heeds neither variables nor a user's folder, as it may run as root; nor does what it starts.
    """
    return [sys.executable, *(["-I"] if sys.flags.isolated else []), "-m", "aerodb"]
