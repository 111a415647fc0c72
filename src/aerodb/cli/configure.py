"""Changing who may act, and what takes two: the next version, made on the primary, and taken by each other node."""

from pathlib import Path

import click
from msgspec import Struct

from aerodb.actions import action_named
from aerodb.cli.act import act, person_profile
from aerodb.cli.chained import shown_chain
from aerodb.cli.failures import ChangeUnclear, FileUnusable
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, read
from aerodb.protocol import api
from aerodb.protocol.chain import REVOKED, Chain, step_of
from aerodb.protocol.change import ASKED, NOT_ASKED, Change, VersionStep, step_text
from aerodb.protocol.classes import ActionClass
from aerodb.protocol.cluster import Cluster, Role
from aerodb.protocol.facts import Facts
from aerodb.protocol.sshkey import parse_line
from aerodb.rules.versions import taken
from aerodb.views.observed import observe

CLASS = click.Choice([str(each) for each in ActionClass])
KEY_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class Wanted(Struct, frozen=True, kw_only=True):
    """What a person typed: one of the seven, and what goes with it."""

    enrol: str | None
    revoke: str | None
    re_key: str | None
    re_role: str | None
    second_person: str | None
    no_second_person: str | None
    take: bool
    role: str | None
    key: Path | None

    def check(self) -> None:
        """Refuse anything but one change with what it needs.

        Raises:
            ChangeUnclear: so it is.
        """
        people = [self.enrol, self.revoke, self.re_key, self.re_role]
        kinds = [*people, self.second_person, self.no_second_person, "take" if self.take else None]
        if sum(each is not None for each in kinds) != 1:
            raise ChangeUnclear(
                "name exactly one of --enrol, --revoke, --re-key, --re-role, --second-person, --no-second-person and "
                "--take",
                field="change",
            )
        if (self.role is not None) != (self.enrol is not None or self.re_role is not None):
            raise ChangeUnclear("--role goes with --enrol and --re-role, and with nothing else", field="role")
        if self.key is not None and self.enrol is None and self.re_key is None:
            raise ChangeUnclear("--key goes with --enrol and --re-key, and with nothing else", field="key")
        if self.re_key is not None and self.key is None:
            raise ChangeUnclear("--re-key needs --key", field="key")


@click.command(cls=ClientCommand)
@click.argument("node", metavar="NODE")
@click.option("--enrol", metavar="NAME", help="Enrol a person; with --role, and --key where they may sign.")
@click.option("--revoke", metavar="NAME", help="Revoke a person, for good.")
@click.option("--re-key", metavar="NAME", help="Give a person another key; with --key.")
@click.option("--re-role", metavar="NAME", help="Give a person another role; with --role.")
@click.option("--second-person", type=CLASS, help="Ask for a second person for actions of a class.")
@click.option("--no-second-person", type=CLASS, help="Ask for one no more.")
@click.option("--take", is_flag=True, help="Take the next version that the primary has taken.")
@click.option("--role", type=click.Choice([str(role) for role in Role]), help="The person's role.")
@click.option("--key", type=KEY_FILE, help="A file with the person's SSH public key.")
@click.option("--reason", required=True, metavar="TEXT", help="Why, in your words; it is recorded.")
@click.option("--ssh-agent", is_flag=True, help="Sign by the ssh-agent, even where a key file is.")
@click.pass_obj
def configure(session: Session, /, node: str, reason: str, *, ssh_agent: bool, **typed: object) -> int:
    """Change who may act, and what a second person must sign: one version on one node, the primary first.

    The primary makes the version by one of the changes; each other node takes it by --take. Until a node has taken a
    change, it does not hold there. See: aerodb configuration
    """
    wanted = Wanted(**typed)  # type: ignore[arg-type]
    wanted.check()
    profile = person_profile(session)
    profile.cluster.member(node)
    caller = session.connect(profile, READ_TIMEOUT_SECONDS)
    observed = observe(profile.cluster, read(caller.get("/v1/status"), api.Status))
    facts = observed.facts.get(node)
    if facts is None:
        raise ChangeUnclear(f"{node} does not report, so which version it has is not known", field="node")
    step = _step(shown_chain(profile, caller)[0], facts, wanted)
    return act(session, action_named("configure"), node, {"change": step_text(step)}, reason, by_agent=ssh_agent)


def _step(chain: Chain, facts: Facts, wanted: Wanted) -> VersionStep:
    """Return the step from the version that a node has taken.

    Raises:
        ChangeUnclear: it has taken none of this chain, or there is nothing to take.
        ChangeRefused: the change cannot be made.
    """
    path = taken(facts)
    if path != chain.path[: len(path)]:
        raise ChangeUnclear(f"{facts.node} has taken {path[-1]}, which is not of the chain that is shown", field="node")
    if not wanted.take:
        return step_of(chain.versions[len(path) - 1], _change(chain.versions[len(path) - 1], wanted))
    if len(path) == len(chain.versions):
        raise ChangeUnclear(f"{facts.node} has taken version {len(path)}, the newest there is", field="take")
    after = chain.versions[len(path)]
    if after.link is None:
        raise ChangeUnclear("version 1 is nobody's to take", field="take")
    return VersionStep(version=after.version, digest=after.digest, change=after.link.change)


def _change(before: Cluster, wanted: Wanted) -> Change:
    """Return the change that a person typed, with what is so before it."""
    if wanted.second_person is not None:
        return Change(kind="second-person", name=wanted.second_person, before=NOT_ASKED, after=ASKED)
    if wanted.no_second_person is not None:
        return Change(kind="second-person", name=wanted.no_second_person, before=ASKED, after=NOT_ASKED)
    name = wanted.enrol or wanted.revoke or wanted.re_key or wanted.re_role or ""
    person, role = before.operator(name), wanted.role or ""
    key = _key_in(wanted.key) if wanted.key is not None else ""
    if wanted.enrol is not None:
        return Change(kind="enrol", name=name, before="", after=f"{role} {key}".strip())
    if person is None:
        raise ChangeUnclear(f"nobody of the name {name!r} is enrolled", field="name")
    if wanted.revoke is not None:
        return Change(kind="revoke", name=name, before=person.role, after=REVOKED)
    if wanted.re_key is not None:
        return Change(kind="re-key", name=name, before=person.ssh_key, after=key)
    return Change(kind="re-role", name=name, before=person.role, after=role)


def _key_in(path: Path) -> str:
    """Return the public key in a file, as the configuration has keys: without the comment.

    Raises:
        FileUnusable, KeyMalformed: there is none.
    """
    try:
        line = parse_line(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise FileUnusable(f"{path} cannot be read: {error}", field="key") from error
    return " ".join(line.line.split(" ")[:2])
