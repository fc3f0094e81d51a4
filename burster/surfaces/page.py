"""The status page: one StatusView as HTML. No script, nothing from outside; it asks for itself again every few seconds."""

from typing import Final

from burster.model.quantities import format_duration_ms, format_memory_bytes, format_micro_usd
from burster.surfaces import html, words
from burster.surfaces.view import StatusView


REFRESH_S: Final = 5


def status_page(view: StatusView) -> str:
    """Return the page."""
    title = f"burster{' · ' + view.title if view.title else ''}"
    return html.document(
        title,
        (
            f"<h1>{html.escape(title)}</h1>",
            _standing(view),
            _onprem(view),
            _pending(view),
            _bursts(view),
            _budgets(view),
            _decisions(view),
        ),
        refresh_s=REFRESH_S,
    )


def _standing(view: StatusView) -> str:
    marks = [
        '<span class="good">ready</span>'
        if view.ready
        else f'<span class="bad">not ready: {html.escape(view.not_ready_because or "starting")}</span>'
    ]
    if view.dry_run:
        marks.append("dry run: decides and records, changes nothing")
    if view.draining:
        marks.append('<span class="bad">everything is coming home</span>')
    if not view.leader:
        marks.append(f"standing by: {html.escape(view.led_by or 'another replica')} acts")
    return f'<p>{" · ".join(marks)} <span class="soft">· {html.escape(words.moment(view.at_ms))}</span></p>'


def _onprem(view: StatusView) -> str:
    used, there = view.onprem.used, view.onprem.allocatable
    if not view.onprem.used_known:
        return (
            f"<h2>On-prem: {view.onprem.node_count} nodes</h2><p>{there.cpu_millicores / 1000:g} cores, "
            f"{format_memory_bytes(there.memory_bytes)}; what so many pods ask for is not added up</p>"
        )
    return (
        f"<h2>On-prem: {view.onprem.node_count} nodes</h2>"
        + html.bar(
            "cpu",
            used.cpu_millicores,
            there.cpu_millicores,
            f"{used.cpu_millicores / 1000:g} of {there.cpu_millicores / 1000:g} cores",
        )
        + html.bar(
            "memory",
            used.memory_bytes,
            there.memory_bytes,
            f"{format_memory_bytes(used.memory_bytes)} of {format_memory_bytes(there.memory_bytes)}",
        )
    )


def _pending(view: StatusView) -> str:
    rows = [
        (
            pod.pod,
            format_duration_ms(max(0, view.at_ms - pod.since_ms)),
            words.resources(pod.requests),
            pod.policy,
            pod.why,
        )
        for pod in view.pending
    ]
    return f"<h2>Pending pods: {view.pending_total}</h2>" + html.table(
        ("pod", "for#", "asks for", "policy", "why not in the cloud"), rows
    )


def _bursts(view: StatusView) -> str:
    rows = [
        (
            one.burst,
            one.phase,
            one.pod,
            one.vm or "not yet known",
            one.size,
            format_micro_usd(one.cost_micro_usd),
            one.policy,
        )
        for one in view.bursts
    ]
    phases = ", ".join(f"{count} {phase}" for phase, count in view.bursts_by_phase.items()) or "none"
    return f"<h2>Bursts: {html.escape(phases)}</h2>" + html.table(
        ("burst", "phase", "pod", "VM", "size", "cost#", "policy"), rows
    )


def _budgets(view: StatusView) -> str:
    bars: list[str] = []
    for budget in view.budgets:
        taken = budget.spent_micro_usd + budget.reserved_micro_usd
        text = (
            f"{format_micro_usd(budget.spent_micro_usd)} spent, {format_micro_usd(budget.reserved_micro_usd)} reserved"
        )
        if budget.limit_micro_usd is None:
            bars.append(html.facts([(f"{budget.owner} per {budget.window}", f"{text}, no limit")]))
        else:
            text += f", of {format_micro_usd(budget.limit_micro_usd)}"
            bars.append(html.bar(f"{budget.owner} per {budget.window}", taken, budget.limit_micro_usd, text))
    total = f"{format_micro_usd(view.spent_micro_usd)} settled, {format_micro_usd(view.accruing_micro_usd)} running"
    behind = words.left_behind(view.leaks)
    if behind:
        bars.append(html.facts([("left behind, claimed by no record", behind)]))
    return f"<h2>Money: {html.escape(total)}</h2>" + "".join(bars)


def _decisions(view: StatusView) -> str:
    rows = [
        (words.clock_time(one.at_ms), one.verdict, one.subject or one.policy, words.sentence(one))
        for one in reversed(view.decisions)
    ]
    return f"<h2>Latest of {view.decisions_total} decisions</h2>" + html.table(
        ("UTC", "verdict", "about", "because"), rows
    )
