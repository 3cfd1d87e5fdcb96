#!/usr/bin/env python3
"""Reads etcd-ark archives front to back. Written from docs/format.md alone.

usage: read_archive.py ARCHIVE...

Prints one JSON object per line, byte strings in hex: for each archive {"file": name}, {"header": ...}, a
{"record": ...} for each record, a {"lease": ...} for each lease, {"auth": ...}, {"members": ...} and
{"options": ...} if they are there, and {"footer": ...}. Only with its footer has an
archive passed every check. A fault is told on stderr, with the offset of its frame, and makes the exit status 1.
"""
import json
import struct
import sys

import zstandard
from blake3 import blake3

MAGIC, MARKER, ZSTD_MAGIC = b"\x89ARK\r\n\x1a\n", b"\xf7AFR", b"\x28\xb5\x2f\xfd"
HEADER, BLOCK, LEASES, INDEX_LEAF, INDEX_ROOT, FOOTER = range(0x81, 0x87)
AUTH, MEMBERS, OPTIONS = range(0x07, 0x0A)
ORDER = [HEADER, BLOCK, LEASES, AUTH, MEMBERS, OPTIONS, INDEX_LEAF, INDEX_ROOT, FOOTER]
BLOCK_LIMIT, OTHER_LIMIT, RAW_LIMIT, RECORD_LIMIT = 64 << 20, 8 << 20, 64 << 20, 32 << 20
LEASES_LIMIT, ENTRIES_LIMIT, LEAF_LIMIT, INDEX_KEY, RECORD_MINIMUM, WINDOW_LIMIT = 4096, 65536, 256, 1024, 4, 64 << 20


class Fault(Exception):
    pass


def need(holds, otherwise):
    if not holds:
        raise Fault(otherwise)


def uint64(value):
    return value


def uint32(value):
    need(value < 1 << 32, "a number needs more than 32 bits")
    return value


def int64(value):
    return value - (value >> 63 << 64)


def string(value):
    return value.decode("utf-8")


def name(value):
    need(value, "a name is empty")
    return string(value)


def access(value):
    need(value <= 3, f"access {value} is unknown")
    return value


def state(value):
    need(value <= 2, f"state {value} is unknown")
    return value


def flag(value):
    return int(uint32(value) != 0)


def frame_type(value):
    need(value <= 255, f"no frame has type {value}")
    return value


def lease_id(value):
    need(value, "a lease has id 0")
    return int64(value)


def ttl(value):
    need(int64(value) >= 0, "a TTL is negative")
    return value


def block_len(value):
    need(44 <= value <= 44 + BLOCK_LIMIT, f"no block has a frame of {value} bytes")
    return value


def leaf_len(value):
    need(44 <= value <= 44 + OTHER_LIMIT, f"no leaf has a frame of {value} bytes")
    return value


def index_key(value):
    need(1 <= len(value) <= INDEX_KEY, f"a key in the index has {len(value)} bytes")
    return value


def hash32(value):
    need(len(value) == 32, f"a hash has {len(value)} bytes")
    return value


# Messages: name and type of each field, by number from 1 on. A list is a repeated message, or a repeated field of the
# one type in it. A type is a function that takes what is there and refuses what is not valid, each time that the field
# occurs.
NUMBERS = uint64, uint32, int64, lease_id, ttl, block_len, leaf_len, access, state, flag, frame_type
HEADER_FIELDS = [
    ("cluster_id", uint64), ("member_id", uint64), ("revision", int64), ("created_unix_ms", int64),
    ("server_version", string), ("writer", string), ("range_start", bytes), ("range_end", bytes),
]
LEASES_FIELDS = [("leases", [("id", lease_id), ("granted_ttl", ttl), ("remaining_ttl", ttl)])]
LEAF_FIELDS = [("blocks", [
    ("offset", uint64), ("frame_len", block_len), ("raw_len", uint32), ("records", uint32),
    ("first_key", index_key), ("last_key", index_key), ("state_hash", hash32), ("content_hash", hash32),
])]
ROOT_FIELDS = [("leaves", [
    ("offset", uint64), ("frame_len", leaf_len), ("first_key", index_key), ("last_key", index_key), ("check", hash32),
])]
ROOT_FIELDS.append(("frames", [
    ("type", frame_type), ("offset", uint64), ("frame_len", leaf_len), ("check", hash32),
]))
AUTH_FIELDS = [
    ("users", [("name", name), ("roles", [name])]),
    ("roles", [("name", name), ("permissions", [("access", access), ("range_start", bytes), ("range_end", bytes)])]),
    ("state", state), ("missing", string),
]
MEMBERS_FIELDS = [
    ("members", [
        ("id", uint64), ("name", string), ("peer_urls", [string]), ("client_urls", [string]), ("learner", flag),
        ("server_version", string),
    ]),
    ("alarms", [("member_id", uint64), ("kind", uint32)]), ("missing", string),
]
OPTIONS_FIELDS = [("options", [("name", name), ("value", string)])]
RECORD_FIELDS = [
    ("key", bytes), ("create_revision", int64), ("mod_revision", int64), ("version", int64),
    ("value", bytes), ("lease", int64),
]
FOOTER_FIELDS = [
    "index_root_offset", "records", "blocks", "bytes", "file_len",
    "index_root_check", "state_root", "content_root", "archive_root",
]


def varint(data, at):
    value = shift = 0
    while True:
        need(at < len(data), "a varint is cut short")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:
            break
        need(shift < 70, "a varint is too long")
    need(value < 1 << 64, "a varint has more than 64 bits")
    need(byte or shift == 7, "a varint does not have its shortest form")
    return value, at


def fields(data):
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        number, wire = tag >> 3, tag & 7
        need(number, "a field has number 0")
        need(wire in (0, 1, 2, 5), f"a field has wire type {wire}")
        if wire == 0:
            value, at = varint(data, at)
        else:
            size, at = varint(data, at) if wire == 2 else (8 if wire == 1 else 4, at)
            need(size <= len(data) - at, "a field is cut short")
            value, at = data[at : at + size], at + size
        yield number, wire, value


class Budget:
    """How many entries the lists of a frame may have together."""

    def __init__(self, limit):
        self.limit = self.left = limit

    def spend(self, what):
        need(self.left, f"more than {self.limit} {what}")
        self.left -= 1


def message(data, schema, budget=None, canonical=False):
    def missing(kind):
        return [] if isinstance(kind, list) else 0 if kind in NUMBERS else "" if kind in (string, name) else b""

    result = {field: missing(kind) for field, kind in schema}
    last = 0
    for number, wire, value in fields(data):
        if canonical:
            need(last < number <= len(schema) and value, "a record is not canonical")
            last = number
        if number > len(schema):
            continue
        field, kind = schema[number - 1]
        need(wire == (0 if kind in NUMBERS else 2), f"{field} has wire type {wire}")
        if isinstance(kind, list):
            budget.spend(field)
            result[field].append(message(value, kind, budget) if isinstance(kind[0], tuple) else kind[0](value))
        else:
            result[field] = kind(value)
    return result


def named(entries):
    names = [entry["name"] for entry in entries]
    need(all(names), "a name is missing")
    ascending([name.encode() for name in names], "names")
    return entries


def ascending(values, what):
    need(all(a < b for a, b in zip(values, values[1:])), f"the {what} do not ascend")


def records_of(raw):
    at = 0
    while at < len(raw):
        size, at = varint(raw, at)
        need(size <= len(raw) - at, "a record is cut short")
        yield message(raw[at : at + size], RECORD_FIELDS, canonical=True)
        at += size


def decompressed(stored, raw_len):
    # A skippable frame is not the one frame that should be here, though a decompressor takes it.
    need(stored[:4] == ZSTD_MAGIC, "the stored bytes are not a Zstandard frame")
    stated = zstandard.get_frame_parameters(stored)
    need(stated.content_size == raw_len, "the Zstandard frame does not state the raw length as its content size")
    need(stated.dict_id == 0, "the Zstandard frame needs a dictionary")
    return zstandard.ZstdDecompressor(max_window_size=WINDOW_LIMIT).decompress(stored, allow_extra_data=False)


def emit(what, value):
    print(json.dumps({what: value}, default=bytes.hex))


class Reader:
    def __init__(self, source):
        self.source = source
        self.offset = 0  # where the frame at hand begins
        self.stage, self.writer = 0, ""  # type of the last known frame; the header's writer
        # The index that should come. A reader with little memory would keep a hash of it, not the whole.
        self.entries, self.leaves, self.frames = [], [], []
        self.indexed = 0  # blocks that leaves have named
        self.records = self.bytes = 0
        self.last_key, self.last_lease = b"", None
        self.roots = [blake3(f"etcd-ark v1 {name} root\n".encode()) for name in ("state", "content", "archive")]

    def read(self):
        self.preamble()
        while self.stage != FOOTER:
            self.frame()
        need(not self.source.read(1), "something follows the footer")
        emit("footer", self.summary)

    def take(self, size):
        data = self.source.read(size)
        need(len(data) == size, "the archive is incomplete: it ends in what begins here, without a footer; "
             f"{len(self.entries)} blocks with {self.records} records before are whole")
        return data

    def preamble(self):
        magic = self.source.read(8)
        whole = MAGIC.startswith(magic)
        need(whole or magic[1:4] != MAGIC[1:4], "an archive that a text transfer has damaged")
        need(whole, "not an archive")
        numbers = self.take(12 - len(magic))
        self.version = struct.unpack("<HH", numbers)
        need(self.version[0] == 1, f"the archive has major version {self.version[0]}, this reader knows 1")
        self.roots[2].update(magic + numbers)
        self.offset = 12

    def frame(self):
        head = self.take(12)
        marker, kind, reserved, size = struct.unpack("<4sB3sI", head)
        need(marker == MARKER, "no frame begins here")
        need(size <= (BLOCK_LIMIT if kind == BLOCK else OTHER_LIMIT), f"a payload of {size} bytes is over the limit")
        payload, check = self.take(size), self.take(32)
        need(blake3(head).update(payload).digest() == check, "the frame is damaged: its check does not match")
        need(not any(reserved), "frame reserved is not zero")
        self.place(kind)
        length = 12 + size + 32
        if kind not in (BLOCK, INDEX_LEAF, INDEX_ROOT, FOOTER):
            self.frames.append(dict(type=kind, offset=self.offset, frame_len=length, check=check))
        if kind in ORDER:
            read = [self.header, self.block, self.leases, self.auth, self.members, self.options, self.index_leaf,
                    self.index_root, self.footer]
            read[ORDER.index(kind)](payload, length, check)
        self.roots[2].update(check)
        self.offset += length

    def place(self, kind):
        need((kind == HEADER) == (self.stage == 0), "HEADER must be the first frame and the only one of its type")
        need(kind in ORDER or not kind & 0x80, self.unknown(f"frame type {kind:02x}"))
        if kind in ORDER and self.stage:
            step = ORDER.index(kind) - ORDER.index(self.stage)
            once = kind in (AUTH, MEMBERS, OPTIONS)
            need(step > 0 or step == 0 and not once, f"a frame of type {kind:02x} after one of type {self.stage:02x}")
        need((kind == FOOTER) == (self.stage == INDEX_ROOT), "FOOTER, and nothing else, must follow INDEX_ROOT")
        if kind in ORDER:
            self.stage = kind

    def unknown(self, what):
        return f"unknown {what}, in an archive of version {self.version[0]}.{self.version[1]} by {self.writer!r}"

    def header(self, payload, length, check):
        header = message(payload, HEADER_FIELDS)
        self.writer = header["writer"]
        emit("header", header)

    def block(self, payload, length, check):
        need(len(payload) >= 84, "the payload is too short for a block header")
        ordinal, raw_len, count, compression, reserved, state, content = struct.unpack_from("<QIIB3s32s32s", payload)
        need(ordinal == len(self.entries), f"block {ordinal} stands where block {len(self.entries)} should")
        need(not any(reserved), "block reserved is not zero")
        need(raw_len <= RAW_LIMIT, f"a raw length of {raw_len} is over the limit")
        need(1 <= count <= raw_len // RECORD_MINIMUM, f"{count} records cannot be in {raw_len} bytes")
        need(compression <= 1, self.unknown(f"compression {compression}"))
        raw = decompressed(payload[84:], raw_len) if compression else payload[84:]
        need(len(raw) == raw_len, f"{len(raw)} raw bytes, not {raw_len}")
        need(blake3(raw).digest() == state, "the state hash does not match")
        contents, before, first_key = blake3(), self.records, None
        for record in records_of(raw):
            self.record(record, contents)
            first_key = first_key or self.last_key
        need(self.records - before == count, f"{self.records - before} records, not {count}")
        need(contents.digest() == content, "the content hash does not match")
        self.roots[0].update(state)
        self.roots[1].update(content)
        self.entries.append(dict(
            offset=self.offset, frame_len=length, raw_len=raw_len, records=count, first_key=first_key[:INDEX_KEY],
            last_key=self.last_key[:INDEX_KEY], state_hash=state, content_hash=content,
        ))

    def record(self, record, contents):
        key, value = record["key"], record["value"]
        need(key, "a key is empty")
        need(key > self.last_key, "the keys do not ascend")
        need(len(key) + len(value) <= RECORD_LIMIT, "a record is over the limit")
        for part in (key, value):
            contents.update(struct.pack("<I", len(part))).update(part)
        self.last_key = key
        self.records += 1
        self.bytes += len(key) + len(value)
        emit("record", record)

    def leases(self, payload, length, check):
        for lease in message(payload, LEASES_FIELDS, Budget(LEASES_LIMIT))["leases"]:
            lease_id(lease["id"])  # It may be missing.
            need(self.last_lease is None or lease["id"] > self.last_lease, "the ids of leases do not ascend")
            self.last_lease = lease["id"]
            emit("lease", lease)

    def auth(self, payload, length, check):
        auth = message(payload, AUTH_FIELDS, Budget(ENTRIES_LIMIT))
        named(auth["users"]), named(auth["roles"])
        emit("auth", auth)

    def members(self, payload, length, check):
        members = message(payload, MEMBERS_FIELDS, Budget(ENTRIES_LIMIT))
        ascending([member["id"] for member in members["members"]], "ids of members")
        emit("members", members)

    def options(self, payload, length, check):
        options = message(payload, OPTIONS_FIELDS, Budget(ENTRIES_LIMIT))
        named(options["options"])
        emit("options", options)

    def index_leaf(self, payload, length, check):
        blocks = message(payload, LEAF_FIELDS, Budget(LEAF_LIMIT))["blocks"]
        need(blocks, "an index leaf without blocks")
        until = self.indexed + len(blocks)
        need(blocks == self.entries[self.indexed : until], "the index does not agree with the blocks")
        self.indexed = until
        self.leaves.append(dict(
            offset=self.offset, frame_len=length, first_key=blocks[0]["first_key"],
            last_key=blocks[-1]["last_key"], check=check,
        ))

    def index_root(self, payload, length, check):
        need(self.indexed == len(self.entries), "blocks are missing in the index")
        root = message(payload, ROOT_FIELDS, Budget(len(self.leaves) + len(self.frames)))
        need(root["leaves"] == self.leaves, "the index root does not agree with the leaves")
        need(root["frames"] == self.frames, "the index root does not agree with the frames")
        self.root = [self.offset, check]

    def footer(self, payload, length, check):
        need(len(payload) == 168, "the footer does not have 168 bytes")
        footer = dict(zip(FOOTER_FIELDS, struct.unpack("<5Q32s32s32s32s", payload)))
        counted = [self.root[0], self.records, len(self.entries), self.bytes, self.offset + length, self.root[1]]
        for (name, stated), found in zip(footer.items(), counted + [root.digest() for root in self.roots]):
            need(stated == found, f"{name} in the footer is not what was read")
        self.summary = {name: value for name, value in footer.items() if not name.startswith("index_root")}


def main(paths):
    status = 0
    for path in paths:
        emit("file", path)
        with open(path, "rb") as source:
            reader = Reader(source)
            try:
                reader.read()
            except (Fault, UnicodeDecodeError, zstandard.ZstdError) as fault:
                print(f"{path}: at offset {reader.offset}: {fault}", file=sys.stderr)
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
