"""What the API server says of itself: discovery, version, schemas.

The server asks it for every URL that is no resource.
"""

from burster.lab.apiserver import discovery, openapi
from burster.lab.apiserver.errors import ApiError, Json
from burster.lab.apiserver.kinds import Kinds


def describe(kinds: Kinds, parts: list[str], *, accept: str, address: str) -> Json:
    """The document at a path; 404 where there is none."""
    wants_all = discovery.AGGREGATED in accept.replace(" ", "")
    match parts:
        case ["api"]:
            found = discovery.aggregated(kinds, named=False) if wants_all else discovery.core_versions(address)
        case ["apis"]:
            found = discovery.aggregated(kinds, named=True) if wants_all else discovery.group_list(kinds)
        case ["api", version]:
            found = discovery.resource_list(kinds, "", version)
        case ["apis", group]:
            found = discovery.one_group(kinds, group)
        case ["apis", group, version]:
            found = discovery.resource_list(kinds, group, version)
        case ["version"]:
            found = discovery.VERSION
        case ["openapi", "v2"]:
            found = openapi.swagger(accept)
        case ["openapi", "v3"]:
            found = openapi.index(kinds)
        case ["openapi", "v3", "api", version]:
            found = openapi.document(kinds, "", version)
        case ["openapi", "v3", "apis", group, version]:
            found = openapi.document(kinds, group, version)
        case _:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
    return found
