"""configure: a node takes the next version of the configuration, which differs from its own by exactly one change.

- The granted primary makes the version: it computes it from its own and the change. Every other node computes it just
  so, and takes it only by the granted primary's signed statement that it has taken the very same one.
- It rests on the node's durable state, and on the standings that the others report: on nothing of PostgreSQL.
- A version is never taken back. A change is undone by another one, where it can be.
"""

from aerodb.errors import AeroError
from aerodb.protocol import canonical, webauthn
from aerodb.protocol.authenticator import fingerprint, read_enrolment, short_name
from aerodb.protocol.chain import changed
from aerodb.protocol.change import Change, VersionStep, read_step, said
from aerodb.protocol.classes import ActionClass
from aerodb.protocol.cluster import Cluster, Role
from aerodb.protocol.facts import Facts
from aerodb.protocol.plan import Plan, Verdict
from aerodb.protocol.words import words_of
from aerodb.rules.arguments import Argument
from aerodb.rules.charge import in_charge
from aerodb.rules.condition import journal_settled
from aerodb.rules.foresight import unchanged
from aerodb.rules.hands import Hands
from aerodb.rules.invariants import RULES, Invariant, holds, violated
from aerodb.rules.specification import (
    NOT_CROSSED,
    Action,
    Established,
    Failure,
    Order,
    no_loss,
    no_term,
    same_standing,
)
from aerodb.rules.versions import branches_agree, primary_first, taken
from aerodb.rules.view import View


def step_in(arguments: dict[str, str]) -> VersionStep:
    """Return the step that a request names.

    Raises:
        StepMalformed: it names none.
    """
    return read_step(arguments.get("change", ""), "arguments.change")


def one_chain(view: View) -> Verdict:
    """Judge whether all who report run these rules, and are on the chain on which the target takes its next version."""
    for name, peer in view.everyone().items():
        if peer.facts.rules != RULES:
            return violated(Invariant.CONFIGURATION_AGREES, f"{name} runs rules {peer.facts.rules}, not {RULES}")
    if view.own.facts.configuration != view.cluster.digest:
        return violated(Invariant.CONFIGURATION_AGREES, f"{view.node} runs another configuration")
    fork = branches_agree(view, step_in(view.request.arguments))
    if fork:
        return violated(Invariant.CONFIGURATION_AGREES, fork)
    return holds(
        Invariant.CONFIGURATION_AGREES, "all who report agree on rules, and are on one chain with this version"
    )


def step_follows(view: View) -> Verdict:
    """Judge whether the named version follows the target's own by exactly the named change."""
    step, own = step_in(view.request.arguments), len(taken(view.own.facts))
    if step.version <= own:
        return violated(
            Invariant.STEP_FOLLOWS, f"{view.node} has taken version {own}: version {step.version} is a step back"
        )
    if step.version > own + 1:
        return violated(Invariant.STEP_FOLLOWS, f"{view.node} has taken version {own}: take version {own + 1} first")
    try:
        after = changed(view.cluster, step.change)
    except AeroError as error:
        return violated(Invariant.STEP_FOLLOWS, error.message)
    if after.digest != step.digest:
        return violated(
            Invariant.STEP_FOLLOWS, f"the change makes version {after.version} {after.digest}, not {step.digest}"
        )
    return holds(
        Invariant.STEP_FOLLOWS, f"version {step.version}, {step.digest}, is version {own} and this change alone"
    )


def judge(view: View) -> tuple[Verdict, ...]:
    """Judge whether the target may take the version that the request names."""
    return (
        in_charge(view),
        one_chain(view),
        journal_settled(view),
        step_follows(view),
        primary_first(view, step_in(view.request.arguments)),
    )


def notes(view: View) -> tuple[str, ...]:
    """Say what the version changes, and who is left to act."""
    step = step_in(view.request.arguments)
    told: tuple[str, ...] = (f"Version {step.version} {said(step.change)}.",)
    if step.change.kind in ("revoke", "re-key", "re-role", "revoke-authenticator"):
        who = (
            "it could confirm there, it still can"
            if "authenticator" in step.change.kind
            else (f"{step.change.name} could confirm there, they still can")
        )
        told += (
            f"It holds on {view.node} from then on, and on every other node only once that node has taken it: until "
            f"then what {who}.",
        )
    if step.change.kind == "second-person":
        told += (
            f"It holds on {view.node} from then on, and on every other node only once that node has taken it: until "
            "then what the version before asks is enough there.",
        )
    told += _of_authenticators(view.cluster, step.change)
    try:
        left = changed(view.cluster, step.change)
    except AeroError:
        return told
    return (*told, f"Operators with a key afterwards: {', '.join(_acting(left))}.")


def _of_authenticators(cluster: Cluster, change: Change) -> tuple[str, ...]:
    """Say what a change means for authenticators: for the one that it enrols, or for those that somebody has."""
    told: tuple[str, ...] = ()
    if change.kind == "enrol-authenticator":
        told += _of_enrolment(cluster, change)
    if cluster.link is None and cluster.web_origin:
        told += (
            "What was endorsed under version 1 confirms nothing under later versions: each authenticator is enrolled "
            "by a version of its own.",
        )
    theirs = tuple(each for each in cluster.enrolled if each.person == change.name and not each.revoked)
    means = {
        "revoke": "They end with {name}, and confirm nothing any more: {which}.",
        "re-key": "They stay {name}'s, and confirm as before, until each is revoked by itself: {which}.",
        "re-role": "They confirm for as long as {name} is an operator, and at no other time: {which}.",
    }
    if theirs and change.kind in means:
        which = ", ".join(f"authenticator {short_name(each.credential)}" for each in theirs)
        told += (means[change.kind].format(name=change.name, which=which),)
    return told


_COPIES = {
    "possible": "Its maker may copy the key to other devices.",
    "impossible": "It said that its key is never copied.",
    "unknown": "Nobody said whether its key may be copied.",
}


def _of_enrolment(cluster: Cluster, change: Change) -> tuple[str, ...]:
    """Show the authenticator that a change enrols, as two screens are to be compared."""
    found = read_enrolment(change.name, change.after)
    if found is None:
        return ()
    try:
        algorithm = webauthn.algorithm_of(webauthn.public_key(found.public_key))
    except AeroError:
        return ()
    said = webauthn.endorsement_of(cluster, change.name, found.credential, found.public_key)
    served = "The control plane serves the admin UI's" + (
        "; one's own machine serves that of `aerodb register`." if cluster.web_is_local else "."
    )
    return (
        f"Authenticator {short_name(found.credential)} of {change.name}, at {cluster.web_origin}: key {algorithm} "
        f"{fingerprint(found.public_key)}, credential {found.credential}. {_COPIES[found.copies]}",
        f"Its words: {words_of(canonical.digest(canonical.encode(said)))}. Compare them with the page on which it was "
        f"registered. Whoever served that page could have put a key of their own in its place. {served}",
        f"Whoever has it, and is known to it, can then confirm in the browser what {change.name} asks for.",
    )


def _acting(cluster: Cluster) -> tuple[str, ...]:
    people = (each for each in cluster.operators if each.role is Role.OPERATOR and each.ssh_key and not each.revoked)
    return tuple(each.name for each in people)


def operate(hands: Hands, order: Order) -> tuple[str, ...]:
    """Write the version down, in one write: the commit point."""
    step, node = step_in(order.plan.request.arguments), order.view.node
    document = canonical.encode(changed(order.view.cluster, step.change)).decode()
    hands.cross(order.plan.request.id)
    hands.take_version(document)
    return (
        f"{node} has taken version {step.version} of the configuration, {step.digest}: it {said(step.change)}",
        *_where_not_yet(order, step),
    )


def _where_not_yet(order: Order, step: VersionStep) -> tuple[str, ...]:
    """Say who had not taken the version when they reported, and who did not report."""
    view = order.views[-1]
    late = [name for name, peer in view.peers.items() if len(taken(peer.facts)) < step.version]
    silent = [each.name for each in view.cluster.members if each.name not in view.everyone()]
    told = (f"not taken yet by {', '.join(late)}: the change does not hold there",) if late else ()
    return (*told, f"whether it is taken is not known of {', '.join(silent)}") if silent else told


def established(plan: Plan, before: Facts, now: Facts, crossed: bool) -> Established:
    """Tell from what the node has taken whether the version is among it: it is one write, or none."""
    del before
    if not crossed:
        return NOT_CROSSED
    step, path = step_in(plan.request.arguments), taken(now)
    if len(path) >= step.version and path[step.version - 1] == step.digest:
        return Established(result="executed", evidence=f"{now.node} has taken version {step.version}, {step.digest}")
    return Established(result="not executed", evidence=f"{now.node} has taken version {len(path)}, and not this one")


ACTION = Action(
    name="configure",
    title="Change the configuration of {node}",
    summary="A node takes the next version of the configuration, which differs from its own by exactly one change: a "
    "person enrolled, revoked, given another key or another role; an authenticator enrolled or revoked; or for which "
    "actions a second person must sign.",
    target="granted primary first, then each other node",
    arguments=(
        Argument(
            name="change",
            option="--change",
            help="the change, with the number and the digest of the version that it makes",
            word="by",
            itself=True,
            kind="step",
        ),
    ),
    authority=Role.OPERATOR,
    of_class=ActionClass.CONFIGURATION,
    invariants=(
        Invariant.IN_CHARGE,
        Invariant.CONFIGURATION_AGREES,
        Invariant.JOURNAL_SETTLED,
        Invariant.STEP_FOLLOWS,
        Invariant.PRIMARY_FIRST,
    ),
    effects=(
        "{node} writes down the next version of the configuration, and judges by it from then on.",
        "PostgreSQL is not touched, and nothing changes in what a commit waits for.",
    ),
    irreversible=(
        "A version is never taken back, a name never used again, and who or what is revoked stays revoked. What can be "
        "undone is undone by another change.",
    ),
    notes=notes,
    loss=no_loss,
    commit_point="{node} has written the version down, in one write.",
    failures=(
        Failure(
            when="The change does not fit the version that {node} has, or another node has taken another version.",
            leaves="Not executed; {node} judges as before.",
            then="See aerodb configuration: who has taken what.",
        ),
        Failure(
            when="The agent dies, or the disk is full, before the one write.",
            leaves="Not executed.",
            then="Ask for the outcome, then request configure anew.",
        ),
        Failure(
            when="The agent dies after it.",
            leaves="Executed.",
            then="Ask for the outcome.",
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
