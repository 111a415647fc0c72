"""What can go wrong in making and running a cluster on this machine."""

from aerodb.errors import AeroError


class FolderTaken(AeroError):
    """The folder already holds something else."""

    code = "input.folder-taken"
    status = 409
    title = "The folder is in use for something else"


class FolderIncomplete(AeroError):
    """Making the cluster in this folder was interrupted."""

    code = "input.folder-incomplete"
    status = 409
    title = "The cluster in this folder was never finished"


class PortsTaken(AeroError):
    """No range of free ports was found."""

    code = "input.ports-taken"
    status = 409
    title = "No free ports"


class ProcessFailed(AeroError):
    """A process of the cluster ended, or was not ready in time."""

    code = "transport.process-failed"
    status = 500
    title = "A process of the cluster did not come up"


class StoryBroken(AeroError):
    """A step of the demonstration did not go as expected."""

    code = "control.demonstration-failed"
    status = 500
    title = "The demonstration did not go as told"
