"""Mutual TLS, problems, one client and one server."""
