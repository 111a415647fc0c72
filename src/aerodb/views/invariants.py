"""An invariant for people: when it is judged, who relies on it, and what would have to be different for it to hold.

A sentence on what would have to be different says what the state would be, and by which actions it comes about; it
recommends nothing. Pure: no I/O, no clock.
"""

from aerodb import actions
from aerodb.protocol.plan import Result, Verdict
from aerodb.rules.invariants import STATEMENTS, Invariant, Stability

JUDGED: dict[Stability, str] = {
    "stable": "When the plan is made, and again by the node that would act.",
    "unstable": "When the plan is made, again by the node that would act, and a last time on what the other nodes say "
    "once the confirmation is in the audit log: it rests on them, and they may have changed.",
}
"""When an invariant is judged, by what it rests on."""

DIFFERENT: dict[Invariant, str] = {
    Invariant.IN_CHARGE: "AeroDB takes charge of the node, and a first term is founded; until then it only watches.",
    Invariant.CONFIGURATION_AGREES: "All who report run the same rules, have taken the same configuration (configure), "
    "and have data of this cluster.",
    Invariant.JOURNAL_SETTLED: "The earlier request has an outcome; the node gives it when it is asked (outcome).",
    Invariant.POLICY_KNOWN: "The settings that a commit waits by are those that the agent wrote, and are in force.",
    Invariant.RECEIVER_KNOWN: "The settings that name the upstream are those that the agent wrote, and are in force.",
    Invariant.ROLE_FITS: "The node stands in another role, or the action is asked of another node.",
    Invariant.RUNNING_FITS: "PostgreSQL on the named nodes runs (start), or is down (stop), as the evidence says.",
    Invariant.TERM_RISES: "The term is above all that the node has pledged or knows as granted, and above its WAL's.",
    Invariant.POSITION_KNOWN: "The node reports the term and the place where its WAL ends.",
    Invariant.SUCCESSOR_STREAMS: "The successor streams from the node and counts for its commits (follow).",
    Invariant.SUCCESSOR_ELECTABLE: "Enough members have pledged this term to the successor (a standby by fence), or "
    "none of those that are needed has pledged it to another.",
    Invariant.SUCCESSOR_HOLDS: "The successor's own report shows that it holds the named order: of that request and "
    "that plan, after this request, for the term that this one pledges.",
    Invariant.PLEDGES_KEPT: "Each pledger reports that it keeps its pledge: it serves nothing and receives from nobody "
    "that it does not stand for.",
    Invariant.ELECTION_QUORUM: "A majority of the members has pledged this term to this candidate: a standby by fence, "
    "a running primary by demote.",
    Invariant.COMMIT_QUORUM: "As many data nodes as the evidence names have pledged this term to this candidate, or "
    "the last granted primary has.",
    Invariant.WAL_PREFIX: "No pledger's WAL goes further than the candidate's: the candidate is the one with the most "
    "WAL, or has received the rest.",
    Invariant.CANDIDACY_STANDS: "The candidate has pledged neither a higher term, nor this one to another; else the "
    "term is a higher one.",
    Invariant.CANDIDATE_READABLE: "The candidate reports that its data folder can be read.",
    Invariant.TERM_UNGRANTED: "The term is above every term that has been granted.",
    Invariant.VOTE_KEPT: "The node reports where the WAL that is discarded ends, or a majority of members states what "
    "it has promised.",
    Invariant.UPSTREAM_AUTHORITY: "The upstream holds a grant for a term at least as high as the node's pledge and its "
    "WAL, or as a standby has pledged as high.",
    Invariant.WAL_ANCESTRY: "The node's WAL is part of the upstream's history: another upstream, or another data "
    "folder on the node (reclone).",
    Invariant.NO_CYCLE: "The upstream does not stream from the node, and each node between them reports.",
    Invariant.NO_HIGHER_GRANT: "A majority of members reports, and none of it has pledged a term above the node's "
    "grant.",
    Invariant.REPLAY_RUNS: "Replay on the node is not paused.",
    Invariant.GAP_NAMED: "The request names what the node saw last of the audit log, and a shorter log as restored.",
    Invariant.SETTINGS_LOADABLE: "The settings files on the node hold no error, and what the agent wrote is in force.",
    Invariant.STEP_FOLLOWS: "The named change makes exactly the next version after the one that the node has taken.",
    Invariant.PRIMARY_FIRST: "The granted primary has taken this version first, and a majority of members reports that "
    "it has promised nobody else a higher term.",
}


def relied_on_by(invariant: Invariant) -> tuple[str, ...]:
    """Return the actions that rely on an invariant, in the catalogue's order."""
    return tuple(action.name for action in actions.catalogue().values() if invariant in action.invariants)


def is_known(invariant: str) -> bool:
    """Tell whether these rules have an invariant; another may be of other rules, or the code of an error."""
    return any(each.value == invariant for each in STATEMENTS)


def statement_of(invariant: str) -> str:
    """Return what an invariant demands; empty for one of other rules, which is unknown here."""
    return {each.value: statement for each, (_, statement) in STATEMENTS.items()}.get(invariant, "")


def different(verdict: Verdict) -> str:
    """Return what would have to be different for a verdict to be that its invariant holds."""
    said = {each.value: text for each, text in DIFFERENT.items()}.get(verdict.invariant, "The rule holds.")
    return f"It is known, and so: {said}" if verdict.result is Result.UNKNOWN else said
