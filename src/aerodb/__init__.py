"""AeroDB: PostgreSQL clusters that change only when a person says so."""

__version__ = "0.2.0"
