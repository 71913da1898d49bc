"""Write clips as media files (H.264 and AAC in MP4), and their labels as six-column tables."""

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
from vaplan.synthetic.audio import RATE_HZ, waveform
from vaplan.synthetic.camera import SIZE
from vaplan.synthetic.clips import TAXONOMY, Clip
from vaplan.synthetic.video import FRAME_RATE_HZ, frames
from vaplan.workers import Progress
from vaplan.writing import write_atomically, write_text

if TYPE_CHECKING:
    import av
    from av.container import OutputContainer

MEDIA_FOLDER = "media"
REFERENCE_SPLITS = ("val", "test")  # splits with a dense reference in the annotations
# One thread, for the same bytes every time.
X264_OPTIONS = {"preset": "superfast", "crf": "26", "x264-params": "threads=1"}
AAC_OPTIONS = {"aac_coder": "fast"}
AAC_BITS_PER_SECOND = 96_000
LOCALISATION_TAXONOMY = (
    f"classes: [{', '.join(TAXONOMY.classes)}]\ntask: localisation\n"
)


def write(clip: Clip, path: Path) -> Path:
    """Render a clip and write it as an MP4 file.

    The file appears complete or not at all. The same clip gives the same bytes on one machine.

    Args:
        clip: The plan of the clip.
        path: Path of the file.

    Returns:
        The path.
    """
    return write_atomically(path, lambda temporary: _encode(clip, temporary))


def render(
    clips: Sequence[Clip],
    folder: Path,
    *,
    workers: int = 2,
    progress: Progress | None = None,
    audio_visual: bool = False,
) -> Path:
    """Write a data set: the media files of clips and the tables of their labels.

    Media files that exist are not rendered again. `annotations.csv` has the weak labels of all
    splits and the dense reference of val and test. `train_truth.csv` has the dense truth of the
    other splits, which no stage may read.

    Scripts that call this function need the line `if __name__ == "__main__":`, because worker
    processes import the script.

    Args:
        clips: Plans of the clips.
        folder: Folder of the data set; media files are in `folder/media`.
        workers: Number of processes that render; 1 renders in this process.
        progress: Called after every clip that is rendered.
        audio_visual: Write the dense truth as spans in which a class is both audible and visible
            (rows of modality `both`), and a taxonomy file that sets the task to localisation.

    Returns:
        The path of `annotations.csv`.
    """
    dense_rows = _audio_visual_rows if audio_visual else _event_rows
    missing = [clip for clip in clips if not (folder / _media_path(clip)).exists()]
    existing_count = len(clips) - len(missing)
    for count in _write_media(missing, folder, workers):
        if progress:
            progress(existing_count + count, len(clips), "")

    train_clips = [clip for clip in clips if clip.split not in REFERENCE_SPLITS]
    train_rows = (row for clip in train_clips for row in dense_rows(clip))
    write_rows(folder / "train_truth.csv", train_rows)
    if audio_visual:
        write_text(folder / "annotations.taxonomy.yaml", LOCALISATION_TAXONOMY)
    return write_rows(folder / "annotations.csv", _annotation_rows(clips, dense_rows))


def _write_media(clips: Sequence[Clip], folder: Path, workers: int) -> Iterator[int]:
    """Write the media files of clips, and yield the number of files after each."""
    paths = [folder / _media_path(clip) for clip in clips]
    if workers < 2 or len(clips) < 2 * workers:
        for count, _ in enumerate(map(write, clips, paths), start=1):
            yield count
        return

    # A fork of this process could inherit locks of torch's threads.
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        results = pool.map(write, clips, paths, chunksize=4)
        for count, _ in enumerate(results, start=1):
            yield count


def _annotation_rows(
    clips: Iterable[Clip], dense_rows: Callable[[Clip], Iterator[Row]]
) -> Iterator[Row]:
    """Yield the weak labels of all clips and the dense reference of val and test."""
    for clip in clips:
        for tag in clip.tags:
            path = _media_path(clip)
            yield Row(clip.video, class_name=tag, path=path, split=clip.split)
        if clip.split in REFERENCE_SPLITS:
            yield from dense_rows(clip)
        elif not clip.tags:
            yield _empty_row(clip)


def _event_rows(clip: Clip) -> Iterator[Row]:
    """Yield one row an event."""
    for event in clip.events:
        yield Row(
            clip.video,
            event.modality,
            event.class_name,
            event.onset,
            event.offset,
            path=_media_path(clip),
            split=clip.split,
        )


def _audio_visual_rows(clip: Clip) -> Iterator[Row]:
    """Yield one row for each overlap of an audio and a visual event; an empty row without tags."""
    if not clip.tags:
        yield _empty_row(clip)
    audio_spans = clip.spans("audio")
    visual_spans = clip.spans("visual")
    for name in sorted(audio_spans.keys() & visual_spans.keys()):
        for audio, visual in product(audio_spans[name], visual_spans[name]):
            onset = max(audio[0], visual[0])
            offset = min(audio[1], visual[1])
            if onset < offset:
                yield Row(
                    clip.video,
                    BOTH,
                    name,
                    onset,
                    offset,
                    path=_media_path(clip),
                    split=clip.split,
                )


def _empty_row(clip: Clip) -> Row:
    return Row(clip.video, path=_media_path(clip), split=clip.split)


def _media_path(clip: Clip) -> str:
    """Return the path of a clip's file, relative to the folder of the tables."""
    return f"{MEDIA_FOLDER}/{clip.video}.mp4"


def _encode(clip: Clip, path: Path) -> None:
    import av

    options = {"fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        video = _add_video_stream(container) if clip.has_video else None
        audio = _add_audio_stream(container) if clip.has_audio else None
        if video:
            for frame in _video_frames(clip):
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        if audio:
            container.mux(audio.encode(_audio_frame(clip)))
            container.mux(audio.encode(None))


def _add_video_stream(container: "OutputContainer") -> "av.VideoStream":
    stream = container.add_stream("libx264", rate=FRAME_RATE_HZ, options=X264_OPTIONS)
    stream.width = SIZE
    stream.height = SIZE
    stream.pix_fmt = "yuv420p"
    stream.codec_context.thread_count = 1
    return stream


def _add_audio_stream(container: "OutputContainer") -> "av.AudioStream":
    stream = container.add_stream("aac", rate=RATE_HZ, options=AAC_OPTIONS)
    stream.layout = "mono"
    stream.bit_rate = AAC_BITS_PER_SECOND
    return stream


def _video_frames(clip: Clip) -> Iterator["av.VideoFrame"]:
    import av

    for k, image in enumerate(frames(clip)):
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts = k
        frame.time_base = Fraction(1, FRAME_RATE_HZ)
        yield frame


def _audio_frame(clip: Clip) -> "av.AudioFrame":
    import av

    samples = waveform(clip)[np.newaxis]
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
    frame.sample_rate = RATE_HZ
    frame.pts = 0
    frame.time_base = Fraction(1, RATE_HZ)
    return frame
