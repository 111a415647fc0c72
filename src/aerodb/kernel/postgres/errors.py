"""What can go wrong between the agent and PostgreSQL; one class a reason. Pure: no I/O, no clock."""

from aerodb.errors import AeroError


class PostgresMissing(AeroError):
    """PostgreSQL's programs are not where they were looked for."""

    code = "kernel.postgres-missing"
    title = "PostgreSQL's programs were not found"


class FolderClosed(AeroError):
    """The account that runs PostgreSQL cannot reach a folder."""

    code = "kernel.folder-closed"
    title = "PostgreSQL's account cannot reach a folder"


class FolderBroken(AeroError):
    """A node's home folder is not as the agent left it."""

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
    """PostgreSQL was told to shut down and has not exited in time."""

    code = "kernel.postgres-stop-unfinished"
    title = "PostgreSQL has not finished shutting down"


class NotRunning(AeroError):
    """The operation needs a running PostgreSQL, and it does not run."""

    code = "kernel.postgres-not-running"
    status = 409
    title = "PostgreSQL does not run"


class AlreadyRunning(AeroError):
    """The operation needs a PostgreSQL that does not run, and it runs."""

    code = "kernel.postgres-running"
    status = 409
    title = "PostgreSQL runs"


class RoleConflict(AeroError):
    """The data folder would start in another role than the one asked for, or the server is in another role."""

    code = "kernel.postgres-role-conflict"
    status = 409
    title = "PostgreSQL is not in the role that the operation needs"


class PostgresUnreachable(AeroError):
    """PostgreSQL's process is there and does not answer."""

    code = "kernel.postgres-unreachable"
    status = 503
    title = "PostgreSQL does not answer"


class ServerForeign(AeroError):
    """A server answers that is not the one that was meant: another process, data folder or settings file."""

    code = "kernel.postgres-foreign"
    status = 409
    title = "Another PostgreSQL answers"


class StatementFailed(AeroError):
    """PostgreSQL refused a statement."""

    code = "kernel.postgres-statement-failed"
    title = "PostgreSQL refused a statement"


class SettingsNotLive(AeroError):
    """The settings are written, and PostgreSQL has not taken them up in time."""

    code = "kernel.settings-not-live"
    title = "PostgreSQL has not taken up its settings"


class DetachUnfinished(AeroError):
    """The upstream is gone from the settings, and the end of receiving and replaying was not seen in time."""

    code = "kernel.detach-unfinished"
    title = "The standby is not verifiably detached"


class StillReceiving(AeroError):
    """The standby is still attached to an upstream."""

    code = "kernel.still-receiving"
    status = 409
    title = "The standby is still attached to an upstream"


class PromotionUnfinished(AeroError):
    """PostgreSQL was told to promote and has not left recovery in time."""

    code = "kernel.promotion-unfinished"
    title = "The promotion has not finished"


class WalUnreadable(AeroError):
    """The write-ahead log, the control file or a history file does not read as expected."""

    code = "kernel.log-unreadable"
    title = "PostgreSQL's WAL cannot be read"
