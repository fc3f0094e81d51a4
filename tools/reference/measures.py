"""The reference page of burster's own metrics, made from burster.surfaces.metrics."""

from typing import Any, Final

from burster.surfaces.metrics import LABEL_SETS_MAX, OTHER, SIGNALS_MAX, Metrics
from burster.surfaces.view import BudgetView, StatusView
from tools.reference.tables import table


_INTRODUCTION: Final = f"""\
# Metrics

Made by `make reference` from `burster/surfaces/metrics.py`; edit that, not this page.

What a controller tells of itself on `/metrics`. Labels never hold a pod's or a Burst's name. A metric has at most {LABEL_SETS_MAX} sets
of labels; what comes after that is counted as `{OTHER}`. A replica that stands by has `burster_leader` 0, and nothing to count.

How long burster takes is three histograms: from the event to the decision on record, from there to the written Burst, and the whole.
"""
#: what a label can be, and how many values it has
_LABELS: Final = {
    "check": "the code of one of the [checks](../doctor.md)",
    "code": "what settled it: one of the [reasons](reasons.md)",
    "kind": "the name of a fact or of an instruction, from a closed list",
    "namespace": "a policy's namespace",
    "outcome": "`ok`, or how a request failed, from a closed list of 13; of metrics, a fault of [this list](../metrics.md#when-it-fails)",
    "owner": "a policy's key, or a target's name",
    "phase": "one of the phases of a Burst",
    "policy": "a policy's key, or its name where there is a `namespace` beside it; of more than 20 in a namespace, `NAMESPACE/other`",
    "source": "what is watched, from a closed list; of metrics an endpoint that a target allows, or `kubernetes`",
    "target": "a BurstTarget's name",
    "verdict": "one of the verdicts; of checks `ok`, `warning`, `problem` or `skipped`",
    "version": "burster's own",
    "what": "`used` or `allocatable`; of budgets `spent` or `reserved`",
    "why": "`listed` or `failed`",
    "window": "`hour`, `day` or `month`",
}


def metrics_page() -> str:
    """Return the page as Markdown. Raises KeyError for a label whose meaning is not written down here."""
    view = StatusView(
        at_ms=0, budgets=(BudgetView(owner="o", window="day", limit_micro_usd=1),), bursts_by_phase={"Serving": 1}
    )
    metrics = Metrics(lambda: view, signals=lambda: [("n/p", 1, True)])
    metrics.checks = lambda: [("t", "LoginFailed", "ok")]
    labels = {
        metric._name: metric._labelnames  # noqa: SLF001 - the library has no public way to ask
        for metric in _counted(metrics)
    }
    rows: list[tuple[str, str, str, str]] = []
    used: set[str] = set()
    for family in sorted(metrics.registry.collect(), key=lambda family: family.name):
        known = labels.get(family.name, tuple(family.samples[0].labels if family.samples else ()))
        used.update(known)
        name = f"{family.name}_total" if family.type == "counter" else family.name
        rows.append((f"`{name}`", family.type, ", ".join(f"`{each}`" for each in known), family.documentation))
    meanings = [(f"`{name}`", _LABELS[name]) for name in sorted(used)]
    return (
        f"{_INTRODUCTION}\n{table(('metric', 'type', 'labels', 'meaning'), rows)}\n"
        f"`burster_wanted_replicas` shows {SIGNALS_MAX} policies at most.\n\n{table(('label', 'what it can be'), meanings)}"
    )


def _counted(metrics: Metrics) -> list[Any]:
    registry: Any = metrics.registry
    found = registry._collector_to_names  # noqa: SLF001 - the same
    return [each for each in found if hasattr(each, "_labelnames")]
