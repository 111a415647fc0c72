"""A log witness: it cosigns the checkpoints of logs, and remembers the last of each. It is no part of a cluster."""
