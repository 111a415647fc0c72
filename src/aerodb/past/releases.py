"""Which release of AeroDB first had which rules. The command that freezes rules adds to it; nothing else changes it."""

MADE_BY: dict[str, str] = {
    "aerodb-rules/1": "0.1.0",
}
"""The release by the rules' name: it, and those after it that still hold them, compute a plan of theirs again."""
