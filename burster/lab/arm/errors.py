"""What the ARM stand-in refuses, in ARM's own words. Raised by the cloud's rules, rendered by the server."""

from typing import Final

import msgspec


#: with {size} and {region}
SKU_NOT_AVAILABLE: Final = (
    "The requested VM size for resource 'Following SKUs have failed for Capacity Restrictions: {size}' is currently not "
    "available in location '{region}'. Please try another size or deploy to a different location or different zone. "
    "See https://aka.ms/azureskunotavailable for details."
)


class ArmError(Exception):
    """An error answer: HTTP status, ARM's code, ARM's sentence."""

    def __init__(  # noqa: PLR0913 - the parts of an answer
        self,
        status: int,
        code: str,
        message: str,
        *,
        target: str = "",
        retry_after_s: int | None = None,
        details: tuple[dict[str, str], ...] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.target = target
        self.retry_after_s = retry_after_s
        self.details = details
        self.headers = headers or {}

    def body(self) -> bytes:
        """Return ARM's error envelope."""
        error: dict[str, object] = {"code": self.code, "message": self.message}
        if self.target:
            error["target"] = self.target
        if self.details:
            error["details"] = list(self.details)
        return msgspec.json.encode({"error": error})


def not_found(kind: str, name: str, group: str) -> ArmError:
    """Say that a resource does not exist, as ARM does."""
    return ArmError(
        404,
        "ResourceNotFound",
        f"The Resource '{kind}/{name}' under resource group '{group}' was not found. "
        "For more details please go to https://aka.ms/ARMResourceNotFoundFix",
    )


def invalid(message: str, target: str = "") -> ArmError:
    """Say that a body can't be accepted."""
    return ArmError(400, "InvalidParameter", message, target=target)
