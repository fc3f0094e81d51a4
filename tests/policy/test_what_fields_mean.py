"""Every field of the language arrives in the engine's values, in its units, with KEDA's and the HPA's defaults and rounding."""

import msgspec
import pytest

from burster.model.limits import Budget, LaunchRate, Limits
from burster.model.offerings import Offering
from burster.model.pods import Owner, Pod, Resources
from burster.model.policies import Confidential, InitdataRef, LabelRule, Placement, Spread, Wait, WorkloadSelector
from burster.model.scaling import Behavior, Direction, Fallback, Scaling, ScalingModifiers, Step
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
from burster.policy.compile import compile_policy, compile_target
from burster.policy.schema import API_VERSION


def policy(strategy="Signal", **spec):
    placement = {"strategy": strategy, "targets": ["azure"], **spec.pop("placement", {})}
    return compile_policy(
        {
            "apiVersion": API_VERSION,
            "kind": "BurstPolicy",
            "metadata": {"name": "p", "namespace": "bank"},
            "spec": {"workload": {"kind": "Deployment"}, "placement": placement, **spec},
        }
    )


def target(**spec):
    return compile_target(
        {"apiVersion": API_VERSION, "kind": "BurstTarget", "metadata": {"name": "place"}, "spec": spec}
    )


def trigger(kind, metadata, **beside):
    (made,) = policy(triggers=[{"type": kind, "metadata": metadata, **beside}]).triggers
    return made


# --- triggers ---------------------------------------------------------------------------------------------------------------


def test_pending_pods_have_every_filter():
    assert trigger("pending-pods", {}) == PendingPodsTrigger()
    metadata = {
        "pendingFor": "1m",
        "minCount": "3",
        "reasons": ["Insufficient cpu"],
        "resources": ["nvidia.com/gpu"],
        "namespaces": ["other"],
        "minPriority": "-5",
        "maxPriority": 1000,
        "minCpu": "500m",
        "maxCpu": 8,
        "minMemory": "1Gi",
        "maxMemory": "64Gi",
        "runtimeClasses": ["kata"],
        "threshold": "2",
        "activationThreshold": 1,
    }
    assert trigger("pending-pods", metadata, name="no-room", metricType="Value") == PendingPodsTrigger(
        name="no-room",
        metric_type="Value",
        threshold_milli=2000,
        activation_milli=1000,
        pending_for_ms=60_000,
        min_count=3,
        reasons=("Insufficient cpu",),
        resources=("nvidia.com/gpu",),
        namespaces=("other",),
        min_priority=-5,
        max_priority=1000,
        min_cpu_millicores=500,
        max_cpu_millicores=8000,
        min_memory_bytes=2**30,
        max_memory_bytes=64 * 2**30,
        runtime_classes=("kata",),
    )


PROMETHEUS = {"serverAddress": "https://thanos-querier.openshift-monitoring.svc:9092", "query": "sum(x)"}


def test_prometheus_has_kedas_defaults():
    assert trigger("prometheus", {**PROMETHEUS, "threshold": "1"}) == PrometheusTrigger(
        name="prometheus", server_address=PROMETHEUS["serverAddress"], query="sum(x)"
    )


def test_prometheus_has_every_key_of_kedas():
    metadata = {
        **PROMETHEUS,
        "threshold": "1.5",
        "activationThreshold": "0.5",
        "namespace": "default",
        "customHeaders": "X-Scope=a=b, X-Other = c",
        "queryParameters": "dedup=true,partial_response=false",
        "ignoreNullValues": "false",
        "unsafeSsl": "true",
        "timeout": "5000",
        "awsRegion": "eu-west-1",
        "identityOwner": "operator",
        "metricName": "kube_pod_status_phase",
        "authModes": "tls,bearer",
    }
    reference = {"name": "keda-trigger-auth-prometheus", "kind": "ClusterTriggerAuthentication"}
    made = trigger("prometheus", metadata, authenticationRef=reference, useCachedMetrics=True, metricType="Value")
    assert made == PrometheusTrigger(
        name="prometheus",
        metric_type="Value",
        use_cached_metrics=True,
        threshold_milli=1500,
        activation_milli=500,
        server_address=PROMETHEUS["serverAddress"],
        query="sum(x)",
        namespace="default",
        query_parameters={"dedup": "true", "partial_response": "false"},
        ignore_null_values=False,
        aws_region="eu-west-1",
        identity_owner="operator",
        access=HttpAccess(
            auth_modes=("bearer", "tls"),
            auth=AuthRef(name="keda-trigger-auth-prometheus", kind="ClusterTriggerAuthentication"),
            unsafe_ssl=True,
            timeout_ms=5000,
            headers={"X-Scope": "a=b", "X-Other": "c"},
        ),
    )


def test_metrics_api_has_every_key_of_kedas():
    least = {"url": "https://api.bank.example/v1", "valueLocation": "a.b", "targetValue": "7"}
    assert trigger("metrics-api", least) == MetricsApiTrigger(
        name="metrics-api", threshold_milli=7000, url="https://api.bank.example/v1", value_location="a.b"
    )
    more = {
        "activationTargetValue": 2,
        "format": "prometheus",
        "method": "query",
        "keyParamName": "key",
        "aggregateFromKubeServiceEndpoints": True,
        "aggregationType": "max",
        "unsafeSsl": False,
        "timeout": "2s",
        "authMode": "apiKey",
    }
    made = trigger("metrics-api", {**least, **more}, authenticationRef={"name": "a"}, useCachedMetrics=True)
    assert made == MetricsApiTrigger(
        name="metrics-api",
        use_cached_metrics=True,
        threshold_milli=7000,
        activation_milli=2000,
        url="https://api.bank.example/v1",
        value_location="a.b",
        format="prometheus",
        method="query",
        key_param_name="key",
        aggregate_from_kube_service_endpoints=True,
        aggregation_type="max",
        access=HttpAccess(auth_modes=("apiKey",), auth=AuthRef(name="a"), timeout_ms=2000),
    )


def test_the_other_triggers():
    assert trigger("kubernetes-workload", {"podSelector": "app=web", "value": "2.5"}) == KubernetesWorkloadTrigger(
        name="kubernetes-workload", threshold_milli=2500, pod_selector="app=web"
    )
    assert trigger(
        "kubernetes-workload",
        {"podSelector": "app in (a,b), !x", "value": 1, "activationValue": "3", "groupByNode": "true"},
        useCachedMetrics=True,
    ) == KubernetesWorkloadTrigger(
        name="kubernetes-workload",
        use_cached_metrics=True,
        threshold_milli=1000,
        activation_milli=3000,
        pod_selector="app in (a,b), !x",
        group_by_node=True,
    )
    cron = {"start": "0 8 * * 1-5", "end": "0 20 * * 1-5", "timezone": "Europe/Berlin", "desiredReplicas": "3"}
    assert trigger("cron", cron, name="day") == CronTrigger(
        name="day", start="0 8 * * 1-5", end="0 20 * * 1-5", timezone="Europe/Berlin", desired_replicas=3
    )
    assert trigger("external", {"targetValue": 5}) == ExternalTrigger(name="external", threshold_milli=5000)
    assert trigger(
        "external",
        {"scalerAddress": "scaler.bank.svc:9090", "targetValue": "5", "activationTargetValue": "4", "a": 1, "b": True, "c": 1.5, "d": "x"},
        authenticationRef={"name": "a"},
        useCachedMetrics=True,
        metricType="Value",
    ) == ExternalTrigger(
        name="external",
        metric_type="Value",
        use_cached_metrics=True,
        threshold_milli=5000,
        activation_milli=4000,
        scaler_address="scaler.bank.svc:9090",
        metadata={"a": "1", "b": "true", "c": "1.5", "d": "x"},
        auth=AuthRef(name="a"),
    )  # fmt: skip
    named = {"metricName": "s0-prometheus", "metricSelector": "scaledobject.keda.sh/name=orders", "targetValue": "100"}
    assert trigger("external", named) == ExternalTrigger(
        name="external",
        threshold_milli=100_000,
        metric_name="s0-prometheus",
        metric_selector="scaledobject.keda.sh/name=orders",
    )
    assert trigger("external", {**named, "scalerAddress": "a:1"}) == ExternalTrigger(
        name="external",
        threshold_milli=100_000,
        scaler_address="a:1",
        metadata={"metricName": "s0-prometheus", "metricSelector": "scaledobject.keda.sh/name=orders"},
    )


@pytest.mark.parametrize(
    ("kind", "metric_type", "value", "milli"),
    [
        ("cpu", "Utilization", "80", 80_000),
        ("memory", "Utilization", 1, 1_000),
        ("cpu", "AverageValue", "500m", 500),
        ("cpu", "AverageValue", 2, 2_000),
        ("cpu", "AverageValue", "1.5", 1_500),
        ("memory", "AverageValue", "4Gi", 4 * 2**30 * 1000),
        ("memory", "AverageValue", "1", 1_000),
    ],
)
def test_cpu_and_memory_measure_a_workload_that_is_not_the_scaled_one(kind, metric_type, value, milli):
    source = {"name": "web", "kind": "StatefulSet"}
    made = trigger(kind, {"value": value, "containerName": "app"}, metricType=metric_type, sourceRef=source)
    assert made == ResourceTrigger(
        name=kind,
        metric_type=metric_type,
        threshold_milli=milli,
        resource=kind,
        source=WorkloadRef(kind="StatefulSet", name="web", api_version="apps/v1"),
        container="app",
    )


def test_utilization_is_the_default_of_cpu_and_memory():
    assert trigger("memory", {"value": "80"}, sourceRef={"name": "web"}).metric_type == "Utilization"


@pytest.mark.parametrize(
    ("written", "milli"),
    [
        ("1", 1000),
        (1, 1000),
        (1.5, 1500),
        ("0.001", 1),
        ("0.0019", 1),
        ("1.0009", 1000),
        ("4.35", 4350),
        ("1.001", 1000),  # 1000.9999999999999 as a double, and KEDA truncates
        ("1e3", 1_000_000),
        ("+2", 2000),
        (".5", 500),
        ("9000000000000000", 9 * 10**18),
    ],
    ids=repr,
)
def test_thresholds_are_truncated_to_thousandths_as_keda_does(written, milli):
    assert trigger("prometheus", {**PROMETHEUS, "threshold": written}).threshold_milli == milli


@pytest.mark.parametrize(
    ("written", "milli"),
    [("0", 0), (0, 0), ("0.0005", 0), ("0.001", 1), ("1.001", 1001), ("0.57", 570), ("2.9999", 2999)],
    ids=repr,
)
def test_a_value_is_above_an_activation_threshold_where_it_is_above_its_floor(written, milli):
    metadata = {**PROMETHEUS, "threshold": "1", "activationThreshold": written}
    assert trigger("prometheus", metadata).activation_milli == milli


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ([("pending-pods", None), ("cron", None)], ("pending-pods", "cron")),
        ([("cron", None), ("cron", None)], ("s0-cron", "s1-cron")),
        ([("cron", "day"), ("cron", None)], ("day", "s1-cron")),
        ([("external", "cron"), ("cron", None)], ("cron", "s1-cron")),
        ([("external", "trig_one"), ("external", "9.b-c")], ("trig_one", "9.b-c")),
    ],
)
def test_a_trigger_without_a_name_is_called_by_its_type_or_its_place(given, names):
    cron = {"start": "0 8 * * *", "end": "0 9 * * *", "timezone": "UTC", "desiredReplicas": 1}
    metadata = {"pending-pods": {}, "cron": cron, "external": {"targetValue": 1}}
    triggers = [{"type": kind, "metadata": metadata[kind], **({"name": name} if name else {})} for kind, name in given]
    assert tuple(made.name for made in policy(triggers=triggers).triggers) == names


# --- scaling ----------------------------------------------------------------------------------------------------------------

EXTERNAL = [{"type": "external", "name": "q", "metadata": {"targetValue": 1}}]


def test_scaling_has_kedas_defaults():
    assert policy().scaling == Scaling()
    assert Scaling().max_replicas == 100
    assert (Scaling().polling_ms, Scaling().cooldown_ms, Scaling().initial_cooldown_ms) == (30_000, 300_000, 0)


@pytest.mark.parametrize(("polling_s", "stale_s"), [(1, 120), (60, 120), (61, 122), (300, 600), (86_400, 172_800)])
def test_a_value_is_no_staler_than_two_polls_let_it_become(polling_s, stale_s):
    made = policy("Scale", triggers=EXTERNAL, scaleTargetRef={"name": "cloud"}, pollingInterval=polling_s)
    assert made.scaling.stale_after_ms == stale_s * 1000


def test_every_field_of_scaling():
    made = policy(
        "Scale",
        triggers=EXTERNAL,
        scaleTargetRef={"name": "cloud", "kind": "StatefulSet", "apiVersion": "example.com/v1"},
        minReplicaCount=2,
        maxReplicaCount=8,
        idleReplicaCount=1,
        pollingInterval=5,
        cooldownPeriod=60,
        initialCooldownPeriod=10,
        fallback={"failureThreshold": 3, "replicas": 4, "behavior": "currentReplicasIfHigher"},
        advanced={
            "restoreToOriginalReplicaCount": True,
            "horizontalPodAutoscalerConfig": {"name": "hpa"},
            "scalingModifiers": {
                "formula": "q * 2",
                "target": "1.5",
                "activationTarget": "0.25",
                "metricType": "Value",
            },
        },
    )
    assert made.scaling == Scaling(
        target=WorkloadRef(kind="StatefulSet", name="cloud", api_version="example.com/v1"),
        min_replicas=2,
        max_replicas=8,
        idle_replicas=1,
        polling_ms=5_000,
        cooldown_ms=60_000,
        initial_cooldown_ms=10_000,
        fallback=Fallback(failure_threshold=3, replicas=4, behavior="currentReplicasIfHigher"),
        modifiers=ScalingModifiers(formula="q * 2", target_milli=1500, activation_milli=250, metric_type="Value"),
        restore_to_original=True,
    )


UP = Direction(
    stabilization_ms=0,
    steps=(Step(type="Pods", value=4, period_ms=15_000), Step(type="Percent", value=100, period_ms=15_000)),
)
DOWN = Direction(stabilization_ms=300_000, steps=(Step(type="Percent", value=100, period_ms=15_000),))


def behavior(**written):
    return policy(advanced={"horizontalPodAutoscalerConfig": {"behavior": written}}).scaling.behavior


def test_without_a_behavior_there_is_none():
    assert policy(advanced={"horizontalPodAutoscalerConfig": {}}).scaling.behavior is None


def test_a_behavior_is_filled_in_as_the_api_server_does():
    assert behavior() == Behavior(scale_up=UP, scale_down=DOWN)
    assert behavior(scaleUp={}, scaleDown={}) == Behavior(scale_up=UP, scale_down=DOWN)
    replace = msgspec.structs.replace
    assert behavior(scaleDown={"stabilizationWindowSeconds": 0}).scale_down == replace(DOWN, stabilization_ms=0)
    assert behavior(scaleUp={"selectPolicy": "Disabled"}).scale_up == replace(UP, select="Disabled")
    one = {"type": "Percent", "value": 10, "periodSeconds": 60}
    assert behavior(scaleUp={"policies": [one], "tolerance": "0.05"}) == Behavior(
        scale_up=Direction(
            stabilization_ms=0, steps=(Step(type="Percent", value=10, period_ms=60_000),), tolerance_milli=50
        ),
        scale_down=DOWN,
    )
    assert behavior(scaleDown={"tolerance": 0}).scale_down.tolerance_milli == 0
    assert behavior(scaleDown={"tolerance": "10"}).scale_down.tolerance_milli == 10_000


# --- when it is in force ------------------------------------------------------------------------------------------------------


def test_windows_become_cron():
    made = policy(
        windows=[
            {"name": "day", "timezone": "Europe/Berlin", "days": ["Mon-Fri", "Sun"], "from": "08:00", "to": "20:00"},
            {"timezone": "UTC", "from": "22:30", "to": "06:00"},
            {"timezone": "UTC", "days": ["Fri"], "from": "22:00", "to": "24:00"},
            {"timezone": "UTC", "days": ["Sat-Mon"]},
        ],
        blackouts=[
            {"timezone": "UTC", "start": "0 8 * * *", "end": "0 9 * * *"},
            {"timezone": "UTC", "firstDay": "2026-11-27", "lastDay": "2026-12-24"},
        ],
        when="pending.count > 3",
    )
    assert made.windows == (
        Window(name="day", timezone="Europe/Berlin", start="0 8 * * 0-5", end="0 20 * * 0-5"),
        Window(timezone="UTC", start="30 22 * * *", end="0 6 * * *"),
        Window(timezone="UTC", start="0 22 * * 5", end="0 0 * * 6"),
        Window(timezone="UTC", start="0 0 * * 0-1,6", end="0 0 * * 0-2"),
    )
    assert made.blackouts == (
        Window(timezone="UTC", start="0 8 * * *", end="0 9 * * *"),
        Window(timezone="UTC", first_day="2026-11-27", last_day="2026-12-24"),
    )
    assert made.when == "pending.count > 3"
    assert (policy().when, policy().windows, policy().blackouts) == ("", (), ())


def test_waiting():
    assert policy().wait == Wait()
    written = {"mode": "BuyOrWait", "maxWait": "2h", "expectedRun": "10m", "valuePerHour": "5.00"}
    assert policy(wait=written).wait == Wait(
        mode="BuyOrWait", max_wait_ms=7_200_000, expected_run_ms=600_000, value_micro_usd_per_hour=5_000_000
    )
    assert policy(wait={"mode": "AtOnce"}).pending_for_ms == 0


# --- limits, placement, proof -----------------------------------------------------------------------------------------------

LIMITS = {
    "maxBursts": 4,
    "maxVcpus": 16,
    "launchRate": {"count": 5, "per": "10m"},
    "budget": {
        "perHour": 2.5,
        "perDay": "20",
        "perMonth": "100.000001",
        "timeZone": "Europe/Berlin",
        "warnAtPercent": 50,
        "stopAtPercent": 90,
        "drainAtPercent": 95,
    },
    "providerShares": {"azure": 60, "onprem": 100},
}
COMPILED_LIMITS = Limits(
    max_bursts=4,
    max_vcpus=16,
    launch_rate=LaunchRate(count=5, per_ms=600_000),
    budget=Budget(
        per_hour_micro_usd=2_500_000,
        per_day_micro_usd=20_000_000,
        per_month_micro_usd=100_000_001,
        timezone="Europe/Berlin",
        warn_percent=50,
        stop_percent=90,
        drain_percent=95,
    ),
    provider_shares={"azure": 60, "onprem": 100},
)


def test_limits():
    assert policy(limits=LIMITS).limits == COMPILED_LIMITS
    assert policy().limits == Limits()
    assert policy(limits={"launchRate": {"count": 1}}).limits.launch_rate == LaunchRate(count=1, per_ms=60_000)


def test_placement():
    assert policy("Auto").placement == Placement(targets=("azure",))
    placement = {
        "targets": ["azure", "onprem"],
        "sizes": ["Standard_DC4es_v6", "node-64"],
        "spot": "Prefer",
        "spread": {"by": "zone", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule"},
        "lease": "1h",
        "drain": "1m",
        "minLife": "10m",
        "idle": "5m",
        "releaseOrder": "YoungestFirst",
        "returnHome": "WhenRoom",
        "maxDisruptedPercent": 25,
    }
    assert policy("Clone", placement=placement).placement == Placement(
        strategy="Clone",
        targets=("azure", "onprem"),
        sizes=("Standard_DC4es_v6", "node-64"),
        spot="Prefer",
        spread=Spread(by="zone", max_skew=2, required=True),
        lease_ms=3_600_000,
        drain_ms=60_000,
        min_life_ms=600_000,
        idle_ms=300_000,
        release_order="YoungestFirst",
        return_home="WhenRoom",
        disruption_percent=25,
    )
    assert policy(placement={"spread": {}}).placement.spread == Spread()


def test_proof():
    assert policy().confidential == Confidential()
    written = {
        "tees": ["SNP"],
        "secureBoot": False,
        "attestation": "VmOnly",
        "initdata": {"configMap": "ours"},
        "exec": "Allowed",
        "images": {"allowed": ["registry.bank.example/fraud/"], "digestOnly": True},
        "secrets": {"mode": "Sealed", "sealed": ["model-key"]},
        "dataClass": "secret",
        "jurisdictions": ["DE", "FR"],
    }
    assert policy(confidential=written).confidential == Confidential(
        tees=("SNP",),
        secure_boot=False,
        attestation="VmOnly",
        initdata=InitdataRef(config_map="ours", key="initdata.toml"),
        exec_forbidden=False,
        allowed_images=("registry.bank.example/fraud/",),
        images_by_digest=True,
        secrets="Sealed",
        sealed_secrets=("model-key",),
        data_class="secret",
        jurisdictions=("DE", "FR"),
    )


# --- targets ------------------------------------------------------------------------------------------------------------------


def test_a_place_without_a_cloud_is_its_catalogue():
    made = target(
        provider="onprem",
        region="frankfurt",
        runtimeClassName="kata-qemu-tdx",
        nodeSelector={"tee": "tdx"},
        catalogue=[
            {
                "size": "node-64",
                "cpu": "64",
                "memory": "256Gi",
                "gpus": 2,
                "devices": {"habana.ai/gaudi": 8, "a.b/c": 1},
                "tee": "SNP",
                "pricePerHour": "0.10",
                "zones": ["a", "b"],
                "spot": True,
                "family": "big",
            },
            {"size": "node-8", "cpu": 8, "memory": "32Gi", "tee": "TDX"},
        ],
    )
    assert (made.provider, made.region, made.subscription, made.resource_group) == ("onprem", "frankfurt", "", "")
    assert (made.proof, made.runtime_class, made.node_selector) == ("Node", "kata-qemu-tdx", {"tee": "tdx"})
    assert made.sizes == ("node-64", "node-8")
    assert made.catalogue == (
        Offering(
            target="place",
            provider="onprem",
            region="frankfurt",
            size="node-64",
            family="big",
            resources=Resources(
                cpu_millicores=64_000,
                memory_bytes=256 * 2**30,
                gpus=2,
                devices=(("a.b/c", 1), ("habana.ai/gaudi", 8)),
            ),
            tee="SNP",
            price_micro_usd_per_hour=100_000,
            zones=("a", "b"),
            spot=True,
        ),
        Offering(
            target="place",
            provider="onprem",
            region="frankfurt",
            size="node-8",
            family="node-8",
            resources=Resources(cpu_millicores=8_000, memory_bytes=32 * 2**30),
            tee="TDX",
            price_micro_usd_per_hour=None,
        ),
    )


def test_what_a_place_demands_and_proves():
    made = target(
        azure={"subscriptionId": "00000000-0000-0000-0000-00000000000a", "resourceGroup": "burst", "region": "eastus"},
        sizes=["Standard_DC4es_v6"],
        allowedNamespaces=[
            "bank",
            {"name": "fraud", "maxBursts": 2, "maxVcpus": 8, "budget": {"perHour": "1", "timeZone": "Europe/Berlin"}},
        ],
        requiredNamespaceLabels={"burster.dev/opt-in": "true"},
        dataClasses=["secret"],
        jurisdiction="DE",
        trustee={"url": "https://trustee.bank.example:8080"},
        initdata={"configMap": "initdata", "key": "tdx.toml"},
        allowedMetricEndpoints=["https://thanos:9092", "grpc://scaler.bank.svc:9090"],
        prices={"discountPercent": "12.5", "perHour": {"Standard_DC4es_v6": "0.19"}},
        limits=LIMITS,
    )
    assert made.allowed_namespaces == ("bank", "fraud")
    assert made.namespace_limits == {
        "fraud": Limits(
            max_bursts=2, max_vcpus=8, budget=Budget(per_hour_micro_usd=1_000_000, timezone="Europe/Berlin")
        )
    }
    assert made.required_namespace_labels == {"burster.dev/opt-in": "true"}
    assert (made.data_classes, made.jurisdiction) == (("secret",), "DE")
    assert made.trustee_url == "https://trustee.bank.example:8080"
    assert made.initdata == InitdataRef(config_map="initdata", key="tdx.toml")
    assert made.allowed_metric_endpoints == ("https://thanos:9092", "grpc://scaler.bank.svc:9090")
    assert made.discount_milli_percent == 12_500
    assert made.negotiated_micro_usd_per_hour == {"Standard_DC4es_v6": 190_000}
    assert made.limits == COMPILED_LIMITS
    assert made.catalogue == ()


@pytest.mark.parametrize(
    ("written", "milli"),
    [("12.5", 12_500), (12.5, 12_500), (0, 0), ("100", 100_000), ("0.001", 1), ("99.999", 99_999)],
    ids=repr,
)
def test_discounts_are_exact(written, milli):
    azure = {"subscriptionId": "00000000-0000-0000-0000-00000000000a", "resourceGroup": "burst", "region": "eastus"}
    made = target(azure=azure, sizes=["Standard_DC4es_v6"], prices={"discountPercent": written})
    assert made.discount_milli_percent == milli


# --- workloads ----------------------------------------------------------------------------------------------------------------


def test_a_workload_by_owner_and_by_label_expressions():
    made = policy(
        workload={
            "ownerRef": {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"},
            "podNamePattern": "web-.*",
            "selector": {
                "matchLabels": {"tier": "front"},
                "matchExpressions": [
                    {"key": "app", "operator": "In", "values": ["a", "b"]},
                    {"key": "old", "operator": "DoesNotExist"},
                ],
            },
        }
    )
    assert made.workload == WorkloadSelector(
        kind="Deployment",
        api_version="apps/v1",
        name="web",
        pod_name_pattern="web-.*",
        match_labels={"tier": "front"},
        match_expressions=(
            LabelRule(key="app", operator="In", values=("a", "b")),
            LabelRule(key="old", operator="DoesNotExist"),
        ),
    )


def a_pod(name="web-1", labels=None, owner=None):
    return Pod(namespace="bank", name=name, uid="u", labels=labels or {}, workload=owner)


WEB = Owner(api_version="apps/v1", kind="Deployment", name="web", uid="d")


@pytest.mark.parametrize(
    ("rule", "labels", "holds"),
    [
        (("In", ("x", "y")), {"k": "x"}, True),
        (("In", ("x", "y")), {"k": "z"}, False),
        (("In", ("x", "y")), {}, False),
        (("NotIn", ("x",)), {"k": "x"}, False),
        (("NotIn", ("x",)), {"k": "y"}, True),
        (("NotIn", ("x",)), {}, True),
        (("Exists", ()), {"k": ""}, True),
        (("Exists", ()), {"other": "x"}, False),
        (("DoesNotExist", ()), {}, True),
        (("DoesNotExist", ()), {"k": "x"}, False),
    ],
)
def test_label_expressions_hold_as_in_kubernetes(rule, labels, holds):
    selector = WorkloadSelector(match_expressions=(LabelRule(key="k", operator=rule[0], values=rule[1]),))
    assert selector.matches(a_pod(labels=labels)) is holds


@pytest.mark.parametrize(
    ("selector", "pod", "matches"),
    [
        (WorkloadSelector(kind="Deployment", name="web"), a_pod(owner=WEB), True),
        (WorkloadSelector(kind="Deployment", name="we"), a_pod(owner=WEB), False),
        (WorkloadSelector(kind="Deployment", name="web", api_version="apps/v1"), a_pod(owner=WEB), True),
        (WorkloadSelector(kind="Deployment", name="web", api_version="x/v1"), a_pod(owner=WEB), False),
        (WorkloadSelector(kind="Pod", name="web-1"), a_pod(), True),
        (WorkloadSelector(kind="Pod", name="web-1", api_version="v1"), a_pod(), True),
        (WorkloadSelector(kind="Pod", name="web-1", api_version="apps/v1"), a_pod(), False),
        (WorkloadSelector(name="web"), a_pod(), False),
        (WorkloadSelector(match_labels={"a": "b"}), a_pod(labels={"a": "b", "c": "d"}), True),
        (WorkloadSelector(match_labels={"a": "b", "c": "e"}), a_pod(labels={"a": "b", "c": "d"}), False),
    ],
    ids=repr,
)
def test_an_owner_is_matched_by_its_whole_name(selector, pod, matches):
    assert selector.matches(pod) is matches


def test_an_owner_is_more_specific_than_kind_and_pattern_and_those_than_labels():
    labels = {f"k{number}": "v" for number in range(32)}
    rising = [
        WorkloadSelector(match_labels={"a": "b"}),
        WorkloadSelector(match_labels={"a": "b"}, match_expressions=(LabelRule(key="c", operator="Exists"),)),
        WorkloadSelector(match_labels=labels),
        WorkloadSelector(kind="Deployment"),
        WorkloadSelector(kind="Deployment", match_labels=labels),
        WorkloadSelector(kind="Deployment", name_pattern="web.*"),
        WorkloadSelector(kind="Deployment", name_pattern="web.*", match_labels=labels),
        WorkloadSelector(kind="Deployment", name="web"),
    ]
    found = [selector.specificity for selector in rising]
    assert found == sorted(set(found))
    assert WorkloadSelector(kind="Pod").specificity == WorkloadSelector(pod_name_pattern="x").specificity
    assert WorkloadSelector(name_pattern="a", pod_name_pattern="b").specificity == 100
