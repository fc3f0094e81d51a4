"""What changes in behaviour: each change with its direction, and nothing at all for what is only written differently."""

import msgspec
import pytest

from burster.model.limits import Budget, LaunchRate, Limits
from burster.model.offerings import Offering
from burster.model.pods import Resources
from burster.model.policies import Confidential, Placement, Policy, Wait, WorkloadSelector
from burster.model.scaling import Fallback, Scaling
from burster.model.targets import Target
from burster.model.triggers import CronTrigger, HttpAccess, PendingPodsTrigger, PrometheusTrigger
from burster.model.windows import Window
from burster.policy.compile import Compiled, compile_documents
from burster.policy.diff import compare
from burster.policy.load import load_text


USD = 1_000_000


def replaced(value, **changes):
    return msgspec.structs.replace(value, **changes)


POLICY = Policy(
    namespace="bank",
    name="web",
    workload=WorkloadSelector(kind="Deployment"),
    limits=Limits(max_bursts=4, budget=Budget(per_day_micro_usd=20 * USD)),
    placement=Placement(strategy="Clone", targets=("east", "west")),
)
TARGET = Target(
    name="east", subscription="s", resource_group="g", region="eastus", sizes=("A", "B"), allowed_namespaces=("bank",)
)


def changes_of(old, new):
    def compiled(value):
        return Compiled(policies=(value,)) if isinstance(value, Policy) else Compiled(targets=(value,))

    return compare(compiled(old), compiled(new))


def limits(**changes):
    return replaced(POLICY, limits=replaced(POLICY.limits, **changes))


def budget(**changes):
    return limits(budget=replaced(POLICY.limits.budget, **changes))


def placement(**changes):
    return replaced(POLICY, placement=replaced(POLICY.placement, **changes))


def confidential(**changes):
    return replaced(POLICY, confidential=replaced(Confidential(), **changes))


def triggers(*found):
    return replaced(POLICY, triggers=found)


def query(**changes):
    return triggers(replaced(PrometheusTrigger(name="q", server_address="https://p", query="up"), **changes))


DAY = Window(name="day", timezone="UTC", start="0 8 * * *", end="0 20 * * *")
NIGHT = Window(name="night", timezone="UTC", start="0 20 * * *", end="0 6 * * *")


@pytest.mark.parametrize(
    ("tight", "loose", "area", "field"),
    [
        (limits(max_bursts=4), limits(max_bursts=5), "money", "spec.limits.maxBursts"),
        (limits(max_bursts=4), limits(max_bursts=None), "money", "spec.limits.maxBursts"),
        (limits(max_vcpus=0), limits(max_vcpus=1), "money", "spec.limits.maxVcpus"),
        (budget(per_day_micro_usd=19 * USD), POLICY, "money", "spec.limits.budget.perDay"),
        (budget(per_month_micro_usd=USD), POLICY, "money", "spec.limits.budget.perMonth"),
        (budget(drain_percent=100), POLICY, "money", "spec.limits.budget.drainAtPercent"),
        (budget(stop_percent=90), POLICY, "money", "spec.limits.budget.stopAtPercent"),
        (
            limits(provider_shares={"azure": 50}),
            limits(provider_shares={"azure": 60}),
            "money",
            "spec.limits.providerShares.azure",
        ),
        (limits(provider_shares={"azure": 50}), POLICY, "money", "spec.limits.providerShares.azure"),
        (placement(lease_ms=60_000), placement(lease_ms=60_001), "money", "spec.placement.lease"),
        (placement(sizes=("A",)), placement(sizes=("A", "B")), "money", "spec.placement.sizes"),
        (placement(sizes=("A",)), placement(sizes=()), "money", "spec.placement.sizes"),
        (placement(targets=("east",)), POLICY, "security", "spec.placement.targets"),
        (confidential(), confidential(tees=("TDX", "SNP")), "security", "spec.confidential.tees"),
        (confidential(), confidential(secure_boot=False), "security", "spec.confidential.secureBoot"),
        (confidential(), confidential(attestation="VmOnly"), "security", "spec.confidential.attestation"),
        (confidential(), confidential(exec_forbidden=False), "security", "spec.confidential.exec"),
        (confidential(images_by_digest=True), confidential(), "security", "spec.confidential.images.digestOnly"),
        (confidential(allowed_images=("a/",)), confidential(), "security", "spec.confidential.images.allowed"),
        (confidential(secrets="Sealed"), confidential(), "security", "spec.confidential.secrets.mode"),
        (confidential(data_class="secret"), confidential(), "security", "spec.confidential.dataClass"),
        (
            confidential(jurisdictions=("EU",)),
            confidential(jurisdictions=("EU", "UK")),
            "security",
            "spec.confidential.jurisdictions",
        ),
        (replaced(POLICY, paused=True), POLICY, "demand", "metadata.annotations"),
        (replaced(POLICY, paused_scale_out=True), POLICY, "demand", "metadata.annotations"),
        (POLICY, replaced(POLICY, paused_scale_in=True), "money", "metadata.annotations"),
        (POLICY, replaced(POLICY, force_activation=True), "demand", "metadata.annotations"),
        (replaced(POLICY, when="pending.count > 2"), POLICY, "demand", "spec.when"),
        (replaced(POLICY, windows=(DAY,)), POLICY, "demand", "spec.windows"),
        (replaced(POLICY, windows=(DAY,)), replaced(POLICY, windows=(DAY, NIGHT)), "demand", "spec.windows"),
        (replaced(POLICY, blackouts=(DAY, NIGHT)), replaced(POLICY, blackouts=(DAY,)), "demand", "spec.blackouts"),
        (replaced(POLICY, blackouts=(DAY,)), POLICY, "demand", "spec.blackouts"),
        (replaced(POLICY, wait=Wait(mode="BuyOrWait")), POLICY, "demand", "spec.wait.mode"),
        (POLICY, replaced(POLICY, wait=Wait(mode="AtOnce")), "demand", "spec.wait.mode"),
        (triggers(PendingPodsTrigger(min_count=2)), POLICY, "demand", "spec.triggers.pending-pods.minCount"),
        (POLICY, triggers(PendingPodsTrigger(pending_for_ms=0)), "demand", "spec.triggers.pending-pods.pendingFor"),
        (triggers(PendingPodsTrigger(reasons=("cpu",))), POLICY, "demand", "spec.triggers.pending-pods.reasons"),
        (POLICY, triggers(PendingPodsTrigger(namespaces=("a",))), "demand", "spec.triggers.pending-pods.namespaces"),
        (query(), query(threshold_milli=999), "demand", "spec.triggers.q.threshold"),
        (query(activation_milli=5), query(), "demand", "spec.triggers.q.activation"),
        (query(), query(access=HttpAccess(unsafe_ssl=True)), "security", "spec.triggers.q.access.unsafeSsl"),
        (
            replaced(POLICY, scaling=Scaling(max_replicas=9)),
            replaced(POLICY, scaling=Scaling(max_replicas=10)),
            "money",
            "spec.maxReplicaCount",
        ),
        (POLICY, replaced(POLICY, scaling=Scaling(cooldown_ms=300_001)), "money", "spec.cooldownPeriod"),
        (replaced(TARGET, allowed_namespaces=()), TARGET, "security", "spec.allowedNamespaces"),
        (TARGET, replaced(TARGET, allowed_namespaces=("*",)), "security", "spec.allowedNamespaces"),
        (replaced(TARGET, data_classes=()), replaced(TARGET, data_classes=("a",)), "security", "spec.dataClasses"),
        (replaced(TARGET, image="/i"), TARGET, "security", "spec.image"),
        (
            replaced(TARGET, required_namespace_labels={"burst": "ok"}),
            TARGET,
            "security",
            "spec.requiredNamespaceLabels.burst",
        ),
        (TARGET, replaced(TARGET, allowed_metric_endpoints=("https://p",)), "security", "spec.allowedMetricEndpoints"),
        (TARGET, replaced(TARGET, assumed_price_micro_usd_per_hour=1), "money", "spec.assumedPricePerHour"),
        (TARGET, replaced(TARGET, sizes=("A", "B", "C")), "money", "spec.sizes"),
    ],
)
def test_a_change_has_its_area_and_both_its_directions(tight, loose, area, field):
    (there,) = changes_of(tight, loose)
    (back,) = changes_of(loose, tight)
    assert (there.direction, there.area, there.field) == ("looser", area, field)
    assert (back.direction, back.area, back.field) == ("tighter", area, field)
    assert (there.before, there.after) == (back.after, back.before)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (POLICY, replaced(POLICY, priority=3), "its rank among policies (spec.priority): 3 instead of 0"),
        (
            POLICY,
            placement(targets=("west", "east")),
            "where it may go (spec.placement.targets) in another order: west, east instead of east, west",
        ),
        (
            placement(targets=("east",)),
            placement(targets=("west",)),
            "where it may go (spec.placement.targets): west instead of east",
        ),
        (replaced(POLICY, when="a"), replaced(POLICY, when="b"), "the condition (spec.when): b instead of a"),
        (query(), query(query="down"), "what the trigger counts (spec.triggers.q.query): down instead of up"),
        (POLICY, placement(strategy="Move"), "what bursting means (spec.placement.strategy): Move instead of Clone"),
        (
            POLICY,
            budget(timezone="Europe/Berlin"),
            "where the budget's days begin (spec.limits.budget.timeZone): Europe/Berlin instead of UTC",
        ),
        (TARGET, replaced(TARGET, jurisdiction="EU"), "whose law holds here (spec.jurisdiction): EU instead of none"),
        (
            TARGET,
            replaced(TARGET, discount_milli_percent=12_500),
            "the discount (spec.prices.discountPercent): 12.5 % instead of 0 %",
        ),
        (
            replaced(TARGET, assumed_price_micro_usd_per_hour=1),
            replaced(TARGET, assumed_price_micro_usd_per_hour=500_000),
            "the price taken for unknown ones (spec.assumedPricePerHour): $0.5000 instead of $0.0000",
        ),
        (TARGET, replaced(TARGET, region="westus"), "spec.azure.region: westus instead of eastus"),
    ],
)
def test_what_is_neither_looser_nor_tighter_is_told_all_the_same(old, new, sentence):
    (change,) = changes_of(old, new)
    neither = ("another order" in sentence, "priority" in sentence, "timeZone" in sentence, "discount" in sentence)
    assert (change.direction, change.sentence) == ("neutral" if any(neither) else "unclear", sentence)


def test_a_list_that_stands_for_everything_when_it_is_empty_is_told_so():
    (change,) = changes_of(placement(sizes=("A",)), placement(sizes=()))
    assert (change.direction, change.sentence) == (
        "looser",
        "the sizes of its VMs (spec.placement.sizes): any instead of A",
    )
    (change,) = changes_of(placement(sizes=("A", "B")), placement(sizes=("B", "C")))
    assert change.direction == "unclear"


def test_a_change_is_one_line():
    (change,) = changes_of(POLICY, budget(per_day_micro_usd=40 * USD))
    assert str(change) == (
        "looser (money): BurstPolicy bank/web: the budget (spec.limits.budget.perDay): $40.0000 instead of $20.0000"
    )


def test_a_launch_rate_that_comes_is_tighter_and_one_that_goes_is_looser():
    slow = limits(launch_rate=LaunchRate(count=5, per_ms=60_000))
    assert {change.direction for change in changes_of(POLICY, slow)} == {"tighter"}
    assert {change.direction for change in changes_of(slow, POLICY)} == {"looser"}
    slower = limits(launch_rate=LaunchRate(count=5, per_ms=120_000))
    assert [change.sentence for change in changes_of(slow, slower)] == [
        "the while in which launches are counted (spec.limits.launchRate.per): 2m instead of 1m"
    ]
    assert changes_of(slow, slower)[0].direction == "tighter"


def test_a_fallback_that_comes_may_buy():
    with_fallback = replaced(POLICY, scaling=Scaling(fallback=Fallback(failure_threshold=3, replicas=2)))
    found = {change.field: change.direction for change in changes_of(POLICY, with_fallback)}
    assert found["spec.fallback.replicas"] == "looser"


def test_triggers_come_and_go_by_name():
    cron = CronTrigger(name="day.time", start="0 8 * * *", end="0 9 * * *", timezone="UTC", desired_replicas=2)
    both = triggers(PendingPodsTrigger(), cron)
    (come,) = changes_of(POLICY, both)
    assert (come.direction, come.sentence) == (
        "looser",
        "trigger day.time (Cron) is new: it can start bursts of its own",
    )
    (gone,) = changes_of(both, POLICY)
    assert (gone.direction, gone.sentence) == ("tighter", "trigger day.time (Cron) is gone")
    (other,) = changes_of(triggers(replaced(cron, name="q")), query())
    assert (other.direction, other.sentence) == ("unclear", "trigger q is of type Prometheus instead of Cron")
    (more,) = changes_of(triggers(cron), triggers(replaced(cron, desired_replicas=3)))
    assert (more.direction, more.sentence) == (
        "looser",
        "replicas while it is active (spec.triggers.day.time.desiredReplicas): 3 instead of 2",
    )


def test_the_order_of_triggers_decides_nothing():
    cron = CronTrigger(name="c", start="0 8 * * *", end="0 9 * * *", timezone="UTC", desired_replicas=2)
    assert changes_of(triggers(PendingPodsTrigger(), cron), triggers(cron, PendingPodsTrigger())) == ()


HEAD = "apiVersion: burster.dev/v1alpha1\nkind: BurstPolicy\nmetadata: {name: web, namespace: bank}\nspec:\n"
SCALED = (
    "  placement: {strategy: Scale, targets: [east]}\n  scaleTargetRef: {name: cloud}\n  triggers:\n"
    "  - type: prometheus\n    metadata: {serverAddress: https://p, query: up, threshold: 1}\n"
)


def told(old, new):
    """The sentences about two texts of a spec."""
    documents = (compile_documents(load_text(HEAD + text)) for text in (old, new))
    return [change.sentence for change in compare(*documents)]


def test_windows_are_told_in_words():
    plain = SCALED + "  workload: {kind: Deployment}\n"
    day = '  windows: [{name: day, timezone: Europe/Berlin, days: [Mon-Fri], from: "08:00", to: "18:00"}]\n'
    dated = "  blackouts: [{timezone: UTC, firstDay: 2026-12-24, lastDay: 2026-12-26}]\n"
    assert told(plain, plain + day + dated) == [
        "when it is not in force (spec.blackouts): (from 2026-12-24 to 2026-12-26, UTC) instead of none",
        "when it is in force (spec.windows): (day: from '0 8 * * 1-5' to '0 18 * * 1-5' (cron), Europe/Berlin) instead of any",
    ]


def test_conditions_on_labels_are_told_in_words_and_where_they_stand():
    def selecting(values):
        rules = f"[{{key: tier, operator: In, values: {values}}}, {{key: gpu, operator: Exists}}]"
        return f"{SCALED}  workload: {{selector: {{matchExpressions: {rules}}}}}\n"

    assert told(selecting("[a, b]"), selecting("[a]")) == [
        (
            "which pods it is about (spec.workload.selector.matchExpressions): label tier is a, label gpu exists instead of"
            " label tier is a or b, label gpu exists"
        )
    ]


def test_steps_of_the_behavior_are_told_in_words_and_where_they_stand():
    def scaling(value):
        steps = f"[{{type: Pods, value: {value}, periodSeconds: 15}}, {{type: Percent, value: 50, periodSeconds: 60}}]"
        behavior = f"{{horizontalPodAutoscalerConfig: {{behavior: {{scaleUp: {{policies: {steps}}}}}}}}}"
        return f"{SCALED}  workload: {{kind: Deployment}}\n  advanced: {behavior}\n"

    assert told(scaling(1), scaling(5)) == [
        (
            "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.policies: 5 pods in 15s, 50 % in 1m instead of"
            " 1 pod in 15s, 50 % in 1m"
        )
    ]


def test_the_behavior_of_a_fallback_is_the_fallbacks():
    plain = SCALED + "  workload: {kind: Deployment}\n"
    by = plain + "  fallback: {failureThreshold: 3, replicas: 2}\n"
    assert told(by, by.replace("replicas: 2", "replicas: 2, behavior: currentReplicas")) == [
        "spec.fallback.behavior: currentReplicas instead of static"
    ]


def test_what_has_fields_is_never_told_as_fields():
    # every kind of thing that a list of a policy or target holds
    told_of = told(
        SCALED + "  workload: {kind: Deployment}\n",
        SCALED
        + "  workload: {selector: {matchLabels: {a: b}, matchExpressions: [{key: a, operator: NotIn, values: [c]}]}}\n"
        "  windows: [{timezone: UTC, days: [Sat]}]\n",
    )
    assert told_of
    assert not [
        sentence for sentence in told_of if "operator" in sentence or "timezone" in sentence or "('" in sentence
    ]


def test_a_place_that_declares_more():
    rack = Offering(
        target="east",
        provider="onprem",
        region="",
        size="r",
        family="",
        resources=Resources(cpu_millicores=1),
        tee="TDX",
        price_micro_usd_per_hour=1,
    )
    changes = changes_of(TARGET, replaced(TARGET, catalogue=(rack,)))
    assert {change.area for change in changes} == {"money"}
    assert "spec.catalogue.r.tee" in {change.field for change in changes}


def test_policies_and_targets_come_and_go():
    other = replaced(POLICY, name="other")
    old, new = Compiled(policies=(POLICY,)), Compiled(policies=(other,), targets=(TARGET,))
    assert [str(change) for change in compare(old, new)] == [
        "looser (money): BurstPolicy bank/other: is new: what it allows was not possible before",
        "tighter (money): BurstPolicy bank/web: is gone: what it allowed comes home",
        "looser (money): BurstTarget east: is new: what it allows was not possible before",
    ]


SHORT = """\
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {name: web, namespace: bank, uid: "1"}
spec:
  workload: {kind: Deployment}
  placement: {targets: [east]}
"""
SPELLED_OUT = """\
# the same, by somebody who likes to be clear
kind: BurstPolicy
apiVersion: burster.dev/v1alpha1
spec:
  priority: 0
  placement:
    strategy: Auto
    targets:
    - "east"
    lease: 3000s
    drain: 600s
  triggers:
  - type: pending-pods
    metadata: {pendingFor: 0.5m, minCount: "1"}
  confidential: {tees: [TDX], secureBoot: yes}
  workload: {kind: "Deployment"}
metadata: {namespace: bank, name: web, labels: {a: b}}
"""


def test_order_formatting_comments_and_defaults_spelled_out_change_nothing():
    old, new = (compile_documents(load_text(text)) for text in (SHORT, SPELLED_OUT))
    assert compare(old, new) == ()
