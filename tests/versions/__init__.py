"""The demonstration and chosen faults on every PostgreSQL version that this machine has: `make test-versions`."""
