"""What a finished demo leaves in its run directory beside the ledger: decisions.jsonl, timeline.json, summary.json, report.html.

The report is one file that needs nothing from anywhere: curves by hand, tables, every decision up to a limit with its reasons.
"""

from pathlib import Path
from typing import Any, Final

import msgspec

from burster.cli.charts import Curve, chart
from burster.cli.run_dir import LEDGER, SUMMARY
from burster.lab.demo_result import DemoResult, demo_document
from burster.ledger import Ledger
from burster.ledger.store import canonical_json
from burster.ledger.story import burst_stories
from burster.model.decisions import Decision
from burster.model.quantities import MICRO_USD_PER_USD, format_duration_ms, format_micro_usd
from burster.surfaces import html, words
from burster.surfaces.spending import SpendQuery, spend_report
from burster.surfaces.timeline import Sample


REPORT: Final = "report.html"
DECISIONS: Final = "decisions.jsonl"
TIMELINE: Final = "timeline.json"
_DECISIONS_SHOWN_MAX: Final = 500
_BURSTS_SHOWN_MAX: Final = 500
_DECISIONS_WRITTEN_MAX: Final = 1_000_000


def leave_artifacts(result: DemoResult, samples: tuple[Sample, ...], beats: tuple[str, ...]) -> dict[str, Any]:
    """Write what a finished run leaves, and return its JSON document. The summary comes last: where it is, all is."""
    run = Path(result.run_dir)
    document = demo_document(result, str(run / REPORT))
    with Ledger.read(run / LEDGER) as ledger:
        with (run / DECISIONS).open("wb") as file:
            for decision in ledger.decisions(limit=_DECISIONS_WRITTEN_MAX):
                file.write(canonical_json(decision) + b"\n")
        (run / TIMELINE).write_bytes(msgspec.json.encode(samples))
        (run / REPORT).write_text(report(result, ledger, samples, beats), encoding="utf-8")
    (run / SUMMARY).write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    return document


def report(result: DemoResult, ledger: Ledger, samples: tuple[Sample, ...], beats: tuple[str, ...]) -> str:
    """Return the report."""
    title = f"burster demo, seed {result.seed}"
    return html.document(
        title,
        (
            f"<h1>{html.escape(title)}</h1>",
            '<p class="soft">Cluster, cloud and money in this report are simulated.</p>',
            _summary(result),
            _beats(beats),
            _invariants(result),
            *_curves(samples),
            _money(ledger),
            _bursts(ledger),
            _verdicts(ledger),
            _decisions(ledger),
        ),
    )


def _summary(result: DemoResult) -> str:
    pods, bursts, reaction = result.pods, result.bursts, result.reaction_ms
    return html.facts(
        [
            (
                "pods",
                f"{pods.total}: {pods.ran_on_prem} ran on-prem, {pods.ran_in_cloud} in the cloud, {pods.unserved} did not run",
            ),
            ("bursts", f"{bursts.created} created, {bursts.released} released, {bursts.failed} failed"),
            ("leaks", result.leaks),
            ("cost", format_micro_usd(result.cost_micro_usd)),
            (
                "reaction",
                f"p50 {reaction.p50:.1f} ms, p99 {reaction.p99:.1f} ms, max {reaction.max:.1f} ms of wall time",
            ),
            ("time", f"{format_duration_ms(result.virtual_ms)} in {format_duration_ms(result.wall_ms)}"),
            ("decisions sha256", result.decisions_sha256),
            *([("interrupted", "everything was released")] if result.interrupted else []),
        ]
    )


def _beats(beats: tuple[str, ...]) -> str:
    if not beats:
        return ""
    return "<h2>The story</h2><ol>" + "".join(f"<li>{html.escape(beat)}</li>" for beat in beats) + "</ol>"


def _invariants(result: DemoResult) -> str:
    rows = [(one.name, "holds" if one.ok else "DOES NOT HOLD", one.detail) for one in result.invariants]
    return "<h2>What must hold</h2>" + html.table(("invariant", "", "found"), rows)


def _curves(samples: tuple[Sample, ...]) -> tuple[str, ...]:
    at_ms = [sample.at_ms for sample in samples]
    cpu = Curve("cpu", [sample.cpu_percent for sample in samples])
    memory = Curve("memory", [sample.memory_percent for sample in samples])
    pending = Curve("pending pods", [sample.pending for sample in samples])
    bursts = Curve("bursts", [sample.bursts for sample in samples])
    spent = Curve("settled and running", [sample.spent_micro_usd / MICRO_USD_PER_USD for sample in samples])
    return (
        chart("On-prem, asked for", " %", at_ms, [cpu, memory], top=100),
        chart("Waiting, and in the cloud", "", at_ms, [pending, bursts]),
        chart("Money", " USD", at_ms, [spent]),
    )


def _money(ledger: Ledger) -> str:
    report = spend_report(ledger.spend(), [], SpendQuery(), now_ms=ledger.span_ms()[1], source="")
    rows = [
        (
            row.policy,
            row.target,
            row.bursts,
            format_micro_usd(row.settled_micro_usd),
            format_micro_usd(row.dearest_micro_usd),
        )
        for row in report.rows
    ]
    return "<h2>Settled</h2>" + html.table(("policy", "target", "bursts#", "cost#", "dearest#"), rows, empty="nothing")


def _bursts(ledger: Ledger) -> str:
    stories = burst_stories(ledger)
    rows = [
        (
            words.clock_time(story.decided_at_ms),
            story.pod,
            story.burst,
            story.offering,
            ", ".join(story.vms),
            story.phase,
            "" if story.settled_micro_usd is None else format_micro_usd(story.settled_micro_usd),
        )
        for story in stories[:_BURSTS_SHOWN_MAX]
    ]
    shown = "" if len(stories) <= _BURSTS_SHOWN_MAX else f" (the first {_BURSTS_SHOWN_MAX} of {len(stories)})"
    return f"<h2>Bursts{shown}</h2>" + html.table(
        ("UTC", "for pod", "burst", "offering", "VMs", "phase", "cost#"), rows
    )


def _verdicts(ledger: Ledger) -> str:
    rows = [(verdict, code, count) for (verdict, code), count in ledger.verdicts().items()]
    return "<h2>Decisions, by what settled them</h2>" + html.table(("verdict", "reason", "times#"), rows)


def _decisions(ledger: Ledger) -> str:
    total = ledger.counts()["decisions"]
    latest = ledger.decisions(limit=_DECISIONS_SHOWN_MAX)
    rows = [(words.clock_time(one.at_ms), one.verdict, one.policy, one.subject, _reasons(one)) for one in latest]
    return f"<h2>The latest {len(latest)} of {total} decisions</h2>" + html.table(
        ("UTC", "verdict", "policy", "about", "because"), rows
    )


def _reasons(decision: Decision) -> str:
    told = " ".join(reason.sentence for reason in decision.reasons)
    change = words.what_would_change(decision)
    return f"{told} What would change it: {change}" if change else told
