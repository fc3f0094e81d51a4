"""What probes on workers, and one in a canary, have found, as findings. Pure: who starts them is ``burster.runtime.probing``.

What a probe did not disprove is not proven: a datagram that nobody answers is told as such, and is no problem.
"""

from collections.abc import Mapping
from typing import Final

from burster.clients.network_probe import ProbeReport, Tried
from burster.sources.preflight import catalogue as c
from burster.sources.preflight.findings import Finding, Findings
from burster.sources.preflight.words import listed, plural


#: what VXLAN adds to each packet
_VXLAN_BYTES: Final = 50
#: what most pods' networks count with, VXLAN of their own taken off
_WHOLE: Final = 1_500
OF_WORKERS: Final = (c.TUNNEL_TCP, c.TUNNEL_UDP, c.TUNNEL_MTU)


def judge_workers(reports: Mapping[str, ProbeReport | str]) -> tuple[Finding, ...]:
    """Return what was found by node; a text in a report's place says why there is none."""
    found = Findings()
    silent = [f"{node}: {report}" for node, report in sorted(reports.items()) if isinstance(report, str)]
    told = {node: report for node, report in sorted(reports.items()) if not isinstance(report, str)}
    if not told:
        for check in OF_WORKERS:
            found.problem(
                check,
                f"No probe has come to an end: {listed(silent) or 'there is no worker'}.",
                "Look at why its pod did not run.",
            )
        return found.all
    _judge_tcp(told, silent, found)
    _judge_udp(told, found)
    _judge_mtu(told, found)
    return found.all


def judge_canary(exit_code: int | None, addresses: tuple[str, ...], trouble: str) -> tuple[Finding, ...]:
    """Return what the canary's exit code says: nothing else may come out of a confidential VM."""
    found = Findings()
    blocked = [one for number, one in enumerate(addresses) if exit_code is not None and exit_code >> number & 1]
    if exit_code is None or exit_code >> len(addresses):
        said = trouble or f"it ended with exit code {exit_code}"
        found.problem(
            c.VM_EGRESS,
            f"The canary has told nothing: {said}.",
            "Look at its events; what keeps it keeps every peer pod.",
        )
    elif blocked:
        found.problem(c.VM_EGRESS, f"From inside a VM there is no way to {listed(blocked)}.")
    else:
        found.ok(c.VM_EGRESS, f"From inside a VM: {listed(addresses)}.")
    return found.all


def skipped(why: str, *, canary: str) -> tuple[Finding, ...]:
    """Return that nobody has probed anything, and why."""
    found = Findings()
    for check in OF_WORKERS:
        found.skipped(check, why)
    found.skipped(c.VM_EGRESS, canary)
    return found.all


def _judge_tcp(told: Mapping[str, ProbeReport], silent: list[str], found: Findings) -> None:
    blocked = [f"{node}: {one.address} {one.detail}" for node, one in _of(told, "tcp") if one.verdict == "blocked"]
    refused = [f"{node}: {one.address}" for node, one in _of(told, "tcp") if one.verdict == "refused"]
    if blocked:
        found.problem(c.TUNNEL_TCP, f"{listed(blocked)}.")
    elif silent:
        found.warning(c.TUNNEL_TCP, f"Not from every worker: {listed(silent)}.", "Look at why its pod did not run.")
    elif refused:
        found.warning(
            c.TUNNEL_TCP,
            f"The host answers that nobody listens: {listed(refused)}. The way there is open.",
            "Probe a running pod VM, or an address at which somebody listens.",
        )
    else:
        found.ok(
            c.TUNNEL_TCP,
            f"From {plural(len(told), 'worker')}: {listed(sorted({one.address for _, one in _of(told, 'tcp')}))}.",
        )


def _judge_udp(told: Mapping[str, ProbeReport], found: Findings) -> None:
    tries = _of(told, "udp")
    blocked = [f"{node}: {one.address} {one.detail}" for node, one in tries if one.verdict == "blocked"]
    where = listed(sorted({one.address for _, one in tries}))
    if blocked:
        found.problem(c.TUNNEL_UDP, f"{listed(blocked)}.")
    elif any(one.verdict == "silent" for _, one in tries):
        found.ok(
            c.TUNNEL_UDP,
            f"{where}: nobody refuses it, and nobody answers. Not disproved; that is all a datagram can tell.",
        )
    else:
        found.ok(c.TUNNEL_UDP, f"{where}: the host answers.")


def _judge_mtu(told: Mapping[str, ProbeReport], found: Findings) -> None:
    sizes = {node: one.mtu for node, one in _of(told, "mtu") if one.mtu}
    if not sizes:
        found.warning(c.TUNNEL_MTU, "No worker could tell the path's MTU.", c.TUNNEL_UDP.cure)
        return
    node, least = min(sizes.items(), key=lambda item: (item[1], item[0]))
    room = f"{least} bytes on the way from {node}: {least - _VXLAN_BYTES} for what is inside VXLAN."
    if least < _WHOLE:
        found.warning(c.TUNNEL_MTU, room)
    else:
        found.ok(c.TUNNEL_MTU, room)


def _of(told: Mapping[str, ProbeReport], what: str) -> list[tuple[str, Tried]]:
    return [(node, one) for node, report in told.items() for one in report.tried if one.what == what]
