"""From a cluster that is watched to one that is not, as the page says: nothing is left, and nothing was touched."""

import signal
from concurrent.futures import ThreadPoolExecutor

from aerodb.protocol.watched import WATCH_ROLE
from tests.hosts.bed import Host
from tests.hosts.coming import FOLDER, left_over
from tests.hosts.database import NODES, SECRET
from tests.hosts.people import PROGRAM
from tests.hosts.story import Story


def kept_secret(story: Story) -> None:
    """The password in the connection strings is in nothing that was shown or logged, and in no file of AeroDB."""
    logged = [agent.log.read_text(encoding="utf-8") for agent in story.agents.values()]
    assert all('"listening"' in text for text in logged)
    assert not [text for text in (*story.shown, *logged) if SECRET in text]
    folders = [story.host("ctl").path("/root/shop"), *(story.host(name).path(f"{FOLDER}/{name}") for name in NODES)]
    for folder in folders:
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert files
        assert not [path for path in files if SECRET.encode() in path.read_bytes()]


def left(story: Story) -> None:
    """All is ended and removed; the package is not, while an agent runs from it. PostgreSQL is what it was."""
    refused = story.host("n1").run("apt-get", "purge", "-y", "-q", "aerodb")
    assert refused.returncode != 0
    assert f"aerodb agent --folder {FOLDER}/n1" in refused.stdout + refused.stderr, refused.stderr
    story.end_agents()
    story.undo("agents")
    story.end_control(signal.SIGTERM)
    story.undo("control plane")
    for name in NODES:
        story.host(name).does("rm", "-r", f"{FOLDER}/{name}")
    story.undo("nodes")
    story.drop()
    story.undo("role, for good")
    with ThreadPoolExecutor() as administrators:
        list(administrators.map(_remove, story.bed.hosts.values()))
    story.undo("package, for good")
    story.application.goes_on()


def _remove(host: Host) -> None:
    """Remove the package, the user as which agents ran, and what people carried from host to host."""
    host.does("apt-get", "purge", "-y", "-q", "aerodb")
    host.does("userdel", WATCH_ROLE)
    assert f"{WATCH_ROLE}:" not in host.path("/etc/passwd").read_text(encoding="utf-8")
    host.does("bash", "-c", "rm -rf /root/*")
    assert not host.path(PROGRAM).exists()
    assert left_over(host) == [], host.name
