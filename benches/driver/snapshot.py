"""A member's snapshot in a verified file, beside the same stream drained by the generated client."""

import datetime
import json
import tempfile

from . import peers
from .cluster import Cluster
from .machine import describe, load_average, output_of, say
from .process import measured
from .report import middle, ratio, table, verdict

TITLE = "Snapshot: into a verified file, beside the drained stream"

TARGET = 1.15


def add_options(parser):
    parser.add_argument("--etcd", default="3.5.1", help="version of the server (default: %(default)s)")
    parser.add_argument("--keys", type=int, default=200_000, help="keys of 512 bytes (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds over all ways (default: %(default)s)")


def run(options):
    machine, load = describe(), load_average()
    say("building")
    fill, ark = peers.cargo("backup", "backup")(), peers.ark_command()
    drain = peers.cargo("bare", "drain")()
    with Cluster(options.etcd, 1) as cluster, tempfile.TemporaryDirectory(prefix="etcd-ark-bench-") as folder:
        endpoint = cluster.endpoints[0]
        say(f"{options.keys} keys")
        output_of(fill, "fill", endpoint, str(options.keys), "512")
        ways = {
            "drained, bare": lambda _: drained(drain, endpoint),
            "ark": lambda name: saved(ark, endpoint, f"{folder}/{name}"),
            "etcdctl": lambda name: measured(
                cluster.binaries / "etcdctl", "--endpoints", endpoint, "snapshot", "save", f"{folder}/{name}"
            ),
        }
        runs = {way: [] for way in ways}
        for turn in range(options.rounds):
            say(f"round {turn + 1}")
            for way in list(ways)[turn % 3 :] + list(ways)[: turn % 3]:
                runs[way].append(ways[way](f"{way[0]}{turn}"))
        size = runs["ark"][0]["bytes"]
    machine += f", load average {load} at the start and {load_average()} at the end"
    head = ["way", "s", "MB/s", "peak memory MiB", "time : drained"]
    lines = [[way, f"{middle(mine, 'seconds'):.2f}", f"{size / middle(mine, 'seconds') / 1e6:.0f}",
              f"{middle(mine, 'mib'):.0f}", f"{ratio(mine, runs['drained, bare'], 'seconds'):.2f}"]
             for way, mine in runs.items()]  # fmt: skip
    return f"""{datetime.date.today().isoformat()}. {machine}. etcd {options.etcd} without fsync, on the same cores.
{output_of("rustc", "--version")}. etcd-ark: commit {peers.commit()}; bare: tonic {peers.locked("bare", "tonic")}.

A database of {size / 1e6:.0f} MB. *Drained* reads the stream by the client that tonic generates and does nothing with it;
*ark* is `ark snapshot save`, which checks the digest and syncs the file; *etcdctl* does not check. Whole
processes, but for the drained stream. Medians of {options.rounds} rounds in which the ways take turns; a ratio is the
median of the rounds' ratios.

{table(head, lines)}
Target for ark: time : drained at most {TARGET}, {verdict(ratio(runs["ark"], runs["drained, bare"], "seconds"), TARGET)}.
"""


def drained(binary, endpoint):
    run = measured(binary, endpoint)
    return {**run, **json.loads(run["told"])}


def saved(ark, endpoint, file):
    run = measured(ark, "snapshot", "save", file, "--endpoints", endpoint, "-w", "json")
    return {**run, "bytes": json.loads(run["told"])["file_bytes"]}
