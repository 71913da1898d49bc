"""Help of commands: a switch has no type, because it takes no value."""

from typing import Any

from typer.core import TyperCommand, TyperGroup, TyperOption


class Command(TyperCommand):
    """A command whose help shows no type behind a switch."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the arguments and options."""
        return _without_types_of_switches(super().get_params(ctx))


class Group(TyperGroup):
    """A group of commands whose help shows no type behind a switch."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options."""
        return _without_types_of_switches(super().get_params(ctx))


def _without_types_of_switches(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        is_switch = isinstance(parameter, TyperOption) and parameter.is_flag
        if is_switch and parameter.metavar is None:
            parameter.metavar = ""
    return parameters
