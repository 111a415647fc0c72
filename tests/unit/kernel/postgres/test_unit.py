"""How PostgreSQL is asked for in a unit of its own, and what is made of what the service manager says."""

from pathlib import Path

import pytest

from aerodb.kernel.postgres import unit
from aerodb.kernel.postgres.account import Account
from aerodb.kernel.postgres.errors import CommandFailed
from aerodb.kernel.postgres.installation import Installation
from aerodb.kernel.postgres.place import Place

ACCOUNT = Account(name="postgres", uid=7, gid=9)
SAID = "LoadState={}\nActiveState={}\nJob={}\n"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return a home whose path has what a service manager would take for a variable."""
    home = tmp_path / "$HOME"
    (home / "data-0001").mkdir(parents=True)
    (home / "data").symlink_to("data-0001")
    return Place(name="n1", home=home, host="127.0.0.1", port=1, quorum=1, data_nodes=("n1",), unit="pg@n1.service")


def test_the_command_names_unit_account_and_folder(place: Place) -> None:
    """It runs the server itself, as the account, in the data folder in use; no word of it is expanded."""
    said = unit.command(Installation(bin=Path("/pg/bin"), version="18.6", account=ACCOUNT), place)
    options, server = said[: said.index("--")], said[said.index("--") + 1 :]
    assert {"--unit=pg@n1.service", "--property=User=postgres", "--property=Group=9"} <= set(options)
    assert {"--property=KillSignal=SIGINT", "--property=KillMode=mixed", "--collect"} <= set(options)
    assert not {word for word in options if word.startswith("--property=Restart")}
    assert server[:3] == ["/pg/bin/postgres", "-D", str(place.data()).replace("$", "$$")]
    assert "$$HOME" in " ".join(server)
    assert "$H" not in " ".join(server).replace("$$", "")


def test_an_ordinary_users_server_is_that_users(place: Place) -> None:
    """Without an account to drop to none is named."""
    said = unit.command(Installation(bin=Path("/pg/bin"), version="18.6", account=None), place)
    assert not {word for word in said if word.startswith(("--property=User", "--property=Group"))}


@pytest.mark.parametrize(
    ("said", "may"),
    [
        (SAID.format("not-found", "inactive", ""), False),
        (SAID.format("not-found", "inactive", "0"), False),
        (SAID.format("loaded", "failed", ""), False),
        (SAID.format("loaded", "active", ""), True),
        (SAID.format("loaded", "activating", "71"), True),
        (SAID.format("loaded", "deactivating", ""), True),
        (SAID.format("loaded", "inactive", "71"), True),
        ("LoadState=not-found\n", True),
        ("", True),
    ],
)
def test_only_a_unit_that_is_said_to_be_over_is_over(
    place: Place, monkeypatch: pytest.MonkeyPatch, said: str, *, may: bool
) -> None:
    """A job that waits, a word that is not known, or no answer: PostgreSQL may come to run there."""
    monkeypatch.setattr(unit, "_ask", lambda _: said)
    assert unit.may_start(place) is may


def test_a_unit_that_stays_is_not_started_over(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the unit of the PostgreSQL before is not over, nothing is run."""
    asked = []

    def ask(words: list[str]) -> str:
        asked.append(words[0])
        return SAID.format("loaded", "deactivating", "")

    monkeypatch.setattr(unit, "_ask", ask)
    monkeypatch.setattr(unit, "SETTLED_SECONDS_MAX", 0.0)
    with pytest.raises(CommandFailed, match=r"pg@n1\.service .* is not over") as error:
        unit.start(Installation(bin=Path("/pg/bin"), version="18.6", account=ACCOUNT), place)
    assert error.value.executed == "not executed"
    assert set(asked) == {"systemctl"}


@pytest.mark.parametrize("words", [["sh", "-c", "echo no >&2; exit 3"], ["/nowhere/systemctl"]])
def test_what_fails_is_said_in_its_own_words(words: list[str]) -> None:
    """And where the service manager was reached, not that nothing was executed."""
    with pytest.raises(CommandFailed, match=r"no$|cannot be run|not found|No such file") as error:
        unit._ask(words)
    assert error.value.executed == "unknown" or words[0] != "sh"
