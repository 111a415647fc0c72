"""The verdict on a whole log, as a value: what was verified, by whom it is held, and what its records mean.

Pure: no I/O, no clock.
"""

import msgspec

from aerodb.audit.against import Relation
from aerodb.audit.clocks import Jumps
from aerodb.audit.findings import Meaning
from aerodb.audit.verify import Verified


class LogVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What holds of a whole log: that it is intact, what its records mean, and how it stands to what was seen earlier.

    `relations` are to what it was compared with, and to what its own nodes' reports contradict and nothing explains.
    `jumps` says where the clock went back, which changes nothing of the rest. `processes` is how many processes judged
    it.
    """

    verified: Verified
    meaning: Meaning
    jumps: Jumps
    relations: tuple[Relation, ...]
    processes: int

    @property
    def whole(self) -> bool:
        """Tell whether everything was checked, and holds."""
        return self.meaning.whole and self.extends

    @property
    def extends(self) -> bool:
        """Tell whether the log extends all that it was compared with."""
        return all(relation.kind == "extends" for relation in self.relations)
