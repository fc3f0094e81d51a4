"""Whether user data may go to a machine: in a form that cloud-init knows, complete in itself, without anything that looks like a secret.

User data is no place for secrets: everybody who may read the machine in the cloud reads it, and so does every process inside. What it
needs to know it gets from its Trustee, once it has proven itself. The check knows the usual faces of keys and passwords and errs towards
refusing; it can't know every secret.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Iterator
from email.message import Message
from typing import Any, Final, cast

import yaml


#: how a part may begin, and the MIME type by which cloud-init goes
FORMS: Final[dict[str, str]] = {
    "#cloud-config": "cloud-config",
    "#cloud-boothook": "cloud-boothook",
    "#!": "x-shellscript",
}
_UNPACKED_MAX: Final = 1 << 20
_DEPTH_MAX: Final = 32
_MERGE: Final = "tag:yaml.org,2002:merge"

#: None of them may take longer than its line is long: whoever writes a ConfigMap would hold up everybody else's bursts with it.
_FACES: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("a private key", re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----")),
    ("a signed token (JWT)", re.compile(r"(?<![\w-])eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}")),
    ("a storage account's key", re.compile(r"AccountKey=[A-Za-z0-9+/]{40,}={0,2}")),
    ("a shared access signature", re.compile(r"[?&]sig=[A-Za-z0-9%+/]{30,}")),
    ("an Azure client secret", re.compile(r"(?<![\w~.-])[\w~.-]{3}8Q~[\w~.-]{31,34}(?![\w~.-])")),
    ("an AWS access key", re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("a GitHub token", re.compile(r"\b(gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{60,})")),
    ("a Slack token", re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}")),
    ("a password's hash", re.compile(r"\$(1|2[aby]|5|6|y|gy)\$[./A-Za-z0-9$=,]{8,}")),
    (
        "a password, token or key",
        re.compile(
            r"(?i)(password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)"
            r"['\"]?\s*[:=]\s*['\"]?(?P<value>[^\s'\"#,;&|]{6,})"
        ),
    ),
    ("a password in an address", re.compile(r"(?<=[a-z0-9])://[^\s/:@]+:(?P<value>[^\s/@]{3,})@")),
)
#: a value that begins so says where a secret is, not what it is
_REFERENCES: Final = ("/", "$", "{", "<", "kbs:", "http:", "https:", "sealed.", "file:", "%", "!", "[", "(")
_WORDS: Final = frozenset({"true", "false", "required", "optional", "disabled", "enabled", "prohibit", "locked"})


def find_secret(text: str) -> str:
    """Return what looks like a secret, and in which line; "" where nothing does. Never the secret itself."""
    for number, line in enumerate(text.splitlines(), start=1):
        for what, face in _FACES:
            for match in face.finditer(line):
                value = match.groupdict().get("value")
                if value is None or not _is_reference(value):
                    return f"{what} in line {number}"
    return ""


def check_part(text: str) -> str:
    """Return the MIME subtype of one part of user data. Raises ValueError where it may not go to a machine."""
    subtype = next((kind for beginning, kind in FORMS.items() if text.startswith(beginning)), None)
    if subtype is None:
        known = ", ".join(FORMS)
        raise ValueError(f"it begins neither with {known} nor with the header of a multi-part message")
    if "\0" in text:
        raise ValueError("it holds a zero byte")
    found = find_secret(text)
    if not found and subtype == "cloud-config":
        room = _Room(_UNPACKED_MAX)
        found = next((secret for inner in _inner(_read_yaml(text), room) if (secret := find_secret(inner))), "")
        found = f"{found} of a file or value in it" if found else ""
    if found:
        raise ValueError(
            f"there seems to be {found}. User data is read by everybody who may read the machine: have the workload fetch its secrets "
            "from the Trustee"
        )
    return subtype


def leaves(message: Message) -> list[tuple[str, str]]:
    """Return the parts of a multi-part message as (MIME subtype, text). Raises ValueError where one is no text."""
    parts: list[tuple[str, str]] = []
    for part in message.walk():
        if part.is_multipart():
            continue
        payload = part.get_payload(decode=True)
        if part.defects or not isinstance(payload, bytes):
            raise ValueError("one of its parts can't be read")
        try:
            parts.append((part.get_content_subtype(), payload.decode()))
        except UnicodeDecodeError as error:
            raise ValueError(f"one of its parts is no text: {error.reason}") from error
    if not parts:
        raise ValueError("the message has no parts")
    return parts


def _is_reference(value: str) -> bool:
    return value.startswith(_REFERENCES) or value.casefold() in _WORDS


_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Safe):
    """A safe loader, and the fast one where there is one, without merge keys: a few lines of them fill any memory."""

    def flatten_mapping(self, node: Any) -> None:
        """Raise YAMLError for a mapping that takes others in."""
        if any(key.tag == _MERGE for key, _ in node.value):
            raise yaml.YAMLError("merge keys (<<) are not taken")
        super().flatten_mapping(node)  # pyright: ignore[reportUnknownMemberType]


def _check_depth(text: str) -> None:
    """Raise ValueError for what is nested too deep: the fast loader would end the whole process over it."""
    depth = 0
    events = cast("Iterator[Any]", yaml.parse(text, Loader=_Loader))  # pyright: ignore[reportUnknownMemberType]
    for event in events:
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEPTH_MAX:
            raise ValueError(f"it is nested more than {_DEPTH_MAX} deep")


def _read_yaml(text: str) -> Any:
    try:
        _check_depth(text)
        content: Any = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe one
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ValueError(f"it is no YAML: {' '.join(str(error).split())[:200]}") from error
    if content is not None and not isinstance(content, dict):
        raise ValueError("a #cloud-config must be a mapping")
    return cast("Any", content)


class _Room:
    """How much may still come out of a part's packed files, in bytes."""

    def __init__(self, left: int) -> None:
        self.left = left


def _inner(value: Any, room: _Room, seen: set[int] | None = None) -> Iterator[str]:
    """Give every text in a cloud-config that its lines do not show: folded ones, and files that are packed."""
    seen = set() if seen is None else seen
    if id(value) in seen or not isinstance(value, dict | list):
        return
    seen.add(id(cast("Any", value)))
    encoding = ""
    if isinstance(value, dict):
        pairs = list(cast("dict[Any, Any]", value).items())
        encoding = str(cast("dict[Any, Any]", value).get("encoding", "")).lower()
    else:
        pairs = [("", one) for one in cast("list[Any]", value)]
    for key, inner in pairs:
        if not isinstance(inner, str | bytes):
            yield from _inner(inner, room, seen)
        elif encoding and key == "content":
            yield _unpacked(inner, encoding, room)
        else:
            yield f"{key}: {_text(inner)}"


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def _unpacked(content: str | bytes, encoding: str, room: _Room) -> str:
    """Return what is in a packed file. Raises ValueError where it is more than may be looked into: nothing goes that was not seen."""
    data = content.encode() if isinstance(content, str) else content
    try:
        if encoding in {"b64", "base64", "gz+b64", "gz+base64", "gzip+b64", "gzip+base64"}:
            data = base64.b64decode(b"".join(data.split()), validate=True)
        if encoding.startswith("gz"):
            data = zlib.decompressobj(wbits=31).decompress(data, room.left + 1)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise ValueError(f"a file in it is not encoded as it says: {error}") from error
    room.left -= len(data)
    if room.left < 0:
        raise ValueError(f"the packed files in it have more than {_UNPACKED_MAX} bytes when unpacked")
    return data.decode("utf-8", "replace")
