"""Answers to questions that are no stored objects: may I, who am I, is this token good.

The server uses it for the review resources. Everybody who got in may do everything here, and a token says itself whose it is.
"""

import base64
from contextlib import suppress
from typing import Final

import orjson

from burster.lab.apiserver.errors import ApiError, Json
from burster.lab.apiserver.objects import section, text, timestamp


_API: Final = "https://kubernetes.default.svc"  #: the audience of tokens that are for the API server itself
_OURS: Final = "lab."
_ALL: Final[Json] = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}


def answer(plural: str, body: Json, *, user: str, tokens: dict[str, str]) -> Json:
    """The review with its status filled in."""
    who = {"username": user, "groups": ["system:masters", "system:authenticated"]}
    match plural:
        case "selfsubjectaccessreviews" | "subjectaccessreviews":
            status: Json = {"allowed": True, "reason": "the lab allows everything"}
        case "selfsubjectrulesreviews":
            rules = [{"verbs": ["*"], "nonResourceURLs": ["*"]}]
            status = {"resourceRules": [_ALL], "nonResourceRules": rules, "incomplete": False}
        case "selfsubjectreviews":
            status = {"userInfo": who}
        case "tokenreviews":
            status = _whose(text(body, "spec", "token"), section(body, "spec").get("audiences") or [_API], tokens)
        case _:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
    metadata = {"creationTimestamp": None, **section(body, "metadata")}
    return {**body, "metadata": metadata, "status": status}


def _whose(token: str, wanted: list[str], tokens: dict[str, str]) -> Json:
    """What there is to say of a token, for the audiences that somebody asks about."""
    known, audiences = tokens.get(token), [_API]
    if token.startswith(_OURS):
        with suppress(ValueError, KeyError, TypeError):
            said = orjson.loads(base64.urlsafe_b64decode(token.removeprefix(_OURS)))
            known, audiences = said["sub"], said["aud"]
    shared = [one for one in wanted if one in audiences]
    if known is None or not shared:
        return {"authenticated": False}
    groups = ["system:masters", "system:authenticated"]
    return {"authenticated": True, "user": {"username": known, "groups": groups}, "audiences": shared}


def token_request(body: Json, account: Json, *, now_ms: int) -> Json:
    """A token for a service account; nobody signs it, and nobody minds when it ends."""
    spec = section(body, "spec")
    seconds = int(spec.get("expirationSeconds") or 3600)
    metadata = {key: account["metadata"][key] for key in ("name", "namespace")}
    owner = f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}"
    inside = {"sub": owner, "aud": spec.get("audiences") or [_API], "uid": account["metadata"]["uid"]}
    token = _OURS + base64.urlsafe_b64encode(orjson.dumps(inside)).decode()
    status = {"token": token, "expirationTimestamp": timestamp(now_ms + seconds * 1000)}
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": metadata,
        "spec": {**spec, "expirationSeconds": seconds},
        "status": status,
    }
