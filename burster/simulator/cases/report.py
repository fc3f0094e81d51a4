"""Results of policy cases as lines for people, JSON for programs, and JUnit XML for CI systems. Called by `burster policy test`."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import msgspec

from burster.simulator.cases.run import CaseResult


#: what XML 1.0 can't hold, not even escaped
_UNSPEAKABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class FileResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the cases of one file, and how long they took."""

    path: Path
    cases: tuple[CaseResult, ...]
    seconds: float = 0.0

    @property
    def failed(self) -> int:
        """How many cases were not as expected."""
        return sum(not case.passed for case in self.cases)


def lines(results: Sequence[FileResult], *, verbose: bool = False) -> Iterator[str]:
    """Yield a line for each failure (and, if verbose, for each case that passed), and one in the end."""
    for file in results:
        for case in file.cases:
            if case.passed and verbose:
                yield f"{file.path}:{case.line}: passed: {case.name}"
            for failure in case.failures:
                yield f"{file.path}:{failure.line}: {case.name}: {failure.message}"
    total = sum(len(file.cases) for file in results)
    failed = sum(file.failed for file in results)
    files = f"{len(results)} file" + ("" if len(results) == 1 else "s")
    yield f"{total - failed} passed, {failed} failed in {files}"


def as_json(results: Sequence[FileResult]) -> dict[str, Any]:
    """Return everything as plain values."""
    return {
        "passed": sum(len(file.cases) - file.failed for file in results),
        "failed": sum(file.failed for file in results),
        "files": [
            {
                "file": str(file.path),
                "cases": [
                    {
                        "name": case.name,
                        "line": case.line,
                        "passed": case.passed,
                        "failures": [{"line": one.line, "message": one.message} for one in case.failures],
                    }
                    for case in file.cases
                ],
            }
            for file in results
        ],
    }


def junit(results: Sequence[FileResult]) -> bytes:
    """Return JUnit XML: a suite a file, a test case a case."""
    root = ET.Element("testsuites")
    for file in results:
        suite = ET.SubElement(
            root,
            "testsuite",
            name=_plain(str(file.path)),
            tests=str(len(file.cases)),
            failures=str(file.failed),
            errors="0",
            time=f"{file.seconds:.3f}",
        )
        for case in file.cases:
            node = ET.SubElement(
                suite,
                "testcase",
                classname=_plain(str(file.path)),
                name=_plain(case.name),
                file=_plain(str(file.path)),
                line=str(case.line),
            )
            if case.failures:
                text = "\n".join(f"{file.path}:{one.line}: {one.message}" for one in case.failures)
                failure = ET.SubElement(node, "failure", message=_plain(case.failures[0].message))
                failure.text = _plain(text)
    ET.indent(root)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True)


def _plain(text: str) -> str:
    return _UNSPEAKABLE.sub("?", text)
