"""The live view of a demo on a terminal, and the plain lines where there is none.

Both are fed with StatusViews and the story's beats by whoever runs the demo, as often as it likes; painting is held to a few times a
second of wall time. Renders only: it never asks the world for anything.
"""

import time
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol, Self

from burster.model.decisions import Decision
from burster.model.quantities import MICRO_USD_PER_USD, format_duration_ms, format_micro_usd
from burster.surfaces import words
from burster.surfaces.view import StatusView


if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

_FRAME_S: Final = 0.1
_BAR_WIDTH: Final = 24
_ABOUT_WIDTH: Final = 34
_BEATS_SHOWN: Final = 6
_ROWS_MAX: Final = 8
_OVER: Final = frozenset({"Released"})
_COLOURS: Final = {
    "Burst": "bold green",
    "Release": "cyan",
    "Deny": "bold red",
    "Fail": "bold red",
    "Sweep": "magenta",
    "Wait": "yellow",
    "Serving": "green",
    "Failed": "red",
    "Lost": "red",
}
#: verdicts worth a line each where lines scroll by; the others are in the ledger
_TOLD: Final = frozenset({"Burst", "Deny", "Release", "Fail", "Sweep", "Wait"})
#: plain lines told per verdict and reason; then silence, or a long trace would fill the log
_TOLD_EACH_MAX: Final = 5


class Screen(Protocol):
    """Where a demo is watched: a context manager that is told views and beats."""

    def on_view(self, view: StatusView) -> None:
        """Show how things stand."""
        ...

    def on_beat(self, beat: str) -> None:
        """Tell a beat of the story."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class LiveScreen:
    """A picture that is repainted in place."""

    def __init__(self, console: "Console") -> None:
        from rich.live import Live

        self._console = console
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop", transient=True)
        self._beats: deque[str] = deque(maxlen=_BEATS_SHOWN)
        self._view: StatusView | None = None
        self._painted = 0.0

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        # the last picture stays on the screen; the ones before it were painted over
        if self._view is not None:
            self._console.print(picture(self._view, self._beats, self._console.height))

    def on_view(self, view: StatusView) -> None:
        """Show how things stand, at most ten times a second."""
        self._view = view
        now = time.monotonic()
        if now - self._painted >= _FRAME_S:
            self._paint(now)

    def on_beat(self, beat: str) -> None:
        """Tell a beat at once: it is what people wait for."""
        self._beats.append(beat)
        self._paint(time.monotonic())

    def _paint(self, now: float) -> None:
        self._painted = now
        if self._view is not None:
            self._live.update(picture(self._view, self._beats, self._console.height), refresh=True)


class PlainLines:
    """The same without a terminal: a line for each beat and for decisions worth one."""

    def __init__(self, console: "Console") -> None:
        self._console = console
        self._told: dict[tuple[str, str], int] = {}
        self._seen = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def on_view(self, view: StatusView) -> None:
        """Tell the decisions that are new since the last view."""
        fresh = view.decisions_total - self._seen
        self._seen = view.decisions_total
        for decision in view.decisions[-fresh:] if fresh > 0 else ():
            self._tell(decision)

    def on_beat(self, beat: str) -> None:
        """Tell a beat."""
        self._console.print(f"== {beat}", markup=False)

    def _tell(self, decision: Decision) -> None:
        kind = (decision.verdict, decision.reasons[0].code if decision.reasons else "")
        count = self._told[kind] = self._told.get(kind, 0) + 1
        if decision.verdict not in _TOLD or count > _TOLD_EACH_MAX:
            return
        more = " (and from here on unsaid)" if count == _TOLD_EACH_MAX else ""
        about = decision.subject or decision.burst or decision.policy
        self._console.print(
            f"{words.clock_time(decision.at_ms)} {decision.verdict:8}{about}: {words.sentence(decision)}{more}",
            markup=False,
        )


def picture(view: StatusView, beats: "deque[str] | None" = None, height: int = 40) -> "RenderableType":
    """Return everything at one moment, in at most about ``height`` lines."""
    from rich.console import Group
    from rich.rule import Rule
    from rich.text import Text

    rows = max(3, min(_ROWS_MAX, (height - 18) // 3))
    parts: list[RenderableType] = [Rule(Text(_title(view)), align="left"), _onprem(view), _pending(view)]
    parts += [_bursts(view, rows), _money(view), _decisions(view, rows)]
    if beats:
        parts.append(Rule(Text("the story so far"), align="left", style="dim"))
        parts += [Text(f"  {beat}", style="bold" if beat is beats[-1] else "", overflow="fold") for beat in beats]
    return Group(*parts)


def _title(view: StatusView) -> str:
    marks = [view.title or "burster", f"{words.clock_time(view.at_ms)} UTC"]
    if view.dry_run:
        marks.append("dry run")
    if view.draining:
        marks.append("coming home")
    if not view.ready:
        marks.append(f"not ready: {view.not_ready_because or 'starting'}")
    return " · ".join(marks)


def _bar(part: int, whole: int, hot_from: int = 90) -> "Text":
    from rich.text import Text

    share = words.percent(part, whole)
    filled = min(_BAR_WIDTH, round(share * _BAR_WIDTH / 100))
    text = Text("█" * filled, style="red" if share >= hot_from else "blue")
    text.append("░" * (_BAR_WIDTH - filled), style="dim")
    return text.append(f" {share:3}%", style="default")


def _grid(*columns: str) -> "Table":
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    for column in columns:
        grid.add_column(justify="right" if column.endswith("#") else "left", no_wrap=True, overflow="ellipsis")
    return grid


def _onprem(view: StatusView) -> "RenderableType":
    grid = _grid("name", "cpu", "memory")
    onprem = view.onprem
    if 0 < len(onprem.nodes) <= _ROWS_MAX:
        for node in onprem.nodes:
            grid.add_row(
                node.name,
                _bar(node.used.cpu_millicores, node.allocatable.cpu_millicores),
                _bar(node.used.memory_bytes, node.allocatable.memory_bytes),
            )
        return grid
    grid.add_row(
        f"on-prem, {onprem.node_count} nodes",
        _bar(onprem.used.cpu_millicores, onprem.allocatable.cpu_millicores),
        _bar(onprem.used.memory_bytes, onprem.allocatable.memory_bytes),
    )
    return grid


def _pending(view: StatusView) -> "Text":
    from rich.text import Text

    text = Text(f"{view.pending_total} pending", style="yellow" if view.pending_total else "")
    if view.pending:
        first = view.pending[0]
        waited = format_duration_ms(max(0, view.at_ms - first.since_ms) // 1000 * 1000)
        text.append(f"  longest {first.pod} for {waited}", style="default")
        if first.why:
            text.append(f": {first.why}", style="dim")
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _bursts(view: StatusView, rows: int) -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    phases = ", ".join(f"{count} {phase}" for phase, count in view.bursts_by_phase.items())
    head = Text(f"in the cloud: {phases or 'nothing'}")
    grid = _grid("pod", "phase", "vm", "size", "cost#")
    there = [burst for burst in view.bursts if burst.phase not in _OVER]
    for burst in there[:rows]:
        grid.add_row(
            Text(f"  {burst.pod}"),
            Text(burst.phase, style=_COLOURS.get(burst.phase, "")),
            Text(burst.vm or "-"),
            Text(burst.size),
            format_micro_usd(burst.cost_micro_usd),
        )
    if len(there) > rows:
        grid.add_row(Text(f"  and {len(there) - rows} more", style="dim"))
    return Group(head, grid)


def _money(view: StatusView) -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    grid = _grid("owner", "bar", "text")
    for budget in view.budgets:
        if budget.limit_micro_usd is None:
            continue
        taken = budget.spent_micro_usd + budget.reserved_micro_usd
        grid.add_row(
            f"budget {budget.owner} per {budget.window}",
            _bar(taken, budget.limit_micro_usd),
            f"{_dollars(budget.spent_micro_usd)} spent, {_dollars(budget.reserved_micro_usd)} reserved "
            f"of {_dollars(budget.limit_micro_usd)}",
        )
    total = f"{format_micro_usd(view.spent_micro_usd)} settled, {format_micro_usd(view.accruing_micro_usd)} running"
    return Group(grid, Text(f"{'simulated money' if view.title else 'money'}: {total}"))


def _dollars(micro_usd: int) -> str:
    """Return an amount to the cent: beside a bar nobody reads more."""
    return f"${micro_usd / MICRO_USD_PER_USD:,.2f}"


def _decisions(view: StatusView, rows: int) -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    shown = view.decisions[-rows:]
    # lines, not columns: a table would take its room from the short columns first, which are the ones to read by
    widest = min(_ABOUT_WIDTH, max((len(one.subject or one.policy) for one in shown), default=0))
    lines: list[Text] = []
    for decision in shown:
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(words.clock_time(decision.at_ms), style="dim")
        text.append(f" {decision.verdict:8} ", style=_COLOURS.get(decision.verdict, ""))
        text.append(f"{_shortened(decision.subject or decision.policy, widest):{widest}}  {words.sentence(decision)}")
        lines.append(text)
    return Group(*lines)


def _shortened(key: str, width: int) -> str:
    """Return a key whose middle is left out where it is too long: both ends tell names apart."""
    if len(key) <= width:
        return key
    half = (width - 1) // 2
    return f"{key[: width - 1 - half]}…{key[-half:]}"
