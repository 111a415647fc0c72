"""What newcomers, operators and auditors read; and what writes the derived part of it."""
