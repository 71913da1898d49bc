"""What the stages share: which data set, which media file, which features."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vaplan.annotations import READERS, Annotations, Sheet, Video, annotate, table
from vaplan.arrays import Inputs
from vaplan.encoders import Encoder, store_name
from vaplan.errors import (
    AnnotationError,
    MachineError,
    MediaError,
    StoreError,
    UsageError,
    unknown,
)
from vaplan.media import CENTRE
from vaplan.store import Store
from vaplan.store.mapped import mapped_zeros
from vaplan.taxonomy import read_task, read_taxonomy
from vaplan.writing import sha256

Encoders = Sequence[Sequence[str]]  # encoder names per modality, in modality order
NO_FILE = "no file for"  # how the reason begins; such a file may come, so it is looked for every time
YOUTUBE_ID = (
    11  # published media files are often named by the first characters of an id
)


def read_sheet(
    spec: str, *, annotations: str = "", taxonomy: Path | None = None
) -> Sheet:
    """The rows of `KIND:PATH`, for example `table:my.csv` or `llp:data`; `annotations` chooses among versions.

    Args:
        taxonomy: A file with the classes of a table, which then need not occur in it; see `taxonomy.files`.
    """
    kind, colon, place = spec.partition(":")
    if not colon or not place:
        raise UsageError(
            f"{spec!r} is no data set",
            fix=f"write {', '.join(f'{kind}:PATH' for kind in READERS)}",
        )
    if kind not in READERS:
        raise UsageError(unknown("kind of data set", kind, READERS))
    if taxonomy is None:
        return READERS[kind](Path(place), annotations=annotations)
    if kind != "table":
        fix = "say its classes in other words with --prompts, or list its videos in a table"
        raise UsageError(f"{kind}: has classes of its own", file=taxonomy, fix=fix)
    sheet = table.read_sheet(Path(place), taxonomy=read_taxonomy(taxonomy))
    return replace(
        sheet,
        files=(*sheet.files, taxonomy),
        localisation=read_task(taxonomy) == "localisation",
    )


def read_data(
    spec: str, *, annotations: str = "", taxonomy: Path | None = None
) -> Annotations:
    """What a data set says; see `read_sheet`."""
    return annotate(read_sheet(spec, annotations=annotations, taxonomy=taxonomy))


class MediaFolder:
    """Finds the file of a video: its `path`, else `<id>.*`, else `<first 11 characters>.*` if only one matches."""

    def __init__(self, folder: Path, *, table: Path) -> None:
        self.folder, self.table = folder, table
        self._named: dict[str, list[Path]] = {}
        for path in _inside(folder):
            self._named.setdefault(path.stem, []).append(path)

    def find(self, video: Video) -> Path:
        """The media file of a video, or an error that says where it was looked for."""
        if video.path:
            return self._at(video)
        for stem in dict.fromkeys((video.video, video.video[:YOUTUBE_ID])):
            matches = self._named.get(stem, [])
            if len(matches) == 1:
                return matches[0]
            if len(matches) > 1:
                names = ", ".join(path.name for path in matches)
                raise MediaError(
                    f"several files for {video.video!r}: {names}",
                    file=self.folder,
                    fix="keep one",
                )
        raise MediaError(
            f"{NO_FILE} {video.video!r}",
            file=self.folder,
            fix=f"add {video.video}.mp4 or the like",
        )

    def _at(self, video: Video) -> Path:
        for root in (self.folder, self.table.parent):
            path = root / video.path
            if _may_exist(path):
                return path
        what = f"{NO_FILE} {video.video!r}: {video.path!r} does not exist"
        raise MediaError(
            what,
            file=self.folder,
            fix="paths are relative to the media folder or to the table",
        )


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(
            "no such folder", file=folder, fix="give the folder of the media files"
        ) from error
    except OSError as error:
        what = f"the media folder cannot be read: {error.strerror or error}"
        raise MachineError(
            what,
            file=folder,
            fix="mend its permissions, or the disk or share that it is on",
        ) from error


def _may_exist(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # whoever opens it will say why
        return True


def folders(store: Path, encoders: Encoders) -> list[list[Store]]:
    """The feature folders of these encoders, per modality."""
    return [
        [Store.open(store, store_name(name, m)) for name in names]
        for m, names in enumerate(encoders)
    ]


def usable(
    data: Annotations, store: Path, encoders: Encoders
) -> tuple[Annotations, list[str]]:
    """The videos with features of every encoder, and the ids of those whose file could not be read."""
    failed = set[str]()
    for folder in chain(*folders(store, encoders)):
        failed.update(
            video
            for video, (status, _) in folder.statuses().items()
            if status == "failed"
        )
    kept = [video for video in data.ids if video not in failed]
    if not kept:
        raise AnnotationError(
            "no video of the data set could be read",
            file=store,
            fix="look at `vaplan features`",
        )
    return data.ordered(kept), [video for video in data.ids if video in failed]


def read_inputs(
    store: Path,
    encoders: Encoders,
    videos: Sequence[str],
    *,
    overflow: Path | None = None,
) -> Inputs:
    """The features of these videos as a parser's input, padded and masked.

    Args:
        overflow: A folder for what is too large for the memory; see `mapped_zeros`.
    """
    zeros = partial(mapped_zeros, folder=overflow) if overflow else np.zeros
    arrays = [
        [folder.read(videos, zeros=zeros) for folder in group]
        for group in folders(store, encoders)
    ]
    longest = max(mask.shape[1] for streams in arrays for _, mask in streams)
    audio, visual = (
        tuple(_padded(feature, longest, zeros) for feature, _ in streams)
        for streams in arrays
    )
    masks = [
        torch.stack([_padded(mask, longest, np.zeros) for _, mask in streams]).all(
            dim=0
        )
        for streams in arrays
    ]
    return Inputs((audio, visual), torch.stack(masks, dim=-1))


def _padded(array: np.ndarray, length: int, zeros: Callable[..., np.ndarray]) -> Tensor:
    if length > array.shape[1]:
        longer = zeros((len(array), length, *array.shape[2:]), array.dtype)
        longer[:, : array.shape[1]] = array
        array = longer
    return torch.from_numpy(array)


def input_hashes(data: Annotations, store: Path, encoders: Encoders) -> dict[str, str]:
    """What a result was made from: the content of the annotations, of each encoder's features, and its weights."""
    hashes = {str(path): sha256(path) for path in data.files}
    samplings = {
        folder.card.provenance.get("sampling", CENTRE)
        for folder in chain(*folders(store, encoders))
    }
    if len(samplings) > 1:
        what = f"features of several samplings: {', '.join(sorted(samplings))}"
        raise StoreError(
            what,
            file=store,
            fix="fill a store with one --sampling for all its encoders",
        )
    if samplings != {CENTRE}:
        hashes["sampling"] = samplings.pop()
    for folder in chain(*folders(store, encoders)):
        hashes[folder.folder.name] = folder.content_hash()
        hashes[f"weights of {folder.card.encoder}"] = folder.card.provenance[
            "weights_sha256"
        ]
        if precision := folder.card.provenance.get("precision"):
            hashes[f"precision of {folder.card.encoder}"] = precision
    return hashes


def check_weights(folder: Store, encoder: Encoder) -> None:
    """Refuse features that were made with other weights than the encoder has now."""
    if folder.card.provenance["weights_sha256"] != encoder.provenance["weights_sha256"]:
        what = f"store of another encoder: {folder.card.encoder} has other weights now than when the store was filled"
        raise StoreError(
            what,
            file=folder.folder,
            fix="bring those weights back, or fill a new --store",
        )
