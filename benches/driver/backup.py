"""Backups beside etcdctl's snapshots of the same server, and the memory that they take."""

import datetime
import json
import os
import tempfile

from . import peers
from .cluster import Cluster
from .machine import describe, load_average, output_of, say
from .process import measured
from .report import middle, ratio, table, verdict

TITLE = "Backup: time beside etcdctl's snapshot, and memory"

TIME_TARGET, MEMORY_TARGET = 1.0, 128
# A database of a million keys is beyond the default.
QUOTA = ("--quota-backend-bytes", str(16 << 30))
WAYS = ("ark backup", "ark backup --via-snapshot", "ark backup, then ark verify", "etcdctl snapshot save")


def add_options(parser):
    parser.add_argument("--etcd", default="3.5.1", help="version of the server (default: %(default)s)")
    parser.add_argument("--keys", type=int, default=100_000, help="keys of 512 bytes (default: %(default)s)")
    parser.add_argument("--more-keys", type=int, default=300_000,
                        help="as many for memory alone; 0 for none (default: %(default)s)")  # fmt: skip
    parser.add_argument("--large", type=int, default=200,
                        help="values of 1 MB for memory alone; 0 for none (default: %(default)s)")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=5, help="rounds over all ways (default: %(default)s)")


def run(options):
    machine, load = describe(), load_average()
    say("building")
    binaries = peers.cargo("backup", "backup")(), peers.ark_command()
    runs = beside(binaries, options)
    memory = {f"{options.keys} keys of 512 B": peak(runs["ark backup"])}
    for count, length in ((options.more_keys, 512), (options.large, 1_000_000)):
        if count:
            memory[f"{count} keys of {length} B"] = peak(alone(binaries, options.etcd, count, length))
    machine += f", load average {load} at the start and {load_average()} at the end"
    return f"""{datetime.date.today().isoformat()}. {machine}. etcd {options.etcd} without fsync, on the same cores.
{output_of("rustc", "--version")}. etcd-ark: commit {peers.commit()}.

{options.keys} keys with values of 512 bytes of random hexadecimal text. An archive holds hashes of every block and of all,
is compressed, and is on disk when the command ends; etcdctl's file is neither compressed nor checked. Whole processes.
Medians of {options.rounds} rounds in which the ways take turns; a ratio is the median of the rounds' ratios.

{times(runs)}
Target for `ark backup`: time : etcdctl at most {TIME_TARGET},
{verdict(ratio(runs[WAYS[0]], runs[WAYS[-1]], "seconds"), TIME_TARGET)}.

### Memory

{table(["backup of", f"peak MiB, at most {MEMORY_TARGET}"],
       [[what, verdict(mib, MEMORY_TARGET)] for what, mib in memory.items()])}"""


def times(runs):
    head = ["way", "s", "client CPU s", "file MB", "peak memory MiB", "time : etcdctl"]
    return table(head, [
        [way, f"{middle(mine, 'seconds'):.2f}", f"{middle(mine, 'cpu'):.2f}", f"{middle(mine, 'bytes') / 1e6:.0f}",
         f"{peak(mine):.0f}", f"{ratio(mine, runs[WAYS[-1]], 'seconds'):.2f}"]
        for way, mine in runs.items()
    ])  # fmt: skip


def peak(runs):
    return max(run["mib"] for run in runs)


def beside(binaries, options):
    """The runs of each way."""
    fill, ark = binaries
    runs = {way: [] for way in WAYS}
    with Cluster(options.etcd, 1, QUOTA) as cluster, scratch() as folder:
        write(fill, cluster, options.keys, 512)
        for turn in range(options.rounds):
            say(f"round {turn + 1}")
            for way in WAYS[turn % len(WAYS) :] + WAYS[: turn % len(WAYS)]:
                runs[way].append(once(way, ark, cluster, f"{folder}/file"))
    return runs


def alone(binaries, version, count, length):
    """One backup of another keyspace."""
    fill, ark = binaries
    with Cluster(version, 1, QUOTA) as cluster, scratch() as folder:
        write(fill, cluster, count, length)
        return [once("ark backup", ark, cluster, f"{folder}/file")]


def scratch():
    return tempfile.TemporaryDirectory(prefix="etcd-ark-bench-")


def write(fill, cluster, count, length):
    say(f"{count} keys of {length} bytes")
    output_of(fill, "fill", cluster.endpoints[0], str(count), str(length))


def once(way, ark, cluster, file):
    endpoint = cluster.endpoints[0]
    if way.startswith("etcdctl"):
        run = measured(cluster.binaries / "etcdctl", "--endpoints", endpoint, "snapshot", "save", file)
    else:
        flags = ["--via-snapshot"] if "via" in way else []
        run = measured(ark, "backup", "-o", file, "--endpoints", endpoint, "-w", "json", *flags)
        json.loads(run["told"])
    if "verify" in way:
        run = total(run, measured(ark, "verify", file))
    run["bytes"] = os.path.getsize(file)
    os.remove(file)
    return run


def total(one, other):
    added = {field: one[field] + other[field] for field in ("seconds", "cpu")}
    return {**one, **added, "mib": max(one["mib"], other["mib"])}
