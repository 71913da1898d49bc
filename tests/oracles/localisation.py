"""The losses of localisation restated label by label, for one label a segment or one a video.

Source: Tian, Shi, Li, Duan, Xu, ECCV 2018; Xia, Zhao, CVPR 2022 (CMBS), and the code published with them.
"""

import math


def video_label(prediction, target):
    def of_video(v):
        named = classes(target.weak[v])
        return crossed(
            softmax(prediction.video_logit[v].tolist()),
            even(named, prediction.video_logit.shape[1]),
        )

    return mean(of_video(v) for v in existing(prediction))


def video_label_official(prediction, target):
    def of_video(v):
        return soft_margin(
            softmax(prediction.video_logit[v].tolist()), classes(target.weak[v])
        )

    return mean(of_video(v) for v in existing(prediction))


def segment_label(prediction, target):
    def of_segment(v, t):
        predicted = prediction.segment_log[v, t].exp().tolist()
        return crossed(predicted, even(together(target, v, t), len(predicted)))

    return per_video(prediction, of_segment)


def segment_label_official(prediction, target):
    def of_segment(v, t):
        return soft_margin(
            prediction.segment_log[v, t].exp().tolist(), together(target, v, t)
        )

    return per_video(prediction, of_segment)


def event_and_class(prediction, target):
    def of_gate(v, t):
        gate = prediction.gate[v, t].item()
        return -math.log(gate if together(target, v, t) else 1 - gate)

    def of_class(v, logits):
        named = [c for t in segments(prediction, v) for c in together(target, v, t)]
        share = (
            [named.count(c) / len(named) for c in range(len(logits[v]))]
            if named
            else None
        )
        return crossed(softmax(logits[v].tolist()), share) if named else None

    classed = [
        [of_class(v, logits) for v in existing(prediction)]
        for logits in prediction.class_logits
    ]
    return (
        event(prediction, target)
        + per_video(prediction, of_gate)
        + sum(mean(row) for row in classed)
    )


def event_and_class_official(prediction, target):
    def of_gate(v, t):
        return of_logit(prediction.gate[v, t].item(), bool(together(target, v, t)))

    def of_class(v, logits):
        index = max(
            min(together(target, v, t), default=0)
            for t in range(target.pseudo.shape[1])
            if exists(prediction, v, t)
        )
        return -math.log(softmax(logits[v].tolist())[index])

    classed = [
        [of_class(v, logits) for v in existing(prediction)]
        for logits in prediction.class_logits
    ]
    return (
        event(prediction, target)
        + per_video(prediction, of_gate)
        + sum(mean(row) for row in classed)
    )


def event(prediction, target):
    return per_video(
        prediction,
        lambda v, t: of_logit(
            prediction.event_logit[v, t].item(), bool(together(target, v, t))
        ),
    )


def together(target, v, t):
    """Return the classes that are both audible and visible in a segment."""
    audible, visible = target.pseudo[v, t].tolist()
    return [c for c, both in enumerate(zip(audible, visible, strict=True)) if all(both)]


def classes(row):
    return [c for c, marked in enumerate(row.tolist()) if marked]


def even(named, labels):
    """A share of 1 among the named classes, or all of it to background, the last label."""
    named = named or [labels - 1]
    return [1 / len(named) if label in named else 0.0 for label in range(labels)]


def crossed(probability, share):
    return -sum(w * math.log(p) for p, w in zip(probability, share, strict=True) if w)


def soft_margin(score, named):
    named = named or [len(score) - 1]
    return mean(of_logit(s, label in named) for label, s in enumerate(score))


def of_logit(logit, wanted):
    return math.log(1 + math.exp(logit)) - logit * wanted


def softmax(logits):
    total = sum(math.exp(x) for x in logits)
    return [math.exp(x) / total for x in logits]


def exists(prediction, v, t):
    return all(prediction.mask[v, t].tolist())


def segments(prediction, v):
    return [t for t in range(prediction.mask.shape[1]) if exists(prediction, v, t)]


def existing(prediction):
    return [v for v in range(len(prediction.mask)) if segments(prediction, v)]


def per_video(prediction, loss):
    return mean(
        mean(loss(v, t) for t in segments(prediction, v)) for v in existing(prediction)
    )


def mean(values):
    kept = [value for value in values if value is not None]
    return sum(kept) / len(kept) if kept else 0.0
