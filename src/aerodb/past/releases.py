"""Which release of AeroDB first had which rules. Only the command that freezes rules changes this table."""

MADE_BY: dict[str, str] = {
    "aerodb-rules/1": "0.1.0",
    "aerodb-rules/2": "0.2.0",
}
"""The first release by the name of its rules. That release, and later ones that still hold the rules, can replay plans
made by them."""
