"""A plan that rests on what others have not done, confirmed after they did it: judged on what they say then."""

from aerodb.audit.evidence import Evidence, examine
from aerodb.audit.trust import Trust
from aerodb.protocol import canonical
from aerodb.protocol.facts import State
from aerodb.protocol.plan import Snapshot
from tests.faults.behind import instance_of
from tests.faults.conftest import Running
from tests.faults.people import Api


def elect_n2(running: Running) -> None:
    """Elect n2 by n2 and n3 alone, as where n1 is lost."""
    running.api.do("fence", "n3", for_="n2")
    running.api.do("fence", "n2", for_="n2")
    running.api.do("promote", "n2")


def test_an_old_plan_to_start_the_primary_is_refused_after_an_election(fresh: Running) -> None:
    """Its reports say that nobody has promised anything, and so they did; the order carries what they say now.

    The refusal is the node's own, its evidence verifies with no server, and n1 stays down.
    """
    fresh.api.do("stop", "n1")
    planned = fresh.api.ask("start", "n1")
    assert planned.accepted
    elect_n2(fresh)
    done = fresh.api.confirm(planned)
    assert (done.result, done.code) == ("not executed", "kernel.verdicts-differ")
    assert "no-higher-grant" in done.message
    assert instance_of(fresh, "n1").state is State.STOPPED
    body = Api(fresh.layout, "auditor").client.get(f"/v1/requests/{planned.request}/evidence")
    said = "\n".join(examine(body, Trust(clusters=(fresh.cluster,))).sentences)
    assert "Made after that confirmation, and signed by its own node: the report of each of n2, n3." in said
    late = canonical.decode((canonical.decode(body, Evidence).late or "").encode(), Snapshot)
    assert late.reports.keys() == {"n2", "n3"}


def test_an_old_plan_still_holds_where_nothing_has_happened(fresh: Running) -> None:
    """Other requests came between; the plan's age refuses nothing."""
    fresh.api.do("stop", "n1")
    planned = fresh.api.ask("start", "n1")
    fresh.api.do("stop", "n3")
    assert fresh.api.confirm(planned).result == "executed"
    assert instance_of(fresh, "n1").recovery is False


def test_who_is_silent_after_the_confirmation_is_silent(fresh: Running) -> None:
    """What n2 and n3 said for the plan is not taken for what they say now: without them n1 has no majority."""
    fresh.api.do("stop", "n1")
    planned = fresh.api.ask("start", "n1")
    for node in ("n2", "n3"):
        fresh.stage.kill(node)
    done = fresh.api.confirm(planned)
    assert (done.result, done.code) == ("not executed", "kernel.verdicts-differ")
    assert instance_of(fresh, "n1").state is State.STOPPED
