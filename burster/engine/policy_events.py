"""Kubernetes events on policies: what people find in ``kubectl describe burstpolicy``.

Called by the rooms that decide. Said once for each thing that happens; the adaptor joins what repeats. Nothing is read back from here.
"""

from burster.engine.state import State
from burster.model.instructions import EmitEvent


def tell_policy(state: State, key: str, uid: str, reason: str, message: str, *, warning: bool = False) -> None:
    """Write an event on a policy. ``uid``: of its object; without one it is in no API server and nothing is written."""
    if not uid:
        return
    namespace, _, name = key.partition("/")
    state.instructions.append(
        EmitEvent(
            key=f"event/BurstPolicy/{key}/{reason}/{state.now_ms}",
            namespace=namespace,
            kind="BurstPolicy",
            name=name,
            uid=uid,
            severity="Warning" if warning else "Normal",
            reason=reason,
            message=message,
        )
    )
