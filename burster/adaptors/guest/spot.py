"""Listens for the notice that a spot machine is about to be taken away, and stops the workload. Runs in the machine, as root.

Azure gives half a minute at least. The workload gets it to end in order: its port closes with it, so nobody is sent here any more.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from typing import Any


IMDS = os.environ.get("BURSTER_IMDS", "http://169.254.169.254")
EVENTS = f"{IMDS}/metadata/scheduledevents?api-version=2020-07-01"
FINAL = ("Preempt", "Terminate")
WORKLOAD = "burster-workload.target"
EVERY_S = float(os.environ.get("BURSTER_SPOT_EVERY_S", "2"))


def ask(body: bytes | None = None) -> dict[str, Any]:
    """Read the events that are due, or approve of one."""
    request = urllib.request.Request(EVENTS, data=body, headers={"Metadata": "true"})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=10) as answer:
        text = answer.read()
    return json.loads(text) if text else {}


def notice() -> str:
    """Return the id of the event that ends this machine, "" while there is none."""
    name = os.environ["BURSTER_MACHINE"]
    events: list[dict[str, Any]] = ask().get("Events") or []
    for event in events:
        if event.get("EventType") in FINAL and name in event.get("Resources", [name]):
            return str(event["EventId"])
    return ""


def main() -> int:
    """Wait for the notice, however long; then stop the workload and let the machine go."""
    while True:
        try:
            event = notice()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            print(f"the events can't be read: {error}", file=sys.stderr)
            event = ""
        if event:
            break
        time.sleep(EVERY_S)
    print("this machine is being taken away: its workload is stopped", file=sys.stderr)
    subprocess.run(["systemctl", "stop", WORKLOAD], check=False)
    try:
        ask(json.dumps({"StartRequests": [{"EventId": event}]}).encode())
    except (OSError, ValueError) as error:
        print(f"the event could not be approved of: {error}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
