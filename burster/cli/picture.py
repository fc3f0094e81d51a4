"""Everything at one moment as a picture for a terminal: on-prem, who waits, what is in the cloud, money, decisions, the story.

Called by the live view and by `burster status`. Renders a StatusView only, whatever the window's size; it must never fail over one that is
too small.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, get_args

from burster.model.bursts import Phase
from burster.model.quantities import MICRO_USD_PER_USD, MILLIS_PER_SECOND, format_duration_ms, format_micro_usd
from burster.surfaces import words
from burster.surfaces.view import BudgetView, StatusView


if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

#: below so many columns bars are half as long, and what a glance can do without is left out
_NARROW: Final = 110
_BAR_WIDTH: Final = 24
_HOT_PERCENT: Final = 90
_ABOUT_WIDTH: Final = 34
#: beats that are kept in sight where there is room for both them and more rows
_BEATS_KEPT: Final = 3
_WHEN_WIDTH: Final = 10
_ROWS_MAX: Final = 8
_OVER: Final = frozenset({"Released"})
_LIFE: Final[tuple[Phase, ...]] = get_args(Phase)
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


def picture(view: StatusView, beats: Sequence[str] = (), *, height: int = 40, width: int = 120) -> "RenderableType":
    """Return everything at one moment, in at most about ``height`` lines; of the story as much of its end as has room."""
    from rich.console import Group
    from rich.rule import Rule
    from rich.text import Text

    told = list(beats)
    # what is there besides rows of bursts and decisions: title, bars, pending, two headings, budgets, money, the story's heading
    fixed = 8 + max(1, len(view.onprem.nodes) if len(view.onprem.nodes) <= _ROWS_MAX else 1) + len(_tightest(view))
    rows = max(3, min(_ROWS_MAX, (height - fixed - _story_height(told[-_BEATS_KEPT:], width)) // 2))
    story = _that_fits(told, height - fixed - rows - min(rows, len(view.bursts)), width)
    parts: list[RenderableType] = [Rule(Text(_title(view)), align="left"), _onprem(view, width), _pending(view)]
    parts += [_bursts(view, rows, width), _money(view, width), _decisions(view, rows)]
    if story:
        parts += [Rule(Text("the story so far"), align="left", style="dim"), _story(story)]
    return Group(*parts)


def _that_fits(told: list[str], height: int, width: int) -> list[str]:
    """Return the latest beats that fit; the last one always."""
    shown = told[-1:]
    for beat in reversed(told[:-1]):
        if _story_height([beat, *shown], width) > height:
            break
        shown.insert(0, beat)
    return shown


def _story_height(told: list[str], width: int) -> int:
    room = max(20, width - _WHEN_WIDTH)
    return sum(1 + len(beat.partition(": ")[2]) // room for beat in told)


def _story(told: list[str]) -> "Table":
    """Return beats, the time beside the sentence, so that a long one does not run under the next one's time."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(overflow="fold")
    for beat in told:
        when, separator, sentence = beat.partition(": ")
        style = "bold" if beat is told[-1] else ""
        timed = bool(separator) and when[:1].isdigit()
        grid.add_row(Text(f"  {when}" if timed else "", style="dim"), Text(sentence if timed else beat, style=style))
    return grid


def _title(view: StatusView) -> str:
    marks = [view.title or "burster", f"{words.clock_time(view.at_ms)} UTC"]
    if view.dry_run:
        marks.append("dry run")
    if view.draining:
        marks.append("coming home")
    if not view.ready:
        marks.append(f"not ready: {view.not_ready_because or 'starting'}")
    return " · ".join(marks)


def _bar(part: int, whole: int, width: int, label: str = "") -> "Text":
    from rich.text import Text

    share = words.percent(part, whole)
    length = _BAR_WIDTH // 2 if width < _NARROW else _BAR_WIDTH
    filled = min(length, round(share * length / 100))
    text = Text(f"{label} " if label else "")
    text.append("█" * filled, style="red" if share >= _HOT_PERCENT else "blue")
    text.append("░" * (length - filled), style="dim")
    return text.append(f" {share:3}%", style="default")


def _grid(*columns: str) -> "Table":
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    for column in columns:
        grid.add_column(justify="right" if column.endswith("#") else "left", no_wrap=True, overflow="ellipsis")
    return grid


def _onprem(view: StatusView, width: int) -> "RenderableType":
    grid = _grid("name", "cpu", "memory")
    onprem = view.onprem
    nodes = onprem.nodes if 0 < len(onprem.nodes) <= _ROWS_MAX else ()
    rows = [(node.name, node.used, node.allocatable) for node in nodes]
    for name, used, there in rows or [(f"on-prem, {onprem.node_count} nodes", onprem.used, onprem.allocatable)]:
        grid.add_row(
            name,
            _bar(used.cpu_millicores, there.cpu_millicores, width, "cpu"),
            _bar(used.memory_bytes, there.memory_bytes, width, "memory"),
        )
    return grid


def _pending(view: StatusView) -> "Text":
    from rich.text import Text

    text = Text(f"{view.pending_total} pending", style="yellow" if view.pending_total else "")
    if view.pending:
        first = view.pending[0]
        waited_ms = max(0, view.at_ms - first.since_ms) // MILLIS_PER_SECOND * MILLIS_PER_SECOND
        waited = format_duration_ms(waited_ms) if waited_ms else "under 1s"
        text.append(f"  longest {first.pod} for {waited}", style="default")
        if first.why:
            text.append(f": {first.why}", style="dim")
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _bursts(view: StatusView, rows: int, width: int) -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    in_order = sorted(view.bursts_by_phase.items(), key=lambda item: _LIFE.index(item[0]) if item[0] in _LIFE else -1)
    phases = ", ".join(f"{count} {phase}" for phase, count in in_order)
    head = Text(f"in the cloud: {phases or 'nothing'}", no_wrap=True, overflow="ellipsis")
    narrow = width < _NARROW
    grid = _grid("pod", "phase", *([] if narrow else ["vm"]), "size", "cost#")
    # what is in motion comes first: it is what there is to see
    there = sorted(
        (burst for burst in view.bursts if burst.phase not in _OVER), key=lambda burst: burst.phase == "Serving"
    )
    for burst in there[:rows]:
        vm = [] if narrow else [Text(_shortened(burst.vm or "-", _ABOUT_WIDTH))]
        grid.add_row(
            Text(f"  {_shortened(burst.pod, _ABOUT_WIDTH)}"),
            Text(burst.phase, style=_COLOURS.get(burst.phase, "")),
            *vm,
            Text(burst.size.removeprefix("Standard_") if narrow else burst.size),
            format_micro_usd(burst.cost_micro_usd),
        )
    if len(there) > rows:
        grid.add_row(Text(f"  and {len(there) - rows} more", style="dim"))
    return Group(head, grid)


def _money(view: StatusView, width: int) -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    grid = _grid("owner", "bar", "text")
    for budget in _tightest(view):
        limit = budget.limit_micro_usd or 0
        taken = budget.spent_micro_usd + budget.reserved_micro_usd
        parts = f"{_dollars(budget.spent_micro_usd)} spent, {_dollars(budget.reserved_micro_usd)} reserved"
        told = _dollars(taken) if width < _NARROW else parts
        grid.add_row(
            f"budget {budget.owner}", _bar(taken, limit, width), f"{told} of {_dollars(limit)} per {budget.window}"
        )
    total = f"{format_micro_usd(view.spent_micro_usd)} settled, {format_micro_usd(view.accruing_micro_usd)} running"
    behind = words.left_behind(view.leaks)
    lines = [Text(f"{'simulated money' if view.title else 'money'}: {total}")]
    if behind:
        lines.append(Text(f"left behind, claimed by no record: {behind}"))
    return Group(grid, *lines)


def _tightest(view: StatusView) -> list[BudgetView]:
    """Return each owner's budget that has the least left: the one that will say no first."""
    tightest: dict[str, tuple[float, BudgetView]] = {}
    for budget in view.budgets:
        if budget.limit_micro_usd is None:
            continue
        taken = budget.spent_micro_usd + budget.reserved_micro_usd
        share = taken / budget.limit_micro_usd if budget.limit_micro_usd else 1.0
        if budget.owner not in tightest or share > tightest[budget.owner][0]:
            tightest[budget.owner] = (share, budget)
    return [budget for _, budget in list(tightest.values())[:_ROWS_MAX]]


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
