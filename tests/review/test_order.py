"""The order of the videos."""

from pathlib import Path

from vaplan.annotations import Video
from vaplan.review.collection import Collection, ReviewVideo
from vaplan.review.order import disagreement, rank, suggest_videos, uncertainty
from vaplan.review.session import open_session
from vaplan.timeline import Event

COMMON = [
    ReviewVideo(Video(f"common{i}"), (Event("audio", "Dog", 0.0, 1.0, 1.0),))
    for i in range(6)
]


def urgency(*videos: ReviewVideo, **others: list[Event]) -> list[float]:
    collection = Collection(Path("t.csv"), (*COMMON, *videos), ("Dog",))
    return [one.value for one in rank(collection, others)][len(COMMON) :]


def test_a_confident_event_of_a_common_class_is_not_urgent() -> None:
    assert urgency(COMMON[0]) == [0.0]


def test_a_score_of_one_half_is_most_uncertain() -> None:
    def dog(score: float) -> ReviewVideo:
        return ReviewVideo(Video("v"), (Event("audio", "Dog", 0.0, 1.0, score),))

    assert urgency(dog(0.5), dog(0.25), dog(0.0)) == [1.0, 0.5, 0.0]
    assert uncertainty([Event("audio", "Dog", 0.0, 1.0, 5.5)]) == 0.0  # a margin


def test_an_empty_result_is_urgent_and_more_so_with_tags() -> None:
    tagged = ReviewVideo(Video("v", tags=("Dog",)))
    assert urgency(tagged, ReviewVideo(Video("w"))) == [1.0, 0.6]


def test_a_class_of_few_videos_is_rare() -> None:
    bell = ReviewVideo(Video("v"), (Event("audio", "Bell", 0.0, 1.0, 1.0),))
    assert urgency(bell) == [1.0]
    assert urgency(bell, bell) == [0.5, 0.5]


def test_methods_that_disagree_are_urgent() -> None:
    video = ReviewVideo(Video("v"), (Event("audio", "Dog", 0.0, 2.0, 1.0),))
    assert urgency(video, v=[Event("audio", "Dog", 0.0, 2.0)]) == [0.0]
    assert urgency(video, v=[Event("audio", "Dog", 0.0, 1.0)]) == [0.5]
    assert urgency(video, v=[Event("visual", "Dog", 0.0, 2.0)]) == [1.0]
    assert disagreement([], []) == 0.0


def test_reasons_are_named_the_largest_first() -> None:
    video = ReviewVideo(Video("v"), (Event("audio", "Bell", 0.0, 1.0, 0.75),))
    collection = Collection(Path("t.csv"), (*COMMON, video), ("Bell", "Dog"))
    reasons = rank(collection)[-1].reasons
    assert reasons == ("rare class Bell", "uncertain score (0.50)")


def test_finished_videos_are_not_suggested_and_the_most_urgent_comes_first(
    tmp_path: Path,
) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(
        "video,modality,class,onset,offset,score\n"
        "sure,audio,Dog,0,1,0.99\nunsure,audio,Dog,0,1,0.5\ndone,audio,Dog,0,1,0.5\n"
    )
    with open_session(table) as session:
        done = session.collection.by_name()["done"]
        session.change(done, [], version=0, state="done", action="finish")
    suggestions = suggest_videos(table, top=5)
    assert [one.video for one in suggestions] == ["unsure", "sure"]
    assert suggestions[0].as_json()["reasons"][0] == "uncertain score (1.00)"
    assert [one.video for one in suggest_videos(table, top=1)] == ["unsure"]
    other = tmp_path / "other.csv"
    other.write_text(
        "video,modality,class,onset,offset\nsure,visual,Dog,3,4\nunsure,audio,Dog,0,1\n"
    )
    compared = {
        one.video: one.urgency.reasons
        for one in suggest_videos(table, top=5, compare=other)
    }
    assert "methods disagree on 100% of the seconds" in compared["sure"]
    assert not any("disagree" in reason for reason in compared["unsure"])
