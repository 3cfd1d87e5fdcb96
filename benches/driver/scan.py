"""Scans beside other ways to read a whole keyspace, and the scan's rule over a model of the server."""

import datetime
import json
import os
import subprocess
import time
from statistics import median

from . import peers, svg
from .cluster import Cluster
from .machine import ROOT, describe, load_average, output_of, say
from .report import middle, ratio, table, verdict

TITLE = "Scan: whole keyspaces beside other ways to read them"

LAYOUTS = ("kubernetes", "flat", "random")
WAYS = {
    "scan": "etcd-ark",
    "known": "parts known in advance",
    "thousand": "pages of 1000, as clients do",
    "etcd-client": "etcd-client, pages of 1000",
    "go": "Go, pages of 1000",
    "pages": "etcd-ark by pages",
    "stream": "one stream, as it comes",
    "etcdctl": "etcdctl get --stream",
}
FAR_END = ("thousand", "etcd-client", "go")
WITH_STREAMS = (3, 7)
# Ours against known parts; a key of the largest keyspace against one of 100,000; a key of the last tenth
# against one of the first; where there are streams, ours against etcdctl's and against one as it comes.
KNOWN_TARGET, GROWTH_TARGET, TENTH_TARGET, ETCDCTL_TARGET, STREAM_TARGET = 1.25, 1.3, 1.5, 0.5, 1.1
# Longer than anybody waits for pages towards a far end.
FAR_END_KEYS = 100_000
# With fewer, the first pages are most of a scan.
LEAST_MODEL_KEYS = 20_000
PICTURE = ROOT / "docs" / "scan-growth.svg"


def add_options(parser):
    parser.description = """The default takes about 5 minutes on two cores, most of them for building and the model.
        What the targets are about takes about an hour: --keys 10000,100000,1000000,3000000 --model-keys 1000000"""
    parser.add_argument("--etcd", default="3.5.1,3.6.16,3.7.3", help="versions of the server (default: %(default)s)")
    parser.add_argument("--layouts", default=",".join(LAYOUTS), help="shapes of keys (default: %(default)s)")
    parser.add_argument("--keys", default="10000,100000", help="sizes (default: %(default)s)")
    parser.add_argument("--at-once", type=int, default=4, help="parts that are read at once (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds over all ways (default: %(default)s)")
    parser.add_argument("--model-keys", type=int, default=100_000,
                        help=f"keys of each shape of the model, at least {LEAST_MODEL_KEYS} (default: %(default)s)")  # fmt: skip


def run(options):
    if options.model_keys < LEAST_MODEL_KEYS:
        raise SystemExit(f"--model-keys: the model's bounds are for {LEAST_MODEL_KEYS} keys and more")
    machine, load = describe(), load_average()
    say("building")
    binary = peers.cargo("scan", "scan")()
    pagers, absent = peers.build_pagers()
    binaries = {"": binary, **{pager.name: pager.binary for pager in pagers}}
    sizes = sorted(int(size) for size in options.keys.split(","))
    found, puts = {}, {}
    for version in options.etcd.split(","):
        for layout in options.layouts.split(","):
            for size in sizes:
                beside = puts if (layout, size) == (options.layouts.split(",")[0], sizes[-1]) else None
                found[version, layout, size] = measure(binaries, version, layout, size, options, beside)
    machine += f", load average {load} at the start and {load_average()} at the end"
    parts = [introduction(machine, options, pagers, absent), measured_section(found), growth_section(found, sizes)]
    return "\n".join([*parts, puts_section(puts), model_section(options.model_keys)])


def introduction(machine, options, pagers, absent):
    clients = ", ".join(f"{pager.title} {pager.version()}" for pager in pagers)
    missing = "".join(f" {peer.title} is left out: {reason}." for peer, reason in absent.items())
    return f"""{datetime.date.today().isoformat()}. {machine}. etcd without fsync, on the same cores.
{output_of("rustc", "--version")}. etcd-ark: commit {peers.commit()}.

Values have 512 bytes. Keys: *kubernetes* has three levels with 1000 namespaces of sizes as cities have, *flat* counts,
*random* has 16 hexadecimal digits. One client with two worker threads, {options.at_once} parts at once, else the
scan's defaults. Its first page has the server count the whole range on one core, before anything else can be asked for: the last
column leaves that out. *Known* reads parts of about a thousand keys, each as a whole, their prefixes being known, as many at
once; *pages of 1000* go towards the end of all keys, by this library's own requests and by other clients ({clients}), and are left out
beyond {FAR_END_KEYS} keys.{missing} Medians of {options.rounds} rounds in which the ways take turns; a ratio is the median of the rounds' ratios. Etcd 3.7 and later
have streams, which the scan then uses.
"""


def measure(binaries, version, layout, size, options, puts):
    """The runs of each way; beside scans of this, if wished, the times of puts."""
    ways = [way for way in WAYS if is_possible(way, version, size, binaries)]
    runs = {way: [] for way in ways}
    with Cluster(version, 1) as cluster:
        say(f"etcd {version}, {layout}, {size} keys")
        ask = [binaries[""], cluster.endpoints[0]]
        written = told(*ask, "fill", layout, size, 1)["keys"]
        for turn in range(options.rounds):
            for way in ways[turn % len(ways) :] + ways[: turn % len(ways)]:
                if way == "etcdctl":
                    runs[way].append({"seconds": seconds_of_etcdctl(cluster), "keys": written, "pages": 0})
                elif way in binaries:
                    runs[way].append(told(binaries[way], cluster.endpoints[0], "pages"))
                else:
                    runs[way].append(told(*ask, way, layout, size, options.at_once))
                if runs[way][-1]["keys"] != written:
                    raise SystemExit(f"{way} read {runs[way][-1]['keys']} keys of {written}")
        if puts is not None:
            for at_once in (0, 1, options.at_once, 8):
                puts[version, at_once] = [told(*ask, "write", layout, size, at_once) for _ in range(options.rounds)]
    return runs


def is_possible(way, version, size, binaries):
    if way in FAR_END:
        return size <= FAR_END_KEYS and (way == "thousand" or way in binaries)
    return way not in ("pages", "stream", "etcdctl") or has_streams(version)


def has_streams(version):
    return tuple(int(part) for part in version.split(".")[:2]) >= WITH_STREAMS


def told(*command):
    return json.loads(output_of(*map(str, command)))


def seconds_of_etcdctl(cluster):
    environment = dict(os.environ, ETCDCTL_ENDPOINTS=cluster.endpoints[0])
    command = [cluster.binaries / "etcdctl", "get", "", "--prefix", "--stream", "--command-timeout", "600s"]
    began = time.monotonic()
    reader = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    while reader.stdout.read(1 << 20):
        pass
    if reader.wait() != 0:
        raise SystemExit("etcdctl failed")
    return time.monotonic() - began


def measured_section(found):
    rows = []
    for (version, layout, size), runs in found.items():
        for way, mine in runs.items():
            rows.append([
                f"{version}, {layout}, {size}: {WAYS[way]}", f"{middle(mine, 'seconds'):.3f}",
                f"{middle(mine, 'keys') / middle(mine, 'seconds'):.0f}", f"{middle(mine, 'pages'):.0f}",
                f"{ratio(mine, runs['known'], 'seconds'):.2f}", behind_the_first_page(mine, runs["known"]) if way in ("scan", "pages") else "-",
            ])  # fmt: skip
    head = ["etcd, layout, keys", "s", "keys/s", "pages", "time : known", "behind the first page : known"]
    return f"""### On real servers

{table(head, rows)}
{targets(found)}"""


def behind_the_first_page(mine, known):
    """The first page counts the whole range, which parts that are known do not need."""
    return f"{median((run['seconds'] - run['opening']) / other['seconds'] for run, other in zip(mine, known)):.2f}"


def targets(found):
    """The worst case of each target, over the largest keyspaces."""
    largest = max(size for _, _, size in found)
    mine = {case: runs for case, runs in found.items() if case[2] == largest}
    by_pages = [ratio(runs["scan"], runs["known"], "seconds") for case, runs in mine.items() if not has_streams(case[0])]
    tenths = [ratio_of_tenths(runs["scan"]) for case, runs in mine.items() if not has_streams(case[0])]
    streamed = [runs for case, runs in mine.items() if has_streams(case[0])]
    rows = [
        ["before 3.7, time : known", KNOWN_TARGET, by_pages],
        ["before 3.7, a key of the last tenth : of the first", TENTH_TARGET, tenths],
        ["since 3.7, time : etcdctl get --stream", ETCDCTL_TARGET,
         [ratio(runs["scan"], runs["etcdctl"], "seconds") for runs in streamed]],
        ["since 3.7, time : one stream, as it comes", STREAM_TARGET,
         [ratio(runs["scan"], runs["stream"], "seconds") for runs in streamed]],
    ]  # fmt: skip
    rows = [[name, limit, f"{median(cases):.2f}", verdict(max(cases), limit)] for name, limit, cases in rows if cases]
    return table([f"{largest} keys", "at most", "median of the cases", "largest"], rows)


def ratio_of_tenths(runs):
    return median(run["last"] / run["first"] for run in runs)


def growth_section(found, sizes):
    base, most = min(sizes, key=lambda size: abs(size - 100_000)), sizes[-1]

    def row(name, each, tell):
        # One size does not grow.
        return [name, *figures(each, sizes), tell(each[most] / each[base]) if base != most else "-"]

    ours, known = growth_of(found, "scan", "{}, {}"), growth_of(found, "known", "{}, {}: " + WAYS["known"])
    rows = [row(name, each, lambda growth: verdict(growth, GROWTH_TARGET)) for name, each in ours.items()]
    rows += [row(name, each, "{:.2f}".format) for name, each in known.items()]
    theirs = growth_of_others(found)
    rows += [[name, *figures(each, sizes), "-"] for name, each in theirs.items()]
    PICTURE.write_text(svg.growth("Scan: microseconds a key, by the number of keys", ours, theirs))
    head = ["etcd, layout: us a key of", *map(str, sizes), f"{most} : {base}, at most {GROWTH_TARGET}"]
    return f"""### Growth

![Time a key by the number of keys]({PICTURE.name})

Dashed: other clients, in pages of 1000, over the first of the layouts. How parts that are known in advance grow is what the server
itself takes longer for each key.

{table(head, rows)}"""


def growth_of(found, way, name):
    return {name.format(version, layout): micros_a_key(found, version, layout, way) for version, layout, _ in found}


def growth_of_others(found):
    """Over one layout, or nobody could tell the lines from each other."""
    layout = next(iter(found))[1]
    others = {}
    for version in dict.fromkeys(version for version, _, _ in found):
        for peer in ("etcd-client", "go"):
            each = micros_a_key(found, version, layout, peer)
            if each:
                others[f"{version}, {layout}: {WAYS[peer].split(',')[0]}"] = each
    return others


def micros_a_key(found, version, layout, way):
    """By the number of keys, where the way was measured."""
    mine = {case[2]: runs[way] for case, runs in found.items() if case[:2] == (version, layout) and way in runs}
    return {size: 1e6 * middle(runs, "seconds") / size for size, runs in mine.items()}


def figures(each, sizes):
    return [f"{each[size]:.2f}" if size in each else "-" for size in sizes]


def puts_section(puts):
    rows = [[f"{version}, {f'{at_once} at once' if at_once else 'no scan'}", f"{middle(runs, 'p50_ms'):.2f}",
             f"{middle(runs, 'p99_ms'):.2f}"] for (version, at_once), runs in puts.items()]  # fmt: skip
    head = ["etcd, parts at once", "put p50 ms", "put p99 ms"]
    return f"""### Puts beside scans

One put after the other, 2 ms apart, over a connection of its own, while the largest keyspace is scanned again and again.

{table(head, rows)}"""


def model_section(keys):
    say(f"model, {keys} keys a shape")
    # Unoptimised, like the tests: no other build of the library is needed for it.
    command = ["cargo", "test", "--all-features", "--quiet", "--lib", "scan::model::natural", "--", "--nocapture"]
    environment = dict(os.environ, ETCD_ARK_MODEL_KEYS=str(keys))
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"the model does not keep to its bounds:\n{done.stdout}")
    rows = "\n".join(line for line in done.stdout.splitlines() if line.startswith("|") or "at once:" in line)
    rows = rows.replace("at once:", "at once:\n").replace("\n4 at", "\n\n4 at")
    return f"""### Over shapes of keyspaces, by a model of the server

The server of the model visits what real ones visit (until 3.6, and later ones for single ranges): every entry of the
range that it is asked for; a range without keys counts as 500. Pages aim at 1000 keys and take 2000 where that saves
work. The least number of requests is of pages of that size, behind first ones of 32, 256 and 1024 keys, since nobody knows
at first how large values are. Of several requests under way, any is answered next. The
time is that of requests one after the other, going by what
etcd 3.5 takes for a visit, a key of 512 bytes and a round trip; ideal is one that knows every range in advance.

{rows}
"""
