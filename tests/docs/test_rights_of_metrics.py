"""Metric triggers under exactly the rights of deploy/opt-in: enough where they were given, and told where they were not."""

from pathlib import Path
from typing import Any

import yaml

from burster.lab.lockstep import LabClock, run_lockstep
from burster.lab.site import Site
from burster.policy.endpoints import endpoint_of
from burster.sources.trigger_auth import ENDPOINTS_ANNOTATION
from tests.docs.rights import ROOT, Rights, documents
from tests.support.classic import Classic, Page, a_classic, a_definition, a_prometheus, a_rule, a_target
from tests.support.metrics import CLASSIC, a_secret


#: what a controller that acts has beyond rbac.yaml
ACTS = ("targets.yaml", "own.yaml")
METRICS = ("opt-in/metrics/role.yaml", "opt-in/cluster-metrics/role.yaml", *ACTS)
TOKEN = "sesame-open-up"


def a_metrics_kind(group: str, plural: str, kind: str) -> dict[str, Any]:
    """A metrics API as the API server shows it: a kind whose list is what metrics-server or an adapter answers."""
    made = a_definition(kind, namespaced=True)
    made["metadata"]["name"] = f"{plural}.{group}"
    made["spec"] |= {"group": group, "names": {"kind": kind, "plural": plural, "singular": kind.lower()}}
    made["spec"]["versions"][0]["name"] = "v1beta1"
    return made


def an_object(api_version: str, kind: str, name: str, **content: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **content}


def an_auth(kind: str, name: str, holder: str) -> dict[str, Any]:
    references = [{"parameter": "bearerToken", "name": holder, "key": "token"}]
    return an_object("keda.sh/v1alpha1", kind, name, spec={"secretTargetRef": references})


def prepare(site: Site, rights: Rights, url: str) -> None:
    store = site.store
    for kind in (
        a_metrics_kind("metrics.k8s.io", "pods", "PodMetrics"),
        a_metrics_kind("external.metrics.k8s.io", "queue-depth", "ExternalMetricValue"),
    ):
        store.create("customresourcedefinitions.apiextensions.k8s.io", "", kind)
    value = an_object("external.metrics.k8s.io/v1beta1", "ExternalMetricValue", "one", value="3")
    store.create("queue-depth.external.metrics.k8s.io", "default", value)
    store.create("triggerauthentications.keda.sh", "default", an_auth("TriggerAuthentication", "own", "thanos"))
    shared = an_auth("ClusterTriggerAuthentication", "shared", "burster-metrics")
    shared["metadata"]["annotations"] = {ENDPOINTS_ANNOTATION: url}
    store.create("clustertriggerauthentications.keda.sh", "", shared)
    for namespace, name in (("default", "thanos"), ("burster-system", "burster-metrics"), ("burster-system", "other")):
        store.create("secrets", namespace, an_object("v1", "Secret", name, **a_secret(token=TOKEN)))
    site.api.faults = rights


def triggers(url: str) -> list[dict[str, Any]]:
    metadata = {"serverAddress": url, "query": CLASSIC, "threshold": "1", "authModes": "bearer"}
    shared = {"name": "shared", "kind": "ClusterTriggerAuthentication"}
    return [
        {"type": "prometheus", "name": "own", "metadata": metadata, "authenticationRef": {"name": "own"}},
        {"type": "prometheus", "name": "shared", "metadata": metadata, "authenticationRef": shared},
        {"type": "external", "name": "queue", "metadata": {"metricName": "queue-depth", "targetValue": "1"}},
        {"type": "cpu", "name": "cpu", "metadata": {"value": "80"}, "sourceRef": {"name": "on-prem"}},
        {"type": "kubernetes-workload", "name": "pods", "metadata": {"podSelector": "app=on-prem", "value": "1"}},
    ]


def run_under(rights: Rights, folder: Path, **changes: Any) -> dict[str, str]:
    """Return what keeps each trigger from having a value, in words; empty for one that has."""
    told: dict[str, str] = {}

    async def main(clock: LabClock) -> None:
        page = Page()
        page.pending = 1
        async with a_prometheus(clock, page, demands={"Authorization": f"Bearer {TOKEN}"}) as prometheus:
            rule = yaml.safe_load(a_rule(prometheus.url))
            rule["spec"]["triggers"] = triggers(prometheus.url)
            rules = f"{a_target(prometheus.url)}---\n{yaml.safe_dump(rule)}"

            def before(site: Site) -> None:
                site.store.create("deployments.apps", "default", an_on_prem_deployment())
                prepare(site, rights, prometheus.url)
                for change in changes.values():
                    change(site)

            async with a_classic(clock, folder, rules, before=before) as classic:
                await clock.sleep(120)
                told.update(_missing(classic))

    run_lockstep(main)
    return told


def an_on_prem_deployment() -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"app": "on-prem"}},
        "spec": {"containers": [{"name": "a", "image": "a", "resources": {"requests": {"cpu": "100m"}}}]},
    }
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "on-prem"}}, "template": template}
    return an_object("apps/v1", "Deployment", "on-prem", spec=spec)


def _missing(classic: Classic) -> dict[str, str]:
    readings = classic.controller.loop.state.policies["default/classic"].readings
    return {name: one.message if one.value_milli is None and one.use is None else "" for name, one in readings.items()}


def test_metric_triggers_of_every_kind_under_the_shipped_rights(tmp_path: Path) -> None:
    rights = Rights("default", METRICS)
    assert run_under(rights, tmp_path) == {"own": "", "shared": "", "queue": "", "cpu": "", "pods": ""}
    assert rights.refused == set()
    for_metrics = {right for right in rights.granted if "metrics" in right[0] or "credentials" in right[0]}
    assert len(for_metrics) == 6
    assert for_metrics <= rights.used


def test_without_the_opt_in_no_secret_is_read_and_it_is_said_why(tmp_path: Path) -> None:
    rights = Rights("default", ACTS)
    told = run_under(rights, tmp_path)
    assert told.pop("pods") == ""
    assert all("burster has no right to: see deploy/opt-in/metrics" in told[name] for name in ("own", "shared"))
    assert all("forbidden" in told[name].lower() for name in ("queue", "cpu")), told
    assert "get secrets in default" not in rights.refused, "the authentication is asked for first, and that is refused"


def test_of_bursters_own_namespace_only_the_named_secret_is_read(tmp_path: Path) -> None:
    def name_another(site: Site) -> None:
        another = {"spec": {"secretTargetRef": [{"parameter": "bearerToken", "name": "other", "key": "token"}]}}
        site.store.patch("clustertriggerauthentications.keda.sh", "", "shared", another)

    rights = Rights("default", METRICS)
    told = run_under(rights, tmp_path, named=name_another)
    assert "Secret burster-system/other can't be read (burster has no right to" in told["shared"]
    assert rights.refused == {"get secrets in burster-system"}


def test_secrets_are_read_one_by_one_and_nowhere_for_the_whole_cluster() -> None:
    for role in documents("rbac.yaml", *METRICS):
        for rule in role.get("rules", ()):
            if "secrets" in rule["resources"]:
                assert role["kind"] == "Role"
                assert rule["verbs"] == ["get"]


def test_the_network_lets_the_shipped_targets_endpoints_through() -> None:
    (policy,) = (each for each in documents("network.yaml") if each["kind"] == "NetworkPolicy")
    open_ports = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
    targets = _shipped_targets()
    endpoints = {one for target in targets for one in target["spec"].get("allowedMetricEndpoints") or ()}
    ports = {int(endpoint_of(one).rpartition(":")[2]) for one in endpoints}
    assert ports
    assert ports <= open_ports


def _shipped_targets() -> list[dict[str, Any]]:
    files = sorted((ROOT / "policies" / "targets").glob("*.yaml"))
    return [each for file in files for each in yaml.safe_load_all(file.read_text()) if each["kind"] == "BurstTarget"]
