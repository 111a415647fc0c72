"""Hands by subject: no class of many methods, the kernel has every step, and an agent is killed after each of them."""

import inspect
from typing import get_type_hints

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aerodb.kernel import hands as kernel
from aerodb.rules import hands as rules
from tests.faults.steps import CHANGING

METHODS_MAX = 8
READING = {"look", "standing", "sign", "quorum", "fits"}
"""What changes nothing durable, so that being killed after it is being killed after the step before."""


def methods_of(kind: type) -> set[str]:
    """Return the names of a class's own public methods, properties left out."""
    return {name for name, found in vars(kind).items() if inspect.isfunction(found) and not name.startswith("_")}


def subjects() -> dict[str, type]:
    """Return the protocol of each subject by its name; that of the agent's own memory under no name."""
    found: dict[str, type] = {"": rules.Hands}
    for name, each in vars(rules.Hands).items():
        if isinstance(each, property) and each.fget is not None:
            found[name] = get_type_hints(each.fget)["return"]
    return found


@pytest.mark.parametrize("module", [rules, kernel])
def test_no_class_of_hands_has_many_methods(module: object) -> None:
    """A subject that grows beyond what one can survey is two subjects."""
    kinds = [each for each in vars(module).values() if inspect.isclass(each) and each.__module__ == module.__name__]  # type: ignore[attr-defined]
    assert len(kinds) > len(subjects()) - 1
    assert {kind.__name__: len(methods_of(kind)) for kind in kinds if len(methods_of(kind)) > METHODS_MAX} == {}


def test_the_kernel_has_every_step_and_no_other() -> None:
    """What the rules may ask for is what the node's hands do, subject by subject."""
    made = kernel.NodeHands("n1", Ed25519PrivateKey.generate(), None, None, None, lambda: None)  # type: ignore[arg-type, return-value]
    for name, protocol in subjects().items():
        real = getattr(made, name) if name else made
        assert methods_of(type(real)) == methods_of(protocol), name


def test_an_agent_is_killed_after_every_step_that_changes_something() -> None:
    """A new step cannot be left out of the crash tests."""
    for name, protocol in subjects().items():
        assert set(CHANGING[name]) == methods_of(protocol) - READING, name
    assert set(CHANGING) == set(subjects())
