"""Figures have every name, every event at its time, and missing spans."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from vaplan import plots
from vaplan.taxonomy import LLP, Taxonomy
from vaplan.timeline import Event, Timeline

DOG = Event("audio", "Dog", 2.0, 5.0, 0.8)
CAR = Event("visual", "Car", 0.0, 10.0)
LANES = {
    "reference": Timeline("v1", 10.0, (DOG, CAR)),
    "HAN": Timeline("v1", 10.0, (CAR,), missing=(("audio", 6.0, 9.0),)),
}
EVENTS = st.builds(
    lambda name, onset, length: Event(
        "audio", name, float(onset), float(onset + length)
    ),
    st.sampled_from("abcde"),
    st.integers(0, 8),
    st.integers(1, 4),
)


def words(figure: Figure) -> set[str]:
    figure.savefig(
        io.BytesIO(), format="png"
    )  # texts that cannot be drawn raise an error
    return {text.get_text() for text in figure.findobj(Text)}


def bars(figure: Figure, panel: int, colour: str) -> list[tuple[float, float]]:
    boxes = [p for p in figure.axes[panel].patches if isinstance(p, Rectangle)]
    drawn = [box for box in boxes if box.get_facecolor() == colour_of(colour)]
    return [(box.get_x(), box.get_x() + box.get_width()) for box in drawn]


def colour_of(code: str) -> tuple[float, ...]:
    return (*(int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)), 1.0)


def test_a_figure_of_timelines_names_every_method_class_and_modality():
    assert {
        "reference",
        "HAN",
        "Dog",
        "Car",
        "Audio",
        "Visual",
        "v1",
        "seconds",
    } <= words(plots.plot(LANES))


def test_events_are_drawn_at_their_times_in_the_panel_of_their_modality():
    figure = plots.plot(LANES, taxonomy=Taxonomy(("Dog", "Car")))
    assert bars(figure, 0, plots.PALETTE[0]) == [(2.0, 5.0)]
    assert bars(figure, 1, plots.PALETTE[1]) == [(0.0, 10.0), (0.0, 10.0)]


def test_missing_spans_are_hatched_and_explained():
    figure = plots.plot(LANES)
    hatched = [[p for p in panel.patches if p.get_hatch()] for panel in figure.axes]
    assert [(p.get_x(), p.get_width()) for p in hatched[0]] == [(6.0, 3.0)]
    assert hatched[1] == []
    assert "no audio or video" in words(figure)


def test_one_timeline_needs_no_mapping():
    figure = plots.plot(LANES["reference"])
    assert bars(figure, 0, plots.class_colours([LANES["reference"]])["Dog"]) == [
        (2.0, 5.0)
    ]


def test_labels_have_one_panel_in_which_events_of_both_modalities_are_drawn_once():
    both = tuple(Event(modality, "Dog", 2.0, 5.0) for modality in ("audio", "visual"))
    lanes = {
        "reference": Timeline("v1", 10.0, both),
        "PL-V": Timeline("v1", 10.0, both[1:]),
    }
    figure = plots.plot_labels(lanes, taxonomy=Taxonomy(("Dog",)))
    assert len(figure.axes) == 1
    assert bars(figure, 0, plots.PALETTE[0]) == [(2.0, 5.0), (2.0, 5.0)]


def test_a_video_without_events_is_drawn_too():
    assert "silence" in words(plots.plot(Timeline("silence", 0.0)))


def test_a_figure_without_timelines_is_refused():
    with pytest.raises(ValueError, match="no timeline to plot"):
        plots.plot({})


@pytest.mark.parametrize(
    "name", ["$x^$", "_hidden", r"\frac", "a\nb\x00c", "<b>&amp;", "x" * 300, "\ud800"]
)
def test_no_class_or_method_name_breaks_a_figure(name):
    event = Event("audio", name, 0.0, 9.0)
    shown = words(plots.plot({name: Timeline(name, 10.0, (event,))}))
    assert any(
        text and name.startswith(text.split("\N{REPLACEMENT CHARACTER}")[0].rstrip("…"))
        for text in shown
    )
    words(plots.plot_class_scores({name: {name: 50.0}}, title=name))
    words(plots.plot_training_curves({name: [{"epoch": 0, "loss": 1.0}]}))


def test_the_same_timelines_give_the_same_picture():
    def drawn() -> bytes:
        plots.plot(LANES).savefig(stream := io.BytesIO(), format="png")
        return stream.getvalue()

    assert drawn() == drawn()


def test_every_class_of_the_data_set_has_a_colour_of_its_own():
    colours = plots.class_colours([], LLP)
    assert len(set(colours.values())) == len(LLP)


def test_a_taxonomy_keeps_colours_between_figures():
    taxonomy = Taxonomy(("Car", "Cat", "Dog"))
    one = plots.class_colours([Timeline("v", 5.0, (DOG,))], taxonomy)
    other = plots.class_colours([Timeline("w", 5.0, (CAR, DOG))], taxonomy)
    assert one["Dog"] == other["Dog"]


@given(st.lists(EVENTS, max_size=12))
def test_packing_keeps_every_event_and_overlaps_no_two_classes(events):
    rows = plots.arrange_rows(events)
    assert sorted(event for row in rows for event in row) == sorted(events)
    for row in rows:
        clashes = [(a, b) for a in row for b in row if a.class_name != b.class_name]
        assert all(a.offset <= b.onset or b.offset <= a.onset for a, b in clashes)


@given(st.lists(EVENTS, max_size=12))
def test_a_class_has_one_row(events):
    homes = [{event.class_name for event in row} for row in plots.arrange_rows(events)]
    assert sum(map(len, homes)) == len({event.class_name for event in events})


@settings(max_examples=20)
@given(st.from_regex("#[0-9a-f]{6}", fullmatch=True))
def test_names_on_bars_are_readable_on_any_colour(colour):
    def luminance(code: str) -> float:
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
            for c in colour_of(code)[:3]
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(colour), luminance(plots.text_colour(colour))))
    assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2, level AA


def test_training_curves_show_each_epoch_of_each_method():
    history = [{"epoch": 0, "loss": 2.0, "validation": 40.0}, {"epoch": 1, "loss": 1.0}]
    figure = plots.plot_training_curves({"HAN": history, "PLE": history[:1]})
    loss, val = (
        [line.get_xydata().tolist() for line in panel.lines] for panel in figure.axes
    )
    assert loss == [[[0, 2], [1, 1]], [[0, 2]]]
    assert val == [[[0, 40]], [[0, 40]]]
    assert {"HAN", "PLE"} <= words(figure)


def test_training_without_validation_has_one_panel():
    assert (
        len(plots.plot_training_curves({"HAN": [{"epoch": 0, "loss": 2.0}]}).axes) == 1
    )


def test_classes_are_sorted_by_f_with_the_best_first():
    figure = plots.plot_class_scores(
        {"PLG": {"Dog": 20.0, "Cat": 90.0}, "PLD": {"Dog": 30.0}}, title="Visual"
    )
    panel = figure.axes[0]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["Cat", "Dog"]
    assert sorted(bar.get_width() for bar in panel.patches) == [20.0, 30.0, 90.0]
    assert {"PLG", "PLD", "Visual"} <= words(figure)


def test_all_classes_of_the_data_set_fit_a_figure():
    scores = {name: float(3 * c) for c, name in enumerate(LLP.classes)}
    assert set(LLP.classes) <= words(
        plots.plot_class_scores({"PLG": scores, "PLD": scores}, title="F")
    )


def test_a_curve_has_every_mean_at_its_setting_and_a_bar_as_long_as_its_spread():
    figure = plots.plot_curves(
        {"F": [(1.0, 50.0, 2.0), (100.0, 60.0, 0.5)]}, x_label="α", y_label="percent"
    )
    panel = figure.axes[0]
    assert [(x, y) for x, y in panel.lines[0].get_xydata().tolist()] == [
        (0.0, 50.0),
        (1.0, 60.0),
    ]
    assert [label.get_text() for label in panel.get_xticklabels()] == ["1", "100"]
    (bars,) = panel.collections
    assert [(low, high) for (_, low), (_, high) in bars.get_segments()] == [
        (48.0, 52.0),
        (59.5, 60.5),
    ]
    assert {"α", "percent", "F"} <= words(figure)


def test_a_curve_has_no_point_at_a_missing_setting():
    figure = plots.plot_curves(
        {"A": [(1.0, 5.0, 0.0), (2.0, 6.0, 0.0)], "B": [(2.0, 7.0, 0.0)]},
        x_label="K",
        y_label="F",
    )
    curves = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [[round(x) for x, _ in line.get_xydata().tolist()] for line in curves] == [
        [0, 1],
        [1],
    ]
