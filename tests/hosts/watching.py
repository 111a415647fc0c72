"""While it is watched: what is seen, what is rejected, who is killed, and who is parted from whom."""

import re
import signal

from tests.hosts.database import NODES
from tests.hosts.story import Story
from tests.packages.guest import wait_until

NO_WRITES, TRANSPORT = 7, 4
"""How `status` ends where no commit is known to be acknowledged, and where nobody answers."""
DOUBT = "is not observed: whether another node takes writes as well is not known"
ROOT = f"{'A' * 43}="
"""A root as a log could have."""
REQUESTS = {
    "accept-log": ("n1", "--seen", f"2:{ROOT}", "--restored", f"1:{ROOT}"),
    "checkpoint": ("n1",),
    "configure": ("n1", "--enrol", "zoe", "--role", "observer"),
    "demote": ("n1", "--for", "n2"),
    "fence": ("n2", "--for", "n2"),
    "follow": ("n3", "--upstream", "n2"),
    "promote": ("n2",),
    "reclone": ("n2", "--upstream", "n1"),
    "reload": ("n1",),
    "renew": ("n1",),
    "restart": ("n2",),
    "start": ("n2",),
    "stop": ("n1",),
}
"""Every action of the catalogue, as one types it."""


def watched(story: Story) -> None:
    """Agents and control plane are started; status tells the cluster as it is, and readiness what stands in between."""
    for name in NODES:
        story.begin_agent(name)
    story.begin_control()
    story.usual()
    first, second, third = (story.readiness(name) for name in NODES)
    assert "set by ALTER SYSTEM, which wins over every file" in first["settings"]
    assert "synchronous_commit" in first["settings"]
    assert f"2 receivers are all called {story.database.major}/main" in first["names"]
    assert "a commit waits for no standby" in first["synchronous"]
    assert first["tablespaces"].endswith(": space")
    assert first["logical slots"].endswith(": orders")
    assert "no WAL is archived" in first["archive"]
    assert "pg_hba.conf is not for a role with pg_monitor" in first["not seen"]
    assert "primary_conninfo" in second["settings"]
    assert not {"primary_slot_name", "max_wal_size"} & set(re.findall(r"\w+", first["settings"] + second["settings"]))
    assert "primary_slot_name" in third["settings"]
    assert not {"synchronous", "names"} & second.keys()
    assert not {"one database", "one primary", "strangers", "sole manager", "version"} & first.keys()
    story.untouched()


def rejected(story: Story) -> None:
    """Each action of the catalogue is rejected, since AeroDB is not in charge; nothing has changed on any host."""
    assert {each["name"] for each in story.operator.document("catalogue")} == REQUESTS.keys()
    for action, words in REQUESTS.items():
        code, text = story.operator.says(action, *words, "--reason", "it is tried")
        assert code == 1, text
        assert "in-charge" in text, text
        assert f"{words[0]} is only watched: its agent has no hands" in text, text
    story.operator.types("audit", "verify")
    story.usual()
    story.untouched()


def killed(story: Story) -> None:
    """The primary's agent, then the control plane, are killed, are seen to be gone, and start again."""
    story.agents["n1"].signal(signal.SIGKILL)
    story.status(NO_WRITES, "unknown: no node that reports takes writes; n1 is not observed")
    story.application.goes_on()
    story.begin_agent("n1")
    story.usual()
    story.end_control(signal.SIGKILL)
    story.operator.types("status", code=TRANSPORT)
    story.application.goes_on()
    story.begin_control()
    story.usual()
    story.operator.types("audit", "verify")
    story.untouched()


def parted(story: Story) -> None:
    """The control plane is parted from hosts: both ways, one way, by its cable, and by that of a standby's host."""
    with story.partition("silent"), story.bed.silent("ctl", "n2"):
        story.status(0, "acknowledged by n1 alone", f"n2 {DOUBT}")
        story.application.goes_on()
    story.usual()
    with story.partition("one way"), story.bed.one_way("n1", "ctl"):
        story.status(NO_WRITES, "unknown: no node that reports takes writes; n1 is not observed")
        story.application.goes_on()
    story.usual()
    with story.partition("the control plane's cable"), story.bed.pulled("ctl"):
        story.status(NO_WRITES, "n1, n2, n3 are not observed")
        story.application.goes_on()
    story.usual()
    with story.partition("a standby's cable"), story.bed.pulled("n3"):
        story.status(0, "acknowledged by n1 alone", f"n3 {DOUBT}")
        story.application.goes_on()
    wait_until(lambda: story.database.streaming() == len(NODES) - 1, "n3's return")
    story.usual()
    story.untouched()
