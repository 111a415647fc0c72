"""Endorsements as release 0.1.0 recorded them: no later build makes one, and every build reads them."""

from aerodb.control.record import Recorder, about
from aerodb.protocol import canonical
from aerodb.protocol.cluster import Operator


def record_endorsed(recorder: Recorder, person: Operator, text: str, signature: str, *, touch: bool = False) -> int:
    """Record a credential's endorsement by its owner's SSH key, which `signature` is; return the record's number."""
    digest = canonical.digest(text.encode())
    blobs = {digest: text.encode()}
    return recorder._write(about(person), "endorsed", blobs, endorsement=digest, signature=signature, touch=touch)
