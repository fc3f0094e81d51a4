"""The live view of a demo on a terminal, and the plain lines where there is none.

Both are fed with StatusViews and the story's beats by whoever runs the demo, as often as it likes; painting is held to a few times a
second of wall time. Renders only: it never asks the world for anything.
"""

import time
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol, Self

from burster.cli.picture import picture
from burster.model.decisions import Decision
from burster.surfaces import words
from burster.surfaces.view import StatusView


if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_FRAME_S: Final = 0.1
_BEATS_SHOWN: Final = 12
#: the last picture stays above the result: together they should fit on a screen
_LAST_HEIGHT: Final = 30
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
            self._console.print(self._picture(_LAST_HEIGHT))

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
            self._live.update(self._picture(self._console.height), refresh=True)

    def _picture(self, height: int) -> "RenderableType":
        assert self._view is not None, "only asked once there is something to see"  # noqa: S101 - states an invariant
        return picture(self._view, self._beats, height=height, width=self._console.width)


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
