"""What a refusal by a Kubernetes API server means."""

import orjson

from burster.clients.kube_errors import remote_error


def test_a_namespace_that_is_being_deleted_is_told_from_a_right_that_is_missing() -> None:
    cause = {
        "reason": "NamespaceTerminating",
        "message": "namespace a is being terminated",
        "field": "metadata.namespace",
    }
    for causes, code in (
        ([cause], "NamespaceTerminating"),
        ([], "Forbidden"),
        ([{}], "Forbidden"),
        (None, "Forbidden"),
    ):
        told = {"reason": "Forbidden", "message": "no", "code": 403, "details": {"name": "p", "causes": causes}}
        error = remote_error("POST /p", 403, orjson.dumps(told))
        assert (error.kind, error.code) == ("Unauthorized", code)
