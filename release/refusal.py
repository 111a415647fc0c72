"""Why a release is not cut."""


class NotReady(Exception):
    """Something is missing for a release; nothing was changed."""
