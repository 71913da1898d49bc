"""A user's own videos in one call: features, label, train, mend the labels, train."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from functools import partial
from itertools import combinations
from pathlib import Path

from vaplan import recipe as recipes
from vaplan.annotations import Annotations
from vaplan.annotations.sheet import Row
from vaplan.annotations.table import check_id, check_text, write_rows
from vaplan.encoders.compute import AUTOMATIC, Compute
from vaplan.errors import AnnotationError, unknown
from vaplan.media import CENTRE
from vaplan.reading import csv_text
from vaplan.recipe import Recipe
from vaplan.runs import Run
from vaplan.stages.data import Encoders, read_data
from vaplan.stages.features import Progress, features
from vaplan.stages.label import label
from vaplan.stages.refine import refine
from vaplan.stages.train import train
from vaplan.taxonomy import Taxonomy
from vaplan.training import Epoch

Say = Callable[[str], None]
Bars = Callable[[str, str], Progress]  # by name and unit, what is told of the steps

ALIKE = 0.66  # of 1
FEWEST = 4  # training videos whose labels are mended by parsers of the others


def fit(
    tags: Path,
    media: Path,
    out: Path,
    *,
    names: Encoders,
    workers: int | None = None,
    compute: Compute = AUTOMATIC,
    sampling: str = CENTRE,
    say: Say = lambda _: None,
    bars: Bars = lambda *_: lambda *_: None,
) -> tuple[Run, tuple[tuple[str, str], ...]]:
    """Make a parser from a CSV of `path,tags` or `video,tags`; return its run and the files that could not be read.

    It is the recipe `default` and its labels. `out` becomes the run folder; what led to it lies beside the weights:
    `annotations.csv`, `store`, `labels.csv` and `soft.csv`, `labels_mended.csv` and the first training in `first`. Run
    again, it goes on where it stopped.
    """
    table = write_rows(out / "annotations.csv", read_tags(tags))
    data, store = read_data(f"table:{table}"), out / "store"
    say(
        f"{len(data.videos)} videos, {len(data.taxonomy)} classes: {', '.join(data.taxonomy.classes)}"
    )
    for one, other in look_alikes(data.taxonomy.classes):
        say(
            f"warning: {one!r} and {other!r} are taken as two classes; if they are one, write them alike in {tags}"
        )
    how = partial(features, workers=workers, compute=compute, sampling=sampling)
    outcome = how(data, media, store, names=names, progress=bars("features", "videos"))
    soft = out / "soft.csv" if _mendable(data) else None
    labelling = label(data, store, out / "labels.csv", names=names, soft=soft)
    for modality in labelling.thresholds:
        say(f"pseudo labels: {labelling.spoken(modality)}")
    recipe = replace(
        recipes.read("default"),
        data=f"table:{table}",
        store=str(store),
        labels=str(labelling.table),
    )
    recipe = replace(recipe, audio=tuple(names[0]), visual=tuple(names[1]))
    if soft:
        say("training, mending the labels by parsers of other videos, training again")
        first = train(
            recipe, out / "first", on_epoch=_told(bars("train", "epochs"), recipe)
        )
        judged = partial(refine, evidence=soft, progress=bars("judges", "epochs"))
        mended = judged(first.folder, labelling.table, out / "labels_mended.csv")
        recipe = replace(recipe, labels=str(mended.table))
    return train(
        recipe, out, on_epoch=_told(bars("train", "epochs"), recipe)
    ), outcome.failed


def _told(progress: Progress, recipe: Recipe) -> Callable[[Epoch], None]:
    return lambda epoch: progress(int(epoch["epoch"]), recipe.training.epochs, "")


def _mendable(data: Annotations) -> bool:
    """Whether some video lacks a class, which shows what absence is like, and there are others to learn from."""
    lacking = any(
        set(video.tags) != set(data.taxonomy.classes) for video in data.videos
    )
    return lacking and sum(video.split == "train" for video in data.videos) >= FEWEST


def look_alikes(classes: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of names that one slip of the keyboard makes of one another.

    >>> look_alikes(["Dgo", "Dog", "Rain", "dog"])
    [('Dgo', 'Dog'), ('Dgo', 'dog'), ('Dog', 'dog')]
    """
    pairs = combinations(classes, 2)
    return [
        (a, b)
        for a, b in pairs
        if SequenceMatcher(None, a.casefold(), b.casefold()).ratio() >= ALIKE
    ]


def known_tags(path: Path, taxonomy: Taxonomy) -> dict[str, tuple[str, ...]]:
    """The tags of each video, by its id, all of them classes of the taxonomy; see `read_tags`."""
    tags = dict[str, tuple[str, ...]]()
    for row in read_tags(path):
        if row.class_name not in taxonomy.classes:
            fix = "tags must be classes that the parser knows"
            raise AnnotationError(
                unknown("class", row.class_name, taxonomy.classes),
                file=path,
                line=row.line,
                fix=fix,
            )
        tags[row.video] = (*tags.get(row.video, ()), row.class_name)
    return tags


def read_tags(path: Path) -> list[Row]:
    """Read `path,tags` or `video,tags`: one video a line, its tags apart by `;`, `,` or `|`.

    A further column `split` is kept. The id of a video is the name of its file without the ending; a file that is not
    named is looked for by the id.
    """
    header, lines = csv_text(path)
    place = "video" if "video" in header else "path"
    for name in (place, "tags"):
        if name not in header:
            what = f"column {name!r} is missing; found: {', '.join(header)}"
            raise AnnotationError(
                what, file=path, line=1, fix="start the file with path,tags"
            )
    rows, seen = list[Row](), dict[str, int]()
    for line, values in lines:
        if len(values) != len(header):
            what = f"{len(values)} fields where the header has {len(header)}"
            fix = 'put tags that are apart by commas in quotes, as in dog.mp4,"Dog,Speech", or use ;'
            raise AnnotationError(what, file=path, line=line, fix=fix)
        row, tags = _tagged(
            dict(zip(header, values, strict=True)), file=path, line=line
        )
        if row.video in seen:
            what = f"video {row.video!r} stands in line {seen[row.video]} already"
            raise AnnotationError(
                what,
                file=path,
                line=line,
                fix="give each file a name of its own, and one line",
            )
        seen[row.video] = line
        rows += [replace(row, class_name=tag) for tag in tags]
    if not rows:
        raise AnnotationError(
            "the file names no video",
            file=path,
            fix="add a line path,tags for each video",
        )
    return rows


def _tagged(
    cells: Mapping[str, str], *, file: Path, line: int
) -> tuple[Row, list[str]]:
    """A line as a row without its class, and the tags."""
    place = cells.get("path", "")
    video = cells.get("video") or Path(place).stem
    check_id(video, file=file, line=line)
    tags = [tag.strip() for tag in re.split(r"[;,|]", cells["tags"]) if tag.strip()]
    if not tags:
        raise AnnotationError(
            f"{video!r} has no tags", file=file, line=line, fix="say what occurs in it"
        )
    split = cells.get("split") or "train"
    for column, text in (
        ("path", place),
        ("split", split),
        *(("tag", tag) for tag in tags),
    ):
        check_text(column, text, file=file, line=line)
    return Row(video, path=place, split=split, line=line, file=file), list(
        dict.fromkeys(tags)
    )
