"""The rules aerodb-rules/2, as they were released: never changed."""
