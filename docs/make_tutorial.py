"""Run every command and example of docs/tutorial.md, and write their outputs and pictures.

    python docs/make_tutorial.py --work FOLDER

The output of a block of commands replaces the block of text that follows it. Finished commands of
an earlier run in the same folder are repeated, except for the demo, which continues.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from pictures import draw_video

PAGE = Path(__file__).parent / "tutorial.md"
IMAGES = PAGE.parent / "images" / "tutorial"
BLOCK = re.compile(r"```(?P<language>\w+)\n(?P<code>.*?)```\n", flags=re.DOTALL)
FILES = {"yaml": "classes.yaml", "csv": "corrections.csv"}
COLUMNS = 92
PROGRESS = "━"
EXAMPLE = "1-test-00002"
OUTPUTS = ("run", "runs", "timelines", "first")


def main() -> None:
    """Run the page and write it again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("tutorial"))
    work = parser.parse_args().work
    work.mkdir(parents=True, exist_ok=True)
    for name in OUTPUTS:
        shutil.rmtree(work / name, ignore_errors=True)
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(run_page(page, work), encoding="utf-8")
    draw_video(work / "demo" / "data", EXAMPLE).savefig(work / "video.png", dpi=90)
    copy_pictures(page, work)


def run_page(page: str, work: Path) -> str:
    """Return the page with the outputs of its blocks, which are run in their order."""
    output = ""
    parts = []
    position = 0
    for block in BLOCK.finditer(page):
        language, code = block["language"], block["code"]
        parts.append(page[position : block.start()])
        position = block.end()
        if language == "text":
            parts.append(f"```text\n{output.strip(chr(10))}\n```\n")
            continue
        parts.append(block[0])
        if language in FILES:
            (work / FILES[language]).write_text(code, encoding="utf-8")
        else:
            output = "".join(run(command, work) for command in commands(language, code))
    return "".join([*parts, page[position:]])


def commands(language: str, code: str) -> list[list[str]]:
    """Return the commands of a block, with the arguments that start them here."""
    if language == "python":
        return [[sys.executable, "-c", code]]
    lines = code.replace("\\\n", " ").splitlines()
    split = [shlex.split(line, comments=True) for line in lines if line]
    return [[sys.executable, "-m", *words] for words in split]


def expand(words: list[str], work: Path) -> list[str]:
    """Replace words with `*` by the paths that they match, as a shell does."""
    paths = list[str]()
    for word in words:
        matches = sorted(work.glob(word)) if "*" in word else []
        paths += [str(path.relative_to(work)) for path in matches] or [word]
    return paths


def run(command: list[str], work: Path) -> str:
    """Return what a command prints, without its progress."""
    print("$", *command[1:4], "…", flush=True)
    done = subprocess.run(
        expand(command, work),
        cwd=work,
        env=os.environ | {"COLUMNS": str(COLUMNS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\nexit code {done.returncode}: {command}")
    lines = [line.rstrip() for line in done.stdout.splitlines() if PROGRESS not in line]
    return "".join(f"{line}\n" for line in lines)


def copy_pictures(page: str, work: Path) -> None:
    """Copy the pictures that the page shows from the folder of work."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name in re.findall(r"images/tutorial/([\w-]+\.png)", page):
        shutil.copy(work / name, IMAGES / name)


if __name__ == "__main__":
    main()
