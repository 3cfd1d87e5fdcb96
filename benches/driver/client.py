"""The client beside the bare generated one, the crate etcd-client and Go's: healthy, and with a member paused."""

import datetime
import re
import threading

from . import peers
from .cluster import Cluster
from .machine import describe, load_average, output_of, say
from .report import middle, millis, ratio, table

TITLE = "Client: get and put beside other clients"

OPERATIONS = ("get", "put")
IN_FLIGHT = (1, 64, 512)
# Ours against the bare client.
P50_TARGET, RATE_TARGET = 1.05, 0.95

# With a member paused: a load that the machine bears, so that what is seen is the pause.
PAUSED_IN_FLIGHT, THINK_MS, DEADLINE_MS = 16, 2, 2000
# Before, during and after the pause; what is measured begins when a client has connected and warmed up.
PHASE_SECONDS = 3
WARM_UP_SECONDS = 0.4


def add_options(parser):
    parser.add_argument("--etcd", default="3.5.1", help="the server's version (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds over all clients (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=2, help="a run of one client (default: %(default)s)")
    parser.add_argument("--pauses", type=int, default=3, help="rounds with a paused member (default: %(default)s)")


def run(options):
    machine, load = describe(), load_average()
    present, absent = peers.build_all()
    with Cluster(options.etcd, 1) as cluster:
        healthy = measure_healthy(cluster, present, options)
    with Cluster(options.etcd, 3) as cluster:
        paused = measure_paused(cluster, [peer for peer in present if peer is not peers.BARE], options)
    machine += f", load average {load} at the start and {load_average()} at the end"
    parts = [introduction(machine, present, absent, options), healthy_section(healthy, present)]
    parts += [paused_section(paused)] if options.pauses else []
    return "\n".join(parts)


def introduction(machine, present, absent, options):
    clients = "; ".join(f"{peer.title}: {peer.version()}" for peer in present)
    left_out = "".join(f" Left out: {peer.title}, since {reason}." for peer, reason in absent.items())
    return f"""{datetime.date.today().isoformat()}. {machine}. etcd {options.etcd} without fsync, on the same cores.
{output_of("rustc", "--version")}. {clients}.{left_out}

Every client has two worker threads and the same load: 256-byte values under 1024 keys, any of them equally
likely; gets are linearizable. *Bare* is the client that tonic generates from the protos, with `Bytes` fields,
over one tonic channel: no deadline, no retry, no failover. etcd-ark runs with its defaults, which include a
deadline for every call.
"""


# --- A healthy member ----------------------------------------------------------------------------


def measure_healthy(cluster, present, options):
    """The runs of every peer, by operation and number in flight."""
    peers.ARK.run(cluster.endpoints, "fill", 1, 0)
    found = {}
    for operation in OPERATIONS:
        for in_flight in IN_FLIGHT:
            say(f"{operation}, {in_flight} in flight")
            runs = found[operation, in_flight] = {peer: [] for peer in present}
            for turn in range(options.rounds):
                for peer in rotated(present, turn):
                    runs[peer].append(peer.run(cluster.endpoints, operation, in_flight, options.seconds))
    return found


def rotated(things, turn):
    """Nobody always runs after the same other."""
    turn %= len(things)
    return things[turn:] + things[:turn]


def healthy_section(found, present):
    rows = []
    for (operation, in_flight), runs in found.items():
        for peer in present:
            mine, bare = runs[peer], runs[peers.BARE]
            rows.append([
                f"{operation}, {in_flight}: {peer.title}", f"{middle(mine, 'rate'):.0f}",
                *(millis(middle(mine, field)) for field in ("p50_us", "p99_us", "p999_us")),
                f"{middle(mine, 'cpu_us'):.1f}", sum(run["errors"] for run in mine),
                *(f"{ratio(mine, bare, field):.2f}" for field in ("rate", "p50_us", "cpu_us")),
            ])  # fmt: skip
    rounds = len(found["get", 1][peers.BARE])
    head = ["in flight", "calls/s", "p50 ms", "p99 ms", "p99.9 ms", "client CPU us/call", "errors",
            "rate : bare", "p50 : bare", "CPU : bare"]  # fmt: skip
    return f"""### One healthy member

Medians of {rounds} rounds in which the clients take turns; a ratio is the median of the rounds' ratios. The
server and all else that runs here share the cores with the client, so that rates swing from run to run; the
processor time that a call costs the client swings less.

{table(head, rows)}
{targets(found)}"""


def targets(found):
    rows = []
    for (operation, in_flight), runs in found.items():
        ark = runs[peers.ARK]
        checks = [("p50 : bare", ratio(ark, runs[peers.BARE], "p50_us"), P50_TARGET, False),
                  ("rate : bare", ratio(ark, runs[peers.BARE], "rate"), RATE_TARGET, True)]  # fmt: skip
        if peers.ETCD_CLIENT in runs:
            checks.append(("rate : etcd-client", ratio(ark, runs[peers.ETCD_CLIENT], "rate"), 1.0, True))
        cells = [cell(value, target, at_least) for _, value, target, at_least in checks]
        rows.append([f"{operation}, {in_flight}", *cells])
    head = ["etcd-ark, in flight", f"p50 : bare, at most {P50_TARGET}", f"rate : bare, at least {RATE_TARGET}",
            "rate : etcd-client, at least 1"]  # fmt: skip
    return "Targets:\n\n" + table(head[: len(rows[0])], rows)


def cell(value, target, at_least):
    # As it is printed, so that the word agrees with the figure.
    value = round(value, 3)
    met = value >= target if at_least else value <= target
    return f"{value:.3f} {'met' if met else '**missed**'}"


# --- A member paused -----------------------------------------------------------------------------


def measure_paused(cluster, present, options):
    """The runs of every peer, by what is paused and the operation."""
    peers.ARK.run(cluster.endpoints, "fill", 1, 0)
    found = {}
    for turn in range(options.pauses):
        for whom in ("a follower", "the leader"):
            for operation in OPERATIONS:
                say(f"{operation} with {whom} paused, round {turn + 1}")
                runs = found.setdefault((whom, operation), {peer: [] for peer in present})
                for peer in rotated(present, turn):
                    runs[peer].append(run_paused(cluster, peer, operation, whom))
    return found


def run_paused(cluster, peer, operation, whom):
    cluster.await_health()
    leader = cluster.leader()
    victim = leader if whom == "the leader" else (leader + 1) % len(cluster.endpoints)
    pause = threading.Timer(WARM_UP_SECONDS + PHASE_SECONDS, cluster.pause, [victim])
    resume = threading.Timer(WARM_UP_SECONDS + 2 * PHASE_SECONDS, cluster.resume, [victim])
    pause.start()
    resume.start()
    try:
        seconds = 3 * PHASE_SECONDS
        return peer.run(cluster.endpoints, operation, PAUSED_IN_FLIGHT, seconds, THINK_MS, DEADLINE_MS)
    finally:
        pause.cancel()
        resume.cancel()
        cluster.resume(victim)


def paused_section(found):
    rows = []
    for (whom, operation), runs in found.items():
        for peer, mine in runs.items():
            phases = [[phase_rate(run, phase) for run in mine] for phase in range(3)]
            rows.append([
                f"{operation}, {whom}: {peer.title}",
                *(f"{sorted(rates)[len(rates) // 2]:.0f}" for rates in phases),
                *(millis(middle(mine, field)) for field in ("p50_us", "p99_us", "max_us")),
                f"{middle(mine, 'errors'):.0f}", f"{middle(mine, 'calls'):.0f}",
                f"{100 * sum(run['errors'] for run in mine) / max(sum(run['calls'] for run in mine), 1):.2f} %",
            ])  # fmt: skip
    errors = sorted({
        f"{peer.title}: {run['first_error']}" for runs in found.values() for peer, mine in runs.items()
        for run in mine if run["first_error"]
    })  # fmt: skip
    head = ["operation, paused", "calls/s before", "during", "after", "p50 ms", "p99 ms", "max ms", "errors", "calls",
            "failed"]  # fmt: skip
    rounds = len(next(iter(next(iter(found.values())).values())))
    shown = "".join(f"* `{without_ports(error)}`\n" for error in dict.fromkeys(map(without_ports, errors)))
    return f"""### One of three members paused

A member is stopped by SIGSTOP after {PHASE_SECONDS} s and resumed {PHASE_SECONDS} s later, {PHASE_SECONDS} s before the end.
{PAUSED_IN_FLIGHT} callers, each of which thinks {THINK_MS} ms after a call; every client has a deadline of
{DEADLINE_MS // 1000} s a call. Latencies are of the whole run, failed calls included. Medians of {rounds} rounds.
A put that a paused member may have taken is never repeated: its caller waits, and is told that its outcome is
unknown.

{table(head, rows)}
The first error of each run, once each:

{shown or "* none"}
"""


def without_ports(text):
    """Ports and times differ from run to run."""
    return re.sub(r"\d+(\.\d+)?(ms|s|µs)\b", "…", re.sub(r"127\.0\.0\.1:\d+", "MEMBER", text))


def phase_rate(run, phase):
    """Calls a second that went well in a phase."""
    seconds = run["per_second"][phase * PHASE_SECONDS : (phase + 1) * PHASE_SECONDS]
    return sum(seconds) / len(seconds)
