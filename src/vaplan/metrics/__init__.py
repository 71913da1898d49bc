"""How close an estimate comes to a reference; reference first, estimate second.

`llp` has the ten official numbers of LLP and F by class, `ave` the accuracies of AVE; `iou` F at
other overlaps, `intervals` how sure a number or a difference is, `confusion` what is taken for
what, `sweep` the best threshold, `calibration` whether probabilities are honest; `torchmetric`
wraps the first two for torchmetrics.
"""
