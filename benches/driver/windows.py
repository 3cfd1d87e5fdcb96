"""What HTTP/2 flow-control windows cost and bring on large reads, on short and long paths."""

import datetime
import json
from urllib.parse import urlparse

from . import peers
from .cluster import Cluster
from .machine import describe, load_average, output_of, say
from .report import middle, table

TITLE = "Flow-control windows: large reads on short and long paths"

# Of a stream and of a connection, in KiB. The first are HTTP/2's own.
WINDOWS = {
    "64 KiB, 64 KiB": (63, 63),
    "1 MiB, 2 MiB": (1 << 10, 2 << 10),
    "4 MiB, 8 MiB": (4 << 10, 8 << 10),
    "8 MiB, 16 MiB (for requests)": (8 << 10, 16 << 10),
    "32 MiB, 64 MiB (for bulk streams)": (32 << 10, 64 << 10),
    "128 MiB, 256 MiB": (128 << 10, 256 << 10),
}
WAYS = {"range": "One answer to a Range", "snapshot": "A Snapshot"}


def add_options(parser):
    parser.add_argument("--etcd", default="3.5.1", help="the server's version (default: %(default)s)")
    parser.add_argument("--mib", type=int, default=64, help="what is read, in MiB (default: %(default)s)")
    parser.add_argument("--delays", default="0,5,20", help="ms each way (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds over all windows (default: %(default)s)")


def run(options):
    machine, load = describe(), load_average()
    say("building")
    binary = peers.cargo("windows", "windows")()
    delays = [int(delay) for delay in options.delays.split(",")]
    with Cluster(options.etcd, 1) as cluster:
        address = urlparse(cluster.endpoints[0]).netloc
        output_of(binary, address, "fill", str(options.mib))
        sections = [f"### {title}\n\n{measure(binary, address, way, delays, options)}" for way, title in WAYS.items()]
    tables = "\n".join(sections)
    return f"""{datetime.date.today().isoformat()}. {machine}, load average {load} at the start and {load_average()} at the end.
etcd {options.etcd}, {options.mib} values of 1 MiB, read over a relay that holds everything back for so many milliseconds each
way. MB/s, medians of {options.rounds} rounds in which the windows take turns. A window is how much a member may send ahead of
what has been read, of one stream and of one connection. The client is plain HTTP/2 without any decoding, so that only the windows differ.

{tables}"""


def measure(binary, address, way, delays, options):
    """A row for each pair of windows, a column for each delay."""
    speeds = {(name, delay): [] for name in WINDOWS for delay in delays}
    for delay in delays:
        say(f"{way}, {delay} ms each way")
        for _ in range(options.rounds):
            for name, (stream, connection) in WINDOWS.items():
                told = output_of(binary, address, way, str(stream), str(connection), str(delay))
                told = json.loads(told)
                speeds[name, delay].append({"rate": told["bytes"] / told["seconds"] / 1e6})
    rows = [[name, *(f"{middle(speeds[name, delay], 'rate'):.0f}" for delay in delays)] for name in WINDOWS]
    return table(["windows of stream, connection", *(f"{delay} ms" for delay in delays)], rows)
