"""Metrics of an estimate against a reference; the reference is the first argument.

- `llp`: the ten official numbers of LLP, and F of each class.
- `ave`: the segment accuracies of AVE.
- `iou`: event F at other overlaps than 0.5.
- `intervals`: bootstrap intervals of a score or of a difference of scores.
- `confusion`: confusion of classes and of modalities.
- `sweep`: the best threshold.
- `calibration`: calibration error and Brier score of probabilities.
- `torchmetric`: `llp` and `ave` as `torchmetrics.Metric`.
"""
