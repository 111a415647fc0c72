"""Tells what a node holds of the audit log and of requests. Asking changes nothing."""

from aerodb.audit.note import stated_size
from aerodb.kernel.errors import RequestUnknown
from aerodb.kernel.node import Node
from aerodb.kernel.store import Store
from aerodb.protocol.holdings import HeldRequest, Holdings
from aerodb.protocol.signed import Signed, sign
from aerodb.rules.explain import check_usable


class Holder:
    """Answers for one agent what it holds."""

    def __init__(self, node: Node, store: Store) -> None:
        """Sign as `node`; read from `store`."""
        self._node, self._store = node, store

    def seen_size(self, within: int | None = None) -> int:
        """Return the log's size in records by the newest checkpoint seen (of at most `within` records, if given)."""
        seen = self._store.seen
        return seen.size if within is None else stated_size(seen.within(within))

    def holdings(self, nonce: str) -> Signed:
        """Return what the node holds, signed together with the caller's `nonce`."""
        seen = self._store.seen
        document = Holdings(
            cluster=self._node.cluster.id,
            node=self._node.name,
            nonce=nonce,
            checkpoints=seen.checkpoints,
            given_up=seen.given_up,
            requests=self._store.requests,
        )
        return sign(document, self._node.name, self._node.key)

    def request(self, request: str) -> HeldRequest:
        """Return what the journal holds of one request.

        Raises:
            RequestMalformed: `request` is not a request's id.
            RequestUnknown: the journal does not know it.
        """
        check_usable(request)
        if not self._store.knows(request):
            raise RequestUnknown(f"the journal of {self._node.name} does not know {request}", request=request)
        begun, ended = self._store.begun(request), self._store.ended(request)
        return HeldRequest(request=request, plan=begun.plan if begun else "", outcome=ended.outcome if ended else None)
