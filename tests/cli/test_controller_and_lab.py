import json
import os
import signal
import subprocess
import sys
import time
import types

import pytest

from burster.cli import lab as lab_command
from burster.lab.options import LabAddresses


@pytest.fixture
def started(monkeypatch):
    """Record how the controller was started instead of starting it."""
    calls = []
    module = types.ModuleType("burster.runtime.service")
    module.run_controller = lambda settings, *, once: calls.append((settings, once))
    monkeypatch.setitem(sys.modules, "burster.runtime.service", module)
    return calls


def test_flags_win_over_variables_and_what_is_left_out_hides_nothing(burster, started, monkeypatch, tmp_path):
    monkeypatch.setenv("BURSTER_DRY_RUN", "true")
    monkeypatch.setenv("BURSTER_KUBE__CONTEXT", "bank")
    monkeypatch.setenv("BURSTER_LOG__FORMAT", "console")
    code, _, err = burster(
        "controller",
        "--once",
        "--kubeconfig",
        tmp_path / "k",
        "--listen",
        "[::1]:9000",
        "--log-level",
        "debug",
        "--ledger",
        "/l",
    )
    assert (code, err) == (0, "")
    ((settings, once),) = started
    assert once
    assert settings.dry_run
    assert (settings.kube.context, settings.kube.kubeconfig) == ("bank", str(tmp_path / "k"))
    assert (settings.http.host, settings.http.port) == ("::1", 9000)
    assert (settings.log.level, settings.log.format) == ("debug", "console")
    assert str(settings.ledger_path) == "/l"


def test_live_can_be_said_against_a_variable(burster, started, monkeypatch):
    monkeypatch.setenv("BURSTER_DRY_RUN", "true")
    burster("controller", "--live")
    ((settings, once),) = started
    assert (settings.dry_run, once) == (False, False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--listen", "here"], "--listen 'here' is no HOST:PORT", id="no address"),
        pytest.param(["--listen", "0.0.0.0:99999"], "BURSTER_HTTP__PORT", id="no port"),
    ],
)
def test_bad_flags(burster, started, arguments, said):
    code, _, err = burster("controller", *arguments)
    assert (code, started) == (2, [])
    assert said in err


@pytest.fixture
def served(monkeypatch):
    """A lab that is up for as long as it takes to look at it."""
    seen = {}
    module = types.ModuleType("burster.lab.world")

    def serve_lab(options, on_ready):
        seen["options"] = options
        on_ready(LabAddresses(api_url="http://127.0.0.1:1", arm_url="http://127.0.0.1:2", kubeconfig="kind: Config\n"))
        seen["record"] = lab_command.read_record()
        seen["config"] = (lab_command.lab_dir() / "kubeconfig").read_text()
        seen["mode"] = (lab_command.lab_dir() / "kubeconfig").stat().st_mode & 0o777

    module.serve_lab = serve_lab
    monkeypatch.setitem(sys.modules, "burster.lab.world", module)
    before = signal.getsignal(signal.SIGTERM)
    yield seen
    signal.signal(signal.SIGTERM, before)


def test_a_lab_says_where_it_is_and_leaves_no_record_behind(burster, served):
    code, out, _ = burster("lab", "up", "--seed", "3", "--port", "8001")
    assert code == 0
    assert "http://127.0.0.1:1" in out
    assert "kubectl --kubeconfig" in out
    assert (served["options"].seed, served["options"].api_port) == (3, 8001)
    assert served["record"].pid == os.getpid()
    assert (served["config"], served["mode"]) == ("kind: Config\n", 0o600)
    assert lab_command.read_record() is None


def a_sleeper():
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


def write_record(pid, started):
    lab_command.lab_dir().mkdir(parents=True)
    record = {"pid": pid, "started": started, "api_url": "http://127.0.0.1:1", "arm_url": "http://127.0.0.1:2"}
    (lab_command.lab_dir() / "record.json").write_text(json.dumps(record))


def test_down_ends_the_lab_that_is_up(burster):
    with a_sleeper() as process:
        write_record(process.pid, lab_command._started(process.pid))
        assert burster("lab", "up")[0] == 2
        code, out, _ = burster("lab", "down")
        assert (code, out) == (0, "The lab is down.\n")
        assert process.wait(timeout=10) == -signal.SIGTERM


def test_down_never_ends_a_process_that_only_has_the_number(burster):
    with a_sleeper() as process:
        write_record(process.pid, "1")
        assert burster("lab", "down")[:2] == (0, "No lab is up.\n")
        time.sleep(0.1)
        assert process.poll() is None
        process.kill()


def test_down_without_a_lab(burster):
    assert burster("lab", "down") == (0, "No lab is up.\n", "")
