"""What is done in a round, move by move: a pure function of the seed. Whom it meets, the round's own state decides.

`whom` is a role that is looked up when its move comes: 0 is the primary, 1 and up are the others in the
configuration's order. Pure: no I/O, no clock.
"""

from typing import Literal

import msgspec

from tests.attack.draws import Draws

Shape = Literal["three", "witness", "five"]
SHAPES: tuple[tuple[Shape, int], ...] = (("three", 7), ("witness", 2), ("five", 1))
MODES = ("plain", "twice", "late", "lost", "mangled", "unready")
"""What the control plane in a beat is: itself, or one that sends an order twice, late, after it gave it up, broken."""

CAMPAIGNS = (
    ("random", 34), ("switchover", 14), ("failover", 10), ("renewal", 6), ("maintenance", 8), ("reclone", 8),
    ("gather", 8), ("outcomes", 4), ("hold", 4), ("release", 4),
)  # fmt: skip
FAULTS = (
    ("kill agent", 10), ("end agent", 6), ("interrupt agent", 2), ("second agent", 3), ("kill postgres", 7),
    ("kill backend", 3), ("freeze backend", 12), ("freeze agent", 3), ("freeze postmaster", 2), ("kill control", 5),
    ("end control", 3), ("freeze control", 2), ("second control", 2), ("replay", 6), ("fill", 3), ("protect", 2),
    ("cancel waits", 2),
)  # fmt: skip
HANDS = (
    ("promote by hand", 4), ("stop by hand", 5), ("kill hard by hand", 2), ("start by hand", 3),
    ("start by a service manager", 4), ("weaken running", 4),
    ("weaken file", 3), ("weaken role", 2), ("read-only role", 3), ("password", 3), ("pause replay", 3),
    ("fewer connections", 2), ("logical", 2), ("stray setting", 3), ("lock terms", 3), ("other upstream", 3),
    ("remove control file", 2), ("empty folder", 1), ("backup label", 2), ("make a primary by hand", 2),
)  # fmt: skip
POINTS = ("before append", "after append", "before read back", "before report", "before run", "sent", "after run")
"""Where a control plane dies; an agent dies after so many of the things that its hands did."""
STEPS_MAX = 9
BACKENDS = ("checkpointer", "startup", "walreceiver", "walsender", "walwriter", "background writer")
REQUESTS = ("checkpoint", "demote", "fence", "follow", "promote", "reclone", "renew", "start", "stop")
DAMAGE = {"remove control file", "empty folder", "backup label"}
ONCE = {*DAMAGE, "promote by hand", "make a primary by hand"}


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is done to a process, a file or a setting, `after` milliseconds into a beat, for `lasting`."""

    kind: str
    whom: int
    after: int
    lasting: int
    detail: str = ""


class Beat(msgspec.Struct, frozen=True, kw_only=True):
    """One campaign of requests, what is done meanwhile, and what the control plane is; `beside` is a second campaign.

    `lots` decide what a campaign leaves open. `agent_dies` says of whom the agent dies after which step, `control_dies`
    at which point the control plane dies, when it comes there for which time.
    """

    campaign: str
    lots: tuple[int, ...]
    faults: tuple[Fault, ...]
    mode: str = "plain"
    beside: str = ""
    agent_dies: tuple[int, int] | None = None
    control_dies: tuple[str, int] | None = None


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """A whole round. `small` names what lies on a small file system: a node's role, its state, or the log."""

    seed: int
    shape: Shape
    small: str
    lost: bool
    beats: tuple[Beat, ...]


def _fault(draws: Draws, kinds: tuple[tuple[str, int], ...], used: set[str]) -> Fault | None:
    kind = draws.weighed(kinds)
    fault = Fault(
        kind=kind,
        whom=draws.weighed(((0, 5), (1, 4), (2, 3), (3, 1), (4, 1))),
        after=draws.pick((0, 0, 20, 60, 120, 200, 300, 450, 700, 1200)),
        lasting=draws.pick((100, 300, 700, 1500, 3000, 6000)),
        detail=draws.pick(BACKENDS) if kind == "freeze backend" else draws.pick(("leave", "start")),
    )
    if kind in used & ONCE or (kind in DAMAGE and used & DAMAGE):
        return None
    used.add(kind)
    return fault


def _beat(draws: Draws, used: set[str], mode: str, *, hands: bool) -> Beat:
    faults = []
    for _ in range(draws.weighed(((0, 4), (1, 5), (2, 3)))):
        of_hands = hands and draws.chance(35)
        fault = _fault(draws, HANDS if of_hands else FAULTS, used)
        faults += [fault] if fault else []
    return Beat(
        campaign=draws.weighed(CAMPAIGNS),
        lots=tuple(draws.below(60) for _ in range(8)),
        faults=tuple(faults),
        mode=mode,
        beside=draws.weighed(CAMPAIGNS) if draws.chance(15) else "",
        agent_dies=(draws.below(4), draws.between(1, STEPS_MAX)) if draws.chance(22) else None,
        control_dies=(draws.pick(POINTS), draws.between(1, 4)) if draws.chance(9) else None,
    )


def script_of(seed: int) -> Script:
    """Return what a round with this seed does."""
    draws = Draws(f"aerodb attack {seed}")
    shape = draws.weighed(SHAPES)
    hands, used = draws.chance(65), set[str]()
    small = draws.pick(("node 0", "node 1", "state 0", "state 1", "log")) if draws.chance(30) else ""
    mode, beats = "plain", list[Beat]()
    for _ in range(draws.between(6, 14)):
        mode = draws.pick(MODES) if draws.chance(14) else mode
        beats.append(_beat(draws, used, mode, hands=hands))
    return Script(seed=seed, shape=shape, small=small, lost=not hands and draws.chance(30), beats=tuple(beats))


def sequences_of(seed: int) -> Script:
    """Return a round of switchovers that are signed ahead, each under some kind of courier, some with a death."""
    draws, beats = Draws(f"aerodb attack ahead {seed}"), list[Beat]()
    modes = [draws.pick(MODES) for _ in range(draws.between(3, 4))]
    for mode in modes:
        lots = (draws.below(60), 1, 1, draws.below(60), draws.below(60), *(draws.below(60) for _ in range(3)))
        replayed = Fault(kind="replay", whom=0, after=draws.pick((0, 700)), lasting=draws.below(60))
        beats += [
            Beat(campaign="gather", lots=lots, faults=()),
            Beat(
                campaign="switchover",
                lots=lots,
                faults=(replayed,),
                mode=mode,
                agent_dies=(draws.below(2), draws.between(1, STEPS_MAX)) if draws.chance(30) else None,
            ),
        ]
    return Script(seed=seed, shape="three", small="", lost=False, beats=tuple(beats))
