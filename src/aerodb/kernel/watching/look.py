"""A look at a PostgreSQL that is only watched, by what it says to a role with pg_monitor, and by this host's processes.

- No file of the data folder is read, no program is run, and nothing is written.
- A role without pg_monitor sees little, and says what to do about it; so does one that may do more than watch.
"""

from aerodb.errors import AeroError
from aerodb.kernel.node import Node, WatchedPlace
from aerodb.kernel.postgres.errors import StatementFailed
from aerodb.kernel.postgres.keeping import CAPACITY
from aerodb.kernel.postgres.trace import TRACE, trace_in
from aerodb.kernel.watching.addresses import Addresses
from aerodb.kernel.watching.managers import Managers
from aerodb.kernel.watching.receivers import shown_setting
from aerodb.kernel.watching.seen import ASKED, LOOK_PART, PROOFS, RIGHTS, Understood, serving_in, unanswered
from aerodb.kernel.watching.session import WatchingSession, grant
from aerodb.kernel.watching.statements import BASIC, LOOK, SERVING
from aerodb.protocol.events import Trace
from aerodb.protocol.facts import Instance
from aerodb.protocol.watched import Watched
from aerodb.rules.serving import Serving


class Surroundings:
    """What lies around a watched node, and is looked for once for all who look: addresses, and managers."""

    def __init__(self, node: Node) -> None:
        """Prepare; nothing is looked for yet."""
        self.members = {member.name: member for member in node.cluster.members}
        self.addresses = Addresses(
            {name: member.postgres_host for name, member in self.members.items() if not member.witness}
        )
        self.managers = Managers()


class Look:
    """A look at one node's PostgreSQL, over a connection of its own."""

    def __init__(self, name: str, place: WatchedPlace, around: Surroundings, purpose: str) -> None:
        """Open nothing yet; `purpose` becomes part of the connection's application_name."""
        self._name, self._login, self._around = name, place.login, around
        self._session = WatchingSession(place, purpose)

    def now(self) -> tuple[Instance, Watched]:
        """Return the instance's facts now, and what is said beside them; whatever fails is told in them."""
        around = self._around
        try:
            found, damage = self._found()
        except AeroError as error:
            return unanswered(error.message)
        return found.instance(damage), found.watched(around.managers.known())

    def _found(self) -> tuple[Understood, tuple[str, ...]]:
        """Return what was found, and what kept the look from being whole.

        Raises:
            PostgresUnreachable, StatementFailed: nothing was found.
        """
        refused = ""
        try:
            said = self._session.read(LOOK, {"settings": list(ASKED), "capacity": list(CAPACITY)})
        except StatementFailed as error:
            said, refused = self._session.read(BASIC), error.message
        found = Understood(self._name, self._around.members, self._around.addresses.known(), said)
        damage = []
        if not found.monitors:
            damage.append(f"{RIGHTS}: {self._login} lacks pg_monitor; a superuser gives it: {grant(self._login)}")
        elif refused:
            damage.append(f"{LOOK_PART}: {refused}")
        if said["more"]:
            damage.append(f"{RIGHTS}: {self._login} may do more than watch: make it a role with pg_monitor alone")
        return found, tuple(damage)

    def serving(self) -> Serving | None:
        """Return what PostgreSQL says for a load balancer; None if it does not answer."""
        try:
            return serving_in(self._session.read(SERVING))
        except AeroError:
            return None

    def trace(self) -> Trace:
        """Return what PostgreSQL tells of itself beyond its facts.

        Raises:
            PostgresUnreachable, StatementFailed: it does not answer, or refuses.
        """
        return trace_in(self._session.read(TRACE, {"watched": list(PROOFS)}), shown_setting)
