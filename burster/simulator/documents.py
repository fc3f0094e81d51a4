"""One YAML document of a file, checked against a model: how scenarios and policy cases are read.

Every mistake is told with file, line, column and field, all mistakes of a file at once. It must never guess what was meant.
"""

from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from burster.files import open_named
from burster.policy.errors import PolicyErrors, Problem
from burster.policy.load import placed
from burster.policy.problems import problem_at, schema_problems
from burster.policy.yaml_nodes import YamlDocument, YamlProblem, parse_yaml


_BYTES_MAX: Final = 1 << 20
Model = TypeVar("Model", bound=BaseModel)


def read_document(path: Path, model: type[Model], *, expected: str, example: str) -> tuple[Model, YamlDocument]:
    """Return a file's one document and where each of its fields stands.

    ``expected`` says in words what the file should hold, ``example`` names one that does. Raises PolicyErrors.
    """
    source = str(path)
    documents: list[YamlDocument] = []
    try:
        documents = list(parse_yaml(_text(path, example)))
    except YamlProblem as problem:
        raise PolicyErrors([placed(problem, source)]) from None
    if len(documents) != 1:
        message = f"expected one YAML document with {expected}, found {len(documents)}"
        raise PolicyErrors([_unreadable(source, message)])
    document = documents[0]
    problems = [placed(problem, source) for problem in document.problems]
    value: Any = document.value
    if not isinstance(value, dict):
        raise PolicyErrors([*problems, problem_at(source, (), f"expected {expected}", document)])
    try:
        read = model.model_validate(value)
    except ValidationError as error:
        raise PolicyErrors([*problems, *schema_problems(error, model, source, document)]) from None
    if problems:
        raise PolicyErrors(problems)
    return read, document


def _text(path: Path, example: str) -> str:
    source = str(path)
    try:
        with open_named(path) as file:
            data = file.read(_BYTES_MAX + 1)
    except FileNotFoundError:
        raise PolicyErrors([_unreadable(source, f"no such file: name one such as {example}")]) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise PolicyErrors([_unreadable(source, f"can't be read ({reason}): name a readable file")]) from None
    if len(data) > _BYTES_MAX:
        raise PolicyErrors([_unreadable(source, "larger than 1 MiB, which no such file is: is this a trace?")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise PolicyErrors([_unreadable(source, "not UTF-8: save the file as UTF-8", line)]) from None


def _unreadable(source: str, message: str, line: int = 0) -> Problem:
    return Problem(source=source, line=line, column=1 if line else 0, message=message, unreadable=True)
