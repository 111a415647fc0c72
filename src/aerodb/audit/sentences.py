"""What the judge of the log's meaning says of what holds, in sentences. Pure: no I/O, no clock."""

from aerodb.audit.logged import Logged
from aerodb.audit.record import Record
from aerodb.protocol.ahead import Earlier
from aerodb.protocol.cluster import Cluster
from aerodb.protocol.confirmation import Confirmed
from aerodb.protocol.plan import Plan


def _with_what(confirmed: Confirmed, cluster: Cluster) -> str:
    """Return with what a confirmation was given that counts under `cluster`."""
    if confirmed.method == "ssh":
        return "with their enrolled SSH key"
    if cluster.link is None:
        return "with an authenticator that their enrolled SSH key endorsed"
    return f"with an authenticator that version {cluster.version} of the configuration enrols as theirs"


def signed_so(entry: Logged, operator: str, confirmed: Confirmed, cluster: Cluster, *, touched: bool) -> str:
    """Return who signed the plan of a record, and how, under the version of the configuration that it names."""
    how = f"{_with_what(confirmed, cluster)}{', which was touched' if touched else ''}"
    return f"Record {entry.sequence}: {operator} signed exactly this plan, {how}."


def turned_so(entry: Logged, earlier: Earlier) -> str:
    """Return that a request's turn came, by the word of the earlier one's node."""
    said = f"the agent of {earlier.target} signed that it executed {earlier.words} (request {earlier.request})"
    return f"Record {entry.sequence}: its turn came: {said}."


def replayed_so(plan: Plan, text: str, record: Record) -> str:
    """Return that a plan was computed again, and is the recorded one."""
    said = "acceptable" if plan.accepted else "a rejection"
    return (
        f"The plan, computed again here from its snapshot by {plan.rules}, is byte for byte the recorded one: "
        f"{said}, {len(text.encode())} bytes, {record.plan}."
    )
