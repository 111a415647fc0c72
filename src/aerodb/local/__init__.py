"""A cluster on this machine: made, started, stopped, demonstrated."""
