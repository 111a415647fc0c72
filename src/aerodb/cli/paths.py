"""The API's paths that hold what came from elsewhere: what a person typed, what a browser made up."""

from urllib.parse import quote


def request_path(request: str, rest: str = "") -> str:
    """Return the path of a request; what was typed stays one segment of it."""
    return f"/v1/requests/{quote(request, safe='', errors='replace')}{rest}"


def session_path(session: str) -> str:
    """Return the path that ends a session in the admin UI."""
    return f"/v1/sessions/{quote(session, safe='', errors='replace')}/end"


GAP_PATH = "/v1/audit/gap"
"""Where the control plane says what nodes hold that the log lacks."""
