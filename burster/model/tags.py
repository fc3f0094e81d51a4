"""The tags by which burster's own machines, and the peer pods' VMs of one cluster, are told from everybody else's in a resource group.

Written by who creates a machine; read by the sweep and by the reaper, which has nothing else to go by where there is no API server.
cloud-api-adaptor gives all its VMs the static tags of its setting TAGS: the cluster's tag belongs there.
"""

import re
from typing import Final


MACHINE_PREFIX: Final = "burstvm-"  #: what the names of burster's own machines begin with

CLUSTER_TAG: Final = "burster-cluster"  #: the settings' ``cluster_id``
POLICY_TAG: Final = "burster-policy"  #: namespace/name
BURST_TAG: Final = "burster-burst"  #: namespace/name of the record
UID_TAG: Final = "burster-uid"  #: the record's uid: tells it from an earlier one of its name
#: until when the machine is paid for, in epoch milliseconds as decimal digits: who finds it later than that, and its drain, may end it
LEASE_END_TAG: Final = "burster-lease-end"
EPOCH_TAG: Final = "burster-epoch"  #: the fencing epoch of the lead that made it

_VALUE_MAX: Final = 256
_NOT_PLAIN: Final = re.compile(r"[^\x20-\x7e]")


def tag_value(text: str) -> str:
    """Return a text as a tag may have it: printable ASCII, 256 characters at most."""
    return _NOT_PLAIN.sub("_", text)[:_VALUE_MAX]


def read_tag(tags: dict[str, str], name: str) -> str:
    """Return a tag's value; "" where there is none. ARM compares tags' names in any case, and may give them back in another."""
    found = tags.get(name)
    if found is not None:
        return found
    return next((value for known, value in tags.items() if known.casefold() == name), "")


def lease_end_ms(tags: dict[str, str]) -> int | None:
    """Return until when a machine is paid for, or None where its tags do not say so in a way that makes sense."""
    text = read_tag(tags, LEASE_END_TAG)
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= len("9999999999999") else None
