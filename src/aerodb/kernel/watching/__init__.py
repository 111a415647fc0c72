"""The agent of a node that is only watched: it looks at a PostgreSQL that others run, and has no hands."""
