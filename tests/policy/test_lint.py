"""Every rule of the lint, each way: what fires it, and the nearest thing that does not."""

import msgspec
import pytest

from burster.model.limits import Budget, LaunchRate, Limits
from burster.model.offerings import Offering
from burster.model.pods import Resources
from burster.model.policies import InitdataRef, Machine, Wait, WorkloadSelector
from burster.model.scaling import Behavior, Direction, Fallback, Scaling, Step
from burster.model.triggers import (
    AuthRef,
    CronTrigger,
    ExternalTrigger,
    HttpAccess,
    KubernetesWorkloadTrigger,
    MetricsApiTrigger,
    PendingPodsTrigger,
    ResourceTrigger,
    WorkloadRef,
)
from burster.model.windows import Window
from burster.policy.lint import lint_policy, lint_target, rules
from burster.policy.lint.base import Known
from tests.policy.compiled import AT_MS, SIZE, USD, a_policy, a_target, known, prometheus, replaced


#: 5m to launch, 50m of lease and 10m of drain at $1.00 an hour
WORST = 1_083_334


def hits(policy, around=None):
    return [(code, hit) for code, hit in lint_policy(policy, around or known())]


def codes(policy, around=None):
    return [code for code, _ in hits(policy, around)]


def test_a_careful_policy_and_target_are_told_nothing():
    for strategy in ("Clone", "Auto"):
        assert codes(a_policy(strategy)) == []
    assert codes(a_policy("Move", workload=WorkloadSelector(kind="Pod"))) == []
    assert [code for code, _ in lint_target(a_target(), known())] == []


def limits_rows():
    yield "nothing-allowed", a_policy(limits={"max_bursts": 0}), "spec.limits.maxBursts"
    yield "nothing-allowed", a_policy(limits={"max_vcpus": 0}), "spec.limits.maxVcpus"
    yield (
        "nothing-allowed",
        a_policy(limits={"launch_rate": LaunchRate(count=0, per_ms=1)}),
        "spec.limits.launchRate.count",
    )
    yield "nothing-allowed", a_policy(budget={"per_hour_micro_usd": 0}), "spec.limits.budget.perHour"
    yield "budget-without-drain", a_policy(placement={"lease_ms": 3_600_001}), "spec.limits.budget"
    yield "no-count-limit", a_policy(limits={"max_bursts": None}), "spec.limits"
    yield (
        "launch-rate-without-effect",
        a_policy(limits={"launch_rate": LaunchRate(count=5, per_ms=60_000)}),
        ("spec.limits.launchRate.count"),
    )


@pytest.mark.parametrize(("code", "policy", "path"), list(limits_rows()))
def test_limits_that_are_regretted(code, policy, path):
    found = hits(policy, known(prices={}))
    assert [one for one, _ in found] == [code]
    assert path_text(found[0][1].path) == path


def path_text(path):
    from burster.policy.problems import path_text as text

    return text(path)


@pytest.mark.parametrize(
    "policy",
    [
        a_policy(limits={"max_bursts": 1}),
        a_policy(limits={"max_bursts": None, "max_vcpus": 8}),
        a_policy(limits={"launch_rate": LaunchRate(count=4, per_ms=60_000)}),
        a_policy(placement={"lease_ms": 3_600_000}),
        a_policy(placement={"lease_ms": 3_600_001}, budget={"drain_percent": 100}),
        a_policy(budget={"warn_percent": 100}),
        a_policy(budget={"drain_percent": 100}),
        a_policy(budget={"per_day_micro_usd": None, "warn_percent": 101}),
    ],
)
def test_limits_that_are_fine(policy):
    assert codes(policy, known(prices={})) == []


@pytest.mark.parametrize(
    ("day", "want"),
    [
        (WORST - 1, ["budget-too-small", "budget-too-small"]),
        (WORST, ["lease-above-day-budget", "lease-above-day-budget"]),
        (2 * WORST - 1, ["lease-above-day-budget", "lease-above-day-budget"]),
        (2 * WORST, []),
    ],
)
def test_a_days_budget_against_the_worst_case_of_one_burst(day, want):
    assert codes(a_policy(budget={"per_day_micro_usd": day})) == want


def test_a_budget_too_small_says_the_numbers():
    (_, hit), *_ = hits(a_policy(budget={"per_day_micro_usd": USD, "stop_percent": 50, "warn_percent": 40}))
    assert hit.path == ("spec", "limits", "budget")
    assert hit.message == (
        "$0.5000 per day is less than one burst at east may cost: Standard_DC2es_v6, the cheapest, sets $1.0833 aside, so"
        " nothing ever starts there"
    )
    assert hit.advice == "raise perDay, or shorten lease and drain"


def test_a_targets_budget_too_small_is_said_at_the_targets():
    poor = a_target(limits=Limits(budget=Budget(per_hour_micro_usd=USD)))
    (code, hit), *rest = hits(a_policy(), known(poor, a_target("west")))
    assert (code, hit.path, rest) == ("budget-too-small", ("spec", "placement", "targets"), [])
    assert hit.message.startswith("$1.0000 per hour of target east is less than one burst at east may cost")


def test_one_burst_needs_no_second_ones_budget():
    assert codes(a_policy(budget={"per_day_micro_usd": WORST}, limits={"max_bursts": 1})) == []


def test_a_size_above_the_budget_is_named():
    target = a_target(sizes=(SIZE, "Standard_DC64es_v6"))
    prices = {SIZE.casefold(): USD, "standard_dc64es_v6": 32 * USD}
    ((code, hit),) = hits(
        a_policy(placement={"targets": ("east", "west")}), known(target, a_target("west"), prices=prices)
    )
    assert code == "size-above-budget"
    assert hit.message.startswith("Standard_DC64es_v6 at east can never be had: one burst sets $34.6667 or more aside")
    rich = a_policy(budget={"per_day_micro_usd": 32 * WORST})
    assert codes(rich, known(target, a_target("west"), prices=prices)) == []


def test_the_worst_case_of_the_sizes_that_the_policy_leaves():
    target = a_target(sizes=("b", "a", "c"))
    around = known(target, prices={"a": 2 * USD, "b": USD, "c": USD})
    assert list(around.worst_cases(a_policy(), target).items()) == [("b", WORST), ("c", WORST), ("a", 2 * WORST - 1)]
    assert list(around.worst_cases(a_policy(placement={"sizes": ("a", "x")}), target)) == ["a"]


def test_prices_as_negotiated_discounted_or_assumed():
    around = known()
    assert around.price(a_target(), SIZE) == USD
    assert around.price(a_target(discount_milli_percent=12_500), SIZE) == 875_000
    assert around.price(a_target(negotiated_micro_usd_per_hour={SIZE: 7}, discount_milli_percent=50_000), SIZE) == 7
    assert around.price(a_target(), "Standard_DC4es_v6") is None
    assert around.price(a_target(assumed_price_micro_usd_per_hour=9), "Standard_DC4es_v6") == 9
    declared = Offering(
        target="east",
        provider="onprem",
        region="",
        size="rack",
        family="",
        resources=Resources(),
        tee="TDX",
        price_micro_usd_per_hour=3,
    )
    assert around.price(a_target(catalogue=(declared,)), "rack") == 3
    assert around.price(a_target(discount_milli_percent=1), SIZE) == 999_990


def test_no_budget_at_all_or_the_targets_alone():
    free = a_policy(budget={"per_day_micro_usd": None})
    assert codes(free) == []
    assert codes(free, known(a_target(), a_target("west", limits=Limits()))) == ["no-budget"]
    assert codes(free, known(a_target())) == ["no-budget", "unknown-target"]
    assert codes(free, Known(at_ms=AT_MS)) == ["no-budget"]


NIGHT = Window(timezone="Europe/Berlin", start="0 20 * * *", end="0 6 * * *")
OVER = Window(timezone="Europe/Berlin", first_day="2026-01-01", last_day="2026-12-31")
LATER = Window(timezone="Europe/Berlin", first_day="2027-02-01", last_day="2027-02-02")


@pytest.mark.parametrize(
    ("changes", "want"),
    [
        ({"windows": (OVER,)}, ["never-open"]),
        ({"windows": (OVER, NIGHT)}, []),
        ({"windows": (LATER,)}, []),
        ({"blackouts": (Window(timezone="UTC", first_day="2027-01-06"),)}, ["never-open"]),
        ({"blackouts": (NIGHT,)}, []),
        ({"blackouts": (OVER,)}, ["past-blackout"]),
        ({"when": "1 > 2"}, ["when-never"]),
        ({"when": "true"}, ["when-always"]),
        ({"when": "pending.count > 2"}, []),
        ({"scaling": Scaling(cooldown_ms=119_999)}, ["cooldown-below-start"]),
        ({"scaling": Scaling(cooldown_ms=120_000)}, []),
        ({"triggers": (PendingPodsTrigger(pending_for_ms=0),)}, ["no-pending-for"]),
        ({"wait": Wait(mode="AtOnce")}, ["no-pending-for"]),
        ({"triggers": (PendingPodsTrigger(pending_for_ms=1),)}, []),
        (
            {
                "triggers": (PendingPodsTrigger(pending_for_ms=0),),
                "wait": Wait(mode="BuyOrWait", value_micro_usd_per_hour=1),
            },
            [],
        ),
        ({"wait": Wait(mode="BuyOrWait")}, ["wait-without-effect"]),
        ({"wait": Wait(mode="BuyOrWait", value_micro_usd_per_hour=1, max_wait_ms=29_999)}, ["wait-without-effect"]),
        ({"wait": Wait(mode="BuyOrWait", value_micro_usd_per_hour=1, max_wait_ms=30_000)}, []),
        (
            {"triggers": (prometheus(),), "scaling": Scaling(polling_ms=4_999)},
            ["polling-too-fast"],
        ),
        ({"triggers": (prometheus(),), "scaling": Scaling(polling_ms=5_000)}, []),
        ({"scaling": Scaling(polling_ms=1_000)}, []),
        ({"triggers": (PendingPodsTrigger(min_count=5),)}, ["min-count-above-limit"]),
        ({"triggers": (PendingPodsTrigger(min_count=4),)}, []),
    ],
)
def test_time(changes, want):
    assert codes(a_policy(**changes)) == want


def test_what_is_always_true_is_worse_without_a_budget():
    (_, with_budget), *_ = hits(a_policy(when="true"))
    (_, without), *_ = [
        one for one in hits(a_policy(when="true", budget={"per_day_micro_usd": None})) if "when" in one[0]
    ]
    assert with_budget.message == "'true' is always true: it holds nothing back"
    assert without.message == "'true' is always true: it holds nothing back, and there is no budget either"


def test_a_lease_shorter_than_the_start_of_a_pod():
    assert codes(a_policy(placement={"lease_ms": 899_999})) == ["lease-below-start", "lease-below-start"]
    assert codes(a_policy(placement={"lease_ms": 900_000})) == []


def test_no_pending_for_is_worded_by_strategy():
    at_once = {"triggers": (PendingPodsTrigger(pending_for_ms=0),)}
    (_, move), *_ = hits(a_policy("Move", workload=WorkloadSelector(kind="Pod"), **at_once))
    (_, clone), *_ = hits(a_policy("Clone", **at_once))
    (_, mode), *_ = hits(a_policy("Clone", wait=Wait(mode="AtOnce")))
    assert "what has moved stays until it ends" in move.message
    assert clone.message == "with pendingFor 0 every roll-out and every restart of a node buys VMs"
    assert clone.path == ("spec", "triggers", 0, "metadata", "pendingFor")
    assert mode.path == ("spec", "wait", "mode")
    assert mode.message.startswith("with wait.mode AtOnce")


#: targets that allow the endpoint of ``prometheus()``
OPEN = known(
    a_target(allowed_metric_endpoints=("https://prometheus:9090",)),
    a_target("west", allowed_metric_endpoints=("https://prometheus:9090/", "http://plain:80")),
)


@pytest.mark.parametrize(
    ("trigger", "want"),
    [
        (prometheus(activation_milli=0), []),
        (prometheus(threshold_milli=1), []),
        (prometheus(activation_milli=100_000), ["activation-unreachable"]),
        (prometheus(activation_milli=99_999), []),
        (
            CronTrigger(name="c", start="0 8 * * *", end="0 9 * * *", timezone="UTC", desired_replicas=0),
            ["cron-without-effect"],
        ),
        (
            CronTrigger(name="c", start="0 8 * * 1-5", end="0 8 * * *", timezone="UTC", desired_replicas=1),
            ["cron-without-effect"],
        ),
        (CronTrigger(name="c", start="0 8 * * *", end="0 9 * * *", timezone="UTC", desired_replicas=1), []),
        (KubernetesWorkloadTrigger(name="k", pod_selector="app=web"), ["feeds-itself"]),
        (KubernetesWorkloadTrigger(name="k", pod_selector="app=web,!burster.dev/burst"), []),
        (prometheus(access=HttpAccess(unsafe_ssl=True)), ["unsafe-ssl"]),
        (
            prometheus(server_address="http://plain", access=HttpAccess(auth_modes=("bearer",))),
            ["plain-http"],
        ),
        (
            prometheus(server_address="http://plain", access=HttpAccess(auth=AuthRef(name="a"))),
            ["plain-http"],
        ),
        (prometheus(server_address="http://plain", access=HttpAccess(auth_modes=("tls",))), []),
        (MetricsApiTrigger(name="m", url="https://prometheus:9090/v1", value_location="n"), []),
        (MetricsApiTrigger(name="m", url="https://prometheus:9091/v1", value_location="n"), []),
        (ExternalTrigger(name="e"), []),
    ],
)
def test_triggers(trigger, want):
    assert codes(a_policy(triggers=(trigger,)), OPEN) == want


@pytest.mark.parametrize(
    ("query", "feeds"),
    [
        ('sum(kube_pod_status_phase{phase="Pending", namespace="bank",pod=~"on-prem-deployment.*"})', False),
        ('sum(kube_pod_status_phase{phase="Pending", namespace="bank",pod=~".*on-prem-deployment.*"})', True),
        ('sum(kube_pod_status_phase{phase="Pending", namespace="bank"})', True),
        ("sum(kube_pod_status_phase)", True),
        ('sum(kube_pod_status_phase{namespace="other"})', False),
        ('sum(kube_pod_status_phase{namespace=~"ba.*"})', True),
        ('sum(kube_pod_status_phase{pod!~"burst-.*"})', False),
        ('sum(kube_pod_status_phase{pod="web-0"})', False),
        ('sum(kube_pod_status_phase{pod!="web-0"})', True),
        ("sum({__name__='kube_pod_info'})", True),
        ('sum(kube_pod_info unless on(pod) kube_pod_labels{label_burster_dev_burst!=""})', False),
        ('sum(http_requests_total{namespace="bank"})', False),
        ('label_replace(up, "a", "kube_pod_info", "b", "c")', False),
        ("up # kube_pod_info", False),
        ("sum(container_memory_working_set_bytes{pod=~`web.+`})", False),
        ("sum(container_memory_working_set_bytes)", True),
        ('sum(kube_pod_info{pod=~"(a+)+"})', False),
        ('sum(kube_pod_info{pod=~"(burst|web).*"})', True),
        ('count(kube_pod_info{pod=~""})', False),
        ('count(kube_pod_info{pod="a\\"b"}) + count(kube_pod_info)', True),
        ("count(kube_pod_info{", True),
    ],
)
def test_a_query_that_counts_the_pods_it_causes(query, feeds):
    assert codes(a_policy(triggers=(prometheus(query),)), OPEN) == (["feeds-itself"] if feeds else [])


def test_feeding_itself_by_strategy():
    query = 'sum(kube_pod_info{pod=~".*deployment-.*"})'
    scaled = Scaling(target=WorkloadRef(name="cloud-deployment"))
    by_scale = a_policy("Scale", triggers=(prometheus(query),), scaling=scaled)
    ((code, hit),) = hits(by_scale, OPEN)
    assert code == "feeds-itself"
    assert hit.message.startswith(
        "kube_pod_info counts the replicas it asks for too (a name like cloud-deployment-5d4f8c7b9-x2x4q passes its selector)"
    )
    on_prem = a_policy("Scale", triggers=(prometheus('sum(kube_pod_info{pod=~"on-prem-.*"})'),), scaling=scaled)
    assert codes(on_prem, OPEN) == []
    assert "feeds-itself" not in codes(a_policy("Move", triggers=(prometheus(query),)), OPEN)
    assert codes(a_policy("Scale", triggers=(KubernetesWorkloadTrigger(name="k", pod_selector="a=b"),)), OPEN) == []


def test_measuring_what_is_scaled():
    web, cloud = WorkloadRef(name="web"), WorkloadRef(name="cloud")
    trigger = ResourceTrigger(name="m", resource="memory", source=web)
    assert codes(a_policy("Scale", triggers=(trigger,), scaling=Scaling(target=web)), OPEN) == ["measures-itself"]
    assert codes(a_policy("Scale", triggers=(trigger,), scaling=Scaling(target=cloud)), OPEN) == []
    assert codes(a_policy("Scale", triggers=(trigger,)), OPEN) == []


def test_move_uses_no_metrics_but_in_its_condition():
    bare = WorkloadSelector(kind="Pod")
    pending = PendingPodsTrigger()
    assert codes(a_policy("Move", workload=bare, triggers=(pending, prometheus())), OPEN) == ["metrics-unused"]
    used = a_policy("Move", workload=bare, triggers=(pending, prometheus()), when='metrics["q"] > 1.0')
    assert codes(used, OPEN) == []


def scaling_policy(**scaling):
    return a_policy("Scale", triggers=(prometheus(),), scaling=Scaling(target=WorkloadRef(name="cloud"), **scaling))


DOWN = Direction(stabilization_ms=0, select="Disabled", steps=())
UP = Direction(stabilization_ms=0, steps=(Step(type="Pods", value=4, period_ms=15_000),))


@pytest.mark.parametrize(
    ("scaling", "want"),
    [
        ({"min_replicas": 1}, ["always-some"]),
        ({"min_replicas": 1, "idle_replicas": 0}, []),
        ({"min_replicas": 2, "idle_replicas": 1}, ["always-some"]),
        ({"max_replicas": 5}, ["max-above-bursts"]),
        ({"max_replicas": 4}, []),
        ({"max_replicas": 4, "fallback": Fallback(failure_threshold=3, replicas=4)}, ["fallback-buys"]),
        ({"max_replicas": 4, "fallback": Fallback(failure_threshold=3, replicas=4, behavior="currentReplicas")}, []),
        ({"max_replicas": 4, "fallback": Fallback(failure_threshold=3, replicas=3)}, []),
        ({"max_replicas": 4, "fallback": Fallback(failure_threshold=0, replicas=3)}, ["fallback-buys"]),
        ({"behavior": Behavior(scale_up=UP, scale_down=DOWN)}, ["one-way"]),
        ({"behavior": Behavior(scale_up=DOWN, scale_down=UP)}, ["one-way"]),
        ({"behavior": Behavior(scale_up=UP, scale_down=UP)}, []),
        ({"restore_to_original": True}, []),
    ],
)
def test_numbers_of_replicas(scaling, want):
    assert codes(scaling_policy(**scaling), OPEN) == want


def test_restoring_where_nothing_is_set():
    assert codes(a_policy(scaling=Scaling(restore_to_original=True))) == ["restore-without-effect"]


def asking(*resources, **changes):
    return a_policy(triggers=(PendingPodsTrigger(resources=resources),), **changes)


H100 = "Standard_NCC40ads_H100_v5"


def test_a_gpu_and_a_tee_that_nothing_joins():
    ((code, hit),) = hits(asking("nvidia.com/gpu"))
    assert code == "device-without-tee"
    assert hit.path == ("spec", "triggers", 0, "metadata", "resources", 0)
    assert hit.message == (
        "no VM joins nvidia.com/gpu with TDX at east or west; what exists: of Azure's sizes only Standard_NCC40ads_H100_v5"
        " joins a GPU with a TEE, and that is SEV-SNP (SNP)"
    )
    with_size = known(a_target(sizes=(SIZE, H100)), a_target("west"))
    ((_, hit),) = hits(asking("nvidia.com/gpu"), with_size)
    assert hit.message.endswith("what exists: Standard_NCC40ads_H100_v5 with SEV-SNP (SNP)")
    assert hit.advice == "set confidential.tees to SNP if that proof will do, and have the target allow it"
    snp = asking("nvidia.com/gpu", confidential={"tees": ("SNP",)})
    snp_targets = known(a_target(sizes=(H100,), tees=("SNP",)), a_target("west", sizes=(H100,), tees=("SNP",)))
    assert codes(snp, snp_targets) == []


def test_a_gpu_where_the_targets_are_not_at_hand():
    nowhere = Known(at_ms=AT_MS)
    ((code, hit),) = hits(asking("nvidia.com/gpu"), nowhere)
    assert (code, hit.message) == (
        "device-without-tee",
        "no VM joins nvidia.com/gpu with TDX on Azure; what exists: Standard_NCC40ads_H100_v5 with SEV-SNP (SNP)",
    )
    assert codes(asking("nvidia.com/gpu", confidential={"tees": ("SNP",)}), nowhere) == []
    ((code, hit),) = hits(a_policy(placement={"sizes": (H100,)}), nowhere)
    assert (code, hit.path) == ("device-without-tee", ("spec", "placement", "sizes", 0))


def test_a_declared_place_may_have_any_device():
    npu = Offering(
        target="rack",
        provider="onprem",
        region="",
        size="npu-1",
        family="",
        tee="TDX",
        price_micro_usd_per_hour=1,
        resources=Resources(devices=(("huawei.com/Ascend910", 8), ("vendor.example/thing", 1))),
    )
    rack = a_target("east", provider="onprem", catalogue=(npu,), sizes=("npu-1",))
    around = known(rack, a_target("west"))
    assert codes(asking("huawei.com/Ascend910"), around) == []
    assert codes(asking("vendor.example/thing"), around) == []
    assert codes(asking("huawei.com/Ascend910")) == ["device-without-tee"]
    plain = known(replaced(rack, catalogue=(replaced(npu, tee="None"),)), a_target("west"))
    ((_, hit),) = hits(asking("huawei.com/Ascend910"), plain)
    assert hit.message.endswith("what exists: npu-1 with no TEE")


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("nvidia.com/gpus", ["unknown-device"]),
        ("example.com/other", ["unknown-device"]),
        ("nvidia.com/mig-1g.5gb", []),
        ("nvidia.com/gpu", []),
        ("cpu", []),
        ("hugepages-2Mi", []),
    ],
)
def test_names_of_devices(name, want):
    assert [code for code in codes(asking(name), Known(at_ms=AT_MS)) if code != "device-without-tee"] == want


def test_a_slip_in_a_devices_name_is_answered_by_the_right_one():
    found = dict(hits(asking("nvidia.com/gpus"), Known(at_ms=AT_MS)))
    assert found["unknown-device"].message == "no known device is called nvidia.com/gpus; did you mean nvidia.com/gpu?"


@pytest.mark.parametrize(
    ("size", "tees", "want"),
    [
        ("Standard_DC4es_v6", ("TDX",), []),
        ("Standard_DC4es_v6", ("SNP",), ["size-without-tee"]),
        ("Standard_DC4as_v5", ("TDX",), ["size-without-tee"]),
        ("Standard_EC4ads_v5", ("SNP",), []),
        ("Standard_D4s_v5", ("TDX", "SNP"), ["size-without-tee"]),
        ("rack-1", ("TDX",), []),
    ],
)
def test_sizes_and_what_their_names_say(size, tees, want):
    around = known(a_target(tees=("TDX", "SNP"), sizes=(size,)), a_target("west", tees=("TDX", "SNP"), sizes=(size,)))
    assert codes(a_policy(placement={"sizes": (size,)}, confidential={"tees": tees}), around) == want


def placement_rows():
    yield a_policy("Machine", machine=MACHINE), ["machine-without-service"]
    yield a_policy("Machine", machine=SERVED), []
    yield a_policy("Machine", machine=SERVED, placement={"spot": "Prefer"}), []
    yield a_policy("Machine", machine=SERVED, placement={"spot": "Only"}), ["spot-service"]
    yield a_policy("Machine", machine=MACHINE, placement={"spot": "Only"}), ["machine-without-service"]
    yield a_policy("Move", workload=WorkloadSelector(kind="Job")), ["move-needs-webhook"]
    yield a_policy("Move", workload=WorkloadSelector(kind="Pod")), []
    yield a_policy("Move", workload=WorkloadSelector(name_pattern="a")), []
    yield a_policy(placement={"targets": ("east",)}), ["fall-back"]
    yield a_policy("Signal", triggers=(CRON,), placement={"targets": ("east",)}), []
    yield a_policy(placement={"targets": tuple(f"t{n}" for n in range(8))}), []
    yield a_policy(placement={"targets": tuple(f"t{n}" for n in range(9))}), ["fall-back"]
    yield a_policy(placement={"spot": "Only"}), ["spot-not-available"]
    yield a_policy(placement={"spot": "Prefer"}), ["spot-not-available"]
    yield a_policy(limits={"provider_shares": {"azure": 60}}), ["provider-share"]
    yield a_policy(limits={"provider_shares": {"azure": 100}}), []
    yield a_policy(limits={"provider_shares": {"gcp": 60}}), ["provider-share"]
    yield a_policy(limits={"provider_shares": {"azure": 0}}), ["nothing-allowed", "provider-share"]


MACHINE = Machine(requests=Resources(cpu_millicores=2_000, memory_bytes=8 << 30), image="bank:cvm:rhel:9.6.1")
SERVED = Machine(requests=MACHINE.requests, image=MACHINE.image, service="settlement", port=8443)
CRON = CronTrigger(name="c", start="0 8 * * *", end="0 9 * * *", timezone="UTC", desired_replicas=1)


@pytest.mark.parametrize(("policy", "want"), list(placement_rows()))
def test_placement(policy, want):
    assert codes(policy, known(*map(a_target, policy.placement.targets))) == want


def test_a_place_that_declares_spot_sizes_may_be_asked_for_them():
    rack = Offering(
        target="east",
        provider="other",
        region="",
        size="r",
        family="",
        resources=Resources(),
        tee="TDX",
        price_micro_usd_per_hour=1,
        spot=True,
    )
    around = known(a_target(provider="other", catalogue=(rack,), sizes=("r",)), a_target("west"))
    assert "spot-not-available" not in codes(a_policy(placement={"spot": "Only"}), around)


def test_spot_is_worded_by_what_it_does():
    (_, only), *_ = hits(a_policy(placement={"spot": "Only"}))
    (_, prefer), *_ = hits(a_policy(placement={"spot": "Prefer"}))
    assert only.message == "cloud-api-adaptor makes no spot VMs on Azure: with Only nothing ever starts"
    assert prefer.message == "cloud-api-adaptor makes no spot VMs on Azure: with Prefer what starts is never spot"


@pytest.mark.parametrize(
    ("confidential", "want"),
    [
        ({"attestation": "VmOnly"}, ["attestation-vm-only"]),
        ({"exec_forbidden": False}, ["exec-not-forbidden"]),
        ({"data_class": "secret"}, ["images-by-tag", "secrets-not-sealed"]),
        ({"secrets": "Sealed"}, ["sealed-names"]),
        ({"secrets": "Sealed", "sealed_secrets": ("a",)}, []),
        ({"sealed_secrets": ("a",)}, ["sealed-names"]),
        ({"secure_boot": False}, ["secure-boot-off"]),
    ],
)
def test_confidentiality(confidential, want):
    assert codes(a_policy(confidential=confidential)) == want


def test_a_classified_policy_where_everything_is_in_order():
    closed = {
        "data_class": "secret",
        "images_by_digest": True,
        "secrets": "Sealed",
        "sealed_secrets": ("a",),
        "jurisdictions": ("EU",),
    }
    place = {"data_classes": ("secret",), "jurisdiction": "EU"}
    assert codes(a_policy(confidential=closed), known(a_target(**place), a_target("west", **place))) == []


def test_trustee_and_initdata_of_the_targets():
    bare = known(a_target(trustee_url="", initdata=None), a_target("west"))
    assert codes(a_policy(), bare) == ["exec-not-forbidden"]
    own = {"initdata": InitdataRef(config_map="mine"), "attestation": "VmOnly"}
    assert codes(a_policy(confidential=own), bare) == ["attestation-vm-only"]
    assert codes(a_policy(), known(a_target(initdata=None))) == ["unknown-target"]


@pytest.mark.parametrize(
    ("changes", "want"),
    [
        ({"allowed_namespaces": ("*",)}, ["every-namespace"]),
        ({"allowed_namespaces": ("*",), "required_namespace_labels": {"burst": "ok"}}, []),
        ({"allowed_namespaces": ()}, ["no-namespace"]),
        ({"limits": Limits()}, ["target-without-budget"]),
        (
            {"namespace_limits": {"bank": Limits(budget=Budget(per_month_micro_usd=1000 * USD + 1))}},
            ["namespace-above-target"],
        ),
        ({"namespace_limits": {"bank": Limits(budget=Budget(per_month_micro_usd=1000 * USD))}}, []),
        ({"namespace_limits": {"bank": Limits(budget=Budget(per_day_micro_usd=10**12))}}, []),
        (
            {"sweep": "Delete", "resource_group": "BURST-west", "sweep_tags": {"burster-cluster": "prod-1"}},
            ["sweep-shared-group"],
        ),
        ({"sweep": "Delete"}, ["sweep-without-scope"]),
        ({"sweep": "Delete", "sweep_exclusive": True}, []),
        ({"sweep": "Delete", "sweep_tags": {"burster-cluster": "prod-1"}}, []),
        ({"provider": "sovereign"}, ["runtime-class-of-two-clouds"]),
        ({"provider": "sovereign", "runtime_class": "kata-remote-sovereign"}, []),
        ({"subscription": "11111111-1111-1111-1111-111111111111"}, ["runtime-class-of-two-clouds"]),
        ({"region": "northeurope"}, []),
        ({"sweep": "Report", "resource_group": "burst-west"}, []),
        ({"tees": ("TDX", "SNP")}, ["both-tees"]),
        ({"tees": ("SNP",)}, []),
        ({"assumed_price_micro_usd_per_hour": USD - 1}, ["assumed-price-too-low"]),
        ({"assumed_price_micro_usd_per_hour": USD}, []),
        ({"negotiated_micro_usd_per_hour": {"Standard_DC4es_v6": 1}}, ["price-of-no-size"]),
        ({"negotiated_micro_usd_per_hour": {SIZE: 1}}, []),
    ],
)
def test_targets(changes, want):
    target = a_target(**changes)
    assert [code for code, _ in lint_target(target, known(target, a_target("west")))] == want


MANY = tuple(f"t{number}" for number in range(9))


def told_rows():
    yield (
        a_policy(triggers=(prometheus(threshold_milli=1_500, activation_milli=150_000),)),
        (
            "trigger q becomes active only above 150, where 1.5 per replica already asks for all 100: it never fires, or all at once"
        ),
    )
    yield (
        a_policy(scaling=Scaling(cooldown_ms=60_000)),
        (
            "a cooldown of 1m is shorter than a confidential VM takes to start (about 2m): a short lull costs a VM and buys the next one"
        ),
    )
    yield (
        a_policy(triggers=(prometheus(),), scaling=Scaling(polling_ms=2_000)),
        ("asking every 2s is load without news: Prometheus scrapes less often"),
    )
    yield (
        a_policy(triggers=(CRON,), scaling=Scaling(polling_ms=2_000)),
        ("asking every 2s is load without news: sources change less often"),
    )
    yield (
        a_policy(limits={"launch_rate": LaunchRate(count=9, per_ms=60_000)}),
        ("9 launches per 1m hold nothing back: maxBursts is 4"),
    )
    yield (
        a_policy(placement={"lease_ms": 7_200_000}, limits={"max_bursts": 1}),
        ("drainAtPercent is not set: when the money is spent, what runs goes on until its lease ends, up to 2h later"),
    )
    yield (
        a_policy(triggers=(PendingPodsTrigger(min_count=5),)),
        ("5 pods must be pending before any counts, but at most 4 may go: what is left is then too few to count"),
    )
    yield (
        a_policy(wait=Wait(mode="BuyOrWait")),
        ("without valuePerHour waiting costs nothing, so each pod waits until maxWait (1h) is over"),
    )
    yield (
        scaling_policy(max_replicas=5),
        "5 replicas are never reached: limits.maxBursts is 4, and the tightest decides",
    )
    yield scaling_policy(min_replicas=1), "1 cloud replica runs and costs money without any demand"
    yield scaling_policy(min_replicas=2), "2 cloud replicas run and cost money without any demand"
    yield (
        a_policy(placement={"targets": ("east",)}),
        ("east is the only target: when it has no room or no quota, nothing bursts"),
    )
    yield (
        a_policy(placement={"targets": MANY}),
        ("9 targets are tried one after the other: what fails everywhere takes long to say so"),
    )
    yield (
        a_policy(limits={"provider_shares": {"azure": 60}}),
        (
            "all targets are of provider azure, so at most 60 % of the vCPUs could be there, and the first burst would be 100 %"
        ),
    )
    yield (
        a_policy(limits={"provider_shares": {"gcp": 60}}),
        ("none of the targets is of provider gcp: the share decides nothing"),
    )
    yield (
        a_policy("Move", workload=WorkloadSelector(kind="Job")),
        (
            "pods of a Job are re-created by their controller and need burster's webhook to become peer pods; this version moves bare"
            " pods only"
        ),
    )
    yield (
        a_policy(placement={"sizes": ("Standard_DC4as_v5",)}),
        ("Standard_DC4as_v5 is SEV-SNP (SNP), but the policy asks for TDX: it is never chosen"),
    )
    yield (
        a_policy(placement={"sizes": ("Standard_D4s_v5",)}),
        ("Standard_D4s_v5 has no TEE, but the policy asks for TDX: it is never chosen"),
    )
    yield (
        a_policy(confidential={"data_class": "secret", "secrets": "Sealed", "sealed_secrets": ("a",)}),
        ("data of class secret is worked on by images that a tag names: whoever can move the tag decides what runs"),
    )
    yield (
        a_policy(triggers=(prometheus(server_address="http://p", access=HttpAccess(auth_modes=("basic", "tls"))),)),
        ("credentials (basic) go over plain http, readable on the way"),
    )
    yield (
        a_policy(triggers=(KubernetesWorkloadTrigger(name="k", pod_selector="a=b"),)),
        ("clones carry their workload's labels, so 'a=b' may count them: each one started is a reason for the next"),
    )


@pytest.mark.parametrize(("policy", "message"), list(told_rows()))
def test_what_is_found_is_said_with_its_numbers(policy, message):
    around = known(*map(a_target, policy.placement.targets), prices={})
    assert [hit.message for _, hit in hits(policy, around)] == [message]


def test_a_lease_is_judged_with_its_numbers():
    (_, short), *_ = hits(a_policy(placement={"lease_ms": 60_000}))
    assert short.message == (
        "a lease of 1m is shorter than a pod may take to get ready at target east (15m): it is renewed before it has worked"
    )
    (_, long), *_ = hits(a_policy(budget={"per_day_micro_usd": 2 * USD}))
    assert long.message == (
        "a lease of 50m sets $1.0833 aside at east, so the day's budget of $2.0000 is enough for one burst only"
    )


def test_every_rule_has_a_code_of_its_own_and_a_sentence():
    told = rules()
    assert len(told) > 40
    assert all(code == code.lower() and about and not about.endswith(".") for code, about in told.items())


@pytest.mark.parametrize(
    ("changes", "want"),
    [
        ({"force_activation": True}, ["left-by-hand"]),
        ({"paused_scale_in": True}, ["left-by-hand"]),
        ({"paused": True, "paused_scale_in": True}, []),
        ({"paused_scale_out": True}, []),
    ],
)
def test_what_was_left_by_hand_and_costs_money(changes, want):
    assert codes(msgspec.structs.replace(scaling_policy(max_replicas=4), **changes), OPEN) == want


def test_force_costs_nothing_where_pods_are_the_demand():
    assert codes(msgspec.structs.replace(a_policy(), force_activation=True), OPEN) == []
