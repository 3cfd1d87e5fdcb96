"""Restores beside the best plain loop that writes the same keys, and plans beside scans."""

import datetime
import json
import tempfile
from pathlib import Path

from . import peers
from .cluster import Cluster
from .machine import describe, load_average, output_of, say
from .report import middle, ratio, table

TITLE = "Restore: a whole keyspace into an empty member"

# What the loop is tuned over: puts in a transaction, transactions at once.
LOOPS = [(changes, at_once) for changes in (32, 128) for at_once in (1, 4, 8, 16)]
TIME_TARGET, RATE_TARGET, PLAN_TARGET, MEMORY_TARGET_MIB = 1.1, 10, 1.2, 128


def add_options(parser):
    parser.add_argument("--etcd", default="3.5.1", help="the server's version (default: %(default)s)")
    parser.add_argument("--keys", type=int, default=100_000, help="how many (default: %(default)s)")
    parser.add_argument("--tuning-keys", type=int, default=50_000,
                        help="with how many the loop is tuned (default: %(default)s)")  # fmt: skip
    parser.add_argument("--put-keys", type=int, default=20_000,
                        help="with how many one put per key is measured (default: %(default)s)")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=3, help="rounds over all ways (default: %(default)s)")
    parser.add_argument("--limits", action="store_true",
                        help="also ask what larger transactions would bring where servers allow them")  # fmt: skip


def run(options):
    machine, load = describe(), load_average()
    say("building")
    binary = peers.cargo("restore", "restore")()
    bench = Bench(binary, options)
    best, tuned = bench.tune()
    with tempfile.TemporaryDirectory(prefix="etcd-ark-bench-") as folder:
        runs = bench.measure(Path(folder) / "keys.ark", best)
    machine += f", load average {load} at the start and {load_average()} at the end"
    parts = [introduction(machine, options), results(runs, best), tuning(tuned)]
    return "\n".join(parts + ([larger(bench)] if options.limits else []))


class Bench:
    def __init__(self, binary, options):
        self.binary, self.options = binary, options

    def ask(self, cluster, *way):
        return json.loads(output_of(self.binary, cluster.endpoints[0], *map(str, way)))

    def fresh(self, *way, flags=()):
        """A run on a member that holds nothing."""
        with Cluster(self.options.etcd, 1, flags) as cluster:
            return self.ask(cluster, *way)

    def tune(self, loops=LOOPS, flags=()):
        """The quickest loop, and what each took."""
        say("tuning the loop")
        took = {loop: self.fresh("loop", self.options.tuning_keys, *loop, flags=flags)["seconds"] for loop in loops}
        return min(took, key=took.get), took

    def measure(self, archive, best):
        """The runs of each way."""
        keys, put_keys = self.options.keys, self.options.put_keys
        runs = {way: [] for way in ("loop", "read", "restore", "unchecked", "put", "puts", "plan", "scan")}
        with Cluster(self.options.etcd, 1) as cluster:
            self.ask(cluster, "loop", keys, *best)
            saved = self.ask(cluster, "save", archive)
        for turn in range(self.options.rounds):
            say(f"round {turn + 1}")
            with Cluster(self.options.etcd, 1) as cluster:
                loop, scan = self.ask(cluster, "loop", keys, *best), self.ask(cluster, "scan", archive)
                runs["loop"].append(loop)
                runs["read"].append(after(loop, scan))
            runs["put"].append(self.fresh("loop", put_keys, 1, 1))
            runs["puts"].append(self.fresh("loop", put_keys, 1, 64))
            runs["unchecked"].append(self.fresh("unchecked", archive))
            with Cluster(self.options.etcd, 1) as cluster:
                runs["restore"].append(self.ask(cluster, "restore", archive))
                for way in ("scan", "plan")[:: 1 if turn % 2 else -1]:
                    runs[way].append(self.ask(cluster, way, archive))
            check(runs, saved)
        return runs


def after(first, then):
    """Both as one run."""
    return {**first, "seconds": first["seconds"] + then["seconds"], "peak_kib": max(first["peak_kib"], then["peak_kib"])}


def check(runs, saved):
    """What was measured is what was meant."""
    for way in ("loop", "read", "restore", "unchecked", "plan", "scan"):
        if runs[way][-1]["keys"] != saved["keys"]:
            raise SystemExit(f"{way}: {runs[way][-1]['keys']} keys of {saved['keys']}")
    if runs["restore"][-1]["content_root"] != saved["content_root"]:
        raise SystemExit("what was restored is not what was saved")


def introduction(machine, options):
    return f"""{datetime.date.today().isoformat()}. {machine}. etcd {options.etcd} without fsync, one member, on the same cores.
{output_of("rustc", "--version")}. etcd-ark: commit {peers.commit()}.

{options.keys} keys with values of 512 bytes, into a fresh member each time. The loop is this library's client sending
transactions of puts from memory: nothing is read, compared, guarded or checked. It is tuned first, with {options.tuning_keys} keys.
A restore verifies the archive, plans, and guards every put; by default it reads all of it once more at the end and
compares. A server that was just written to is slower to read: so the loop is also told with a scan right behind it, of
which nothing is compared. Medians of
{options.rounds} rounds in which the ways take turns; a ratio is the median of the rounds' ratios.
"""


def rate(runs):
    return middle(runs, "keys") / middle(runs, "seconds")


def results(runs, best):
    titles = {
        "loop": f"the loop, {best[0]} puts, {best[1]} at once",
        "read": "the loop, and a scan right behind it", "unchecked": "restore without the last comparison",
        "restore": "restore", "put": "one put per key, one at once", "puts": "one put per key, 64 at once",
        "scan": "a scan", "plan": "a plan where nothing changes",
    }  # fmt: skip
    rows = [
        [titles[way], f"{middle(mine, 'seconds'):.2f}", f"{middle(mine, 'keys'):.0f}", f"{rate(mine):.0f}",
         f"{max(run['peak_kib'] for run in mine) / 1024:.0f}"]
        for way, mine in sorted(runs.items(), key=lambda item: list(titles).index(item[0]))
    ]  # fmt: skip
    peak = max(run["peak_kib"] for way in ("restore", "unchecked", "plan") for run in runs[way]) / 1024
    targets = [
        ["restore without the last comparison : loop, time", *at_most(ratio(runs["unchecked"], runs["loop"], "seconds"), TIME_TARGET)],
        ["restore : loop, time", *at_most(ratio(runs["restore"], runs["loop"], "seconds"), TIME_TARGET)],
        ["restore : loop and scan, time", *at_most(ratio(runs["restore"], runs["read"], "seconds"), TIME_TARGET)],
        ["restore : one put per key, rate", *at_least(rate(runs["restore"]) / rate(runs["put"]), RATE_TARGET)],
        ["plan : scan, time", *at_most(ratio(runs["plan"], runs["scan"], "seconds"), PLAN_TARGET)],
        ["memory, MiB", *at_most(peak, MEMORY_TARGET_MIB)],
    ]  # fmt: skip
    return (
        table(["", "s", "keys", "keys/s", "peak MiB"], rows) + "\n" + table(["target", "limit", "measured"], targets)
    )


def at_most(value, limit):
    return f"at most {limit}", f"{value:.2f} {'met' if round(value, 2) <= limit else '**missed**'}"


def at_least(value, limit):
    return f"at least {limit}", f"{value:.1f} {'met' if round(value, 1) >= limit else '**missed**'}"


def tuning(tuned):
    rows = [[f"{changes}", f"{at_once}", f"{seconds:.2f}"] for (changes, at_once), seconds in tuned.items()]
    return "### The tuning of the loop\n\n" + table(["puts in a transaction", "at once", "s"], rows)


def larger(bench):
    """Whether it would pay to find limits that are above the defaults."""
    flags = ("--max-txn-ops", "4096", "--max-request-bytes", str(8 << 20))
    loops = [(changes, at_once) for changes in (128, 512, 2048) for at_once in (4, 8)]
    _, took = bench.tune(loops, flags)
    rows = [[f"{changes}", f"{at_once}", f"{seconds:.2f}"] for (changes, at_once), seconds in took.items()]
    return "### Larger transactions, where a server allows them\n\n" + table(
        ["puts in a transaction", "at once", "s"], rows
    )
