"""An etcd cluster on this machine, gone when its `with` block ends."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from .machine import ROOT, output_of

START_SECONDS = 60


class Cluster:
    def __init__(self, version, members, flags=()):
        self.binaries = Path(output_of(ROOT / "scripts" / "etcd", version))
        self.home = tempfile.TemporaryDirectory(prefix="etcd-ark-bench-")
        ports = free_ports(2 * members)
        self.endpoints = [f"http://127.0.0.1:{port}" for port in ports[:members]]
        self.peers = [f"http://127.0.0.1:{port}" for port in ports[members:]]
        self.flags = flags
        self.processes = []

    def __enter__(self):
        try:
            initial = ",".join(f"m{number}={peer}" for number, peer in enumerate(self.peers))
            for number in range(len(self.endpoints)):
                self.processes.append(self.start(number, initial))
            self.await_health()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes:
            # A paused process dies of this too.
            process.kill()
            process.wait()
        self.home.cleanup()

    def start(self, number, initial):
        client, peer = self.endpoints[number], self.peers[number]
        with open(f"{self.home.name}/m{number}.log", "wb") as log:
            return subprocess.Popen(
                [self.binaries / "etcd", "--name", f"m{number}", "--data-dir", f"{self.home.name}/m{number}",
                 "--listen-client-urls", client, "--advertise-client-urls", client,
                 "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                 # Millions of keys are more than the 2 GiB that are the default.
                 "--quota-backend-bytes", str(8 << 30),
                 "--initial-cluster", initial, "--logger", "zap", "--log-level", "warn",
                 # The clients are measured, not the disk.
                 "--unsafe-no-fsync", *self.flags],
                stdout=log, stderr=log,
            )  # fmt: skip

    def etcdctl(self, *arguments):
        environment = dict(os.environ, ETCDCTL_API="3", ETCDCTL_ENDPOINTS=",".join(self.endpoints))
        return output_of(
            self.binaries / "etcdctl", *arguments, env=environment, stderr=subprocess.DEVNULL
        )

    def await_health(self):
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.etcdctl("endpoint", "health")
                return
            except subprocess.CalledProcessError:
                if time.monotonic() > deadline or any(process.poll() is not None for process in self.processes):
                    logs = [Path(f"{self.home.name}/m{n}.log") for n in range(len(self.processes))]
                    tails = "\n".join(log.read_text(errors="replace")[-800:] for log in logs)
                    raise SystemExit(f"etcd did not become healthy:\n{tails}") from None
                time.sleep(0.2)

    def leader(self):
        """The leader's number."""
        members = json.loads(self.etcdctl("endpoint", "status", "--write-out", "json"))
        for told in members:
            status = told["Status"]
            if status["leader"] == status["header"]["member_id"]:
                return self.endpoints.index(told["Endpoint"])
        raise SystemExit("the cluster has no leader")

    def pause(self, number):
        self.processes[number].send_signal(signal.SIGSTOP)

    def resume(self, number):
        self.processes[number].send_signal(signal.SIGCONT)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
