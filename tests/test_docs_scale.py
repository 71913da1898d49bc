"""The tables of docs/scale.md are those that the committed script computes."""

import runpy
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "bench_scale.py"


def test_the_tables_are_those_of_the_script() -> None:
    script = runpy.run_path(str(SCRIPT))
    tables = script["make_tables"](script["VIDEOS"])
    page = script["PAGE"].read_text()
    assert set(tables) == {"inputs", "plan"}
    for name, table in tables.items():
        begin, end = script["BEGIN"].format(name), script["END"].format(name)
        _, _, rest = page.partition(begin)
        assert rest.partition(end)[0] == table
