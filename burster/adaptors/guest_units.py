"""What burster itself puts into a machine: systemd units and the programs they start, as one cloud-config.

A workload's own units hang on two targets: they come after ``burster-attested.target``, which is reached once the machine has proven itself
to its Trustee, and are wanted by ``burster-workload.target``, which is started then, and stopped when the machine has to go.
"""

import json
from importlib.resources import files
from typing import Any, Final

import msgspec


PROGRAMS: Final = "/usr/local/libexec/burster"
ENVIRONMENT: Final = "/etc/burster/machine.env"
#: what the attester asks the Trustee for: that it is given out is the proof, and what it says is thrown away
PROOF: Final = "burster/machine/proof"

_UNITS: Final = "/etc/systemd/system"

_ATTEST = """\
#!/bin/sh
# Proves this machine to its Trustee. Without the answer nothing of the workload starts. It is asked for until it comes: a unit that failed
# would fail all that waits for it, for good. Who waits too long for the whole machine takes it away.
until trustee-attester --url "$BURSTER_TRUSTEE_URL" get-resource --path {proof} >/dev/null; do
    sleep 5
done
"""

_ATTEST_SERVICE = """\
[Unit]
Description=Proof of this machine to its Trustee
Wants=network-online.target
After=network-online.target
Before=burster-attested.target

[Service]
Type=oneshot
RemainAfterExit=yes
EnvironmentFile={environment}
ExecStart={programs}/attest
TimeoutStartSec=infinity

[Install]
RequiredBy=burster-attested.target
"""

_ATTESTED_TARGET = """\
[Unit]
Description=This machine has proven itself to its Trustee
Wants=network-online.target
After=network-online.target
{attest}"""

_WORKLOAD_TARGET = """\
[Unit]
Description=The workload of this machine
Requires=burster-attested.target
After=burster-attested.target

[Install]
WantedBy=multi-user.target
"""

_LEASE_SERVICE = """\
[Unit]
Description=End of this machine where its lease is over

[Service]
Type=oneshot
EnvironmentFile={environment}
ExecStart=/usr/bin/python3 {programs}/lease.py
"""

_LEASE_TIMER = """\
[Unit]
Description=A look at this machine's lease

[Timer]
OnBootSec=30
OnUnitInactiveSec=30
AccuracySec=5

[Install]
WantedBy=timers.target
"""

_SPOT_SERVICE = """\
[Unit]
Description=Notice that this spot machine is taken away
Wants=network-online.target
After=network-online.target

[Service]
EnvironmentFile={environment}
ExecStart=/usr/bin/python3 {programs}/spot.py
Restart=on-failure
RestartSec=5

[Install]
WantedBy=multi-user.target
"""


class Guest(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine is told of itself. ``trustee_url`` empty: there is none to prove anything to."""

    machine: str
    lease_end_ms: int
    drain_ms: int
    trustee_url: str = ""
    spot: bool = False


def guest_config(guest: Guest) -> dict[str, Any]:
    """Return burster's own cloud-config, to be merged after anybody else's: its commands come before theirs."""
    units = _units(guest)
    environment = {
        "BURSTER_MACHINE": guest.machine,
        "BURSTER_LEASE_END_MS": str(guest.lease_end_ms),
        "BURSTER_DRAIN_S": str(-(-guest.drain_ms // 1000)),
        "BURSTER_TRUSTEE_URL": guest.trustee_url,
    }
    programs = {"lease.py": _program("lease.py")}
    started = ["burster-lease.timer"]
    if guest.trustee_url:
        programs["attest"] = _ATTEST.format(proof=PROOF)
    if guest.spot:
        programs["spot.py"] = _program("spot.py")
        started.append("burster-spot.service")
    written = [_file(ENVIRONMENT, "".join(f"{name}={json.dumps(value)}\n" for name, value in environment.items()))]
    written += [_file(f"{PROGRAMS}/{name}", text, "0755") for name, text in sorted(programs.items())]
    written += [_file(f"{_UNITS}/{name}", text) for name, text in sorted(units.items())]
    return {
        "merge_how": "list(prepend)+dict(no_replace,recurse_list)+str()",
        "write_files": written,
        "runcmd": [
            ["systemctl", "daemon-reload"],
            ["systemctl", "enable", "--now", *started],
            [
                "systemctl",
                "enable",
                *(["burster-attest.service"] if guest.trustee_url else []),
                "burster-workload.target",
            ],
            # the workload waits for the proof, nothing else does
            ["systemctl", "start", "--no-block", "burster-workload.target"],
        ],
    }


def _units(guest: Guest) -> dict[str, str]:
    values = {"environment": ENVIRONMENT, "programs": PROGRAMS}
    needs = "Requires=burster-attest.service\nAfter=burster-attest.service\n" if guest.trustee_url else ""
    units = {
        "burster-attested.target": _ATTESTED_TARGET.format(attest=needs),
        "burster-workload.target": _WORKLOAD_TARGET,
        "burster-lease.service": _LEASE_SERVICE.format(**values),
        "burster-lease.timer": _LEASE_TIMER,
    }
    if guest.trustee_url:
        units["burster-attest.service"] = _ATTEST_SERVICE.format(**values)
    if guest.spot:
        units["burster-spot.service"] = _SPOT_SERVICE.format(**values)
    return units


def _file(path: str, content: str, permissions: str = "0644") -> dict[str, str]:
    return {"path": path, "permissions": permissions, "owner": "root:root", "content": content}


def _program(name: str) -> str:
    return (files("burster.adaptors.guest") / name).read_text(encoding="utf-8")
