"""Policy cases as pytest items: with burster installed, `pytest` runs every ``*.cases.yaml`` it meets.

Registered under pytest's entry point ``pytest11``. It must cost nothing where there are no such files, so it imports the rest late.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest


if TYPE_CHECKING:
    from burster.simulator.cases.load import CaseFile, LoadedCase
    from burster.simulator.cases.run import CaseResult


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take files of policy cases; others of that name (nobody owns a suffix) are left alone."""
    if not file_path.name.endswith(".cases.yaml") or b"PolicyCases" not in file_path.read_bytes():
        return None
    return PolicyCasesFile.from_parent(parent, path=file_path)  # pyright: ignore[reportUnknownMemberType] (pytest's own)


class PolicyCasesFile(pytest.File):
    """A file of policy cases."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield its cases."""
        from burster.policy.errors import PolicyErrors
        from burster.simulator.cases.load import load_cases

        try:
            file = load_cases(self.path)
        except PolicyErrors as error:
            raise self.CollectError(str(error)) from None
        for loaded in file.cases:
            yield PolicyCaseItem.from_parent(self, name=loaded.case.name, file=file, loaded=loaded)  # pyright: ignore[reportUnknownMemberType] (pytest's own)


class UnexpectedDecisionsError(AssertionError):
    """A case was not as expected; the text has a line for each difference."""


class PolicyCaseItem(pytest.Item):
    """One policy case."""

    def __init__(self, *, file: "CaseFile", loaded: "LoadedCase", **more: Any) -> None:
        super().__init__(**more)  # pyright: ignore[reportUnknownMemberType] (pytest's own)
        self.file = file
        self.loaded = loaded

    def runtest(self) -> None:
        """Run it."""
        from burster.simulator.cases.run import run_case

        result: CaseResult = run_case(self.file, self.loaded)
        if not result.passed:
            told = "\n".join(f"{self.path}:{one.line}: {one.message}" for one in result.failures)
            raise UnexpectedDecisionsError(told)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show what differs instead of burster's insides."""
        if isinstance(excinfo.value, UnexpectedDecisionsError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Say where the case stands."""
        return self.path, self.loaded.line - 1, self.name
