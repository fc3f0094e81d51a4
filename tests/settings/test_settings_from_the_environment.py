from pathlib import Path

import pydantic
import pytest

from burster.model.errors import InputError
from burster.model.limits import Budget, Limits
from burster.settings import PriceSettings, debug_wanted, load_settings, state_dir


@pytest.fixture(autouse=True)
def _bare(monkeypatch, tmp_path):
    import os

    for name in list(os.environ):
        if name.startswith("BURSTER_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)


def test_the_defaults_are_the_design_s_numbers():
    settings = load_settings()
    assert (settings.batching.max_delay_ms, settings.executor.concurrency) == (200, 16)
    ticks = settings.ticks
    assert (ticks.evaluate_ms, ticks.gc_ms, ticks.offerings_ms, ticks.quota_ms) == (
        15_000,
        120_000,
        43_200_000,
        600_000,
    )
    assert settings.ledger_path == Path.home() / ".local/state/burster/ledger.sqlite"
    assert not settings.dry_run


def test_variables_are_read_and_flags_win(monkeypatch):
    monkeypatch.setenv("BURSTER_HTTP__PORT", "9000")
    monkeypatch.setenv("BURSTER_DRY_RUN", "true")
    monkeypatch.setenv("BURSTER_KUBE__CONTEXT", "bank")
    monkeypatch.setenv("BURSTER_LEDGER_PATH", "")
    settings = load_settings(dry_run=False, kube={"kubeconfig": "k.yaml"})
    assert (settings.http.port, settings.http.host) == (9000, "0.0.0.0")
    assert not settings.dry_run
    assert (settings.kube.context, settings.kube.kubeconfig) == ("bank", "k.yaml")
    assert settings.ledger_path.name == "ledger.sqlite"


def test_settings_are_frozen():
    settings = load_settings()
    with pytest.raises(pydantic.ValidationError):
        settings.http.port = 1
    with pytest.raises(pydantic.ValidationError):
        settings.dry_run = True


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        pytest.param(
            "BURSTER_HTTP__PORT", "eighty", r"BURSTER_HTTP__PORT: .*integer.*\(it is 'eighty'\)", id="no number"
        ),
        pytest.param("BURSTER_HTTP__PORT", "70000", r"BURSTER_HTTP__PORT: .*65535", id="no port"),
        pytest.param("BURSTER_EXECUTOR__CONCURRENCY", "0", "BURSTER_EXECUTOR__CONCURRENCY: ", id="nothing may run"),
        pytest.param("BURSTER_TICKS__GC_MS", "-5", "BURSTER_TICKS__GC_MS: .*greater than 0", id="a negative interval"),
        pytest.param("BURSTER_LOG__LEVEL", "loud", "BURSTER_LOG__LEVEL: .*'debug'", id="an unknown level"),
        pytest.param("BURSTER_CLUSTER_ID", "Bank One", "BURSTER_CLUSTER_ID: ", id="an impossible id"),
        pytest.param("BURSTER_ARM__BASE_URL", "ftp://x", "BURSTER_ARM: 'ftp://x' is no http", id="no address"),
        pytest.param(
            "BURSTER_ARM__BASE_URL", "http://arm.example", "BURSTER_ARM: .*plain http", id="a token in the clear"
        ),
        pytest.param("BURSTER_ARM__AUTH", "none", "BURSTER_ARM: auth none", id="nobody at the real ARM"),
        pytest.param(
            "BURSTER_PRICES__URL", "https://u:p@x/", "BURSTER_PRICES: .*password", id="a password in an address"
        ),
        pytest.param(
            "BURSTER_METRICS__NETWORKS", "everywhere", "BURSTER_METRICS: 'everywhere' is no network", id="no network"
        ),
        pytest.param("BURSTER_PRISES__URL", "https://x/", "BURSTER_PRISES__URL sets nothing", id="a misspelt section"),
        pytest.param("BURSTER_HTTP__PRT", "1", "BURSTER_HTTP__PRT sets nothing", id="a misspelt field"),
        pytest.param("BURSTER_DRYRUN", "true", "BURSTER_DRYRUN sets nothing", id="a misspelt value"),
        pytest.param("BURSTER_HTTP_PORT", "80", "BURSTER_HTTP_PORT sets nothing", id="one underscore too few"),
        pytest.param("BURSTER_HTTP", "{", "can't be read", id="broken JSON for a section"),
    ],
)
def test_a_wrong_value_is_a_sentence_that_names_the_variable(monkeypatch, name, value, sentence):
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=sentence):
        load_settings()


def test_networks_of_metrics_are_separated_by_commas(monkeypatch):
    monkeypatch.setenv("BURSTER_METRICS__NETWORKS", "10.20.0.0/16, fd12::/32")
    assert load_settings().metrics.networks == "10.20.0.0/16, fd12::/32"


def test_the_loopback_stand_in_may_be_plain_and_open():
    settings = load_settings(arm={"base_url": "http://127.0.0.1:1234", "auth": "none"})
    assert settings.arm.auth == "none"


def test_in_cluster_and_a_kubeconfig_contradict_each_other():
    with pytest.raises(InputError, match="BURSTER_KUBE: in_cluster uses the pod's own account"):
        load_settings(kube={"in_cluster": True, "context": "bank"})


@pytest.mark.parametrize(("value", "want"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_debug(monkeypatch, value, want):
    monkeypatch.setenv("BURSTER_DEBUG", value)
    assert debug_wanted() is want


def test_a_relative_state_directory_is_ignored(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    assert state_dir() == tmp_path / ".local/state/burster"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "x"))
    assert state_dir() == tmp_path / "x/burster"


def test_where_price_lists_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert PriceSettings().for_client().cache_folder == str(tmp_path / ".cache/burster/prices")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert PriceSettings().for_client().cache_folder == str(tmp_path / "x/burster/prices")
    assert PriceSettings(cache_dir="-").for_client().cache_folder == ""
    assert PriceSettings(cache_dir="/lists", max_age_days=2).for_client().cache_folder == "/lists"
    assert PriceSettings(max_age_days=2).for_client().max_age_ms == 2 * 86_400_000
    with pytest.raises(ValueError, match="absolute path"):
        PriceSettings(cache_dir="lists")


def test_the_variables_of_a_service_named_burster_are_the_kubelet_s_own(monkeypatch):
    for name, value in {
        "BURSTER_SERVICE_HOST": "10.0.0.7",
        "BURSTER_SERVICE_PORT": "8080",
        "BURSTER_SERVICE_PORT_HTTP": "8080",
        "BURSTER_PORT": "tcp://10.0.0.7:8080",
        "BURSTER_PORT_8080_TCP": "tcp://10.0.0.7:8080",
        "BURSTER_PORT_8080_TCP_ADDR": "10.0.0.7",
        "BURSTER_WEBHOOK_SERVICE_HOST": "10.0.0.8",
        "BURSTER_WEBHOOK_PORT": "tcp://10.0.0.8:443",
    }.items():
        monkeypatch.setenv(name, value)
    assert load_settings().http.port == 8080


def test_the_cluster_has_no_limits_unless_somebody_sets_them(monkeypatch):
    assert load_settings().cluster_limits == Limits()
    assert load_settings().namespace == "burster-system"
    for name, value in {
        "BURSTER_CLUSTER_MAX_BURSTS": "0",
        "BURSTER_CLUSTER_MAX_VCPUS": "64",
        "BURSTER_CLUSTER_BUDGET_PER_HOUR": "1.50",
        "BURSTER_CLUSTER_BUDGET_PER_DAY": "20",
        "BURSTER_CLUSTER_BUDGET_PER_MONTH": "300",
        "BURSTER_CLUSTER_BUDGET_TIME_ZONE": "Europe/Berlin",
        "BURSTER_NAMESPACE": "platform",
    }.items():
        monkeypatch.setenv(name, value)
    assert load_settings().cluster_limits == Limits(
        max_bursts=0,
        max_vcpus=64,
        budget=Budget(
            per_hour_micro_usd=1_500_000,
            per_day_micro_usd=20_000_000,
            per_month_micro_usd=300_000_000,
            timezone="Europe/Berlin",
        ),
    )
    assert load_settings().namespace == "platform"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("BURSTER_CLUSTER_MAX_BURSTS", "-1", "BURSTER_CLUSTER_MAX_BURSTS: .*greater than or equal to 0"),
        ("BURSTER_CLUSTER_BUDGET_PER_DAY", "20 EUR", "BURSTER_CLUSTER_BUDGET_PER_DAY: .*no amount of money"),
        ("BURSTER_CLUSTER_BUDGET_TIME_ZONE", "Berlin", "BURSTER_CLUSTER_BUDGET_TIME_ZONE: expected an IANA time zone"),
        ("BURSTER_CLUSTER_BUDGET", "20", "BURSTER_CLUSTER_BUDGET sets nothing"),
        ("BURSTER_NAMESPACE", "../x", "BURSTER_NAMESPACE: "),
    ],
)
def test_a_wrong_limit_of_the_cluster_is_never_silent(monkeypatch, name, value, sentence):
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=sentence):
        load_settings()


def test_more_than_one_replica_needs_a_ledger_that_all_of_them_reach(monkeypatch):
    monkeypatch.setenv("BURSTER_REPLICAS", "2")
    with pytest.raises(InputError, match=r"BURSTER_REPLICAS is 2, .* set BURSTER_LEDGER__POSTGRES"):
        load_settings()
    monkeypatch.setenv("BURSTER_LEDGER__POSTGRES", "postgresql://db.bank.example/burster?sslmode=verify-full")
    place = load_settings().ledger_place
    assert place.shared
    assert (place.address.schema, place.rotation.keep_segments) == ("burster", 15)


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            {"LEDGER__POSTGRES": "postgresql://b:hunter2@db/burster"},
            "BURSTER_LEDGER: an address must not carry a password",
        ),
        ({"LEDGER__POSTGRES": "postgresql://db.bank.example/b"}, "nothing says how the connection is protected"),
        ({"LEDGER__POSTGRES": "postgresql:///b", "LEDGER__POSTGRES_SCHEMA": "a-b"}, "no name for a schema"),
        ({"LEDGER__KEEP_DAYS": "-1"}, "BURSTER_LEDGER__KEEP_DAYS"),
        ({"ELECTION__LEASE_MS": "11000"}, "a leader has to stop before anybody follows"),
        ({"ELECTION__RETRY_MS": "6000", "ELECTION__LEASE_MS": "20000"}, "one lost request must not end a lead"),
    ],
)
def test_what_would_not_do_for_ledger_and_election_is_refused(monkeypatch, variables, sentence):
    for name, value in variables.items():
        monkeypatch.setenv(f"BURSTER_{name}", value)
    with pytest.raises(InputError, match=sentence) as raised:
        load_settings()
    assert "hunter2" not in str(raised.value)
