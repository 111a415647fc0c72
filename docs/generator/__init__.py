"""The pages that are derived from the code: nothing in them is written by hand, and a test holds them current."""
