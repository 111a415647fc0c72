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

PAIR = WITNESS._replace(terms=2)
RECLONED = ("reclone", "fence", "promote", "follow", "start")

REPLACED = PAIR._replace(
    terms=3,
    crashes=1,
    copies=1,
    cuts=1,
    actions=(*RECLONED, "renew"),
    requests=(
        "fence w for n1 in term 2", "renew n1 in term 2", "fence w for n2 in term 3", "promote n2 in term 3",
        "reclone n1 from n2",
    ),
)  # fmt: skip
"""n1 is renewed, and recloned from its successor before anybody asks what became of it."""

CARRIED = Bounds(
    data=5,
    quorum=2,
    terms=2,
    copies=1,
    actions=RECLONED,
    requests=(
        "follow n5 to n2", "fence n3 for n2 in term 2", "fence n4 for n2 in term 2", "promote n2 in term 2",
        "reclone n5 from n1", "follow n3 to n2",
    ),
)  # fmt: skip
"""n5 is carried into term 2 by its upstream, untold, while n1 still runs as the primary of term 1."""

APART = Bounds(
    data=4,
    terms=2,
    writes=2,
    stops=2,
    hands=2,
    by_hand=("promote",),
    requests=(
        "follow n3 to n2", "stop n1", "stop n4", "fence n1 for n3 in term 2", "fence n4 for n3 in term 2",
        "promote n3 in term 2",
    ),
)  # fmt: skip
"""Two nodes are promoted by hand at one place of the log, and a third is carried along by one of them."""

SIGNED_AHEAD = Bounds(terms=2, stops=1, sequences=1, actions=("demote", "promote"))
"""n1 steps down for a successor that holds its own promotion: held, dropped, run in its turn at any later moment."""

REDUCED = (
    Bounds(terms=2, actions=("fence", "promote", "follow")),
    Bounds(terms=2, stops=1, actions=("demote", "promote", "follow", "start")),
    PAIR._replace(crashes=1, ways=True),
    PAIR._replace(stale=1, crashes=1, actions=("fence", "promote", "start")),
    PAIR._replace(stops=1, losses=1, ways=True, actions=("stop", "fence", "promote", "follow", "start")),
    PAIR._replace(hands=1, by_hand=("start", "stop"), ways=True),
    PAIR._replace(weakenings=1, crashes=1, actions=("fence", "promote", "start")),
    PAIR._replace(copies=1, cuts=1, actions=RECLONED),
    PAIR._replace(crashes=2, cuts=1, actions=("start",)),
    PAIR._replace(stops=1, cuts=1, actions=("fence", "promote", "restart")),
    REPLACED,
    SIGNED_AHEAD._replace(stale=1),
    SIGNED_AHEAD._replace(actions=("demote", "promote", "fence")),
)

ELECTIONS, STEPS_DOWN = ("fence", "promote", "follow"), ("demote", "promote", "follow", "start")

FULL = (
    Bounds(terms=3),
    WITNESS._replace(terms=3, cuts=1),
    WITNESS._replace(terms=3, crashes=1, cuts=1, actions=("fence", "promote", "renew", "start")),
    WITNESS._replace(terms=3, writes=2, crashes=1),
    WITNESS._replace(terms=3, writes=2, crashes=1, quorum=0),
    WITNESS._replace(terms=3, stale=1),
    Bounds(terms=3, writes=2, actions=ELECTIONS),
    Bounds(terms=3, writes=2, quorum=0, actions=ELECTIONS),
    Bounds(terms=3, writes=2, crashes=1, stops=1, actions=STEPS_DOWN),
    Bounds(terms=3, writes=2, crashes=1, stops=1, quorum=0, actions=STEPS_DOWN),
    Bounds(terms=2, crashes=1),
    Bounds(terms=2, cuts=1, stale=1, actions=ELECTIONS),
    Bounds(terms=2, quorum=0, stops=1),
    WITNESS._replace(terms=2, crashes=1, stops=1),
    WITNESS._replace(terms=2, quorum=0, crashes=1, stops=1),
    FIVE._replace(writes=2),
    PAIR._replace(quorum=0, stale=1),
    PAIR._replace(late=1, crashes=1, actions=("fence", "promote", "renew")),
    PAIR._replace(late=1, ways=True),
    PAIR._replace(hands=1, by_hand=("promote",), stops=1, actions=("fence", "promote", "follow", "stop")),
    PAIR._replace(pauses=1),
    PAIR._replace(crashes=1, cuts=1),
    PAIR._replace(crashes=2, cuts=1, stops=2, actions=("stop", "start")),
    PAIR._replace(crashes=1, stops=1, cuts=1, copies=1, actions=("demote", "reclone", "fence", "start")),
    PAIR._replace(hands=2, stops=1, cuts=1, actions=("start", "follow", "stop")),
    PAIR._replace(crashes=1, stops=1, losses=1, ways=True),
    PAIR._replace(late=1, crashes=1, stops=1),
    PAIR._replace(hands=2, stops=1),
    PAIR._replace(weakenings=1, crashes=2),
    PAIR._replace(copies=2, cuts=1, actions=RECLONED),
    PAIR._replace(pauses=1, cuts=1),
    Bounds(terms=2, losses=1, stops=1, ways=True, actions=STEPS_DOWN),
    Bounds(terms=2, losses=1, stops=1, ways=True, actions=("fence", *STEPS_DOWN)),
    Bounds(terms=2, losses=1, stops=1, cuts=1, ways=True, actions=("demote", "promote")),
    Bounds(terms=3, hands=1, by_hand=("promote",), actions=ELECTIONS),
    Bounds(terms=2, copies=1, cuts=1, actions=RECLONED, requests=(
        "reclone n3 from n1", "fence n2 for n3 in term 2", "promote n3 in term 2", "fence n3 for n2 in term 2",
        "promote n2 in term 2", "follow n2 to n1",
    )),
    PAIR._replace(crashes=1, stops=1, cuts=1, actions=("fence", "promote", "restart")),
    PAIR._replace(stops=1, late=1, ways=True, actions=("fence", "promote", "restart", "start")),
    CARRIED,
    APART,
    SIGNED_AHEAD._replace(stale=1, writes=2, actions=("demote", "promote", "fence", "follow")),
    SIGNED_AHEAD._replace(stale=1, cuts=1, crashes=1, writes=2),
    SIGNED_AHEAD._replace(quorum=0, late=1, stale=1),
    PAIR._replace(stops=1, sequences=1, stale=1, crashes=1, actions=("demote", "promote", "fence", "start")),
    PAIR._replace(terms=3, stops=2, sequences=1, actions=STEPS_DOWN),
)  # fmt: skip
