"""``deploy/reaper``: its settings are read, its rights are what it asks for, its targets say what is theirs."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from burster.runtime.reaper import Reaper, ReaperOptions
from burster.runtime.reaper_cluster import ClusterReader
from burster.runtime.reaper_service import read_targets
from burster.settings import load_settings
from tests.support.abandoned import LeftCloud, LeftCluster, Wound


FOLDER = Path(__file__).parents[2] / "deploy" / "reaper"


def objects(name: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all((FOLDER / name).read_text("utf-8")) if one]


def test_its_settings_are_known_and_it_starts_by_telling_only(monkeypatch: pytest.MonkeyPatch) -> None:
    (container,) = objects("reaper.yaml")[0]["spec"]["template"]["spec"]["containers"]
    for variable in container["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    settings = load_settings()
    assert settings.reaper.mode == "report"
    assert settings.cluster_id == "prod-1"


async def test_its_rights_are_exactly_what_it_asks_for() -> None:
    clock = Wound()
    cluster = LeftCluster(clock=clock)
    asked: set[str] = set()
    original = cluster.get

    async def noted(path: str, params: dict[str, str] | None = None) -> bytes:
        asked.add(path)
        return await original(path, params)

    cluster.get = noted  # type: ignore[method-assign]
    reader = ClusterReader(cluster, clock.now_ms, home="burster-system")
    await Reaper(LeftCloud(), reader, clock, ReaperOptions(cluster="c")).round()
    await reader.read()
    rights = {
        (group, resource, verb)
        for role in objects("rbac.yaml")
        if role["kind"] in {"ClusterRole", "Role"}
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    wanted = {("", "events", "create"), ("", "events", "patch"), ("coordination.k8s.io", "leases", "get")}
    wanted |= {(path.split("/")[2], path.split("/")[4], "list") for path in asked if "/leases/" not in path}
    assert rights == wanted
    assert "/apis/coordination.k8s.io/v1/namespaces/burster-system/leases/burster" in asked


def test_its_targets_are_valid_and_say_what_is_theirs() -> None:
    (target,) = read_targets(str(FOLDER / "targets.yaml"))
    assert target.sweep_tags == {"burster-cluster": "prod-1"}


def test_it_is_somebody_else_than_the_controller() -> None:
    account = next(one for one in objects("rbac.yaml") if one["kind"] == "ServiceAccount")["metadata"]
    assert (account["namespace"], account["name"]) == ("burster-reaper", "burster-reaper")
    assert objects("reaper.yaml")[0]["spec"]["template"]["spec"]["serviceAccountName"] == "burster-reaper"
