"""The API server's refusals: what every room of it raises, and the Status object a client gets for them.

Raised by the store and everything under it, caught by the server alone. Never raised for a bug: those stay ordinary exceptions.
"""

from typing import Any


Json = dict[str, Any]


class ApiError(Exception):
    """A refusal with its HTTP status, machine-readable reason and a sentence."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        details: Json | None = None,
        continue_token: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.details = details
        self.continue_token = continue_token

    @property
    def retry_after_s(self) -> int:
        """What the Retry-After header says; 0 is no header."""
        return int((self.details or {}).get("retryAfterSeconds", 0))

    def to_status(self) -> Json:
        """The Status object that goes over the wire."""
        metadata: Json = {"continue": self.continue_token} if self.continue_token else {}
        status: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata,
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        }
        if self.details:
            status["details"] = self.details
        status["code"] = self.status
        return status


def _qualified(plural: str, group: str) -> str:
    return f"{plural}.{group}" if group else plural


def _details(plural: str, group: str, name: str) -> Json:
    details: Json = {"name": name}
    if group:
        details["group"] = group
    details["kind"] = plural
    return details


def not_found(plural: str, group: str, name: str) -> ApiError:
    """Nothing of that name is there."""
    message = f'{_qualified(plural, group)} "{name}" not found'
    return ApiError(404, "NotFound", message, details=_details(plural, group, name))


def already_exists(plural: str, group: str, name: str) -> ApiError:
    """The name is taken."""
    message = f'{_qualified(plural, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details=_details(plural, group, name))


def conflict(plural: str, group: str, name: str, why: str) -> ApiError:
    """The object is not what the caller thinks it is; read it again."""
    message = f'Operation cannot be fulfilled on {_qualified(plural, group)} "{name}": {why}'
    return ApiError(409, "Conflict", message, details=_details(plural, group, name))


def modified(plural: str, group: str, name: str) -> ApiError:
    """Optimistic concurrency lost."""
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(plural, group, name, why)


def forbidden(plural: str, group: str, name: str, why: str) -> ApiError:
    """Admission says no."""
    message = f'{_qualified(plural, group)} "{name}" is forbidden: {why}'
    return ApiError(403, "Forbidden", message, details=_details(plural, group, name))


def bad_request(message: str) -> ApiError:
    """The request itself makes no sense."""
    return ApiError(400, "BadRequest", message)


def expired(message: str, *, continue_token: str = "") -> ApiError:
    """The revision asked for has been compacted away."""
    return ApiError(410, "Expired", message, continue_token=continue_token)


def unsupported_media(accepted: tuple[str, ...]) -> ApiError:
    """The body's content type is none this resource takes."""
    names = ", ".join(accepted)
    message = f"the body of the request was in an unknown format - accepted media types include: {names}"
    return ApiError(415, "UnsupportedMediaType", message)


class FieldError:
    """One thing wrong with one field of an object."""

    __slots__ = ("message", "path", "reason")

    def __init__(self, path: str, reason: str, message: str) -> None:
        self.path = path
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def required(path: str, why: str = "") -> FieldError:
    """A field that must be there isn't."""
    return FieldError(path, "FieldValueRequired", f"Required value: {why}" if why else "Required value")


def bad_value(path: str, value: object, why: str) -> FieldError:
    """A field's value can't be."""
    shown = f'"{value}"' if isinstance(value, str) else _plain(value)
    return FieldError(path, "FieldValueInvalid", f"Invalid value: {shown}: {why}")


def immutable(path: str, why: str = "field is immutable") -> FieldError:
    """A field may not change like that."""
    return FieldError(path, "FieldValueForbidden", f"Forbidden: {why}")


def _plain(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def invalid(kind: str, group: str, name: str, errors: list[FieldError]) -> ApiError:
    """The object breaks its kind's rules: 422 with one cause per field."""
    sentences = [str(error) for error in errors]
    told = sentences[0] if len(sentences) == 1 else "[" + ", ".join(sentences) + "]"
    details = _details(kind, group, name)
    details["causes"] = [{"reason": error.reason, "message": error.message, "field": error.path} for error in errors]
    return ApiError(422, "Invalid", f'{_qualified(kind, group)} "{name}" is invalid: {told}', details=details)
