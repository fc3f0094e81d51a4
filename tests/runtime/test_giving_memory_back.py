"""What the imports leave is given back before anything is watched, and again when the first lists have been read."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from burster.runtime import memory


def test_a_controller_s_modules_take_less_than_125_mib_when_settled():
    code = """
import resource
import burster.runtime.service
from burster.runtime.memory import settle
settle()
lines = open("/proc/self/status").read().splitlines()
print([line.split()[1] for line in lines if line.startswith("VmRSS")][0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert int(done.stdout) / 1024 < 125


def test_it_is_given_back_once_at_the_first_step_that_is_ready(monkeypatch: pytest.MonkeyPatch):
    trims: list[int] = []
    monkeypatch.setattr(memory, "_trim", trims.append)
    listener = memory.OnceReady()
    for ready in (False, True, True):
        listener([], SimpleNamespace(state=SimpleNamespace(ready=ready)), 0)  # type: ignore[arg-type]
    assert trims == [0]
