"""Changing who may act: the next version of the configuration, made on the primary, and taken by each other node."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
from msgspec import Struct

from aerodb.actions import action_named
from aerodb.cli.act import act, person_profile
from aerodb.cli.authenticators import enrolling, revoking
from aerodb.cli.chained import shown_chain
from aerodb.cli.failures import OK, ChangeUnclear, FileUnusable
from aerodb.cli.profile import Caller, Profile
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, read
from aerodb.cli.terminal import escape
from aerodb.protocol import api
from aerodb.protocol.chain import REVOKED, Chain, step_of
from aerodb.protocol.change import Change, VersionStep, step_text
from aerodb.protocol.cluster import Cluster, Role
from aerodb.protocol.facts import Facts
from aerodb.protocol.sshkey import parse_line
from aerodb.rules.versions import taken
from aerodb.views.observed import observe

KEY_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class Wanted(Struct, frozen=True, kw_only=True):
    """What a person typed: one change, or that the primary's is taken; and what goes with it."""

    enrol: str | None
    revoke: str | None
    re_key: str | None
    re_role: str | None
    take: bool
    role: str | None
    key: Path | None
    enrol_authenticator: str | None = None
    revoke_authenticator: str | None = None
    of: str | None = None

    def check(self) -> None:
        """Refuse anything but one change with what it needs.

        Raises:
            ChangeUnclear: so it is.
        """
        kinds = (self.enrol, self.revoke, self.re_key, self.re_role, "take" if self.take else None)
        if sum(each is not None for each in (*kinds, *self._authenticators)) != 1:
            raise ChangeUnclear(
                "name exactly one of --enrol, --revoke, --re-key, --re-role, --enrol-authenticator, "
                "--revoke-authenticator and --take",
                field="change",
            )
        if self.of is not None and not self.changes_authenticator:
            raise ChangeUnclear(
                "--of goes with --enrol-authenticator and --revoke-authenticator, and with nothing else", field="of"
            )
        if (self.role is not None) != (self.enrol is not None or self.re_role is not None):
            raise ChangeUnclear("--role goes with --enrol and --re-role, and with nothing else", field="role")
        if self.key is not None and self.enrol is None and self.re_key is None:
            raise ChangeUnclear("--key goes with --enrol and --re-key, and with nothing else", field="key")
        if self.re_key is not None and self.key is None:
            raise ChangeUnclear("--re-key needs --key", field="key")

    @property
    def _authenticators(self) -> tuple[str | None, str | None]:
        return self.enrol_authenticator, self.revoke_authenticator

    @property
    def changes_authenticator(self) -> bool:
        """Tell whether it is about an authenticator, and not about a person."""
        return any(each is not None for each in self._authenticators)


@click.command(cls=ClientCommand)
@click.argument("node", metavar="NODE")
@click.option("--enrol", metavar="NAME", help="Enrol a person; with --role, and --key where they may sign.")
@click.option("--revoke", metavar="NAME", help="Revoke a person, for good.")
@click.option("--re-key", metavar="NAME", help="Give a person another key; with --key.")
@click.option("--re-role", metavar="NAME", help="Give a person another role; with --role.")
@click.option(
    "--enrol-authenticator", metavar="CREDENTIAL", help="Enrol a registered authenticator, by its short name."
)
@click.option("--revoke-authenticator", metavar="CREDENTIAL", help="Revoke one authenticator, for good.")
@click.option("--of", metavar="NAME", help="Whose authenticator it is; yours by default.")
@click.option("--take", is_flag=True, help="Take the next version that the primary has taken.")
@click.option("--role", type=click.Choice([str(role) for role in Role]), help="The person's role.")
@click.option("--key", type=KEY_FILE, help="A file with the person's SSH public key.")
@click.option("--reason", required=True, metavar="TEXT", help="Why, in your words; it is recorded.")
@click.option("--ssh-agent", is_flag=True, help="Sign by the ssh-agent, even where a key file is.")
@click.pass_obj
def configure(session: Session, /, node: str, reason: str, *, ssh_agent: bool, **typed: object) -> int:
    """Change who may act, and by which keys: one version on one node, the primary first.

    The primary makes the version by --enrol, --revoke, --re-key, --re-role, --enrol-authenticator or
    --revoke-authenticator; each other node takes it by --take. Until a node has taken a revocation, it does not hold
    there. See: aerodb configuration
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
    at = (shown_chain(profile, caller)[0], facts)
    if wanted.take:
        return _ask(session, facts.node, _next_step(*at), reason, by_agent=ssh_agent)
    makes = partial(_change, wanted=wanted)
    if wanted.changes_authenticator:
        makes = partial(_authenticator_change, profile, caller, wanted)
    return ask_change(session, at, makes, reason, by_agent=ssh_agent)


def ask_change(
    session: Session, at: tuple[Chain, Facts], makes: Callable[[Cluster], Change], reason: str, *, by_agent: bool
) -> int:
    """Ask for the change that `makes` returns for the version that a node has taken, and say who takes it next.

    `at` is the chain, and what the node reports. Returns the exit code, as `act` does, and raises what it does.

    Raises:
        ChangeUnclear: the node has taken a version that is not of the chain.
        ChangeRefused: the change cannot be made.
    """
    chain, facts = at
    before = _taken(chain, facts)
    code = _ask(session, facts.node, step_of(before, makes(before)), reason, by_agent=by_agent)
    others = [each.name for each in before.members if each.name != facts.node]
    if code == OK and others:
        session.terminal.line("Then have each other node take it; where it is not taken it does not hold:", "warn")
        for name in others:
            session.terminal.line(escape(f"  aerodb configure {name} --take"))
    return code


def _ask(session: Session, node: str, step: VersionStep, reason: str, *, by_agent: bool) -> int:
    return act(session, action_named("configure"), node, {"change": step_text(step)}, reason, by_agent=by_agent)


def _taken(chain: Chain, facts: Facts) -> Cluster:
    """Return the newest version that a node has taken.

    Raises:
        ChangeUnclear: it is not of this chain.
    """
    path = taken(facts)
    if path != chain.path[: len(path)]:
        raise ChangeUnclear(f"{facts.node} has taken {path[-1]}, which is not of the chain that is shown", field="node")
    return chain.versions[len(path) - 1]


def _next_step(chain: Chain, facts: Facts) -> VersionStep:
    """Return the step to the version that follows what a node has taken.

    Raises:
        ChangeUnclear: it has taken none of this chain, or there is nothing to take.
    """
    version = _taken(chain, facts).version
    if version == len(chain.versions):
        raise ChangeUnclear(f"{facts.node} has taken version {version}, the newest there is", field="take")
    after = chain.versions[version]
    if after.link is None:
        raise ChangeUnclear("version 1 is nobody's to take", field="take")
    return VersionStep(version=after.version, digest=after.digest, change=after.link.change)


def _authenticator_change(profile: Profile, caller: Caller, wanted: Wanted, before: Cluster) -> Change:
    """Return the change of an authenticator that a person typed."""
    of = wanted.of or profile.operator
    if wanted.revoke_authenticator is not None:
        return revoking(before, wanted.revoke_authenticator, of)
    return enrolling(profile, caller, wanted.enrol_authenticator or "", of)


def _change(before: Cluster, wanted: Wanted) -> Change:
    """Return the change of a person that was typed, with what is so before it."""
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
