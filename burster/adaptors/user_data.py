"""A machine's user data: what the policy's ConfigMap says, and what burster itself puts in, as one message that cloud-init reads.

Each part stays as its author wrote it; burster's own comes last, and is merged so that nobody loses a command or a file. It must fit into
64 KiB of base64: what is larger is packed, which cloud-init unpacks by itself, and refused with its numbers if that is not enough.
"""

import base64
import gzip
import hashlib
import json
from email import message_from_string
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any, Final

from burster.adaptors import cluster_api as paths
from burster.adaptors.cluster_api import KubeApi
from burster.adaptors.guest_units import Guest, guest_config
from burster.adaptors.user_data_checks import check_part, leaves
from burster.model.bursts import Burst
from burster.model.errors import RemoteError
from burster.model.targets import Target


MAX_ENCODED: Final = 64 * 1024
#: More is not even looked into, however well it would pack: the look takes as long as the text is.
MAX_TEXT: Final = 256 * 1024
_LINE_MAX: Final = 900
_OWN: Final = "burster.cfg"
_MESSAGE: Final = ("content-type:", "mime-version:")


async def read_user_data(api: KubeApi, burst: Burst) -> str:
    """Return what the policy declares for a burst's machine, "" where it declares nothing.

    Raises RemoteError Invalid, code UserDataMissing.
    """
    machine = burst.spec.machine
    if machine is None or not machine.config_map:
        return ""
    where = f"ConfigMap {burst.namespace}/{machine.config_map}"
    found = await paths.read(api, paths.config_maps(burst.namespace, machine.config_map))
    if found is None:
        raise RemoteError("Invalid", f"{where}, which is to hold the user data, does not exist", code="UserDataMissing")
    data: dict[str, Any] = found.get("data") or {}
    text = data.get(machine.key)
    if not isinstance(text, str) or not text.strip():
        raise RemoteError("Invalid", f"{where} has no user data under {machine.key}", code="UserDataMissing")
    return text


def build_user_data(text: str, burst: Burst, target: Target, *, lease_end_ms: int) -> str:
    """Return the user data of a burst's machine, encoded. Raises RemoteError Invalid, code UserDataInvalid or UserDataTooLarge."""
    guest = Guest(
        machine=burst.spec.pod_name,
        lease_end_ms=lease_end_ms,
        drain_ms=burst.spec.drain_ms,
        trustee_url=target.trustee_url,
        spot=burst.spec.spot,
    )
    machine = burst.spec.machine
    where = f"ConfigMap {burst.namespace}/{machine.config_map}, key {machine.key}" if machine is not None else "it"
    try:
        return pack(compose(text, guest))
    except TooLargeError as error:
        raise RemoteError("Invalid", f"{where}: {error}", code="UserDataTooLarge") from error
    except ValueError as error:
        raise RemoteError(
            "Invalid", f"{where}, can't be a machine's user data: {error}", code="UserDataInvalid"
        ) from error


class TooLargeError(ValueError):
    """More than a machine takes."""


def compose(text: str, guest: Guest) -> str:
    """Return the whole message. Raises ValueError where ``text`` may not go to a machine."""
    if len(text) > MAX_TEXT:
        raise TooLargeError(f"the user data has {len(text)} characters, and no more than {MAX_TEXT} are taken")
    parts = _parts(text)
    own = "#cloud-config\n" + json.dumps(guest_config(guest), indent=1, sort_keys=True) + "\n"
    digest = hashlib.sha256("\0".join([*(part for _, part in parts), own]).encode()).hexdigest()
    message = MIMEMultipart(boundary=f"burster-{digest[:32]}")
    for number, (declared, part) in enumerate(parts, start=1):
        subtype = check_part(part)
        # a script may say how often it is to run
        message.attach(_mime(f"part-{number}", part, declared if declared.startswith(subtype) else subtype))
    message.attach(_mime(_OWN, own, "cloud-config"))
    return message.as_string()


def pack(message: str) -> str:
    """Return a message in base64, compressed first if it has to be. Raises TooLargeError."""
    raw = message.encode()
    plain = base64.b64encode(raw).decode()
    if len(plain) <= MAX_ENCODED:
        return plain
    packed = base64.b64encode(gzip.compress(raw, mtime=0)).decode()
    if len(packed) <= MAX_ENCODED:
        return packed
    raise TooLargeError(
        f"the user data has {len(plain)} characters in base64 ({len(packed)} when compressed), and a machine takes {MAX_ENCODED}"
    )


def _parts(text: str) -> list[tuple[str, str]]:
    """Return the policy's parts, as (declared MIME subtype, text)."""
    if not text:
        return []
    if text.casefold().startswith(_MESSAGE):
        message = message_from_string(text)
        if not message.is_multipart() or message.defects:
            raise ValueError("it begins like a multi-part message and is none")
        return leaves(message)
    return [("", text)]


def _mime(name: str, text: str, subtype: str) -> MIMEText:
    """Return one part; as it stands where mail allows that, which keeps it readable, else in base64."""
    plain = text.isascii() and "\r" not in text and max(map(len, text.split("\n"))) <= _LINE_MAX
    part = MIMEText(text, subtype, "us-ascii" if plain else "utf-8")
    part.add_header("Content-Disposition", "attachment", filename=name)
    return part
