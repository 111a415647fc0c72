"""Cutting a release: `make release VERSION=0.1.0`. Nothing of this is in the wheel."""
