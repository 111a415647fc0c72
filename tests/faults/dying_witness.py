"""A log witness that dies, as by SIGKILL, once it has written what it saw and before it answers.

`python -m tests.faults.dying_witness witness-log run --folder FOLDER --listen ADDRESS`
"""

import os
import signal
import sys
import threading
from pathlib import Path

from aerodb.audit.adding import Addition
from aerodb.logwitness.folder import read_witness
from aerodb.logwitness.memory import Memory, path_of
from aerodb.logwitness.service import LOGS, application
from aerodb.protocol.vkey import parse_verifier_key
from aerodb.transport.server import PageServer, listen


class DyingMemory(Memory):
    """A real memory, whose process is gone once it has written."""

    def cosigned(self, addition: Addition) -> str:
        """Write, and die."""
        super().cosigned(addition)
        os.kill(os.getpid(), signal.SIGKILL)
        return ""


folder, address = Path(sys.argv[4]), sys.argv[6]
witness = read_witness(folder)
memories = {
    parse_verifier_key(vkey).name: DyingMemory(path_of(folder / "memory", vkey), vkey, witness.signing)
    for vkey in witness.file.logs
}
PageServer(application(memories), None, room=LOGS).run_on(listen(address), threading.Event())
