"""Draw the pictures of the documents.

    python docs/pictures.py

writes the diagrams of the method into docs/images. `draw_video` draws a rendered video and is used
by make_tutorial.py. The diagrams show small examples that are computed here by the equations
of docs/method.md.
"""

from collections.abc import Sequence
from pathlib import Path

import av
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

import vaplan
from vaplan.arrays import MODALITIES
from vaplan.plots import FAINT, INK, LANE, PALETTE, PAPER, WIDTH

IMAGES = Path(__file__).parent / "images"
BLUE, ORANGE, GREEN = PALETTE[:3]
SECONDS = 10
SVG = {"svg.hashsalt": "vaplan", "svg.fonttype": "path", "font.size": 8}


def main() -> None:
    """Write every diagram."""
    diagrams = {"steps": draw_steps, "plg": draw_plg, "ple": draw_ple, "pld": draw_pld}
    with matplotlib.rc_context(SVG):
        for name, draw in diagrams.items():
            path = IMAGES / f"{name}.svg"
            draw().savefig(path, metadata={"Date": None, "Creator": None})
            print(path, path.stat().st_size)


# --- diagrams -------------------------------------------------------------------------


def draw_steps() -> Figure:
    """Draw the stages with what each reads and writes."""
    stages = (
        ("features", "frozen CLIP\nand CLAP", "a vector for\nevery second"),
        ("label", "PLG: prompts,\ntags, thresholds", "pseudo labels"),
        ("train", "HAN with PLE", "a first parser"),
        ("denoise", "PLD: suspicious\nlosses", "better labels"),
        ("train", "HAN with PLE", "a parser"),
        ("parse", "a new video\nwithout tags", "a timeline"),
    )
    figure = Figure(figsize=(WIDTH, 1.75), facecolor=PAPER, layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(-0.03, len(stages) + 0.03), ylim=(0, 1.7))
    axes.axis("off")
    axes.text(0.03, 1.55, "videos with tags →", color=INK, fontsize=8)
    for number, (name, method, result) in enumerate(stages):
        colour = GREEN if name == "parse" else BLUE
        box = {"boxstyle": "round,pad=0.04", "facecolor": LANE, "edgecolor": colour}
        axes.text(
            number + 0.45,
            1.0,
            f"{name}\n",
            ha="center",
            va="center",
            color=colour,
            weight="bold",
            fontsize=9,
        )
        axes.add_patch(
            matplotlib.patches.FancyBboxPatch((number + 0.06, 0.72), 0.76, 0.58, **box)
        )
        axes.text(
            number + 0.45,
            0.88,
            method,
            ha="center",
            va="center",
            color=INK,
            fontsize=6.5,
        )
        axes.text(
            number + 0.45,
            0.3,
            result,
            ha="center",
            va="center",
            color=INK,
            fontsize=7.5,
        )
        axes.annotate(
            "",
            (number + 0.45, 0.46),
            (number + 0.45, 0.66),
            arrowprops={"arrowstyle": "->", "color": INK},
        )
        if number:
            axes.annotate(
                "",
                (number + 0.02, 1.0),
                (number - 0.12, 1.0),
                arrowprops={"arrowstyle": "->", "color": INK},
            )
    return figure


def draw_plg() -> Figure:
    """Draw confidence, threshold and labels of a tagged and of an untagged class."""
    confidence = {
        "Dog (tagged)": [
            0.03,
            0.035,
            0.05,
            0.06,
            0.062,
            0.055,
            0.038,
            0.033,
            0.052,
            0.03,
        ],
        "Cat (not tagged)": [
            0.035,
            0.03,
            0.045,
            0.05,
            0.043,
            0.04,
            0.03,
            0.03,
            0.042,
            0.03,
        ],
    }
    threshold = 0.041
    figure = Figure(figsize=(WIDTH, 2.6), facecolor=PAPER, layout="constrained")
    axes, *lanes = figure.subplots(3, sharex=True, height_ratios=(4, 1, 1))
    frame(axes)
    for (name, values), colour in zip(confidence.items(), (BLUE, ORANGE), strict=True):
        axes.step(range(SECONDS + 1), [*values, values[-1]], where="post", color=colour)
        axes.text(6.08, values[5] + 0.004, name, color=colour)
        labels = [name.endswith("(tagged)") and value > threshold for value in values]
        draw_lane(lanes.pop(0), labels, colour, name.split()[0])
    axes.axhline(threshold, color=INK, linestyle=":")
    axes.text(0.05, threshold + 0.0008, "threshold θ", color=INK)
    axes.set(xlim=(0, SECONDS), ylim=(0.025, 0.066), ylabel="confidence S")
    figure.axes[-1].set_xlabel("seconds; a marked second is a pseudo label")
    return figure


def draw_ple() -> Figure:
    """Draw the labels of one modality with their category and segment richness."""
    labels = np.zeros((3, SECONDS), dtype=bool)
    labels[0, 2:6] = True
    labels[1, 0:10] = True
    labels[2, 5:8] = True
    names = ("Dog", "Rain", "Horn")
    colours = (BLUE, ORANGE, GREEN)
    figure = Figure(figsize=(WIDTH, 2.7), facecolor=PAPER, layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(3, 2), width_ratios=(4, 1))
    cells = figure.add_subplot(grid[0, 0])
    frame(cells)
    cells.imshow(
        np.where(labels, 1.0, np.nan) * np.arange(3)[:, None],
        cmap=matplotlib.colors.ListedColormap(colours),
        aspect="auto",
        extent=(0, SECONDS, 3, 0),
        vmin=0,
        vmax=2,
    )
    for line in range(1, 3):
        cells.axhline(line, color=PAPER, linewidth=3)
    for line in range(1, SECONDS):
        cells.axvline(line, color=PAPER, linewidth=1.5)
    cells.set(yticks=[0.5, 1.5, 2.5], yticklabels=names, xticks=[])
    cells.set_title("pseudo labels of one modality", loc="left", fontsize=8, color=INK)
    category = figure.add_subplot(grid[1, 0])
    frame(category)
    heights = labels.sum(axis=0) / len(names)
    category.bar(np.arange(SECONDS) + 0.5, heights, width=0.9, color=INK)
    for second, height in enumerate(heights):
        category.text(
            second + 0.5, height + 0.05, f"{height:.2f}", ha="center", fontsize=7
        )
    category.set(xlim=(0, SECONDS), ylim=(0, 1.25), yticks=[0, 1], xlabel="seconds")
    category.set_ylabel("category\nrichness")
    segment = figure.add_subplot(grid[0, 1])
    frame(segment)
    widths = labels.mean(axis=1)
    segment.barh(np.arange(3) + 0.5, widths, height=0.8, color=colours)
    for row, width in enumerate(widths):
        segment.text(width + 0.05, row + 0.5, f"{width:.1f}", va="center", fontsize=7)
    segment.set(ylim=(3, 0), xlim=(0, 1.3), xticks=[0, 1], yticks=[])
    segment.set_title("segment richness", loc="left", fontsize=8, color=INK)
    return figure


def draw_pld() -> Figure:
    """Draw the losses of one event, the bound, and the labels before and after."""
    labels = np.array([0, 0, 1, 1, 1, 0, 1, 1, 0, 1], dtype=bool)
    probability = np.array([0.05, 0.1, 0.85, 0.93, 0.95, 0.9, 0.92, 0.88, 0.08, 0.12])
    loss = -np.log(np.where(labels, probability, 1 - probability))
    bound = 10 * np.sort(loss)[:5].mean()
    flips = (loss > bound) & (loss > np.log(2))
    figure = Figure(figsize=(WIDTH, 2.7), facecolor=PAPER, layout="constrained")
    axes, before, after = figure.subplots(3, sharex=True, height_ratios=(4, 1, 1))
    frame(axes)
    centres = np.arange(SECONDS) + 0.5
    colours = [ORANGE if flip else BLUE for flip in flips]
    axes.bar(centres, loss, width=0.9, color=colours)
    axes.axhline(bound, color=INK, linestyle=":")
    axes.text(
        0.05, bound + 0.06, "bound Λ = α · mean of the K smallest losses", color=INK
    )
    axes.set(xlim=(0, SECONDS), ylabel="forward loss", ylim=(0, 1.15 * loss.max()))
    draw_lane(before, labels, BLUE, "before")
    draw_lane(after, labels ^ flips, BLUE, "after")
    for second in np.flatnonzero(flips):
        after.text(second + 0.5, 0.5, "flipped", ha="center", va="center", fontsize=7)
    for text in after.texts:
        second = int(text.get_position()[0])
        text.set_color(PAPER if (labels ^ flips)[second] else INK)
    after.set_xlabel("seconds")
    return figure


def draw_lane(axes: Axes, labels: Sequence[bool], colour: str, name: str) -> None:
    """Draw marked seconds as boxes in a lane."""
    frame(axes)
    for second, label in enumerate(labels):
        box = (second + 0.03, 0.1), 0.94, 0.8
        face = colour if label else LANE
        axes.add_patch(matplotlib.patches.Rectangle(*box, facecolor=face))
    axes.set(ylim=(0, 1), yticks=[0.5], yticklabels=[name], xticks=range(SECONDS + 1))


def frame(axes: Axes) -> None:
    """Give axes the colours of the figures and remove the lines on top and at the right."""
    axes.set_facecolor(PAPER)
    axes.tick_params(colors=INK, labelsize=7, length=2)
    axes.xaxis.label.set(color=INK, fontsize=8)
    axes.yaxis.label.set(color=INK, fontsize=8)
    for side, spine in axes.spines.items():
        spine.set(visible=side in ("left", "bottom"), color=FAINT)


# --- a video --------------------------------------------------------------------------


def draw_video(world: Path, video: str) -> Figure:
    """Draw the frames, the waveform and the events of a densely labelled video.

    Args:
        world: Folder of a rendered data set with `annotations.csv` and `media`.
        video: Id of a video of split `val` or `test`.
    """
    data = vaplan.read_data(f"table:{world / 'annotations.csv'}")
    frames, wave = decode(world / "media" / f"{video}.mp4")
    figure = Figure(figsize=(WIDTH, 3.3), facecolor=PAPER, layout="constrained")
    grid = figure.add_gridspec(4, 1, height_ratios=(2.0, 1.4, 1.5, 1.5))
    pictures = figure.add_subplot(grid[0])
    pictures.imshow(
        np.concatenate(frames, axis=1), aspect="auto", extent=(0, SECONDS, 0, 1)
    )
    pictures.set(xticks=[], yticks=[])
    sound = figure.add_subplot(grid[1])
    frame(sound)
    sound.plot(np.linspace(0, SECONDS, len(wave)), wave, color=INK, linewidth=0.3)
    sound.set(xlim=(0, SECONDS), xticks=[], yticks=[])
    for row, modality in enumerate(MODALITIES, start=2):
        draw_events(figure, grid[row], data, video, modality)
    figure.axes[-1].set_xlabel("seconds")
    figure.axes[-2].set_xticks([])
    return figure


def draw_events(
    figure: Figure,
    place: SubplotSpec,
    data: vaplan.Annotations,
    video: str,
    modality: str,
) -> None:
    """Draw the events of one modality, a lane for each class."""
    events = [event for event in data.events[video] if event.modality == modality]
    names = sorted({event.class_name for event in data.events[video]})
    axes = figure.add_subplot(place)
    frame(axes)
    for event in events:
        row = names.index(event.class_name)
        axes.barh(row, event.offset - event.onset, 0.8, event.onset, color=PALETTE[row])
    axes.set(xlim=(0, SECONDS), ylim=(len(names) - 0.4, -0.6), ylabel=modality)
    axes.set(yticks=range(len(names)), yticklabels=names)


def decode(path: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """Return one frame from the middle of each second, and every eighth sample of the sound."""
    with av.open(path) as container:
        pictures = {
            int(picture.time): picture.to_ndarray(format="rgb24")[::2, ::2]
            for picture in container.decode(video=0)
            if picture.time % 1 < 0.5
        }
    with av.open(path) as container:
        sound = [block.to_ndarray()[0] for block in container.decode(audio=0)]
    return list(pictures.values())[:SECONDS], np.concatenate(sound)[::8]


if __name__ == "__main__":
    main()
