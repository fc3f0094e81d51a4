"""Policy against target, row by row as docs/policy-merging.md has it; and the order in which refusals are told."""

from typing import Any

import pytest

from burster.model import stimuli as s
from burster.model.limits import Budget, LaunchRate, Limits
from burster.model.policies import Confidential, InitdataRef, Placement
from burster.model.triggers import PendingPodsTrigger, PrometheusTrigger
from tests.support.builders import Engine, a_pod, a_policy, a_service_pod, a_target, an_offering


WORST = 130_000
BOTH = ("Standard_DC2es_v6", "Standard_DC4es_v6")


def meet(
    policy: dict[str, Any] | None = None,
    target: dict[str, Any] | None = None,
    offerings: tuple[Any, ...] | None = None,
    *extra: s.Stimulus,
) -> Engine:
    """Let a policy meet a target, and one pod ask."""
    engine = Engine()
    engine.sync(
        s.NamespaceSeen(name="bank", labels={"burst": "yes"}),
        s.PolicySeen(policy=a_policy(**(policy or {}))),
        s.TargetSeen(target=a_target(**(target or {}))),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4)) if offerings is None else offerings),
        *extra,
    )
    engine.send(s.PodSeen(pod=a_pod()))
    return engine


def code(engine: Engine) -> str:
    return engine.codes("bank/task-1")[-1]


def placed(**changes: Any) -> dict[str, Any]:
    return {"placement": Placement(**({"targets": ("azure",)} | changes))}


def proof(**changes: Any) -> dict[str, Any]:
    return {"confidential": Confidential(**changes)}


@pytest.mark.parametrize(
    ("policy", "target", "want"),
    [
        pytest.param((), BOTH, "Standard_DC2es_v6", id="the policy says nothing"),
        pytest.param(BOTH[1:], BOTH, "Standard_DC4es_v6", id="the policy narrows"),
        pytest.param(("standard_dc4ES_V6",), BOTH, "Standard_DC4es_v6", id="in any case"),
        pytest.param(BOTH, BOTH[1:], "Standard_DC4es_v6", id="the target narrows"),
        pytest.param(BOTH[:1], BOTH[1:], "NoSizeAllowed", id="nothing in common"),
        pytest.param(("Standard_E2es_v6",), BOTH, "NoSizeAllowed", id="a policy adds nothing"),
    ],
)
def test_sizes_are_those_of_both(policy: tuple[str, ...], target: tuple[str, ...], want: str) -> None:
    engine = meet(placed(sizes=policy), {"sizes": target})
    assert (engine.burst().spec.size if engine.state.bursts else code(engine)) == want


@pytest.mark.parametrize(
    ("policy", "target", "offered", "want"),
    [
        pytest.param(("TDX",), ("TDX",), "TDX", "Pending", id="the same"),
        pytest.param(("TDX",), ("TDX", "SNP"), "SNP", "TeeNotOffered", id="the policy does not accept it"),
        pytest.param(("TDX", "SNP"), ("TDX",), "SNP", "TeeNotOffered", id="the target does not"),
        pytest.param(("TDX", "SNP"), ("SNP",), "SNP", "Pending", id="both do"),
        pytest.param(("TDX", "SNP"), ("TDX", "SNP"), "None", "TeeNotOffered", id="none at all"),
    ],
)
def test_confidential_hardware_is_what_both_accept(
    policy: tuple[Any, ...], target: tuple[Any, ...], offered: str, want: str
) -> None:
    assert code(meet(proof(tees=policy), {"tees": target}, (an_offering(2, tee=offered),))) == want


@pytest.mark.parametrize(
    ("target", "listed", "want"),
    [
        pytest.param({}, 100_000, 100_000, id="the list price"),
        pytest.param({"discount_milli_percent": 12_500}, 100_000, 87_500, id="less the discount"),
        pytest.param(
            {"discount_milli_percent": 12_500, "negotiated_micro_usd_per_hour": {BOTH[0]: 90_000}},
            100_000,
            90_000,
            id="a negotiated price wins",
        ),
        pytest.param({"assumed_price_micro_usd_per_hour": 5}, 100_000, 100_000, id="an assumption is not needed"),
        pytest.param({"assumed_price_micro_usd_per_hour": 70_000}, None, 70_000, id="the assumed one"),
        pytest.param({"negotiated_micro_usd_per_hour": {BOTH[0]: 60_000}}, None, 60_000, id="negotiated, not listed"),
        pytest.param({}, None, None, id="none is known"),
    ],
)
def test_a_price_is_negotiated_listed_assumed_or_missing(
    target: dict[str, Any], listed: int | None, want: int | None
) -> None:
    engine = meet({}, target, (an_offering(2, price_micro_usd_per_hour=listed),))
    if want is None:
        assert code(engine) == "PriceUnknown"
    else:
        assert engine.burst().spec.price_micro_usd_per_hour == want


@pytest.mark.parametrize(("region", "want"), [("westeurope", "Pending"), ("northeurope", "NotInRegion")])
def test_only_the_targets_region_counts(region: str, want: str) -> None:
    assert code(meet({}, {}, (an_offering(2, region=region),))) == want


@pytest.mark.parametrize(
    ("wanted", "spot", "want"), [("Never", True, "SpotNotAllowed"), ("Never", False, "Pending"), ("Only", False, None)]
)
def test_spot_is_the_policys_wish(wanted: str, spot: bool, want: str | None) -> None:
    engine = meet(placed(spot=wanted), {}, (an_offering(2, spot=spot),))
    assert code(engine) == want if want else code(engine) != "Pending"


@pytest.mark.parametrize(
    ("target", "want"),
    [
        pytest.param({"allowed_namespaces": ("bank",)}, "Pending", id="listed"),
        pytest.param({"allowed_namespaces": ("*",)}, "Pending", id="everybody is"),
        pytest.param({"allowed_namespaces": ("shop",)}, "NamespaceNotAllowed", id="others are"),
        pytest.param({"allowed_namespaces": ()}, "NamespaceNotAllowed", id="nobody is"),
        pytest.param({"required_namespace_labels": {"burst": "yes"}}, "Pending", id="labelled"),
        pytest.param({"required_namespace_labels": {"burst": "no"}}, "NamespaceNotOptedIn", id="labelled otherwise"),
        pytest.param({"required_namespace_labels": {"burst": "yes", "x": ""}}, "NamespaceNotOptedIn", id="not wholly"),
    ],
)
def test_namespaces_are_the_targets_to_allow(target: dict[str, Any], want: str) -> None:
    assert code(meet({}, target)) == want


@pytest.mark.parametrize(
    ("policy", "target", "want"),
    [
        pytest.param({}, {}, "Pending", id="no class is asked for"),
        pytest.param({"data_class": "secret"}, {}, "DataClassNotAllowed", id="none is listed"),
        pytest.param({"data_class": "secret"}, {"data_classes": ("public", "secret")}, "Pending", id="listed"),
        pytest.param({"data_class": "secret"}, {"data_classes": ("public",)}, "DataClassNotAllowed", id="another is"),
        pytest.param({"jurisdictions": ("EU",)}, {"jurisdiction": "EU"}, "Pending", id="there"),
        pytest.param({"jurisdictions": ("CH", "EU")}, {"jurisdiction": "EU"}, "Pending", id="one of them"),
        pytest.param({"jurisdictions": ("EU",)}, {"jurisdiction": "US"}, "JurisdictionNotAllowed", id="elsewhere"),
        pytest.param({"jurisdictions": ("EU",)}, {}, "JurisdictionNotAllowed", id="nobody says where"),
        pytest.param({}, {"jurisdiction": "US"}, "Pending", id="it does not matter"),
        pytest.param({}, {"trustee_url": ""}, "TrusteeMissing", id="no Trustee"),
        pytest.param({"attestation": "VmOnly"}, {"trustee_url": ""}, "Pending", id="none is needed"),
    ],
)
def test_what_the_policy_asks_for_the_target_must_prove(
    policy: dict[str, Any], target: dict[str, Any], want: str
) -> None:
    assert code(meet(proof(**policy), target)) == want


def test_initdata_is_the_policys_own_or_the_targets() -> None:
    own, shared = InitdataRef(config_map="own"), InitdataRef(config_map="shared")
    for policy, target, want in ((own, shared, "own"), (None, shared, "shared"), (own, None, "own")):
        initdata = meet(proof(initdata=policy), {"initdata": target}).burst().spec.initdata
        assert initdata is not None
        assert initdata.config_map == want
    assert meet().burst().spec.initdata is None


@pytest.mark.parametrize(
    ("listed", "want"),
    [
        (("https://prom.example:9090",), "Pending"),
        (("https://other",), "EndpointNotAllowed"),
        ((), "EndpointNotAllowed"),
    ],
)
def test_metrics_are_read_only_where_the_target_lists_them(listed: tuple[str, ...], want: str) -> None:
    metric = PrometheusTrigger(
        name="load", server_address="https://prom.example:9090", query="up", threshold_milli=1_000
    )
    rules = {"triggers": (PendingPodsTrigger(pending_for_ms=0), metric), **placed(strategy="Move")}
    assert code(meet(rules, {"allowed_metric_endpoints": listed})) == want


@pytest.mark.parametrize(
    ("limits", "what"),
    [
        (Limits(max_bursts=0), "MaxBursts"),
        (Limits(launch_rate=LaunchRate(count=0, per_ms=1)), "LaunchRate"),
        (Limits(provider_shares={"azure": 0}), "ProviderShare"),
        (Limits(max_vcpus=1), "MaxVcpus"),
        (Limits(budget=Budget(per_month_micro_usd=WORST - 1)), "Budget"),
    ],
)
def test_limits_of_every_scope_hold_and_the_narrowest_is_told(limits: Limits, what: str) -> None:
    policy, target = {"limits": limits}, {"limits": limits, "namespace_limits": {"bank": limits}}
    cluster = s.ClusterLimitsSeen(limits=limits)
    assert code(meet(policy, target, None, cluster)) == f"Policy{what}"
    assert code(meet({}, target, None, cluster)) == f"Namespace{what}"
    assert code(meet({}, {"limits": limits}, None, cluster)) == f"Target{what}"
    assert code(meet({}, {}, None, cluster)) == f"Cluster{what}"
    assert code(meet()) == "Pending"


def test_the_tighter_of_two_limits_decides_whosever_it_is() -> None:
    for policy, target in ((1, 2), (2, 1)):
        engine = meet({"limits": Limits(max_bursts=policy)}, {"limits": Limits(max_bursts=target)})
        engine.send(s.PodSeen(pod=a_pod("task-2")), s.PodSeen(pod=a_pod("task-3")))
        assert len(engine.state.bursts) == 1


def test_times_are_the_policys_and_deadlines_and_places_the_targets() -> None:
    engine = meet(
        placed(lease_ms=1_000_000, drain_ms=20_000),
        {"launch_deadline_ms": 3_000, "ready_deadline_ms": 40_000, "runtime_class": "kata-cc"},
    )
    spec = engine.burst().spec
    assert (spec.lease_ms, spec.drain_ms) == (1_000_000, 20_000)
    assert (spec.launch_deadline_ms, spec.ready_deadline_ms, spec.runtime_class) == (3_000, 40_000, "kata-cc")
    assert spec.reserved_micro_usd == -(-120_000 * 1_023_000 // 3_600_000)


# Several targets


def two_targets(first: dict[str, Any], second: dict[str, Any], pod: Any = None) -> Engine:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy(placement=Placement(targets=("one", "two", "nowhere")))),
        s.TargetSeen(target=a_target(name="one", **first)),
        s.TargetSeen(target=a_target(name="two", **second)),
        s.OfferingsSeen(target="one", offerings=(an_offering(2, target="one"),)),
        s.OfferingsSeen(target="two", offerings=(an_offering(2, target="two"),)),
    )
    engine.send(s.PodSeen(pod=pod or a_pod()))
    return engine


DENY: dict[str, Any] = {"allowed_namespaces": ()}
WAIT: dict[str, Any] = {"limits": Limits(max_bursts=0)}


@pytest.mark.parametrize(
    ("first", "second", "want"),
    [
        pytest.param({}, {}, "one", id="both would"),
        pytest.param(DENY, {}, "two", id="the first never"),
        pytest.param(WAIT, {}, "two", id="the first not now"),
        pytest.param({}, DENY, "one", id="the second is not needed"),
    ],
)
def test_the_first_target_that_grants_is_taken(first: dict[str, Any], second: dict[str, Any], want: str) -> None:
    assert two_targets(first, second).burst().spec.target == want


@pytest.mark.parametrize(
    ("first", "second", "want"),
    [
        pytest.param(DENY, WAIT, ("Wait", "TargetMaxBursts"), id="what time can change is told"),
        pytest.param(WAIT, DENY, ("Wait", "TargetMaxBursts"), id="in whatever order"),
        pytest.param(DENY, {"sizes": ("none",)}, ("Deny", "NamespaceNotAllowed"), id="else the first"),
    ],
)
def test_where_none_grants_one_refusal_is_told(
    first: dict[str, Any], second: dict[str, Any], want: tuple[str, str]
) -> None:
    engine = two_targets(first, second)
    (decision,) = [one for one in engine.decisions if one.subject == "bank/task-1"]
    assert (decision.verdict, decision.reasons[0].code) == want
    assert len(decision.reasons) == 3, "and what stands against the other two"


def test_a_refusal_keeps_what_stands_against_the_other_targets() -> None:
    from burster.engine.answers import Refusal
    from burster.engine.gates import judge

    engine = two_targets(DENY, WAIT)
    answer = judge(engine.state, engine.state.pods["bank/task-1"], engine.state.policies["bank/tasks"])
    assert isinstance(answer, Refusal)
    assert [reason.code for reason in answer.others] == ["NamespaceNotAllowed", "TargetMissing"]
    assert answer.whole_policy


def test_a_refusal_is_looked_at_again_when_the_first_of_the_targets_may_have_changed() -> None:
    from burster.engine.answers import Refusal
    from burster.engine.gates import judge

    fast, slow = (Limits(launch_rate=LaunchRate(count=1, per_ms=per_ms)) for per_ms in (60_000, 90_000))
    engine = two_targets({"limits": slow}, {"limits": fast})
    engine.send(s.PodSeen(pod=a_pod("task-2")), s.PodSeen(pod=a_pod("task-3")))
    answer = judge(engine.state, engine.state.pods["bank/task-3"], engine.state.policies["bank/tasks"])
    assert isinstance(answer, Refusal)
    assert answer.again_at_ms == engine.now + 60_000
    assert (answer.reason.numbers["per_ms"], answer.whole_policy) == (90_000, True)
    engine.wait(60_000)
    assert [one.burst.spec.target for one in engine.asked("RecordBurst")] == ["two"]


# The order


def test_everything_is_wrong_and_is_put_right_one_after_the_other() -> None:
    """Each refusal in its turn: what is put right uncovers the next one."""
    engine = Engine()
    wrong = Limits(max_bursts=0)
    policy: dict[str, Any] = {
        "paused": True,
        "limits": wrong,
        "placement": Placement(targets=("azure",), strategy="Clone"),
        "triggers": (PendingPodsTrigger(pending_for_ms=0, min_count=2),),
        "confidential": Confidential(images_by_digest=True, data_class="secret"),
    }
    target: dict[str, Any] = {
        "allowed_namespaces": (),
        "limits": wrong,
        "namespace_limits": {"bank": wrong},
        "runtime_class": "kata-remote",
    }
    engine.sync()
    engine.send(
        s.LedgerHealth(writable=False, message="disk full"),
        s.DrainRequested(),
        s.PolicySeen(policy=a_policy(**policy)),
        s.ClusterLimitsSeen(limits=wrong),
        s.PodSeen(pod=a_pod(runtime_class="kata-remote", images=("nginx",))),
    )
    told = [code(engine)]

    def now(*stimuli: s.Stimulus) -> None:
        engine.send(*stimuli)
        told.append(code(engine))

    def policy_now(**changes: Any) -> None:
        policy.update(changes)
        now(s.PolicySeen(policy=a_policy(**policy)))

    def target_now(**changes: Any) -> None:
        target.update(changes)
        now(s.TargetSeen(target=a_target(**target)))

    now(s.LedgerHealth(writable=True))
    now(s.DrainCancelled())
    policy_now(paused=False)
    policy_now(triggers=(PendingPodsTrigger(pending_for_ms=0),))
    policy_now(limits=Limits())
    policy_now(placement=Placement(targets=("azure",)))
    policy_now(confidential=Confidential(data_class="secret"))
    target_now()
    target_now(allowed_namespaces=("bank",))
    target_now(data_classes=("secret",))
    target_now(runtime_class="kata-cc")
    target_now(namespace_limits={})
    target_now(limits=Limits())
    now(s.ClusterLimitsSeen(limits=Limits()))
    now(s.OfferingsSeen(target="azure", offerings=(an_offering(2, provider="azure"),)))
    assert told == [
        "LedgerNotWritable",
        "ComingHome",
        "Paused",
        "TooFew",
        "PolicyMaxBursts",
        "CloneWouldRunTwice",
        "ImageNotByDigest",
        "TargetMissing",
        "NamespaceNotAllowed",
        "DataClassNotAllowed",
        "AlreadyPeerPod",
        "NamespaceMaxBursts",
        "TargetMaxBursts",
        "ClusterMaxBursts",
        "NoOfferings",
        "Pending",
    ]


def test_of_an_offering_that_is_found_share_comes_before_vcpus_and_vcpus_before_money() -> None:
    short = Budget(per_day_micro_usd=1)
    for limits, want in (
        (Limits(provider_shares={"azure": 0}, max_vcpus=0, budget=short), "ClusterProviderShare"),
        (Limits(max_vcpus=0, budget=short), "ClusterMaxVcpus"),
        (Limits(budget=short), "ClusterBudget"),
    ):
        assert code(meet({}, {}, None, s.ClusterLimitsSeen(limits=limits))) == want


def test_a_target_that_is_left_starts_nothing_new() -> None:
    engine = meet({}, {}, None, s.DrainRequested(target="azure"))
    (decision,) = [one for one in engine.decisions if one.subject == "bank/task-1"]
    assert decision.reasons[0].code == "TargetEvacuated"
    assert decision.reasons[0].sentence == "azure is being evacuated; nothing new is started there."
    assert decision.verdict == "Deny"


def test_too_few_says_how_many() -> None:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy(triggers=(PendingPodsTrigger(pending_for_ms=0, min_count=3),))),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
    )
    engine.send(s.PodSeen(pod=a_pod("task-1")), s.PodSeen(pod=a_pod("task-2")))
    (reason,) = next(one for one in engine.decisions if one.subject == "bank/task-2").reasons
    assert (reason.code, reason.sentence) == ("TooFew", "2 pods are pending; the policy acts from 3.")
    assert reason.numbers == {"pending": 2, "min_count": 3}
    engine.send(s.PodSeen(pod=a_pod("task-3")))
    assert len(engine.asked("RecordBurst")) == 3


def test_a_grant_tells_its_whole_story() -> None:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy(pending_for_ms=30_000)),
        s.TargetSeen(target=a_target(discount_milli_percent=50_000)),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
    )
    engine.send(s.PodSeen(pod=a_service_pod("web-1")))
    engine.wait(45_000)
    (decision,) = [one for one in engine.decisions if one.verdict == "Burst"]
    assert [(reason.code, reason.sentence, reason.numbers) for reason in decision.reasons] == [
        (
            "Pending",
            "No on-prem node has taken it for 45s (the policy waits 30s).",
            {"pending_ms": 45_000, "pending_for_ms": 30_000},
        ),
        ("StrategyClone", "Clone, because it is a Deployment's pod: a service may run here and there at once.", {}),
        (
            "Cheapest",
            "Standard_DC2es_v6 is the cheapest size that fits. It is TDX in westeurope.",
            {"price_micro_usd_per_hour": 60_000, "vcpus": 2},
        ),
        ("Reserved", "$0.0650 are set aside for launch, lease and drain.", {"reserved_micro_usd": 65_000}),
    ]
    assert (decision.offering, decision.policy) == ("azure/westeurope/Standard_DC2es_v6", "bank/tasks")
