"""docs/benchmarks.md: one section for each benchmark, replaced as a whole by its next run."""

import re
from statistics import median

from .machine import ROOT, say

FILE = ROOT / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Written by `scripts/bench` from its own runs: every figure here is a measurement of the command that is
named with it. On a machine that others use too, read ratios and not absolutes.
"""


def write(name, title, command, section):
    """Puts a section into the file and prints it."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    section = f"{begin}\n## {title}\n\n`{command}`\n\n{section.strip()}\n{end}\n"
    text = FILE.read_text() if FILE.exists() else HEAD
    old = re.compile(re.escape(begin) + ".*?" + re.escape(end) + "\n", re.DOTALL)
    text = old.sub(lambda _: section, text) if old.search(text) else f"{text}\n{section}"
    FILE.write_text(text)
    print(section)
    say(f"written to {FILE.relative_to(ROOT)}")


def table(head, rows):
    """A Markdown table; the first column is text, the others are figures."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def middle(runs, field):
    return median(run[field] for run in runs)


def ratio(runs, others, field, to=None):
    """The median of the rounds' ratios: what both suffered in a round cancels out."""
    return median(run[field] / other[to or field] for run, other in zip(runs, others))


def verdict(value, target):
    return f"{value:.2f} {'met' if round(value, 2) <= target else '**missed**'}"


def millis(micros):
    return f"{micros / 1000:.2f}" if micros < 100_000 else f"{micros / 1000:.0f}"
