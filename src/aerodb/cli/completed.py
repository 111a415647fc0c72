"""What a shell completes a value to: from the profile's configuration, and nothing where there is none."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from aerodb.cli.session import Session
from aerodb.errors import AeroError

if TYPE_CHECKING:
    from aerodb.protocol.cluster import Cluster  # Only annotated here: help needs none of it.


def completed(
    values: Callable[["Cluster"], tuple[str, ...] | None], ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[str]:
    """Return those of a cluster's `values` that begin as what was typed; nothing where there is no profile."""
    del param
    session = ctx.find_object(Session)
    try:
        found = values(session.profile().cluster) if session else None
    except AeroError:
        return []
    return [value for value in found or () if value.startswith(incomplete)]


def complete_nodes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the nodes whose names begin as what was typed."""
    return completed(lambda cluster: tuple(member.name for member in cluster.members), ctx, param, incomplete)
