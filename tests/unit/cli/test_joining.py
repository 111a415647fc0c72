"""Joining and admitting at the command line: a person at a terminal types the cluster's name, or nothing is made."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from aerodb.cli.commands import run
from aerodb.cli.joining import LOGIN as DEFAULT_LOGIN
from aerodb.cli.session import Session
from aerodb.cli.terminal import Terminal
from aerodb.local.joining import awaiting
from aerodb.protocol.watched import WATCH_ROLE
from tests.unit.cli.stage import Screen, Shown
from tests.unit.local.joining import LOGIN, PASSPHRASE, reachable, tree
from tests.unit.protocol.test_chain import key_of

SHOP = f"shop\n{PASSPHRASE}\n{PASSPHRASE}"
"""What a person answers who admits hosts."""


class Desk:
    """A terminal in a folder; hosts' folders are there too."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Nobody has typed anything."""
        self.root, self._capsys = root, capsys

    def types(self, *words: str, answer: str = "", terminal: bool = True) -> Shown:
        """Run a command, and answer what it asks."""
        stdin, stdout, stderr = Screen(f"{answer}\n"), Screen(), Screen()
        stdin.terminal = stdout.terminal = terminal
        code = run(list(words), Session(terminal=Terminal(stdin, stdout, stderr)))
        said = self._capsys.readouterr()
        return Shown(code, stdout.getvalue() + said.out, stderr.getvalue() + said.err)

    def asks(self, name: str, *more: str) -> Shown:
        """Have the host of a node ask to join."""
        return self.types(
            "join", "--watch", "--socket", "/run/postgresql", "--port", "5432", "--name", name, "--login", LOGIN,
            "--address", f"10.0.0.{name[1:]}:7401", "--folder", str(self.root / name), *more,
        )  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    """Yield a terminal in a folder of its own; a command makes its process private, and this one goes on."""
    monkeypatch.chdir(reachable(tmp_path))
    umask, limits = os.umask(0o077), resource.getrlimit(resource.RLIMIT_CORE)
    yield Desk(tmp_path, capsys)
    os.umask(umask)
    resource.setrlimit(resource.RLIMIT_CORE, limits)


def words_after(text: str, line: str) -> str:
    """Return the words beneath a line."""
    return text[text.index(line) :].splitlines()[1].strip()


def test_the_whole_way_as_typed(desk: Desk) -> None:
    """Each side says the words that the other one shows; a terminal and the cluster's name are all that it takes."""
    words = [words_after(desk.asks(name).out, "The words of") for name in ("n1", "n2")]
    admitted = desk.types("admit", "n1.join", "n2.join", "--name", "shop", "--control", "127.0.0.1:9", answer=SHOP)
    assert admitted.code == 0
    for name, each in zip(("n1", "n2"), words, strict=True):
        assert words_after(admitted.out, f"{name}   agent") == each
    cluster = words_after(admitted.out, "Its words, which each host will say")
    joined = desk.types(
        "join", "--admitted", "shop/admitted/n1.admitted", "--folder", str(desk.root / "n1"), answer="shop"
    )
    assert joined.code == 0
    assert words_after(joined.out, "The words of the cluster") == cluster
    assert (desk.root / "n1" / "cluster.json").exists()


@pytest.mark.parametrize("answer", ["", "yes", "Shop", "n1", "shop "])
def test_who_types_anything_else_makes_nothing(desk: Desk, answer: str) -> None:
    """Neither the cluster, nor the node's folder."""
    desk.asks("n1")
    before = tree(desk.root)
    told = desk.types("admit", "n1.join", "--name", "shop", "--control", "127.0.0.1:9", answer=answer)
    assert (told.code, "Not confirmed. Nothing was made." in told.out) == (1, True)
    assert tree(desk.root) == before
    desk.types("admit", "n1.join", "--name", "shop", "--control", "127.0.0.1:9", answer=SHOP)
    before = tree(desk.root)
    told = desk.types(
        "join", "--admitted", "shop/admitted/n1.admitted", "--folder", str(desk.root / "n1"), answer=answer
    )
    assert (told.code, "Not confirmed. Nothing was made." in told.out) == (1, True)
    assert tree(desk.root) == before
    assert awaiting(desk.root / "n1").exists()


def test_a_certificate_is_renewed_as_typed_and_for_nothing_else(desk: Desk) -> None:
    """The cluster's name and the passphrase are what it takes; its words are those that the host showed."""
    desk.asks("n1")
    desk.types("admit", "n1.join", "--name", "shop", "--control", "127.0.0.1:9", answer=SHOP)
    host = ("--folder", str(desk.root / "n1"))
    desk.types("join", "--admitted", "shop/admitted/n1.admitted", *host, answer="shop")
    asked = desk.types("join", "--renew", *host)
    words, before = words_after(asked.out, "The words of n1.renewal"), tree(desk.root)
    renew = ("certificate", "renew-node", "n1.renewal", "--folder", "shop")
    for answer, code in (("n1", 1), (f"shop\n{PASSPHRASE}!", 2), ("shop", 5)):
        told = desk.types(*renew, answer=answer)
        assert (told.code, words_after(told.out, "n1 of shop")) == (code, words)
    assert desk.types(*renew, answer=f"shop\n{PASSPHRASE}", terminal=False).code == 5
    assert tree(desk.root) == before
    assert desk.types(*renew, answer=f"shop\n{PASSPHRASE}").code == 0
    put = desk.types("join", "--renewed", "shop/renewed/n1.renewed", *host)
    assert (put.code, "is good until" in put.out) == (0, True)
    assert desk.types("join", "--renewed", "shop/renewed/n1.renewed", *host).code == 2
    assert tree(desk.root)["n1/tls.crt"] != before["n1/tls.crt"]


def test_an_operator_is_named_with_the_file_of_their_key(desk: Desk) -> None:
    """Who names no file, or one that is not there, is told so, and nothing is made."""
    desk.asks("n1")
    (desk.root / "ana.pub").write_text(f"{key_of('ana')} ana@desk\n")
    admit = ("admit", "n1.join", "--name", "shop", "--control", "127.0.0.1:9", "--operator")
    before = tree(desk.root)
    assert [desk.types(*admit, each, answer=SHOP).code for each in ("ana", "ana=nowhere", "=ana.pub")] == [2, 2, 2]
    assert tree(desk.root) == before
    assert desk.types(*admit, "ana=ana.pub", answer=SHOP).code == 0
    assert (desk.root / "shop" / "ana" / "profile.json").exists()


def test_where_nobody_reads_nothing_is_made(desk: Desk) -> None:
    """A pipe is no person; making keys needs none."""
    assert desk.asks("n1").code == 0
    before = tree(desk.root)
    for words in (("admit", "n1.join", "--name", "shop"), ("join", "--admitted", "n1.join")):
        told = desk.types(*words, answer="shop", terminal=False)
        assert (told.code, "input.terminal-missing" in told.err) == (5, True)
    assert tree(desk.root) == before


@pytest.mark.parametrize(
    "words",
    [(), ("--watch",), ("--watch", "--admitted", "n1.join"), ("--watch", "--socket", "/run"),
     ("--watch", "--port", "1"),
     ("--watch", "--postgres", "15/main", "--socket", "/run", "--port", "1"),
     ("--watch", "--postgres", "15/main", "--port", "1"), ("--admitted", "n1.join", "--name", "n1"),
     ("--admitted", "nowhere"), ("--renew", "--renewed", "n1.join"), ("--renew", "--watch"), ("--renew", "--port", "1"),
     ("--renewed", "n1.join", "--name", "n1"), ("--renewed", "n1.join", "--admitted", "n1.join")],
)  # fmt: skip
def test_what_does_not_go_together_is_usage(desk: Desk, words: tuple[str, ...]) -> None:
    """Nothing is guessed, and nothing is looked at."""
    (desk.root / "n1.join").write_text("")
    assert desk.types("join", *words).code == 2
    assert tree(desk.root) == {"n1.join": b""}


def test_what_a_file_says_cannot_write_to_the_terminal(desk: Desk) -> None:
    """A file that is none, and one that has no end."""
    (desk.root / "x.join").write_text("\x1b[5m")
    told = desk.types("admit", "x.join", "--name", "shop")
    assert (told.code, "\x1b[5m" in told.out + told.err) == (2, False)
    (desk.root / "x.join").write_bytes(bytes((1 << 20) + 1))
    told = desk.types("admit", "x.join", "--name", "shop")
    assert (told.code, "input.file-unusable" in told.err) == (2, True)


def test_the_usual_login_is_the_one_of_the_protocol() -> None:
    """Help loads no protocol, and says it itself."""
    assert DEFAULT_LOGIN == WATCH_ROLE
