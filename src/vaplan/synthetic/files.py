"""Write clips as media files (H.264 and AAC in MP4), and their labels as six-column tables beside them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vaplan.annotations.rows import BOTH, Row
from vaplan.annotations.table import write_rows
from vaplan.synthetic.camera import SIZE
from vaplan.synthetic.scenery import FRAME_RATE_HZ, frames
from vaplan.synthetic.soundscape import RATE_HZ, waveform
from vaplan.synthetic.world import TAXONOMY, Clip
from vaplan.writing import write_text, write_whole

if TYPE_CHECKING:
    import av
    from av.container import OutputContainer

MEDIA = "media"
REFERENCE_SPLITS = ("val", "test")  # whose dense truth the stages may read
X264 = {
    "preset": "superfast",
    "crf": "26",
    "x264-params": "threads=1",
}  # one thread: the same bytes each time
AAC = {"aac_coder": "fast"}
AAC_BITS = 96_000
LOCALISATION = f"classes: [{', '.join(TAXONOMY.classes)}]\ntask: localisation\n"


def write(clip: Clip, path: Path) -> Path:
    """Render a clip into an MP4 file, which appears whole or not at all.

    The same clip gives the same bytes on one machine.
    """
    return write_whole(path, lambda beside: _encode(clip, beside))


def render(
    clips: Sequence[Clip],
    folder: Path,
    *,
    workers: int = 2,
    progress: Callable[[int], None] | None = None,
    audio_visual: bool = False,
) -> Path:
    """Write every clip not yet there to `folder/media`, and the tables; returns the annotations' path.

    `annotations.csv` holds the weak labels of all splits and the dense reference of val and test;
    `train_truth.csv` holds the dense truth of the other splits, which no stage may read.

    Scripts that call this need the usual `if __name__ == "__main__":`, for the worker processes' sake.

    Args:
        workers: Processes that render; 1 renders here.
        progress: Called with the number of clips done, whenever one more is.
        audio_visual: Let the dense truth be where a class is both heard and seen, as rows of modality `both`, and let
            the taxonomy file beside the annotations say that the task is localisation.
    """
    truth = _together if audio_visual else _dense
    missing = [clip for clip in clips if not (folder / _place(clip)).exists()]
    for done in _written(missing, folder, workers):
        if progress:
            progress(len(clips) - len(missing) + done)
    hidden = (
        row
        for clip in clips
        if clip.split not in REFERENCE_SPLITS
        for row in truth(clip)
    )
    write_rows(folder / "train_truth.csv", hidden)
    if audio_visual:
        write_text(folder / "annotations.taxonomy.yaml", LOCALISATION)
    return write_rows(folder / "annotations.csv", _annotations(clips, truth))


def _written(clips: Sequence[Clip], folder: Path, workers: int) -> Iterator[int]:
    """Write clips, in other processes if that pays, and count them."""
    paths = [folder / _place(clip) for clip in clips]
    if workers < 2 or len(clips) < 2 * workers:
        yield from (k for k, _ in enumerate(map(write, clips, paths), start=1))
        return
    context = get_context(
        "forkserver"
    )  # a fork of this process could inherit locks held by torch's threads
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield from (
            k for k, _ in enumerate(pool.map(write, clips, paths, chunksize=4), start=1)
        )


def _annotations(
    clips: Iterable[Clip], truth: Callable[[Clip], Iterator[Row]]
) -> Iterator[Row]:
    for clip in clips:
        for tag in clip.tags:
            yield Row(clip.video, class_name=tag, path=_place(clip), split=clip.split)
        if clip.split in REFERENCE_SPLITS:
            yield from truth(clip)
        elif not clip.tags:
            yield Row(clip.video, path=_place(clip), split=clip.split)


def _dense(clip: Clip) -> Iterator[Row]:
    for e in clip.events:
        span = (e.onset, e.offset)
        yield Row(
            clip.video,
            e.modality,
            e.class_name,
            *span,
            path=_place(clip),
            split=clip.split,
        )


def _together(clip: Clip) -> Iterator[Row]:
    """Where what is heard and what is seen overlap; an empty row where nothing does."""
    heard, seen = clip.spans("audio"), clip.spans("visual")
    if not clip.tags:
        yield Row(clip.video, path=_place(clip), split=clip.split)
    for name in sorted(heard.keys() & seen.keys()):
        for one, other in product(heard[name], seen[name]):
            onset, offset = max(one[0], other[0]), min(one[1], other[1])
            if onset < offset:
                yield Row(
                    clip.video,
                    BOTH,
                    name,
                    onset,
                    offset,
                    path=_place(clip),
                    split=clip.split,
                )


def _place(clip: Clip) -> str:
    """Where the file is, from the table's folder."""
    return f"{MEDIA}/{clip.video}.mp4"


def _encode(clip: Clip, path: Path) -> None:
    import av

    with av.open(
        str(path), "w", format="mp4", options={"fflags": "+bitexact"}
    ) as container:
        video = _video_stream(container) if clip.has_video else None
        audio = _audio_stream(container) if clip.has_audio else None
        if video:
            for picture in _pictures(clip):
                container.mux(video.encode(picture))
            container.mux(video.encode(None))
        if audio:
            container.mux(audio.encode(_sound(clip)))
            container.mux(audio.encode(None))


def _video_stream(container: "OutputContainer") -> "av.VideoStream":
    stream = container.add_stream("libx264", rate=FRAME_RATE_HZ, options=X264)
    stream.width = stream.height = SIZE
    stream.pix_fmt = "yuv420p"
    stream.codec_context.thread_count = 1
    return stream


def _audio_stream(container: "OutputContainer") -> "av.AudioStream":
    stream = container.add_stream("aac", rate=RATE_HZ, options=AAC)
    stream.layout = "mono"
    stream.bit_rate = AAC_BITS
    return stream


def _pictures(clip: Clip) -> Iterator["av.VideoFrame"]:
    import av

    for k, picture in enumerate(frames(clip)):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = k, Fraction(1, FRAME_RATE_HZ)
        yield frame


def _sound(clip: Clip) -> "av.AudioFrame":
    import av

    frame = av.AudioFrame.from_ndarray(
        waveform(clip)[np.newaxis], format="fltp", layout="mono"
    )
    frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, 0, Fraction(1, RATE_HZ)
    return frame
