"""SubRip captions (SRT) such as `[dog barking]`, for players; they cannot be read back.

The format has no escapes: an arrow in a class is shown as `->`, and markup is left as it is.
"""

from vaplan.exports.labels import MILLISECONDS, check_timeline, in_order, round_events
from vaplan.exports.webvtt import ARROW, caption, format_time
from vaplan.timeline import Timeline


def write(timeline: Timeline) -> str:
    """Format a timeline as SubRip captions: audible events in brackets, visible in parentheses."""
    check_timeline(timeline, "SRT")
    blocks = []
    events = in_order(round_events(timeline, MILLISECONDS))
    for number, event in enumerate(events, start=1):
        onset, offset = (
            format_time(time, point=",") for time in (event.onset, event.offset)
        )
        text = caption(event).replace(ARROW, "->")
        blocks.append(f"{number}\n{onset} {ARROW} {offset}\n{text}\n")
    return "\n".join(blocks)
