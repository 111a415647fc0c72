"""The tests. Imported as `tests.…` by one another, from the repository only."""
