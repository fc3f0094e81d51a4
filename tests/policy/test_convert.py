"""KEDA's objects as they stand in repositories become policies that behave the same, and what can't be carried over is said."""

from pathlib import Path

import pytest
import yaml

from burster.policy.convert import Conversion, convert_text
from burster.policy.errors import PolicyErrors


HERE = Path(__file__).parent / "keda"
CLASSIC = (HERE / "classic.yaml").read_text("utf-8")


def scaled_object(metadata="name: so", spec="", triggers="", target="name: cloud"):
    return (
        f"apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  {{{metadata}}}\nspec:\n  scaleTargetRef: {{{target}}}\n"
        + "".join(f"  {line}\n" for line in spec.splitlines())
        + "  triggers:\n"
        + "".join(f"  {line}\n" for line in (triggers or CRON).splitlines())
    )


CRON = '- type: cron\n  metadata: {start: 0 8 * * *, end: 0 18 * * *, timezone: UTC, desiredReplicas: "2"}'


def converted(text, target="azure", **options):
    (found,) = convert_text(text, "so.yaml", target=target, **options).objects
    return found


def spec_of(text):
    return converted(text).policy["spec"]


def notes_of(text, kind="dropped", target="azure"):
    return [(note.path, note.message) for note in converted(text, target).notes if note.kind == kind]


def test_the_classic_becomes_exactly_this_file():
    conversion = convert_text(CLASSIC, "classic.yaml", target="azure-westeurope-tdx")
    assert conversion.text == (HERE / "classic.policy.yaml").read_text("utf-8")
    assert conversion.skipped == 0
    assert conversion == Conversion(objects=conversion.objects)


def test_the_query_and_its_credentials_arrive_untouched():
    (trigger,) = spec_of(CLASSIC)["triggers"]
    assert trigger == {
        "type": "prometheus",
        "name": "kube_pod_status_phase",
        "metadata": {
            "serverAddress": "https://thanos-querier.openshift-monitoring.svc.cluster.local:9092",
            "namespace": "default",
            "threshold": "1",
            "query": 'sum(kube_pod_status_phase{phase="Pending", namespace="default",pod=~"on-prem-deployment.*"})',
            "authModes": "bearer",
        },
        "authenticationRef": {"name": "keda-trigger-auth-prometheus"},
    }


def test_the_platform_team_is_told_which_endpoint_to_allow():
    told = [note for note in converted(CLASSIC).notes if "allowedMetricEndpoints" in note.message]
    assert [(note.line, note.path, note.message) for note in told] == [
        (
            11,
            "spec.triggers[0].metadata.serverAddress",
            (
                "the target must list https://thanos-querier.openshift-monitoring.svc.cluster.local:9092 among its"
                " allowedMetricEndpoints"
            ),
        )
    ]


def test_an_assumed_target_is_said_aloud():
    found = converted(CLASSIC, target="")
    assert found.policy["spec"]["placement"] == {"strategy": "Scale", "targets": ["azure"]}
    told = [(note.line, note.column, note.path) for note in found.notes if "is assumed" in note.message]
    assert told == [(3, 12, "metadata.name")]
    assert not [note for note in converted(CLASSIC, target="azure").notes if "is assumed" in note.message]


def test_every_number_is_carried_also_from_quotes():
    spec = spec_of(
        scaled_object(
            spec=(
                "pollingInterval: 15\ncooldownPeriod: '60'\ninitialCooldownPeriod: 5\nminReplicaCount: 1\nmaxReplicaCount: \"9\"\n"
                "idleReplicaCount: 0\nfallback: {failureThreshold: '3', replicas: 6, behavior: currentReplicasIfHigher}"
            )
        )
    )
    assert {key: spec[key] for key in spec if key.endswith(("Count", "Period", "Interval"))} == {
        "pollingInterval": 15,
        "cooldownPeriod": 60,
        "initialCooldownPeriod": 5,
        "minReplicaCount": 1,
        "maxReplicaCount": 9,
        "idleReplicaCount": 0,
    }
    assert spec["fallback"] == {"failureThreshold": 3, "replicas": 6, "behavior": "currentReplicasIfHigher"}


def test_advanced_is_carried_but_for_the_hpas_name():
    text = scaled_object(
        spec=(
            "advanced:\n  restoreToOriginalReplicaCount: true\n  horizontalPodAutoscalerConfig:\n    name: mine\n"
            "    behavior: {scaleDown: {stabilizationWindowSeconds: 60}}\n"
            "  scalingModifiers: {formula: a + b, target: 2, activationTarget: '1'}\n  other: 1"
        )
    )
    assert spec_of(text)["advanced"] == {
        "restoreToOriginalReplicaCount": True,
        "horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}},
        "scalingModifiers": {"formula": "a + b", "target": "2", "activationTarget": "1"},
    }
    assert notes_of(text) == [
        ("spec.advanced.horizontalPodAutoscalerConfig.name", "burster makes no HPA, so there is none to name"),
        ("spec.advanced.other", "unknown to burster"),
    ]


def test_another_kind_of_workload_is_named_everywhere():
    target = "name: db, kind: StatefulSet, apiVersion: apps/v1, envSourceContainerName: main"
    text = scaled_object(target=target, triggers="- {type: cpu, metricType: Utilization, metadata: {value: '50'}}")
    spec = spec_of(text)
    assert spec["workload"] == {"ownerRef": {"kind": "StatefulSet", "name": "db"}}
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db"}
    assert spec["triggers"] == [
        {
            "type": "cpu",
            "metadata": {"value": "50"},
            "metricType": "Utilization",
            "sourceRef": {"kind": "StatefulSet", "name": "db", "apiVersion": "apps/v1"},
        }
    ]
    assert notes_of(text) == [
        ("spec.scaleTargetRef.envSourceContainerName", "burster reads no environment of other containers")
    ]
    assert (
        "spec.triggers[0]",
        (
            "KEDA measures the workload that it scales, so sourceRef is StatefulSet db: name the on-prem"
            " workload instead if its load is what matters"
        ),
    ) in notes_of(text, "assumed")


@pytest.mark.parametrize(
    ("annotations", "want", "kind"),
    [
        ("autoscaling.keda.sh/paused: 'true'", {"burster.dev/paused": "true"}, None),
        ("autoscaling.keda.sh/paused: true", {"burster.dev/paused": "true"}, None),
        ("autoscaling.keda.sh/paused: 'false'", {"burster.dev/paused": "false"}, None),
        ("autoscaling.keda.sh/paused-replicas: '3'", {"burster.dev/paused": "true"}, "changed"),
        ("autoscaling.keda.sh/paused-scale-in: 'true'", {"burster.dev/paused-scale-in": "true"}, None),
        ("autoscaling.keda.sh/paused-scale-out: 'yes'", {"burster.dev/paused-scale-out": "yes"}, None),
        ("autoscaling.keda.sh/force-activation: 'true'", {"burster.dev/force-activation": "true"}, None),
        ("autoscaling.keda.sh/force-activation: 'sure'", {"burster.dev/force-activation": "true"}, "changed"),
        ("scaledobject.keda.sh/transfer-hpa-ownership: 'true'", None, "dropped"),
        ("team: blue", {"team": "blue"}, None),
        ("kubectl.kubernetes.io/last-applied-configuration: x", None, None),
    ],
)
def test_annotations(annotations, want, kind):
    found = converted(scaled_object(metadata=f"name: so, annotations: {{{annotations}}}"))
    assert found.policy["metadata"].get("annotations") == want
    spoken = [note.kind for note in found.notes if note.path.startswith("metadata.annotations")]
    assert spoken == ([kind] if kind else [])


def test_name_namespace_and_labels_stay():
    found = converted(
        scaled_object(metadata="name: so, namespace: bank, labels: {a: b, scaledobject.keda.sh/name: so}")
    )
    assert found.policy["metadata"] == {"name": "so", "namespace": "bank", "labels": {"a": "b"}}
    assert found.name == "bank/so"
    assert converted(scaled_object(), namespace="bank").policy["metadata"] == {"name": "so", "namespace": "bank"}
    assert converted(scaled_object(metadata="name: so, namespace: own"), namespace="bank").policy["metadata"] == {
        "name": "so",
        "namespace": "own",
    }


def test_an_external_scalers_metric_name_is_the_scalers_own():
    for named in ("", "name: lag, "):
        text = scaled_object(
            triggers=f"- {{type: external, {named}metadata: {{scalerAddress: 'a:1', targetValue: 7, metricName: lag}}}}\n"
        )
        (made,) = spec_of(text)["triggers"]
        assert made["metadata"] == {"scalerAddress": "a:1", "targetValue": "7", "metricName": "lag"}
        assert made.get("name", "") == ("lag" if named else "")
        assert not [path for kind in ("changed", "dropped") for path, _ in notes_of(text, kind) if "metricName" in path]


def test_triggers_that_burster_has_are_carried_with_text_for_numbers():
    text = scaled_object(
        triggers=(
            "- {type: cron, name: day, metadata: {start: 0 8 * * *, end: 0 18 * * *, timezone: UTC, desiredReplicas: 2}}\n"
            "- {type: kubernetes-workload, metadata: {podSelector: 'a=b', value: 0.5, groupByNode: true}}\n"
            "- {type: metrics-api, metricType: Value, metadata: {url: 'http://a', valueLocation: a.b, targetValue: 5}}\n"
            "- {type: external-push, metadata: {scalerAddress: 'a:1', targetValue: 7, mine: x}}\n"
        )
    )
    assert spec_of(text)["triggers"] == [
        {
            "type": "cron",
            "name": "day",
            "metadata": {"start": "0 8 * * *", "end": "0 18 * * *", "timezone": "UTC", "desiredReplicas": "2"},
        },
        {"type": "kubernetes-workload", "metadata": {"podSelector": "a=b", "value": "0.5", "groupByNode": "true"}},
        {
            "type": "metrics-api",
            "metadata": {"url": "http://a", "valueLocation": "a.b", "targetValue": "5"},
            "metricType": "Value",
        },
        {"type": "external", "metadata": {"scalerAddress": "a:1", "targetValue": "7", "mine": "x"}},
    ]
    assert notes_of(text) == []
    assert ("spec.triggers[3].type", "burster has external, to which values are pushed in any case") in notes_of(
        text, "changed"
    )


@pytest.mark.parametrize(
    ("trigger", "path", "words"),
    [
        (
            "{type: kafka, metadata: {lagThreshold: '5'}}",
            "spec.triggers[1].type",
            "burster has no trigger kafka: let KEDA read it",
        ),
        (
            "{type: external, metadata: {scalerAddress: 'a:1'}}",
            "spec.triggers[1].metadata",
            "an external scaler states its target",
        ),
        ("{metadata: {}}", "spec.triggers[1].type", "burster has no trigger without a type"),
    ],
)
def test_a_trigger_that_burster_lacks_is_left_out_and_said(trigger, path, words):
    text = scaled_object(triggers=f"{CRON}\n- {trigger}")
    assert [one["type"] for one in spec_of(text)["triggers"]] == ["cron"]
    ((found, message),) = notes_of(text)
    assert found == path
    assert message.startswith(words)


@pytest.mark.parametrize(
    ("trigger", "path", "message"),
    [
        (
            "metadata: {hostFromEnv: X}",
            "metadata.hostFromEnv",
            "burster reads no environment of other containers: use an authenticationRef",
        ),
        ("metadata: {nonsense: 1}", "metadata.nonsense", "a cron trigger has no nonsense"),
        (
            "useCachedMetrics: true",
            "useCachedMetrics",
            "burster reads each value once a pollingInterval and uses it for everything",
        ),
        ("nonsense: 1", "nonsense", "unknown to burster"),
        (
            "name: a\n  metadata: {metricName: b}",
            "metadata.metricName",
            "KEDA has deprecated it, and the trigger has a name",
        ),
    ],
)
def test_what_a_trigger_can_not_keep_is_said_at_its_place(trigger, path, message):
    text = scaled_object(triggers=f"- type: cron\n  {trigger}")
    assert notes_of(text) == [(f"spec.triggers[0].{path}", message)]


def test_cached_metrics_that_are_off_need_no_word():
    assert notes_of(scaled_object(triggers=f"{CRON}\n  useCachedMetrics: false")) == []


def test_the_type_that_keda_removed_from_cpu_triggers_is_the_metric_type():
    text = scaled_object(triggers="- type: memory\n  metadata: {type: AverageValue, value: 1Gi, containerName: main}")
    (trigger,) = spec_of(text)["triggers"]
    assert (trigger["metricType"], trigger["metadata"]) == ("AverageValue", {"value": "1Gi", "containerName": "main"})
    assert notes_of(text, "changed") == [
        ("spec.triggers[0].metadata.type", "KEDA has removed it: it is metricType now")
    ]


def test_an_object_of_which_nothing_is_left_is_no_policy():
    found = converted(scaled_object(triggers="- {type: kafka, metadata: {}}"))
    assert found.policy is None
    assert found.notes[-1].message.startswith("burster has no trigger kafka")
    assert "no trigger is left, so there is no policy" in [note.message for note in found.notes]
    assert convert_text(scaled_object(triggers="- {type: kafka, metadata: {}}"), "-").text == ""


def test_a_field_that_keda_has_not_either_is_said():
    assert notes_of(scaled_object(spec="replicas: 3")) == [("spec.replicas", "unknown to burster")]


JOB = """\
apiVersion: keda.sh/v1alpha1
kind: ScaledJob
metadata: {name: render.it, namespace: batch}
spec:
  jobTargetRef: {template: {spec: {containers: [{name: a, image: b}]}}}
  maxReplicaCount: 30
  pollingInterval: 10
  scalingStrategy: {strategy: accurate}
  triggers:
  - {type: rabbitmq, metadata: {queueLength: '5'}}
"""


def test_a_scaled_job_becomes_a_policy_about_its_jobs():
    found = converted(JOB)
    assert found.policy == {
        "apiVersion": "burster.dev/v1alpha1",
        "kind": "BurstPolicy",
        "metadata": {"name": "render.it", "namespace": "batch"},
        "spec": {
            "workload": {"kind": "Job", "namePattern": r"render\.it-[a-z0-9]+"},
            "triggers": [{"type": "pending-pods", "metadata": {"pendingFor": "30s"}}],
            "limits": {"maxBursts": 30},
            "placement": {"strategy": "Move", "targets": ["azure"]},
        },
    }
    assert notes_of(JOB) == [
        ("spec.pollingInterval", "stays with KEDA, which goes on to create the Jobs"),
        ("spec.scalingStrategy", "stays with KEDA, which goes on to create the Jobs"),
        (
            "spec.triggers[0]",
            "rabbitmq stays with KEDA: it decides how many Jobs there are, pending-pods which of them burst",
        ),
    ]


def test_several_documents_among_others():
    text = f"{CLASSIC}---\napiVersion: v1\nkind: ConfigMap\n---\n{JOB}"
    conversion = convert_text(text, "all.yaml", target="t")
    assert [(one.kind, one.name, one.line) for one in conversion.objects] == [
        ("ScaledObject", "pod-status-scaledobject", 1),
        ("ScaledJob", "batch/render.it", 18),
    ]
    assert conversion.skipped == 1
    assert [one["metadata"]["name"] for one in yaml.safe_load_all(conversion.text)] == [
        "pod-status-scaledobject",
        "render.it",
    ]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("a: [", 2, "this is not YAML"),
        (
            CLASSIC.replace("keda.sh/v1alpha1", "keda.sh/v1"),
            1,
            "x.yaml:1:13: apiVersion: expected keda.sh/v1alpha1, found 'keda.sh/v1'",
        ),
        (CLASSIC.replace("{name: pod-status-scaledobject}", "{}"), 1, "metadata.name: is required"),
        (CLASSIC.replace("{name: cloud-deployment}", "{}"), 1, "spec.scaleTargetRef.name: is required"),
        (JOB.replace("jobTargetRef", "job"), 1, "spec.jobTargetRef: is required"),
        (CLASSIC + "spec: {}\n", 1, "given twice"),
    ],
)
def test_what_makes_no_sense_is_an_error_at_its_place(text, code, words):
    with pytest.raises(PolicyErrors) as raised:
        convert_text(text, "x.yaml")
    assert raised.value.exit_code == code
    assert words in str(raised.value)


def test_a_text_without_keda_objects_converts_to_nothing():
    assert convert_text("kind: ConfigMap\n", "x.yaml") == convert_text("", "x.yaml").__class__(objects=(), skipped=1)


def test_what_is_written_in_an_object_stays_in_the_comment_about_it():
    text = scaled_object(metadata='name: so, annotations: {autoscaling.keda.sh/paused-replicas: "3\\nkind: Other"}')
    told = convert_text(text, "-", target="t").text
    assert "nothing sets 3 kind: Other replicas first" in told
    assert yaml.safe_load(told)["kind"] == "BurstPolicy"
