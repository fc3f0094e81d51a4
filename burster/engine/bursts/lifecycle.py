"""The life of a Burst as a table: every legal edge, with when it happens.

The engine moves a Burst only through ``edge_allowed``; an edge that is not here is a bug, raised in tests and everywhere else. The
picture in the docs is made from this table.
"""

from typing import Final

from burster.model.bursts import Phase


#: (from, to) -> when
EDGES: Final[dict[tuple[Phase, Phase], str]] = {
    ("Reserved", "Placing"): "the record is written in the API",
    ("Reserved", "Failed"): "the record can't be written: refused, or put off until the launch deadline",
    ("Reserved", "Releasing"): "the pending pod went away before the record was written",
    ("Placing", "Provisioning"): "the cloud pod exists",
    ("Placing", "Releasing"): "withdrawn: the pending pod was bound on-prem, changed or deleted before it was taken",
    ("Placing", "Failed"): "the cloud pod can't be created: refused, or put off until the launch deadline",
    ("Provisioning", "Attesting"): "the pod runs",
    ("Provisioning", "Draining"): "demand went away, the record was deleted, or everything is to come home",
    ("Provisioning", "Failed"): "the sandbox could not be started, or not within the deadline",
    ("Provisioning", "Releasing"): "somebody else deleted the pod",
    ("Attesting", "Serving"): "the VM is what the policy demands",
    ("Attesting", "Draining"): "demand went away, the record was deleted, or everything is to come home",
    ("Attesting", "Failed"): "the VM is not what the policy demands, or no VM was found within the deadline",
    ("Attesting", "Releasing"): "the pod ended or was deleted before its VM was verified",
    (
        "Serving",
        "Draining",
    ): "demand is gone for the cool-down, the lease is not renewed, or everything is to come home",
    ("Serving", "Releasing"): "the task ended, or somebody else deleted the pod",
    ("Serving", "Lost"): "the pod says it runs, and the cloud confirms that it has no VM for it",
    ("Draining", "Releasing"): "the pod is gone or has ended; a moved one that did not end its work is back on-prem",
    ("Failed", "Releasing"): "the pod is gone, or never was; a moved pod that did not end its work is back on-prem",
    ("Lost", "Releasing"): "the pod is gone; a moved one that did not end its work is back on-prem",
    ("Releasing", "Draining"): "a placing that was given up had made its pod all the same, and the watch shows it now",
    ("Releasing", "Released"): "no VM is left (a confirmed 404) and the money is settled",
}

#: Phases in which a burst counts against maxBursts and keeps its reservation.
ACTIVE: Final[frozenset[Phase]] = frozenset(
    {"Reserved", "Placing", "Provisioning", "Attesting", "Serving", "Draining", "Releasing", "Failed", "Lost"}
)
#: Phases in which a burst answers demand.
ANSWERING: Final[frozenset[Phase]] = frozenset({"Reserved", "Placing", "Provisioning", "Attesting", "Serving"})
#: Phases in which a burst is being ended: its pod goes, a moved one comes home, and then its VMs' absence is confirmed.
ENDING: Final[frozenset[Phase]] = frozenset({"Draining", "Failed", "Lost"})


def edge_allowed(old: Phase, new: Phase) -> bool:
    """Say whether the table has this edge."""
    return (old, new) in EDGES


def to_mermaid() -> str:
    """Return the table as a Mermaid state diagram, for the docs."""
    lines = ["stateDiagram-v2", "    [*] --> Reserved: decided, money set aside"]
    # Mermaid ends a label at a colon or semicolon
    labels = {edge: when.replace(";", ",").replace(":", ",") for edge, when in EDGES.items()}
    lines += [f"    {old} --> {new}: {label}" for (old, new), label in labels.items()]
    lines.append("    Released --> [*]: the record is forgotten after its retention")
    return "\n".join(lines) + "\n"
