"""Label probabilities from tags alone: a hidden Markov model of tagged videos.

A tag says that its class occurs in some segments of the video, audible, visible or both.
For each tag and modality the model has two cases. Either the class does not occur in this
modality: then all segments are absent. Or it does: then every segment is absent or present,
the states follow a Markov chain, and at least one segment is present. The two modalities of
a tag are linked, because one of them contains the class unless the tag is wrong.

The evidence of a segment is normal around the mean of its state, and the deviations of
neighbouring segments are correlated: a first-order autoregression (a Markov-switching
model). Untagged videos give the mean, the standard deviation and the correlation of absent
segments. Expectation maximisation fits the rest. The mean and the shares of a class are
shrunk towards those of all classes, because few videos cannot determine them.

Sources: Rabiner, Proceedings of the IEEE 77, 1989 (hidden Markov models); Hamilton,
Econometrica 57, 1989 (Markov switching of autoregressions); Särkkä, García-Fernández, IEEE
Transactions on Automatic Control 66, 2021 (the parallel scan). Tags as constraints, untagged
videos as absent segments and the link between the modalities are our own choice.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vaplan.arrays import MODALITIES
from vaplan.pseudo_labels.mixture import absent_distribution, transform
from vaplan.ragged import Index, Ragged

STEPS = 25  # of the fit
ABSENT_SHIFT = (
    0.25  # mean of absent segments of tagged videos; 0 is that of untagged ones
)
MIN_LIFT = 0.5  # of present above absent segments
FIRST_LIFT = 2.5
FIRST_VARIANCE = 1.3  # of present segments
MAX_VARIANCE = 6.0
WRONG_TAGS = 0.02  # share of the tags whose class occurs in no modality
MAX_CORRELATION = 0.95
PRIOR_SEGMENTS = 30.0  # of each class, around the mean of all classes
PRIOR_TAGS = 10.0
PRIOR_STEPS = ((8.5, 1.5), (1.5, 8.5))  # pairs of states of neighbouring segments
ABSENT, PRESENT = 0, 1  # states of a segment
OCCURS, NEVER = 0, 1  # cases of a modality
MAX_FIT_SEGMENTS = 400_000  # of all tags, which limits the time of the fit
GROUP_VIDEOS = 4096  # that are in memory as padded sequences at once
TINY = 1e-9

Parameter = Float[Tensor, "modality class"]


@dataclass(frozen=True)
class LabelProbability:
    """Probabilities of the labels of all videos; 0 outside the tags and the mask.

    Attributes:
        segment: Probability of each label, Float "segment modality class".
        modality: Probability that a class occurs in a modality of a video.
        wrong_tag: Probability that a tagged class occurs in no modality.
    """

    segment: Ragged[Tensor]
    modality: Float[Tensor, "video modality class"]
    wrong_tag: Float[Tensor, "video class"]


@dataclass(frozen=True)
class HiddenMarkovModel:
    """Parameters of the model.

    Means and variances are those of standardised evidence: the evidence of untagged videos
    has mean 0 and variance 1.

    Attributes:
        absent: Mean evidence of untagged videos.
        width: Standard deviation of the evidence of untagged videos.
        correlation: Correlation of neighbouring segments.
        mean: Mean of each state.
        variance: Variance of each state.
        innovation: Variance of each state, given the segment before.
        transition: Probability of the state of a segment, given that of the segment before.
        initial: Probability of each state of the first segment.
        occurrence: Probability of each pair of cases, of audio and of visual.
        log_odds: Whether the model is of the log odds of the evidence.
    """

    absent: Parameter
    width: Parameter
    correlation: Float[Tensor, " modality"]
    mean: Float[Tensor, "modality class state"]
    variance: Float[Tensor, "modality state"]
    innovation: Float[Tensor, "modality state"]
    transition: Float[Tensor, "modality state state"]
    initial: Float[Tensor, "modality class state"]
    occurrence: Float[Tensor, "class audio visual"]
    log_odds: bool = False

    def probability(
        self,
        evidence: Ragged[Tensor],
        weak_label: Bool[Tensor, "video class"],
        mask: Ragged[Tensor],
    ) -> LabelProbability:
        """Compute the probability of every label.

        Args:
            evidence: Evidence, Float "segment modality class".
            weak_label: Tags of the videos.
            mask: Segments that exist, Bool "segment modality".
        """
        videos, classes = weak_label.shape
        modality = torch.zeros(videos, len(MODALITIES), classes)
        wrong_tag = torch.zeros(videos, classes)

        def infer_group(group: Index) -> Tensor:
            exists = mask.batch(group)
            values = self.standardise(evidence.batch(group))
            tags = _arrange_by_tag(values, exists, weak_label[group])
            cases, states = _infer(self, tags)
            occurs = _occurs(cases)
            segment = torch.zeros(values.shape)
            of_group = torch.arange(videos)[group]
            wrong = cases[:, NEVER, NEVER].float()
            wrong_tag[of_group[tags.video], tags.label] = wrong
            for m, state in enumerate(states):
                present = state.of_segments()[..., PRESENT] * occurs[m][:, None]
                segment[tags.video, :, m, tags.label] = present.float()
                has_segments = state.exists.any(dim=1)
                of_tags = (occurs[m] * has_segments).float()
                modality[of_group[tags.video], m, tags.label] = of_tags
            return segment * exists[..., None]

        segment = Ragged.from_groups(evidence.lengths, infer_group, videos=GROUP_VIDEOS)
        return LabelProbability(segment, modality, wrong_tag)

    def standardise(self, evidence: Tensor) -> Float[Tensor, "*cells modality class"]:
        """Express evidence in standard deviations above the mean of untagged videos."""
        values = transform(evidence, log_odds=self.log_odds)
        return (values - self.absent) / self.width


def fit_hidden_markov_model(
    evidence: Ragged[Tensor],
    weak_label: Bool[Tensor, "video class"],
    mask: Ragged[Tensor],
    *,
    log_odds: bool = False,
) -> HiddenMarkovModel:
    """Fit the model by expectation maximisation.

    Of a large data set every second, third … video is read, so that the time is limited.

    Args:
        evidence: Evidence, Float "segment modality class".
        weak_label: Tags of the videos.
        mask: Segments that exist, Bool "segment modality".
        log_odds: Fit the log odds of the evidence, which for a softmax are closer to
            normal.

    Raises:
        RecipeError: All videos are tagged with all classes, so nothing shows the evidence
            for an absent class.
    """
    step = _sampling_step(evidence.lengths.counts, weak_label)
    if step > 1:
        videos = slice(None, None, step)
        evidence, weak_label, mask = evidence[videos], weak_label[videos], mask[videos]
    absent, width = absent_distribution(
        evidence.rows(), evidence.rows_of(weak_label), mask.rows(), log_odds=log_odds
    )
    model = _initial_model(absent, width, log_odds=log_odds)

    products = torch.zeros(3, len(MODALITIES), dtype=torch.float64)
    tags_of_groups = list[_Tags]()
    for group in evidence.lengths.groups(videos=GROUP_VIDEOS):
        values = model.standardise(evidence.batch(group))
        exists = mask.batch(group)
        products += _neighbour_products(values, exists, weak_label[group])
        tags_of_groups.append(_arrange_by_tag(values, exists, weak_label[group]))

    correlation = _correlation(products)
    innovation = (1 - correlation.square())[:, None] * model.variance
    model = replace(model, correlation=correlation, innovation=innovation)

    for _ in range(STEPS):
        statistics = _collect(model, tags_of_groups[0])
        for tags in tags_of_groups[1:]:
            statistics = statistics + _collect(model, tags)
        model = _maximise(model, statistics)
    return model


def _sampling_step(
    counts: Int[np.ndarray, " video"], weak_label: Bool[Tensor, "video class"]
) -> int:
    """Return the step between videos whose tags have `MAX_FIT_SEGMENTS` or fewer."""
    segments = int(counts @ weak_label.sum(dim=1).numpy())
    return max(1, -(-segments // MAX_FIT_SEGMENTS))


@dataclass(frozen=True)
class _Tags:
    """Tags of some videos, with the evidence for their classes.

    Attributes:
        video: Video of each tag.
        label: Class of each tag.
        sequences: Evidence per modality.
    """

    video: Int[Tensor, " tag"]
    label: Int[Tensor, " tag"]
    sequences: tuple["_Sequences", ...]


@dataclass(frozen=True)
class _Sequences:
    """Existing segments of one modality, one row a tag, padded at the end.

    Attributes:
        values: Standardised evidence.
        exists: Cells that are segments.
        order: Original position of each cell.
    """

    values: Float[Tensor, "tag time"]
    exists: Bool[Tensor, "tag time"]
    order: Int[Tensor, "tag time"]


@dataclass(frozen=True)
class _States:
    """Posterior of the states, given that the class occurs in the modality.

    Attributes:
        segment: Probability of each state of a segment.
        pair: Probability of each pair of states of neighbouring segments.
        exists: Cells that are segments.
        order: Original position of each cell.
        log_likelihood: Log likelihood of the evidence in each case.
    """

    segment: Float[Tensor, "tag time state"]
    pair: Float[Tensor, "tag step state state"]
    exists: Bool[Tensor, "tag time"]
    order: Int[Tensor, "tag time"]
    log_likelihood: Float[Tensor, "tag case"]

    def of_segments(self) -> Float[Tensor, "tag time state"]:
        """Return the probability of each state in the original order of the segments."""
        order = self.order.argsort(dim=1)[..., None].expand_as(self.segment)
        return self.segment.gather(1, order)


@dataclass(frozen=True)
class _Statistics:
    """Weighted counts and sums that determine the parameters.

    Attributes:
        first: Count, sum and sum of squares of first segments in each state.
        change: The same of each segment less `correlation` times the one before, by the
            states of both.
        initial: Count of each state of first segments, of classes that occur.
        transition: Count of each pair of states of neighbours, of classes that occur.
        occurrence: Count of each pair of cases.
    """

    first: Float[Tensor, "modality moment class state"]
    change: Float[Tensor, "modality moment class state state"]
    initial: Float[Tensor, "modality class state"]
    transition: Float[Tensor, "modality state state"]
    occurrence: Float[Tensor, "class audio visual"]

    def __add__(self, other: "_Statistics") -> "_Statistics":
        names = [field.name for field in fields(self)]
        sums = {name: getattr(self, name) + getattr(other, name) for name in names}
        return _Statistics(**sums)


def _initial_model(
    absent: Parameter, width: Parameter, *, log_odds: bool
) -> HiddenMarkovModel:
    modalities, classes = absent.shape

    def repeat(values: object, *axes: int) -> Tensor:
        tensor = torch.tensor(values, dtype=torch.float64)
        return tensor.expand(*axes, *tensor.shape).clone()

    variance = repeat([1.0, FIRST_VARIANCE], modalities)
    transition = repeat(PRIOR_STEPS, modalities)

    return HiddenMarkovModel(
        absent,
        width,
        correlation=torch.zeros(modalities, dtype=torch.float64),
        mean=repeat([ABSENT_SHIFT, FIRST_LIFT], modalities, classes),
        variance=variance,
        innovation=variance,
        transition=transition / transition.sum(dim=-1, keepdim=True),
        initial=repeat([0.5, 0.5], modalities, classes),
        occurrence=repeat([[0.5, 0.24], [0.24, WRONG_TAGS]], classes),
        log_odds=log_odds,
    )


def _neighbour_products(
    values: Float[Tensor, "video time modality class"],
    mask: Bool[Tensor, "video time modality"],
    weak_label: Bool[Tensor, "video class"],
) -> Float[Tensor, "product modality"]:
    """Sum x y, x x and y y over neighbouring segments x and y of untagged videos."""
    is_pair = mask[:, :-1] & mask[:, 1:]
    is_untagged = is_pair[..., None] & ~weak_label[:, None, None]
    x = values[:, :-1] * is_untagged
    y = values[:, 1:] * is_untagged
    return torch.stack([product.sum((0, 1, 3)) for product in (x * y, x * x, y * y)])


def _correlation(
    products: Float[Tensor, "product modality"],
) -> Float[Tensor, " modality"]:
    """Compute the correlation of neighbouring segments from the sums of their products."""
    xy, xx, yy = products
    norm = (xx * yy).sqrt().clamp(min=TINY)
    correlation: Tensor = (xy / norm).clamp(0, MAX_CORRELATION)
    return correlation


def _arrange_by_tag(
    values: Float[Tensor, "video time modality class"],
    mask: Bool[Tensor, "video time modality"],
    weak_label: Bool[Tensor, "video class"],
) -> _Tags:
    """Arrange the evidence of some videos by tag, without gaps between segments."""
    video, label = weak_label.nonzero(as_tuple=True)
    sequences = []
    for m in range(values.shape[2]):
        exists = mask[video, :, m]
        order = (~exists).to(torch.uint8).argsort(dim=1, stable=True)
        of_tags = values[video, :, m, label].gather(1, order)
        sequences.append(_Sequences(of_tags, exists.gather(1, order), order))
    return _Tags(video, label, tuple(sequences))


def _occurs(
    cases: Float[Tensor, "tag audio visual"],
) -> Float[Tensor, "modality tag"]:
    """Compute the probability that each class occurs in each modality."""
    return torch.stack([cases[:, OCCURS].sum(dim=1), cases[:, :, OCCURS].sum(dim=1)])


def _infer(
    model: HiddenMarkovModel, tags: _Tags
) -> tuple[Float[Tensor, "tag audio visual"], list[_States]]:
    """Infer the pair of cases of each tag, and the states of each modality."""
    states = [
        _infer_states(model, sequences, m, tags.label)
        for m, sequences in enumerate(tags.sequences)
    ]
    audio, visual = (one.log_likelihood for one in states)
    prior = model.occurrence.clamp(min=TINY).log()[tags.label]
    joint = prior + audio[:, :, None] + visual[:, None, :]
    return joint.flatten(1).softmax(dim=1).view_as(joint), states


def _infer_states(
    model: HiddenMarkovModel,
    sequences: _Sequences,
    modality: int,
    label: Int[Tensor, " tag"],
) -> _States:
    """Infer the states of one modality by the forward-backward algorithm."""
    values, exists = sequences.values, sequences.exists
    has_step = exists[:, 1:]
    mean = model.mean[modality, label]
    correlation = model.correlation[modality]

    start = _log_normal(values[:, :1] - mean, model.variance[modality])
    start = start * exists[:, :1]

    change = values[:, 1:] - correlation * values[:, :-1]
    expected = mean[:, None, :] - correlation * mean[:, :, None]
    error = change[..., None, None] - expected[:, None]
    emission = _log_normal(error, model.innovation[modality])

    initial = model.initial[modality, label].log()
    transition = model.transition[modality].log()
    step = emission + transition
    step_or_identity = torch.where(has_step[..., None, None], step, _LOG_IDENTITY)

    forward, backward = _scan(initial + start, step_or_identity)
    total = forward[:, -1].logsumexp(dim=1)
    segment = (forward + backward - total[:, None, None]).exp()
    pair = forward[:, :-1, :, None] + step + backward[:, 1:, None, :]
    pair = (pair - total[:, None, None, None]).exp() * has_step[..., None, None]

    # The chain may also be absent throughout, which is the other case: condition on a
    # present segment.
    never = start[:, ABSENT] + (emission[..., ABSENT, ABSENT] * has_step).sum(dim=1)
    prior = initial[:, ABSENT] + has_step.sum(dim=1) * transition[ABSENT, ABSENT]
    share = (never + prior - total).exp().clamp(max=1 - TINY)[:, None]
    present = (segment[..., PRESENT] / (1 - share)).clamp(max=1)
    pair[..., ABSENT, ABSENT] -= share * has_step
    pair = (pair / (1 - share)[..., None, None]).clamp(min=0)
    occurs = total + (1 - share[:, 0]).log() - (1 - prior.exp()).log()
    cases = torch.stack([occurs, never], dim=1)

    return _States(
        torch.stack([1 - present, present], dim=-1),
        pair,
        exists,
        sequences.order,
        log_likelihood=cases * exists[:, :1],
    )


_LOG_IDENTITY = torch.eye(2, dtype=torch.float64).log()


def _log_normal(error: Tensor, variance: Tensor) -> Tensor:
    """Compute the log density without the constant."""
    log_density: Tensor = -(error.square() / variance + variance.log()) / 2
    return log_density


def _scan(
    start: Float[Tensor, "tag state"], step: Float[Tensor, "tag step state state"]
) -> tuple[Float[Tensor, "tag time state"], Float[Tensor, "tag time state"]]:
    """Compute the forward and backward messages of all segments in log2(time) rounds."""
    prefix = _products(step)
    forward = (start[:, None, :, None] + prefix).logsumexp(dim=2)
    forward = torch.cat([start[:, None], forward], dim=1)
    suffix = _products(step.flip(1).mT).flip(1).mT
    backward = suffix.logsumexp(dim=3)
    backward = torch.cat([backward, torch.zeros_like(start)[:, None]], dim=1)
    return forward, backward


def _products(
    step: Float[Tensor, "tag step state state"],
) -> Float[Tensor, "tag step state state"]:
    """Multiply each matrix by all before it, in logarithms."""
    products = step
    reach = 1
    while reach < products.shape[1]:
        left, right = products[:, :-reach], products[:, reach:]
        terms = left[..., :, :, None] + right[..., None, :, :]
        longer = torch.logaddexp(terms[..., :, 0, :], terms[..., :, 1, :])
        products = torch.cat([products[:, :reach], longer], dim=1)
        reach *= 2
    return products


def _collect(model: HiddenMarkovModel, tags: _Tags) -> _Statistics:
    """Collect the statistics of some tags under the posterior of the model."""
    cases, states = _infer(model, tags)
    occurs = _occurs(cases)
    classes = len(model.occurrence)

    def by_class(values: Tensor) -> Tensor:
        total = torch.zeros(classes, *values.shape[1:], dtype=torch.float64)
        return total.index_add(0, tags.label, values)

    parts: dict[str, list[Tensor]] = {name: [] for name in _PER_MODALITY}
    for m, (sequences, posterior) in enumerate(
        zip(tags.sequences, states, strict=True)
    ):
        exists = posterior.exists.double()
        has_step = exists[:, 1:, None, None]
        first = posterior.segment[:, 0] * (occurs[m] * exists[:, 0])[:, None]
        pair = posterior.pair * occurs[m][:, None, None, None]
        parts["initial"].append(by_class(first))
        parts["transition"].append(pair.sum(dim=(0, 1)))
        first = _add_absent(first, (1 - occurs[m]) * exists[:, 0])
        pair = pair.clone()
        pair[..., ABSENT, ABSENT] += (1 - occurs[m])[:, None] * has_step[..., 0, 0]
        value = sequences.values[:, :1]
        moments = [first, first * value, first * value.square()]
        parts["first"].append(torch.stack([by_class(one) for one in moments]))
        change = (
            sequences.values[:, 1:] - model.correlation[m] * sequences.values[:, :-1]
        )
        change = change[..., None, None]
        moments = [pair, pair * change, pair * change.square()]
        parts["change"].append(
            torch.stack([by_class(one.sum(dim=1)) for one in moments])
        )
    stacked = {name: torch.stack(tensors) for name, tensors in parts.items()}
    return _Statistics(**stacked, occurrence=by_class(cases))


_PER_MODALITY = ("first", "change", "initial", "transition")


def _add_absent(first: Tensor, weight: Tensor) -> Tensor:
    return torch.stack([first[:, ABSENT] + weight, first[:, PRESENT]], dim=1)


def _maximise(model: HiddenMarkovModel, statistics: _Statistics) -> HiddenMarkovModel:
    """Return the model with the parameters that fit the statistics best."""
    count = statistics.transition + torch.tensor(PRIOR_STEPS, dtype=torch.float64)
    mean = _fit_means(model, statistics)
    variance, innovation = _fit_variances(model, statistics, mean)
    return replace(
        model,
        mean=mean,
        variance=variance,
        innovation=innovation,
        transition=count / count.sum(dim=-1, keepdim=True),
        initial=_shares(statistics.initial, axes=(-1,)),
        occurrence=_fit_occurrence(statistics.occurrence),
    )


def _shares(count: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Compute the shares of each class, shrunk towards those of all classes together."""
    class_axis = -1 - len(axes)
    total = count.sum(dim=class_axis, keepdim=True)
    of_all = total / total.sum(dim=axes, keepdim=True).clamp(min=TINY)
    smoothed = count + PRIOR_TAGS * of_all + TINY
    return smoothed / smoothed.sum(dim=axes, keepdim=True)


def _fit_occurrence(
    count: Float[Tensor, "class audio visual"],
) -> Float[Tensor, "class audio visual"]:
    """Compute the share of each pair of cases; that of wrong tags is fixed."""
    share = _shares(count, axes=(-2, -1))
    share[:, NEVER, NEVER] = 0
    share = (1 - WRONG_TAGS) * share / share.sum(dim=(1, 2), keepdim=True)
    share[:, NEVER, NEVER] = WRONG_TAGS
    return share


def _fit_means(
    model: HiddenMarkovModel, statistics: _Statistics
) -> Float[Tensor, "modality class state"]:
    """Fit the means of present segments by weighted least squares; absent ones are fixed."""
    count, total, _ = statistics.first.unbind(1)
    variance = model.variance[:, None]
    weight = count[..., PRESENT] / variance[..., PRESENT]
    product = total[..., PRESENT] / variance[..., PRESENT]
    count, total, _ = statistics.change.unbind(1)
    state = torch.eye(2, dtype=torch.float64)
    correlation = model.correlation[:, None, None, None]
    coefficient = state - correlation * state[:, None]  # modality before after state
    of_absent, of_present = coefficient[:, None].unbind(-1)
    precision = 1 / model.innovation[:, None, None]
    rest = total - of_absent * ABSENT_SHIFT * count
    weight = weight + (of_present.square() * precision * count).sum(dim=(2, 3))
    product = product + (of_present * precision * rest).sum(dim=(2, 3))
    tags = statistics.occurrence.sum(dim=(1, 2))
    of_all = model.mean[..., PRESENT] @ tags / tags.sum()
    present = (product + PRIOR_SEGMENTS * of_all[:, None]) / (weight + PRIOR_SEGMENTS)
    present = present.clamp(min=ABSENT_SHIFT + MIN_LIFT)
    return torch.stack([torch.full_like(present, ABSENT_SHIFT), present], dim=-1)


def _fit_variances(
    model: HiddenMarkovModel,
    statistics: _Statistics,
    mean: Float[Tensor, "modality class state"],
) -> tuple[Float[Tensor, "modality state"], Float[Tensor, "modality state"]]:
    """Fit the variances of present segments; they are at least those of absent ones."""
    variance, innovation = model.variance.clone(), model.innovation.clone()
    moments = statistics.first[..., PRESENT].unbind(1)
    ratio = _mean_square(moments, mean[..., PRESENT], axes=1)
    variance[:, PRESENT] = ratio.clamp(1, MAX_VARIANCE)
    moments = statistics.change[..., PRESENT].unbind(1)
    expected = mean[..., PRESENT, None] - model.correlation[:, None, None] * mean
    ratio = _mean_square(moments, expected, axes=(1, 2)) / innovation[:, ABSENT]
    innovation[:, PRESENT] = innovation[:, ABSENT] * ratio.clamp(1, MAX_VARIANCE)
    return variance, innovation


def _mean_square(
    moments: tuple[Tensor, ...], expected: Tensor, axes: int | tuple[int, ...]
) -> Float[Tensor, " modality"]:
    """Compute the mean square distance from the expected values."""
    count, total, squares = moments
    distance = squares - 2 * expected * total + expected.square() * count
    return distance.sum(dim=axes) / count.sum(dim=axes).clamp(min=TINY)
