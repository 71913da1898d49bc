"""The two modalities: their places on the axis of that name, and their names. Imports nothing, so
anything may."""

AUDIO, VISUAL = 0, 1
MODALITIES = ("audio", "visual")  # the names, in index order
