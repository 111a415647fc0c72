"""What is done aside is over when the block is left, however either ends."""

import threading

import pytest

from aerodb.kernel.aside import aside


def test_it_is_over_when_the_block_is_left() -> None:
    """And it runs beside the block, not before it."""
    inside, done = threading.Event(), list[str]()

    def work() -> None:
        assert inside.wait(30)
        done.append("aside")

    with aside(work):
        inside.set()
    assert done == ["aside"]


def test_what_it_raises_is_raised() -> None:
    """Also where the block fails: nothing rests on what is not done."""

    def fails() -> None:
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"), aside(fails):
        pass
    with pytest.raises(OSError, match="Input/output error"), aside(fails):
        raise ValueError


def test_where_the_block_fails_it_is_over_too() -> None:
    """Its failure is the block's own."""
    done = list[str]()
    with pytest.raises(ValueError, match="the block"), aside(lambda: done.append("aside")):
        raise ValueError("the block")
    assert done == ["aside"]
