"""The configurations that are explored, whole: reduced for every test run, full on demand."""

from tests.explorer.world import Bounds

WITNESS = Bounds(data=2, witness=True)

FIVE = Bounds(
    data=4,
    witness=True,
    quorum=2,
    terms=4,
    requests=(
        "fence n3 for n2 in term 2", "fence w for n2 in term 2", "promote n2 in term 2",
        "fence n2 for n1 in term 3", "fence n3 for n1 in term 3", "fence n4 for n1 in term 3",
        "fence w for n1 in term 3", "renew n1 in term 3", "follow n3 to n1", "follow n4 to n1",
        "fence n4 for n2 in term 4", "fence w for n2 in term 4", "renew n2 in term 4", "promote n2 in term 4",
    ),
)  # fmt: skip
"""Where k is 2, a primary is renewed while a standby may stream from it that was told nothing."""

REDUCED = (
    Bounds(terms=2, crashes=1),
    Bounds(terms=2, quorum=0, stale=1),
    Bounds(terms=2, stops=1, actions=("demote", "promote", "follow", "start")),
    WITNESS._replace(terms=2, crashes=1, cuts=1),
    WITNESS._replace(terms=2, quorum=0, stale=1, stops=1),
    FIVE,
)

ELECTIONS, STEPS_DOWN = ("fence", "promote", "follow"), ("demote", "promote", "follow", "start")

FULL = (
    Bounds(terms=3),
    WITNESS._replace(terms=3, crashes=1, cuts=1),
    WITNESS._replace(terms=3, writes=2, crashes=1),
    WITNESS._replace(terms=3, writes=2, crashes=1, quorum=0),
    WITNESS._replace(terms=3, stale=1),
    Bounds(terms=3, writes=2, actions=ELECTIONS),
    Bounds(terms=3, writes=2, quorum=0, actions=ELECTIONS),
    Bounds(terms=3, writes=2, crashes=1, stops=1, actions=STEPS_DOWN),
    Bounds(terms=3, writes=2, crashes=1, stops=1, quorum=0, actions=STEPS_DOWN),
    Bounds(terms=2, crashes=1),
    Bounds(terms=2, cuts=1, stale=1),
    Bounds(terms=2, quorum=0, stops=1),
    WITNESS._replace(terms=2, crashes=1, stops=1),
    WITNESS._replace(terms=2, quorum=0, crashes=1, stops=1),
    FIVE._replace(writes=2),
)
