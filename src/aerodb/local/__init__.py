"""AeroDB."""
