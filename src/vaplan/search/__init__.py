"""Search: the segments of a store that fit a sentence, and the spans of timelines by a condition.

`vectors` compares stored features with a sentence, `conditions` reads the small language of
`--where`, and `timelines` answers conditions and SQL with DuckDB.
"""
