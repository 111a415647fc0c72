"""One PostgreSQL instance, worked through its own programs and one connection."""
