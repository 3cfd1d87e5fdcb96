"""The archive format beside zstd alone, on one core."""

import datetime
import json

from . import peers
from .machine import describe, load_average, output_of, say
from .report import middle, ratio, table, verdict

TITLE = "Archive: encoding, decoding and verifying beside zstd"

ENCODE_TARGET, DECODE_TARGET = 1.3, 1.2


def add_options(parser):
    parser.add_argument("--mib", type=int, default=256, help="how much to encode (default: %(default)s)")
    parser.add_argument("--values", default="512,16384,1000000", help="lengths of values (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of all lengths (default: %(default)s)")


def run(options):
    machine, load = describe(), load_average()
    say("building")
    binary = peers.cargo("backup", "backup")()
    lengths = options.values.split(",")
    runs = {length: [] for length in lengths}
    for _ in range(options.rounds):
        for length in lengths:
            say(f"values of {length} bytes")
            runs[length].append(json.loads(output_of(binary, "archive", str(options.mib), length)))
    machine += f", load average {load} at the start and {load_average()} at the end"
    return f"""{datetime.date.today().isoformat()}. {machine}.
{output_of("rustc", "--version")}. etcd-ark: commit {peers.commit()}, zstd {peers.locked("backup", "zstd-sys")}.

{options.mib} MiB of records whose values are random hexadecimal text, in memory. All figures are processor time of all
threads; each run tells the quickest of five tries, the table medians of {options.rounds} runs. *zstd* is its library at
level 1 over the archive's uncompressed bytes at once, in the same process.

{rows(runs)}
### What the format itself costs

The least that any program for this format must do: *blocks*, zstd for each 256 KiB by itself, with buffers that are kept, so
that it is spared the page faults of one large output; and *hashes*, BLAKE3 of as many bytes as the format has hashed (the
raw bytes for the state, their content again without revisions, and the stored bytes for the check).

{least_rows(runs)}
Targets: encode : zstd at most {ENCODE_TARGET}, {verdict(worst(runs, "encode", "compress"), ENCODE_TARGET)};
decode : zstd at most {DECODE_TARGET}, {verdict(worst(runs, "decode", "decompress"), DECODE_TARGET)};
verify : zstd at most {DECODE_TARGET}, {verdict(worst(runs, "verify", "decompress"), DECODE_TARGET)}.
"""


def rows(runs):
    head = ["values of", "archive : plain", "zstd MB/s", "encode MB/s", "encode : zstd", "zstd -d MB/s",
            "decode MB/s", "decode : zstd", "verify : zstd"]  # fmt: skip
    lines = []
    for length, mine in runs.items():
        rate = {name: middle(mine, "bytes") / middle(mine, name) / 1e6
                for name in ("compress", "encode", "decompress", "decode")}  # fmt: skip
        lines.append([
            f"{length} B", f"{middle(mine, 'archive_bytes') / middle(mine, 'bytes'):.2f}",
            f"{rate['compress']:.0f}", f"{rate['encode']:.0f}", f"{ratio(mine, mine, 'encode', 'compress'):.2f}",
            f"{rate['decompress']:.0f}", f"{rate['decode']:.0f}", f"{ratio(mine, mine, 'decode', 'decompress'):.2f}",
            f"{ratio(mine, mine, 'verify', 'decompress'):.2f}",
        ])  # fmt: skip
    return table(head, lines)


def least_rows(runs):
    head = ["values of", "hashes : zstd", "blocks + hashes : zstd", "encode : least",
            "hashes : zstd -d", "blocks + hashes : zstd -d", "decode : least", "verify : least"]  # fmt: skip
    lines = []
    for length, mine in runs.items():
        for run in mine:
            run["least_encode"] = run["compress_blocks"] + run["hash"]
            run["least_decode"] = run["decompress_blocks"] + run["hash"]
        figures = [("hash", "compress"), ("least_encode", "compress"), ("encode", "least_encode"),
                   ("hash", "decompress"), ("least_decode", "decompress"), ("decode", "least_decode"),
                   ("verify", "least_decode")]  # fmt: skip
        lines.append([f"{length} B", *(f"{ratio(mine, mine, *pair):.2f}" for pair in figures)])
    return table(head, lines)


def worst(runs, mine, zstd):
    return max(ratio(found, found, mine, zstd) for found in runs.values())
