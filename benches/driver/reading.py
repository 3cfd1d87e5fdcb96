"""Archives that are looked into, plain and encrypted: what a key, a prefix and all of it cost."""

import datetime
import json
import os
import tempfile

from . import backup, peers
from .cluster import Cluster
from .machine import describe, load_average, output_of, say
from .process import measured
from .report import middle, ratio, table

TITLE = "Reading: one key, one prefix and all of an archive, plain and encrypted"

PLAIN, ENCRYPTED = "plain", "encrypted"
LOOKS = {
    "key": "one key",
    "prefix": "a prefix of 1000 keys",
    "all": "all keys",
    "verify": "verify",
}


def add_options(parser):
    parser.add_argument("--etcd", default="3.5.1", help="version of the server (default: %(default)s)")
    parser.add_argument("--keys", type=int, default=200_000, help="keys of 512 bytes, thousands (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds over all ways (default: %(default)s)")


def run(options):
    if options.keys % 1000:
        raise SystemExit("--keys: prefixes have a thousand keys each, so only thousands will do")
    machine, load = describe(), load_average()
    say("building")
    binary, ark = peers.cargo("backup", "backup")(), peers.ark_command()
    with Cluster(options.etcd, 1, backup.QUOTA) as cluster, tempfile.TemporaryDirectory(prefix="etcd-ark-bench-") as folder:
        backup.write(binary, cluster, options.keys, 512)
        made, looks, sizes = measure(binary, ark, cluster.endpoints[0], folder, options)
    machine += f", load average {load} at the start and {load_average()} at the end"
    return f"""{datetime.date.today().isoformat()}. {machine}. etcd {options.etcd} without fsync, on the same cores.
{output_of("rustc", "--version")}. etcd-ark: commit {peers.commit()}; age {peers.locked("backup", "age")}.

Two archives of the same {options.keys} keys with values of 512 bytes, of {sizes[PLAIN] / 1e6:.0f} MB; one of them is encrypted to one
recipient. Medians of {options.rounds} rounds in which the two take turns; a ratio is the median of the rounds' ratios.

### Making them

Whole processes of `ark backup`.

{made_table(made)}
### Looking into them

In one process, files in the page cache; each look opens the archive anew. Of keys and prefixes a round takes the
median of 200, all over the archive; *read* is what comes from the file.

{looks_table(looks)}"""


def measure(binary, ark, endpoint, folder, options):
    """The runs of making and of looking, and the files' sizes, of each kind."""
    files = {kind: f"{folder}/{kind}.ark" for kind in (PLAIN, ENCRYPTED)}
    identity = f"{folder}/identity"
    recipient = json.loads(output_of(ark, "keygen", "-o", identity, "-w", "json"))["recipient"]
    flags = {PLAIN: [], ENCRYPTED: ["--recipient", recipient]}
    identities = {PLAIN: [], ENCRYPTED: [identity]}
    made, looks = {kind: [] for kind in files}, {kind: [] for kind in files}
    for turn in range(options.rounds):
        say(f"round {turn + 1}")
        for kind in list(files)[turn % 2 :] + list(files)[: turn % 2]:
            if turn:
                os.remove(files[kind])
            made[kind].append(measured(ark, "backup", "-o", files[kind], "--endpoints", endpoint, *flags[kind]))
            told = output_of(binary, "look", files[kind], str(options.keys), *identities[kind])
            looks[kind].append(json.loads(told))
    return made, looks, {kind: os.path.getsize(file) for kind, file in files.items()}


def made_table(made):
    head = ["way", "s", "client CPU s", "peak memory MiB", "time : plain", "CPU : plain"]
    return table(head, [
        [kind, f"{middle(mine, 'seconds'):.2f}", f"{middle(mine, 'cpu'):.2f}", f"{backup.peak(mine):.0f}",
         f"{ratio(mine, made[PLAIN], 'seconds'):.2f}", f"{ratio(mine, made[PLAIN], 'cpu'):.2f}"]
        for kind, mine in made.items()
    ])  # fmt: skip


def looks_table(looks):
    rows = []
    for look, title in LOOKS.items():
        plain, encrypted = ([run[look] for run in looks[kind]] for kind in (PLAIN, ENCRYPTED))
        rows.append([
            title, f"{1e3 * middle(plain, 'seconds'):.2f}", f"{middle(plain, 'bytes') / 1024:.0f}",
            f"{1e3 * middle(encrypted, 'seconds'):.2f}", f"{middle(encrypted, 'bytes') / 1024:.0f}",
            f"{ratio(encrypted, plain, 'seconds'):.2f}",
        ])  # fmt: skip
    head = ["look", "plain ms", "read KiB", "encrypted ms", "read KiB", "encrypted : plain, time"]
    return table(head, rows)
