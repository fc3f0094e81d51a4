"""Every field, wrong in every way a person gets such a field wrong, is told at its place in one sentence."""

import copy
import math

import pytest
import yaml

from burster.policy.compile import compile_documents
from burster.policy.crds import json_schema
from burster.policy.errors import PolicyErrors
from burster.policy.load import load_text
from burster.policy.problems import path_text
from burster.policy.yaml_nodes import parse_yaml


POLICY = """\
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {name: everything, namespace: bank}
spec:
  priority: 1
  workload:
    ownerRef: {kind: Deployment, name: web, apiVersion: apps/v1}
    podNamePattern: web-.*
    selector:
      matchLabels: {tier: front}
      matchExpressions: [{key: app, operator: In, values: [a]}]
  triggers:
  - type: pending-pods
    name: no-room
    metadata:
      pendingFor: 30s
      minCount: 2
      reasons: [Insufficient cpu]
      resources: [nvidia.com/gpu]
      namespaces: [other]
      minPriority: 0
      maxPriority: 9
      minCpu: 100m
      maxCpu: "4"
      minMemory: 1Gi
      maxMemory: 4Gi
      runtimeClasses: [kata]
      threshold: "1"
      activationThreshold: "0"
    metricType: AverageValue
  - type: prometheus
    name: q
    metadata:
      serverAddress: https://thanos:9092
      query: sum(x)
      threshold: "1"
      activationThreshold: "0"
      namespace: default
      customHeaders: X-Scope=a
      queryParameters: dedup=true
      ignoreNullValues: "true"
      unsafeSsl: "false"
      timeout: "3000"
      awsRegion: eu-west-1
      identityOwner: pod
      authModes: bearer
    authenticationRef: {name: auth, kind: TriggerAuthentication}
    useCachedMetrics: true
    metricType: Value
  - type: cron
    metadata: {start: 0 8 * * 1-5, end: 0 20 * * 1-5, timezone: Europe/Berlin, desiredReplicas: "2"}
  - type: memory
    metadata: {value: "80", containerName: app}
    metricType: Utilization
    sourceRef: {name: web, kind: StatefulSet, apiVersion: apps/v1}
  - type: kubernetes-workload
    metadata: {podSelector: app=web, value: "2", activationValue: "1", groupByNode: "false"}
  - type: metrics-api
    metadata:
      url: https://api.bank.example/v1
      valueLocation: a.b
      targetValue: "3"
      activationTargetValue: "1"
      format: json
      method: header
      keyParamName: key
      aggregateFromKubeServiceEndpoints: "false"
      aggregationType: average
  - type: external
    metadata: {scalerAddress: "scaler.bank.svc:9090", targetValue: "5", activationTargetValue: "1"}
  scaleTargetRef: {name: cloud, kind: Deployment, apiVersion: apps/v1}
  minReplicaCount: 2
  maxReplicaCount: 8
  idleReplicaCount: 0
  pollingInterval: 30
  cooldownPeriod: 300
  initialCooldownPeriod: 0
  fallback: {failureThreshold: 3, replicas: 4, behavior: static}
  advanced:
    restoreToOriginalReplicaCount: true
    horizontalPodAutoscalerConfig:
      name: hpa
      behavior:
        scaleUp:
          stabilizationWindowSeconds: 0
          selectPolicy: Max
          policies: [{type: Pods, value: 4, periodSeconds: 15}]
          tolerance: "0.1"
    scalingModifiers: {formula: q * 2, target: "2", activationTarget: "0", metricType: AverageValue}
  when: pending.count > 3
  windows:
  - {name: day, timezone: Europe/Berlin, days: [Mon-Fri], from: "08:00", to: "20:00", firstDay: "2026-11-01", lastDay: "2026-12-31"}
  blackouts:
  - {timezone: UTC, start: 0 0 1 * *, end: 0 6 1 * *}
  wait: {mode: BuyOrWait, maxWait: 1h, expectedRun: 10m, valuePerHour: "5.00"}
  limits:
    maxBursts: 4
    maxVcpus: 16
    launchRate: {count: 5, per: 1m}
    budget:
      perHour: "2.50"
      perDay: "20"
      perMonth: "100"
      timeZone: Europe/Berlin
      warnAtPercent: 80
      stopAtPercent: 90
      drainAtPercent: 95
    providerShares: {azure: 60}
  placement:
    strategy: Scale
    targets: [azure]
    sizes: [Standard_DC4es_v6]
    spot: Never
    spread: {by: region, maxSkew: 1, whenUnsatisfiable: ScheduleAnyway}
    lease: 50m
    drain: 10m
    minLife: 0s
    idle: 0s
    releaseOrder: DearestFirst
    returnHome: WhenStarted
    maxDisruptedPercent: 10
  confidential:
    tees: [TDX]
    secureBoot: true
    attestation: Required
    initdata: {configMap: initdata, key: initdata.toml}
    exec: Forbidden
    images: {allowed: [registry.bank.example/fraud/], digestOnly: false}
    secrets: {mode: Sealed, sealed: [model-key]}
    dataClass: secret
    jurisdictions: [DE]
"""
AZURE = """\
apiVersion: burster.dev/v1alpha1
kind: BurstTarget
metadata: {name: azure}
spec:
  provider: azure
  azure: {subscriptionId: 00000000-0000-0000-0000-000000000000, resourceGroup: burst, region: westeurope}
  runtimeClassName: kata-remote
  image: /gallery/image
  subnet: /subnets/peers
  sizes: [Standard_DC4es_v6]
  tees: [TDX]
  allowedNamespaces: [{name: bank, maxBursts: 2, maxVcpus: 8, budget: {perHour: "1"}}]
  requiredNamespaceLabels: {opt-in: "true"}
  dataClasses: [secret]
  jurisdiction: DE
  trustee: {url: https://trustee.bank.example}
  initdata: {configMap: initdata, key: initdata.toml}
  allowedMetricEndpoints: [https://thanos:9092]
  prices: {discountPercent: "12.5", perHour: {Standard_DC4es_v6: "0.19"}}
  limits: {maxBursts: 4}
  assumedPricePerHour: "1.5"
  whenQuotaUnknown: Refuse
  launchDeadline: 5m
  readyDeadline: 15m
  sweep: {mode: Report, grace: 5m}
"""
ONPREM = """\
apiVersion: burster.dev/v1alpha1
kind: BurstTarget
metadata: {name: onprem}
spec:
  provider: onprem
  region: frankfurt
  runtimeClassName: kata-qemu-tdx
  nodeSelector: {feature.node.kubernetes.io/cpu-security.tdx.enabled: "true"}
  catalogue:
  - size: node
    cpu: "64"
    memory: 256Gi
    gpus: 2
    devices: {habana.ai/gaudi: 8}
    tee: TDX
    pricePerHour: "1"
    zones: [a]
    spot: false
    family: f
"""
TEXTS = {"policy": POLICY, "azure": AZURE, "onprem": ONPREM}


def problems_of(text):
    try:
        compile_documents(load_text(text, "rules.yaml"))
    except PolicyErrors as errors:
        return errors.problems
    return ()


@pytest.mark.parametrize("name", TEXTS)
def test_the_texts_these_tests_start_from_are_valid(name):
    assert problems_of(TEXTS[name]) == ()


def schema_of(name):
    kind = "BurstPolicy" if name == "policy" else "BurstTarget"
    return next(root for root in json_schema()["oneOf"] if root["properties"]["kind"]["enum"] == [kind])


def leaves(value, schema, path=()):
    """Yield each field that is no mapping, with its schema."""
    if "oneOf" in schema:
        kind = value.get("type")
        forms = [form for form in schema["oneOf"] if form["type"] == "object"]
        schema = next(form for form in forms if kind is None or kind in form["properties"]["type"]["enum"])
    if isinstance(value, dict):
        for key, inner in value.items():
            known = schema["properties"][key] if key in schema.get("properties", {}) else schema["additionalProperties"]
            yield from leaves(inner, known, (*path, key))
    elif isinstance(value, list) and "items" in schema:
        yield path, schema
        for index, inner in enumerate(value):
            yield from leaves(inner, schema["items"], (*path, index))
    else:
        yield path, schema


NEVER = {"nothing": None, "a mapping": {"a": 1}, "a list in a list": [[1]]}
NOT_FINITE = {"not a number": math.nan, "infinity": math.inf, "minus infinity": -math.inf}
TEXT_WRONG = {"a number": 7, "a fraction": 1.5, "a boolean": True}
INTEGER = {
    **NOT_FINITE,
    "a fraction": 1.5,
    "cores in words": "12 cores",
    "a boolean": True,
    "a huge number": 10**30,
    "a very negative number": -(10**30),
    "no text": "",
    "octal": "0o17",
}
LOOSE = {
    **NOT_FINITE,
    "a negative number": -1,
    "negative text": "-1",
    "a unit": "5 apples",
    "NaN as text": "NaN",
    "Inf as text": "inf",
    "a boolean": True,
    "no text": "",
    "a decimal comma": "2,5",
    "hexadecimal": "0x10",
    "beyond reason": "1e400",
    "a blank before": " 1",
}
DURATION = {
    **TEXT_WRONG,
    **NOT_FINITE,
    "no unit": "30",
    "a unit in words": "30 minutes",
    "a negative one": "-30s",
    "sexagesimal": "1:30",
    "beyond a year": "400d",
    "no text": "",
    "a capital": "5M",
}


def wrong_values(path, schema):
    """Return what is wrong for a field of this form."""
    special = SPECIAL.get(path[-1] if isinstance(path[-1], str) else path[-2], {})
    match schema.get("type"):
        case "array":
            return {"nothing": None, "a mapping": {"a": 1}, "text": "a", "a number": 7}
        case "boolean":
            return {**NEVER, "a word": "maybe", "yes in quotes": "yes", "a number": 7, "text": "true"}
        case "integer":
            return {**NEVER, **INTEGER, "text": "4"}
        case list(kinds):
            return {**NEVER, **wrong_loose(kinds), **special}
        case _:
            return {**NEVER, **wrong_text(schema), **special}


def wrong_loose(kinds):
    """Return what is wrong for a field that takes text as well as something else."""
    if "integer" in kinds:
        return INTEGER
    if "number" in kinds:
        return {"blanks": " "} if "boolean" in kinds else LOOSE
    return {"a word": "maybe", "yes in quotes": "yes", "a number": 7, "no text": ""}


def wrong_text(schema):
    pattern = schema.get("pattern", "")
    if "ms|s|m|h|d" in pattern:
        return DURATION
    if "enum" in schema:
        return {**TEXT_WRONG, "another word": "Nonsense", "no text": "", "in small letters": "x"}
    tight = {"no text": "", "a line break": "a\nb", "a null byte": "a\0b", "very long": "a" * 10_000}
    return {**TEXT_WRONG, **(tight if pattern else {})}


ZONES = {"no zone": "Berlin", "an offset": "UTC+25", "a path": "../etc/passwd", "nowhere": "Europe/Nowhere"}
CRONS = {
    "four fields": "0 8 * *",
    "an hour too late": "0 24 * * *",
    "a short form": "@daily",
    "words": "every day at eight or nine",
    "a day that never is": "0 0 30 2 *",
}
DAYS = {
    "a German date": "01.12.2026",
    "no such day": "2026-02-30",
    "two digits": "26-12-01",
    "a time too": "2026-12-01T00:00",
}
TIMES = {"a German time": "8 Uhr", "one digit": "8:00", "past midnight": "24:01", "sixty minutes": "08:60"}
URLS = {
    "no scheme": "thanos:9092",
    "another scheme": "ftp://thanos",
    "a user": "https://a:b@thanos",
    "a blank": "https://tha nos",
    "no host": "https://",
    "a port too high": "https://thanos:99999",
}
SPECIAL = {
    "timezone": ZONES,
    "timeZone": ZONES,
    "start": CRONS,
    "end": CRONS,
    "firstDay": DAYS,
    "lastDay": DAYS,
    "from": TIMES,
    "to": TIMES,
    "days": {"a German day": "Mo", "in full": "Monday", "a date": "2026-12-01", "three days": "Mon-Wed-Fri"},
    "serverAddress": URLS,
    "url": URLS,
    "allowedMetricEndpoints": {
        **URLS,
        "a path": "https://thanos:9092/api",
        "capitals": "https://Thanos:9092",
        "no slash": "https:thanos",
    },
    "when": {
        "an open bracket": "pending.count > (3",
        "an unknown variable": "pendng.count > 3",
        "an unknown field": "pending.cnt > 3",
        "types that don't meet": "pending.count > 'a'",
        "no condition": "1 + 1",
        "one sign": "pending.count = 3",
    },
    "formula": {
        "an unknown trigger": "q + z",
        "an open bracket": "(q",
        "no number": "'a'",
        "a memory trigger": "q + memory",
    },
    "podNamePattern": {"an open bracket": "web-(", "for ever": "(a+)+", "look-ahead": "(?=a)b", "nothing": ""},
    "podSelector": {
        "an open bracket": "app in (a",
        "no operator": "app web",
        "nothing": "",
        "a capital In": "app In (a)",
    },
    "customHeaders": {
        "no value": "X-Scope",
        "a credential": "Authorization=Bearer x",
        "twice": "A=1,a=2",
        "no name": "=x",
    },
    "queryParameters": {"no value": "dedup", "twice": "a=1,a=2"},
    "authModes": {
        "unknown": "bearer,magic",
        "two that exclude each other": "bearer,basic",
        "twice": "tls,tls",
        "nothing": "",
    },
    "scalerAddress": {"no port": "scaler", "a scheme": "grpc://scaler:9090"},
    "value": {"nothing of it": "0", "a percent sign": "80%"},
    "timeout": {"too long": "61000", "nothing": "0", "in words": "3 seconds"},
    "discountPercent": {"more than all": "100.001", "a percent sign": "12%"},
    "sizes": {"in short": "DC4es_v6", "a blank": "Standard DC4es_v6", "small": "standard_DC4es_v6"},
    "threshold": {"zero": "0", "nearly zero": "0.0009"},
    "targetValue": {"zero": 0},
    "target": {"zero": "0.0"},
    "minCpu": {"memory": "1GiB"},
    "minMemory": {"in words": "1 GB", "GB": "1GB"},
    "resources": {"a blank": "nvidia gpu", "two slashes": "a/b/c"},
    "tees": {"none": "None", "SGX": "SGX"},
    "targets": {"capitals": "Azure"},
    "allowed": {"a tag": "registry/x:latest@y", "a scheme": "https://registry/x"},
    "subscriptionId": {"a name": "production"},
    "region": {"in full": "West Europe"},
    "image": {"no id": "ubuntu"},
    "jurisdictions": {"a sentence": "in the EU"},
    "dataClasses": {"a blank": "top secret"},
}

CASES = [
    (name, path, schema)
    for name, text in TEXTS.items()
    for path, schema in leaves(yaml.safe_load(text)["spec"], schema_of(name)["properties"]["spec"], ("spec",))
]


def put(value, path, new):
    changed = copy.deepcopy(value)
    inner = changed
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = new
    return changed


def check(name, path, schema, every=1, first=0):
    whole = yaml.safe_load(TEXTS[name])
    needed = {path[1], "workload", "placement", "scaleTargetRef", "provider", "azure", "region", "sizes", "catalogue"}
    whole["spec"] = {key: value for key, value in whole["spec"].items() if key in needed}
    here = path_text(path)
    untold, misplaced = [], []
    for what, value in list(wrong_values(path, schema).items())[first::every]:
        text = yaml.dump(put(whole, path, value), Dumper=yaml.CSafeDumper, sort_keys=False)
        found = problems_of(text)
        if not found:
            untold.append(what)
            continue
        (document,) = parse_yaml(text)
        mark = document.values[path]
        for problem in found:
            assert "\n" not in problem.message
            assert len(problem.message) < 600
        inside = (f"{here}[", f"{here}.")
        there = [problem for problem in found if problem.path == here or problem.path.startswith(inside)]
        if not there or (there[0].path == here and there[0].line != mark.line):
            misplaced.append((what, [str(problem) for problem in found]))
    assert (untold, misplaced) == ([], [])


IDS = [f"{name}: {path_text(path)}" for name, path, _ in CASES]
NUMBERED = [(*case, number) for number, case in enumerate(CASES)]


@pytest.mark.parametrize(("name", "path", "schema", "number"), NUMBERED, ids=IDS)
def test_a_field_that_is_wrong_is_told_at_its_place(name, path, schema, number):
    check(name, path, schema, every=4, first=number % 4)  # a quarter, each time another


@pytest.mark.long
@pytest.mark.parametrize(("name", "path", "schema"), CASES, ids=IDS)
def test_a_field_that_is_wrong_in_any_way_is_told_at_its_place(name, path, schema):
    check(name, path, schema)


def test_every_field_is_tried():
    assert len(CASES) > 200
    assert sum(len(wrong_values(path, schema)) for _, path, schema in CASES) > 2000
