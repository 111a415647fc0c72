"""What people are told who let hosts join a cluster that is watched: what to compare, and what to type next."""

import os
import pwd
import shlex
from pathlib import Path

from aerodb.local.admitting import Admitting
from aerodb.local.joining import NODES, Awaited, Joined, awaiting
from aerodb.protocol.joining import written
from aerodb.protocol.watched import WATCH_ROLE

# On a host ------------------------------------------------------------------------------------------------------------


def joined_lines(joined: Joined) -> list[str]:
    """Return what whoever made a node's keys is told: its words, and what to do next."""
    member, place = joined.member, joined.place
    role = joined.login if joined.login == WATCH_ROLE else f'"{joined.login}"'
    psql = f"psql --host {shlex.quote(place.socket)} --port {place.port}"
    return [
        f"The keys of {member.name} are in {joined.folder}, and leave this host in no file.",
        f"  agent        {member.agent}",
        f"  PostgreSQL   {written(member.postgres_host, member.postgres_port)}; here {place.socket_file}",
        *(f"  {note}" for note in _notes(joined)),
        "",
        f"The words of {joined.file.name}, to be compared where it is admitted:",
        f"  {joined.words}",
        "",
        f"1. On the primary, once (its standbys have the role by replication), such as by sudo -u postgres {psql}",
        f"     create role {role} login; grant pg_monitor to {role};",
        "   The agent logs in by its operating system's user: a line of pg_hba.conf for local connections says peer.",
        f"2. Carry {joined.file} to the machine of the control plane, and there, with those of the other hosts:",
        f"     aerodb admit {shlex.quote(joined.file.name)} ... --name CLUSTER",
        f"3. Here: aerodb join --admitted {member.name}.admitted{_elsewhere(joined.folder, member.name)}",
    ]


def _elsewhere(pending: Path, name: str) -> str:
    """Return the option that names the folder, where it is not the usual one."""
    folder = pending.with_name(pending.name.removesuffix(".joining"))
    return "" if folder == NODES / name else f" --folder {shlex.quote(str(folder))}"


def _notes(joined: Joined) -> list[str]:
    """Return what stands in the way of watching, as far as files tell."""
    notes, place = [], joined.place
    if place.listens is not None and place.listens.strip() in {"", "localhost", "127.0.0.1", "::1"}:
        notes.append(f"Its listen_addresses are {place.listens!r}: no other host reaches it.")
    if not os.path.lexists(place.socket_file):
        notes.append("There is no such socket now: PostgreSQL is down, or listens elsewhere.")
    if os.geteuid() != 0:
        own = _own_user()
        if own != joined.login:
            notes.append(f"The agent is to run as {own}, who logs in as {joined.login} only by a map in pg_ident.conf.")
    return notes


def _own_user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"the user {os.geteuid()}"


def admission_lines(awaited: Awaited) -> list[str]:
    """Return what a person reads before the node joins: whose right to look it is, and the words to compare."""
    cluster = awaited.cluster
    return [
        f"{awaited.name} is admitted to the cluster {cluster.name} ({cluster.id}).",
        f"Its control plane may then ask the agent on this host what it sees: {cluster.control}",
        f"  nodes    {', '.join(f'{each.name} at {each.agent}' for each in cluster.members)}",
        f"  people   {', '.join(f'{each.name} ({each.role})' for each in cluster.operators)}",
        "",
        "The words of the cluster, to be compared with those that aerodb admit said:",
        f"  {awaited.admitted.words}",
        "",
    ]


def completed_lines(awaited: Awaited) -> list[str]:
    """Return what whoever let a node join is told."""
    folder = shlex.quote(str(awaited.folder))
    left = awaiting(awaited.folder)
    if awaited.folder == NODES / awaited.name and awaited.account is not None:
        start = f"systemctl enable --now aerodb-watch@{awaited.name}"
    else:
        start = f"aerodb agent --folder {folder}"
    return [
        f"{awaited.name} has joined; its folder is {folder}.",
        *([f"{left} could not be removed, and holds the same keys: remove it by hand."] if left.exists() else []),
        f"To start its agent: {start}",
    ]


# Where hosts are admitted ---------------------------------------------------------------------------------------------


def asking_lines(admitting: Admitting) -> list[str]:
    """Return what a person reads before a cluster is made: who asks to be watched, with the words to compare."""
    lines = [f"To be watched as the cluster {admitting.cluster.name}:"]
    for host in admitting.hosts:
        member = host.member
        lines += [
            "",
            f"{member.name}   agent {member.agent}   PostgreSQL {written(member.postgres_host, member.postgres_port)}",
            f"  {host.words}",
        ]
    return [
        *lines,
        "",
        "Compare the words of each with those that its own terminal showed: any other ones are another host's.",
    ]


def admitted_lines(admitting: Admitting, folder: Path) -> list[str]:
    """Return what whoever made a cluster is told: the words that each host must say, and what to type next."""
    cluster, shown = admitting.cluster, shlex.quote(str(folder))
    operator = cluster.operators[0].name
    return [
        f"The cluster {cluster.name} ({cluster.id}) is in {shown}. Its words, which each host will say:",
        f"  {admitting.words}",
        "",
        "1. Carry each file to its host, and there, where the words are these: aerodb join --admitted FILE",
        *(f"     {shlex.quote(str(path))}" for path in admitting.admissions(folder)),
        "2. The control plane, here or where its folder is moved to:",
        f"     aerodb serve --folder {shlex.quote(str(folder / 'control'))}",
        f"3. aerodb --profile {shlex.quote(str(folder / operator))} status",
        _key_line(folder / operator, made=admitting.key_made),
        f"The authority's key is in {shlex.quote(str(folder / 'authority'))}. No process reads it: keep it elsewhere.",
        "It is encrypted. Nobody can find a passphrase that is forgotten: then the hosts are admitted anew.",
    ]


def _key_line(folder: Path, *, made: bool) -> str:
    """Return where the key is that an operator signs with."""
    if made:
        return f"   The SSH key there was made here, and has no passphrase yet: ssh-keygen -p -f {folder}/id_ed25519"
    return "   Operators sign with the keys that they have, by ssh-agent: none was made here."
