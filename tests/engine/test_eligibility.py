"""The three gates of eligibility, asked one by one: what each refuses, in which order and with which words."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from burster.engine.answers import Refusal
from burster.engine.condition_view import see
from burster.engine.eligibility import metric_addresses, pod_gate, policy_gate, reopen_for, target_gate
from burster.engine.snapshot import dump, restore
from burster.model import stimuli as s
from burster.model.limits import Budget
from burster.model.pods import Owner, Pod, Resources
from burster.model.policies import Confidential, Placement, Policy
from burster.model.triggers import ExternalTrigger, MetricsApiTrigger, PendingPodsTrigger, PrometheusTrigger
from burster.model.windows import Window
from tests.support.builders import GIB, T0, Engine, a_pod, a_policy, a_target, an_offering


MINUTE = 60_000
HOUR = 60 * MINUTE
THANOS = "https://thanos.example:9092"
SHA = "sha256:" + "0123456789abcdef" * 4


def an_engine(*stimuli: s.Stimulus, policy: Policy | None = None, **target: Any) -> Engine:
    """An engine with one policy, one target, and no pods that could go unless they are sent."""
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=policy or a_policy()),
        s.TargetSeen(target=a_target(**target)),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        *stimuli,
    )
    return engine


def asked_of_policy(engine: Engine) -> Refusal | None:
    entry = engine.state.policies["bank/tasks"]
    return policy_gate(engine.state, entry)


def asked_of_target(engine: Engine) -> Refusal | None:
    return target_gate(engine.state, engine.state.policies["bank/tasks"].policy, engine.state.targets["azure"])


def asked_of_pod(engine: Engine, pod: Pod) -> Refusal | None:
    return pod_gate(engine.state, engine.state.policies["bank/tasks"].policy, pod)


def told(refusal: Refusal | None) -> tuple[str, str, str]:
    assert refusal is not None
    return refusal.verdict, refusal.reason.code, refusal.reason.sentence


# --- the policy -------------------------------------------------------------------------------------------------------


def test_a_plain_policy_is_in_force():
    engine = an_engine()
    assert asked_of_policy(engine) is None
    assert asked_of_target(engine) is None
    assert asked_of_pod(engine, a_pod()) is None


def test_a_refused_version_stops_what_is_new_and_says_which():
    engine = an_engine(policy=a_policy(generation=3))
    engine.send(s.PolicyRefused(key="bank/tasks", generation=4, message="spec.when: pending has no cuont."))
    refusal = asked_of_policy(engine)
    assert told(refusal) == (
        "Deny",
        "PolicyRefused",
        (
            "The policy's generation 4 is not valid, so nothing new starts by it; what runs is kept under generation 3: "
            "spec.when: pending has no cuont."
        ),
    )
    assert refusal is not None
    assert refusal.whole_policy
    assert refusal.reason.numbers == {"generation": 4}
    assert refusal.again_at_ms is None


def test_a_refused_version_comes_before_a_pause():
    engine = an_engine(policy=a_policy(paused=True))
    assert told(asked_of_policy(engine)) == (
        "Deny",
        "Paused",
        "The policy is paused by its annotation burster.dev/paused.",
    )
    engine.send(s.PolicyRefused(key="bank/tasks", generation=2, message="x"))
    assert told(asked_of_policy(engine))[1] == "PolicyRefused"


@pytest.mark.parametrize("strategy", ["Auto", "Clone", "Move", "Scale", "Signal", "Machine"])
def test_every_strategy_is_there(strategy: str):
    assert asked_of_policy(an_engine(policy=a_policy(strategy=strategy))) is None


# T0 is Monday 2026-01-05 08:00 UTC.
LATER = Window(name="afternoon", timezone="UTC", start="0 12 * * *", end="0 18 * * *")
NOW = Window(name="morning", timezone="UTC", start="0 6 * * *", end="0 10 * * *")


def test_in_an_open_window_a_policy_is_in_force():
    assert asked_of_policy(an_engine(policy=a_policy(windows=(LATER, NOW), blackouts=(LATER,)))) is None


def test_outside_its_windows_a_policy_waits_until_one_opens():
    night = Window(timezone="UTC", start="0 22 * * *", end="0 23 * * *")
    refusal = asked_of_policy(an_engine(policy=a_policy(windows=(night, LATER))))
    assert told(refusal) == ("Wait", "OutsideWindows", "No window of the policy is open for another 4h.")
    assert refusal is not None
    assert refusal.again_at_ms == T0 + 4 * HOUR
    assert refusal.whole_policy
    assert refusal.reason.numbers == {"until_ms": T0 + 4 * HOUR}


def test_where_no_window_opens_again_it_says_so():
    past = Window(timezone="UTC", last_day="2026-01-01")
    refusal = asked_of_policy(an_engine(policy=a_policy(windows=(past,))))
    assert told(refusal) == ("Wait", "OutsideWindows", "No window of the policy is open, and none opens again.")
    assert refusal is not None
    assert refusal.again_at_ms is None
    assert not refusal.reason.numbers


@pytest.mark.parametrize(("name", "called"), [("freeze", "freeze"), ("", "without a name")])
def test_a_blackout_comes_before_a_window_and_is_named(name: str, called: str):
    freeze = Window(name=name, timezone="UTC", start="0 7 * * *", end="30 9 * * *")
    refusal = asked_of_policy(an_engine(policy=a_policy(windows=(LATER,), blackouts=(freeze,))))
    assert told(refusal) == ("Wait", "Blackout", f"Blackout {called} is on for another 1h30m.")
    assert refusal is not None
    assert refusal.again_at_ms == T0 + HOUR + 30 * MINUTE
    assert refusal.reason.numbers == {"until_ms": T0 + HOUR + 30 * MINUTE}


def test_a_blackout_without_an_end_says_no_time():
    freeze = Window(name="for good", timezone="UTC", first_day="2026-01-01")
    assert told(asked_of_policy(an_engine(policy=a_policy(blackouts=(freeze,)))))[2] == "Blackout for good is on."


def test_a_zone_that_is_not_known_here_closes_the_policy():
    broken = Window(timezone="Mars/Olympus", start="0 12 * * *", end="0 18 * * *")
    for changes in ({"windows": (broken,)}, {"blackouts": (broken,)}):
        verdict, code, sentence = told(asked_of_policy(an_engine(policy=a_policy(**changes))))
        assert (verdict, code) == ("Deny", "WindowUnknown")
        assert sentence.startswith(
            "Its windows can't be read here, so it is not in force: Mars/Olympus is no time zone"
        )


# --- metric endpoints -------------------------------------------------------------------------------------------------

PROMETHEUS = PrometheusTrigger(name="queue", server_address=f"{THANOS}/api", query="up")


def with_triggers(*triggers: Any, targets: tuple[str, ...] = ("azure",)) -> Policy:
    return a_policy(
        triggers=(PendingPodsTrigger(pending_for_ms=0), *triggers),
        placement=Placement(targets=targets, strategy="Move"),
    )


def test_every_address_that_a_trigger_is_read_from_is_known():
    policy = with_triggers(
        PROMETHEUS,
        MetricsApiTrigger(name="api", url="http://api.example/x", value_location="a"),
        ExternalTrigger(name="pushed"),
        ExternalTrigger(name="asked", scaler_address="scaler.bank:6000"),
    )
    assert metric_addresses(policy) == (f"{THANOS}/api", "http://api.example/x", "grpc://scaler.bank:6000")


def test_an_endpoint_that_the_target_lists_may_be_read():
    engine = an_engine(policy=with_triggers(PROMETHEUS), allowed_metric_endpoints=("https://other.example", THANOS))
    assert asked_of_policy(engine) is None
    assert asked_of_target(engine) is None


def test_an_endpoint_that_no_target_lists_stops_the_policy():
    engine = an_engine(policy=with_triggers(PROMETHEUS), allowed_metric_endpoints=("https://thanos.example",))
    assert told(asked_of_policy(engine)) == (
        "Deny",
        "EndpointNotAllowed",
        f"{THANOS}/api is not among the allowedMetricEndpoints of azure, so no metric is read there.",
    )
    assert told(asked_of_target(engine)) == (
        "Deny",
        "EndpointNotAllowed",
        f"Target azure does not list {THANOS}/api in allowedMetricEndpoints.",
    )


def test_an_endpoint_that_one_of_two_targets_lists_leaves_that_target():
    engine = an_engine(
        s.TargetSeen(target=a_target(name="second", allowed_metric_endpoints=(THANOS,))),
        policy=with_triggers(PROMETHEUS, targets=("azure", "second", "missing")),
    )
    assert asked_of_policy(engine) is None
    assert told(asked_of_target(engine))[1] == "EndpointNotAllowed"
    rules = engine.state.policies["bank/tasks"].policy
    assert target_gate(engine.state, rules, engine.state.targets["second"]) is None


def test_where_no_target_is_known_that_is_for_others_to_tell():
    engine = an_engine(policy=with_triggers(PROMETHEUS, targets=("missing",)))
    assert asked_of_policy(engine) is None


# --- when -------------------------------------------------------------------------------------------------------------


def test_a_condition_that_holds_lets_go():
    assert asked_of_policy(an_engine(policy=a_policy(when="pending.count == 0 && cloud.bursts < 1"))) is None


def test_a_condition_that_does_not_hold_is_told_with_what_it_looked_at():
    engine = an_engine(
        s.CapacitySeen(
            nodes=3,
            allocatable=Resources(cpu_millicores=8000, memory_bytes=10 * GIB),
            requested=Resources(cpu_millicores=6000, memory_bytes=4 * GIB),
        ),
        policy=a_policy(when="onprem.cpuPercent > 90.0 &&\n  onprem.nodes > 2 && onprem.memory.free < 1.0"),
    )
    engine.now += 12_345
    engine.send()
    refusal = asked_of_policy(engine)
    assert told(refusal) == (
        "Wait",
        "WhenFalse",
        "when does not hold: onprem.cpuPercent > 90.0 && onprem.nodes > 2 && onprem.memory.free < 1.0",
    )
    assert refusal is not None
    assert refusal.whole_policy
    assert refusal.reason.numbers == {
        "onprem_cpu_milli_percent": 75_000,
        "onprem_memory_free_bytes": 6 * GIB,
        "onprem_nodes": 3,
    }
    assert refusal.again_at_ms == T0 + MINUTE


def test_a_condition_that_is_asked_on_a_whole_minute_is_asked_again_at_the_next():
    refusal = asked_of_policy(an_engine(policy=a_policy(when="pending.count > 0")))
    assert refusal is not None
    assert refusal.again_at_ms == T0 + MINUTE


def test_a_condition_that_can_not_be_answered_is_no_leave():
    refusal = asked_of_policy(an_engine(policy=a_policy(when="onprem.nodes > 2 && pending.count == 0")))
    assert told(refusal) == (
        "Deny",
        "WhenUnknown",
        "Whether when holds is not known, so nothing starts: onprem.nodes is not known yet.",
    )
    assert refusal is not None
    assert refusal.whole_policy
    assert refusal.again_at_ms == T0 + MINUTE
    assert refusal.reason.numbers == {"pending": 0}


def test_a_metric_that_was_never_read_is_no_leave():
    engine = an_engine(policy=a_policy(when='metrics["queue"] > 1.0 || metrics["queue"] <= 1.0'))
    assert (
        told(asked_of_policy(engine))[2]
        == "Whether when holds is not known, so nothing starts: the trigger queue has no value now."
    )


def test_a_condition_that_does_not_compile_is_no_leave():
    refusal = asked_of_policy(an_engine(policy=a_policy(when="pending.cuont > 1")))
    assert told(refusal)[:2] == ("Deny", "WhenUnknown")
    assert told(refusal)[2].startswith("Its condition can't be read, so nothing starts by it: pending has no cuont:")
    assert refusal is not None
    assert refusal.whole_policy


def test_windows_come_before_the_condition():
    assert told(asked_of_policy(an_engine(policy=a_policy(windows=(LATER,), when="false"))))[1] == "OutsideWindows"


def test_a_condition_is_answered_once_in_a_step():
    engine = an_engine(policy=a_policy(when="pending.count > 0"))
    entry = engine.state.policies["bank/tasks"]
    engine.state.deciding = True
    first = asked_of_policy(engine)
    entry.queued["bank/x"] = (0, 0, 0, "bank/x")
    assert asked_of_policy(engine) is first, "the same step"
    engine.state.turn += 1
    entry.reopened = False
    assert asked_of_policy(engine) is None
    assert entry.reopened, "those that were told that it does not hold are asked anew"
    entry.reopened = False
    engine.state.turn += 1
    assert asked_of_policy(engine) is None
    assert not entry.reopened, "it held before"


@pytest.mark.parametrize(
    ("when", "group", "want"),
    [
        ("onprem.nodes > 5", "onprem", True),
        ("pending.count > 5 || onprem.cpuPercent > 5.0", "onprem", True),
        ("pending.count > 5", "onprem", False),
        ("", "onprem", False),
        ("pending.cuont > 5", "onprem", False),
    ],
)
def test_news_of_the_nodes_wakes_the_conditions_that_look_at_them(when: str, group: str, want: bool):
    engine = an_engine(s.PodSeen(pod=a_pod()), policy=a_policy(when=when, paused=True))
    entry = engine.state.policies["bank/tasks"]
    assert entry.queued
    entry.reopened = False
    reopen_for(engine.state, group)
    assert entry.reopened is want
    entry.reopened = False
    reopen_for(engine.state, group, "bank/tasks")
    assert entry.reopened is want
    entry.reopened = False
    reopen_for(engine.state, group, "bank/other")
    assert not entry.reopened
    entry.queued.clear()
    reopen_for(engine.state, group)
    assert not entry.reopened, "nobody waits"


# --- the target -------------------------------------------------------------------------------------------------------


def confidential(**changes: Any) -> Policy:
    return a_policy(confidential=Confidential(**changes))


def test_a_namespace_has_to_carry_every_label_that_is_required():
    required = {"burster.dev/allowed": "yes", "tier": "gold"}
    engine = an_engine(required_namespace_labels=required)
    assert told(asked_of_target(engine)) == (
        "Deny",
        "NamespaceUnknown",
        "The labels of namespace bank are not known, and azure requires some.",
    )
    engine.send(s.NamespaceSeen(name="bank", labels={"burster.dev/allowed": "yes", "tier": "silver"}))
    assert told(asked_of_target(engine)) == (
        "Deny",
        "NamespaceNotOptedIn",
        "Target azure takes namespaces labelled tier=gold, which bank is not.",
    )
    engine.send(s.NamespaceSeen(name="bank", labels={"tier": "gold"}))
    assert (
        told(asked_of_target(engine))[2]
        == "Target azure takes namespaces labelled burster.dev/allowed=yes, which bank is not."
    )
    engine.send(s.NamespaceSeen(name="bank", labels={**required, "more": "x"}))
    assert asked_of_target(engine) is None
    engine.send(s.NamespaceSeen(name="other", labels={}))
    assert asked_of_target(engine) is None
    engine.send(s.NamespaceGone(name="bank"))
    assert told(asked_of_target(engine))[1] == "NamespaceUnknown"


def test_without_required_labels_the_namespace_need_not_be_known():
    assert asked_of_target(an_engine()) is None


@pytest.mark.parametrize(
    ("wanted", "listed", "sentence"),
    [
        ("", (), None),
        ("", ("internal",), None),
        ("internal", ("public", "internal"), None),
        (
            "secret",
            ("public", "internal"),
            "Data of class secret may not be worked on at azure, which lists public, internal.",
        ),
        ("Internal", ("internal",), "Data of class Internal may not be worked on at azure, which lists internal."),
        ("secret", (), "Data of class secret may not be worked on at azure, which lists none."),
    ],
)
def test_a_class_of_data_must_be_listed(wanted: str, listed: tuple[str, ...], sentence: str | None):
    refusal = asked_of_target(an_engine(policy=confidential(data_class=wanted), data_classes=listed))
    assert (refusal and told(refusal)) == (sentence and ("Deny", "DataClassNotAllowed", sentence))


@pytest.mark.parametrize(
    ("wanted", "where", "sentence"),
    [
        ((), "", None),
        ((), "US", None),
        (("EU", "CH"), "CH", None),
        (("EU", "CH"), "US", "Target azure is in US, and the policy asks for EU or CH."),
        (("EU",), "", "Target azure is in no declared jurisdiction, and the policy asks for EU."),
        (("EU",), "eu", "Target azure is in eu, and the policy asks for EU."),
    ],
)
def test_the_law_must_be_one_that_is_asked_for(wanted: tuple[str, ...], where: str, sentence: str | None):
    refusal = asked_of_target(an_engine(policy=confidential(jurisdictions=wanted), jurisdiction=where))
    assert (refusal and told(refusal)) == (sentence and ("Deny", "JurisdictionNotAllowed", sentence))


def test_attestation_needs_a_trustee():
    assert told(asked_of_target(an_engine(trustee_url=""))) == (
        "Deny",
        "TrusteeMissing",
        "The policy requires attestation, and azure declares no trustee.url to attest to.",
    )
    assert asked_of_target(an_engine(policy=confidential(attestation="VmOnly"), trustee_url="")) is None


def test_a_trustee_that_does_not_answer_is_waited_for():
    engine = an_engine(s.TrusteeHealth(target="azure", healthy=False, message="connection refused"))
    refusal = asked_of_target(engine)
    assert told(refusal) == (
        "Wait",
        "TrusteeDown",
        "The Trustee of azure does not answer, so no pod there would get its keys: connection refused",
    )
    assert refusal is not None
    assert refusal.whole_policy
    engine.send(s.TrusteeHealth(target="azure", healthy=False))
    assert told(asked_of_target(engine))[2].endswith("get its keys: no reason was given.")
    engine.send(s.TrusteeHealth(target="azure", healthy=True))
    assert asked_of_target(engine) is None
    engine.send(s.TrusteeHealth(target="other", healthy=False))
    assert asked_of_target(engine) is None


def test_who_asks_for_no_attestation_needs_no_trustee_that_answers():
    engine = an_engine(s.TrusteeHealth(target="azure", healthy=False), policy=confidential(attestation="VmOnly"))
    assert asked_of_target(engine) is None


def test_the_targets_questions_are_told_in_their_order():
    policy = a_policy(
        confidential=Confidential(data_class="secret", jurisdictions=("EU",)),
        triggers=(PendingPodsTrigger(pending_for_ms=0), PROMETHEUS),
    )
    settled: list[dict[str, Any]] = [
        {"required_namespace_labels": {}},
        {"data_classes": ("secret",)},
        {"jurisdiction": "EU"},
        {"trustee_url": "https://trustee.example"},
        {"allowed_metric_endpoints": (THANOS,)},
    ]
    target: dict[str, Any] = {"required_namespace_labels": {"a": "b"}, "trustee_url": ""}
    codes: list[str | None] = []
    for change in ({}, *settled):
        target |= change
        refusal = asked_of_target(an_engine(policy=policy, **target))
        codes.append(refusal and refusal.reason.code)
        assert refusal is None or refusal.whole_policy
    assert codes == [
        "NamespaceUnknown",
        "DataClassNotAllowed",
        "JurisdictionNotAllowed",
        "TrusteeMissing",
        "EndpointNotAllowed",
        None,
    ]


# --- the pod ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "images", "want"),
    [
        ({}, ("evil.example/app",), None),
        ({}, (), None),
        ({"allowed_images": ("registry.example",)}, ("registry.example/a", "registry.example/b"), None),
        (
            {"allowed_images": ("registry.example", "docker.io/library")},
            ("registry.example/a", "registry.example.evil.com/b"),
            (
                "ImageNotAllowed",
                "Image registry.example.evil.com/b is none of those that the policy allows: registry.example, docker.io/library.",
            ),
        ),
        (
            {"allowed_images": ("registry.example",)},
            (),
            ("ImagesUnknown", "Its images are not known, and the policy allows only some."),
        ),
        (
            {"images_by_digest": True},
            (),
            ("ImagesUnknown", "Its images are not known, and the policy allows only some."),
        ),
        ({"images_by_digest": True}, (f"app@{SHA}", f"registry.example/b:v1@{SHA}"), None),
        (
            {"images_by_digest": True},
            (f"app@{SHA}", "app:v1"),
            (
                "ImageNotByDigest",
                "Image app:v1 is not named by its digest (name@sha256:...), which the policy asks for.",
            ),
        ),
        ({"allowed_images": ("registry.example",), "images_by_digest": True}, (f"registry.example/a@{SHA}",), None),
        (
            {"allowed_images": ("registry.example",), "images_by_digest": True},
            ("evil.example/a",),
            ("ImageNotAllowed", "Image evil.example/a is none of those that the policy allows: registry.example."),
        ),
    ],
)
def test_a_pod_runs_only_images_that_are_allowed(
    rules: dict[str, Any], images: tuple[str, ...], want: tuple[str, str] | None
):
    refusal = asked_of_pod(an_engine(policy=confidential(**rules)), a_pod(images=images))
    assert (refusal and told(refusal)) == (want and ("Deny", *want))
    assert refusal is None or not refusal.whole_policy


@pytest.mark.parametrize(
    ("rules", "secrets", "name"),
    [
        ({}, ("plain",), None),
        ({"sealed_secrets": ("a",)}, ("plain",), None),
        ({"secrets": "Sealed"}, (), None),
        ({"secrets": "Sealed", "sealed_secrets": ("a", "b")}, ("b", "a"), None),
        ({"secrets": "Sealed", "sealed_secrets": ("a",)}, ("a", "plain"), "plain"),
        ({"secrets": "Sealed"}, ("plain",), "plain"),
    ],
)
def test_a_pod_is_given_only_secrets_that_are_sealed(rules: dict[str, Any], secrets: tuple[str, ...], name: str | None):
    refusal = asked_of_pod(an_engine(policy=confidential(**rules)), a_pod(secrets=secrets))
    if name is None:
        assert refusal is None
        return
    assert told(refusal) == (
        "Deny",
        "SecretNotSealed",
        f"It refers to Secret {name}, which the policy does not name as sealed: only Trustee may open what it is given.",
    )
    assert refusal is not None
    assert not refusal.whole_policy


def test_a_condition_that_looks_at_the_pod_is_asked_of_each():
    engine = an_engine(policy=a_policy(when='pod.labels["team"] == "risk" && pending.count == 0'))
    assert asked_of_policy(engine) is None, "it is no question to the whole policy"
    assert asked_of_pod(engine, a_pod(labels={"team": "risk"})) is None
    refusal = asked_of_pod(engine, a_pod(labels={"team": "web"}))
    assert told(refusal) == (
        "Wait",
        "WhenFalse",
        'when does not hold: pod.labels["team"] == "risk" && pending.count == 0',
    )
    assert refusal is not None
    assert not refusal.whole_policy
    assert refusal.again_at_ms == T0 + MINUTE
    assert refusal.reason.numbers == {"pending": 0}
    assert told(asked_of_pod(engine, a_pod()))[1:] == (
        "WhenUnknown",
        "Whether when holds is not known, so nothing starts: there is no entry team.",
    )


def test_what_a_condition_asks_beside_the_pod_is_looked_up_once_in_a_step():
    engine = an_engine(policy=a_policy(when="pod.priority > 3 && pending.count == 0"))
    entry = engine.state.policies["bank/tasks"]
    engine.state.deciding = True
    refusal = asked_of_pod(engine, a_pod(priority=3))
    assert refusal is not None
    assert refusal.reason.numbers == {"pending": 0, "pod_priority": 3}
    entry.queued["bank/x"] = (0, 0, 0, "bank/x")
    assert asked_of_pod(engine, a_pod(priority=4)) is None
    engine.send()
    assert told(asked_of_pod(engine, a_pod(priority=4)))[1] == "WhenFalse"


@pytest.mark.parametrize("when", ["pending.count > 0", "pod.priority > 3 && pending.count > 0"])
def test_who_only_looks_sees_what_is_now_and_leaves_no_trace(when: str):
    engine = an_engine(s.PodSeen(pod=a_pod(priority=1)), policy=a_policy(when=when, max_bursts=0))
    entry = engine.state.policies["bank/tasks"]
    before = replace(entry.looked)
    place = entry.queued.pop("bank/task-1")
    pod = a_pod(priority=4)
    assert told(asked_of_policy(engine) or asked_of_pod(engine, pod))[1] == "WhenFalse"
    assert (entry.looked, entry.reopened) == (before, False)
    entry.queued["bank/task-1"] = place
    assert asked_of_policy(engine) is None
    assert asked_of_pod(engine, pod) is None
    assert (entry.looked, entry.reopened) == (before, False)


def test_what_a_condition_saw_is_not_kept_between_steps():
    policy = a_policy(when='pod.priority >= 0 && now > timestamp("2020-01-01T00:00:00Z") && budget.day.left > 1.0')
    engine = an_engine(s.PodSeen(pod=a_pod()), policy=policy)
    assert engine.asked("RecordBurst")
    assert not engine.state.seen
    assert dump(restore(dump(engine.state))) == dump(engine.state)


def test_a_pod_of_a_policy_that_is_gone_is_not_asked():
    engine = an_engine(policy=a_policy(when="pod.priority > 3"))
    rules = engine.state.policies["bank/tasks"].policy
    del engine.state.policies["bank/tasks"]
    assert pod_gate(engine.state, rules, a_pod()) is None


def test_images_come_before_secrets_and_both_before_the_condition():
    policy = a_policy(
        when='pod.name == "x"',
        confidential=Confidential(allowed_images=("registry.example",), secrets="Sealed"),
    )
    engine = an_engine(policy=policy)
    assert told(asked_of_pod(engine, a_pod(images=("b",), secrets=("s",))))[1] == "ImageNotAllowed"
    assert told(asked_of_pod(engine, a_pod(images=("registry.example/b",), secrets=("s",))))[1] == "SecretNotSealed"
    assert told(asked_of_pod(engine, a_pod(images=("registry.example/b",))))[1] == "WhenFalse"
    assert asked_of_pod(engine, a_pod("x", images=("registry.example/b",))) is None


# --- what a condition sees --------------------------------------------------------------------------------------------


def seen(engine: Engine, *names: str, pod: Pod | None = None) -> dict[str, object]:
    return see(engine.state, engine.state.policies["bank/tasks"], names, pod).values


def numbers(engine: Engine, *names: str, pod: Pod | None = None) -> dict[str, int]:
    return see(engine.state, engine.state.policies["bank/tasks"], names, pod).numbers


def test_pending_pods_are_those_that_wait_in_the_queue():
    engine = an_engine(
        s.PodSeen(pod=a_pod("a", cpu=1500, memory=GIB, since=T0 - 90_000)),
        s.PodSeen(pod=a_pod("b", cpu=500, memory=2 * GIB, since=T0 - 30_500, priority=5)),
        s.PodSeen(pod=a_pod("c", cpu=500, memory=2 * GIB, since=T0 - 10_000)),
        s.PodSeen(pod=a_pod("young", since=T0 - 9_999)),
        policy=a_policy(pending_for_ms=10_000, paused=True),
    )
    names = ("pending.count", "pending.cpu", "pending.memoryGiB", "pending.oldestSeconds")
    assert seen(engine, *names) == {
        "pending.count": 3,
        "pending.cpu": 2.5,
        "pending.memoryGiB": 5.0,
        "pending.oldestSeconds": 90.0,
    }
    assert numbers(engine, *names) == {
        "pending": 3,
        "pending_cpu_millicores": 2500,
        "pending_memory_bytes": 5 * GIB,
        "pending_oldest_ms": 90_000,
    }
    empty = an_engine()
    assert seen(empty, *names) == {
        "pending.count": 0,
        "pending.cpu": 0.0,
        "pending.memoryGiB": 0.0,
        "pending.oldestSeconds": 0.0,
    }


ONPREM = tuple(f"onprem.{what}.{part}" for what in ("cpu", "memory") for part in ("allocatable", "requested", "free"))


def test_the_nodes_are_what_was_last_told():
    engine = an_engine(
        s.CapacitySeen(
            nodes=2,
            allocatable=Resources(cpu_millicores=4000, memory_bytes=8 * GIB),
            requested=Resources(cpu_millicores=2500, memory_bytes=10 * GIB),
        )
    )
    assert seen(engine, *ONPREM, "onprem.nodes", "onprem.cpuPercent", "onprem.memoryPercent") == {
        "onprem.nodes": 2,
        "onprem.cpu.allocatable": 4.0,
        "onprem.cpu.requested": 2.5,
        "onprem.cpu.free": 1.5,
        "onprem.memory.allocatable": 8.0,
        "onprem.memory.requested": 10.0,
        "onprem.memory.free": 0.0,
        "onprem.cpuPercent": 62.5,
        "onprem.memoryPercent": 125.0,
    }
    assert numbers(
        engine, "onprem.cpu.free", "onprem.memory.requested", "onprem.cpuPercent", "onprem.memoryPercent"
    ) == {
        "onprem_cpu_free_millicores": 1500,
        "onprem_memory_requested_bytes": 10 * GIB,
        "onprem_cpu_milli_percent": 62_500,
        "onprem_memory_milli_percent": 125_000,
    }


def test_nodes_that_nobody_told_of_are_not_known():
    engine = an_engine()
    assert seen(engine, *ONPREM, "onprem.nodes", "onprem.cpuPercent", "onprem.memoryPercent") == {}
    engine.send(s.CapacitySeen(nodes=1, allocatable=Resources(), requested=Resources()))
    assert seen(engine, "onprem.nodes", "onprem.cpuPercent", "onprem.cpu.free") == {
        "onprem.nodes": 1,
        "onprem.cpu.free": 0.0,
    }


def test_what_nobody_adds_up_is_not_known_though_the_nodes_are():
    there = Resources(cpu_millicores=4000, memory_bytes=8 * GIB)
    engine = an_engine(s.CapacitySeen(nodes=2, allocatable=there, requested=Resources(), requested_known=False))
    assert seen(engine, *ONPREM, "onprem.nodes", "onprem.cpuPercent", "onprem.memoryPercent") == {
        "onprem.nodes": 2,
        "onprem.cpu.allocatable": 4.0,
        "onprem.memory.allocatable": 8.0,
    }


def test_the_cloud_is_what_of_the_policy_is_out():
    engine = an_engine(s.PodSeen(pod=a_pod("a")), s.PodSeen(pod=a_pod("b")))
    names = ("cloud.bursts", "cloud.vcpus", "cloud.byTarget", "cloud.byProvider")
    assert seen(engine, *names) == {
        "cloud.bursts": 2,
        "cloud.vcpus": 4,
        "cloud.byTarget": {"azure": 2},
        "cloud.byProvider": {"azure": 2},
    }
    assert numbers(engine, *names) == {"cloud_bursts": 2, "cloud_vcpus": 4}
    engine.send(s.TargetGone(name="azure"))
    assert seen(engine, "cloud.byTarget", "cloud.byProvider") == {
        "cloud.byTarget": {"azure": 2},
        "cloud.byProvider": {},
    }
    assert seen(an_engine(), *names) == {
        "cloud.bursts": 0,
        "cloud.vcpus": 0,
        "cloud.byTarget": {},
        "cloud.byProvider": {},
    }


def test_money_is_in_dollars_and_no_limit_is_infinite():
    engine = an_engine(
        policy=a_policy(budget=Budget(per_hour_micro_usd=2_000_000, per_day_micro_usd=10_000_000)),
    )
    entry = engine.state.policies["bank/tasks"]
    entry.account.reserve(500_000)
    entry.account.settle(1_000_000, T0)
    parts = ("limit", "spent", "reserved", "left")
    assert seen(engine, *(f"budget.hour.{part}" for part in parts)) == {
        "budget.hour.limit": 2.0,
        "budget.hour.spent": 1.0,
        "budget.hour.reserved": 0.5,
        "budget.hour.left": 0.5,
    }
    assert numbers(engine, *(f"budget.hour.{part}" for part in parts)) == {
        "budget_hour_limit_micro_usd": 2_000_000,
        "budget_hour_spent_micro_usd": 1_000_000,
        "budget_hour_reserved_micro_usd": 500_000,
        "budget_hour_left_micro_usd": 500_000,
    }
    assert seen(engine, "budget.day.left", "budget.day.limit") == {"budget.day.left": 8.5, "budget.day.limit": 10.0}
    month = tuple(f"budget.month.{part}" for part in parts)
    assert seen(engine, *month) == {
        "budget.month.limit": float("inf"),
        "budget.month.spent": 1.0,
        "budget.month.reserved": 0.5,
        "budget.month.left": float("inf"),
    }
    assert numbers(engine, *month) == {
        "budget_month_spent_micro_usd": 1_000_000,
        "budget_month_reserved_micro_usd": 500_000,
    }
    engine.send(after_ms=HOUR)
    assert seen(engine, "budget.hour.spent", "budget.hour.left") == {"budget.hour.spent": 0.0, "budget.hour.left": 1.5}
    entry.account.reserve(5_000_000)
    assert seen(engine, "budget.hour.left") == {"budget.hour.left": 0.0}


def test_now_is_the_time_of_the_step():
    engine = an_engine()
    assert seen(engine, "now") == {"now": datetime(2026, 1, 5, 8, 0, tzinfo=UTC)}
    assert numbers(engine, "now") == {"now_ms": T0}
    engine.state.now_ms = 10**18
    assert seen(engine, "now") == {}


def test_a_pod_is_seen_as_it_is():
    engine = an_engine()
    deployment = Owner(api_version="apps/v1", kind="Deployment", name="web", uid="")
    pod = a_pod(
        "web-1",
        since=T0 - 90_500,
        requests=Resources(cpu_millicores=1500, memory_bytes=3 * GIB, gpus=2, devices=(("example.com/fpga", 1),)),
        labels={"b": "2", "a": "1"},
        workload=deployment,
        priority=7,
    )
    names = tuple(
        f"pod.{part}"
        for part in (
            "namespace",
            "name",
            "kind",
            "workload",
            "labels",
            "priority",
            "cpu",
            "memoryGiB",
            "waitedSeconds",
            "devices",
        )
    )
    assert seen(engine, *names, pod=pod) == {
        "pod.namespace": "bank",
        "pod.name": "web-1",
        "pod.kind": "Deployment",
        "pod.workload": "web",
        "pod.labels": {"a": "1", "b": "2"},
        "pod.priority": 7,
        "pod.cpu": 1.5,
        "pod.memoryGiB": 3.0,
        "pod.waitedSeconds": 90.5,
        "pod.devices": {"example.com/fpga": 1, "nvidia.com/gpu": 2},
    }
    assert numbers(engine, *names, pod=pod) == {
        "pod_priority": 7,
        "pod_cpu_millicores": 1500,
        "pod_memory_bytes": 3 * GIB,
        "pod_waited_ms": 90_500,
    }
    assert seen(engine, *names) == {}, "where nobody asks about a pod there is none"
    bare = a_pod("bare", since=None)
    assert seen(engine, "pod.kind", "pod.workload", "pod.devices", "pod.waitedSeconds", pod=bare) == {
        "pod.kind": "Pod",
        "pod.workload": "bare",
        "pod.devices": {},
    }
    assert seen(engine, "pod.waitedSeconds", pod=a_pod(since=T0 + 5)) == {"pod.waitedSeconds": 0.0}
