"""A scenario file says what is to run; a mistake in it is told with its line, column and field."""

from pathlib import Path

import pytest

from burster.model.errors import InputError
from burster.model.limits import Budget, Limits
from burster.model.pods import Resources
from burster.simulator.readings import Point, Series
from burster.simulator.scenario import Overrides, load_scenario


ROOT = Path(__file__).parents[2]
GOOD = """\
cluster:
  nodes:
  - {count: 2, cpu: 4, memory: 8Gi}
trace:
  generate: {pods: 5, span: 1m}
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "scenario.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", sorted((ROOT / "simulations").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_scenario_loads(path):
    loaded = load_scenario(path)
    assert loaded.setup.policies
    assert loaded.setup.offerings
    assert all(
        offering.price_micro_usd_per_hour
        for offering in loaded.setup.offerings
        if offering.size.startswith("Standard_DC")
    )


def test_the_least_scenario_has_defaults_for_the_rest(tmp_path):
    setup = load_scenario(write(tmp_path, GOOD)).setup
    assert len(setup.nodes) == 2
    assert setup.nodes[0].cpu_millicores == 4000
    assert setup.policies == ()
    assert setup.epoch_ms == 1_767_600_000_000


def test_everything_that_can_be_said_is_understood(tmp_path):
    (tmp_path / "rules.yaml").write_text(
        (ROOT / "simulations" / "demo" / "policies.yaml").read_text()
        + "---\n"
        + (ROOT / "policies" / "targets" / "azure-westeurope-tdx.yaml").read_text()
    )
    text = GOOD + (
        "policies: [rules.yaml]\n"
        "cloud:\n"
        "  boot: {median: 50s}\n"
        "  failures: {probability: 1, mix: {SkuNotAvailable: 1}}\n"
        "  quota: {standardDCEV6Family: 8, cores: 16}\n"
        "  sizes: [{size: Standard_DC4es_v6, cpu: 4, memory: 16Gi, family: f, pricePerHour: 0.5}]\n"
        "  egress: {perVmHour: 1Gi, pricePerGib: '0.08'}\n"
        "latency: {api: 0s, arm: 1s, gc: 1m}\n"
        "seed: 3\nepoch: '2026-03-01T00:00:00+01:00'\npatience: 1h\n"
    )
    setup = load_scenario(write(tmp_path, text)).setup
    assert (setup.cloud.boot.median_ms, setup.cloud.boot.p95_ms) == (50_000, 50_000)
    assert setup.cloud.quota_vcpus == {"standarddcev6family": 8, "cores": 16}
    assert setup.cloud.egress_micro_usd_per_gib == 80_000
    prices = {offering.size: offering.price_micro_usd_per_hour for offering in setup.offerings}
    assert prices["Standard_DC4es_v6"] == 500_000
    assert prices["Standard_DC2es_v6"] == 120_800
    assert prices["Standard_EC2es_v6"] is None  # the list has no price for it in that region
    assert (setup.latency.api_ms, setup.latency.arm_ms, setup.latency.gc_ms) == (0, 1000, 60_000)
    assert setup.epoch_ms == 1_772_319_600_000


def test_the_command_line_has_the_last_word(tmp_path):
    trace = tmp_path / "own.csv"
    trace.write_text("arrival_ms,name\n0,a\n1,b\n2,c\n")
    policies = ROOT / "simulations" / "cluster" / "rules.yaml"
    setup = load_scenario(write(tmp_path, GOOD), Overrides(policies=(policies,), trace=trace, limit=2, seed=99)).setup
    assert [entry.name for entry in setup.trace.entries] == ["a", "b"]
    assert (setup.seed, [policy.name for policy in setup.policies]) == (99, ["tasks"])


BAD = {
    "an unknown field": ("nodez: 1\n" + GOOD, ":1:1: nodez: unknown field"),
    "a wrong quantity": (
        GOOD.replace("cpu: 4", "cpu: 12 cores"),
        ":3:21: cluster.nodes[0].cpu: '12 cores' is no cpu quantity",
    ),
    "a negative quantity": (GOOD.replace("8Gi", "'-1'"), "cluster.nodes[0].memory: '-1' is negative"),
    "an impossible number": (GOOD.replace("8Gi", "1e400"), "cluster.nodes[0].memory:"),
    "no nodes": (GOOD.replace("\n  - {count: 2, cpu: 4, memory: 8Gi}", " []"), "cluster.nodes"),
    "no trace": ("cluster: {nodes: [{cpu: 1, memory: 1Gi}]}\n", "trace: is required"),
    "a file and a plan": (GOOD + "  file: x.csv\n", "trace: give either file or generate"),
    "a duration without a unit": (GOOD.replace("1m", "60"), "trace.generate.span: 60 has no unit"),
    "a share beyond all": (GOOD + "cloud: {failures: {probability: 2}}\n", ":6:33: cloud.failures.probability:"),
    "a failure Azure doesn't have": (
        GOOD + "cloud: {failures: {mix: {Bad: 1}}}\n",
        "cloud.failures.mix: Bad is no failure",
    ),
    "a time without a zone": (GOOD + "epoch: '2026-01-01T00:00:00'\n", ":6:8: epoch: '2026-01-01T00:00:00' is no time"),
    "no mapping": ("- 1\n", ":1:1: expected a scenario"),
    "no YAML": ("cluster: [\n", ":2:1: "),
    "two documents": (
        GOOD + "---\n" + GOOD,
        "expected one YAML document with a scenario (a mapping with cluster and trace), found 2",
    ),
    "nothing": ("", "expected one YAML document with a scenario (a mapping with cluster and trace), found 0"),
    "a trace that is not there": (
        GOOD.replace("generate: {pods: 5, span: 1m}", "file: none.csv"),
        "none.csv: there is no such file",
    ),
    "a series of no policy": (
        GOOD + "metrics:\n- {policy: x, trigger: t, formula: '1'}\n",
        ":7:12: metrics[0].policy: there is no policy x: none",
    ),
    "neither values nor a formula": (
        GOOD + "metrics:\n- {policy: x, trigger: t}\n",
        "metrics[0]: give either values or formula",
    ),
    "neither a value nor a failure": (
        GOOD + "metrics:\n- {policy: x, trigger: t, values: [{at: 0s}]}\n",
        "metrics[0].values[0]: give either value or fails",
    ),
    "a value that is none": (
        GOOD + "metrics:\n- {policy: x, trigger: t, values: [{at: 0s, value: -1}]}\n",
        "metrics[0].values[0].value:",
    ),
    "a value beyond reason": (
        GOOD + "metrics:\n- {policy: x, trigger: t, values: [{at: 0s, value: 1e13}]}\n",
        "a value is a number from 0 to 1000000000000",
    ),
    "a workload of no target": (
        GOOD + "workloads:\n- {name: w, target: t, size: s}\n",
        "workloads[0].target: there is no target t: none",
    ),
    "a target without a size": (
        GOOD + "workloads:\n- {name: w, target: t}\n",
        "give target and size together, or neither",
    ),
    "a limit below nothing": (
        GOOD.replace("cluster:\n", "cluster:\n  limits: {maxBursts: -1}\n"),
        "cluster.limits.maxBursts",
    ),
    "a policy that is not there": (GOOD + "policies: [none.yaml]\n", "none.yaml: no such file"),
}


SCALED = (
    GOOD
    + """\
policies: [rules.yaml]
targets: [TARGET]
metrics:
- policy: scale
  trigger: queue
  values: [{at: 5m, value: 2.5}, {at: 0s, value: 0}, {at: 10m, fails: refused}]
workloads:
- {name: cloud, namespace: default, target: azure-westeurope-tdx, size: Standard_DC4es_v6, standsInFor: web, replicas: 1}
""".replace("TARGET", str(ROOT / "policies" / "targets" / "azure-westeurope-tdx.yaml"))
)
RULES = """\
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {name: scale, namespace: default}
spec:
  workload: {namePattern: web}
  scaleTargetRef: {name: cloud}
  triggers: [{type: external, name: queue, metadata: {targetValue: 1}}]
  placement: {strategy: Scale, targets: [azure-westeurope-tdx]}
"""


def test_a_scenario_says_what_triggers_read_and_what_is_scaled(tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES)
    text = SCALED.replace(
        "cluster:\n",
        "cluster:\n  namespaces: {default: {burst: allowed}}\n  limits: {maxVcpus: 8, budget: {perDay: '5'}}\n",
    )
    setup = load_scenario(write(tmp_path, text)).setup
    assert setup.metrics == (
        Series(
            policy="default/scale",
            trigger="queue",
            points=(
                Point(at_ms=0),
                Point(at_ms=300_000, value_milli=2_500),
                Point(at_ms=600_000, fails="refused"),
            ),
            until_ms=600_000,
        ),
    )
    (cloud,) = setup.workloads
    assert (cloud.key, cloud.replicas, cloud.stands_in_for) == (("default", "Deployment", "cloud"), 1, "web")
    assert cloud.requests == Resources(cpu_millicores=1_000, memory_bytes=1 << 30)
    assert setup.namespaces == {"default": {"burst": "allowed"}}
    assert setup.limits == Limits(max_vcpus=8, budget=Budget(per_day_micro_usd=5_000_000))


@pytest.mark.parametrize(
    ("old", "new", "want"),
    [
        (
            "trigger: queue",
            "trigger: other",
            "metrics[0].trigger: policy default/scale has no trigger other: it has queue",
        ),
        ("size: Standard_DC4es_v6", "size: X", "workloads[0].size: target azure-westeurope-tdx does not allow size X"),
        (
            "  values: [{at: 5m, value: 2.5}, {at: 0s, value: 0}, {at: 10m, fails: refused}]",
            "  formula: second * 2",
            "second",
        ),
        (
            "workloads:",
            "- {policy: default/scale, trigger: queue, formula: '1'}\nworkloads:",
            "metrics[1].trigger: trigger queue of policy default/scale is read twice",
        ),
    ],
)
def test_what_does_not_fit_the_rules_is_told(tmp_path, old, new, want):
    (tmp_path / "rules.yaml").write_text(RULES)
    assert old in SCALED
    with pytest.raises(InputError) as caught:
        load_scenario(write(tmp_path, SCALED.replace(old, new)))
    assert want in str(caught.value)


@pytest.mark.parametrize(("text", "want"), BAD.values(), ids=BAD.keys())
def test_a_mistake_is_told_with_its_place(tmp_path, text, want):
    with pytest.raises(InputError) as caught:
        load_scenario(write(tmp_path, text))
    assert want in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path):
    with pytest.raises(InputError) as caught:
        load_scenario(write(tmp_path, "cluster: {nodes: [{cpu: x, memory: y}]}\ntrace: {}\nseed: many\n"))
    message = str(caught.value)
    assert message.startswith("4 problems:")
    assert all(field in message for field in ("cpu", "memory", "trace: give", "seed"))


@pytest.mark.parametrize("what", ["missing", "directory", "binary", "huge"])
def test_what_is_no_readable_file_is_unreadable(tmp_path, what):
    path = tmp_path / "scenario.yaml"
    if what == "directory":
        path.mkdir()
    elif what == "binary":
        path.write_bytes(b"\xff\xfe\x00")
    elif what == "huge":
        path.write_bytes(b"#" * (2 << 20))
    with pytest.raises(InputError) as caught:
        load_scenario(path)
    assert caught.value.exit_code == 2
