import io
from collections import deque

import msgspec
import pytest
from rich.console import Console

from burster.cli.live import LiveScreen, PlainLines
from burster.cli.picture import picture
from burster.surfaces.view import BudgetView, BurstView, StatusView


def a_console(width=120, height=40, *, terminal=True):
    return Console(
        file=io.StringIO(), width=width, height=height, force_terminal=terminal, color_system=None, highlight=False
    )


def painted(view, **size):
    console = a_console(**size, terminal=False)
    console.print(picture(view, height=console.height, width=console.width))
    return console.file.getvalue()


def test_a_picture_shows_everything(demo_views):
    text = painted(demo_views[3])
    for shown in (
        "node-1",
        " 52%",
        "1 pending",
        "bank/batch-8",
        "No size [fits].",
        "podvm-1",
        "Serving",
        "$0.0042",
        "95%",
        "of $1.00",
        "No on-prem node",
    ):
        assert shown in text


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (200, 60)])
def test_a_picture_fits_its_window(demo_views, size):
    width, height = size
    bursts = tuple(BurstView(burst=f"b/{n}", policy="p", pod=f"bank/{n}", phase="Serving") for n in range(100))
    view = StatusView(at_ms=0, bursts=bursts, bursts_by_phase={"Serving": 100}, decisions=demo_views[-1].decisions)
    lines = painted(view, width=width, height=height).splitlines()
    assert all(len(line) <= width for line in lines)
    assert len(lines) <= max(height, 18)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
def test_the_end_of_the_story_is_always_in_the_window(demo_views, size):
    width, height = size
    bursts = tuple(BurstView(burst=f"b/{n}", policy="p", pod=f"bank/{n}", phase="Serving") for n in range(100))
    view = msgspec.structs.replace(demo_views[3], bursts=bursts)
    console = a_console(width=width, height=height, terminal=False)
    beats = [
        f"{n}m4s: the {n}th thing happened, and it takes many words to tell: {'so it goes ' * 12}." for n in range(12)
    ]
    console.print(picture(view, deque([*beats, "9h: The end: 0 leaks."]), height=height, width=width))
    lines = console.file.getvalue().splitlines()
    assert "The end: 0 leaks." in lines[-1]
    assert len(lines) <= height


def test_each_owner_s_tightest_budget_is_shown():
    budgets = tuple(
        BudgetView(owner="target", window=window, spent_micro_usd=500_000, limit_micro_usd=limit)
        for window, limit in (("hour", 1_000_000), ("day", 600_000), ("month", 9_000_000), ("month", None))
    )
    text = painted(StatusView(at_ms=0, budgets=budgets))
    assert text.count("budget target") == 1
    assert "per day" in text
    assert " 83%" in text


def test_an_empty_world_can_be_painted():
    assert "0 pending" in painted(StatusView(at_ms=0))


def test_the_live_screen_ends_with_the_last_picture(demo_views):
    console = a_console()
    with LiveScreen(console) as screen:
        for view in demo_views:
            screen.on_view(view)
        screen.on_beat("0 leaks [really].")
    last = console.file.getvalue().rpartition("the story so far")
    assert "0 leaks [really]." in last[2]
    assert "1 Released" in last[0]


def test_a_live_screen_without_views_prints_nothing_of_a_world():
    console = a_console()
    with LiveScreen(console) as screen:
        screen.on_beat("it begins")
    assert "pending" not in console.file.getvalue()


def test_plain_lines_tell_beats_and_each_decision_once(demo_views):
    console = a_console(terminal=False, width=300)
    with PlainLines(console) as screen:
        for view in (*demo_views, demo_views[-1]):
            screen.on_view(view)
        screen.on_beat("0 leaks [really].")
    text = console.file.getvalue()
    assert text.count("No allowed size has 200 cpu [really].") == 1
    assert text.splitlines()[-1] == "== 0 leaks [really]."


def test_plain_lines_fall_silent_about_what_repeats(demo_views):
    console = a_console(terminal=False, width=300)
    (wait, *_) = demo_views[-1].decisions
    screen = PlainLines(console)
    for total in range(1, 100):
        screen.on_view(StatusView(at_ms=0, decisions_total=total, decisions=(wait,)))
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 5
    assert lines[-1].endswith("(and from here on unsaid)")
