"""A log witness: it cosigns logs' checkpoints and remembers each log's newest. It is not part of a cluster."""
