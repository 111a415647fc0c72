"""The adversary: seeded, repeatable rounds against real processes, and a checker that decides from their histories."""
