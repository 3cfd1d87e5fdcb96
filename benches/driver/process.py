"""One run of a program: how long it took, and what it took."""

import os
import subprocess
import time


def measured(*command):
    began = time.monotonic()
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=dict(os.environ, ETCDCTL_API="3"))  # fmt: skip
    try:
        told, complaint = process.stdout.read(), process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    except BaseException:
        process.kill()
        raise
    seconds = time.monotonic() - began
    if process.returncode != 0:
        raise SystemExit(f"{command[0]} failed: {complaint.strip() or process.returncode}")
    # Linux counts the peak in KiB.
    return {"seconds": seconds, "told": told, "mib": usage.ru_maxrss / 1024,
            "cpu": usage.ru_utime + usage.ru_stime}  # fmt: skip
