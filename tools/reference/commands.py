"""The reference page of the command line, made from the app itself."""

from collections.abc import Iterator
from typing import Any, Final, Literal, get_args, get_origin

import typer.main

from burster import cli
from burster.cli.app import ENTRIES, build_app
from tools.reference.tables import table


_INTRODUCTION: Final = """\
# The command line

Made by `make reference` from the commands themselves; edit those, not this page.

`burster COMMAND --help` says the same on a terminal. The same program is installed as `kubectl-burst`, so that `kubectl burst why ...` is
`burster why ...`.

- **Exit codes:** 0 done; {no} it ran and the answer is no (an invalid policy, a check that failed); {usage} wrong usage or unreadable
  input; {bug} an error of burster's own; {interrupted} interrupted (Ctrl-C); {terminated} ended by SIGTERM, which is answered like Ctrl-C;
  {pipe} whoever read the output went away.
- **Output:** what was asked for is on standard output, everything else on standard error; `-o json` prints one JSON document and
  nothing else.
- **`BURSTER_DEBUG=1`** shows the traceback behind a sentence.
"""
_SHOWN_IN_HELP: Final = frozenset({"help", "version"})


def commands_page() -> str:
    """Return the page as Markdown."""
    codes = {
        "no": cli.EXIT_NO,
        "usage": cli.EXIT_USAGE,
        "bug": cli.EXIT_BUG,
        "interrupted": cli.EXIT_INTERRUPTED,
        "terminated": cli.EXIT_TERMINATED,
        "pipe": cli.EXIT_BROKEN_PIPE,
    }
    parts = [_INTRODUCTION.format(**codes)]
    for entry in ENTRIES:
        root: Any = typer.main.get_command(build_app([entry.name]))
        parts += _sections(f"burster {entry.name}", root.commands[entry.name])
    return "\n".join(parts)


def _sections(path: str, command: Any) -> Iterator[str]:
    inner: dict[str, Any] = getattr(command, "commands", {})
    if inner:
        for name, each in inner.items():
            yield from _sections(f"{path} {name}", each)
        return
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and each.name not in _SHOWN_IN_HELP]
    usage = " ".join([path, *(["[OPTIONS]"] if options else []), *(_metavar(each) for each in arguments)])
    parts = [f"## {path}\n", f"```text\n{usage}\n```\n", f"{_paragraph(command.help)}\n"]
    rows = [(_code(_metavar(each)), _paragraph(each.help), "required" if each.required else "") for each in arguments]
    rows += [(_names(each), _paragraph(each.help), _default(each)) for each in options]
    if rows:
        parts.append(table(("argument or option", "meaning", "default"), rows))
    yield "\n".join(parts)


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _names(option: Any) -> str:
    names = ", ".join(_code(name) for name in (*option.opts, *option.secondary_opts))
    if getattr(option, "is_flag", False):
        return names
    return f"{names} {_code(_value(option))}"


def _value(option: Any) -> str:
    if option.metavar:
        return str(option.metavar)
    annotation = option.type_descriptor.annotation
    if get_origin(annotation) is Literal:
        return "|".join(get_args(annotation))
    return {int: "N", float: "X"}.get(annotation, "TEXT")


def _default(option: Any) -> str:
    if option.required:
        return "required"
    default = option.default
    if default is None or default is False or default in ("", ()) or callable(default):
        return "repeatable" if getattr(option, "multiple", False) else ""
    return _code(str(getattr(default, "value", default)))


def _paragraph(text: str | None) -> str:
    return " ".join((text or "").split())


def _code(text: str) -> str:
    return f"`{text}`"
