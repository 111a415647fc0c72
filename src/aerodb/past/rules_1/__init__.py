"""The rules aerodb-rules/1, as they were released: never changed."""
