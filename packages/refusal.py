"""Why no package is made."""


class NotPackaged(Exception):
    """Something that a package is made with is missing or failed; nothing was written where packages are."""
