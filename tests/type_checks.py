"""Cheaper checks of types: most calls have no arrays, and need no bookkeeping of their shapes.

The import hook decorates every function of vaplan with `jaxtyping.jaxtyped`, which binds the
arguments twice more and checks them twice. A function without array types is checked by
beartype alone, for the same types. `tests/conftest.py` imports this before any of vaplan.
"""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import jaxtyping
from beartype import beartype

_check_shapes = jaxtyping.jaxtyped


def jaxtyped(*, typechecker: Any) -> Callable[[Any], Any]:
    """Return the decorator that checks the types of a function or of a dataclass."""

    def decorate(target: Any) -> Any:
        if dataclasses.is_dataclass(target) and "__init__" in vars(target):
            target.__init__ = decorate(target.__init__)  # type: ignore[misc]
            return target
        if inspect.isfunction(target) and not _names_arrays(target):
            return beartype(target)
        return _check_shapes(target, typechecker=typechecker)

    return decorate


def _names_arrays(function: Callable[..., Any]) -> bool:
    """Tell whether an annotation has an array type, or a text that could stand for one."""
    hints = function.__annotations__.values()
    names = [h.__module__ if isinstance(h, type) else repr(h) for h in hints]
    return any("jaxtyping" in name or "'" in name for name in names)


jaxtyping.jaxtyped = jaxtyped
