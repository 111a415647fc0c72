"""The closed list of invariants. Every verdict names one of these; every refusal by the rules names at least one.

Pure: no I/O, no clock.
"""

from enum import StrEnum
from typing import Literal

from aerodb.protocol.plan import Result, Verdict

RULES = "aerodb-rules/3"
"""The name of these rules, which every plan made by them carries."""


class Invariant(StrEnum):
    """The identifier of one invariant."""

    IN_CHARGE = "in-charge"
    CONFIGURATION_AGREES = "configuration-agrees"
    JOURNAL_SETTLED = "journal-settled"
    POLICY_KNOWN = "policy-known"
    RECEIVER_KNOWN = "receiver-known"
    ROLE_FITS = "role-fits"
    RUNNING_FITS = "running-fits"
    TERM_RISES = "term-rises"
    POSITION_KNOWN = "position-known"
    SUCCESSOR_STREAMS = "successor-streams"
    SUCCESSOR_ELECTABLE = "successor-electable"
    SUCCESSOR_HOLDS = "successor-holds"
    PLEDGES_KEPT = "pledges-kept"
    ELECTION_QUORUM = "election-quorum"
    COMMIT_QUORUM = "commit-quorum"
    WAL_PREFIX = "wal-prefix"
    CANDIDACY_STANDS = "candidacy-stands"
    CANDIDATE_READABLE = "candidate-readable"
    TERM_UNGRANTED = "term-ungranted"
    VOTE_KEPT = "vote-kept"
    UPSTREAM_AUTHORITY = "upstream-authority"
    WAL_ANCESTRY = "wal-ancestry"
    NO_CYCLE = "no-cycle"
    NO_HIGHER_GRANT = "no-higher-grant"
    REPLAY_RUNS = "replay-runs"
    GAP_NAMED = "gap-named"
    SETTINGS_LOADABLE = "settings-loadable"
    STEP_FOLLOWS = "step-follows"
    PRIMARY_FIRST = "primary-first"


STATEMENTS: dict[Invariant, tuple[str, str]] = {
    Invariant.IN_CHARGE: (
        "In charge",
        "AeroDB has taken charge of the node: it is not only watched, and a first term was founded in its cluster.",
    ),
    Invariant.CONFIGURATION_AGREES: (
        "Configuration agrees",
        "The node runs these rules and this configuration, and its data belongs to this cluster.",
    ),
    Invariant.JOURNAL_SETTLED: (
        "Journal settled",
        "No earlier request on the node is without an outcome.",
    ),
    Invariant.POLICY_KNOWN: (
        "Policy known",
        "What a primary waits for before it acknowledges a commit, and that it reaches the disk, is set on the node as "
        "the configuration says.",
    ),
    Invariant.RECEIVER_KNOWN: (
        "Receiver known",
        "From where the node receives WAL, and how far it replays it, is set as its agent wrote it.",
    ),
    Invariant.ROLE_FITS: ("Role fits", "The node stands in a role that the action applies to."),
    Invariant.RUNNING_FITS: (
        "Process fits",
        "PostgreSQL on the node runs, or is down, as the action needs; one whose data are copied runs, and is of the "
        "node's own major version.",
    ),
    Invariant.TERM_RISES: (
        "Term rises",
        "A pledge is for a term above every term the node has pledged, above every grant it knows, and above the term "
        "of its own WAL.",
    ),
    Invariant.POSITION_KNOWN: (
        "Position known",
        "The node can tell the term and the place where its own WAL ends.",
    ),
    Invariant.SUCCESSOR_STREAMS: (
        "Successor streams",
        "The named successor streams from the node, as a synchronous standby, before writes stop.",
    ),
    Invariant.SUCCESSOR_ELECTABLE: (
        "Successor electable",
        "With the pledges that are out, the node's own and the successor's, the successor can be elected: nobody else "
        "has to be fenced once writes have stopped, and none of them owes more than the node's WAL holds.",
    ),
    Invariant.SUCCESSOR_HOLDS: (
        "Successor holds",
        "Where the request names one that comes after it, the successor holds the order of that one: the very plan, "
        "for this request and this term.",
    ),
    Invariant.PLEDGES_KEPT: (
        "Pledges kept",
        "The pledges that the election rests on are kept, as each pledger's own report shows: it serves as no primary, "
        "receives from nobody that it does not stand for, and its WAL ends where it pledged.",
    ),
    Invariant.ELECTION_QUORUM: (
        "Election quorum",
        "A majority of all members, witnesses counted, has pledged this term to this candidate.",
    ),
    Invariant.COMMIT_QUORUM: (
        "Commit quorum",
        "Every set of nodes that could have acknowledged a commit has a member among those that pledged.",
    ),
    Invariant.WAL_PREFIX: (
        "WAL prefix",
        "The candidate's WAL reaches at least as far, by (term, LSN), as the WAL of every node that pledged, and as "
        "whatever a WAL that one of them, or the candidate, has discarded may have acknowledged.",
    ),
    Invariant.CANDIDACY_STANDS: (
        "Candidacy stands",
        "The candidate has pledged nothing above this term, nor this term to another.",
    ),
    Invariant.CANDIDATE_READABLE: (
        "Candidate readable",
        "The data folder of the candidate, where it reports, can be read.",
    ),
    Invariant.TERM_UNGRANTED: (
        "Term ungranted",
        "The term has not been granted already, nor any term above it, as far as anyone who reports knows.",
    ),
    Invariant.VOTE_KEPT: (
        "Vote kept",
        "What the WAL that the action discards may have acknowledged stays in the node's vote: where that WAL ends is "
        "known, or the node is down, and a majority of members states that it has promised nobody else a term above "
        "the source's, so that nothing is in it that a copy of the source does not reach.",
    ),
    Invariant.UPSTREAM_AUTHORITY: (
        "Upstream authority",
        "The upstream holds a signed grant for a term at or above the one the node has pledged and that of the node's "
        "own WAL, or, a standby, has itself pledged, or has WAL of a term, at least as high.",
    ),
    Invariant.WAL_ANCESTRY: (
        "WAL ancestry",
        "The node's WAL is a prefix of the upstream's: its history is part of the upstream's history, and it ends at "
        "or before the place where they part.",
    ),
    Invariant.NO_CYCLE: (
        "No cycle",
        "The upstream does not itself stream, through others, from the node; each of them reports.",
    ),
    Invariant.NO_HIGHER_GRANT: (
        "No higher grant",
        "A majority of members states, for this very request, that it has pledged no term above the node's grant.",
    ),
    Invariant.REPLAY_RUNS: (
        "Replay runs",
        "A running standby replays what it receives; paused, it can neither tell where its WAL ends nor be promoted.",
    ),
    Invariant.GAP_NAMED: (
        "Gap named",
        "What the request gives up is the newest of the audit log that the node saw, by size and root; what it names "
        "as restored is shorter.",
    ),
    Invariant.SETTINGS_LOADABLE: (
        "Settings loadable",
        "The settings files on the node hold no error, set what proofs rest on as its agent wrote it, and name the "
        "upstream that is in force. Those of a standby that is to start again are as high as its WAL asks for.",
    ),
    Invariant.STEP_FOLLOWS: (
        "Step follows",
        "The named version of the configuration follows the node's own by exactly the named change; its digest is "
        "computed again.",
    ),
    Invariant.PRIMARY_FIRST: (
        "Primary first",
        "The node is the granted primary, or the granted primary states in its signed report that it has taken this "
        "very version; a majority of members states that it has promised nobody else a higher term.",
    ),
}

Stability = Literal["stable", "unstable"]
STABILITY: dict[Invariant, Stability] = {
    Invariant.IN_CHARGE: "stable",
    Invariant.CONFIGURATION_AGREES: "unstable",
    Invariant.JOURNAL_SETTLED: "stable",
    Invariant.POLICY_KNOWN: "stable",
    Invariant.RECEIVER_KNOWN: "stable",
    Invariant.ROLE_FITS: "stable",
    Invariant.RUNNING_FITS: "unstable",
    Invariant.TERM_RISES: "unstable",
    Invariant.POSITION_KNOWN: "unstable",
    Invariant.SUCCESSOR_STREAMS: "unstable",
    Invariant.SUCCESSOR_ELECTABLE: "unstable",
    Invariant.SUCCESSOR_HOLDS: "unstable",
    Invariant.PLEDGES_KEPT: "unstable",
    Invariant.ELECTION_QUORUM: "stable",
    Invariant.COMMIT_QUORUM: "stable",
    Invariant.WAL_PREFIX: "stable",
    Invariant.CANDIDACY_STANDS: "stable",
    Invariant.CANDIDATE_READABLE: "unstable",
    Invariant.TERM_UNGRANTED: "unstable",
    Invariant.VOTE_KEPT: "unstable",
    Invariant.UPSTREAM_AUTHORITY: "unstable",
    Invariant.WAL_ANCESTRY: "unstable",
    Invariant.NO_CYCLE: "unstable",
    Invariant.NO_HIGHER_GRANT: "unstable",
    Invariant.REPLAY_RUNS: "stable",
    Invariant.GAP_NAMED: "stable",
    Invariant.SETTINGS_LOADABLE: "stable",
    Invariant.STEP_FOLLOWS: "stable",
    Invariant.PRIMARY_FIRST: "unstable",
}
"""Whether the statements of other nodes that an invariant depends on remain true once they are made.

Stable: it depends on the target's own facts, which are read when it judges, or on pledges, which are never taken back.
Unstable: it depends on another node's state, or on the absence of a promise, so the target judges it again on what its
peers say after the confirmation. A new invariant must be given its place here; if in doubt, it is unstable.
"""


def name_of(invariant: str) -> str:
    """Return an invariant's name for people; an identifier of other rules, unknown here, is returned as it is."""
    return {each.value: name for each, (name, _) in STATEMENTS.items()}.get(invariant, invariant)


def holds(invariant: Invariant, evidence: str) -> Verdict:
    """Return the verdict that `invariant` holds."""
    return Verdict(invariant=invariant, result=Result.HOLDS, evidence=evidence)


def violated(invariant: Invariant, evidence: str) -> Verdict:
    """Return the verdict that `invariant` is violated."""
    return Verdict(invariant=invariant, result=Result.VIOLATED, evidence=evidence)


def unknown(invariant: Invariant, evidence: str) -> Verdict:
    """Return the verdict that `invariant` cannot be judged; it counts as no."""
    return Verdict(invariant=invariant, result=Result.UNKNOWN, evidence=evidence)
