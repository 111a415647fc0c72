"""A confirmation: an operator's signature over one plan's exact bytes, by either of the two ways there are.

The control plane and the agents ask this one function, so that they never differ. Pure: no I/O, no clock.
"""

from typing import Literal

import msgspec

from aerodb.past.rules_2.protocol import sshsig, webauthn
from aerodb.past.rules_2.protocol.cluster import Cluster, Operator
from aerodb.past.rules_2.protocol.sshkey import parse_line
from aerodb.past.rules_2.protocol.sshsig import Proof

Method = Literal["ssh", "webauthn"]
"""How a plan was confirmed: by the operator's SSH key, or by an authenticator of theirs."""


class Confirmed(msgspec.Struct, frozen=True, kw_only=True):
    """What a valid confirmation proves, and how it was given."""

    method: Method
    proof: Proof


def method_of(signature: str) -> Method:
    """Return how a confirmation's text says that it was given; whether it is valid is another question."""
    return "webauthn" if signature.startswith("{") else "ssh"


def verify(cluster: Cluster, person: Operator, signature: str, data: bytes) -> Confirmed:
    """Return what is proven if `signature` is a confirmation by `person` of the plan whose exact bytes are `data`.

    Raises:
        SshsigInvalid, AssertionInvalid: it is not; the message says what is wrong.
        KeyMalformed: the person's enrolled key cannot be read.
    """
    method = method_of(signature)
    if method == "webauthn":
        return Confirmed(method=method, proof=webauthn.verify(signature, data, cluster, person))
    return Confirmed(method=method, proof=sshsig.verify(signature, data, parse_line(person.ssh_key)))
