"""A client of the HTTP API, at a terminal; believes nothing unverified."""
