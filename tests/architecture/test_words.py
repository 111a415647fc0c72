"""One thing, one word; one word, one thing: codes and the names of types."""

import pytest

from docs.generator.raises import errors

CODES = sorted({each.code for each in errors()})


@pytest.mark.parametrize("code", CODES)
def test_each_code_is_one_error(code: str) -> None:
    """A stable code is given to one class alone; what means the same is a kind of it, and takes the code from it."""
    giving = [each for each in errors() if vars(each).get("code") == code]
    assert len(giving) == 1
    assert all(issubclass(each, giving[0]) for each in errors() if each.code == code)
    assert len({(each.status, each.title) for each in errors() if each.code == code}) == 1


def test_the_errors_are_all_found() -> None:
    """The test above is about every error that there is."""
    assert len(errors()) > 100
