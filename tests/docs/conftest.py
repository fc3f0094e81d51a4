"""The shipped demo, played once for all tests of the documents."""

from pathlib import Path

import pytest

from tools.reference.shown import play_demo


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory) -> Path:
    run_dir = tmp_path_factory.mktemp("demo") / "run"
    play_demo(run_dir)
    return run_dir
