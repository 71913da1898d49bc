"""Curves of a training for TensorBoard: `tensorboard --logdir RUN`, also during training."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vaplan.training.loop import Epoch
from vaplan.writing import machine_errors

EpochCallback = Callable[[Epoch], None]


@contextmanager
def tensorboard_logger(
    folder: Path, callback: EpochCallback | None = None
) -> Iterator[EpochCallback | None]:
    """Return a callback that logs epochs to TensorBoard and then calls `callback`.

    If TensorBoard is not installed, `callback` itself is returned. TensorBoard hides the
    same and later epochs of an earlier training in the folder.

    Args:
        folder: Folder of the event files.
        callback: Callback that is called with each epoch, too.
    """
    writer: Any = None

    def log_epoch(epoch: Epoch) -> None:
        """Log the numbers of an epoch."""
        nonlocal writer
        number = int(epoch["epoch"])
        with machine_errors(folder):
            if writer is None:
                # an optional extra, and slow to import
                from torch.utils.tensorboard import SummaryWriter

                writer = SummaryWriter(str(folder), purge_step=number)
            for name, value in epoch.items():
                if name != "epoch":
                    writer.add_scalar(name, value, number)
            writer.flush()
        if callback is not None:
            callback(epoch)

    with _quiet_threads():
        try:
            yield log_epoch if find_spec("tensorboard") else callback
        finally:
            if writer is not None:
                with machine_errors(folder):
                    writer.close()


@contextmanager
def _quiet_threads() -> Iterator[None]:
    """Print no traceback of a thread that cannot write; `log_epoch` raises its error again."""
    hook = threading.excepthook

    def print_other_errors(arguments: threading.ExceptHookArgs) -> None:
        if not isinstance(arguments.exc_value, OSError):
            hook(arguments)

    threading.excepthook = print_other_errors
    try:
        yield
    finally:
        threading.excepthook = hook
