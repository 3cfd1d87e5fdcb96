"""Folders, the machine, and commands that must succeed."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What the benchmarks build and fetch; gone with `cargo clean`.
STORE = ROOT / "target" / "bench"


def say(text):
    print(text, file=sys.stderr, flush=True)


def output_of(*command, **options):
    """What a command prints; its own complaints go through."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout.strip()


def describe():
    """The machine in a line."""
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        models = [line.split(":", 1)[1].strip() for line in info if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {models[0] if models else os.uname().machine}, Linux {os.uname().release.split('-')[0]}"


def load_average():
    """How many threads wanted to run in the last minute."""
    return f"{os.getloadavg()[0]:.1f}"
