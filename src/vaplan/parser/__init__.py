"""From a media file to its timeline: by a trained run, or at once by classes in words.

A parser is called with a path and, where they are known, the video's tags; it returns a `Timeline`.
"""

from vaplan.parser.evidence import MARGIN, STRATEGIES, Sentences, read_sentences
from vaplan.parser.prompts import PROMPTS, in_other_words
from vaplan.parser.trained import Parser, window_starts
from vaplan.parser.zero_shot import ZeroShot

__all__ = [
    "MARGIN",
    "PROMPTS",
    "STRATEGIES",
    "Parser",
    "Sentences",
    "ZeroShot",
    "in_other_words",
    "read_sentences",
    "window_starts",
]
