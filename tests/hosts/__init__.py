"""Three hosts with Debian's PostgreSQL, made by hand, and the built package on each of them: `make test-hosts`."""
