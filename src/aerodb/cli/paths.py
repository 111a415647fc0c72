"""The API's paths that hold what a person typed."""

from urllib.parse import quote


def request_path(request: str, rest: str = "") -> str:
    """Return the path of a request; what was typed stays one segment of it."""
    return f"/v1/requests/{quote(request, safe='')}{rest}"
