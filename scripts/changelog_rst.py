"""Prints CHANGELOG.rst, which bloom reads, from CHANGELOG.md: python scripts/changelog_rst.py > CHANGELOG.rst"""

import re
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "CHANGELOG.md"
TITLE = "Changelog for package emotion_ros"
NOTE = "* ``CHANGELOG.md`` has the tables of renamed and removed names."


def changelog(text):
    """Return the versions and their features. The tables are left out: bloom reads lists only."""
    lines = ["^" * len(TITLE), TITLE, "^" * len(TITLE)]
    for version in re.split(r"^## ", text, flags=re.M)[1:]:
        heading, _, body = version.partition("\n")
        heading = "Forthcoming" if heading.endswith("(unreleased)") else heading
        features, *others = re.split(r"^### .*\n", body, flags=re.M)[1:]
        lines += ["", heading, "-" * len(heading), *map(restructured, features.strip().splitlines())]
        lines += [NOTE] if others else []
    return "\n".join(lines) + "\n"


def restructured(line):
    """Return a line of a list of Markdown as reStructuredText."""
    line = re.sub(r"\[([^]]+)\]\(([^)]+)\)", r"\1 (\2)", line)
    return re.sub(r"`([^`]+)`", r"``\1``", re.sub(r"^- ", "* ", line))


if __name__ == "__main__":
    print(changelog(SOURCE.read_text()), end="")
