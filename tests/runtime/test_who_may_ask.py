"""The gate before the controller's answers: tokens and rights are the API server's to judge, and it is not asked more than it must be."""

import asyncio
from typing import Any

import orjson
import pytest

from burster.model.errors import BursterError, RemoteError
from burster.runtime.askers import AUDIENCE, BELIEVED_S, REVIEWS_MAX, TokenGate
from burster.surfaces.answers import BusyError, ForbiddenError, UnknownAskerError


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


class ApiServer:
    """Judges two kinds of review, and keeps what it was asked."""

    def __init__(self) -> None:
        self.users: dict[str, dict[str, Any]] = {
            "anna": {"username": "anna", "uid": "u-1", "groups": ["platform"], "extra": {"scopes": ["a", "b"]}},
            "bank": {"username": "bank", "groups": ["system:authenticated"]},
        }
        self.audiences = [AUDIENCE]
        self.rights = {("anna", ""), ("bank", "bank")}
        self.asked: list[dict[str, Any]] = []
        self.error: RemoteError | None = None
        self.held: asyncio.Event | None = None

    async def create(self, path: str, body: dict[str, Any], *, deadline_ms: int) -> bytes:
        assert deadline_ms > 0
        self.asked.append(orjson.loads(orjson.dumps(body)))
        if self.held is not None:
            await self.held.wait()
        if self.error is not None:
            raise self.error
        spec = body["spec"]
        if path == "/apis/authentication.k8s.io/v1/tokenreviews":
            assert (body["kind"], spec["audiences"]) == ("TokenReview", [AUDIENCE])
            user = self.users.get(spec["token"])
            status = {"authenticated": user is not None, "user": user or {}, "audiences": self.audiences}
            return orjson.dumps({"status": status})
        assert path == "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        what = spec["resourceAttributes"]
        assert (what["verb"], what["group"], what["resource"]) == ("list", "burster.dev", "bursts")
        return orjson.dumps({"status": {"allowed": (spec["user"], what["namespace"]) in self.rights}})


@pytest.fixture
def api() -> ApiServer:
    return ApiServer()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(api: ApiServer, clock: Clock) -> TokenGate:
    return TokenGate(api, clock)  # type: ignore[arg-type]


async def test_who_may_list_all_bursts_may_see_everything_and_others_their_namespace(gate, api):
    assert await gate.admit("anna", "") is True
    assert await gate.admit("anna", "bank") is True
    assert await gate.admit("bank", "bank") is False
    with pytest.raises(ForbiddenError, match=r"^bank may not list bursts.burster.dev in namespace shop$"):
        await gate.admit("bank", "shop")
    with pytest.raises(ForbiddenError, match=r"in all namespaces; of one, ask with -n NAMESPACE"):
        await gate.admit("bank", "")


async def test_the_api_server_is_told_all_that_it_said_of_them(gate, api):
    await gate.admit("anna", "")
    spec = api.asked[-1]["spec"]
    assert (spec["user"], spec["uid"], spec["groups"]) == ("anna", "u-1", ["platform"])
    assert spec["extra"] == {"scopes": ["a", "b"]}


async def test_no_token_a_wrong_one_and_one_for_somebody_else(gate, api):
    with pytest.raises(UnknownAskerError, match="a token for the audience burster is needed"):
        await gate.admit("", "bank")
    assert not api.asked
    with pytest.raises(UnknownAskerError, match="not valid"):
        await gate.admit("mallory", "bank")
    api.audiences = ["https://kubernetes.default.svc"]
    with pytest.raises(UnknownAskerError, match="not issued for the audience"):
        await gate.admit("anna", "")
    api.users["nobody"] = {"username": ""}
    with pytest.raises(UnknownAskerError):
        await gate.admit("nobody", "")


async def test_what_was_said_is_believed_for_a_while_and_no_longer(gate, api, clock):
    await gate.admit("anna", "")
    clock.now = BELIEVED_S - 0.1
    await gate.admit("anna", "")
    assert len(api.asked) == 2
    api.rights.clear()
    clock.now = BELIEVED_S + 0.1
    with pytest.raises(ForbiddenError):
        await gate.admit("anna", "")
    del api.users["anna"]
    clock.now = 3 * BELIEVED_S
    with pytest.raises(UnknownAskerError):
        await gate.admit("anna", "")
    # a refusal too: who is refused does not become a load by asking again
    count = len(api.asked)
    with pytest.raises(UnknownAskerError):
        await gate.admit("anna", "")
    assert len(api.asked) == count


async def test_many_wrong_tokens_are_no_load_and_take_no_memory(gate, api):
    api.held = asyncio.Event()
    asked = [asyncio.create_task(gate.admit(f"wrong-{n}", "")) for n in range(50)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(api.asked) == REVIEWS_MAX
    api.held.set()
    said = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in said].count(BusyError) == 50 - REVIEWS_MAX
    for number in range(1_000):
        with pytest.raises(UnknownAskerError):
            await gate.admit(f"more-{number}", "")
    assert len(gate._askers._said) <= 256
    assert not any(b"wrong" in key or b"more" in key for key in gate._askers._said)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (RemoteError("Unauthorized", "x", code="Forbidden", status=403), "deploy/view.yaml has the right"),
        (RemoteError("Unreachable", "x"), "could not make a TokenReview (Unreachable)"),
    ],
)
async def test_an_api_server_that_does_not_say_admits_nobody(gate, api, error, says):
    api.error = error
    with pytest.raises(BursterError) as told:
        await gate.admit("anna", "")
    assert says in str(told.value)
    api.error = None
    assert await gate.admit("anna", "") is True
