"""The conditions that most actions share: the node's configuration, journal, settings, role and process.

Pure: no I/O, no clock.
"""

from aerodb.protocol.facts import Facts, Instance, SettingsFiles, State
from aerodb.protocol.plan import Result, Verdict
from aerodb.rules.charge import in_charge
from aerodb.rules.invariants import RULES, Invariant, holds, unknown, violated
from aerodb.rules.versions import agreement, contradicts, differ
from aerodb.rules.view import View

POLICY_SETTINGS = (
    "fsync",
    "full_page_writes",
    "synchronous_commit",
    "synchronous_standby_names",
    "wal_level",
)
"""The settings that a proof depends on if the node serves as a primary."""

RECEIVER_SETTINGS = (
    "primary_conninfo",
    "recovery_target",
    "recovery_target_lsn",
    "recovery_target_name",
    "recovery_target_time",
    "recovery_target_timeline",
    "recovery_target_xid",
    "restore_command",
)
"""The settings that a proof depends on if the node receives WAL, or must not.

`primary_slot_name` is none of them: it says what the upstream keeps for the node, and begins no reception. It is the
DBA's.
"""

SETTINGS = "settings"
"""The name of the settings as a part of a node's facts; see `aerodb.protocol.facts.Instance.unread`."""


def configuration_agrees(view: View, *, elects: bool = False) -> Verdict:
    """Judge whether all nodes that report agree on the rules, the configuration and the database system.

    `elects` is for an election, and what brings a cluster back after one: only the configuration's epoch must agree.
    """
    systems: dict[str, str] = {}
    for name, peer in view.everyone().items():
        if peer.facts.rules != RULES:
            return violated(Invariant.CONFIGURATION_AGREES, f"{name} runs rules {peer.facts.rules}, not {RULES}")
        against = _against(view, peer.facts, elects=elects)
        if against:
            return violated(Invariant.CONFIGURATION_AGREES, against)
        if peer.facts.instance is not None and peer.facts.instance.system:
            systems[name] = peer.facts.instance.system
    held = systems.get(view.node) or next(iter(systems.values()), "")
    for name, system in systems.items():
        if system != held:
            return violated(Invariant.CONFIGURATION_AGREES, f"{name} holds another database system, {system}")
    if differ(view):
        return holds(Invariant.CONFIGURATION_AGREES, agreement(view))
    return holds(Invariant.CONFIGURATION_AGREES, "all who report agree on rules, configuration and database system")


def _against(view: View, facts: Facts, *, elects: bool) -> str:
    """Return why a node's configuration does not agree with the target's; empty if it does."""
    if facts.node == view.node and facts.configuration != view.cluster.digest:
        return f"{facts.node} runs another configuration"
    return contradicts(view.own.facts, facts, elects=elects)


def journal_settled(view: View, *, past: bool = False) -> Verdict:
    """Judge whether every earlier request on the target has its outcome.

    `past` allows one whose outcome is unknown while PostgreSQL has no process: nothing of it can still happen, and its
    outcome can be told only once PostgreSQL runs again.
    """
    unfinished, instance = view.own.facts.unfinished, view.own.facts.instance
    if unfinished is None:
        return holds(Invariant.JOURNAL_SETTLED, f"every earlier request on {view.node} has its outcome")
    gone = instance is not None and instance.state not in {State.RUNNING, State.UNREACHABLE}
    if past and gone and unfinished.result == "unknown":
        return holds(
            Invariant.JOURNAL_SETTLED,
            f"request {unfinished.request} ({unfinished.action}) is unknown until PostgreSQL runs again; no process is "
            "left in which any of it could still happen",
        )
    return violated(
        Invariant.JOURNAL_SETTLED,
        f"request {unfinished.request} ({unfinished.action}) was begun and not ended; ask for its outcome first",
    )


def _set_as_written(view: View, invariant: Invariant, names: tuple[str, ...], what: str) -> Verdict:
    """Judge whether the settings `names` have the values that the agent wrote, or ones as good."""
    instance = view.own.facts.instance
    if instance is None:
        return holds(invariant, f"{view.node} is a witness and has no settings")
    if instance.unread(SETTINGS) is not None or instance.state in {State.UNREACHABLE, State.UNREADABLE}:
        return unknown(invariant, f"the settings of {view.node} cannot be read")
    changed = [name for name in names if name in instance.drift]
    if changed:
        return violated(
            invariant,
            f"changed behind the agent's back on {view.node}: {', '.join(changed)}; take out what sets it, and reload",
        )
    return holds(invariant, f"{what} on {view.node} is set as its agent wrote it")


def policy_known(view: View) -> Verdict:
    """Judge whether the settings for what a commit waits for on the target, as a primary, are as configured."""
    return _set_as_written(view, Invariant.POLICY_KNOWN, POLICY_SETTINGS, "what a commit waits for")


def receiver_known(view: View) -> Verdict:
    """Judge whether the target receives WAL only from where its agent wrote."""
    return _set_as_written(view, Invariant.RECEIVER_KNOWN, RECEIVER_SETTINGS, "where WAL comes from")


STREAMING_SETTINGS = ("primary_conninfo",)
"""The setting that would start streaming when it is loaded."""


def settings_loadable(view: View) -> Verdict:
    """Judge whether the target's settings files may be loaded: no error, nothing weakened, no streaming started."""
    instance, invariant = view.own.facts.instance, Invariant.SETTINGS_LOADABLE
    if instance is None:
        return holds(invariant, f"{view.node} is a witness and has no settings")
    files = instance.files
    if not isinstance(files, SettingsFiles) or instance.unread(SETTINGS) is not None:
        return unknown(invariant, f"what the settings files of {view.node} hold cannot be read")
    if files.faults:
        return violated(invariant, f"the settings files of {view.node} hold an error: {'; '.join(files.faults)}")
    if files.drift:
        return violated(
            invariant,
            f"the files would change what proofs rest on, on {view.node}: {', '.join(files.drift)}; take out what sets "
            "it",
        )
    begins = [name for name in STREAMING_SETTINGS if name in instance.drift]
    if begins:
        return violated(
            invariant,
            f"{', '.join(begins)} in the files of {view.node} is not in force: a reload would change from whom it "
            "receives, and that is judged by start; stop the node, and start it",
        )
    return holds(invariant, f"the settings files of {view.node} hold no error, and change nothing that proofs rest on")


def settings_startable(view: View) -> Verdict:
    """Judge whether the target's files may be taken up by a start: a standby's also have what its WAL asks for.

    Source: PostgreSQL manual 26.4.3.
    """
    judged, instance = settings_loadable(view), view.own.facts.instance
    if judged.result != "holds" or instance is None or not isinstance(instance.files, SettingsFiles):
        return judged
    if instance.files.low and view.own.facts.standing.role == "standby":
        return violated(
            Invariant.SETTINGS_LOADABLE,
            f"{view.node} would not start as a standby with what its files hold: {'; '.join(instance.files.low)}",
        )
    return judged


def stands_as(view: View, *allowed: str) -> Verdict:
    """Judge whether the target's standing is one of the `allowed` roles, whatever its PostgreSQL does."""
    role = view.own.facts.standing.role
    if role in allowed:
        return holds(Invariant.ROLE_FITS, f"{view.node} stands as a {role}")
    return violated(
        Invariant.ROLE_FITS, f"{view.node} stands as a {role}; the action is for a {' or a '.join(allowed)}"
    )


def role_fits(view: View, *allowed: str) -> Verdict:
    """Judge whether the target's standing is one of the `allowed` roles, and PostgreSQL agrees with it."""
    role, instance, standing = view.own.facts.standing.role, view.own.facts.instance, stands_as(view, *allowed)
    if standing.result is not Result.HOLDS:
        return standing
    if instance is None or instance.state in {State.STOPPED, State.CRASHED, State.UNREADABLE}:
        return standing
    if instance.recovery is None:
        return unknown(Invariant.ROLE_FITS, f"whether {view.node} is in recovery cannot be seen")
    if instance.recovery is not (role == "standby"):
        seen = "in recovery" if instance.recovery else "out of recovery"
        return violated(Invariant.ROLE_FITS, f"{view.node} stands as a {role} but its PostgreSQL is {seen}")
    return holds(Invariant.ROLE_FITS, f"{view.node} stands as a {role}, and its PostgreSQL is one")


def unread(instance: Instance) -> tuple[str, ...]:
    """Return the parts of a node's facts that cannot be read, each once."""
    return tuple(dict.fromkeys(said.partition(": ")[0] for said in instance.damage))


def running_fits(view: View, *allowed: State) -> Verdict:
    """Judge whether the target's PostgreSQL is in one of the `allowed` states. A witness has none and always fits."""
    instance = view.own.facts.instance
    if instance is None:
        return holds(Invariant.RUNNING_FITS, f"{view.node} is a witness and runs no PostgreSQL")
    if instance.state is State.UNREACHABLE and State.UNREACHABLE not in allowed:
        return unknown(Invariant.RUNNING_FITS, f"PostgreSQL on {view.node} has a process that does not answer")
    evidence = f"PostgreSQL on {view.node} is {instance.state}"
    if instance.state is State.UNREADABLE:
        evidence = f"{evidence} (what cannot be read: {', '.join(unread(instance))})"
    if instance.state in allowed:
        return holds(Invariant.RUNNING_FITS, evidence)
    return violated(Invariant.RUNNING_FITS, f"{evidence}; the action needs it {' or '.join(allowed)}")


def common(view: View, *roles: str, past: bool = False, elects: bool = False) -> tuple[Verdict, ...]:
    """Judge what most actions need; `past` is for `journal_settled`, `elects` for `configuration_agrees`."""
    return (
        in_charge(view),
        configuration_agrees(view, elects=elects),
        journal_settled(view, past=past),
        role_fits(view, *roles),
    )
