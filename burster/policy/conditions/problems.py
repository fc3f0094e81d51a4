"""What the CEL library says about a text, told to the person who wrote it: where, what is wrong, and what to write instead.

Called by ``conditions`` when a text does not compile. Only words: what is allowed is decided by the library and by ``conditions``.
"""

import re
from difflib import get_close_matches
from typing import Final

from burster.policy.conditions.types import VARIABLES, Problem


FUNCTIONS: Final = (
    "all", "exists", "exists_one", "has", "size", "int", "uint", "double", "string", "bool", "type", "dyn", "duration", "timestamp",
    "contains", "startsWith", "endsWith", "matches",
    "getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfYear", "getDayOfWeek",
    "getHours", "getMinutes", "getSeconds", "getMilliseconds",
)  # fmt: skip
#: words of other languages -> CEL's
_OTHER_WORDS: Final = {
    "and": "&&", "or": "||", "not": "!", "AND": "&&", "OR": "||", "NOT": "!", "True": "true", "False": "false", "TRUE": "true",
    "FALSE": "false", "None": "null", "nil": "null", "like": "contains(...) or matches(...)",
}  # fmt: skip
_TYPE_WORDS: Final = {
    "double": "a double (12.5)",
    "int": "an int (12)",
    "uint": "a uint (12u)",
    "string": 'a string ("text")',
    "bool": "true or false",
    "google.protobuf.Timestamp": "a timestamp",
    "google.protobuf.Duration": "a duration",
    "dyn": "a value of any type",
}
_ENTRY: Final = re.compile(r"ERROR: [^\n]*?:(-?\d+):(-?\d+): (.*?)(?=\nERROR: |\n \| |\Z)", re.DOTALL)
_STATUS: Final = re.compile(r"^[A-Z_]+: |\s*\[[A-Z_]+\]$")
_UNDECLARED: Final = re.compile(r"undeclared reference to '([^']*)'")
_OVERLOAD: Final = re.compile(r"found no matching overload for '([^']*)' applied to '\((.*)\)'", re.DOTALL)
_SELECTED: Final = re.compile(r"expression of type '([^']*)' cannot be the operand of a select")
_INTEGER_BEHIND: Final = re.compile(r"\s*(-?\d+)(?![\w.])")
_INTEGER_BEFORE: Final = re.compile(r"(?<![\w.])(-?\d+)\s*$")
_WHOLE_DOUBLE_BEHIND: Final = re.compile(r"\s*(-?\d+)\.0*(?![\w.])")
_BINARY: Final = re.compile(r"_(\S+)_")


def read_problems(said: str, text: str) -> tuple[Problem, ...]:
    """Return what the library has against a text; a text that can't be parsed has one problem, since what follows is noise."""
    found = [_problem(int(line), int(column), what.strip(), text) for line, column, what in _ENTRY.findall(said)]
    parsed = [problem for problem, syntax in found if not syntax]
    if not found:
        return (Problem(1, 1, _plain(said)),)
    if len(parsed) < len(found):
        return (next(problem for problem, syntax in found if syntax),)
    return tuple(dict.fromkeys(parsed))


def _problem(line: int, column: int, what: str, text: str) -> tuple[Problem, bool]:
    """Return the problem, and whether it is one of syntax."""
    what = re.sub(r"\s*\[[A-Z_]+\]$", "", what)
    source = [*text.split("\n"), ""][max(0, line - 1)] if line > 0 else ""
    if line < 1:
        return Problem(1, 1, _plain(what)), True
    undeclared = _UNDECLARED.match(what)
    if undeclared:
        name = undeclared[1]
        return Problem(line, _start_of(name, source, column), explain_name(name)), False
    overload = _OVERLOAD.match(what)
    if overload:
        message = _explain_overload(overload[1], _types(overload[2]), source[: column - 1], source[column - 1 :])
        return Problem(line, column, message), False
    if what.startswith("Syntax error"):
        return Problem(line, column, _explain_syntax(what, source, column)), True
    selected = _SELECTED.match(what)
    if selected:
        return Problem(line, column, f"This is {_word(selected[1])}, which has no members."), False
    return Problem(line, column, f"{what[:1].upper()}{what[1:]}."), True


def _plain(said: str) -> str:
    if "recursion" in said:
        return "It is nested or chained too deeply: at most 32 levels. Split it, or use lists: x in [a, b, c]."
    first = _STATUS.sub("", said.split("\n", maxsplit=1)[0]).strip()
    return f"It can't be read: {first}."


def _start_of(name: str, source: str, column: int) -> int:
    """Return where a name begins: the library points at its last dot, or behind it."""
    pattern = r"\s*\.\s*".join(re.escape(part) for part in name.split("."))
    starts = [
        match.start() + 1
        for match in re.finditer(rf"(?<!\w){pattern}(?!\w)", source)
        if match.start() < column <= match.end() + 1
    ]
    return starts[-1] if starts else column


def explain_name(name: str) -> str:
    """Say that a name is not known, and which one was probably meant."""
    if name in _OTHER_WORDS:
        return f"{name} is not CEL: write {_OTHER_WORDS[name]}."
    if name in FUNCTIONS:
        return f"{name} is not used like this: write it as in {_example(name)}."
    group = _group_of(name)
    members = sorted({known[len(group) :].split(".")[0] for known in VARIABLES if known.startswith(group)})
    if group.rstrip(".") == name:
        return f"{name} is a group and no value: pick one of its members ({', '.join(members)})."
    if group:
        part = name[len(group) :].split(".", maxsplit=1)[0]
        close = get_close_matches(part, members, n=1, cutoff=0.5)
        meant = f": did you mean {group}{close[0]}? It has" if close else "; it has"
        return f"{group.rstrip('.')} has no {part}{meant} {', '.join(members)}."
    close = get_close_matches(name.split(".", maxsplit=1)[0], [*members, *FUNCTIONS, *_OTHER_WORDS], n=1, cutoff=0.6)
    if close:
        return f"{name} is not known here: did you mean {_OTHER_WORDS.get(close[0], close[0])}?"
    return f"{name} is not known here; known are {', '.join(members)} and CEL's functions."


def _example(function: str) -> str:
    if function in {"all", "exists", "exists_one"}:
        return f'pod.labels.{function}(key, key != "")'
    if function in {"contains", "startsWith", "endsWith", "matches"}:
        return f'pod.name.{function}("text")'
    if function.startswith("get"):
        return f'now.{function}("Europe/Berlin")'
    return {
        "has": "has(metrics.queue)",
        "duration": 'duration("1h")',
        "timestamp": 'timestamp("2026-11-30T18:00:00Z")',
    }.get(function, f"{function}(pod.name)")


def _group_of(name: str) -> str:
    """Return the longest beginning of a dotted name that is a group of variables, with its dot."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        group = ".".join(parts[:length]) + "."
        if any(known.startswith(group) for known in VARIABLES):
            return group
    return ""


def _types(listed: str) -> list[str]:
    found, depth = [""], 0
    for word in listed:
        depth += (word == "(") - (word == ")")
        if word == "," and not depth:
            found.append("")
        else:
            found[-1] += word
    return [one.strip() for one in found]


def _explain_overload(function: str, types: list[str], before: str, behind: str) -> str:
    if function == "_?_:_":
        return "The two branches behind ? must be of one type, and what is before it true or false."
    if function == "_[_]":
        return f"{_word(types[0])} has no entry [{types[1]}]: its keys are strings."
    binary = _BINARY.fullmatch(function)
    sign = {"@in": "in", "!_": "!", "-_": "-"}.get(function, binary[1] if binary else function)
    if sign in {"&&", "||", "!"}:
        wrong = next(one for one in types if one != "bool")
        return f"{sign} joins conditions, and one side is {_word(wrong)}: compare it with something."
    if len(types) == 2 and set(types) == {"int", "double"}:  # noqa: PLR2004 - two operands
        return f"{sign} needs both sides of one type, and CEL never turns an int into a double: {_one_type(types, before, behind, sign)}."
    if binary or function == "@in":
        return f"{sign} can't be used between {_word(types[0])} and {_word(types[1])}."
    return f"{sign}({', '.join(types)}) does not exist: this function takes other values."


def _one_type(types: list[str], before: str, behind: str, sign: str) -> str:
    right = _INTEGER_BEHIND.match(behind[len(sign) :])
    if types == ["double", "int"] and right:
        return f"write {right[1]}.0 instead of {right[1]}"
    left = _INTEGER_BEFORE.search(before)
    if types == ["int", "double"] and left:
        return f"write {left[1]}.0 instead of {left[1]}"
    whole = _WHOLE_DOUBLE_BEHIND.match(behind[len(sign) :])
    if types == ["int", "double"] and whole:
        return f"write {whole[1]} instead of {whole[0].strip()}"
    return "write numbers with .0, or double(...) around the int"


def _word(name: str) -> str:
    if name.startswith(("list", "map")):
        return f"a {name}"
    return _TYPE_WORDS.get(name, name)


def _explain_syntax(what: str, source: str, column: int) -> str:  # noqa: PLR0911 - a list of slips, one return each
    rest = source[column - 1 :]
    word = re.match(r"\w+", rest)
    if word and word[0] in _OTHER_WORDS:
        return f"{word[0]} is not CEL: write {_OTHER_WORDS[word[0]]}."
    if rest[:1] in {'"', "'"} and "token recognition" in what:
        return f"The string that begins here has no closing {rest[0]}."
    if re.match(r"=(?!=)", rest):
        return "= compares nothing: write ==."
    if rest.startswith(">") and source[: column - 1].endswith("<"):
        return "<> is not CEL: write !=."
    if re.match(r"[&|](?![&|])", rest):
        return f"{rest[0]} is not CEL: write {rest[0] * 2}."
    if word and re.search(r"[\d.]$", source[: column - 1]):
        return f"A number has no unit here: write the number alone, without {word[0]}."
    if "<EOF>" in what.split("expecting", maxsplit=1)[0] or not rest.strip():
        return "It ends too early: something is missing here."
    return f"Something other than {rest.split()[0]} is expected here."
