"""What bursting costs, in any grouping: each micro-USD is in exactly one row."""

import itertools
import random
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burster.ledger import Ledger
from burster.model.errors import InputError
from burster.model.stimuli import Spend
from burster.runtime.answering import open_money
from burster.surfaces.spending import GROUPINGS, Amounts, OpenMoney, SpendQuery, day_of, spend_report
from tests.support.random_walk import a_world, wander


T0 = 1_800_000_000_000
DAY_MS = 86_400_000
ZONES = ["UTC", "Europe/Berlin", "Pacific/Auckland", "Asia/Kathmandu"]
POLICIES = ["bank/batch", "bank/web", "shop/web", "shop/night"]
TARGETS = ["azure", "azure-west"]
EVERY_GROUPING = [tuple(by) for count in (1, 2, 3, 4) for by in itertools.combinations(GROUPINGS, count)]

moments = st.integers(T0 - 40 * DAY_MS, T0)
amounts = st.integers(0, 10**12)


@st.composite
def spends(draw):
    number = draw(st.integers(0, 8))
    # a settlement may be written twice, and an old ledger's entries had no uid
    uid = draw(st.sampled_from(["", f"u-{number}"]))
    return Spend(
        burst=f"bank/burst-{number}",
        uid=uid,
        policy=POLICIES[number % 4],
        target=TARGETS[number % 2],
        at_ms=draw(moments),
        micro_usd=draw(amounts),
    )


open_ones = st.builds(
    OpenMoney,
    burst=st.just("bank/burst-open"),
    policy=st.sampled_from(POLICIES),
    target=st.sampled_from(TARGETS),
    reserved_micro_usd=amounts,
    running_micro_usd=amounts,
)


def total_of(rows) -> Amounts:
    total = Amounts()
    for row in rows:
        total = total.plus(row)
    return total


@settings(max_examples=25, deadline=None)
@given(
    st.lists(spends(), max_size=20),
    st.lists(open_ones, max_size=6),
    st.sampled_from([*ZONES, "budget"]),
    st.integers(1, 4),
)
def test_the_rows_of_every_grouping_add_up_to_the_ledger(tmp_path_factory, entries, still_open, timezone, limit):
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    with Ledger.open(path) as ledger:
        for entry in entries:
            ledger.append_step(T0, [], [], [entry])
        settled = ledger.spend()
    zones = dict(zip(POLICIES, ZONES, strict=True))
    want = (
        sum(spend.micro_usd for spend in settled),
        len(settled),
        sum(one.reserved_micro_usd for one in still_open),
        sum(one.running_micro_usd for one in still_open),
    )
    for by in EVERY_GROUPING:
        for most in (limit, 100_000):
            query = SpendQuery(by=by, timezone=timezone, limit=most)
            report = spend_report(settled, still_open, query, now_ms=T0, source="x", zone_of=zones.__getitem__)
            told = total_of([*report.rows, report.left_out])
            assert told == report.total
            assert (told.settled_micro_usd, told.bursts, told.reserved_micro_usd, told.running_micro_usd) == want
            assert len(report.rows) == min(most, report.rows_total)
            keys = [(row.day, row.timezone, row.namespace, row.policy, row.target) for row in report.rows]
            assert len(set(keys)) == len(keys)


@settings(max_examples=40, deadline=None)
@given(st.lists(spends(), max_size=20), st.sampled_from(ZONES))
def test_each_row_is_what_its_own_settlements_add_up_to(entries, zone):
    report = spend_report(entries, [], SpendQuery(by=GROUPINGS, timezone=zone, limit=100_000), now_ms=T0, source="x")
    naive: dict[tuple[str, ...], int] = {}
    for entry in entries:
        day = datetime.fromtimestamp(entry.at_ms // 1000, UTC).astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d")
        key = (day, entry.policy.split("/")[0], entry.policy, entry.target)
        naive[key] = naive.get(key, 0) + entry.micro_usd
    assert {(r.day, r.namespace, r.policy, r.target): r.settled_micro_usd for r in report.rows} == naive


@given(st.lists(spends(), max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_the_ledger_does_not_matter(entries, rng):
    shuffled = list(entries)
    rng.shuffle(shuffled)
    query = SpendQuery(by=("policy", "target"))
    assert spend_report(entries, [], query, now_ms=T0, source="x") == spend_report(
        shuffled, [], query, now_ms=T0, source="x"
    )


@pytest.mark.parametrize("seed", range(5))
def test_what_is_open_is_what_the_budgets_have_set_aside_whatever_has_happened(seed):
    world = a_world()
    checked = 0
    for part in range(6):
        wander(world, random.Random(100 * seed + part), 40)
        state = world.state
        still_open = open_money(state)
        cluster = state.scopes.get(("Cluster", ""))
        assert sum(one.reserved_micro_usd for one in still_open) == (
            cluster.account.outstanding_micro_usd if cluster is not None else 0
        )
        for (kind, key), scope in state.scopes.items():
            of_it = [one for one in still_open if (kind, key) in {("Policy", one.policy), ("Target", one.target)}]
            if kind in {"Policy", "Target"}:
                assert sum(one.reserved_micro_usd for one in of_it) == scope.account.outstanding_micro_usd
                checked += len(of_it)
    assert checked, "nothing was ever set aside: the walk proves nothing"


def test_days_are_those_of_the_zone_that_was_asked_for():
    late = int(datetime(2026, 11, 1, 23, 30, tzinfo=UTC).timestamp() * 1000)
    entry = Spend(burst="bank/b", uid="u", policy="bank/batch", target="azure", at_ms=late, micro_usd=7)

    def row(zone, zone_of=lambda _: "UTC"):
        query = SpendQuery(by=("day",), timezone=zone)
        (one,) = spend_report([entry], [], query, now_ms=late, source="x", zone_of=zone_of).rows
        return one.day, one.timezone

    assert row("UTC") == ("2026-11-01", "UTC")
    assert row("Europe/Berlin") == ("2026-11-02", "Europe/Berlin")
    assert row("budget", lambda _: "Pacific/Auckland") == ("2026-11-02", "Pacific/Auckland")
    assert day_of(late, "America/New_York") == "2026-11-01"


def test_first_and_last_day_are_inclusive_and_a_month_falls_apart_without_a_rest():
    entries = [
        Spend(
            burst=f"bank/b-{n}", uid=f"u-{n}", policy="bank/batch", target="azure", at_ms=T0 - n * DAY_MS, micro_usd=n
        )
        for n in range(40)
    ]

    def settled(first, last):
        query = SpendQuery(first_day=first, last_day=last, timezone="Europe/Berlin")
        return spend_report(entries, [], query, now_ms=T0, source="x").total.settled_micro_usd

    days = sorted({day_of(entry.at_ms, "Europe/Berlin") for entry in entries})
    whole = sum(entry.micro_usd for entry in entries)
    assert settled(days[0], days[-1]) == whole
    for cut in (1, 17, 39):
        assert settled(days[0], days[cut - 1]) + settled(days[cut], days[-1]) == whole
    assert settled(days[3], days[3]) == 40 - 1 - 3


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (SpendQuery(timezone="Berlin"), "is no time zone"),
        (SpendQuery(first_day="2026-13-01"), "is no day"),
        (SpendQuery(last_day="2026-1-1"), "is no day"),
        (SpendQuery(by=()), "group by one or more"),
        (SpendQuery(by=("day", "day")), "each once"),
        (SpendQuery(limit=0), "limit"),
    ],
)
def test_a_question_that_makes_no_sense(query, says):
    with pytest.raises(InputError, match=says):
        spend_report([], [], query, now_ms=T0, source="x")
