"""A policy in plain sentences: each choice has its words, and every number in them is one that the engine uses."""

import pytest

from burster.model.limits import Budget, LaunchRate, Limits
from burster.model.offerings import Offering
from burster.model.pods import Resources
from burster.model.policies import (
    Confidential,
    InitdataRef,
    LabelRule,
    Machine,
    Placement,
    Policy,
    Spread,
    Wait,
    WorkloadSelector,
)
from burster.model.scaling import Behavior, Direction, Fallback, Scaling, ScalingModifiers, Step
from burster.model.targets import Machines, Target
from burster.model.triggers import (
    AuthRef,
    CronTrigger,
    ExternalTrigger,
    HttpAccess,
    KubernetesWorkloadTrigger,
    MetricsApiTrigger,
    PendingPodsTrigger,
    PrometheusTrigger,
    ResourceTrigger,
    WorkloadRef,
)
from burster.model.windows import Window
from burster.policy.explain import explain_policy, explain_target
from burster.policy.explain.times import next_opening
from burster.policy.explain.words import moment
from burster.policy.lint.base import Known
from tests.policy.compiled import AT_MS, USD, replaced


POLICY = Policy(
    namespace="bank",
    name="web",
    workload=WorkloadSelector(kind="Deployment"),
    placement=Placement(strategy="Clone", targets=("east",)),
)
TARGET = Target(name="east", subscription="s", resource_group="g", region="eastus", sizes=("A", "B"))


def told(policy=POLICY, targets=None, known=None, **changes):
    return explain_policy(replaced(policy, **changes), targets, known)


def added(plain, other):
    """The sentences that a change brings."""
    return [sentence for sentence in other if sentence not in plain]


def by_placement(**changes):
    return added(told(), told(placement=replaced(POLICY.placement, **changes)))


def scaled(*triggers, **scaling):
    return told(
        triggers=triggers,
        scaling=Scaling(target=WorkloadRef(name="cloud"), **scaling),
        placement=replaced(POLICY.placement, strategy="Scale"),
    )


def prometheus(**changes):
    own = PrometheusTrigger(name="q", server_address="https://p", query="sum(up)")
    return replaced(own, **changes)


def test_the_whole_of_a_small_policy():
    assert told() == [
        "Policy bank/web is about pods of a Deployment in namespace bank.",
        "It acts as soon as one such pod has been unschedulable for 30s (trigger pending-pods).",
        "Each burst is a further replica, made from the workload's template; the pending pod keeps its place on-prem.",
        "It goes to target east, on any size the target allows.",
        "Only a confidential VM will do: TDX, booted by secure boot.",
        "Only targets with a Trustee will do, which releases keys to a pod after its VM has been attested.",
        "Nobody may exec into a cloud pod: the agent policy in the initdata must forbid it.",
        "It uses any number of cloud pods: there is no limit.",
        "It spends without a limit of its own.",
        "A cloud pod lives on leases of 50m, each reserved before it begins, and has 10m to finish when it must go.",
        "A clone goes 5m after the demand for it has ended.",
        "When several may go, the dearest first, and at most 10 % of them at once for want of demand.",
        "Where several policies match a pod, the one with the highest priority takes it; this one has 0.",
    ]


def of_machines(**more):
    needs = Resources(cpu_millicores=4_000, memory_bytes=16 << 30)
    machine = Machine(requests=needs, image="bank:cvm:rhel:9.6.1", config_map="init", key="user-data", **more)
    placement = replaced(POLICY.placement, strategy="Machine")
    return " ".join(told(placement=placement, machine=machine, targets={"east": TARGET}))


def test_what_a_machine_is():
    text = of_machines(service="settlement", port=8443, encryption="DiskWithVMGuestState")
    assert "at least 4000m cpu and 16Gi memory, image bank:cvm:rhel:9.6.1, and no public address" in text
    assert "The state of its vTPM and its whole disk is encrypted for it alone." in text
    assert "its port 8443 answers, it is an endpoint of Service settlement." in text
    assert "It starts with key user-data of ConfigMap init as its user data." in text


def test_a_machine_without_a_service_is_no_endpoint():
    text = of_machines()
    assert "It is the endpoint of no Service." in text
    assert "whole disk" not in text


def test_of_machines_neither_pods_nor_replicas_are_told():
    text = of_machines()
    assert not [
        word for word in ("clone", "replica", "cloud pod", "exec", "initdata") if word in text.replace("or cloned", "")
    ]


def test_what_a_target_lends_to_machines():
    machines = Machines(images=("bank:cvm:rhel:9.6.1",), subnet="/s", network_security_group="/g", zones=("1", "2"))
    text = " ".join(explain_target(replaced(TARGET, machines=machines)))
    assert "made here from image bank:cvm:rhel:9.6.1, in subnet /s, spread over zones 1, 2." in text
    assert "guarded by /g" in text


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        (WorkloadSelector(kind="Deployment", name="web"), "pods of Deployment web"),
        (WorkloadSelector(kind="Pod", name="job-1"), "the bare pod job-1"),
        (WorkloadSelector(kind="Pod", name_pattern="t-.*"), "bare pods whose whole name matches t-.*"),
        (WorkloadSelector(kind="Job", name_pattern="t-.*"), "pods of a Job whose workload's whole name matches t-.*"),
        (WorkloadSelector(pod_name_pattern="a.*"), "pods whose own whole name matches a.*"),
        (
            WorkloadSelector(
                match_labels={"b": "2", "a": "1"},
                match_expressions=(
                    LabelRule(key="tier", operator="In", values=("x", "y")),
                    LabelRule(key="tier", operator="NotIn", values=("z",)),
                    LabelRule(key="gpu", operator="Exists"),
                    LabelRule(key="old", operator="DoesNotExist"),
                ),
            ),
            (
                "pods that carry a=1, b=2 and whose label tier is x or y and whose label tier is not z and whose label gpu exists and"
                " whose label old does not exist"
            ),
        ),
    ],
)
def test_whom_it_is_about(selector, words):
    assert told(workload=selector)[0] == f"Policy bank/web is about {words} in namespace bank."


@pytest.mark.parametrize(
    ("strategy", "sentence"),
    [
        (
            "Move",
            "Each burst is the pending pod itself: it leaves the on-prem queue and runs in the cloud until it ends.",
        ),
        (
            "Auto",
            "Pods of Deployments are cloned (a further replica); all other pods move (the pending pod itself goes).",
        ),
        ("Signal", "It publishes the number of replicas it wants for KEDA to act on, and sets nothing itself."),
        (
            "Machine",
            "Each burst is a confidential VM without a pod, as many as the triggers ask for; no pod is taken or cloned.",
        ),
    ],
)
def test_what_bursting_means(strategy, sentence):
    assert sentence in by_placement(strategy=strategy)


@pytest.mark.parametrize(
    ("changes", "sentences"),
    [
        (
            {"targets": ("a", "b")},
            ["It goes to the first of these targets that has room: a, b, on any size the target allows."],
        ),
        ({"sizes": ("A", "B")}, ["It goes to target east, on A or B."]),
        (
            {"spread": Spread(by="region", max_skew=2)},
            ["The numbers of its cloud pods in two regions should differ by at most 2."],
        ),
        (
            {"spread": Spread(by="family", required=True)},
            ["The numbers of its cloud pods in two families of sizes must differ by at most 1."],
        ),
        ({"spot": "Only"}, ["Only spot VMs will do."]),
        ({"spot": "Prefer"}, ["Spot VMs are taken where there are any."]),
        (
            {"return_home": "WhenRoom"},
            ["It goes also when there has been room for its pod on-prem, though the pod has not started there yet."],
        ),
        (
            {"min_life_ms": 60_000},
            ["It stays for 1m at the least, unless money, a limit or a person says otherwise."],
        ),
        ({"idle_ms": 60_000}, ["A spare one is kept for 1m before it goes."]),
        (
            {"release_order": "YoungestFirst", "disruption_percent": 25},
            ["When several may go, the youngest first, and at most 25 % of them at once for want of demand."],
        ),
        (
            {"lease_ms": 7_200_000, "drain_ms": 30_000},
            [
                "A cloud pod lives on leases of 2h, each reserved before it begins, and has 30s to finish when it must go."
            ],
        ),
    ],
)
def test_placement(changes, sentences):
    assert by_placement(**changes) == sentences


@pytest.mark.parametrize(
    ("trigger", "sentences"),
    [
        (
            PendingPodsTrigger(min_count=3),
            ["It acts as soon as 3 such pods have been unschedulable for 30s (trigger pending-pods)."],
        ),
        (
            PendingPodsTrigger(
                reasons=("Insufficient cpu",), resources=("nvidia.com/gpu", "a/b"), runtime_classes=("kata",)
            ),
            [
                (
                    "Of these pods only those count whose scheduler's message has 'Insufficient cpu' in it, that ask for nvidia.com/gpu"
                    " or a/b and of RuntimeClass kata."
                )
            ],
        ),
        (
            PendingPodsTrigger(min_priority=0, max_priority=10),
            ["Of these pods only those count whose priority is at least 0 and at most 10."],
        ),
        (
            PendingPodsTrigger(min_cpu_millicores=500, max_memory_bytes=4 << 30),
            [
                "Of these pods only those count whose cpu request is at least 500m and whose memory request is at most 4Gi."
            ],
        ),
        (
            PendingPodsTrigger(max_cpu_millicores=500, min_memory_bytes=1 << 30),
            [
                "Of these pods only those count whose cpu request is at most 500m and whose memory request is at least 1Gi."
            ],
        ),
    ],
)
def test_which_pending_pods_count(trigger, sentences):
    assert added(told(), told(triggers=(trigger,))) == sentences


@pytest.mark.parametrize(
    ("trigger", "sentences"),
    [
        (
            prometheus(threshold_milli=10_000, activation_milli=500),
            [
                "Trigger q asks https://p for sum(up); an empty answer is 0.",
                "It is active above 0.5, not at it; one replica takes 10 of it: a value of 25 asks for ceil(25 / 10) = 3 replicas.",
            ],
        ),
        (
            prometheus(
                metric_type="Value",
                ignore_null_values=False,
                access=HttpAccess(auth_modes=("basic", "tls"), auth=AuthRef(name="a"), unsafe_ssl=True),
            ),
            [
                "Trigger q asks https://p for sum(up); an empty answer is an error.",
                (
                    "It is reached with the credentials of TriggerAuthentication a by basic and tls without checking who answers, and"
                    " given up after 3s."
                ),
                "It is active above 0, not at it; its target is 1: with 2 ready replicas a value of 2.5 asks for ceil(2 * 2.5 / 1) = 5.",
            ],
        ),
        (
            MetricsApiTrigger(name="m", url="https://a/b", value_location="queue.length", threshold_milli=0),
            ["Trigger m reads queue.length of https://a/b (json).", "It is active above 0, not at it."],
        ),
        (
            KubernetesWorkloadTrigger(name="k", pod_selector="app=web"),
            [
                "Trigger k counts the pods of namespace bank that match app=web.",
                "It is active above 0, not at it; one replica takes 1 of it: a value of 2.5 asks for ceil(2.5 / 1) = 3 replicas.",
            ],
        ),
        (
            ExternalTrigger(name="e", threshold_milli=2),
            [
                "Trigger e is a number that others push.",
                (
                    "It is active above 0, not at it; one replica takes 0.002 of it: a value of 0.005 asks for ceil(0.005 / 0.002) = 3"
                    " replicas."
                ),
            ],
        ),
        (
            ExternalTrigger(name="e", threshold_milli=0, metric_name="s0-prometheus"),
            [
                "Trigger e is the external metric s0-prometheus of namespace bank.",
                "It is active above 0, not at it.",
            ],
        ),
        (
            ExternalTrigger(name="e", threshold_milli=0, metric_name="depth", metric_selector="queue=orders"),
            [
                "Trigger e is the external metric depth of namespace bank, summed over the values with queue=orders.",
                "It is active above 0, not at it.",
            ],
        ),
        (
            ExternalTrigger(name="e", threshold_milli=0, scaler_address="scaler:9000"),
            [
                "Trigger e is a number that the external scaler at scaler:9000 gives.",
                "It is active above 0, not at it.",
            ],
        ),
        (
            CronTrigger(name="c", start="0 8 * * *", end="0 9 * * *", timezone="UTC", desired_replicas=1),
            ["Trigger c wants 1 replica from '0 8 * * *' to '0 9 * * *' (cron, UTC), and none otherwise."],
        ),
        (
            ResourceTrigger(name="r", resource="memory", source=WorkloadRef(name="web"), threshold_milli=80_000),
            [
                (
                    "Trigger r measures the memory of Deployment web, which stays as it is: where its pods use more than 80 % of its"
                    " request, the cloud gets the replicas that are missing there."
                ),
                "For example, 4 replicas at 120 % would have to be ceil(4 * 120 / 80) = 6, so the cloud gets 2.",
            ],
        ),
        (
            ResourceTrigger(
                name="r",
                resource="cpu",
                source=WorkloadRef(name="web"),
                container="main",
                metric_type="AverageValue",
                threshold_milli=500,
            ),
            [
                (
                    "Trigger r measures the cpu of container main of Deployment web, which stays as it is: where its pods use more than"
                    " 500m of cpu a pod, the cloud gets the replicas that are missing there."
                )
            ],
        ),
        (
            ResourceTrigger(
                name="r",
                resource="memory",
                source=WorkloadRef(name="web"),
                metric_type="AverageValue",
                threshold_milli=1000 << 30,
            ),
            [
                (
                    "Trigger r measures the memory of Deployment web, which stays as it is: where its pods use more than 1Gi of memory a"
                    " pod, the cloud gets the replicas that are missing there."
                )
            ],
        ),
        (
            PendingPodsTrigger(min_count=2, namespaces=("a",)),
            [
                "Trigger pending-pods counts such pods that have been unschedulable for 30s, once there are 2, as its value.",
                "It is active above 0, not at it; one replica takes 1 of it: a value of 2.5 asks for ceil(2.5 / 1) = 3 replicas.",
                "Pods of namespaces a are counted too.",
            ],
        ),
    ],
)
def test_what_each_trigger_counts(trigger, sentences):
    start = 1
    assert scaled(trigger)[start : start + len(sentences)] == sentences


OLD_RULES = (
    "Every 15s the number may at most double (from few to 4 at once); it goes down to the largest number of the last 5m; within 10 %"
    " of the target nothing changes."
)


def test_how_a_number_moves():
    sentences = scaled(prometheus())
    assert sentences[3:8] == [
        "It sets the replicas of Deployment cloud, whose pods run in the cloud.",
        "Without any demand there are 0 replicas; with demand 1 at first, and from there up to 100.",
        "Values are read every 30s, and one older than 2m is missing: what is missing neither starts nor ends anything.",
        "5m after the last trigger was active the last replicas go home.",
        OLD_RULES,
    ]


@pytest.mark.parametrize(
    ("scaling", "sentences"),
    [
        (
            {"min_replicas": 2, "max_replicas": 9},
            ["Without any demand there are 2 replicas; with demand 2 at first, and from there up to 9."],
        ),
        (
            {"min_replicas": 2, "idle_replicas": 1},
            ["Without any demand there is 1 replica; with demand 2 at first, and from there up to 100."],
        ),
        (
            {"initial_cooldown_ms": 60_000},
            [
                "5m after the last trigger was active the last replicas go home, and not in the first 1m of the policy's life."
            ],
        ),
        (
            {"restore_to_original": True},
            ["When the policy goes, the workload gets the number of replicas back that it had before."],
        ),
        (
            {"modifiers": ScalingModifiers(formula="q / 2", target_milli=3_000, activation_milli=1_500)},
            ["The triggers' values become one by q / 2; it is active above 1.5, and one replica takes 3 of it."],
        ),
        (
            {"fallback": Fallback(failure_threshold=3, replicas=6)},
            ["When a trigger has failed more than 3 times in a row, 6 replicas are asked for."],
        ),
        (
            {"fallback": Fallback(failure_threshold=3, replicas=6, behavior="currentReplicas")},
            ["When a trigger has failed more than 3 times in a row, the number stays as it is."],
        ),
        (
            {"fallback": Fallback(failure_threshold=3, replicas=6, behavior="currentReplicasIfHigher")},
            [
                "When a trigger has failed more than 3 times in a row, 6 replicas are asked for, or as many as there are if that is more."
            ],
        ),
        (
            {"fallback": Fallback(failure_threshold=3, replicas=6, behavior="currentReplicasIfLower")},
            [
                "When a trigger has failed more than 3 times in a row, 6 replicas are asked for, or as many as there are if that is less."
            ],
        ),
        (
            {"fallback": Fallback(failure_threshold=3, replicas=6, behavior="scalingModifiers")},
            [
                (
                    "When a trigger has failed more than 3 times in a row, the formula gets nil for it and may put something else in its"
                    " place (??), else 6 replicas are asked for."
                )
            ],
        ),
        (
            {
                "behavior": Behavior(
                    scale_up=Direction(
                        stabilization_ms=0,
                        steps=(
                            Step(type="Pods", value=4, period_ms=15_000),
                            Step(type="Percent", value=100, period_ms=60_000),
                        ),
                    ),
                    scale_down=Direction(
                        stabilization_ms=300_000,
                        select="Min",
                        steps=(
                            Step(type="Percent", value=10, period_ms=60_000),
                            Step(type="Pods", value=1, period_ms=60_000),
                        ),
                        tolerance_milli=50,
                    ),
                )
            },
            [
                "Up: at most 4 pods in 15s and 100 % in 1m, whichever is more, and not within 10 % of the target.",
                (
                    "Down: at most 10 % in 1m and 1 pod in 1m, whichever is less, by the most careful number of the last 5m, and not within"
                    " 5 % of the target."
                ),
            ],
        ),
        (
            {
                "behavior": Behavior(
                    scale_up=Direction(stabilization_ms=0, steps=(Step(type="Pods", value=2, period_ms=15_000),)),
                    scale_down=Direction(stabilization_ms=0, select="Disabled", steps=()),
                )
            },
            ["Up: at most 2 pods in 15s, and not within 10 % of the target.", "Down: never."],
        ),
    ],
)
def test_how_a_number_moves_otherwise(scaling, sentences):
    assert added(scaled(prometheus()), scaled(prometheus(), **scaling)) == sentences


def test_several_triggers_and_clones_by_metrics():
    several = told(triggers=(PendingPodsTrigger(), prometheus()))
    assert (
        "Where the triggers ask for different numbers, the largest counts; while any of them fails, nothing is scaled down."
        in several
    )
    assert (
        "Each burst is a further replica, made from the workload's template; the pending pod keeps its place on-prem. As many run as"
        " the triggers ask for; pods that wait are answered by them first."
    ) in several


@pytest.mark.parametrize(
    ("confidential", "sentences"),
    [
        (
            {"tees": ("TDX", "SNP"), "secure_boot": False},
            ["Only a confidential VM will do: TDX or SNP, with or without secure boot."],
        ),
        (
            {"attestation": "VmOnly"},
            ["The VM's own properties, as the cloud tells them, are proof enough (attestation VmOnly)."],
        ),
        (
            {"initdata": InitdataRef(config_map="mine")},
            ["Its initdata is key initdata.toml of ConfigMap mine, not the target's."],
        ),
        ({"exec_forbidden": False}, ["Whoever may exec into pods may exec into these."]),
        ({"images_by_digest": True}, ["Every image must be one named by digest."]),
        (
            {"images_by_digest": True, "allowed_images": ("a/", "b/")},
            ["Every image must be one from a/ or b/ named by digest."],
        ),
        ({"allowed_images": ("a/",)}, ["Every image must be one from a/."]),
        ({"secrets": "Sealed"}, ["A pod may refer to no Secret at all."]),
        ({"secrets": "Sealed", "sealed_secrets": ("a", "b")}, ["A pod may refer to sealed Secrets only: a, b."]),
        ({"data_class": "secret"}, ["It works on data of class secret: only targets that take that class will do."]),
        ({"jurisdictions": ("EU", "CH")}, ["Only targets under the law of EU or CH will do."]),
    ],
)
def test_confidentiality(confidential, sentences):
    assert added(told(), told(confidential=replaced(Confidential(), **confidential))) == sentences


def test_limits():
    limits = Limits(
        max_bursts=4,
        max_vcpus=8,
        launch_rate=LaunchRate(count=2, per_ms=60_000),
        budget=Budget(
            per_hour_micro_usd=USD, per_month_micro_usd=20 * USD, timezone="Europe/Berlin", drain_percent=110
        ),
        provider_shares={"b": 40, "a": 60},
    )
    assert added(told(), told(limits=limits)) == [
        "It uses at most 4 cloud pods and 8 vCPUs at one time.",
        "It uses at most 2 launches in any 1m.",
        "It spends at most $1.0000 per hour, $20.0000 per month (Europe/Berlin), worst cases counted before anything starts.",
        "At 80 % of a budget people are told, at 100 % nothing new starts, and at 110 % spent everything comes home.",
        "Of the vCPUs in use at most 60 % at a and 40 % at b.",
    ]


WORST = [
    "Before a burst starts at east, the price of 1h5m is set aside (5m + 50m + 10m).",
    "There that is $1.0834 on A and $4.3334 on B, the dearest: of the cheapest size 9 in the budget per hour at one time.",
    "Each renewal of its lease sets $0.8334 more aside.",
]


def test_what_one_burst_may_cost():
    known = Known(at_ms=AT_MS, targets={"east": TARGET}, list_prices={"east": {"a": USD, "b": 4 * USD}})
    rich = Limits(budget=Budget(per_hour_micro_usd=10 * USD))
    said = told(targets={"east": TARGET}, known=known, limits=rich)
    position = said.index(WORST[0])
    assert said[position + 1] == WORST[1].replace("1.0834", "1.0833").replace("4.3334", "4.3333")
    assert said[position + 2] == WORST[2].replace("0.8334", "0.8333")
    one = told(targets={"east": TARGET}, known=known, limits=rich, placement=replaced(POLICY.placement, sizes=("B",)))
    assert "There that is $4.3333 on B: of the cheapest size 2 in the budget per hour at one time." in one
    without = told(targets={"east": TARGET}, known=Known(at_ms=AT_MS, targets={"east": TARGET}))
    assert "No price is known for A or B at east: nothing starts there on such a size." in without
    assert "There that is $1.0833 on A and $4.3333 on B, the dearest." in told(targets={"east": TARGET}, known=known)
    assert told(targets={"east": TARGET})[-2] == WORST[0]


WORK = Window(name="work", timezone="Europe/Berlin", start="0 8 * * 1-5", end="0 20 * * 1-5")


@pytest.mark.parametrize(
    ("changes", "sentences"),
    [
        (
            {"windows": (WORK,)},
            [
                "It is in force (work: from '0 8 * * 1-5' to '0 20 * * 1-5' (cron), Europe/Berlin) only.",
                "At Wed 2027-01-06 13:00 CET it is in force, until Wed 2027-01-06 20:00 CET.",
            ],
        ),
        (
            {"blackouts": (WORK,)},
            [
                "It is not in force (work: from '0 8 * * 1-5' to '0 20 * * 1-5' (cron), Europe/Berlin), whatever its windows say.",
                "At Wed 2027-01-06 13:00 CET it is not in force, until Wed 2027-01-06 20:00 CET.",
            ],
        ),
        (
            {
                "windows": (
                    Window(timezone="UTC", first_day="2026-12-01", last_day="2026-12-24"),
                    Window(timezone="UTC", last_day="2026-12-25"),
                )
            },
            [
                "It is in force (from 2026-12-01 to 2026-12-24, UTC) or (until the end of 2026-12-25, UTC) only.",
                "At Wed 2027-01-06 12:00 UTC it is not in force, for good.",
            ],
        ),
        (
            {"windows": (Window(timezone="UTC", first_day="2027-01-01"),)},
            ["It is in force (from 2027-01-01 on, UTC) only.", "At Wed 2027-01-06 12:00 UTC it is in force, for good."],
        ),
        (
            {"when": "pending.count > 2"},
            ["It starts nothing unless pending.count > 2 holds; where that can't be told, it does not hold."],
        ),
        (
            {"wait": Wait(mode="BuyOrWait", value_micro_usd_per_hour=5 * USD, expected_run_ms=600_000)},
            [
                (
                    "A pod waits for room on-prem as long as that is cheaper than renting (an hour of its waiting is worth $5.0000 and it"
                    " is taken to run 10m), and for 1h at most."
                )
            ],
        ),
        (
            {"wait": Wait(mode="BuyOrWait", max_wait_ms=60_000)},
            [
                (
                    "A pod waits for room on-prem as long as that is cheaper than renting (an hour of its waiting is worth $0.0000 and it"
                    " is taken to run as long as those before it did), and for 1m at most."
                )
            ],
        ),
        (
            {"wait": Wait(mode="AtOnce")},
            [
                "It acts as soon as one such pod is unschedulable (trigger pending-pods).",
                "It does not wait for room on-prem: a pod goes as soon as the scheduler has found no place for it.",
            ],
        ),
        (
            {"paused": True},
            [
                "It is paused: nothing new starts until the annotation burster.dev/paused is removed.",
                (
                    "Nothing comes home for want of demand until the annotation burster.dev/paused is removed; leases, money and "
                    "people still end what runs."
                ),
            ],
        ),
        (
            {"paused_scale_out": True},
            [
                "It is paused outward: nothing new starts until the annotation burster.dev/paused-scale-out is removed.",
            ],
        ),
        (
            {"paused_scale_in": True},
            [
                (
                    "Nothing comes home for want of demand until the annotation burster.dev/paused-scale-in is removed; leases, money "
                    "and people still end what runs."
                ),
            ],
        ),
        (
            {"force_activation": True},
            [
                (
                    "It counts as active by the annotation burster.dev/force-activation: pending pods burst from the first on, whatever "
                    "minCount says."
                ),
            ],
        ),
    ],
)
def test_when_it_is_in_force(changes, sentences):
    assert added(told(), told(known=Known(at_ms=AT_MS), **changes)) == sentences


def test_no_opening_is_told_without_a_time():
    assert len(added(told(), told(windows=(WORK,)))) == 1


def test_a_moment_is_told_on_the_wall_of_its_zone():
    assert moment(AT_MS, "UTC") == "Wed 2027-01-06 12:00 UTC"
    assert moment(AT_MS - 1, "America/New_York") == "Wed 2027-01-06 06:59 EST"


def test_the_next_opening_of_a_window():
    evening = AT_MS + 8 * 3_600_000
    assert next_opening(WORK, AT_MS) is None
    assert next_opening(WORK, evening) == AT_MS + 19 * 3_600_000


@pytest.mark.parametrize(
    ("scope", "told"),
    [
        ({"sweep": "Report", "sweep_exclusive": True}, "only reported."),
        ({"sweep_exclusive": True}, "deleted: the resource group is this cluster's alone."),
        (
            {"sweep_tags": {"burster-cluster": "p"}},
            "deleted where a burst's record proves whose they were, or where they bear the tags burster-cluster=p; others are reported.",
        ),
    ],
)
def test_what_is_swept_is_told_with_its_scope(scope: dict[str, object], told: str) -> None:
    target = replaced(TARGET, **({"sweep": "Delete"} | scope))
    assert explain_target(target)[-1] == f"VMs older than 5m that no record claims are {told}"


def test_the_whole_of_a_target():
    rack = Offering(
        target="east",
        provider="onprem",
        region="",
        size="r1",
        family="",
        resources=Resources(),
        tee="TDX",
        price_micro_usd_per_hour=1,
    )
    full = replaced(
        TARGET,
        provider="onprem",
        subscription="",
        region="",
        node_selector={"tee": "tdx"},
        jurisdiction="EU",
        allowed_namespaces=("bank",),
        required_namespace_labels={"b": "2", "a": "1"},
        namespace_limits={"bank": Limits(max_bursts=2)},
        data_classes=("x", "y"),
        allowed_metric_endpoints=("https://p",),
        negotiated_micro_usd_per_hour={"A": USD},
        discount_milli_percent=12_500,
        assumed_price_micro_usd_per_hour=USD // 2,
        catalogue=(rack,),
        trustee_url="https://t",
        initdata=InitdataRef(config_map="c"),
        image="/i",
        subnet="/s",
        sweep="Delete",
    )
    assert explain_target(full) == [
        "Target east is onprem, under the law of EU.",
        "Pods run under RuntimeClass kata-remote on A or B, with TDX.",
        "Only namespaces bank may burst here.",
        "A namespace must carry a=1 and b=2 too.",
        "Namespace bank uses at most 2 cloud pods at one time.",
        "Namespace bank spends without a limit of its own.",
        "Data of class x or y may be worked on here, and data without a class.",
        "Policies that burst here may read metrics from https://p only.",
        "All policies together use any number of cloud pods: there is no limit.",
        "Together they spend without a limit of its own.",
        "A costs $1.0000 per hour here, as negotiated.",
        "Every other size costs 12.5 % less than its list price.",
        "A size of unknown price is taken to cost $0.5000 per hour.",
        "What is on offer is declared, not asked for: r1.",
        "Pods run in VMs of nodes that carry tee=tdx; each pod's node is checked once it has one.",
        "It holds what the nodes hold: a pod that none of them takes within 30s goes to the policy's next target.",
        "Pods here attest to the Trustee at https://t.",
        "Their initdata is key initdata.toml of ConfigMap c, unless a policy names its own.",
        "Every VM must have been made from image /i.",
        "Every VM must be in subnet /s.",
        (
            "A VM must be there 5m after its pod was placed, and the pod must run on the verified VM after 15m; otherwise the burst has"
            " failed."
        ),
        "VMs older than 5m that no record claims are deleted where a burst's record proves whose they were, and reported otherwise.",
    ]
    assert explain_target(TARGET)[0] == "Target east is azure region eastus, subscription s, resource group g."
    assert "Every namespace may burst here." in explain_target(replaced(TARGET, allowed_namespaces=("*",)))
    assert "No namespace may burst here until allowedNamespaces names one." in explain_target(TARGET)
