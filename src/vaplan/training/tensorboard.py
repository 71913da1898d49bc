"""The curves of a training as TensorBoard shows them: `tensorboard --logdir RUN` while it lasts,
or after."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vaplan.training.loop import Epoch

Tell = Callable[[Epoch], None]


@contextmanager
def tensorboard_logger(folder: Path, also: Tell | None = None) -> Iterator[Tell | None]:
    """Return a callback that logs epochs to TensorBoard and calls `also`; only `also` if
    TensorBoard is not installed.

    What an earlier training in the folder wrote of the same epochs and later ones is hidden by
    TensorBoard itself.

    Args:
        folder: Folder of the event files.
        also: Callback that is called too.
    """
    writer: Any = None

    def tell(epoch: Epoch) -> None:
        nonlocal writer
        if writer is None:
            from torch.utils.tensorboard import (
                SummaryWriter,
            )  # an optional extra, and slow to import

            writer = SummaryWriter(str(folder), purge_step=int(epoch["epoch"]))
        for name, value in epoch.items():
            if name != "epoch":
                writer.add_scalar(name, value, int(epoch["epoch"]))
        writer.flush()
        if also is not None:
            also(epoch)

    try:
        yield tell if find_spec("tensorboard") else also
    finally:
        if writer is not None:
            writer.close()
