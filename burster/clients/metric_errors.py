"""Why a metric could not be read, sorted by who has to do something about it.

Raised by the transports of metrics and by the sources above them; the runtime counts the faults and backs off by them. A message is one
sentence that may go into a decision, a log and a policy's status: it never holds a credential, a query string or a foreign body.
"""

from typing import Final, Literal

from burster.model.errors import BursterError


Fault = Literal[
    "unreachable",  # refused, reset, name not found
    "timeout",  # no whole answer in time
    "tls",  # certificates do not fit, on either side
    "auth",  # 401, 403, or credentials that can't be had
    "throttled",  # 429
    "client_error",  # another 4xx: the same request will not work either
    "server_error",  # 5xx
    "redirect",  # it sends us elsewhere
    "too_large",  # the answer is larger than any number needs
    "protocol",  # the answer makes no sense
    "partial",  # the answer says of itself that data are missing in it
    "wrong_type",  # an answer, but no number
    "several_series",  # more than one number
    "no_value",  # no series, NaN or infinite, where that is no zero
    "location",  # valueLocation points at nothing, or at no number
    "not_allowed",  # no target's allow-list names the endpoint
    "unsupported",  # asks for what burster does not do
]
#: what says something about the server rather than about the question: it is left alone for a while
OF_THE_SERVER: Final[frozenset[Fault]] = frozenset({"unreachable", "tls", "throttled"})


class MetricError(BursterError):
    """A value could not be read; ``retry_after_ms`` is what the other side asked for."""

    def __init__(self, fault: Fault, message: str, *, retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.fault: Fault = fault
        self.message = message
        self.retry_after_ms = retry_after_ms
