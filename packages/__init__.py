"""The packages that AeroDB is installed from: `make package`."""
