"""`burster spend`, `why` and `history` of a running controller, over a file and over PostgreSQL: to the micro-USD, at any moment."""

import asyncio
import csv
import io
import itertools
import random
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from burster.cli.spend import _print_sheet
from burster.engine import State, StepResult, snapshot
from burster.ledger import Ledger, LedgerPlace
from burster.ledger.rotation import Rotation
from burster.model.decisions import Decision, Reason
from burster.model.stimuli import Spend, Stimulus
from burster.runtime.clock import SystemClock
from burster.runtime.questions import Desk
from burster.surfaces.answers import HistoryQuery, NotFoundError
from burster.surfaces.spending import GROUPINGS, Amounts, SpendQuery, SpendReport
from burster.surfaces.view import StatusView
from tests.contract.ledger.conftest import InAFile, InPostgres
from tests.support.random_walk import a_world, wander


T0 = 1_800_000_000_000
EVERY_GROUPING = [tuple(by) for count in (1, 2, 3, 4) for by in itertools.combinations(GROUPINGS, count)]
ZONES = ("UTC", "Pacific/Auckland", "America/New_York", "budget")
Place = InAFile | InPostgres


class GatedDesk(Desk):
    """Holds a reading of the ledger when it has been done, until the test lets it go on."""

    def __init__(self, leading: Callable[[], Any], place: Place) -> None:
        where = LedgerPlace(path=place.path) if isinstance(place, InAFile) else _in_postgres(place)
        super().__init__(leading, lambda: StatusView(at_ms=T0), where, SystemClock())
        self.go_on = threading.Event()
        self.go_on.set()
        self.has_read = threading.Event()

    def _ask(self, ask: Callable[[Ledger], Any]) -> Any:
        answer = super()._ask(ask)
        self.has_read.set()
        assert self.go_on.wait(30)
        return answer


def _in_postgres(place: InPostgres) -> LedgerPlace:
    return LedgerPlace(path=Path("unused"), address=place.address)


class ALife:
    """A controller in a world where anything happens, its ledger, and a second account of what has been spent."""

    def __init__(self, place: Place, seed: int) -> None:
        self.place, self.rng = place, random.Random(seed)
        self.world = a_world()
        self.unwritten: tuple[Spend, ...] = ()
        self.desk = GatedDesk(lambda: self, place)
        self.epochs = itertools.count(1)
        self.ledger = self._open()
        self.account: dict[str, int] = {}
        #: what was true after each step: settled, bursts, set aside
        self.moments: list[tuple[int, int, int]] = []
        self.world.listeners.append(self._step)

    @property
    def state(self) -> State:
        return self.world.state

    def _open(self) -> Ledger:
        rotation = Rotation(keep_segments=1, keep_ms=0)
        return self.place.open(rotation=rotation, epoch=next(self.epochs))

    def _step(self, batch: list[Stimulus], result: StepResult, now_ms: int) -> None:
        if now_ms < 0:
            return
        for spend in result.spends:
            key = spend.uid or spend.burst
            self.account[key] = max(self.account.get(key, 0), spend.micro_usd)
        spends = (*self.unwritten, *result.spends)
        # what can't be written at once is written with a later step
        late = self.rng.random() < 0.2
        self.ledger.append_step(now_ms, batch, result.decisions, () if late else spends)
        self.unwritten = spends if late else ()
        self.desk(batch, result, now_ms)
        cluster = result.state.scopes.get(("Cluster", ""))
        aside = cluster.account.outstanding_micro_usd if cluster is not None else 0
        self.moments.append((sum(self.account.values()), len(self.account), aside))

    def goes_on(self, steps: int) -> None:
        wander(self.world, self.rng, steps)

    def rotates(self) -> None:
        self.ledger.rotate(self.world.now, snapshot.dump(self.state))

    def restarts(self) -> None:
        """It dies with nothing left to write, and a successor begins."""
        if self.unwritten:
            self.ledger.append_step(self.world.now, [], [], self.unwritten)
            self.unwritten = ()
        self.ledger.close()
        self.ledger = self._open()
        self.world.restart()


def totals(report: SpendReport) -> tuple[int, int, int]:
    return report.total.settled_micro_usd, report.total.bursts, report.total.reserved_micro_usd


def adds_up(report: SpendReport, capsys: pytest.CaptureFixture[str]) -> None:
    """Hold rows and sheet of a report to its total."""
    whole = report.left_out
    for row in report.rows:
        whole = whole.plus(Amounts(**{name: getattr(row, name) for name in Amounts.__struct_fields__}))
    assert whole == report.total
    capsys.readouterr()
    _print_sheet(report)
    sheet = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    for column, want in (
        ("settled_usd", report.total.settled_micro_usd),
        ("reserved_usd", report.total.reserved_micro_usd),
        ("running_usd", report.total.running_micro_usd),
    ):
        assert sum(Decimal(row[column]) for row in sheet) * 1_000_000 == want
    assert sum(int(row["settled_bursts"]) for row in sheet) == report.total.bursts


@pytest.mark.parametrize("seed", [3, 8])
async def test_spend_is_the_ledgers_while_bursts_run_and_across_rotation_and_restart(
    place: Place, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    life = ALife(place, seed)
    groupings = itertools.cycle(EVERY_GROUPING)
    answers = 0
    for part in range(8):
        life.goes_on(30)
        if part % 2:
            life.rotates()
        if part in {3, 6}:
            life.restarts()
        while not life.state.ready:  # until then it tells nothing
            life.goes_on(1)
        # while nothing happens
        for zone in ZONES:
            query = SpendQuery(by=next(groupings), timezone=zone, limit=life.rng.choice((1, 3, 100_000)))
            report = await life.desk.spend(query)
            assert totals(report) == life.moments[-1]
            adds_up(report, capsys)
        # while the ledger is being read, things go on: the answer is true for one moment, the last
        life.desk.go_on.clear()
        life.desk.has_read.clear()
        asked = asyncio.create_task(life.desk.spend(SpendQuery(by=GROUPINGS, limit=100_000)))
        await asyncio.to_thread(life.desk.has_read.wait, 30)
        life.goes_on(10)
        if part == 5:
            life.rotates()
        life.desk.go_on.set()
        report = await asked
        assert totals(report) == life.moments[-1]
        adds_up(report, capsys)
        answers += report.total.bursts > 0
    settled, bursts, _ = life.moments[-1]
    assert bursts > 3
    assert answers > 3
    life.ledger.close()
    with place.read() as ledger:
        assert ledger.integrity() == ()
        written = sum(spend.micro_usd for spend in ledger.spend())
        assert written + sum(one.micro_usd for one in life.unwritten) >= settled


def a_decision(number: int, subject: str, verdict: str = "Deny", burst: str = "") -> Decision:
    reason = Reason(code="TargetMissing", sentence="There is no valid BurstTarget azure.", numbers={"n": number})
    return Decision(
        at_ms=T0 + number, verdict=verdict, policy="bank/tasks", subject=subject, burst=burst, reasons=(reason,)
    )


def tell_a_story(ledger: Ledger) -> None:
    """The same decisions and amounts, over two segments."""
    for number in range(40):
        subject = f"bank/task-{number % 7}"
        if number == 20:
            ledger.rotate(T0 + number, b"state")
        verdict, burst = ("Burst", f"bank/burst-{number}") if number % 5 == 0 else ("Deny", "")
        spend = Spend(
            burst=f"bank/burst-{number - 5}",
            uid=f"u-{number}",
            policy="bank/tasks",
            target="azure",
            at_ms=T0 + number,
            micro_usd=10**number % 999_983,
        )
        decisions = [a_decision(number, subject, verdict, burst)]
        ledger.append_step(T0 + number, [], decisions, [spend] if number % 5 == 1 else [])


async def test_the_answers_over_postgresql_are_those_over_a_file(in_postgres: InPostgres, tmp_path: Path) -> None:
    told: list[bytes] = []
    for place in (InAFile(tmp_path / "ledger.sqlite"), in_postgres):
        with place.open(rotation=Rotation(keep_segments=4), epoch=1) as ledger:
            tell_a_story(ledger)
        life = ALife.__new__(ALife)
        life.world, life.unwritten = a_world(), ()
        while not life.state.ready:
            wander(life.world, random.Random(1), 5)
        desk = GatedDesk(lambda life=life: life, place)
        answers: list[Any] = [
            await desk.history(HistoryQuery()),
            await desk.history(HistoryQuery(policy="tasks", limit=3)),
            await desk.history(HistoryQuery(namespace="bank", since_ms=T0 + 15, limit=9)),
            await desk.history(HistoryQuery(namespace="shop")),
            await desk.why("task-3"),
            await desk.why("bank/tasks"),
            await desk.why("bank/burst-10"),
            msgspec.structs.replace(await desk.spend(SpendQuery(by=GROUPINGS, timezone="Asia/Kathmandu")), at_ms=0),
            msgspec.structs.replace(await desk.spend(SpendQuery(policy="tasks", last_day="2027-01-15")), at_ms=0),
        ]
        with pytest.raises(NotFoundError) as unknown:
            await desk.why("tosk-3")
        told.append(msgspec.json.encode([*answers, str(unknown.value)]))
    assert told[0] == told[1]
    assert b"did you mean bank/task-3" in told[0]
    assert b'"total":40' in told[0]
