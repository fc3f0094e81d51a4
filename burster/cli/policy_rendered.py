"""What Helm and kustomize print, cut into documents: those that are burster's, and a count of those that are not.

Called where a `burster policy` command reads standard input. A document of another kind is none of our business and need not even be
readable; one whose kind only looks like ours is kept, so that a slip of the pen is an error and not a policy that is missing.
"""

import re
from typing import Final, NamedTuple

from burster.policy.problems import closest
from burster.policy.schema import GROUP, MODELS


_START: Final = re.compile(r"---(?=\s|$)")
_KIND: Final = re.compile(r"""^["']?kind["']?\s*:\s*["']?([A-Za-z0-9]+)""", re.MULTILINE)
_VERSION: Final = re.compile(r"""^["']?apiVersion["']?\s*:\s*["']?([A-Za-z0-9./-]+)""", re.MULTILINE)
_HELM_SOURCE: Final = re.compile(r"#\s*Source:\s*(\S+)\s*")


class Part(NamedTuple):
    """A piece of a stream under the name that problems in it are told by; lines are counted as in that source."""

    source: str
    text: str


def split_rendered(text: str, source: str) -> tuple[tuple[Part, ...], int]:
    """Return burster's own documents and how many others there were.

    A document under Helm's ``# Source: FILE`` is called by that file, its lines counted from there; all others stay one text, in which
    what is not ours is blank, so that lines are those of the stream.
    """
    lines = text.split("\n")
    starts = [number for number, line in enumerate(lines) if number == 0 or _START.match(line)]
    kept = [""] * len(lines)
    helm: list[Part] = []
    skipped = 0
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        chunk = lines[start:end]
        if _empty(chunk):
            continue
        if not _ours("\n".join(chunk)):
            skipped += 1
            continue
        named = _helm_source(chunk)
        if named is None:
            kept[start:end] = chunk
            continue
        name, offset = named
        again = sum(part.source.partition("#")[0] == name for part in helm)
        helm.append(Part(f"{name}#{again + 1}" if again else name, "\n".join(chunk[offset:])))
    plain = [Part(source, "\n".join(kept))] if any(kept) else []
    return (*plain, *helm), skipped


def _empty(chunk: list[str]) -> bool:
    stripped = [_START.sub("", line).strip() for line in chunk]
    return all(not line or line.startswith("#") for line in stripped)


def _ours(chunk: str) -> bool:
    """Whether a document is burster's, or so near to it that it must be looked at."""
    kind, version = _KIND.search(chunk), _VERSION.search(chunk)
    if kind is None or version is None:
        return True
    if version[1].startswith(GROUP.partition(".")[0]) or closest(kind[1], MODELS):
        return True
    # `kubectl get -o yaml` wraps what it prints in a List
    return kind[1].endswith("List") and f"{GROUP}/" in chunk


def _helm_source(chunk: list[str]) -> tuple[str, int] | None:
    """Return the file that a chart's document was made from, and the line after the one that says so."""
    for number, line in enumerate(chunk):
        found = _HELM_SOURCE.fullmatch(line.strip())
        if found:
            return found[1], number + 1
        if line.strip() and not line.startswith(("#", "---")):
            return None
    return None
