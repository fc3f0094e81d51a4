"""Answers to questions that are no stored objects: may I, who am I, is this token good.

The server uses it for the review resources. Everybody who got in may do everything here.
"""

from typing import Final

from burster.lab.apiserver.errors import ApiError, Json
from burster.lab.apiserver.objects import section, text, timestamp


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
            known = tokens.get(text(body, "spec", "token"))
            status = {"authenticated": known is not None}
            if known is not None:
                status["user"] = {"username": known, "groups": who["groups"]}
        case _:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
    metadata = {"creationTimestamp": None, **section(body, "metadata")}
    return {**body, "metadata": metadata, "status": status}


def token_request(body: Json, account: Json, *, now_ms: int) -> Json:
    """A token for a service account; nobody checks it."""
    spec = section(body, "spec")
    seconds = int(spec.get("expirationSeconds") or 3600)
    status = {"token": f"lab.{account['metadata']['uid']}", "expirationTimestamp": timestamp(now_ms + seconds * 1000)}
    metadata = {key: account["metadata"][key] for key in ("name", "namespace")}
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": metadata,
        "spec": {**spec, "expirationSeconds": seconds},
        "status": status,
    }
