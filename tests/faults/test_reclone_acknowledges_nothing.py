"""A base backup reports what it has flushed, as a standby does: it must never count as one."""

import threading

from tests.faults.behind import connect
from tests.faults.conftest import Running

STREAMS = "select pid, application_name, sync_state from pg_stat_replication order by application_name"


def test_a_copy_in_the_making_acknowledges_no_commit(fresh: Running) -> None:
    """While a node is recloned, nothing but its own receiver streams under its name, or counts as synchronous."""
    seen: set[tuple[tuple[int, str, str], ...]] = set()
    worker = threading.Thread(target=lambda: fresh.api.do("reclone", "n3", upstream="n1"))
    with connect(fresh, "n1") as connection:
        worker.start()
        while worker.is_alive():
            seen.add(tuple(connection.execute(STREAMS).fetchall()))
    # The view may show a sender that has just begun before its name is there: it is who it then says it is.
    names = {pid: name for streams in seen for pid, name, _ in streams if name}
    known = [[(names.get(pid, ""), sync) for pid, _, sync in streams] for streams in seen]
    copies = {stream for streams in known for stream in streams if stream[0] not in {"n2", "n3"}}
    assert copies == {("copy for n3", "async")}
    assert all([name for name, _ in streams].count("n3") <= 1 for streams in known)
