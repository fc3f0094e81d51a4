"""The tags on burster's own machines: whose a machine is, and until when it may live, for whoever has nothing but the cloud to ask.

Written by the adaptor that makes machines; read by it, by the machine itself (its metadata service shows it its tags) and by whoever sweeps.
Azure refuses ``/`` in a tag's name, keeps names in whatever case they came, compares them in any, and takes values of 256 characters.
"""

import re
from datetime import UTC, datetime
from typing import Final


CLUSTER_TAG: Final = "burster-cluster"  #: the cluster's own name (``BURSTER_CLUSTER_ID``)
POLICY_TAG: Final = "burster-policy"  #: ``namespace/name``
BURST_TAG: Final = "burster-burst"  #: ``namespace/name``
UID_TAG: Final = "burster-uid"  #: the Burst's uid: tells it from an earlier one of its name
LEASE_TAG: Final = "burster-lease-end"  #: ``2026-11-22T13:08:00Z``: when nobody moves it on, the machine ends
EPOCH_TAG: Final = "burster-epoch"  #: in which lead it was made

_VALUE_MAX: Final = 256
_NOT_PLAIN = re.compile(r"[^\x20-\x7e]")
_LEASE_END = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")


def tag_value(text: str) -> str:
    """Return a text as a tag may have it: printable ASCII, 256 characters at most."""
    return _NOT_PLAIN.sub("_", text)[:_VALUE_MAX]


def read_tag(tags: dict[str, str], name: str) -> str:
    """Return a tag's value, whatever case its name came back in; "" where there is none."""
    found = tags.get(name)
    if found is not None:
        return found
    return next((value for known, value in tags.items() if known.casefold() == name), "")


def format_lease_end(at_ms: int) -> str:
    """Return a moment as the tag has it: whole seconds, rounded up, so that no lease ends before it does."""
    return datetime.fromtimestamp(-(-at_ms // 1000), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_lease_end(tags: dict[str, str]) -> int | None:
    """Return when a machine's lease ends, in epoch ms; None where its tags do not say so in a way that can be read."""
    text = read_tag(tags, LEASE_TAG)
    if not _LEASE_END.fullmatch(text):
        return None
    try:
        return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        return None
