"""The controller answers `why`, `history` and `spend` over HTTP, from its ledger and its state as they are at one moment."""

import asyncio
import threading

import aiohttp
import msgspec
import pytest

from burster.engine import StepResult, initial_state, step
from burster.ledger import Ledger, LedgerPlace
from burster.model import stimuli
from burster.model.decisions import Decision, Reason
from burster.model.policies import Placement, Policy, WorkloadSelector
from burster.model.stimuli import Spend
from burster.runtime.clock import SystemClock
from burster.runtime.questions import WAITING_MAX, Desk
from burster.surfaces.answers import ForbiddenError, HistoryAnswer, UnknownAskerError, WhyAnswer
from burster.surfaces.http import HttpSurface, make_app
from burster.surfaces.metrics import Metrics
from burster.surfaces.spending import SpendReport
from burster.surfaces.view import StatusView


T0 = 1_800_000_000_000


def a_spend(number, micro_usd=1_000, **changes):
    spend = Spend(
        burst=f"bank/burst-{number}",
        uid=f"u-{number}",
        policy="bank/tasks",
        target="azure",
        at_ms=T0 + number,
        micro_usd=micro_usd,
    )
    return msgspec.structs.replace(spend, **changes)


def a_decision(subject, number=0, policy="bank/tasks"):
    return Decision(
        at_ms=T0 + number,
        verdict="Deny",
        policy=policy,
        subject=subject,
        reasons=(Reason(code="TargetMissing", sentence="There is no valid BurstTarget azure."),),
    )


class ALeader:
    """A controller, as far as it is asked."""

    def __init__(self):
        self.unwritten = ()
        policy = Policy(
            namespace="bank", name="tasks", workload=WorkloadSelector(), placement=Placement(targets=("azure",))
        )
        facts = [
            stimuli.PolicySeen(policy=policy),
            *(stimuli.SourceSynced(source=name) for name in ("pods", "policies", "targets", "bursts", "cloud-pods")),
        ]
        self.state = step(initial_state(), facts, T0).state


class GatedDesk(Desk):
    """Holds each reading of the ledger until the test lets it go on."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.gate = threading.Event()
        self.gate.set()
        self.reading = threading.Event()

    def _ask(self, ask):
        answer = super()._ask(ask)
        self.reading.set()
        assert self.gate.wait(20)
        return answer


@pytest.fixture
async def site(tmp_path):
    class Site:
        leader = ALeader()
        view = StatusView(at_ms=T0)
        ledger = Ledger.open(tmp_path / "ledger.sqlite")

        async def get(self, path, **query):
            async with session.get(surface.url + path, params=query) as response:
                return response.status, await response.json()

        async def ask(self, path, model, **query):
            code, body = await self.get(path, **query)
            assert code == 200, body
            return msgspec.convert(body, model)

    site = Site()
    place = LedgerPlace(path=tmp_path / "ledger.sqlite")
    site.desk = GatedDesk(lambda: site.leader, lambda: site.view, place, SystemClock())
    app = make_app(lambda: site.view, Metrics(), questions=site.desk)
    async with HttpSurface(app, "127.0.0.1", 0) as surface, aiohttp.ClientSession() as session:
        yield site
    site.ledger.close()


async def test_why_of_a_pod_and_of_a_policy_with_its_chain(site):
    site.ledger.append_step(T0, [], [a_decision("bank/task-1")], [a_spend(1, 700)])
    pod = await site.ask("/v1/why", WhyAnswer, name="task-1")
    assert pod.policy is None
    assert [one.reasons[0].code for one in pod.subject.decisions] == ["TargetMissing"]
    policy = await site.ask("/v1/why", WhyAnswer, name="bank/tasks")
    assert policy.policy.settled_micro_usd == 700
    assert [(one.verdict, one.count) for one in policy.policy.verdicts] == [("Deny", 1)]
    assert [link.check for link in policy.policy.chain][:3] == ["Ledger", "Drain", "InForce"]


async def test_history_is_bounded_and_in_order(site):
    site.ledger.append_step(T0, [], [a_decision(f"bank/task-{n}", n) for n in range(30)], [])
    answer = await site.ask("/v1/history", HistoryAnswer, limit=7, policy="tasks")
    assert [one.subject for one in answer.decisions] == [f"bank/task-{n}" for n in range(23, 30)]
    assert answer.total == 30
    assert (await site.get("/v1/history", limit=10_001))[0] == 400


async def test_spend_is_the_ledgers(site):
    site.ledger.append_step(T0, [], [], [a_spend(1, 123_456), a_spend(2, 1)])
    report = await site.ask("/v1/spend", SpendReport, by="day,policy", timezone="Europe/Berlin")
    assert report.total.settled_micro_usd == 123_457
    assert (report.by, len(report.rows)) == (("day", "policy"), 1)


async def test_what_is_settled_while_the_ledger_is_read_is_in_the_answer_once(site):
    site.ledger.append_step(T0, [], [], [a_spend(1, 100)])
    site.leader.unwritten = (a_spend(1, 100), a_spend(2, 20))
    site.desk.gate.clear()
    asked = asyncio.create_task(site.ask("/v1/spend", SpendReport))
    await asyncio.to_thread(site.desk.reading.wait, 20)
    settled = (a_spend(3, 3), a_spend(2, 20))
    site.desk([], StepResult(state=site.leader.state, instructions=(), decisions=(), spends=settled), T0 + 1)
    site.desk.gate.set()
    report = await asked
    assert (report.total.settled_micro_usd, report.total.bursts) == (123, 3)
    assert not site.desk._late


async def test_a_replica_that_stands_by_says_who_leads_and_at_which_port(site):
    site.leader, site.view = None, StatusView(at_ms=T0, leader=False, led_by="burster-abc_0123456789ab")
    for path in ("/v1/status", "/v1/why?name=x", "/v1/history", "/v1/spend"):
        code, body = await site.get(path)
        assert (code, body["reason"], body["details"]["name"]) == (503, "StandingBy", "burster-abc_0123456789ab")
        assert body["details"]["port"] > 0


async def test_a_leader_that_has_not_seen_everything_yet_tells_no_half_of_it(site):
    """A replica that has just taken over knows the ledger, and not yet what runs: what is reserved would be told as nothing."""
    site.ledger.append_step(T0, [], [a_decision("bank/task-1")], [a_spend(1, 700)])
    site.leader.state = initial_state()
    site.view = StatusView(at_ms=T0, ready=False, not_ready_because="the list of pods has not been read yet")
    for path in ("/v1/why?name=task-1", "/v1/spend"):
        code, body = await site.get(path)
        assert (code, body["reason"]) == (503, "NotReady")
        assert "the list of pods has not been read yet" in body["message"]
    # these are true all the same
    assert (await site.ask("/v1/status", StatusView)).ready is False
    assert (await site.ask("/v1/history", HistoryAnswer)).total == 1


async def test_too_many_questions_are_told_to_come_again(site):
    site.desk.gate.clear()
    asked = [asyncio.create_task(site.get("/v1/history")) for _ in range(WAITING_MAX)]
    for _ in range(1_000):
        if site.desk._waiting == WAITING_MAX:
            break
        await asyncio.sleep(0.01)
    code, body = await site.get("/v1/history")
    assert (code, body["reason"]) == (429, "Busy")
    site.desk.gate.set()
    assert {code for code, _ in await asyncio.gather(*asked)} == {200}
    assert (await site.get("/v1/history"))[0] == 200


@pytest.mark.parametrize(
    ("path", "code", "reason", "says"),
    [
        ("/v1/why?name=tusk-1", 404, "UnknownName", "did you mean bank/task-1"),
        ("/v1/why?name=twin", 409, "AmbiguousName", "bank/twin, shop/twin"),
        ("/v1/why", 400, "BadQuestion", "name"),
        ("/v1/why?name=", 400, "BadQuestion", "NAME or NAMESPACE/NAME"),
        ("/v1/why?name=" + "x" * 700, 400, "BadQuestion", "characters at most"),
        ("/v1/history?policy=tosks", 404, "UnknownName", "did you mean bank/tasks"),
        ("/v1/history?limit=many", 400, "BadQuestion", "limit"),
        ("/v1/history?limit=1&limit=2", 400, "BadQuestion", "given twice"),
        ("/v1/history?color=red", 400, "BadQuestion", "nobody asks by 'color'"),
        ("/v1/spend?by=colour", 400, "BadQuestion", "colour"),
        ("/v1/spend?timezone=../../etc/passwd", 400, "BadQuestion", "is no time zone"),
        ("/v1/spend?policy=nothing", 404, "UnknownName", "nothing was spent by policy"),
    ],
)
async def test_what_can_not_be_answered_is_a_sentence_and_a_word(site, path, code, reason, says):
    twins = [a_decision("bank/twin"), a_decision("shop/twin")]
    site.ledger.append_step(T0, [], [a_decision("bank/task-1"), *twins], [])
    got, body = await site.get(path)
    assert (got, body["reason"], body["details"]["group"]) == (code, reason, "burster.dev")
    assert says in body["message"]


async def test_a_controller_without_a_desk_has_no_such_pages():
    app = make_app(lambda: StatusView(at_ms=T0), Metrics())
    async with HttpSurface(app, "127.0.0.1", 0) as surface, aiohttp.ClientSession(surface.url) as session:
        async with session.get("/v1/why?name=x") as response:
            code = response.status
        assert code == 404


class AGate:
    """Admits "all" to everything, and any other token's owner to the namespace of that name."""

    async def admit(self, token: str, namespace: str) -> bool:
        if not token:
            raise UnknownAskerError("a token is needed")
        if token == "all":
            return True
        if token != namespace:
            raise ForbiddenError(f"{token} may not")
        return False


@pytest.fixture
async def gated(tmp_path):
    """A controller that has decided and spent in two namespaces, behind a gate: ask(path, token) -> (status, body)."""
    leader, place = ALeader(), LedgerPlace(path=tmp_path / "ledger.sqlite")
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        decisions = [a_decision("bank/task-1"), a_decision("shop/secret-1", policy="shop/secret")]
        spends = [a_spend(1, 700), a_spend(2, 11, burst="shop/burst-2", policy="shop/secret")]
        ledger.append_step(T0, [], decisions, spends)
    desk = Desk(lambda: leader, lambda: StatusView(at_ms=T0), place, SystemClock())
    app = make_app(lambda: StatusView(at_ms=T0), Metrics(), questions=desk, gate=AGate())
    async with HttpSurface(app, "127.0.0.1", 0) as surface, aiohttp.ClientSession(surface.url) as session:

        async def ask(path, token="", header="Authorization"):
            headers = {header: f"Bearer {token}" if header == "Authorization" else token} if token else {}
            async with session.get(path, headers=headers) as response:
                return response.status, await response.json()

        yield ask


@pytest.mark.parametrize("path", ["/v1/status", "/v1/why?name=task-1", "/v1/history", "/v1/spend"])
async def test_nobody_asks_unknown(gated, path):
    code, body = await gated(path)
    assert (code, body["reason"], body["details"]["group"]) == (401, "NeedsToken", "burster.dev")
    for header in ("Authorization", "X-Burster-Token"):
        assert (await gated(path, "all", header))[0] == 200
    code, body = await gated(path, "bank")
    assert (code, body["reason"]) == (403, "Forbidden")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/why?name=bank/task-1",
        "/v1/why?name=bank/tasks",
        "/v1/history?namespace=bank",
        "/v1/history?policy=bank/tasks",
        "/v1/history?namespace=bank&policy=tasks",
        "/v1/spend?namespace=bank&by=day,namespace,policy,target",
        "/v1/spend?policy=bank/tasks",
        "/v1/spend?namespace=bank&policy=tasks",
    ],
)
async def test_a_namespaces_user_is_told_of_it_and_of_nothing_else(gated, path):
    code, body = await gated(path, "bank")
    assert code == 200, body
    told = msgspec.json.encode(body)
    assert b"shop" not in told
    assert b"secret" not in told
    if "spend" in path:
        assert (body["total"]["settled_micro_usd"], body["total"]["bursts"]) == (700, 1)
    if "history" in path:
        assert body["total"] == len(body["decisions"]) == 1


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/why?name=bank/secret-1", 404),
        ("/v1/why?name=shop/secret-1", 403),
        ("/v1/history?namespace=bank&policy=secret", 404),
        ("/v1/history?namespace=bank&policy=shop/secret", 403),
        ("/v1/spend?namespace=bank&policy=secrets", 404),
        ("/v1/spend?namespace=bank&policy=shop/secret", 403),
        ("/v1/spend?policy=shop/secret", 403),
        ("/v1/status", 403),
    ],
)
async def test_a_namespaces_user_learns_no_name_of_another(gated, path, code):
    got, body = await gated(path, "bank")
    assert got == code
    assert "shop/secret" not in body["message"].replace("shop/secret is not in namespace bank", "")
    # who may see everything is helped on
    if code == 404 and "why" in path:
        _, body = await gated(path, "all")
        assert "did you mean shop/secret-1" in body["message"]
