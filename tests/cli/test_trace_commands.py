"""burster trace, as a person or a script uses it."""

import gzip
import json
from pathlib import Path

import pytest

from burster.cli import run
from burster.simulator.traces import read_trace


ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "simulations" / "traces" / "demo.csv"


def test_inspect_tells_what_is_in_a_trace(capsys):
    assert run(["trace", "inspect", str(SHIPPED)]) == 0
    out = capsys.readouterr().out
    assert "66 pods: 60 tasks, 1 services" in out
    assert "service default/on-prem-deployment: 5 changes, at most 6 replicas, ends with 1" in out
    assert "p95" in out


def test_inspect_gives_one_json_document(capsys):
    assert run(["trace", "inspect", str(SHIPPED), "-o", "json"]) == 0
    captured = capsys.readouterr()
    facts = json.loads(captured.out)
    assert (facts["pods"], facts["rows_read"], facts["dropped"]) == (66, 65, {})
    assert facts["duration_ms"]["p100"] <= 1_200_000
    assert captured.err == ""


def test_convert_there_and_back_gives_the_same_bytes(tmp_path, capsys):
    middle, back = tmp_path / "demo.jsonl.gz", tmp_path / "demo.csv"
    assert run(["trace", "convert", str(SHIPPED), str(middle)]) == 0
    assert run(["trace", "convert", str(middle), str(back), "--format", "csv", "--from", "jsonl"]) == 0
    assert back.read_bytes() == SHIPPED.read_bytes()
    assert gzip.decompress(middle.read_bytes()).startswith(b'{"arrival_ms":')
    assert capsys.readouterr().out == ""


def test_convert_takes_a_slice(tmp_path):
    out = tmp_path / "slice.csv"
    assert run(["trace", "convert", str(SHIPPED), str(out), "--limit", "3"]) == 0
    assert len(read_trace(out).entries) == 3


def test_generate_makes_the_shipped_trace_again(tmp_path, capsys):
    out = tmp_path / "demo.csv"
    assert run(["trace", "generate", "-o", str(out)]) == 0
    assert out.read_bytes() == SHIPPED.read_bytes()
    capsys.readouterr()
    assert run(["trace", "generate"]) == 0
    assert capsys.readouterr().out == SHIPPED.read_text()


def test_generate_does_as_it_is_told(tmp_path):
    out = tmp_path / "t.jsonl"
    options = "--seed 5 --pods 7 --span 1h --day 24h --duration-min 1s --duration-max 1s --cpu-max 1 --deployment"
    assert run(["trace", "generate", *options.split(), "", "--namespace", "batch", "-o", str(out)]) == 0
    trace = read_trace(out)
    assert len(trace.entries) == 7
    assert {(entry.duration_ms, entry.requests.cpu_millicores, entry.namespace) for entry in trace.entries} == {
        (1000, 1000, "batch")
    }


@pytest.mark.parametrize(
    ("arguments", "want"),
    [
        (["inspect", "none.csv"], "none.csv: there is no such file"),
        (["inspect", "."], "this is a directory"),
        (["convert", str(SHIPPED), "here.txt"], "the name does not tell the format"),
        (["convert", str(SHIPPED), "no/such/folder/x.csv"], "the file can't be written"),
        (["generate", "--span", "12"], "'12' is no duration"),
        (["generate", "--cpu-max", "many"], "'many' is no cpu quantity"),
        (["generate", "--pods", "-1"], "'--pods': Input should be greater than or equal to 0"),
        (["inspect", str(SHIPPED), "--limit", "0"], "'--limit': Input should be greater than or equal to 1"),
        (
            ["record", "--prometheus", "http://127.0.0.1:1", "--start", "yesterday", "--end", "x", "-o", "x.csv"],
            "--start 'yesterday' is no time",
        ),
        (
            [
                "record",
                "--prometheus",
                "http://127.0.0.1:1",
                "--start",
                "2026-01-01T00:00:00",
                "--end",
                "x",
                "-o",
                "x.csv",
            ],
            "has no time zone",
        ),
        (
            [
                "record",
                "--prometheus",
                "http://127.0.0.1:1",
                "--start",
                "2026-01-01T00:00:00Z",
                "--end",
                "2026-01-01T01:00:00Z",
                "-o",
                "x.csv",
            ],
            "can't be reached",
        ),
    ],
)
def test_what_can_not_be_done_is_one_sentence_and_exit_code_2(tmp_path, monkeypatch, capsys, arguments, want):
    monkeypatch.chdir(tmp_path)
    assert run(["trace", *arguments]) == 2
    captured = capsys.readouterr()
    assert want in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_failed_conversion_leaves_what_was_there(tmp_path, capsys):
    bad, out = tmp_path / "bad.csv", tmp_path / "out.csv"
    bad.write_text("arrival_ms,name\n5,a\n4,b\n")
    out.write_text("precious")
    assert run(["trace", "convert", str(bad), str(out)]) == 2
    assert out.read_text() == "precious"
    assert "bad.csv:3: column arrival_ms: time runs backwards" in capsys.readouterr().err
