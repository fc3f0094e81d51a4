"""A dump of the state for somebody who looks for a fault: readable again, for its owner only, bounded in number and size."""

from pathlib import Path

import pytest

from burster.engine import initial_state, snapshot
from burster.runtime import dumps
from burster.runtime.dumps import FILES_MAX, StateDumps


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_can_be_read_again_and_by_nobody_else(tmp_path: Path) -> None:
    path = StateDumps(tmp_path / "dumps").write(initial_state(), 1_000)
    assert path is not None
    assert path.stat().st_mode & 0o777 == 0o600
    assert snapshot.dump(snapshot.restore(path.read_bytes())) == path.read_bytes()


def test_only_the_latest_are_kept(tmp_path: Path) -> None:
    for now_ms in range(1_000, 1_000 + FILES_MAX + 3):
        StateDumps(tmp_path).write(initial_state(), now_ms)
    assert names(tmp_path) == [f"state-{now_ms}.json" for now_ms in range(1_003, 1_003 + FILES_MAX)]


def test_one_that_is_too_large_or_cannot_be_written_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    assert StateDumps(tmp_path / "file").write(initial_state(), 1) is None
    monkeypatch.setattr(dumps, "BYTES_MAX", 10)
    assert StateDumps(tmp_path / "dumps").write(initial_state(), 1) is None
    assert not (tmp_path / "dumps").exists()
