"""Errors that say whose fault it is and what to do next.

Clients and adaptors translate what their libraries raise into these; nothing above them sees an ApiException or an HttpResponseError.
"""

from typing import Literal


class BursterError(Exception):
    """The root of burster's own errors; the message is one sentence a person can act on."""


class InputError(BursterError):
    """Something a person wrote or named can't be used: exit code 2 (unreadable) or 1 (readable, and the answer is no).

    The message names the file, line, column and field where they are known, what was expected, and what to do.
    """


class QuantityError(InputError, ValueError):
    """Text that is no Kubernetes quantity, duration or amount of money."""


RemoteKind = Literal[
    "Unreachable",  # refused, reset, name not found: nothing was done
    "Timeout",  # unknown whether it was done: read again
    "Unauthorized",  # 401, 403
    "NotFound",  # 404
    "AlreadyExists",  # 409 on create
    "Conflict",  # 409 on update or delete: re-read, decide again
    "Expired",  # 410: the resourceVersion or continue token is too old
    "Invalid",  # 400, 422: the same request will never work
    "Throttled",  # 429
    "Capacity",  # the place has no room of that kind now
    "Quota",  # the subscription may not have more
    "Unavailable",  # 5xx
    "Protocol",  # an answer that makes no sense
]


class RemoteError(BursterError):
    """A call to the outside world did not succeed.

    ``kind`` is for code, ``code`` is the other side's own word (``SkuNotAvailable``), ``retry_after_ms`` what it asked for. ``matter`` is
    what a cloud's refusal is about (``burster.model.offerings.Matter``; empty: no cloud said it), ``limit_vcpus`` a refused quota.
    """

    def __init__(  # noqa: PLR0913 - what the other side said, each by name
        self,
        kind: RemoteKind,
        message: str,
        *,
        code: str = "",
        status: int = 0,
        retry_after_ms: int | None = None,
        matter: str = "",
        limit_vcpus: int | None = None,
    ) -> None:
        super().__init__(message)
        self.kind: RemoteKind = kind
        self.message = message
        self.code = code
        self.status = status
        self.retry_after_ms = retry_after_ms
        self.matter = matter
        self.limit_vcpus = limit_vcpus
