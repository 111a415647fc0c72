"""The steps of a node's hands after each of which an agent is killed."""

CHANGING = {
    "": ("cross", "write_standing", "accept_log", "take_version"),
    "process": ("checkpoint", "stop", "start"),
    "replication": ("detach", "attach", "promote", "write_term"),
    "data": ("copy", "swap"),
    "settings": ("reload",),
}
"""The steps that change something, by subject; those of the agent's own memory under no name."""
