"""Which videos come first."""

from pathlib import Path

from vaplan.annotations import Video
from vaplan.review.collection import Collection, ReviewVideo
from vaplan.review.order import disagreement, rank, uncertainty
from vaplan.timeline import Event

COMMON = [
    ReviewVideo(Video(f"common{i}"), (Event("audio", "Dog", 0.0, 1.0, 1.0),))
    for i in range(6)
]


def urgency(*videos: ReviewVideo, **others: list[Event]) -> list[float]:
    collection = Collection(Path("t.csv"), (*COMMON, *videos), ("Dog",))
    return [one.value for one in rank(collection, others)][len(COMMON) :]


def test_a_sure_event_of_a_common_class_is_not_urgent() -> None:
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
