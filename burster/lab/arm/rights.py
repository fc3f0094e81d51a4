"""Whether a caller may do what it asks for: its token, then its roles, in ARM's words.

Called by the server before anything else is done. Roles are judged also where no token is asked for, so that missing
ones can be tried over plain http.
"""

import re
from functools import lru_cache
from typing import Final

from burster.lab.arm.config import ArmConfig
from burster.lab.arm.declared import Role, Tokens
from burster.lab.arm.errors import ArmError


_JOIN_SUBNET: Final = "Microsoft.Network/virtualNetworks/subnets/join/action"
_JOIN_GROUP: Final = "Microsoft.Network/networkSecurityGroups/join/action"
_ANYBODY: Final = Tokens()


def check_token(config: ArmConfig, header: str) -> None:
    """Raise ArmError 401 where the lab asks for a token and this one is missing, strange or too old."""
    tokens = config.tokens
    if tokens is None:
        return
    scheme, _, token = header.partition(" ")
    if not header:
        raise _unauthorized(
            tokens,
            "AuthenticationFailed",
            "Authentication failed. The 'Authorization' header is missing.",
        )
    if scheme.casefold() != "bearer" or not token:
        raise _unauthorized(
            tokens,
            "AuthenticationFailedInvalidHeader",
            "Authentication failed. The 'Authorization' header is provided in an invalid format.",
        )
    if token in tokens.expired:
        raise _unauthorized(tokens, "ExpiredAuthenticationToken", "The access token expiry UTC time is in the past.")
    if tokens.valid and token not in tokens.valid:
        raise _unauthorized(tokens, "InvalidAuthenticationToken", "The access token is invalid.")


def roles_over(config: ArmConfig, scope: str) -> tuple[Role, ...]:
    """Return the caller's roles over a scope: those given there or on anything around it."""
    inner = f"{scope.rstrip('/')}/".casefold()
    return tuple(role for role in config.roles if inner.startswith(f"{role.scope.rstrip('/')}/".casefold()))


def allows(roles: tuple[Role, ...], action: str) -> bool:
    """Say whether any one of the roles allows an action that it does not except."""
    return any(_any_matches(role.actions, action) and not _any_matches(role.not_actions, action) for role in roles)


def check_right(config: ArmConfig, action: str, scope: str) -> None:
    """Raise ArmError 403 where no role allows the action over the scope."""
    if action and not allows(roles_over(config, scope), action):
        who = (config.tokens or _ANYBODY).client
        raise ArmError(
            403,
            "AuthorizationFailed",
            f"The client '{who}' with object id '{who}' does not have authorization to perform action '{action}' over scope "
            f"'{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.",
        )


def check_join(config: ArmConfig, vm_id: str, wanted: str) -> None:
    """Raise ArmError 403 where a VM may be made, but not in that subnet or with that network security group."""
    action = _JOIN_GROUP if "/networksecuritygroups/" in wanted.casefold() else _JOIN_SUBNET
    if not allows(roles_over(config, wanted), action):
        who = (config.tokens or _ANYBODY).client
        raise ArmError(
            403,
            "LinkedAuthorizationFailed",
            f"The client '{who}' with object id '{who}' has permission to perform action 'Microsoft.Compute/virtualMachines/write' "
            f"on scope '{vm_id}'; however, it does not have permission to perform action(s) '{action}' on the linked "
            f"scope(s) '{wanted}' (respectively) or the linked scope(s) are invalid.",
        )


def _any_matches(patterns: tuple[str, ...], action: str) -> bool:
    return any(_pattern(each).fullmatch(action) is not None for each in patterns)


@lru_cache(maxsize=1_024)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in text.split("*")), re.IGNORECASE)


def _unauthorized(tokens: Tokens, code: str, message: str) -> ArmError:
    login = f"https://login.windows.net/{tokens.tenant}"
    challenge = f'Bearer authorization_uri="{login}", error="invalid_token", error_description="{message}"'
    return ArmError(401, code, message, headers={"WWW-Authenticate": challenge})
