"""The settings that a session of ours brings along, of an agent with hands or without, whatever is set for its role.

Each of them any role may set for itself. Source: PostgreSQL manual 20.11 (client connection defaults).
"""

from collections.abc import Mapping

EVERY_SESSION = {
    "lock_timeout": "1s",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "search_path": "pg_catalog",
    "role": "none",
    "default_transaction_isolation": "read\\ committed",
    "default_transaction_deferrable": "off",
    "local_preload_libraries": "",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "datestyle": "ISO",
    "row_security": "on",
    # No statement of ours is planned better for its values, and planning takes longer than the rest of a look.
    "plan_cache_mode": "force_generic_plan",
}
"""What the statements depend on. The synchronous policy is not among it: it must be seen as it is for others."""


def session_options(seconds_max: float, *, read_only: bool, more: Mapping[str, str]) -> str:
    """Return the options of a connection: a statement's timeout, whether it may write, and `more` settings."""
    values = {
        **EVERY_SESSION,
        "statement_timeout": f"{seconds_max:.0f}s",
        "default_transaction_read_only": "on" if read_only else "off",
        **more,
    }
    return " ".join(f"-c {name}={value}" for name, value in values.items())
