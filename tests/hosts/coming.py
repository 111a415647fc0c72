"""From a package to hosts that have joined, as typed; each step is undone once before it is done for good."""

import shutil
from concurrent.futures import ThreadPoolExecutor

from tests.hosts.bed import Host
from tests.hosts.database import NODES
from tests.hosts.people import PROGRAM, words_after
from tests.hosts.story import ROLE, Story

FOLDER = "/var/lib/aerodb/nodes"


def left_over(host: Host) -> list[str]:
    """Return the paths on a host's own disk that have AeroDB in their name."""
    upper = host.path("/").parent / "upper"
    return sorted(
        str(path.relative_to(upper))
        for path in upper.rglob("*")
        if "aerodb" in path.name and not path.is_char_device()  # What an overlay hides is a device there.
    )


def installed(story: Story) -> None:
    """The package is installed by apt on each host; on one it is removed again first, and nothing of it is left."""
    with ThreadPoolExecutor() as administrators:
        list(administrators.map(lambda name: _install(story, name), story.bed.hosts))
    host = story.host("n3")
    assert left_over(host)
    host.does("apt-get", "purge", "-y", "-q", "aerodb")
    assert left_over(host) == []
    story.undo("package")
    _install(story, "n3")
    story.untouched()


def _install(story: Story, name: str) -> None:
    host = story.host(name)
    shutil.copy(story.package, host.path("/root/package.deb"))
    host.does("apt-get", "install", "-y", "-q", "/root/package.deb")
    assert host.does(PROGRAM, "--version").startswith("aerodb ")


def joined(story: Story) -> None:
    """Each host makes keys of its own; one begins anew; the role is made, dropped, and made again."""
    for name in NODES:
        story.words[name] = _join(story, name)
    first = story.words["n3"]
    story.host("n3").does("rm", "-r", f"{FOLDER}/n3.joining", "/root/n3.join")
    story.undo("join")
    story.words["n3"] = _join(story, "n3")
    assert story.words["n3"] != first
    story.grant()
    story.drop()
    story.undo("role")
    story.grant()


def _join(story: Story, name: str) -> str:
    text = story.at[name].types("join", "--watch", "--postgres", f"{story.database.major}/main")
    assert f"{story.host(name).address}:7401" in text
    assert "here /var/run/postgresql/.s.PGSQL.5432" in text
    assert "no other host reaches it" not in text
    assert f"create role {ROLE} login; grant pg_monitor to {ROLE};" in text
    return words_after(text, f"The words of {name}.join")


def admitted(story: Story) -> None:
    """The hosts are admitted, which is undone once, with what one of them made of it; then all join."""
    _admit(story)
    first = story.words["shop"]
    _take(story, "n3")
    story.host("n3").does("rm", "-r", f"{FOLDER}/n3", "/root/n3.join")
    story.host("ctl").does("rm", "-r", "/root/shop")
    story.undo("admission")
    story.words["n3"] = _join(story, "n3")
    _admit(story)
    assert story.words["shop"] != first
    for name in NODES:
        _take(story, name)
    story.untouched()


def _admit(story: Story) -> None:
    """Carry the hosts' files to the control plane's machine, have them admitted, and carry back what comes of it."""
    control = story.host("ctl")
    for name in NODES:
        story.host(name).carried(f"/root/{name}.join", control)
    files = [f"{name}.join" for name in NODES]
    text = story.operator.types("admit", *files, "--name", "shop", "--control", f"{control.address}:7400")
    assert [words_after(text, name) for name in NODES] == [story.words[name] for name in NODES]
    story.words["shop"] = words_after(text, "The cluster shop")
    for name in NODES:
        control.carried(f"/root/shop/admitted/{name}.admitted", story.host(name))


def _take(story: Story, name: str) -> None:
    text = story.at[name].types("join", "--admitted", f"{name}.admitted")
    assert words_after(text, "The words of the cluster") == story.words["shop"]
    assert f"systemctl enable --now aerodb-watch@{name}" in text
