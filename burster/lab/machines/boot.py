"""Reads user data as cloud-init does, and tells what a guest would do: which units it has, and what it is told of itself.

It knows no more of burster than what is written there: a machine that was sent nothing does nothing, and lives for ever.
"""

import base64
import gzip
import json
from email import message_from_bytes
from typing import Any, Final

import msgspec
import yaml


_GZIP: Final = b"\x1f\x8b"
_ENVIRONMENT: Final = "/etc/burster/machine.env"
_UNITS: Final = "/etc/systemd/system/"


class BootError(Exception):
    """What a guest can't boot from."""


class Boot(msgspec.Struct, frozen=True, kw_only=True):
    """What a guest was sent: its environment, the units that it starts, and all that it is to run, in order."""

    environment: dict[str, str] = {}
    units: frozenset[str] = frozenset()  #: those that are started, and what they need
    commands: tuple[tuple[str, ...], ...] = ()

    @property
    def lease_end_ms(self) -> int | None:
        """When it is to end if nobody says otherwise; None where nothing in it looks at a lease."""
        return int(self.environment["BURSTER_LEASE_END_MS"]) if "burster-lease.timer" in self.units else None

    @property
    def attests(self) -> bool:
        """Whether its workload waits for a proof."""
        return "burster-attest.service" in self.units

    @property
    def hears_evictions(self) -> bool:
        """Whether it listens for the notice that it is taken away."""
        return "burster-spot.service" in self.units


def read_boot(user_data: str) -> Boot:
    """Return what user data, in base64, has a guest do. Raises BootError where cloud-init could not read it."""
    try:
        raw = base64.b64decode(user_data, validate=True)
        message = message_from_bytes(gzip.decompress(raw) if raw.startswith(_GZIP) else raw)
        written: dict[str, str] = {}
        commands: list[list[str]] = []
        for part in message.walk():
            if part.get_content_type() == "text/cloud-config":
                payload = part.get_payload(decode=True)
                config: dict[str, Any] = yaml.safe_load(payload if isinstance(payload, bytes) else b"") or {}
                files: list[dict[str, str]] = config.get("write_files") or []
                written |= {file["path"]: file.get("content", "") for file in files}
                own: list[list[str]] = config.get("runcmd") or []
                # a part may have its commands run before those of the parts before it
                commands = [*own, *commands] if "prepend" in config.get("merge_how", "") else [*commands, *own]
    except (ValueError, KeyError, AttributeError, TypeError, OSError, EOFError, yaml.YAMLError) as error:
        raise BootError(str(error)) from error
    return Boot(
        environment=_environment(written.get(_ENVIRONMENT, "")),
        units=frozenset(_started(commands, written)),
        commands=tuple(tuple(command) for command in commands),
    )


def _environment(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name: json.loads(value) if value.startswith('"') else value for name, _, value in pairs}


def _started(commands: list[list[str]], written: dict[str, str]) -> set[str]:
    """Return the units that systemctl is told to start, and those that they require, as far as they are written."""
    units: set[str] = set()
    wanted = [
        word
        for command in commands
        if command[:1] == ["systemctl"] and ("start" in command or "--now" in command)
        for word in command[1:]
        if "." in word
    ]
    while wanted:
        unit = wanted.pop()
        text = written.get(f"{_UNITS}{unit}")
        if text is None or unit in units:
            continue
        units.add(unit)
        for line in text.splitlines():
            if line.startswith("Requires="):
                wanted += line.removeprefix("Requires=").split()
    return units
