"""The objectives of the shipped recipes."""

from vaplan.recipe import read

HAN_OBJECTIVE, PLG_OBJECTIVE, SEGMENT_OBJECTIVE, PLE_OBJECTIVE = (
    read(name).losses for name in ("han", "plg", "segment_bce", "ple")
)
