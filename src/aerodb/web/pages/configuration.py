"""Who may act: the chain of configurations, and the forms by which a person asks for its next version.

- What the page shows is what the control plane holds; it names the command that verifies it on the person's machine.
- A form says for which version of the node it was made. The step is computed here from that version, as the command
  line does it; where the node has gone on meanwhile that is said, and nothing is asked for.
- What is wrong with what was typed stands beside its field, with everything that was typed, and nothing is recorded.
- What follows is a request like any other: its plan is read and confirmed on its own page.
"""

import unicodedata
from collections.abc import Mapping
from urllib.parse import urlencode

from aerodb.actions import action_named
from aerodb.control.errors import RequestKnown
from aerodb.control.roles import Right
from aerodb.errors import AeroError
from aerodb.protocol.api import Ask
from aerodb.protocol.chain import Chain, ChangeRefused
from aerodb.protocol.change import said, step_text
from aerodb.protocol.cluster import Role
from aerodb.protocol.credentials import Authenticator
from aerodb.protocol.plan import Request
from aerodb.protocol.sshkey import LINE_LENGTH_MAX
from aerodb.rules.explain import REASON_CHARACTERS_MAX, REQUEST_ID, check_request
from aerodb.views.changing import (
    KINDS,
    PARTS,
    TAKE,
    ChangeUnclear,
    Wanted,
    kind_called,
    notes_on,
    silent_text,
    standing,
    step_at,
    version_taken,
)
from aerodb.views.observed import observe, primary_of
from aerodb.views.versions import ASKING_NONE, FOUNDING_SAID, chain_shown
from aerodb.views.watching import watched_notice
from aerodb.web.errors import FormMalformed, NodeMovedOn
from aerodb.web.pages.requests import OWN_FORMS, form_id, path_of
from aerodb.web.visit import Onward, Page, Visit

CONFIGURE = "configure"
HERE, FORM = "/configuration", OWN_FORMS[CONFIGURE]
BESIDE = (*PARTS, "node", "take", "reason")
"""What can be wrong with a form that is shown again."""
VERSIONS_SHOWN_MAX = 50
"""How many of the newest versions: the page stays under its 100 kB."""


def configuration(visit: Visit) -> Page:
    """Answer with the chain: each change, who may act, and which node has taken what.

    Raises:
        CallerRefused: the person may not look.
    """
    chain, makers = visit.access.chain()
    observed = observe(visit.access.cluster, visit.access.status(sensitive=False, judged=False))
    shown = chain_shown(chain, makers, observed)
    values = {
        "chain": shown,
        "newest": shown.versions[: -VERSIONS_SHOWN_MAX - 1 : -1],
        "left_out": max(len(shown.versions) - VERSIONS_SHOWN_MAX, 0),
        "founding_said": FOUNDING_SAID,
        "asking_none": ASKING_NONE,
        "may_change": visit.access.may(Right.REQUEST),
        "notice": watched_notice(visit.access.cluster),
    }
    return Page(template="configuration.html", here=HERE, values=values)


# The form -------------------------------------------------------------------------------------------------------------


def new(visit: Visit) -> Page | Onward:
    """Answer with the choice of a node and of a kind, or with its form, or with the request that the form became.

    Raises:
        CallerRefused: the person may not ask.
        FormMalformed, NodeUnknown, ChangeUnclear: the address is of no form, or the node has no version that is known.
    """
    visit.access.require(Right.REQUEST)
    node, kind, request = (visit.query.get(name, "") for name in ("node", "kind", "id"))
    if not node or not kind:
        observed = observe(visit.access.cluster, visit.access.status(sensitive=False, judged=False))
        primary = primary_of(observed)
        values = {
            "members": visit.access.cluster.members,
            "kinds": KINDS,
            "node": node,
            "kind": kind,
            "primary": primary.node if primary else "",
            "notice": watched_notice(visit.access.cluster),
        }
        return Page(template="configuration_choice.html", here=HERE, values=values)
    kind_called(kind)
    if not request:
        made = form_id(visit, f"{CONFIGURE} {kind} {node}")
        return Onward(to=f"{FORM}?" + urlencode({"node": node, "kind": kind, "id": made}))
    if not REQUEST_ID.fullmatch(request):
        raise FormMalformed("a request's id is a UUID in lower case", field="id")
    if visit.access.knows(request):
        return Onward(to=path_of(request))
    chain, _ = visit.access.chain()
    typed = {"node": node, "kind": kind, "id": request}
    return form_page(chain, _taken_by(visit, chain, node), typed, registered=_registered(visit, kind))


def _registered(visit: Visit, kind: str) -> tuple[Authenticator, ...]:
    """Return the authenticators that the control plane lists, for a kind of change that is of one."""
    return visit.access.authenticators() if "of" in kind_called(kind).may else ()


def form_page(
    chain: Chain,
    version: int,
    typed: Mapping[str, str],
    wrong: AeroError | None = None,
    registered: tuple[Authenticator, ...] = (),
) -> Page:
    """Return the form of one kind of change, for a node that has taken a version, with what was `typed` into it.

    `wrong` says what is wrong with that; it names the field. `registered` are the authenticators that are listed.
    """
    before, kind = chain.versions[version - 1], kind_called(typed["kind"])
    after = chain.versions[version] if version < len(chain.versions) else None
    parts = [part for part in PARTS if part in (*kind.needs, *kind.may)]
    values = {
        "kind": kind,
        "fields": parts,
        "choices": {
            "name": None if kind.names is None else kind.names(before, registered),
            "role": list(Role),
            "of": standing(before),
        },
        "notes": notes_on(kind, before, registered),
        "typed": {name: typed.get(name, "") for name in ("node", "kind", "id", "reason", *PARTS)},
        "version": version,
        "next": said(after.link.change) if after is not None and after.link is not None else "",
        "takes": typed["kind"] == TAKE,
        "wrong": wrong,
        "beside": wrong.field if wrong and wrong.field in (*parts, "reason") else "",
        "key_characters_max": LINE_LENGTH_MAX,
        "reason_characters_max": REASON_CHARACTERS_MAX,
        "notice": watched_notice(chain.newest),
    }
    return Page(template="configuration_form.html", here=HERE, values=values, status=wrong.status if wrong else 200)


def _taken_by(visit: Visit, chain: Chain, node: str) -> int:
    """Return which version a node has taken, as it signs its report.

    Raises:
        NodeUnknown, ChangeUnclear: there is no such node, or it does not say, or it has taken one of another chain.
    """
    member = visit.access.cluster.member(node)
    observed = observe(visit.access.cluster, visit.access.status(sensitive=False, judged=False))
    if member.name not in observed.facts:
        raise ChangeUnclear(silent_text(node), field="node")
    return version_taken(chain, observed.facts[member.name])


# What is sent ---------------------------------------------------------------------------------------------------------


def ask(visit: Visit) -> Page | Onward:
    """Ask for one change, once, and go on to its plan; where something is wrong with the form, show it again.

    Raises:
        CallerRefused: the person may not ask.
        FormMalformed, NodeUnknown, ChangeUnclear: the form is none of this site.
        AeroError: as the control plane says.
    """
    visit.access.require(Right.REQUEST)
    kind_called(visit.sent("kind"))
    visit.access.cluster.member(visit.sent("node"))
    chain, _ = visit.access.chain()
    version = now = _version_in(visit, chain)
    try:
        if not visit.access.knows(visit.sent("id")):
            now = _taken_by(visit, chain, visit.sent("node"))
        _refuse_moved_on(visit.sent("node"), version, now)
        request = _request(visit, chain, version)
    except AeroError as error:
        if error.field not in BESIDE and not isinstance(error, ChangeRefused):
            raise
        return form_page(chain, now, visit.form, error, _registered(visit, visit.sent("kind")))
    return _sent(visit, request)


def _sent(visit: Visit, request: Request) -> Onward:
    asked = Ask(action=request.action, target=request.target, arguments=request.arguments, reason=request.reason)
    try:
        visit.access.ask(request.id, asked)
    except RequestKnown:
        return Onward(to=path_of(request.id))
    except AeroError as error:
        error.request = error.request or request.id
        raise
    return Onward(to=path_of(request.id))


def _version_in(visit: Visit, chain: Chain) -> int:
    """Return for which version the form was made.

    Raises:
        FormMalformed: for none that is known.
    """
    text = visit.sent("version")
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= len(chain.versions)):
        raise FormMalformed("the form is for a version of the configuration that is not known here", field="version")
    return int(text)


def _refuse_moved_on(node: str, version: int, now: int) -> None:
    if now != version:
        raise NodeMovedOn(
            f"{node} has taken version {now} since this page was made for version {version}: "
            "look at what has changed, and send the form again",
            field="node",
        )


def _request(visit: Visit, chain: Chain, version: int) -> Request:
    """Return the request that a form is, whole and well formed.

    Raises:
        AeroError: naming the field that is wrong.
    """
    name, role, key, of = (visit.form.get(part, "").strip() for part in PARTS)
    kind = visit.sent("kind")
    wanted = Wanted(kind=kind, name=name, role=role, key=key, of=of, registered=_registered(visit, kind))
    request = Request(
        id=visit.sent("id"),
        action=CONFIGURE,
        target=visit.sent("node"),
        arguments={"change": step_text(step_at(chain, version, wanted))},
        operator=visit.person.name,
        reason=unicodedata.normalize("NFC", visit.form.get("reason", "")).replace("\r\n", " ").strip(),
    )
    check_request(visit.access.cluster, action_named(CONFIGURE), request)
    return request
