"""Which rules this build can act by together with others, and what it reports and signs in the format of each.

- A build speaks its own rules and those right before them, so that nodes, control plane and command line can be
  upgraded one after the other. It holds older ones too (`held`), but only for verification.
- Rules fix the format of what they judge: a caller who asks by the rules 1 can read only a report of version 1.
- A caller who names no rules speaks the first ones, as release 0.1.0 does, which knew no others.
- A statement in an older format may say less, but never anything different.

Pure: no I/O, no clock.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from aerodb.errors import AeroError
from aerodb.past.held import held, number_of
from aerodb.past.releases import MADE_BY
from aerodb.protocol import canonical
from aerodb.protocol.authority import Grant, GrantOne, Pledge, PledgeOne
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.facts import (
    Facts,
    FactsOne,
    FactsTwo,
    Report,
    ReportOne,
    ReportTwo,
    facts_in_one,
    facts_in_two,
)
from aerodb.protocol.formats import stated_version
from aerodb.protocol.plan import Outcome, OutcomeOne
from aerodb.protocol.signed import Signed
from aerodb.rules.invariants import RULES
from aerodb.rules.view import Peer, View

FIRST, SECOND = "aerodb-rules/1", "aerodb-rules/2"
"""The rules of a caller who names none, and the ones after these, which have a format of a report of their own."""
QUERY = "rules"
"""The query parameter that names the rules for a report."""
HEADER = "AeroDB-Rules"
"""The header in which a caller names the rules by which it can check a plan."""
_STATED = re.compile(r"[1-9][0-9]{0,5}(,[1-9][0-9]{0,5}){0,7}")


class RulesMalformed(AeroError):
    """The rules that somebody speaks are not named in the right form."""

    code = "input.rules-malformed"
    status = 400
    title = "The rules that are spoken are malformed"


class RulesApart(AeroError):
    """Two parts of a cluster are more than one version apart: they share no rules to act by."""

    code = "control.rules-apart"
    status = 409
    title = "There are no rules that both speak"


def spoken(rules: str = RULES, among: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Return the rules that a build acts by: its own, and then those right before them if it holds them."""
    before = f"aerodb-rules/{(number_of(rules) or 0) - 1}"
    return (rules, before) if before in (held() if among is None else among) else (rules,)


SPOKEN = spoken()
"""The rules that this build speaks, the newest first."""


def stated(rules: tuple[str, ...]) -> str:
    """Return rules as they are named in a query or a header."""
    return ",".join(str(number_of(each)) for each in rules)


def read_stated(text: str | None) -> tuple[str, ...]:
    """Return the rules that somebody names, in their order; the first rules if they name none.

    Raises:
        RulesMalformed: the text is malformed.
    """
    if text is None:
        return (FIRST,)
    if not _STATED.fullmatch(text):
        raise RulesMalformed("rules are named by their numbers, with a comma between them", field=QUERY)
    return tuple(f"aerodb-rules/{each}" for each in text.split(","))


def telling(rules: tuple[str, ...], cluster: Cluster) -> tuple[str, ...]:
    """Return those of some rules that can describe the cluster's configuration: the first rules know only version 1.

    By the first rules, a node with a later version could only be said to run another configuration.
    """
    return rules if cluster.version == 1 else tuple(each for each in rules if each != FIRST)


def named(rules: tuple[str, ...]) -> str:
    """Return rules for people, with the release that introduced them if that is known."""
    return " and ".join(f"{each} (AeroDB {MADE_BY[each]})" if each in MADE_BY else each for each in rules)


def both_speak(own: tuple[str, ...], theirs: tuple[str, ...], who: tuple[str, str]) -> tuple[str, ...]:
    """Return the rules that both sides speak, the newest first; `who` names our side, then theirs.

    Raises:
        RulesApart: there are none; the message names both sides' rules.
    """
    found = tuple(each for each in own if each in theirs)
    if not found:
        raise RulesApart(
            f"{who[0]} speaks {named(own)}; {who[1]} speaks {named(theirs)}: only neighbouring releases work together; "
            "upgrade one release at a time",
            field=QUERY,
        )
    return found


class _FactsTold(msgspec.Struct):
    rules: str


class _ReportTold(msgspec.Struct):
    """The only part of a report that is read here, unverified."""

    facts: _FactsTold


def rules_told(unverified: Signed) -> str:
    """Return the rules that a report is made by: those that its facts name, if its format is the one of these rules.

    Empty if the format is another, or it is not a report: whoever opens it will refuse it.
    """
    try:
        data = unverified.document.encode()
        rules = msgspec.json.decode(data, type=_ReportTold).facts.rules
    except (msgspec.DecodeError, UnicodeError):
        return ""
    form = {FIRST: ReportOne.FORMAT, SECOND: ReportTwo.FORMAT}.get(rules, Report.FORMAT)
    return rules if stated_version(data, form) == form.version else ""


# Words ----------------------------------------------------------------------------------------------------------------


def facts_in(rules: str, facts: Facts, naming: str = "") -> Facts | FactsTwo | FactsOne:
    """Return a node's facts in the format of `rules`, which they then name, unless they are `naming` others."""
    if rules == FIRST:
        return facts_in_one(facts, naming or rules)
    if rules == SECOND:
        return facts_in_two(facts, naming or rules)
    return replace(facts, rules=naming or rules)


def report_in(rules: str, cluster: str, nonce: str, facts: Facts) -> Report | ReportTwo | ReportOne:
    """Return the report of a node's facts, in the format of `rules`."""
    said = facts_in(rules, facts)
    if isinstance(said, Facts):
        return Report(cluster=cluster, node=facts.node, nonce=nonce, facts=said)
    if isinstance(said, FactsTwo):
        return ReportTwo(cluster=cluster, node=facts.node, nonce=nonce, facts=said)
    return ReportOne(cluster=cluster, node=facts.node, nonce=nonce, facts=said)


def said_in(rules: str, document: Pledge | Grant | Outcome) -> msgspec.Struct:
    """Return what a node is about to sign in the format of a plan's rules, so that those who use them can read it."""
    if rules != FIRST:
        return document
    match document:
        case Pledge():
            return PledgeOne(**_shared(PledgeOne, document))
        case Grant():
            return GrantOne(**_shared(GrantOne, document))
        case Outcome():
            return OutcomeOne(**_shared(OutcomeOne, document))


def _shared(earlier: type[msgspec.Struct], document: msgspec.Struct) -> dict[str, Any]:
    return {name: getattr(document, name) for name in earlier.__struct_fields__}


def rules_named(unverified: str) -> str:
    """Return the rules that a plan's text names; the first rules if it names none, or is not a plan."""
    try:
        return msgspec.json.decode(unverified.encode(), type=_PlanTold).rules
    except (msgspec.DecodeError, UnicodeError):
        return FIRST


class _PlanTold(msgspec.Struct):
    rules: str


def view_in(rules: str, view: View) -> str:
    """Return the canonical text of a view in the format of earlier rules."""
    said = {
        "cluster": view.cluster,
        "request": view.request,
        "own": _peer_in(rules, view.own, rules),
        "peers": _peers_in(rules, view.peers),
        "term": view.term,
        "pledged": {name: said_in(rules, pledge) for name, pledge in view.pledged.items()},
    }
    return canonical.encode(said).decode()


def late_in(rules: str, late: Mapping[str, Peer]) -> str:
    """Return the canonical text of the peers' late statements, in the format of earlier rules."""
    return canonical.encode({"peers": _peers_in(rules, late)}).decode()


def _peers_in(rules: str, peers: Mapping[str, Peer]) -> dict[str, object]:
    """Return peers' statements in the format of earlier rules; each still names the rules that its node named."""
    return {name: _peer_in(rules, peer, peer.facts.rules) for name, peer in peers.items()}


def _peer_in(rules: str, peer: Peer, naming: str) -> dict[str, object]:
    facts = facts_in(rules, peer.facts, naming)
    pledge, grant = (said and said_in(rules, said) for said in (peer.pledge, peer.grant))
    return {"facts": facts, "pledge": pledge, "grant": grant}
