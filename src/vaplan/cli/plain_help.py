"""Help of commands: arguments in capitals, and no type behind a switch."""

from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption


class Command(TyperCommand):
    """A command with plain help."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the arguments and options."""
        return _with_plain_names(super().get_params(ctx))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the parts of the usage line, without braces."""
        pieces = super().collect_usage_pieces(ctx)
        return [piece.replace("{", "").replace("}", "") for piece in pieces]


class Group(TyperGroup):
    """A group of commands with plain help."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options."""
        return _with_plain_names(super().get_params(ctx))


def _with_plain_names(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if parameter.metavar is not None:
            continue
        if isinstance(parameter, TyperArgument):
            parameter.metavar = parameter.name.upper()
        elif isinstance(parameter, TyperOption) and parameter.is_flag:
            parameter.metavar = ""
    return parameters
