"""Silence the transformers library while it loads a model."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silence_transformers() -> Iterator[None]:
    """Switch off logs, progress bars and warnings of the transformers library.

    Faults of a model are not hidden: the code inside the block checks and raises them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers.utils import logging

        level = logging.get_verbosity()
        has_progress_bar = logging.is_progress_bar_enabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            yield
        finally:
            logging.set_verbosity(level)
            if has_progress_bar:
                logging.enable_progress_bar()
