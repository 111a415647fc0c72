"""The agent: standing, journal, the three locks, one operation at a time, PostgreSQL."""
