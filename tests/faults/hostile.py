"""A hostile control plane: it holds every key of the control plane's, writes the real log, and shows what it likes.

What it shows, the operator has signed: they were fooled, by a program of its making. Only the node is left to refuse.
"""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from aerodb.actions import action_named, gap_of
from aerodb.audit.comparison import path_texts
from aerodb.audit.store import Log
from aerodb.control.meters import Meters
from aerodb.control.record import Recorder
from aerodb.kernel.node import read_node
from aerodb.protocol import canonical
from aerodb.protocol.facts import Report
from aerodb.protocol.plan import Confirmation, Order, Outcome, Plan, Request, Result, Snapshot, late_nonce
from aerodb.protocol.signed import Signed, sign
from aerodb.protocol.sshsig import sign_with_key
from aerodb.rules.explain import explain
from tests.faults.conftest import Running
from tests.faults.people import REASON, new_id, operator_key


def log_key(running: Running) -> Ed25519PrivateKey:
    """Return the audit log's own key, stolen."""
    key = serialization.load_pem_private_key((running.layout.control / "log.key").read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


def node_key(running: Running, node: str) -> Ed25519PrivateKey:
    """Return a node's key, stolen."""
    return read_node(running.layout.node(node)).key


def copy_log(folder: Path, to: Path) -> None:
    """Copy a log, whole and at one moment, whoever writes it meanwhile."""
    to.mkdir(mode=0o700)
    with closing(sqlite3.connect(folder / "log.db")) as source, closing(sqlite3.connect(to / "log.db")) as target:
        source.backup(target)


class Hostile:
    """In the place of the control plane, which is killed."""

    def __init__(self, running: Running, fork: Path | None = None) -> None:
        """Take over the log; or, where a `fork` is named, leave it and its server alone, and go on in a copy of it."""
        folder = running.layout.control / "log"
        if fork is None:
            running.stage.kill("control")
        else:
            copy_log(folder, fork)
        self.running, self.cluster = running, running.cluster
        self.log = Log(fork or folder, self.cluster.origin, log_key(running))
        self._recorder = Recorder(self.log, canonical.encode(self.cluster), Meters(self.log))

    def close(self) -> None:
        """Let the log go."""
        self.log.close()

    def report(self, node: str, nonce: str) -> Signed:
        """Return a node's genuine report."""
        return self.running.impostor.report(node, nonce)

    def request(self, action: str, target: str, **arguments: str) -> Request:
        """Return a new request of the operator's."""
        return Request(
            id=new_id(), action=action, target=target, arguments=arguments, operator="operator", reason=REASON
        )

    def plan(self, request: Request, doctored: Mapping[str, Signed] | None = None) -> tuple[Plan, Snapshot]:
        """Return the plan that is computed from the genuine reports; where some are `doctored`, one that says yes."""
        reports = {name: self.report(name, request.id) for name in self.cluster.data_nodes}
        snapshot = Snapshot(cluster=self.cluster.id, nonce=request.id, reports=reports, missing={})
        plan = explain(self.cluster, action_named(request.action), request, snapshot)
        if doctored is None:
            return plan, snapshot
        snapshot = replace(snapshot, reports={**reports, **doctored})
        return self.says_yes(plan, snapshot), snapshot

    def says_yes(self, plan: Plan, snapshot: Snapshot) -> Plan:
        """Return the plan with every verdict turned to `holds`, resting on the reports of `snapshot`."""
        return replace(
            plan,
            accepted=True,
            snapshot=canonical.digest(canonical.encode(snapshot)),
            verdicts=tuple(replace(verdict, result=Result.HOLDS) for verdict in plan.verdicts),
            reports={name: signed.digest for name, signed in snapshot.reports.items() if name != plan.request.target},
        ).sealed()

    def order(self, plan: Plan, snapshot: Snapshot) -> Order:
        """Return the order of a plan, signed by the operator, and logged in the log that the nodes have seen."""
        text = canonical.encode(plan).decode()
        signature = sign_with_key(operator_key(self.running.layout), text.encode())
        self._recorder.planned(plan, text, canonical.encode(snapshot), ())
        sequence = self._recorder.confirmed(plan, Confirmation(plan=text, signature=signature), touch=False)
        gap = gap_of(plan.request)
        seen = self.running.impostor.seen(plan.request.target, gap.restored.size if gap else None)
        record = self.log.record(sequence).decode()
        return Order(
            plan=text,
            signature=signature,
            record=record,
            proof=self.log.proof(sequence),
            consistency=path_texts(self.log.consistency(seen)),
            restored=path_texts(self.log.consistency(gap.restored.size)) if gap else (),
            reports={name: signed for name, signed in snapshot.reports.items() if name in plan.reports},
            late=self.running.impostor.reports(plan.reports, late_nonce(record)),
        )

    def send(self, plan: Plan, snapshot: Snapshot) -> Outcome:
        """Send the order of a plan; return what the node signed."""
        return self.running.impostor.run(plan.request.target, self.order(plan, snapshot))

    def opened(self, signed: Signed) -> Report:
        """Return the report in a signed document."""
        return canonical.decode(signed.document.encode(), Report)

    def resigned(self, report: Report, key: Ed25519PrivateKey | None = None, signer: str = "") -> Signed:
        """Return a report signed again: by its node's own key, unless another is given."""
        return sign(report, signer or report.node, key or node_key(self.running, report.node))
