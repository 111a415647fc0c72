"""reload: a running node reads its settings files again, so that what was changed in them is in force.

- It never weakens what proofs rest on: the files must set all of that as the agent wrote it.
- It begins no streaming: where the upstream that the files name is not in force, `start` judges it, and not this.
- What the files hold wrongly is refused before, in PostgreSQL's own words: it would be skipped without a sign.
"""

from aerodb.protocol.classes import ActionClass
from aerodb.protocol.cluster import Role
from aerodb.protocol.facts import Facts, SettingsFiles, State
from aerodb.protocol.plan import Plan, Verdict
from aerodb.rules.condition import common, running_fits, settings_loadable
from aerodb.rules.foresight import unchanged
from aerodb.rules.hands import Hands
from aerodb.rules.invariants import Invariant
from aerodb.rules.specification import (
    NOT_CROSSED,
    SILENT,
    Action,
    Established,
    Failure,
    Order,
    no_loss,
    no_term,
    same_standing,
)
from aerodb.rules.view import View


def judge(view: View) -> tuple[Verdict, ...]:
    """Judge whether the target may take up what its files hold."""
    return (
        *common(view, "primary", "standby"),
        running_fits(view, State.RUNNING),
        settings_loadable(view),
    )


def notes(view: View) -> tuple[str, ...]:
    """Say which settings in the files will not be in force after a reload."""
    files = files_of(view.own.facts)
    if files is None or not files.pending:
        return ()
    return (f"Not taken up before {view.node} is started anew: {', '.join(files.pending)}.",)


def files_of(facts: Facts) -> SettingsFiles | None:
    """Return what is known of a node's settings files; None where nothing is."""
    files = facts.instance.files if facts.instance else None
    return files if isinstance(files, SettingsFiles) else None


def operate(hands: Hands, order: Order) -> tuple[str, ...]:
    """Have PostgreSQL read its files again, and see that it did: the commit point."""
    hands.cross(order.plan.request.id)
    hands.settings.reload()
    files = files_of(hands.look())
    when = f"; they were read at {files.loaded}" if files else ""
    return (f"PostgreSQL on {order.view.node} has read its settings files again{when}",)


def established(plan: Plan, before: Facts, now: Facts, crossed: bool) -> Established:
    """Tell from when PostgreSQL last read its files whether it has done so since.

    Only a connection that was there at an earlier reload can have said a later time than a new one says of the same.
    """
    del plan
    if not crossed:
        return NOT_CROSSED
    instance, earlier, later = now.instance, files_of(before), files_of(now)
    if instance is None or instance.state in {State.UNREACHABLE, State.UNREADABLE}:
        return SILENT
    if instance.state is not State.RUNNING:
        return Established(
            result="unknown",
            final=True,
            evidence=f"PostgreSQL is {instance.state}: whether it read its files again before cannot be told, and with "
            "its next start it does",
        )
    if earlier is None or later is None or later.loaded < earlier.loaded:
        return Established(
            result="unknown",
            final=True,
            evidence="when PostgreSQL last read its files cannot be compared with when it had before; a further reload "
            "does no harm",
        )
    if later.loaded > earlier.loaded:
        return Established(result="executed", evidence=f"PostgreSQL read its settings files at {later.loaded}")
    return Established(
        result="not executed", evidence=f"PostgreSQL has not read its settings files since {later.loaded}"
    )


ACTION = Action(
    name="reload",
    title="Reload the settings of {node}",
    summary="A running node reads its settings files again, so that what was changed in them is in force.",
    target="running primary or standby",
    arguments=(),
    authority=Role.OPERATOR,
    of_class=ActionClass.RUNNING,
    invariants=(
        Invariant.IN_CHARGE,
        Invariant.CONFIGURATION_AGREES,
        Invariant.JOURNAL_SETTLED,
        Invariant.ROLE_FITS,
        Invariant.RUNNING_FITS,
        Invariant.SETTINGS_LOADABLE,
    ),
    effects=(
        "PostgreSQL on {node} reads its settings files again, with pg_hba.conf and pg_ident.conf: what was changed in "
        "them is in force for new sessions, and for those that are there as far as a setting can change in one.",
        "What a proof rests on stays as it is, or becomes again what the agent wrote. From whom {node} receives "
        "WAL, if from anybody, does not change.",
    ),
    irreversible=(),
    notes=notes,
    loss=no_loss,
    commit_point="PostgreSQL on {node} says that it has read its files since (pg_conf_load_time).",
    failures=(
        Failure(
            when="PostgreSQL does not take the signal up in time.",
            leaves="Unknown while it does not answer: it takes the signal up as soon as it works again.",
            then="Look at PostgreSQL's server log and ask for the outcome.",
        ),
        Failure(
            when="A file is changed between the judgement and the reload, and has an error then.",
            leaves="Executed. PostgreSQL skips what is wrong, or all of a file that it cannot read, and says so in its "
            "log.",
            then="Look at the node's facts, mend the file, and request reload anew.",
        ),
        Failure(
            when="The agent dies before it has sent the signal.",
            leaves="Not executed.",
            then="Ask for the outcome, then request reload anew.",
        ),
        Failure(
            when="The agent dies after it has sent the signal.",
            leaves="Executed.",
            then="Ask for the outcome.",
        ),
        Failure(
            when="PostgreSQL dies, or is stopped, before anybody asked.",
            leaves="Unknown for good, and without weight: its next start reads the files.",
            then="Start the node.",
        ),
    ),
    outage="None.",
    term=no_term,
    judge=judge,
    operate=operate,
    established=established,
    settle=same_standing,
    writes=unchanged,
    since=2,
)
