"""What people are told of an order that awaits its turn. Pure: no I/O, no clock."""

from aerodb.protocol.ahead import Earlier


def turn_sentence(node: str, earlier: Earlier) -> str:
    """Say where an order is held, and when it runs."""
    return (
        f"{node} holds the order in memory. It runs right after {earlier.words} is executed, and in no other way. "
        "Nothing is executed yet."
    )
