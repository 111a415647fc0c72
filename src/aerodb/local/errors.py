"""What can go wrong in making and running a cluster on this machine."""

from aerodb.errors import AeroError


class FolderTaken(AeroError):
    """The folder already holds something else."""

    code = "input.folder-taken"
    status = 409
    title = "The folder is in use for something else"


class FolderIncomplete(AeroError):
    """Making the cluster, or the node, in this folder was interrupted."""

    code = "input.folder-incomplete"
    status = 409
    title = "What is in this folder was never finished"


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


class HostsElsewhere(AeroError):
    """The cluster's nodes are on hosts of their own, and what is made in its folder would not reach them."""

    code = "input.hosts-elsewhere"
    status = 409
    title = "The nodes are on other hosts"


class ClusterRuns(AeroError):
    """A part of the cluster answers, and must not while its certificates change."""

    code = "input.cluster-runs"
    status = 409
    title = "The cluster runs"


class AddressUnclear(AeroError):
    """Under which address other hosts reach this one cannot be told; the message says which there are."""

    code = "input.address-unclear"
    status = 400
    title = "This host's address is to be named"


class PostgresUnplaced(AeroError):
    """Where the PostgreSQL that is to be watched listens cannot be told."""

    code = "input.postgres-unplaced"
    status = 404
    title = "Where PostgreSQL listens is not known"


class UserAbsent(AeroError):
    """The operating system has no such user as the agent is to run as."""

    code = "input.user-absent"
    status = 404
    title = "There is no such user"


class FolderUnusable(AeroError):
    """A folder or file cannot be written where it was asked for, or whoever needs it cannot reach it."""

    code = "input.folder-unusable"
    status = 409
    title = "The folder cannot be used"


class JoinAbsent(AeroError):
    """Nothing on this host awaits such an admission."""

    code = "input.join-absent"
    status = 404
    title = "This host has not asked for it"


class AdmissionForeign(AeroError):
    """The admission is not of the node that was made here, or its parts do not belong together."""

    code = "input.admission-foreign"
    status = 409
    title = "The admission is another host's"
