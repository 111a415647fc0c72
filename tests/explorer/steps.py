"""Everything that can happen next: what PostgreSQL, clients and people do by themselves, and what operators ask for."""

from collections.abc import Iterator

from tests.explorer.effects import Effects, Found, Whole
from tests.explorer.environment import Environment
from tests.explorer.orders import Dropped
from tests.explorer.requests import Requests
from tests.explorer.sequences import Sequences
from tests.explorer.ways import Ways
from tests.explorer.world import Bounds


class Explored:
    """One configuration's steps."""

    def __init__(self, bounds: Bounds, dropped: Dropped) -> None:
        """Begin with nothing known."""
        self.bounds = bounds
        self.effects = Effects(bounds, dropped)
        self.environment = Environment(self.effects)
        self.requests = Requests(self.effects)
        self.sequences = Sequences(self.effects, self.requests)
        self.ways = Ways(self.effects, self.environment)

    def first(self) -> Whole:
        """Return the state of a new cluster."""
        return self.effects.first()

    def steps(self, state: Whole) -> Iterator[Found]:
        """Yield every step."""
        promises = self.effects.promises.values[state.promises]
        for place in range(len(state.nodes)):
            yield from self.environment.steps(state, promises, place)
            yield from self.requests.unfinished(state, promises, place)
        yield from self.requests.steps(state, promises)
        if self.bounds.sequences:
            yield from self.sequences.steps(state, promises)

    def stuck(self, state: Whole) -> str:
        """Return why no requests lead out of the state ("": some do)."""
        return self.ways.none(state, self.effects.promises.values[state.promises])
