"""Ends a machine at the end of its lease. Runs in the machine, as root, every half a minute by a timer.

The lease is in a tag, which the machine's own metadata service shows it: whoever renews the lease moves the tag on. Where the tag can't be
read, the last one that could is believed, and before that the one that the machine was made with: a machine that hears nothing ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path


IMDS = os.environ.get("BURSTER_IMDS", "http://169.254.169.254")
RUN = Path(os.environ.get("BURSTER_RUN", "/run/burster"))
TAG = "burster-lease-end"
WORKLOAD = "burster-workload.target"


def told() -> int | None:
    """Return the end of the lease in epoch ms, as the tag says; None where it can't be read."""
    address = f"{IMDS}/metadata/instance/compute/tagsList?api-version=2021-02-01"
    request = urllib.request.Request(address, headers={"Metadata": "true"})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=5) as answer:
            for tag in json.load(answer):
                if str(tag["name"]).lower() == TAG:
                    return int(tag["value"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"the lease can't be read: {error}", file=sys.stderr)
    return None


def remembered() -> int:
    """Return what was last told, or what the machine was made with."""
    try:
        return int((RUN / "lease-end").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return int(os.environ["BURSTER_LEASE_END_MS"])


def main() -> int:
    """Look once; stop the workload and power off where the lease is over."""
    end_ms = told()
    if end_ms is None:
        end_ms = remembered()
    else:
        RUN.mkdir(parents=True, exist_ok=True)
        (RUN / "lease-end").write_text(str(end_ms), encoding="ascii")
    if time.time() * 1000 < end_ms:
        return 0
    print("the lease is over: this machine ends", file=sys.stderr)
    try:
        subprocess.run(["systemctl", "stop", WORKLOAD], check=False, timeout=int(os.environ["BURSTER_DRAIN_S"]) or 1)
    except subprocess.TimeoutExpired:
        print("the workload did not stop in time", file=sys.stderr)
    return subprocess.run(["systemctl", "poweroff"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
