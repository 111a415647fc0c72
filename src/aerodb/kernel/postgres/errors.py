"""What can go wrong between the agent and PostgreSQL: one error per reason. Pure: no I/O, no clock."""

from aerodb.errors import AeroError


class PostgresMissing(AeroError):
    """PostgreSQL's programs are not where they were looked for."""

    code = "kernel.postgres-missing"
    title = "PostgreSQL's programs were not found"


class PostgresNotBundled(PostgresMissing):
    """This installation of AeroDB brings no PostgreSQL, and none that is here is named; nothing was begun."""

    code = "kernel.postgres-not-bundled"
    status = 409
    title = "This installation brings no PostgreSQL"


class PostgresUnsupported(AeroError):
    """PostgreSQL's programs are of a major version that AeroDB does not run; nothing was begun with them."""

    code = "kernel.postgres-unsupported"
    status = 409
    title = "AeroDB does not run this version of PostgreSQL"


class MajorDiffers(AeroError):
    """Data are of another major version than the programs that would use them; nothing was begun."""

    code = "kernel.postgres-major-differs"
    status = 409
    title = "Data and programs are of different major versions"


class FolderClosed(AeroError):
    """The account that runs PostgreSQL cannot reach a folder."""

    code = "kernel.folder-closed"
    title = "PostgreSQL's account cannot reach a folder"


class FolderBroken(AeroError):
    """A node's home folder is not in the state in which the agent left it."""

    code = "kernel.folder-broken"
    status = 409
    title = "The node's folder is not as the agent left it"


class CommandFailed(AeroError):
    """One of PostgreSQL's programs failed, or did not end in time."""

    code = "kernel.postgres-command-failed"
    title = "One of PostgreSQL's programs failed"


class CopyUnfit(AeroError):
    """A copy of the source's data would not fit, or cannot be laid out; nothing was begun."""

    code = "kernel.copy-unfit"
    status = 409
    title = "The copy does not fit"


class StartFailed(AeroError):
    """PostgreSQL did not start."""

    code = "kernel.postgres-start-failed"
    title = "PostgreSQL did not start"


class StopUnfinished(AeroError):
    """PostgreSQL was told to shut down, but has not exited in time."""

    code = "kernel.postgres-stop-unfinished"
    title = "PostgreSQL has not finished shutting down"


class NotRunning(AeroError):
    """PostgreSQL is down, and the operation needs it to run."""

    code = "kernel.postgres-not-running"
    status = 409
    title = "PostgreSQL does not run"


class AlreadyRunning(AeroError):
    """PostgreSQL runs, and the operation needs it to be down."""

    code = "kernel.postgres-running"
    status = 409
    title = "PostgreSQL runs"


class RoleConflict(AeroError):
    """The data folder would not start in the role that the operation needs."""

    code = "kernel.postgres-role-conflict"
    status = 409
    title = "PostgreSQL is not in the role that the operation needs"


class PostgresUnreachable(AeroError):
    """PostgreSQL's process is there, but does not answer."""

    code = "kernel.postgres-unreachable"
    status = 503
    title = "PostgreSQL does not answer"


class ServerForeign(AeroError):
    """Another server answers than the one meant: it has another process, data folder or settings file."""

    code = "kernel.postgres-foreign"
    status = 409
    title = "Another PostgreSQL answers"


class StatementFailed(AeroError):
    """PostgreSQL refused a statement."""

    code = "kernel.postgres-statement-failed"
    title = "PostgreSQL refused a statement"


class SettingsNotLive(AeroError):
    """The settings are written, but PostgreSQL has not applied them in time."""

    code = "kernel.settings-not-live"
    title = "PostgreSQL has not taken up its settings"


class DetachUnfinished(AeroError):
    """The upstream is removed from the settings, but the end of receiving and replaying was not seen in time."""

    code = "kernel.detach-unfinished"
    title = "The standby is not verifiably detached"


class StillReceiving(AeroError):
    """The standby is still attached to an upstream."""

    code = "kernel.still-receiving"
    status = 409
    title = "The standby is still attached to an upstream"


class PromotionUnfinished(AeroError):
    """PostgreSQL was told to promote, but has not left recovery in time."""

    code = "kernel.promotion-unfinished"
    title = "The promotion has not finished"


class WalUnreadable(AeroError):
    """The WAL, the control file or a history file is damaged, or is not of the expected form."""

    code = "kernel.log-unreadable"
    title = "PostgreSQL's WAL cannot be read"
