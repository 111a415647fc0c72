"""`aerodb witness-log`: a log witness is made, told which logs to watch, run, and told of a log that was restored.

It needs no cluster, no profile and no certificate. The assembly is imported when a command runs, as for any daemon.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

import click

from aerodb.cli.daemons import FOLDER, log_format_option

folder_option = click.option("--folder", type=FOLDER, required=True, help="The log witness's own folder.")


def _run(name: str, /, **arguments: Any) -> int:
    code: int = getattr(import_module("aerodb.assembly"), name)(**arguments)
    return code


@click.group()
def witness_log() -> None:
    """Run a log witness: it cosigns a log's checkpoints, by C2SP tlog-witness, and remembers the last."""


@witness_log.command("init")
@folder_option
@click.option("--name", required=True, help="The witness's name, such as witness.example/w1.")
def make(folder: Path, name: str) -> int:
    """Make a new log witness, and show the verifier key that a cluster's configuration names it by."""
    return _run("make_log_witness", folder=folder, name=name)


@witness_log.command("add")
@folder_option
@click.option("--log", "vkey", required=True, help="The log's verifier key: log_key in the cluster's cluster.json.")
def add(folder: Path, vkey: str) -> int:
    """Have it watch a log from now on; the first checkpoint that it is shown is taken as it comes."""
    return _run("add_watched_log", folder=folder, vkey=vkey)


@witness_log.command("accept")
@folder_option
@click.option("--seen", required=True, metavar="SIZE:ROOT", help="What it has cosigned, and gives up.")
@click.argument("checkpoint", type=FOLDER)
def accept(folder: Path, seen: str, checkpoint: Path) -> int:
    """Give up what it cosigned of a log, and go on from the CHECKPOINT of a restored one; what is given up is kept.

    CHECKPOINT is a file with a checkpoint that the log's key signed: `log-checkpoint` of a profile that accepted it.
    """
    return _run("give_up_watched_log", folder=folder, seen=seen, checkpoint=checkpoint)


@witness_log.command("run")
@folder_option
@click.option("--listen", "address", required=True, help="Where it answers, as host:port.")
@log_format_option
def run(folder: Path, address: str, log_format: str) -> int:
    """Run it until SIGINT or SIGTERM; over TLS where its folder has tls.crt and tls.key, else over plain HTTP."""
    return _run("log_witness", folder=folder, address=address, log_format=log_format)
