"""Scans beside other ways to read a whole keyspace, and the scan's rule over a model of the server."""

import datetime
import json
import os
import subprocess

from . import peers
from .cluster import Cluster
from .machine import ROOT, describe, load_average, output_of, say
from .report import middle, ratio, table, verdict

TITLE = "Scan: whole keyspaces beside other ways to read them"

LAYOUTS = ("even", "uneven")
WAYS = {"scan": "etcd-ark", "known": "namespaces known in advance", "far-end": "towards the far end"}
# Ours against known namespaces; a key of the largest keyspace against one of the smallest.
KNOWN_TARGET, GROWTH_TARGET = 1.25, 1.3
# Longer than anybody waits for pages towards a far end.
FAR_END_KEYS = 300_000


def add_options(parser):
    parser.add_argument("--etcd", default="3.5.1,3.6.16", help="versions of the server (default: %(default)s)")
    parser.add_argument("--keys", default="100000,300000,1000000", help="sizes (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds over all ways (default: %(default)s)")
    parser.add_argument("--model-keys", type=int, default=1_000_000,
                        help="keys of each shape of the model (default: %(default)s)")  # fmt: skip


def run(options):
    machine, load = describe(), load_average()
    say("building")
    binary = peers.cargo("scan", "scan")()
    sizes = sorted(int(size) for size in options.keys.split(","))
    found = {
        (version, layout, size): measure(binary, version, layout, size, options.rounds)
        for version in options.etcd.split(",") for layout in LAYOUTS for size in sizes
    }  # fmt: skip
    machine += f", load average {load} at the start and {load_average()} at the end"
    parts = [introduction(machine, options), measured_section(found), growth_section(found, sizes)]
    return "\n".join([*parts, model_section(options.model_keys)])


def introduction(machine, options):
    return f"""{datetime.date.today().isoformat()}. {machine}. etcd without fsync, on the same cores.
{output_of("rustc", "--version")}. etcd-ark: commit {peers.commit()}.

Values have 512 bytes, keys three levels with 1000 namespaces, of one size or (uneven) as cities have. One request
after the other, pages of 2 MiB, by one client with two worker threads. *Known* reads each namespace as a whole, its name
being known; *towards the far end* is what clients do, left out beyond {FAR_END_KEYS} keys. Medians of {options.rounds}
rounds in which the ways take turns; a ratio is the median of the rounds' ratios.
"""


def measure(binary, version, layout, size, rounds):
    """The runs of each way."""
    ways = [way for way in WAYS if way != "far-end" or size <= FAR_END_KEYS]
    runs = {way: [] for way in ways}
    with Cluster(version, 1) as cluster:
        say(f"etcd {version}, {layout}, {size} keys")
        written = read(binary, cluster, "fill", layout, size)["keys"]
        for turn in range(rounds):
            for way in ways[turn % len(ways) :] + ways[: turn % len(ways)]:
                runs[way].append(read(binary, cluster, way, layout, size))
                if runs[way][-1]["keys"] != written:
                    raise SystemExit(f"{way} read {runs[way][-1]['keys']} keys of {written}")
    return runs


def read(binary, cluster, way, layout, size):
    return json.loads(output_of(binary, cluster.endpoints[0], way, layout, str(size)))


def measured_section(found):
    rows = []
    for (version, layout, size), runs in found.items():
        for way, mine in runs.items():
            rows.append([
                f"{version}, {layout}, {size}: {WAYS[way]}", f"{middle(mine, 'seconds'):.2f}",
                f"{middle(mine, 'keys') / middle(mine, 'seconds'):.0f}", f"{middle(mine, 'requests'):.0f}",
                f"{ratio(mine, runs['known'], 'seconds'):.2f}",
            ])  # fmt: skip
    head = ["etcd, layout, keys", "s", "keys/s", "requests", "time : known"]
    mine = [ratio(runs["scan"], runs["known"], "seconds") for runs in found.values()]
    return f"""### On real servers

{table(head, rows)}
Target for etcd-ark: time : known at most {KNOWN_TARGET}; largest {verdict(max(mine), KNOWN_TARGET)}.
"""


def growth_section(found, sizes):
    rows = []
    for version, layout, size in found:
        if size == sizes[0]:
            per_key = [middle(found[version, layout, n]["scan"], "seconds") / n for n in (sizes[0], sizes[-1])]
            rows.append([f"{version}, {layout}", *(f"{1e6 * each:.2f}" for each in per_key),
                         verdict(per_key[1] / per_key[0], GROWTH_TARGET)])  # fmt: skip
    head = ["etcd, layout", f"us a key of {sizes[0]}", f"us a key of {sizes[-1]}", f"ratio, at most {GROWTH_TARGET}"]
    return f"""### Growth

{table(head, rows)}"""


def model_section(keys):
    say(f"model, {keys} keys a shape")
    command = ["cargo", "test", "--release", "--quiet", "--lib", "scan::model::natural", "--", "--nocapture"]
    environment = dict(os.environ, ETCD_ARK_MODEL_KEYS=str(keys))
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    rows = "\n".join(line for line in done.stdout.splitlines() if line.startswith("|"))
    # The limits are for 100,000 keys; here the figures are the point.
    if "| mean |" not in rows:
        raise SystemExit(f"the model gave no figures:\n{done.stdout}")
    return f"""### Over shapes of keyspaces, by a model of the server

The server of the model visits what real ones visit (until 3.6, and later ones for single ranges): every entry of the
range that it is asked for; a range without keys counts as 500. Pages aim at 1000 keys and take 2000 where that saves
work, which is what the least number of requests is made of. The time is that of requests one after the other, going by what
etcd 3.5 takes for a visit, a key of 512 bytes and a round trip; ideal is one that knows every range in advance.

{rows}
"""
