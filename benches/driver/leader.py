"""The leader, a follower, or all members in turn: what preferring the leader would bring."""

import datetime

from . import peers
from .cluster import Cluster
from .machine import describe, load_average, say
from .report import middle, millis, ratio, table

TITLE = "Client: the leader, a follower, or all members"

IN_FLIGHT = (1, 64)


def add_options(parser):
    parser.add_argument("--etcd", default="3.5.1", help="the server's version (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds over all of them (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=1, help="a run (default: %(default)s)")


def run(options):
    machine, load = describe(), load_average()
    peers.ARK.binary = peers.ARK.build()
    with Cluster(options.etcd, 3) as cluster:
        found = measure(cluster, options)
    rows = [row(*which, mine, found) for which, mine in found.items()]
    head = ["calls to", "calls/s", "p50 ms", "p99 ms", "rate : all", "p50 : all"]
    return f"""{datetime.date.today().isoformat()}. {machine}, load average {load} at the start and {load_average()} at the end.
etcd-ark {peers.ARK.version()}; etcd {options.etcd}, three members without fsync, all on this machine. Medians of
{options.rounds} rounds; a ratio is the median of the rounds' ratios.

{table(head, rows)}"""


def measure(cluster, options):
    peers.ARK.run(cluster.endpoints, "fill", 1, 0)
    leader = cluster.leader()
    follower = (leader + 1) % len(cluster.endpoints)
    targets = {"the leader": [cluster.endpoints[leader]], "a follower": [cluster.endpoints[follower]],
               "all": cluster.endpoints}  # fmt: skip
    found = {}
    for operation in ("get", "put"):
        for in_flight in IN_FLIGHT:
            say(f"{operation}, {in_flight} in flight")
            for _ in range(options.rounds):
                for whom, endpoints in targets.items():
                    runs = found.setdefault((operation, in_flight, whom), [])
                    runs.append(peers.ARK.run(endpoints, operation, in_flight, options.seconds))
    return found


def row(operation, in_flight, whom, mine, found):
    everyone = found[operation, in_flight, "all"]
    return [
        f"{operation}, {in_flight} in flight: {whom}", f"{middle(mine, 'rate'):.0f}",
        millis(middle(mine, "p50_us")), millis(middle(mine, "p99_us")),
        *(f"{ratio(mine, everyone, field):.2f}" for field in ("rate", "p50_us")),
    ]  # fmt: skip
