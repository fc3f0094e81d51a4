"""What a ``when`` condition can speak about, and what comes of it: names with their types, the answer Unknown, the errors at load.

Read by ``conditions`` (which compiles), ``burster.engine.condition_view`` (which supplies the values) and the reference page. Knows no CEL
library and evaluates nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from burster.model.errors import InputError


TEXT_MAX: Final = 2_000  #: characters of one condition

VariableType = Literal[
    "int", "double", "string", "timestamp", "map(string, double)", "map(string, int)", "map(string, string)"
]
#: What a condition is evaluated over: variable -> value. What is not in it is not known, and so is an answer that depends on it.
View = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Variable:
    """One name that a condition may use."""

    type: VariableType
    meaning: str


def _resource(unit: str, what: str) -> dict[str, Variable]:
    return {
        f"onprem.{what}.allocatable": Variable("double", f"{unit} that the on-prem nodes have for pods"),
        f"onprem.{what}.requested": Variable("double", f"{unit} that the pods on them ask for"),
        f"onprem.{what}.free": Variable(
            "double", f"{unit} that nobody has asked for; 0 where more is asked for than there is"
        ),
    }


def _budget(window: str) -> dict[str, Variable]:
    return {
        f"budget.{window}.limit": Variable(
            "double", f"USD that the policy may use per {window}; infinite where it has no limit"
        ),
        f"budget.{window}.spent": Variable("double", f"USD settled in this {window}"),
        f"budget.{window}.reserved": Variable(
            "double", f"USD set aside now for what runs (counted in every {window} it may reach)"
        ),
        f"budget.{window}.left": Variable(
            "double", "limit less spent less reserved, never below 0; infinite where there is no limit"
        ),
    }


#: Every name, its type and its meaning. The dots are part of the name: that is what makes a typo an error at load.
VARIABLES: Final[dict[str, Variable]] = {
    "pending.count": Variable(
        "int", "pods of the policy that wait in its queue: pending long enough, and no burst answers them yet"
    ),
    "pending.cpu": Variable("double", "cores they ask for, together"),
    "pending.memoryGiB": Variable("double", "GiB of memory they ask for, together"),
    "pending.oldestSeconds": Variable("double", "how long the longest of them has been pending; 0 where none is"),
    "onprem.nodes": Variable("int", "schedulable on-prem nodes"),
    **_resource("cores", "cpu"),
    **_resource("GiB", "memory"),
    "onprem.cpuPercent": Variable("double", "requested cpu in percent of allocatable"),
    "onprem.memoryPercent": Variable("double", "requested memory in percent of allocatable"),
    "cloud.bursts": Variable("int", "bursts of the policy that are out"),
    "cloud.vcpus": Variable("int", "their vCPUs"),
    "cloud.byTarget": Variable("map(string, int)", "their number by target"),
    "cloud.byProvider": Variable("map(string, int)", "their number by provider"),
    "metrics": Variable(
        "map(string, double)", "the latest value of each of the policy's triggers, by the trigger's name"
    ),
    **_budget("hour"),
    **_budget("day"),
    **_budget("month"),
    "now": Variable("timestamp", "the time of the decision"),
    "pod.namespace": Variable("string", "the pod's namespace"),
    "pod.name": Variable("string", "the pod's name"),
    "pod.kind": Variable("string", "the kind of its workload (Deployment, Job, ...); Pod for a bare one"),
    "pod.workload": Variable("string", "the name of its workload; its own for a bare pod"),
    "pod.labels": Variable("map(string, string)", "its labels"),
    "pod.priority": Variable("int", "its priority"),
    "pod.cpu": Variable("double", "cores it asks for"),
    "pod.memoryGiB": Variable("double", "GiB of memory it asks for"),
    "pod.waitedSeconds": Variable("double", "how long it has been pending"),
    "pod.devices": Variable("map(string, int)", "extended resources it asks for by name, nvidia.com/gpu among them"),
}


@dataclass(frozen=True, slots=True)
class Unknown:
    """The condition can't be answered, and why. It is never taken for true."""

    reason: str

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the text of a condition. Line and column count from 1, columns in characters."""

    line: int
    column: int
    message: str


class ConditionError(InputError):
    """The text is no condition. ``message``, ``line`` and ``column`` are the first problem's; ``problems`` are all of them.

    As a string it is the first problem with the line it is in and a caret under the place.
    """

    def __init__(self, text: str, problems: tuple[Problem, ...]) -> None:
        first = problems[0]
        self.problems = problems
        self.message, self.line, self.column = first.message, first.line, first.column
        self.pointed = point_at(text, first.line, first.column)
        super().__init__(f"{first.message}\n{self.pointed}" if self.pointed else first.message)


#: The longest line that is shown whole; of a longer one what is around the place is shown.
_SHOWN_MAX: Final = 100


def point_at(text: str, line: int, column: int) -> str:
    """Return a line of the text with a caret under one of its columns, or "" where the line does not exist or is empty."""
    lines = text.split("\n")
    shown = lines[line - 1].rstrip("\r") if 0 < line <= len(lines) else ""
    shown = "".join(mark if mark.isprintable() or mark == "\t" else "?" for mark in shown)
    if not shown.strip():
        return ""
    start = max(0, min(column - 1 - _SHOWN_MAX // 2, len(shown) - _SHOWN_MAX))
    head = "..." if start else ""
    tail = "..." if start + _SHOWN_MAX < len(shown) else ""
    under = "".join("\t" if mark == "\t" else " " for mark in shown[start : column - 1])
    under += " " * max(0, column - 1 - len(shown))
    return f"  {head}{shown[start : start + _SHOWN_MAX]}{tail}\n  {' ' * len(head)}{under}^"
