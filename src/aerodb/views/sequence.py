"""What people are told of an order that awaits its turn. Pure: no I/O, no clock."""

from aerodb.protocol.ahead import AFTER, Earlier, read_earlier
from aerodb.protocol.plan import Request
from aerodb.views.procedure import reason_option


def first_command(held: Request) -> str:
    """Return the command of the request before a held one, with the same reason: so a procedure knows both as done.

    Raises:
        SequenceMalformed: it comes after none.
    """
    earlier = read_earlier(held.arguments[AFTER])
    named = f"aerodb {earlier.action} {earlier.target} --for {held.target} --then {held.id}"
    return f"{named} {reason_option(held.reason)}"


def turn_sentence(node: str, earlier: Earlier) -> str:
    """Say where an order is held, and when it runs."""
    return (
        f"{node} holds the order in memory. It runs right after {earlier.words} is executed, and in no other way. "
        "Nothing is executed yet."
    )
