"""One PostgreSQL instance, operated through its own programs and one connection."""
