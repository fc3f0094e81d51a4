"""A backtest as a table of samples (CSV), as JSON, and as one HTML page that needs no network.

Called by `burster policy backtest`. It shows what ``backtest`` found and computes nothing of its own. What came from outside is escaped.
"""

import csv
import html
import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any, Final

import msgspec

from burster.model.quantities import MILLIS_PER_HOUR, format_duration_ms
from burster.simulator.backtest import Backtest


#: more points than a screen can show are thinned to the highest of each stretch
_POINTS_MAX: Final = 5_000
_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1c2733; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; } .plot { height: 300px; }
table { border-collapse: collapse; } td, th { border-bottom: 1px solid #d5dde5; padding: .25rem .9rem .25rem 0; text-align: left; }
"""


def as_json(result: Backtest) -> dict[str, Any]:
    """Return what `-o json` prints."""
    return {
        "policy": result.policy,
        "start": moment_text(result.span.start_ms),
        "end": moment_text(result.span.end_ms),
        "step_seconds": result.span.step_ms / 1000,
        "triggers": list(result.triggers),
        "left_out": list(result.left_out),
        "totals": {
            "spans": len(result.spans),
            "active_seconds": result.active_ms / 1000,
            "missing_seconds": result.missing_ms / 1000,
            "replicas_max": result.peak,
            "replica_hours": round(result.replica_ms / MILLIS_PER_HOUR, 3),
        },
        "spans": [
            {
                "start": moment_text(span.start_ms),
                "end": moment_text(span.end_ms),
                "trigger": span.trigger,
                "peaks": {
                    name: None if peak is None else peak / 1000
                    for name, peak in zip(result.triggers, span.peaks_milli, strict=True)
                },
                "replicas": span.replicas,
                "missing_seconds": span.missing_ms / 1000,
            }
            for span in result.spans
        ],
    }


def as_csv(result: Backtest) -> str:
    """Return every sample: time, the triggers' values (empty: missing), active, replicas."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["time", *result.triggers, "active", "in_force", "replicas"])
    for one in result.moments:
        values = ["" if value is None else f"{value / 1000:g}" for value in one.values]
        writer.writerow([moment_text(one.at_ms), *values, int(one.active), int(one.in_force), one.replicas])
    return text.getvalue()


def as_html(result: Backtest) -> str:
    """Return the page."""
    figures = {"replicas": _replicas(result), "values": _values(result)}
    # "<" as an escape: a name in the data can't end the script
    data = msgspec.json.encode(figures).decode().replace("<", "\\u003c")
    rows = "".join(
        f"<tr><td>{moment_text(span.start_ms)}<td>{moment_text(span.end_ms)}<td>{format_duration_ms(span.end_ms - span.start_ms)}"
        f"<td>{html.escape(span.trigger)}<td>{span.replicas}"
        for span in result.spans
    )
    table = (
        f"<table><tr><th>from<th>to<th>for<th>trigger<th>replicas{rows}</table>"
        if rows
        else "<p>It would never have fired.</p>"
    )
    left_out = "".join(f"<li>{html.escape(one)}</li>" for one in result.left_out)
    title = html.escape(f"{result.policy}: when it would have fired")
    script = (
        (files("plotly") / "package_data" / "plotly.min.js")
        .read_text(encoding="utf-8")
        .replace("</script", "<\\/script")
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>
<script>{script}</script></head><body>
<h1>{title}</h1>
<p>{moment_text(result.span.start_ms)} to {moment_text(result.span.end_ms)}, every {format_duration_ms(result.span.step_ms)}:
{len(result.spans)} spans, {format_duration_ms(result.active_ms)} in all, at most {result.peak} replicas,
{result.replica_ms / MILLIS_PER_HOUR:.2f} replica hours; values missing for {format_duration_ms(result.missing_ms)}.</p>
<h2>Replicas asked for</h2><div class="plot" id="replicas"></div>
<h2>Values of the triggers</h2><div class="plot" id="values"></div>
<h2>Spans</h2>{table}
{f"<h2>What was left out</h2><ul>{left_out}</ul>" if left_out else ""}
<script>
const figures = {data};
for (const [name, figure] of Object.entries(figures))
  Plotly.newPlot(name, figure.data, Object.assign({{margin: {{l: 55, r: 20, t: 10, b: 40}}, legend: {{orientation: "h"}}}}, figure.layout),
    {{displaylogo: false, responsive: true}});
</script></body></html>
"""


def moment_text(at_ms: int) -> str:
    """Return a time as people and programs read it, in UTC."""
    return (datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=at_ms)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _replicas(result: Backtest) -> dict[str, Any]:
    numbers = [one.replicas for one in result.moments]
    times, values = _thinned([one.at_ms for one in result.moments], numbers)
    line = {"x": times, "y": values, "name": "replicas", "mode": "lines", "line": {"shape": "hv"}, "fill": "tozeroy"}
    return {"data": [line], "layout": {"yaxis": {"title": {"text": "replicas"}, "rangemode": "tozero"}}}


def _values(result: Backtest) -> dict[str, Any]:
    at_ms = [one.at_ms for one in result.moments]
    lines: list[dict[str, Any]] = []
    for index, name in enumerate(result.triggers):
        readings = [one.values[index] for one in result.moments]
        times, values = _thinned(at_ms, [None if value is None else value / 1000 for value in readings])
        lines.append({"x": times, "y": values, "name": name, "mode": "lines", "connectgaps": False})
    return {"data": lines, "layout": {"yaxis": {"title": {"text": "value"}, "rangemode": "tozero"}}}


def _thinned(at_ms: Sequence[int], values: Sequence[float | None]) -> tuple[list[str], list[float | None]]:
    """Return no more points than a screen can show: of each stretch the highest, so that no peak is lost; a gap stays one."""
    stretch = -(-len(at_ms) // _POINTS_MAX)
    times: list[str] = []
    kept: list[float | None] = []
    for start in range(0, len(at_ms), stretch):
        part = values[start : start + stretch]
        times.append(moment_text(at_ms[start]))
        kept.append(max((value for value in part if value is not None), default=None))
    return times, kept
