"""ELAN (.eaf): one tier a class and modality, with the media file linked. Times are milliseconds.

The value of an annotation is the class and its score, as in `Dog [0.83]`. A tier cannot hold
overlaps, so overlapping events of one class and modality are merged.

Source: Max Planck Institute for Psycholinguistics, EAF 3.0 schema,
https://www.mpi.nl/tools/elan/EAFv3.0.xsd.
"""

import mimetypes
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from vaplan.annotations.fields import LONGEST_SECONDS
from vaplan.errors import AnnotationError, excerpt
from vaplan.exports.labels import (
    MILLISECONDS,
    Defaults,
    check_timeline,
    disjoint_lanes,
    new_timeline,
    read_tier,
    round_events,
    with_score,
)
from vaplan.reading import xml_tree
from vaplan.timeline import Event, Timeline

ROOT = "ANNOTATION_DOCUMENT"
EMPTY_TIER = "default"  # of a timeline without events
TYPE = "default-lt"
DATE = "1970-01-01T00:00:00Z"  # required; constant, so that one timeline gives one file
ATTRIBUTES = {
    "AUTHOR": "vaplan",
    "DATE": DATE,
    "FORMAT": "3.0",
    "VERSION": "3.0",
    "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
}
MIME_TYPES = {".mkv": "video/x-matroska", ".ts": "video/mp2t", ".wav": "audio/x-wav"}
FIX = "save it again in ELAN"


def write(timeline: Timeline) -> bytes:
    """Format a timeline as a document of ELAN."""
    check_timeline(timeline, "ELAN")
    lanes = disjoint_lanes(round_events(timeline, MILLISECONDS)) or {EMPTY_TIER: []}
    root = Element(ROOT, ATTRIBUTES)
    header = SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    if timeline.media is not None:
        SubElement(header, "MEDIA_DESCRIPTOR", _media(timeline.media.path))

    slots = _add_slots(root, [event for events in lanes.values() for event in events])
    numbers = count(1)
    for name, events in lanes.items():
        tier = SubElement(root, "TIER", LINGUISTIC_TYPE_REF=TYPE, TIER_ID=name)
        for event in events:
            _add_annotation(tier, event, slots, next(numbers))
    SubElement(
        root,
        "LINGUISTIC_TYPE",
        GRAPHIC_REFERENCES="false",
        LINGUISTIC_TYPE_ID=TYPE,
        TIME_ALIGNABLE="true",
    )

    indent(root)
    content: bytes = tostring(root, encoding="UTF-8", xml_declaration=True)
    return content + b"\n"


def _media(path: Path) -> dict[str, str]:
    suffix = path.suffix.lower()
    mime_type = MIME_TYPES.get(suffix) or mimetypes.types_map.get(suffix, "unknown")
    return {"MEDIA_URL": path.absolute().as_uri(), "MIME_TYPE": mime_type}


def _add_slots(root: Element, events: Sequence[Event]) -> Mapping[int, str]:
    """Add the times of events in milliseconds, in order, and return their names."""
    order = SubElement(root, "TIME_ORDER")
    times = {
        round(time * MILLISECONDS)
        for event in events
        for time in (event.onset, event.offset)
    }
    slots = dict[int, str]()
    for number, time in enumerate(sorted(times), start=1):
        slots[time] = f"ts{number}"
        SubElement(order, "TIME_SLOT", TIME_SLOT_ID=slots[time], TIME_VALUE=str(time))
    return slots


def _add_annotation(
    tier: Element, event: Event, slots: Mapping[int, str], number: int
) -> None:
    first, last = (
        slots[round(time * MILLISECONDS)] for time in (event.onset, event.offset)
    )
    annotation = SubElement(
        SubElement(tier, "ANNOTATION"),
        "ALIGNABLE_ANNOTATION",
        ANNOTATION_ID=f"a{number}",
        TIME_SLOT_REF1=first,
        TIME_SLOT_REF2=last,
    )
    value = SubElement(annotation, "ANNOTATION_VALUE")
    value.text = with_score(event.class_name, event.score)


def read(path: Path, video: str, defaults: Defaults) -> list[Timeline]:
    """Read the annotations with times; those that refer to others are left out.

    Args:
        path: File to read.
        video: Id of the video.
        defaults: Modality where neither the tier nor the value names one.

    Raises:
        AnnotationError: The file is no document of ELAN, or an annotation is no event.
    """
    root = xml_tree(path)
    if root.tag != ROOT:
        raise AnnotationError(
            f"the document is {excerpt(root.tag)}, expected {ROOT}",
            file=path,
            fix="give a file of ELAN, .eaf",
        )
    seconds = dict(_slots(root, path))
    events = list[Event]()
    for tier in root.iter("TIER"):
        name = _attribute(tier, "TIER_ID", path).strip()
        for annotation in tier.iter("ALIGNABLE_ANNOTATION"):
            onset, offset = (
                _time(annotation, f"TIME_SLOT_REF{side}", seconds, path)
                for side in (1, 2)
            )
            text = annotation.findtext("ANNOTATION_VALUE") or ""
            events += read_tier(name, text, onset, offset, defaults, file=path)
    return [new_timeline(video, events)]


def _slots(root: Element, file: Path) -> Iterator[tuple[str, float]]:
    for slot in root.iter("TIME_SLOT"):
        value = slot.get("TIME_VALUE")
        if value is None:  # a time between two others that nobody has set
            continue
        is_number = value.isascii() and value.isdecimal() and len(value) < 12
        if not is_number or int(value) > LONGEST_SECONDS * MILLISECONDS:
            raise AnnotationError(
                f"TIME_VALUE is {excerpt(value)}, expected milliseconds up to 48 hours",
                file=file,
                fix=FIX,
            )
        yield _attribute(slot, "TIME_SLOT_ID", file), int(value) / MILLISECONDS


def _time(
    annotation: Element, key: str, seconds: Mapping[str, float], file: Path
) -> float:
    slot = _attribute(annotation, key, file)
    if slot not in seconds:
        name = annotation.get("ANNOTATION_ID", "?")
        raise AnnotationError(
            f"annotation {excerpt(name)} has no time at {excerpt(slot)}",
            file=file,
            fix="set its begin and end in ELAN",
        )
    return seconds[slot]


def _attribute(element: Element, key: str, file: Path) -> str:
    value = element.get(key)
    if value is None:
        raise AnnotationError(
            f"<{element.tag}> has no attribute {key}", file=file, fix=FIX
        )
    return value
