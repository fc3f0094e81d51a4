"""What contradicts itself within one object is told at the field to change, in a sentence that says what to do."""

import pytest

from burster.policy.compile import compile_policy, compile_target
from burster.policy.errors import PolicyErrors
from burster.policy.load import load_text
from burster.policy.schema import API_VERSION


def told(kind, spec):
    obj = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "x"}, "spec": spec}
    try:
        (compile_policy if kind == "BurstPolicy" else compile_target)(obj)
    except PolicyErrors as errors:
        return {problem.path.removeprefix("spec").removeprefix("."): problem.message for problem in errors.problems}
    return {}


def policy(strategy="Signal", **spec):
    placement = {"strategy": strategy, "targets": ["azure"], **spec.pop("placement", {})}
    return told("BurstPolicy", {"workload": {"kind": "Deployment"}, "placement": placement, **spec})


def trigger(kind, metadata, **beside):
    return {
        path.removeprefix("triggers[0]").removeprefix("."): message
        for path, message in policy(triggers=[{"type": kind, "metadata": metadata, **beside}]).items()
    }


CRON = {"type": "cron", "metadata": {"start": "0 8 * * *", "end": "0 9 * * *", "timezone": "UTC", "desiredReplicas": 1}}
QUERY = {"serverAddress": "https://thanos:9092", "query": "sum(x)", "threshold": "1"}
PROMETHEUS = {"type": "prometheus", "metadata": QUERY}
FALLBACK = {"failureThreshold": 3, "replicas": 4}


def test_numbers_of_replicas():
    assert policy(minReplicaCount=5, maxReplicaCount=4) == {
        "minReplicaCount": "5 is above maxReplicaCount 4: lower it, or raise maxReplicaCount"
    }
    assert policy(idleReplicaCount=0) == {
        "idleReplicaCount": "0 is not below minReplicaCount 0: lower it, raise minReplicaCount, or leave it out"
    }
    assert policy(triggers=[PROMETHEUS], maxReplicaCount=3, fallback=FALLBACK) == {
        "fallback.replicas": "4 is above maxReplicaCount 3: lower it"
    }


def test_what_a_strategy_needs_and_excludes():
    assert policy("Scale") == {
        "scaleTargetRef": "is required by strategy Scale: name the cloud workload whose number is set"
    }
    assert policy("Move", triggers=[CRON]) == {
        "triggers": "need one of type pending-pods: strategy Move takes pending pods, and metrics find none"
    }
    assert policy("Move", scaleTargetRef={"name": "cloud"}) == {
        "scaleTargetRef": "has no meaning for strategy Move, which takes the pending pods themselves: remove it"
    }
    needs_template = "is required where metrics say how many clones there are (or scaleTargetRef):"
    needs_template += " name the one workload whose template is taken"
    assert policy("Clone", triggers=[CRON]) == {"workload.ownerRef": needs_template}
    assert policy("Auto", triggers=[CRON, {"type": "pending-pods"}]) == {"workload.ownerRef": needs_template}
    elsewhere = [CRON, {"type": "pending-pods", "metadata": {"namespaces": ["other"]}}]
    a_machine = {"requests": {"cpu": "2", "memory": "8Gi"}, "image": "bank:cvm:rhel:9.6.1"}
    assert policy("Machine", triggers=elsewhere, machine=a_machine) == {
        "triggers[1].metadata.namespaces": "is for strategies Scale and Signal only: a policy starts pods of its own namespace; write a"
        " policy for each namespace"
    }
    assert policy("Machine", triggers=[CRON], machine=a_machine) == {}
    assert policy("Machine", triggers=[CRON]) == {
        "machine": "is required by strategy Machine: say what each needs (requests) and its image"
    }


def test_everything_that_contradicts_itself_comes_at_once():
    found = policy(
        "Scale", minReplicaCount=5, maxReplicaCount=4, idleReplicaCount=9, wait={"mode": "AtOnce"}, triggers=[CRON]
    )
    assert list(found) == ["minReplicaCount", "idleReplicaCount", "scaleTargetRef", "wait.mode"]


def test_waiting_and_falling_back():
    assert policy(triggers=[CRON], wait={"mode": "BuyOrWait"}) == {
        "wait.mode": "BuyOrWait is for pending pods, and no trigger is of type pending-pods: remove it or add one"
    }
    assert policy(triggers=[CRON], fallback=FALLBACK) == {
        "fallback": "is for triggers that are read and can fail; pending-pods, cron, cpu and memory have none, as in KEDA: remove it"
    }
    assert policy(triggers=[CRON, PROMETHEUS], fallback={**FALLBACK, "behavior": "scalingModifiers"}) == {
        "fallback.behavior": "scalingModifiers lets the formula decide, and there is none: write advanced.scalingModifiers"
    }


def test_names_of_triggers():
    twice = [{**CRON, "name": "a"}, PROMETHEUS, {**PROMETHEUS, "name": "a"}]
    assert policy(triggers=twice) == {"triggers[2].name": "'a' is the name of triggers[0] too: give each its own"}
    by_default = [CRON, {**PROMETHEUS, "name": "s2-cron"}, CRON]
    assert policy(triggers=by_default) == {
        "triggers[2].name": "'s2-cron' is the name of triggers[1] too: give each its own"
    }


def test_formulas():
    memory = {"type": "memory", "name": "used", "metadata": {"value": "80"}, "sourceRef": {"name": "web"}}
    query = {**PROMETHEUS, "name": "q"}

    def formula(text, *triggers):
        modifiers = {"scalingModifiers": {"formula": text, "target": "2"}}
        return policy(triggers=list(triggers) or [query, memory], advanced=modifiers)

    where = "advanced.scalingModifiers.formula"
    assert formula("q * 2") == {}
    assert formula("q * used") == {
        where: "uses used, a memory trigger, which formulas can't use, as in KEDA: remove it"
    }
    assert list(formula("q * nothing")) == [where]
    assert list(formula("q * 2", {**PROMETHEUS, "name": "q-1"})) == [where]  # q-1 can't be written in a formula
    assert formula("pods + 1", {"type": "pending-pods", "name": "pods"}) == {}
    assert policy(triggers=[query], advanced={"scalingModifiers": {"formula": "q"}}) == {
        "advanced.scalingModifiers.target": "is required: The composite value per replica."
    }


def test_an_unknown_trigger_is_told_what_there_is_and_what_to_do():
    listed = "pending-pods, prometheus, cron, cpu, memory, kubernetes-workload, metrics-api, external"
    advice = (
        f"use one of {listed}; for any other of KEDA's scalers let its ScaledObject stay with KEDA and push the value"
    )
    advice += " to a trigger of type external"
    assert trigger("kafka", {}) == {"type": f"type 'kafka' is not supported: {advice}"}
    assert trigger("promtheus", {}) == {
        "type": f"type 'promtheus' is not supported; did you mean prometheus?: {advice}"
    }
    assert trigger("external-push", {}) == {
        "type": "'external-push' is not supported: use external, to which anybody may push a number"
    }
    assert policy(triggers=[{"metadata": {}}]) == {"triggers[0].type": f"is required: write one of {listed}"}
    assert list(policy(triggers=["cron"])) == ["triggers[0]"]


def test_credentials_are_never_metadata():
    hint = "is a credential: put it into a TriggerAuthentication, which authenticationRef names, and remove it here"
    for name in ("ca", "cert", "key", "username", "password", "bearerToken", "customAuthHeader", "apiKey"):
        assert trigger("prometheus", {**QUERY, name: "x"}) == {f"metadata.{name}": hint}
        assert trigger("external", {"targetValue": 1, name: "x"}) == {f"metadata.{name}": hint}
    env = "burster reads no container's environment: write the value itself, or put a credential into a TriggerAuthentication"
    assert trigger("prometheus", {**QUERY, "queryFromEnv": "X"}) == {"metadata.queryFromEnv": env}
    assert trigger("external", {"targetValue": 1, "hostFromEnv": "X"}) == {"metadata.hostFromEnv": env}


def test_an_external_metric_is_named_so_that_it_can_be_asked_for():
    metric = {"targetValue": 1, "metricName": "s0-prometheus", "metricSelector": "scaledobject.keda.sh/name=orders"}
    assert trigger("external", metric) == {}
    listed = "write it as `kubectl get --raw /apis/external.metrics.k8s.io/v1beta1` lists it, for example s0-prometheus"
    for name in ("", "a/b", "../pods", "a b", "x" * 254):
        ((path, message),) = trigger("external", {**metric, "metricName": name}).items()
        assert (path, message.endswith(f" is no name of an external metric: {listed}")) == ("metadata.metricName", True)
    assert trigger("external", {**metric, "metricSelector": "a b"}) == {
        "metadata.metricSelector": "'a b' is no label selector: write it as kubectl takes it, for example app=web,tier in (front,back)"
    }
    alone = {"targetValue": 1, "metricSelector": "a=b"}
    sentence = "narrows the metric that metricName names: write metricName, or remove it"
    assert trigger("external", alone) == {"metadata.metricSelector": sentence}
    nobodys = (
        "belongs to an external scaler, and none is asked: remove it, or write scalerAddress instead of metricName"
    )
    assert trigger("external", {**metric, "metricSelectr": "a=b"}) == {"metadata.metricSelectr": nobodys}
    assert trigger("external", metric, authenticationRef={"name": "a"}) == {
        "authenticationRef": "external metrics are read by burster's own account: remove it"
    }
    # a scaler's own keys may be called so, and mean what that scaler says
    scaler = {"targetValue": 1, "scalerAddress": "scaler:9000", "metricName": "a/b", "metricSelector": "a b", "more": 1}
    assert trigger("external", scaler, authenticationRef={"name": "a"}) == {}


def test_modes_of_authentication():
    reference = {"authenticationRef": {"name": "a"}}
    assert trigger("prometheus", {**QUERY, "authModes": "bearer"}) == {
        "metadata.authModes": "needs credentials: name their TriggerAuthentication by authenticationRef"
    }
    assert trigger("prometheus", {**QUERY, "authMode": "bearer"}) == {
        "metadata.authMode": "needs credentials: name their TriggerAuthentication by authenticationRef"
    }
    assert trigger("prometheus", {**QUERY, "authMode": "tls", "authModes": "tls"}, **reference) == {
        "metadata.authMode": "is the older name of authModes, which is given too: remove it"
    }
    for modes, words in {
        "bearer,basic": "bearer and basic exclude each other: keep one of them",
        "basic, oauth": "basic and oauth exclude each other: keep one of them",
        "bearer,basic,oauth": "bearer and basic and oauth exclude each other: keep one of them",
        "tls,tls": "names 'tls' twice: remove one",
        "token": "'token' is no mode of authentication: use one or more of apiKey, basic, bearer, custom, oauth, tls, with commas between",
    }.items():
        assert trigger("prometheus", {**QUERY, "authModes": modes}, **reference) == {"metadata.authModes": words}
    for modes in ("bearer", "basic,tls", "oauth,custom", "apiKey"):
        assert trigger("prometheus", {**QUERY, "authModes": modes}, **reference) == {}


def test_fields_that_only_other_triggers_have():
    beside = {"useCachedMetrics": True, "authenticationRef": {"name": "a"}, "sourceRef": {"name": "web"}}
    assert policy(triggers=[{**CRON, **beside}]) == {
        "triggers[0].useCachedMetrics": "triggers of this type are never cached, as in KEDA: remove it",
        "triggers[0].authenticationRef": "triggers of this type need no credentials: remove it",
        "triggers[0].sourceRef": "only cpu and memory triggers measure a workload: remove it",
    }
    assert trigger("cpu", {"value": "80", "type": "Utilization"}, sourceRef={"name": "web"}) == {
        "metadata.type": "KEDA has dropped it: write metricType, beside metadata"
    }
    assert trigger("cpu", {"value": "80"}) == {
        "sourceRef": "is required: The on-prem workload whose use is measured; it is not scaled."
    }
    assert policy(placement={"cooldownPeriod": 1}) == {
        "placement.cooldownPeriod": "is now spec.cooldownPeriod, beside placement, as KEDA has it: move it there"
    }


@pytest.mark.parametrize(
    ("kind", "metric_type", "value", "words"),
    [
        ("cpu", "Utilization", "500m", "'500m' is no whole percentage above 0"),
        ("cpu", "Utilization", "0", "'0' is no whole percentage above 0"),
        ("cpu", "Utilization", "100001", "'100001' is no whole percentage above 0"),
        ("cpu", "AverageValue", "0", "'0' is nothing: write an amount of cpu above 0"),
        ("memory", "AverageValue", "0", "'0' is nothing: write an amount of memory above 0"),
    ],
)
def test_amounts_of_cpu_and_memory(kind, metric_type, value, words):
    found = trigger(kind, {"value": value}, metricType=metric_type, sourceRef={"name": "web"})
    assert list(found) == ["metadata.value"]
    assert found["metadata.value"].startswith(words)
    for border in ("1", "100000"):
        assert trigger("cpu", {"value": border}, sourceRef={"name": "web"}) == {}


def test_filters_that_no_pod_passes():
    words = "is more than {}, so that no pod fits: swap or correct them"
    assert trigger("pending-pods", {"minCpu": "2", "maxCpu": "1999m"}) == {"metadata.minCpu": words.format("maxCpu")}
    assert trigger("pending-pods", {"minMemory": "1Gi", "maxMemory": "1G"}) == {
        "metadata.minMemory": words.format("maxMemory")
    }
    assert trigger("pending-pods", {"minPriority": 1, "maxPriority": 0}) == {
        "metadata.minPriority": words.format("maxPriority")
    }
    assert trigger("pending-pods", {"minCpu": "2", "maxCpu": "2000m", "minPriority": 0, "maxPriority": 0}) == {}
    assert trigger("pending-pods", {"minMemory": "1Gi", "maxMemory": "1Gi"}) == {}


def test_cron_that_ends_where_it_starts():
    metadata = {**CRON["metadata"], "end": " 0  8 * * *"}
    assert trigger("cron", metadata) == {
        "metadata.end": "is the same as start, so that by KEDA's rule it never ends: write when it ends, or raise minReplicaCount instead"
    }


def test_budgets():
    assert policy(limits={"budget": {"warnAtPercent": 91, "stopAtPercent": 90, "drainAtPercent": 89}}) == {
        "limits.budget.warnAtPercent": "91 is above stopAtPercent 90, so that nobody is warned in time: lower it",
        "limits.budget.drainAtPercent": "89 is below stopAtPercent 90: what runs would be sent home while new bursts still start; raise it,"
        " or lower stopAtPercent",
    }


def test_windows():
    def window(**parts):
        found = policy(windows=[{"timezone": "UTC", **parts}])
        return {path.removeprefix("windows[0]").removeprefix("."): message for path, message in found.items()}

    for_ever = "is open for ever: give days, from and to, start and end, or firstDay and lastDay"
    assert window() == window(days=["Mon-Sun"]) == window(days=["Fri-Thu"]) == {"": for_ever}
    assert window(days=["Mon-Sat"]) == window(days=["Mon-Sun"], firstDay="2026-01-01") == {}
    assert window(start="0 8 * * *") == {"end": "is required beside start: write when it closes"}
    assert window(end="0 8 * * *") == {"start": "is required beside end: write when it opens"}
    assert window(**{"from": "08:00"}) == {"to": "is required beside from: write when it closes"}
    assert window(to="08:00") == {"from": "is required beside to: write when it opens"}
    both = "can't be given beside start and end, which are cron and say the days: remove one of the two"
    cron = {"start": "0 8 * * *", "end": "0 9 * * *"}
    assert window(**cron, days=["Mon"]) == {"days": both}
    assert window(**cron, **{"from": "08:00", "to": "09:00"}) == {"from": both, "to": both}
    assert window(firstDay="2026-12-02", lastDay="2026-12-01") == {
        "lastDay": "2026-12-01 is before firstDay 2026-12-02: swap or correct them"
    }
    assert window(firstDay="2026-12-01", lastDay="2026-12-01") == {}
    same = 'is the same as from: for a whole day write from: "00:00" and to: "24:00", or leave both out'
    assert window(**{"from": "08:00", "to": "08:00"}) == {"to": same}
    assert window(**{"from": "24:00", "to": "08:00"}) == {"from": 'is the end of a day: write "00:00" on the next one'}
    assert window(days=["Mon-Wed", "Tue"]) == {"days": "names Tue twice: remove one"}
    assert window(days=["Sat-Mon", "Sun"]) == {"days": "names Sun twice: remove one"}


def test_label_expressions():
    def expression(**parts):
        selector = {"matchExpressions": [{"key": "a", **parts}]}
        found = policy(workload={"selector": selector})
        return {path.rpartition("matchExpressions[0].")[2]: message for path, message in found.items()}

    assert expression(operator="In") == {"values": "is required with operator In: write the values"}
    assert expression(operator="NotIn", values=[]) == {"values": "is required with operator NotIn: write the values"}
    assert expression(operator="Exists", values=["x"]) == {
        "values": "operator Exists takes no values: remove them, or use In or NotIn"
    }
    assert expression(operator="DoesNotExist", values=["x"]) == {
        "values": "operator DoesNotExist takes no values: remove them, or use In or NotIn"
    }
    assert expression(operator="In", key="a b", values=["x", "a b"]) == {
        "key": "'a b' is no label key: write it as Kubernetes does, for example \"app.kubernetes.io/name\"",
        "values[1]": "'a b' is no value of a label",
    }


def test_workloads():
    owner = {"kind": "Deployment", "name": "web"}
    beside = "can't be given beside ownerRef, which names the one workload: remove one of the two"
    assert policy(workload={"ownerRef": owner, "kind": "Job", "namePattern": "a"}) == {
        "workload.kind": beside,
        "workload.namePattern": beside,
    }
    assert policy(workload={"ownerRef": owner, "podNamePattern": "a", "selector": {"matchLabels": {"a": "b"}}}) == {}
    for nothing in ({}, {"selector": {}}, {"selector": {"matchLabels": {}}}):
        assert policy(workload=nothing) == {
            "workload": "selects nothing: give ownerRef, kind, namePattern, podNamePattern or selector.matchLabels"
            ' (podNamePattern: ".*" is every pod of the namespace)'
        }


def test_sealed_secrets_need_their_mode():
    assert policy(confidential={"secrets": {"sealed": ["a"]}}) == {
        "confidential.secrets": "lists sealed Secrets, but mode Any allows every Secret: write mode: Sealed, or remove the list"
    }


AZURE = {"subscriptionId": "00000000-0000-0000-0000-000000000000", "resourceGroup": "burst", "region": "eastus"}
NODE = {"size": "node", "cpu": "64", "memory": "256Gi", "tee": "TDX"}


def test_targets():
    def target(**spec):
        return told("BurstTarget", {key: value for key, value in spec.items() if value is not None})

    def azure(**more):
        return target(**{"azure": AZURE, "sizes": ["Standard_DC2es_v6"], **more})

    def onprem(**more):
        nodes = {"runtimeClassName": "kata-qemu-tdx", "nodeSelector": {"tee": "tdx"}}
        return target(**{"provider": "onprem", "region": "here", "catalogue": [NODE], **nodes, **more})

    assert azure() == onprem() == {}
    assert azure(azure=None) == {
        "azure": "is required for provider azure: write subscriptionId, resourceGroup and region"
    }
    assert azure(region="x") == {"region": "is for other providers: Azure's region is azure.region; remove it"}
    assert azure(sizes=[]) == {"sizes": "is required for provider azure: Allowed VM sizes; at least one."}
    assert azure(catalogue=[NODE]) == {
        "catalogue": "is for other providers: Azure lists its own sizes; prices.perHour sets their prices"
    }
    assert azure(sizes=["Standard_DC2es_v6", "node"]) == {
        "sizes[1]": "'node' is not an Azure VM size: write it in full, for example Standard_DC4es_v6"
    }
    assert azure(launchDeadline="16m") == {
        "readyDeadline": "15m is shorter than launchDeadline 16m, but a pod is ready only after its VM is there: raise readyDeadline"
        " or lower launchDeadline"
    }
    assert azure(launchDeadline="15m") == {}
    assert onprem(nodeSelector=None) == {
        "nodeSelector": "is required for provider onprem: name the labels that only nodes with the TEE carry,"
        " such as feature.node.kubernetes.io/cpu-security.tdx.enabled: 'true'"
    }
    assert onprem(runtimeClassName=None) == {
        "runtimeClassName": "is required for provider onprem: pods under kata-remote run elsewhere; write that of the nodes' own VMs,"
        " such as kata-qemu-tdx or kata-cc"
    }
    assert onprem(provider="sovereign") == {
        "nodeSelector": "is for provider onprem: at sovereign no node of the cluster is the machine"
    }
    assert onprem(image="/an/image", subnet="/a/subnet", sweep={"mode": "Delete"}) == {
        "image": "can't be checked at provider onprem, so it must not be relied on here: remove it",
        "subnet": "can't be checked at provider onprem, so it must not be relied on here: remove it",
        "sweep.mode": "can't be Delete at provider onprem: burster only reports there",
    }
    assert onprem(azure=AZURE) == {"azure": "is for provider azure, not for onprem: remove it, or correct provider"}
    assert onprem(region=None) == {"region": "is required for provider onprem: name the region or the site"}
    assert onprem(catalogue=[]) == {
        "catalogue": "is required for provider onprem, whose sizes no cloud lists: write what can be had"
    }
    assert onprem(catalogue=[NODE, NODE]) == {"catalogue[1].size": "names 'node' twice: remove one"}
    assert onprem(sizes=["other"]) == {"sizes[0]": "'other' is not in the catalogue: add it there, or remove it here"}
    assert onprem(tees=["None"]) == {
        "tees[0]": "bursting is for confidential VMs only: there is no None; use TDX or SNP"
    }
    assert azure(allowedNamespaces=["a", {"name": "a"}, "b"]) == {"allowedNamespaces[1]": "names 'a' twice: remove one"}
    assert azure(allowedNamespaces=[{"name": "a", "maxBurst": 1}]) == {
        "allowedNamespaces[0].maxBurst": "unknown field; did you mean maxBursts?"
    }
    assert azure(allowedNamespaces=[{}]) == {"allowedNamespaces[0].name": "is required: The namespace."}
    assert list(azure(allowedNamespaces=[7])) == ["allowedNamespaces[0]"]
    assert list(azure(allowedNamespaces=["*", "team-*"])) == ["allowedNamespaces[1]"]


SPEC_OF_WINDOWS = """\
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {name: web}
spec:
  workload: {kind: Deployment}
  placement: {strategy: Clone, targets: [east]}
"""
WINDOW = '{name: day, timezone: UTC, from: "08:00", to: "10:00"}'


@pytest.mark.parametrize("field", ["windows", "blackouts"])
def test_two_windows_of_one_name_are_told_apart_by_nobody(field):
    with pytest.raises(PolicyErrors) as raised:
        load_text(SPEC_OF_WINDOWS + f"  {field}:\n  - {WINDOW}\n  - {WINDOW.replace('08', '07')}\n")
    assert str(raised.value) == (
        f"-:9:12: spec.{field}[1].name: 'day' is the name of {field}[0] too: give each its own"
    )


def test_windows_without_names_and_a_window_and_a_blackout_of_one_name_are_no_mistake():
    nameless = WINDOW.replace("name: day, ", "")
    text = f"  windows: [{WINDOW}, {nameless}, {nameless}]\n  blackouts: [{WINDOW.replace('08', '07')}]\n"
    assert len(load_text(SPEC_OF_WINDOWS + text)) == 1


def test_a_wrong_key_of_a_mapping_is_told_by_itself():
    with pytest.raises(PolicyErrors) as raised:
        load_text(SPEC_OF_WINDOWS + "  limits: {providerShares: {Azure: 60}}\n")
    assert str(raised.value) == (
        "-:7:29: spec.limits.providerShares.Azure: 'Azure' is not a provider's name: lower-case letters, digits and '-'"
    )
