"""Whether somebody is a second person: one pure function, whoever asks it; each check is needed."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import msgspec
import pytest

from aerodb.actions import action_named, catalogue
from aerodb.errors import AeroError
from aerodb.protocol.chain import changed
from aerodb.protocol.change import ASKED, NOT_ASKED, Change
from aerodb.protocol.classes import MEANINGS, ActionClass
from aerodb.protocol.cluster import Cluster, Operator, Role
from aerodb.protocol.plan import Confirmation, Order, Request, Second
from aerodb.protocol.sshsig import sign_with_key
from aerodb.rules import second
from tests.unit.audit.mutants import made_of, mutants_of
from tests.unit.protocol import authenticator
from tests.unit.protocol.authenticator import SoftAuthenticator, assertion_of, endorsed, endorsement_of
from tests.unit.protocol.signers import file_key, ssh_key

TEXT = '{"kind":"plan"}'
STOP, FENCE, CONFIGURE = action_named("stop"), action_named("fence"), action_named("configure")
REQUEST = Request(id="", action="stop", target="n1", arguments={}, operator="ana", reason="")
ANA, BEN = ssh_key("ed25519").line, ssh_key("nistp256").line
PEOPLE = (
    Operator(name="ana", role=Role.OPERATOR, ssh_key=ANA),
    Operator(name="ben", role=Role.OPERATOR, ssh_key=BEN),
    Operator(name="eve", role=Role.AUDITOR, ssh_key=BEN),
    Operator(name="rita", role=Role.OPERATOR, ssh_key=BEN, revoked=True),
    Operator(name="twin", role=Role.OPERATOR, ssh_key=f"{ANA} of another machine"),
    Operator(name="neil", role=Role.OPERATOR),
)
ALONE = authenticator.cluster(operators=PEOPLE)


def asking(kind: str, before: Cluster = ALONE) -> Cluster:
    """Return the version that asks for a second person for one more class of actions."""
    return changed(before, Change(kind="second-person", name=kind, before=NOT_ASKED, after=ASKED))


ASKS = asking("running")


def by(name: str, key: str = "nistp256", text: str = TEXT) -> Second:
    """Return somebody's signature over a text, by a key."""
    return Second(operator=name, signature=sign_with_key(file_key(key), text.encode()))


def both(found: Second | None) -> Confirmation:
    """Return what ana signed first, and somebody second."""
    first = sign_with_key(file_key("ed25519"), TEXT.encode())
    return Confirmation(plan=TEXT, signature=first, second=found or msgspec.UNSET)


def touched(name: str, key: str, made: SoftAuthenticator) -> str:
    """Return somebody's confirmation by an authenticator that their own key endorsed."""
    said = endorsed(endorsement_of(made, operator=name), file_key(key))
    return assertion_of(made.confirms(TEXT.encode()), said)


def by_authenticators(one: SoftAuthenticator, other: SoftAuthenticator) -> Confirmation:
    """Return what ana and ben each signed with an authenticator."""
    found = Second(operator="ben", signature=touched("ben", "nistp256", other))
    return Confirmation(plan=TEXT, signature=touched("ana", "ed25519", one), second=found)


SAME_KEY = (SoftAuthenticator(), SoftAuthenticator(identity=b"another"))
SAME_ID = (SoftAuthenticator(), SoftAuthenticator("EdDSA"))
REFUSED: dict[str, tuple[Callable[[], Confirmation], str]] = {
    "nobody": (lambda: both(None), "kernel.second-missing"),
    "the requester": (lambda: both(by("ana", "ed25519")), "kernel.second-refused"),
    "the requester's name": (lambda: both(by("ana")), "kernel.second-refused"),
    "another's key": (lambda: both(by("ben", "ed25519")), "kernel.second-refused"),
    "another plan": (lambda: both(by("ben", text="{}")), "kernel.second-refused"),
    "no signature": (lambda: both(Second(operator="ben", signature="")), "kernel.second-refused"),
    "no text": (lambda: both(Second(operator="ben", signature="\ud800")), "kernel.second-refused"),
    "a stranger": (lambda: both(by("zoe")), "kernel.second-refused"),
    "an auditor": (lambda: both(by("eve")), "kernel.second-refused"),
    "who is revoked": (lambda: both(by("rita")), "kernel.second-refused"),
    "an operator without a key": (lambda: both(by("neil")), "kernel.second-refused"),
    "another name with the requester's key": (lambda: both(by("twin", "ed25519")), "kernel.second-refused"),
    "the requester's authenticator": (
        lambda: by_authenticators(SAME_KEY[0], SAME_KEY[0]), "kernel.second-refused",
    ),
    "its key under another id": (lambda: by_authenticators(*SAME_KEY), "kernel.second-refused"),
    "its id with another key": (lambda: by_authenticators(*SAME_ID), "kernel.second-refused"),
}  # fmt: skip


def answer(module: ModuleType, confirmed: Confirmation, cluster: Cluster = ASKS, action: Any = STOP) -> str:
    """Return how a confirmation is answered: "holds", "none is due", or a refusal's code."""
    try:
        proven = module.check_seconded(cluster, action, REQUEST, confirmed)
    except AeroError as error:
        return error.code
    return "holds" if proven is not None else "none is due"


@pytest.mark.parametrize("name", REFUSED)
def test_who_is_no_second_person_is_refused(name: str) -> None:
    """The requester, nobody who may, and one person under two names: each has its stable code."""
    make, code = REFUSED[name]
    assert answer(second, make()) == code


def test_another_operator_is_the_second_person() -> None:
    """By their key, or by an authenticator of their own; whichever way the first signed."""
    assert answer(second, both(by("ben"))) == "holds"
    own = SoftAuthenticator("EdDSA", identity=b"of ben")
    assert answer(second, by_authenticators(SoftAuthenticator(), own)) == "holds"
    mixed = Second(operator="ben", signature=touched("ben", "nistp256", own))
    assert answer(second, both(mixed)) == "holds"


def test_where_none_is_due_there_is_none() -> None:
    """Neither under version 1, nor for another class; a signature that nobody asked for is refused."""
    for cluster, action in ((ALONE, STOP), (ASKS, FENCE), (ALONE, CONFIGURE)):
        assert answer(second, both(None), cluster, action) == "none is due"
        assert answer(second, both(by("ben")), cluster, action) == "kernel.second-refused"


def test_a_configuration_that_asks_for_anything_is_changed_by_two() -> None:
    """Else one operator would drop the rule alone, or enrol another self; it may be asked for by name, too."""
    assert [second.second_due(ASKS, each) for each in (STOP, FENCE, CONFIGURE)] == [True, False, True]
    assert [second.second_due(asking("configuration"), each) for each in (STOP, CONFIGURE)] == [False, True]
    assert not any(second.second_due(ALONE, each) for each in catalogue().values())


def test_every_action_is_of_one_class_and_every_class_of_some_action() -> None:
    """So a class says what it covers, and none is empty."""
    assert {each.of_class for each in catalogue().values()} == set(ActionClass) == set(MEANINGS)


def test_who_could_is_told_as_it_is_checked() -> None:
    """Exactly those whom a plan names as able to sign second are taken, with their own keys."""
    assert second.who_could(ASKS, "ana") == ("ben",)
    assert second.who_could(ASKS, "ben") == ("ana", "twin")
    assert second.who_could(ASKS, "nobody") == ("ana", "ben", "twin")


def test_what_needs_no_second_person_keeps_its_bytes() -> None:
    """An order and a confirmation without a second signature are written as release 0.1.0 wrote them."""
    bare = Confirmation(plan="", signature="")
    assert msgspec.json.decode(msgspec.json.encode(bare)) == {"plan": "", "signature": ""}
    order = Order(plan="", signature="", record="", proof="", consistency=(), reports={}, late={})
    assert "second" not in msgspec.json.decode(msgspec.json.encode(order))
    assert order.confirmation == bare


# Each check is needed -------------------------------------------------------------------------------------------------


def _answers(module: ModuleType) -> list[str]:
    """Return every answer that a module gives, with its reason."""
    cases = [(make(), ASKS, STOP) for make, _ in REFUSED.values()]
    cases += [(both(by("ben")), ALONE, STOP), (both(None), ASKS, CONFIGURE)]
    found = list[str]()
    for case in cases:
        try:
            found.append(str(module.check_seconded(case[1], case[2], REQUEST, case[0])))
        except AeroError as error:
            found.append(f"{error.code}: {error.message}")
        except AttributeError as error:
            found.append(f"breaks: {error}")  # A mutant may break down where the check was.
    return found


def test_without_any_one_check_somebody_passes() -> None:
    """Every refusal and every condition of it is dropped, one at a time: some case above shows it."""
    made, real = list(mutants_of("aerodb.rules.second")), _answers(second)
    assert len(made) >= 8
    assert [f"{each.line}: {each.dropped}" for each in made if _answers(made_of(each)) == real] == []
