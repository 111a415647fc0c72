"""People's authenticators: listed as the chain of configurations has them, with what awaits its enrolment there.

- What is enrolled, and where it holds, is computed here from the verified chain and the nodes' signed reports.
- Only what is pending is the control plane's word. What is said of such a credential is checked here against the
  profile's configuration; whether its key is a person's own is for that person to compare.
"""

import click

from aerodb.cli.chained import shown_chain
from aerodb.cli.failures import OK
from aerodb.cli.session import READ_TIMEOUT_SECONDS, ClientCommand, Session, json_option, read
from aerodb.protocol import api, webauthn
from aerodb.protocol.authenticator import EnrolledAuthenticator, fingerprint, short_name
from aerodb.protocol.chain import REVOKED, Chain
from aerodb.protocol.credentials import Authenticator, AuthenticatorList
from aerodb.views.credentials import holding
from aerodb.views.enrolling import awaiting
from aerodb.views.observed import Observed, observe, primary_of
from aerodb.views.requests import REASON_OPTION

PATH = "/v1/authenticators"
HEAD = ("NAME", "WHOSE", "STATE", "KEY", "COPIES", "CONFIRMS", "CREDENTIAL")
Row = list[tuple[str, str]]


@click.command(cls=ClientCommand)
@json_option
@click.pass_obj
def authenticators(session: Session, *, as_json: bool) -> int:
    """List all authenticators: whose each is, whether it counts, on which nodes; and what awaits its enrolment."""
    profile = session.profile()
    caller = session.connect(profile, READ_TIMEOUT_SECONDS)
    body = caller.get(PATH)
    answer = read(body, AuthenticatorList)
    if as_json:
        session.terminal.document(body)
        return OK
    chain = shown_chain(profile, caller)[0]
    observed = observe(profile.cluster, read(caller.get("/v1/status"), api.Status))
    waiting = awaiting(chain.newest, answer.authenticators)
    rows = [*(_enrolled(chain, observed, each) for each in chain.newest.enrolled), *map(_waiting, waiting)]
    if not rows:
        session.terminal.line("Nobody has an authenticator yet. Register one: aerodb register", "dim")
        return OK
    session.terminal.table(HEAD, rows)
    primary = primary_of(observed)
    for each in waiting:
        of = "" if each.operator == profile.operator else f" --of {each.operator}"
        node = primary.node if primary else "PRIMARY"
        session.terminal.line(
            f"Awaits its enrolment: aerodb configure {node} --enrol-authenticator {each.name}{of} {REASON_OPTION}",
            "dim",
        )
    return OK


def _enrolled(chain: Chain, observed: Observed, each: EnrolledAuthenticator) -> Row:
    key = webauthn.algorithm_of(webauthn.public_key(each.public_key))
    state = ("dim", REVOKED) if each.revoked else ("good", "enrolled")
    texts = (f"{key} {fingerprint(each.public_key)}", each.copies)
    plain = [("plain", text) for text in texts]
    where = holding(chain, observed.facts, each)
    return [
        ("heading", short_name(each.credential)),
        ("plain", each.person),
        state,
        *plain,
        where,
        ("plain", each.credential),
    ]


def _waiting(each: Authenticator) -> Row:
    where = "under version 1 alone" if each.state == "endorsed" else "on no node"
    texts = (f"{each.algorithm} {each.fingerprint}", each.copies, where, each.credential)
    return [
        ("heading", each.name),
        ("plain", each.operator),
        ("warn", each.state),
        *(("plain", text) for text in texts),
    ]
