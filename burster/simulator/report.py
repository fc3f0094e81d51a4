"""A run as one HTML page that needs no network: headline numbers, how it went over time, waits, refusals, and how far to trust it.

Called by `burster simulate`. It shows the numbers of the summary and of the timeline and computes none of its own. Everything that came
from outside is escaped; the only script is plotly's own, once.
"""

import html
from importlib.resources import files
from typing import Any, Final

import msgspec

from burster.model.quantities import MICRO_USD_PER_USD, MILLIS_PER_SECOND, format_duration_ms
from burster.simulator.run import Outcome, Setup
from burster.simulator.scenario import LoadedScenario


_CDF_POINTS_MAX: Final = 400
_STYLE: Final = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1c2733; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .8rem; margin: 1rem 0; }
.numbers div { border: 1px solid #d5dde5; border-radius: .4rem; padding: .6rem .8rem; }
.numbers b { display: block; font-size: 1.3rem; } .numbers span { color: #5a6b7b; font-size: .85rem; }
table { border-collapse: collapse; } td, th { border-bottom: 1px solid #d5dde5; padding: .25rem .9rem .25rem 0; text-align: left; }
.trust { background: #f4f7fa; border-radius: .4rem; padding: .8rem 1.2rem; } .plot { height: 260px; }
"""


def render(loaded: LoadedScenario, outcome: Outcome, summary: dict[str, Any]) -> str:
    """Return the page."""
    setup = loaded.setup
    figures = {
        "onprem": _on_prem(setup, outcome),
        "vms": _vms(outcome),
        "cost": _cost(outcome),
        "waits": _waits(outcome),
    }
    # "<" as an escape: a name in the data can't end the script
    data = msgspec.json.encode(figures).decode().replace("<", "\\u003c")
    plots = "".join(
        f'<h2>{title}</h2><div class="plot" id="{name}"></div>'
        for name, title in (
            ("onprem", "On-prem cores in use, and pods that wait"),
            ("vms", "Cloud VMs by state"),
            ("cost", "Cloud cost so far"),
            ("waits", "How long pods waited"),
        )
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>burster: {_text(loaded.source)}</title><style>{_STYLE}</style>
<script>{_plotly()}</script></head><body>
<h1>{_text(loaded.description or loaded.source)}</h1>
<p>{_text(loaded.source)}, {setup.trace.pods} pods, simulated time {format_duration_ms(outcome.ended_ms)}</p>
{_headline(summary)}
{plots}
<h2>What was refused, and why</h2>
{_denials(summary["limits"]["denials"])}
<h2>How far to trust this</h2>
{_trust(loaded, outcome, summary)}
<script>
const figures = {data};
for (const [name, figure] of Object.entries(figures))
  Plotly.newPlot(name, figure.data, Object.assign({{margin: {{l: 55, r: 20, t: 10, b: 40}}, legend: {{orientation: "h"}}}}, figure.layout),
    {{displaylogo: false, responsive: true}});
</script></body></html>
"""


def _plotly() -> str:
    text = (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
    return text.replace("</script", "<\\/script")


def _text(value: object) -> str:
    return html.escape(str(value))


def _headline(summary: dict[str, Any]) -> str:
    pods, cost, waits, cloud = summary["pods"], summary["cost_usd"], summary["wait_seconds"], summary["cloud"]
    numbers = (
        (f"${cost['total']:.4f}", "cloud cost"),
        (f"${cost['idle']:.4f}", "of it for VMs doing no pod's work"),
        (pods["ran_on_prem"], "pods ran on-prem"),
        (pods["ran_in_cloud"], "pods ran in the cloud"),
        (pods["unserved"], "pods never ran"),
        (f"{waits['p50']:g} s", "median wait"),
        (f"{waits['p95']:g} s", "95 % waited no longer"),
        (f"{waits['max']:g} s", "longest wait"),
        (cloud["peak_vms"], "VMs at most"),
        (f"{cloud['vm_hours']:.2f}", "VM hours"),
        (cloud["launches"], "VM launches"),
        (f"{summary['on_prem']['cpu_utilisation']:.1%}", "on-prem cpu asked for, on average"),
    )
    boxes = "".join(f"<div><b>{_text(value)}</b><span>{_text(label)}</span></div>" for value, label in numbers)
    return f'<div class="numbers">{boxes}</div>'


def _denials(denials: dict[str, int]) -> str:
    if not denials:
        return "<p>Nothing was refused.</p>"
    rows = "".join(
        f"<tr><td>{_text(code)}</td><td>{count}</td></tr>"
        for code, count in sorted(denials.items(), key=lambda item: (-item[1], item[0]))
    )
    return f"<table><tr><th>reason</th><th>times it became a pod's reason to wait</th></tr>{rows}</table>"


def _trust(loaded: LoadedScenario, outcome: Outcome, summary: dict[str, Any]) -> str:
    setup, cost = loaded.setup, summary["cost_usd"]
    boot = setup.cloud.boot
    dropped = "; ".join(f"{count} {reason}" for reason, count in setup.trace.dropped.items()) or "none"
    lines = (
        f"Trace: {setup.trace.source} ({setup.trace.format}), {setup.trace.rows_read} rows read; left out: {dropped}.",
        f"Rules: {', '.join(loaded.policy_files) or 'none'} (hash {summary['policy_hash'][:12]}).",
        (
            f"Engine {summary['engine_version']}, the one that runs in a cluster; seed {setup.seed}; "
            f"{summary['steps']} steps, {summary['decisions']} decisions. Same inputs, same result."
        ),
        (
            f"Assumed, not measured: a VM boots in {format_duration_ms(boot.median_ms)} (median), "
            f"{format_duration_ms(boot.p95_ms)} (95 %); {setup.cloud.failure_probability:.1%} of launches fail."
        ),
        (
            f"The world counted ${cost['compute']:.6f} for VMs; burster itself settled ${cost['settled_by_burster']:.6f} "
            "(it learns of a VM's end by asking, so a little more)."
        ),
        f"At the end {summary['cloud']['left_at_end']} VMs were left, {outcome.world.onprem.pending} pods still waited.",
        (
            "Not modelled: the network, image pulls, pre-emption, node failures, price changes; "
            "among equal nodes the first is taken, where Kubernetes draws lots."
        ),
    )
    return f'<div class="trust"><ul>{"".join(f"<li>{_text(line)}</li>" for line in lines)}</ul></div>'


def _minutes(outcome: Outcome) -> list[float]:
    return [at_ms / MILLIS_PER_SECOND / 60 for at_ms in outcome.timeline.columns()["at_ms"]]


_X: Final = {"title": {"text": "minutes from the start"}}


def _on_prem(setup: Setup, outcome: Outcome) -> dict[str, Any]:
    columns, x = outcome.timeline.columns(), _minutes(outcome)
    capacity = sum(node.cpu_millicores for node in setup.nodes) / 1000
    used = [value / 1000 for value in columns["on_prem_cpu_used_millicores"]]
    return {
        "data": [
            _steps(x, used, "cores in use", fill="tozeroy"),
            {**_steps(x, [capacity] * len(x), "cores there are"), "line": {"dash": "dot", "shape": "hv"}},
            {**_steps(x, columns["pending"], "pods waiting"), "yaxis": "y2"},
        ],
        "layout": {
            "xaxis": _X,
            "yaxis": {"title": {"text": "cores"}, "rangemode": "tozero"},
            "yaxis2": {"title": {"text": "pods"}, "overlaying": "y", "side": "right", "rangemode": "tozero"},
        },
    }


def _vms(outcome: Outcome) -> dict[str, Any]:
    columns, x = outcome.timeline.columns(), _minutes(outcome)
    names = (("vms_running", "running"), ("vms_creating", "being created"), ("vms_deleting", "being deleted"))
    return {
        "data": [{**_steps(x, columns[column], name), "stackgroup": "vms"} for column, name in names],
        "layout": {"xaxis": _X, "yaxis": {"title": {"text": "VMs"}, "rangemode": "tozero"}},
    }


def _cost(outcome: Outcome) -> dict[str, Any]:
    spent = [value / MICRO_USD_PER_USD for value in outcome.timeline.columns()["cost_micro_usd"]]
    return {
        "data": [{"x": _minutes(outcome), "y": spent, "name": "compute", "mode": "lines"}],
        "layout": {"xaxis": _X, "yaxis": {"title": {"text": "USD"}, "rangemode": "tozero"}},
    }


def _waits(outcome: Outcome) -> dict[str, Any]:
    data: list[dict[str, Any]] = []
    for place, name in (("on-prem", "pods that ran on-prem"), ("cloud", "pods that ran in the cloud")):
        waits = sorted(pod.served_at_ms - pod.arrived_ms for pod in outcome.world.pods if pod.served_by == place)
        if not waits:
            continue
        stride = -(-len(waits) // _CDF_POINTS_MAX)
        ranks = sorted({*range(0, len(waits), stride), len(waits) - 1})
        y = [100 * (rank + 1) / len(waits) for rank in ranks]
        data.append(_steps([waits[rank] / MILLIS_PER_SECOND for rank in ranks], y, name))
    return {
        "data": data,
        "layout": {
            "xaxis": {"title": {"text": "seconds from arrival to work"}},
            "yaxis": {"title": {"text": "% of the pods"}, "range": [0, 101]},
        },
    }


def _steps(x: list[float], y: list[Any], name: str, **more: str) -> dict[str, Any]:
    return {"x": x, "y": y, "name": name, "mode": "lines", "line": {"shape": "hv"}, **more}
