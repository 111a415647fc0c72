"""Groups whose commands are made when asked for; a name that is none of theirs is answered with the nearest ones."""

import click


class LazyGroup(click.Group):
    """A group that knows its commands by `list_commands` and `get_command` alone."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that `args` begin with.

        Raises:
            NoSuchCommand: there is none; it names those that are nearly it.
        """
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            raise click.NoSuchCommand(args[0], possibilities=self.list_commands(ctx), ctx=ctx) from error
