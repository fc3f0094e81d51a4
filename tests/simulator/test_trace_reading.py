"""Whatever is wrong with a trace file is told in one sentence that names the place."""

import gzip
import os

import pytest

from burster.model.errors import InputError
from burster.simulator.traces import read_trace
from burster.simulator.traces.lines import LINE_BYTES_MAX


OPENB = (
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\n"
)
ROW = "pod-1,4000,1024,0,0,,LS,Succeeded,{created},{deleted},{scheduled}\n"
OWN = "arrival_ms,name,kind,duration_ms,replicas,cpu_millicores,memory_bytes\n"


def openb_row(created="10", deleted="30", scheduled="20") -> str:
    return ROW.format(created=created, deleted=deleted, scheduled=scheduled)


BAD = {
    "an empty file": ("", "the file is empty"),
    "only blank lines": ("\n\n", "the file is empty"),
    "an openb header and nothing else": (OPENB, "a header and no records"),
    "our header and nothing else": (OWN, "a header and no records"),
    "a header of something else": ("time,value\n1,2\n", ":1: this is no header of a trace"),
    "a missing openb column": (
        "name,cpu_milli,memory_mib,num_gpu,creation_time,scheduled_time\n",
        ":1: the header lacks the column deletion_time",
    ),
    "a missing column of ours": ("arrival_ms,kind\n1,Pod\n", ":1: the header lacks the column name"),
    "a repeated column": ("arrival_ms,name,name\n1,a,b\n", ":1: the header names name more than once"),
    "an unknown column": ("arrival_ms,name,cpu\n1,a,2\n", ":2: the column cpu is unknown"),
    "a NaN in openb": (OPENB + openb_row(created="NaN"), ":2: column creation_time: 'NaN' is not a number"),
    "a NaN in ours": (OWN + "1,a,Pod,nan,1,1,1\n", ":2: column duration_ms: 'nan' is not a number"),
    "an infinity": (OWN + "1,a,Pod,1,1,inf,1\n", ":2: column cpu_millicores: 'inf' is not a number"),
    "an empty cell": (OWN + "1,a,Pod,,1,1,1\n", ":2: column duration_ms: the cell is empty"),
    "a negative duration in ours": (OWN + "1,a,Pod,-5,1,1,1\n", ":2: column duration_ms: '-5' is negative"),
    "an end before the start": (
        OPENB + openb_row() + openb_row(deleted="15"),
        ":3: column deletion_time: the pod ends 5000 ms before it starts, a negative duration",
    ),
    "a start before the creation": (
        OPENB + openb_row(scheduled="5"),
        ":2: column scheduled_time: the pod was scheduled 5000 ms",
    ),
    "time running backwards in openb": (
        OPENB + openb_row() + openb_row(created="9"),
        ":3: column creation_time: time runs backwards (9000 ms after 10000 ms)",
    ),
    "time running backwards in ours": (
        OWN + "5,a,Pod,1,1,1,1\n4,b,Pod,1,1,1,1\n",
        ":3: column arrival_ms: time runs backwards (4 after 5)",
    ),
    "a name used twice": (OWN + "5,a,Pod,1,1,1,1\n6,a,Pod,1,1,1,1\n", ":3: column name: default/a is used before"),
    "a name Kubernetes refuses": (OWN + "5,A_b,Pod,1,1,1,1\n", ":2: column name: 'A_b' is no Kubernetes name"),
    "a kind that is none": (OWN + "5,a,Job,1,1,1,1\n", ":2: column kind: 'Job' is no kind of workload"),
    "a pod with replicas": (OWN + "5,a,Pod,1,2,1,1\n", ":2: column kind: a Pod has 1 replica"),
    "a deployment with a duration": (
        OWN + "5,a,Deployment,1,2,1,1\n",
        ":2: column kind: a Deployment has duration_ms 0",
    ),
    "a number beyond all machines": (OWN + f"5,a,Pod,1,1,{'9' * 400},1\n", ":2: column cpu_millicores: '999"),
    "a time beyond a thousand years": (
        OWN + "99999999999999999,a,Pod,1,1,1,1\n",
        ":2: column arrival_ms: 99999999999999999 is more",
    ),
    "digits of another script": (OWN + "5,a,Pod,\u0661,1,1,1\n", ":2: column duration_ms: "),
    "too few cells": (OWN + "5,a\n", ":2: the line has 2 cells, its header has 7"),
    "a quote that stays open": (OWN + '5,"a,Pod,1,1,1,1\n6,b,Pod,1,1,1,1\n', ":2: the line is no CSV"),
    "json that is none": ('{"arrival_ms": 1,\n', ":1: the line is no JSON"),
    "json that is no object": ('{"arrival_ms": 1, "name": "a"}\n[1]\n', ":2: the line is no JSON object"),
    "json without a name": ('{"arrival_ms": 1}\n', ":1: the record lacks name"),
    "json with a null": (
        '{"arrival_ms": 1, "name": "a", "duration_ms": null}\n',
        ":1: column duration_ms: 'null' is not a number",
    ),
    "json with a boolean": (
        '{"arrival_ms": true, "name": "a"}\n',
        ":1: column arrival_ms: 'true' is not what belongs here",
    ),
    "json with a fraction": (
        '{"arrival_ms": 1.5, "name": "a"}\n',
        ":1: column arrival_ms: '1.5' is not what belongs here",
    ),
    "json with labels that are none": (
        '{"arrival_ms": 1, "name": "a", "labels": [1]}\n',
        ":1: column labels: labels are an object",
    ),
    "a label without a value": ("arrival_ms,name,labels\n1,a,team\n", ":2: column labels: 'team' is no label"),
}


@pytest.mark.parametrize(("text", "want"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_refused_with_its_place(tmp_path, text, want):
    path = tmp_path / "trace.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_trace(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert want in message
    assert "\n" not in message


def test_bytes_that_are_no_utf8_are_named_by_line_and_byte(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_bytes(OWN.encode() + b"5,a\xff,Pod,1,1,1,1\n")
    with pytest.raises(InputError, match=r"trace.csv:2: byte 4 of the line is no UTF-8 text \(0xff\)"):
        read_trace(path)


def test_a_line_of_two_gigabytes_is_refused_after_its_first_mebibyte(tmp_path):
    path = tmp_path / "trace.csv"
    with path.open("wb") as file:
        file.write(OWN.encode())
        file.truncate(2 << 30)  # a hole: no disk is used, and reading all of it would take this test's time
    with pytest.raises(InputError, match=rf":2: the line is longer than {LINE_BYTES_MAX} bytes"):
        read_trace(path)


def test_a_gzip_bomb_of_one_line_is_refused_as_early(tmp_path):
    path = tmp_path / "trace.csv.gz"
    path.write_bytes(gzip.compress(OWN.encode() + b"a" * (64 << 20)))
    with pytest.raises(InputError, match="the line is longer than"):
        read_trace(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        read_trace(tmp_path / "none.csv")


def test_a_directory_is_no_trace(tmp_path):
    with pytest.raises(InputError, match="this is a directory"):
        read_trace(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text(OWN)
    path.chmod(0)
    with pytest.raises(InputError, match="may not be read"):
        read_trace(path)


def test_gzip_that_is_cut_short(tmp_path):
    path = tmp_path / "trace.csv.gz"
    rows = "".join(f"5,task-{n},Pod,1,1,1,1\n" for n in range(1000))
    path.write_bytes(gzip.compress((OWN + rows).encode())[:-20])
    with pytest.raises(InputError, match="damaged or cut short"):
        read_trace(path)


def test_a_name_with_a_nul_byte():
    with pytest.raises(InputError, match="this is no file name"):
        read_trace("a\0b")
