"""Completion by the shell: of commands, options, nodes and whatever else an argument's values are.

What a shell asks while somebody types is answered from the profile's configuration alone; nobody is called.
"""

import click

from aerodb.cli.failures import OK
from aerodb.cli.help import COMPLETE_VARIABLE
from aerodb.cli.session import Session
from aerodb.cli.streams import write

SHELLS = ("bash", "zsh", "fish")
HELP = """Write the script by which a shell completes what you type.

\b
bash: aerodb completion bash > ~/.local/share/bash-completion/completions/aerodb
zsh:  aerodb completion zsh > "${fpath[1]}/_aerodb"
fish: aerodb completion fish > ~/.config/fish/completions/aerodb.fish

Nodes, and whatever else has few values, are completed from the profile's configuration; nobody is asked.
"""


@click.command(help=HELP)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_obj
def completion(session: Session, shell: str) -> int:
    """Write a shell's script."""
    from click.shell_completion import get_completion_class

    from aerodb.cli.commands import root

    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"nothing is known of {shell}")
    write(session.terminal.stdout, made(root(), {}, "aerodb", COMPLETE_VARIABLE).source())
    return OK
