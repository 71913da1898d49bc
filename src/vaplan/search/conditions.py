"""The language of `vaplan search --where`: conditions on events, and their SQL.

    condition = term {"or" term}
    term      = factor {"and" factor}
    factor    = "not" factor | "(" condition ")" | "video" "(" condition ")" | event
    event     = ["audio:" | "visual:"] class [("<" | "<=" | ">" | ">=") score]

A condition holds at a time: `audio:Dog and not visual:Dog` is when a dog is heard and none is seen.
`video(…)` holds during a whole video if its condition holds at some time in it. A class without a
modality is in either. A class with spaces or other signs stands in quotes: `audio:"Dog barking"`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vaplan.errors import UsageError, excerpt, unknown

MAX_CHARACTERS = 10_000
MAX_DEPTH = 50  # of nested parentheses and negations
TOKEN = re.compile(
    r"""\s*(?:
    (?P<event>(?:(?P<modality>audio|visual):)?
        (?:"(?P<quoted>(?:[^"]|"")+)"|(?P<plain>[^\s()"<>=:]+)))
    |(?P<sign>[()]|[<>]=?)
    )""",
    re.VERBOSE,
)
EXAMPLE = "write a condition such as audio:Dog and not visual:Dog"
WORDS = ("and", "or", "not", "video")

# Filled with SQL that this module makes; what a user writes is bound as parameters.
STATEMENT = """
WITH matching AS (
  SELECT * FROM (SELECT video, onset, "offset", {matches} FROM events) WHERE {some}
),
edges AS (
  SELECT video, onset AS edge FROM matching
  UNION SELECT video, "offset" FROM matching
  UNION SELECT video, 0.0 FROM videos
  UNION SELECT video, seconds FROM videos
),
parts AS (
  SELECT video, edge AS first, lead(edge) OVER (PARTITION BY video ORDER BY edge) AS last
  FROM edges
),
covered AS (
  SELECT parts.video, first, last, {covered}
  FROM parts LEFT JOIN matching ON matching.video = parts.video
    AND matching.onset <= first AND matching."offset" >= last
  WHERE last IS NOT NULL
  GROUP BY parts.video, first, last
),{whole_videos}
holding AS (SELECT video, first, last FROM {table} WHERE {expression}),
marked AS (
  SELECT *, coalesce(
    lag(last) OVER (PARTITION BY video ORDER BY first) <> first, true
  ) AS is_first
  FROM holding
),
numbered AS (
  SELECT *, sum(is_first::INTEGER) OVER (PARTITION BY video ORDER BY first) AS span
  FROM marked
)
SELECT video, min(first) AS onset, max(last) AS "offset"
FROM numbered GROUP BY video, span ORDER BY video, onset
"""

Value = str | float  # of a parameter of a statement


@dataclass(frozen=True)
class EventCondition:
    """An event of a class: in a modality, or in either; with a score, or with any."""

    class_name: str
    modality: str = ""
    comparison: str = ""
    score: float = 0.0

    def sql(self) -> tuple[str, list[Value]]:
        """Return the SQL condition on a row of events, and its parameters."""
        parts: list[str] = ["class = ?"]
        values: list[Value] = [self.class_name]
        if self.modality:
            parts.append("modality = ?")
            values.append(self.modality)
        if self.comparison:
            parts.append(f"score {self.comparison} ?")
            values.append(self.score)
        return " AND ".join(parts), values


@dataclass(frozen=True)
class Condition:
    """A condition that was read.

    Attributes:
        expression: SQL over Boolean columns `e0`, `e1` …, one for each event.
        events: The events, in the order of these columns.
        whole_videos: Conditions of `video(…)`, in the order of the columns `w0`, `w1` …;
            each may use those before it.
    """

    expression: str
    events: tuple[EventCondition, ...]
    whole_videos: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Token:
    kind: str  # "event", "word" or "sign"
    text: str
    position: int
    modality: str = ""


def read_condition(text: str) -> Condition:
    """Read a condition.

    Args:
        text: Condition in the language of the module.

    Raises:
        UsageError: The text is no condition; the error names the place.
    """
    if len(text) > MAX_CHARACTERS:
        raise UsageError(
            f"the condition has {len(text):,} characters, at most {MAX_CHARACTERS:,} "
            "are read",
            fix="write it as --sql",
        )
    reader = _Reader(text)
    expression = reader.condition(0)
    if reader.here is not None:
        raise reader.fail("and, or, or the end")
    return Condition(expression, tuple(reader.events), tuple(reader.whole_videos))


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    while text[position:].strip():
        match = TOKEN.match(text, position)
        if match is None:
            raise UsageError(
                f"{excerpt(text[position:].strip())} in the condition cannot be read",
                fix=EXAMPLE,
            )

        start = match.end() - len(match[0].lstrip())
        position = match.end()
        if match["sign"]:
            yield _Token("sign", match["sign"], start)
        elif match["plain"] and match["event"].lower() in WORDS:
            yield _Token("word", match["event"].lower(), start)
        else:
            name = match["plain"] or match["quoted"].replace('""', '"')
            yield _Token("event", name, start, match["modality"] or "")


class _Reader:
    """Reads tokens one by one, and collects events."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.events = list[EventCondition]()
        self.whole_videos = list[str]()
        self._waiting = _tokens(text)
        self.here = next(self._waiting, None)

    def condition(self, depth: int) -> str:
        return self._joined("or", self._term, depth)

    def _term(self, depth: int) -> str:
        return self._joined("and", self._factor, depth)

    def _joined(self, word: str, part: Callable[[int], str], depth: int) -> str:
        parts = [part(depth)]
        while self._take("word", word):
            parts.append(part(depth))
        return parts[0] if len(parts) == 1 else f"({f' {word.upper()} '.join(parts)})"

    def _factor(self, depth: int) -> str:
        if depth > MAX_DEPTH:
            raise UsageError(
                f"the condition is nested deeper than {MAX_DEPTH}", fix="simplify it"
            )
        if self._take("word", "not"):
            return f"NOT {self._factor(depth + 1)}"
        if self._take("word", "video"):
            if not self._take("sign", "("):
                raise self.fail("( after video")
            self.whole_videos.append(self._rest_in_parentheses(depth))
            return f"w{len(self.whole_videos) - 1}"
        if self._take("sign", "("):
            return self._rest_in_parentheses(depth)
        return self._event()

    def _rest_in_parentheses(self, depth: int) -> str:
        inner = self.condition(depth + 1)
        if not self._take("sign", ")"):
            raise self.fail("and, or, or )")
        return inner

    def _event(self) -> str:
        token = self.here
        if token is None or token.kind != "event":
            raise self.fail("a class, not, video or (")
        self._advance()

        event = EventCondition(token.text, token.modality)
        sign = self.here
        if sign is not None and sign.kind == "sign" and sign.text not in "()":
            self._advance()
            score = self._score()
            event = EventCondition(token.text, token.modality, sign.text, score)

        if event not in self.events:
            self.events.append(event)
        return f"e{self.events.index(event)}"

    def _score(self) -> float:
        token = self.here
        try:
            if token is None or token.kind != "event" or token.modality:
                raise ValueError
            score = float(token.text)
        except ValueError:
            raise self.fail("a score such as 0.5") from None
        if not abs(score) < float("inf"):
            raise self.fail("a finite score")
        self._advance()
        return score

    def _take(self, kind: str, text: str) -> bool:
        is_it = self.here is not None and (self.here.kind, self.here.text) == (
            kind,
            text,
        )
        if is_it:
            self._advance()
        return is_it

    def _advance(self) -> None:
        self.here = next(self._waiting, None)

    def fail(self, expected: str) -> UsageError:
        """Return an error with the place and the expected text."""
        place = "the end"
        if self.here is not None:
            place = excerpt(self.text[self.here.position :])
        return UsageError(
            f"the condition cannot be read at {place}, expected {expected}", fix=EXAMPLE
        )


def to_sql(condition: Condition) -> tuple[str, list[Value]]:
    """Return the statement that finds the spans of a condition.

    It reads the tables `events` (video, modality, class, onset, offset, score) and `videos`
    (video, seconds). A video is cut at the edges of the events of the condition; in each part
    the condition holds or not, and neighbouring parts in which it holds are joined.

    Args:
        condition: Condition that was read.

    Returns:
        Statement, and the parameters of its question marks.
    """
    clauses = [event.sql() for event in condition.events]
    numbered = range(len(clauses))
    table = "covered"
    whole_videos = ""
    for n, inner in enumerate(condition.whole_videos):
        whole_videos += f"""
whole{n} AS (
  SELECT *, bool_or({inner}) OVER (PARTITION BY video) AS w{n} FROM {table}
),"""
        table = f"whole{n}"
    statement = STATEMENT.format(
        matches=", ".join(
            f"coalesce({clauses[n][0]}, false) AS m{n}" for n in numbered
        ),
        some=" OR ".join(f"m{n}" for n in numbered),
        covered=", ".join(f"coalesce(bool_or(m{n}), false) AS e{n}" for n in numbered),
        whole_videos=whole_videos,
        table=table,
        expression=condition.expression,
    )
    values = [value for _, clause_values in clauses for value in clause_values]
    return statement, values


def check_classes(condition: Condition, classes: set[str], *, file: Path) -> None:
    """Check that the classes of a condition occur.

    Args:
        condition: Condition that was read.
        classes: Classes of the events.
        file: Source of the events, for errors.

    Raises:
        UsageError: A class does not occur; the error names the nearest one.
    """
    for event in condition.events:
        if event.class_name not in classes:
            raise UsageError(
                unknown("class", event.class_name, classes),
                file=file,
                fix='write a class as in the timelines, in quotes if it has spaces: "A b"',
            )
