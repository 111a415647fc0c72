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


class SizeRefused(AeroError):
    """No cluster can be of the size that was asked for, or the one in the folder is of another."""

    code = "input.size-refused"
    status = 400
    title = "The cluster cannot be of this size"


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


class ClusterAbsent(AeroError):
    """The folder holds no cluster."""

    code = "input.cluster-absent"
    status = 404
    title = "There is no cluster in this folder"


class AuthorityAbsent(AeroError):
    """The cluster's folder keeps no certificate authority, so nobody can be given a certificate."""

    code = "input.authority-absent"
    status = 404
    title = "The certificate authority is not here"


class AuthorityUnusable(AeroError):
    """What is kept as the certificate authority is damaged, or is not the one that the cluster trusts."""

    code = "input.authority-unusable"
    status = 409
    title = "The certificate authority cannot be used"


class HolderAbsent(AeroError):
    """Whoever's certificate is to be renewed has none here, or its key cannot be read."""

    code = "input.certificate-holder-absent"
    status = 404
    title = "There is no certificate to renew"


class ClusterRuns(AeroError):
    """A part of the cluster answers, and must not while its certificates change."""

    code = "input.cluster-runs"
    status = 409
    title = "The cluster runs"
