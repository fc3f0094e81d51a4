"""What is wrong with rules that somebody wrote: one sentence a problem, all problems at once.

Loading, compiling and the command line raise and print these. A problem always says where it is, as exactly as is known, and
never only what failed: it says what was expected and what to do.
"""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Final

import msgspec

from burster.model.errors import InputError


#: a file that is wrong everywhere is told in this many sentences
_PROBLEMS_SHOWN_MAX: Final = 100

EXIT_INVALID: Final = 1
EXIT_UNREADABLE: Final = 2


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong. ``line`` and ``column`` count from 1; 0 means that the source has no lines, or none is to blame."""

    source: str  #: a path, ``-`` for standard input, or ``BurstPolicy namespace/name`` for an object of the API
    line: int = 0
    column: int = 0
    path: str = ""  #: the field, as in ``spec.placement.targets[0]``
    message: str
    excerpt: str = ""  #: the part of the text that is wrong, with a caret below; some lines, told after the sentence
    unreadable: bool = False  #: nothing could be judged at all: no such file, no UTF-8, no YAML

    def __str__(self) -> str:
        """Return ``file:line:column: field: sentence``, and below it the excerpt where there is one."""
        place = self.source
        if self.line:
            place += f":{self.line}:{self.column}"
        told = ": ".join(part for part in (place, self.path, self.message) if part)
        return "\n".join([told, *(f"    {line}" for line in self.excerpt.splitlines())])


class PolicyErrors(InputError):  # noqa: N818 (it holds several)
    """Rules that can't be used, with every problem found in them."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__(_text(self.problems))

    @property
    def exit_code(self) -> int:
        """2 where something could not be read, 1 where all was read and some of it is wrong."""
        return EXIT_UNREADABLE if any(problem.unreadable for problem in self.problems) else EXIT_INVALID


@contextmanager
def as_wrong_input() -> Generator[None]:
    """Take rules that are wrong for what they are to a command whose answer is about something else: input that it can't use (2, not 1)."""
    try:
        yield
    except PolicyErrors as error:
        raise InputError(str(error)) from error


def _text(problems: tuple[Problem, ...]) -> str:
    if len(problems) == 1:
        return str(problems[0])
    shown = ["\n  ".join(["", *str(problem).split("\n")])[1:] for problem in problems[:_PROBLEMS_SHOWN_MAX]]
    if len(problems) > _PROBLEMS_SHOWN_MAX:
        shown.append(f"  and {len(problems) - _PROBLEMS_SHOWN_MAX} more")
    return "\n".join([f"{len(problems)} problems:", *shown])
