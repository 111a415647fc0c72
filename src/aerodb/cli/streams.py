"""Writing to whoever reads, who may go away at any time: `aerodb status | head -1`."""

import os
from typing import TextIO


def write(stream: TextIO, text: str) -> bool:
    """Write `text` at once, and return whether anybody reads it.

    Where the reader has gone nothing is written from now on, and the command goes on to its end: what it began must not
    end in between, and its exit code says what became of that, not who read it.
    """
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # What the stream still holds goes there as well, when it is closed.
        os.close(nowhere)
        return False
    return True
