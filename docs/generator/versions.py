"""The page of PostgreSQL's major versions: which ones AeroDB runs, and what only some of them have."""

from aerodb.kernel.postgres.capabilities import BROUGHT, MAJORS, NEWEST, OLDEST, TABLE, has
from aerodb.kernel.postgres.naming import PLACES
from docs.generator.text import GENERATED, table

MANUAL = "https://www.postgresql.org/docs"

INTRODUCTION = f"""# PostgreSQL's versions

AeroDB runs PostgreSQL {OLDEST} to {NEWEST}. PostgreSQL {BROUGHT} comes with the extra `aerodb[local]`, and clusters are made of it unless another is named; one that is named needs no extra:

```
aerodb up --postgres 16                          # the system's packages: {" or ".join(each.format(major=16) for each in PLACES)}
aerodb up --postgres /opt/postgresql/bin         # a folder of programs, or the one above it
```

`aerodb init` and `aerodb demo` take the same. Each node's `node.json` keeps the folder as `binaries` (empty: what the extra brings), and `aerodb up` on a cluster that is there refuses another one. A cluster is of one major version:

- Programs of {OLDEST - 1} or older, and of {NEWEST + 1} or newer, are refused as [`kernel.postgres-unsupported`](errors.md#kernelpostgres-unsupported): they are asked which version they are, and nothing else of them is run. An agent that is given such programs ends, and a PostgreSQL that runs goes on.
- A data folder that another major version made is not read and not started ([`kernel.postgres-major-differs`](errors.md#kernelpostgres-major-differs)): the node's state is `unreadable`, with the reason, until it has its own programs again. The other nodes are not held up by it.
- `reclone` between two major versions is rejected by [`running-fits`](invariants.md#running-fits), and once more by the node itself before it ends to acknowledge: `pg_basebackup` would copy an older server's data, which then do not start.

Going from one major version to the next (`pg_upgrade`, or by logical replication) is not among the actions: that makes another database system, with another identifier.

`make test-versions` plays the demonstration and chosen faults on every version that the machine has, and says which it lacks. `make test` plays some traps, a switchover, a failover, a reclone and a reload on two: PostgreSQL 18, and the oldest other one that the machine has; where it has none, it installs a wheel of 16 for that. Its summary says which."""

DIFFERENCES = """## What only some have

The agent asks for a version nowhere but in the table behind this page (`kernel/postgres/capabilities.py`); a test asks each server that is there whether it is so. All else that AeroDB writes or asks, each of them has."""


def _majors() -> str:
    rows = [
        (str(major), each.supported_until, str(each.control_version), f"{each.page_magic:#06X}".replace("X", "x"))
        for major, each in MAJORS.items()
    ]
    return table(
        (
            "major version",
            "supported by the PostgreSQL project until",
            "layout of the control file",
            "begins a WAL page",
        ),
        rows,
    )


def _differences() -> str:
    rows = [
        (
            f"[`{capability}`]({MANUAL}/{line.since}/{line.manual}.html)",
            line.kind,
            *("yes" if has(major, capability) else "no" for major in MAJORS),
            line.used,
            line.without,
        )
        for capability, line in TABLE.items()
    ]
    return table(("what", "kind", *map(str, MAJORS), "used for", "without it"), rows)


def page() -> str:
    """Return the page."""
    parts = (GENERATED, INTRODUCTION, _majors(), DIFFERENCES, _differences())
    return "\n\n".join(parts) + "\n"


def pages() -> dict[str, str]:
    """Return the page by its path."""
    return {"postgresql-versions.md": page()}
