"""The reference page of the checks before any launch, made from burster.sources.preflight.catalogue."""

from typing import Final

from burster.sources.preflight import CHECKS, Check
from tools.reference.tables import table


_INTRODUCTION: Final = """\
# Checks

Made by `make reference` from `burster/sources/preflight/catalogue.py`; edit that, not this page.

What [`burster doctor`](../doctor.md) asks, and the controller again and again. The code is the reason on the target's condition `Ready`,
the label `check` of `burster_target_checks`, and the code of the refusal that pods are told.

*Effect*: **blocks** = while it is wrong, nothing new starts at the target; **closes** = also where it can't be asked for longer than
`BURSTER_PREFLIGHT__KEEP_MS`; *told* = it stands in nothing's way. *Asked by*: doctor alone, or the controller too.
"""


def checks_page() -> str:
    """Return the page as Markdown."""
    groups: dict[str, list[Check]] = {}
    for check in CHECKS:
        groups.setdefault(check.group, []).append(check)
    parts = [_INTRODUCTION]
    for group, checks in groups.items():
        rows = [
            (f"`{one.code}`", f"{one.title}. {one.asks}", one.why, one.cure, _effect(one), _asked_by(one))
            for one in checks
        ]
        parts.append(f"## {group}\n\n{table(('code', 'what is asked', 'why', 'cure', 'effect', 'asked by'), rows)}")
    return "\n".join(parts)


def _effect(check: Check) -> str:
    effect = "blocks, closes" if check.closes else "blocks" if check.blocks else "told"
    return f"{effect} (peer pods)" if check.peer_pods and check.blocks else effect


def _asked_by(check: Check) -> str:
    return "both" if check.standing else "doctor"
