"""Everything a person can get wrong, given to the real program: one sentence, the right exit code, nothing left behind."""

import os
import re
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from _pytest.mark import ParameterSet

from tests.e2e.processes import Ended, World, end_group, is_alone, until


ROOT = Path(__file__).parents[2]
RULES = (ROOT / "simulations/demo/policies.yaml").read_text()
HEADER = "arrival_ms,name,kind,duration_ms,replicas,cpu_millicores,memory_bytes,gpus,namespace,priority,labels"
FIRST_ROW = "57915,task-1,Pod,152000,1,3000,6442450944,0,default,0,"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def says(ended: Ended, code: int, *parts: str, lines: int = 1) -> None:
    """Check the one sentence; a file with several problems may have a line for each."""
    assert ended.code == code, ended
    assert "Traceback" not in ended.err
    assert ended.err.startswith("burster: "), ended
    assert ended.err.count("\n") <= lines, ended.err
    for part in parts:
        assert part in ended.err, ended.err


def some(names: Iterable[str], quick: int) -> list[ParameterSet]:
    """Return the first names for every day and the others for the long run: each costs a process of its own."""
    return [pytest.param(name, marks=() if number < quick else pytest.mark.long) for number, name in enumerate(names)]


class File(NamedTuple):
    """A file that is wrong: what is in it, and what must be said about it."""

    text: str
    said: str


def broken(old: str, new: str) -> str:
    assert old in RULES
    return RULES.replace(old, new, 1)


POLICIES = {
    "no YAML": File("a: [1, 2\n", "rules.yaml:2:1: this is not YAML"),
    "another kind": File(
        "kind: Pod\napiVersion: v1\nmetadata: {name: x}\n", "rules.yaml:1:7: kind: expected BurstPolicy"
    ),
    "an unknown field": File(
        broken("maxBursts: 4", "maxBurst: 4"), "rules.yaml:17:5: spec.limits.maxBurst: unknown field; did you mean"
    ),
    "less than none": File(broken("maxBursts: 4", "maxBursts: -1"), "rules.yaml:17:16: spec.limits.maxBursts: "),
    "endless money": File(broken('"2.00"', '"1e400"'), "spec.limits.budget.perHour: '1e400' is no amount of money"),
    "no number of money": File(broken('"2.00"', '".nan"'), "spec.limits.budget.perHour: "),
    "no duration": File(broken("lease: 30m", "lease: 12 cores"), "spec.placement.lease: '12 cores' is no duration"),
    "nothing": File("", "rules.yaml: "),
}


#: each wrong file is given to the quickest command that reads it, and, where there is time, to the demo as well
QUICK_AND_LONG = [pytest.param(False, id="quick"), pytest.param(True, id="demo", marks=pytest.mark.long)]


@pytest.mark.parametrize("in_demo", QUICK_AND_LONG)
@pytest.mark.parametrize("name", some(POLICIES, 4))
def test_a_policy_that_is_wrong(world: World, tmp_path: Path, name: str, in_demo: bool) -> None:
    text, said = POLICIES[name]
    (tmp_path / "rules.yaml").write_text(text)
    command = ("demo", "--out", "run", "--policy") if in_demo else ("policy", "validate")
    says(world.run(*command, "rules.yaml"), 2 if name in {"no YAML", "nothing"} else 1, said)
    assert not (tmp_path / "run").exists()


TRACES = {
    "a missing column": File(f"name,kind,duration_ms\n{FIRST_ROW}\n", "trace.csv:1: "),
    "NaN": File("57916,task-2,Pod,NaN,1,3000,1,0,default,0,", "trace.csv:3: column duration_ms: 'NaN' is not a number"),
    "a negative duration": File("57916,task-2,Pod,-5,1,3000,1,0,default,0,", "trace.csv:3: column duration_ms: '-5'"),
    "time runs backwards": File(
        "57,task-2,Pod,5,1,3000,1,0,default,0,", "trace.csv:3: column arrival_ms: time runs back"
    ),
    "12 cores": File("57916,task-2,Pod,5,1,12 cores,1,0,default,0,", "trace.csv:3: column cpu_millicores: '12 cores'"),
    "1e400": File("57916,task-2,Pod,5,1,1e400,1,0,default,0,", "trace.csv:3: column cpu_millicores: '1e400'"),
    "a name twice": File(
        "57916,task-1,Pod,5,1,3000,1,0,default,0,", "trace.csv:3: column name: default/task-1 is used"
    ),
    "no label": File('57916,task-2,Pod,5,1,3000,1,0,default,0,"a b=c"', "trace.csv:3: column labels: "),
    "too few cells": File("57916,task-2,Pod", "trace.csv:3: the line has 3 cells"),
    "no bytes of text": File(
        "57916,task-\udcff,Pod,5,1,3000,1,0,default,0,", "trace.csv:3: byte 12 of the line is no UTF-8"
    ),
    "nothing": File("", "trace.csv: the file is empty"),
    "a header only": File(f"{HEADER}\n", "trace.csv: the file has a header and no records"),
}


@pytest.mark.parametrize("in_demo", QUICK_AND_LONG)
@pytest.mark.parametrize("name", some(TRACES, 4))
def test_a_trace_that_is_wrong(world: World, tmp_path: Path, name: str, in_demo: bool) -> None:
    text, said = TRACES[name]
    whole = text if name in {"a missing column", "nothing", "a header only"} else f"{HEADER}\n{FIRST_ROW}\n{text}\n"
    (tmp_path / "trace.csv").write_bytes(whole.encode(errors="surrogateescape"))
    command = ("demo", "--trace") if in_demo else ("trace", "inspect")
    says(world.run(*command, "trace.csv"), 2, said)
    assert world.runs == []


def places(tmp_path: Path) -> Iterator[str]:
    """Make files that are none, and name them."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    yield from ("missing", "folder", "pipe", "loop", "folder/missing/deep", "x" * 5_000)


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("policy", "validate"), id="policy validate", marks=pytest.mark.long),
        pytest.param(("simulate",), id="simulate", marks=pytest.mark.long),
        pytest.param(("trace", "inspect"), id="trace inspect"),
        pytest.param(("demo", "--trace"), id="demo --trace", marks=pytest.mark.long),
        pytest.param(("demo", "--policy"), id="demo --policy", marks=pytest.mark.long),
        pytest.param(("history", "--run"), id="history --run"),
        pytest.param(("controller", "--once", "--kubeconfig"), id="controller --kubeconfig", marks=pytest.mark.long),
    ],
)
def test_a_file_that_cannot_be_read(world: World, tmp_path: Path, command: tuple[str, ...]) -> None:
    for place in places(tmp_path):
        ended = world.run(*command, place)
        says(ended, 2, place[:50])
        assert ended.seconds < 30
    assert world.runs == []


def test_a_line_of_two_gigabytes_costs_nothing(world: World, tmp_path: Path) -> None:
    with (tmp_path / "long.csv").open("wb") as file:
        file.write(f"{HEADER}\n".encode())
        file.truncate(2 << 30)
    ended = world.run("trace", "inspect", "long.csv", limit_bytes=1 << 30)
    says(ended, 2, "long.csv:2: the line is longer than")
    says(world.run("policy", "validate", "long.csv", limit_bytes=1 << 30), 2, "long.csv")


def test_a_line_without_end_through_a_pipe(world: World, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "endless.csv")

    def write() -> None:
        try:
            with (tmp_path / "endless.csv").open("wb", buffering=0) as pipe:
                while True:
                    pipe.write(b"x" * 65_536)
        except BrokenPipeError:
            return

    writer = threading.Thread(target=write)
    writer.start()
    ended = world.run("trace", "inspect", "endless.csv", limit_bytes=1 << 30)
    writer.join(timeout=30)
    says(ended, 2, "endless.csv:1: the line is longer than")


def test_a_trace_through_a_pipe_is_a_trace(world: World, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "trace.csv")
    writer = threading.Thread(target=(tmp_path / "trace.csv").write_text, args=(f"{HEADER}\n{FIRST_ROW}\n",))
    writer.start()
    ended = world.run("trace", "inspect", "trace.csv")
    writer.join(timeout=30)
    assert (ended.code, ended.err) == (0, "")
    assert "1 pods" in ended.out


USAGE: dict[str, tuple[list[str], str]] = {
    "no such scenario": (["demo", "--scenario", "nosuch"], "there is no scenario nosuch: use one of"),
    "no pods at all": (["demo", "--limit", "0"], "Invalid value for '--limit'"),
    "a seed in words": (["demo", "--seed", "seven"], "Invalid value for '--seed'"),
    "no speed": (["demo", "--speed", "0"], "Invalid value for '--speed'"),
    "endless speed": (["demo", "--speed", "inf"], "Invalid value for '--speed'"),
    "no number for a speed": (["demo", "--speed", "nan"], "Invalid value for '--speed'"),
    "an unknown output": (["demo", "-o", "xml"], "Invalid value for '-o'"),
    "a full device": (["demo", "--out", "/dev/full"], "/dev/full can't hold the run"),
    "nowhere": (["demo", "--out", "/proc/nope"], "/proc/nope can't hold the run"),
    "an unknown command": (["dmo"], "No such command 'dmo'"),
    "no run here": (["history", "--run", ".", "--since", "abc"], "there is no ledger here"),
    "no cluster at all": (["controller", "--once"], "there is no kubeconfig at ~/.kube/config"),
    "no room": (["controller", "--once", "--ledger", "/dev/full"], "the ledger can't be written"),
    "no address": (["controller", "--listen", "here"], "--listen 'here' is no HOST:PORT"),
    "no port": (["lab", "up", "--port", "70000"], "Invalid value for '--port'"),
    "no place for it": (["lab", "up", "--kubeconfig", "/proc/x/y"], "/proc/x/y can't be written"),
}


@pytest.mark.parametrize("name", some(USAGE, 6))
def test_wrong_usage(world: World, name: str) -> None:
    arguments, said = USAGE[name]
    says(world.run(*arguments), 2, said)
    assert (world.left, world.runs) == ([], [])


def test_a_directory_that_holds_a_run_is_left_alone(world: World, tmp_path: Path) -> None:
    first = world.run("demo", "--out", "run", "--limit", "3", "-o", "json")
    assert first.code == 0, first.err
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    assert set(before) == {"decisions.jsonl", "ledger.sqlite", "report.html", "summary.json", "timeline.json"}
    says(world.run("demo", "--out", "run"), 2, "run holds a run already")
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


LEDGERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "none": (lambda _: None, "there is no ledger here"),
    "random bytes": (lambda path: path.write_bytes(os.urandom(5_000)), "is not a ledger: it is no SQLite file"),
    "empty": (Path.touch, "is not a ledger"),
    "a folder": (Path.mkdir, "is a folder"),
    "a pipe": (os.mkfifo, "is not a ledger: it is no ordinary file"),
    "another database": (lambda path: another_database(path, 0), "is not a ledger"),
    "a newer schema": (lambda path: another_database(path, 99), "schema 99, this burster"),
}


def another_database(path: Path, version: int) -> None:
    connection = sqlite3.connect(path)
    if version:
        connection.execute(f"PRAGMA application_id = {0x62757273}")
        connection.execute(f"PRAGMA user_version = {version}")
    connection.execute("CREATE TABLE things (thing TEXT)")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("name", some(LEDGERS, 2))
def test_a_run_whose_ledger_is_none(world: World, tmp_path: Path, name: str) -> None:
    make, said = LEDGERS[name]
    (tmp_path / "run").mkdir()
    make(tmp_path / "run/ledger.sqlite")
    says(world.run("history", "--run", "run"), 2, "run/ledger.sqlite", said)


def a_kubeconfig(server: str) -> str:
    return (
        f'apiVersion: v1\nkind: Config\nclusters: [{{name: a, cluster: {{server: "{server}"}}}}]\n'
        "users: [{name: a, user: {token: x}}]\ncontexts: [{name: a, context: {cluster: a, user: a}}]\ncurrent-context: a\n"
    )


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        pytest.param("", 2, "this kubeconfig is empty", id="empty"),
        pytest.param("a: [", 2, "can't reach a cluster with config", id="no YAML", marks=pytest.mark.long),
        pytest.param("hello", 2, "this is no kubeconfig", id="a word", marks=pytest.mark.long),
        pytest.param("a: 1", 2, "current-context", id="something else", marks=pytest.mark.long),
        pytest.param(a_kubeconfig("nowhere"), 2, "its server 'nowhere' is no http or https address", id="no address"),
        pytest.param(a_kubeconfig("http://127.0.0.1:1"), 1, "can't ask http://127.0.0.1:1", id="nobody there"),
    ],
)
def test_a_kubeconfig_that_leads_nowhere(world: World, tmp_path: Path, text: str, code: int, said: str) -> None:
    (tmp_path / "config").write_text(text)
    ended = world.run("controller", "--once", "--kubeconfig", "config", "--listen", "127.0.0.1:0")
    says(ended, code, said)
    assert ended.seconds < 30


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BURSTER_HTTP__PORT", "eighty"),
        ("BURSTER_NONSENSE", "1"),
        ("BURSTER_KUBE", "{"),
        pytest.param("BURSTER_TICKS__GC_MS", "-1", marks=pytest.mark.long),
        pytest.param("BURSTER_TICKS__GC_MS", "1e400", marks=pytest.mark.long),
    ],
)
def test_a_variable_that_is_wrong(world: World, name: str, value: str) -> None:
    says(world.run("controller", "--once", **{name: value}), 2, name)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_a_port_in_use(world: World, tmp_path: Path, taken_port: int) -> None:
    (tmp_path / "config").write_text(a_kubeconfig("http://127.0.0.1:1"))
    said = f"127.0.0.1:{taken_port} is in use"
    says(world.run("lab", "up", "--port", taken_port), 2, said, "--port")
    says(world.run("lab", "up", "--arm-port", taken_port), 2, said, "--arm-port")
    says(world.run("controller", "--kubeconfig", "config", "--listen", f"127.0.0.1:{taken_port}"), 2, said)
    assert world.left == []
    assert not (tmp_path / "state/burster/lab/record.json").exists()


def test_a_lab_never_writes_over_somebody_s_kubeconfig(world: World, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("mine")
    says(world.run("lab", "up", "--kubeconfig", "config"), 2, "config is there already")
    assert (tmp_path / "config").read_text() == "mine"


def test_one_lab_at_a_time_and_down_ends_it(world: World, tmp_path: Path) -> None:
    lab = world.start("lab", "up")
    try:
        record = tmp_path / "state/burster/lab/record.json"
        until("the lab is up", record.exists, timeout_s=30)
        says(world.run("lab", "up"), 2, "a lab is up already at http://127.0.0.1:")
        down = world.run("lab", "down")
        assert (down.code, down.out, down.err) == (0, "The lab is down.\n", "")
        out, err = lab.communicate(timeout=10)
        assert (lab.returncode, err, is_alone(lab)) == (0, "", True)
        assert re.search(r"kubectl --kubeconfig \S+ get nodes", out)
        assert (world.left, list((tmp_path / "state/burster/lab").iterdir())) == ([], [])
    finally:
        end_group(lab)
        lab.communicate()
