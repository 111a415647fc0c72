"""A client of the HTTP API, at a person's terminal; believes nothing that it cannot verify."""
