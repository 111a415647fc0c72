"""A planned switchover whose successor dies between the demotion and the promotion."""

from aerodb.local.demo import kill_postgres
from aerodb.local.writer import Writer
from tests.faults.conftest import Running


def test_another_is_elected_with_the_demoted_nodes_pledge(fresh: Running) -> None:
    """The demoted node, which is down, pledges again; its own word on its log tells the policy; nothing is lost."""
    writer = Writer(fresh.layout.dsn())
    writer.start()
    assert writer.wait_for_more(20)
    fresh.api.do("demote", "n1", for_="n2")
    kill_postgres(fresh.layout, "n2")
    fresh.stage.kill("n2")
    assert not fresh.api.ask("promote", "n3").accepted
    fresh.api.do("fence", "n1", for_="n3")
    fresh.api.do("fence", "n3", for_="n3")
    fresh.api.do("promote", "n3")
    fresh.api.do("follow", "n1", upstream="n3")
    assert writer.wait_for_more(20)
    writer.stop()
    assert writer.lost() == []
