"""CAA's webhook as an API server calls it."""

import base64
import json

from burster.lab.apiserver.patches import json_patch
from burster.lab.caa.reviews import configuration, review
from burster.lab.caa.webhook import PeerPodsWebhook


def _asked(**spec) -> dict:
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": "3", "memory": "2Gi"}}}
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [container], **spec}}
    request = {"uid": "7", "operation": "CREATE", "namespace": "default", "object": pod, "userInfo": {"username": "u"}}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def test_a_peer_pod_is_changed_by_a_patch():
    asked = _asked(runtimeClassName="kata-remote")
    response = review(PeerPodsWebhook(), asked)["response"]
    assert (response["uid"], response["allowed"], response["patchType"]) == ("7", True, "JSONPatch")
    new = json_patch(asked["request"]["object"], json.loads(base64.b64decode(response["patch"])))
    assert new["metadata"]["annotations"]["io.katacontainers.config.hypervisor.default_vcpus"] == "3"
    assert new["spec"]["containers"][0]["resources"]["limits"] == {"kata.peerpods.io/vm": "1"}
    assert new["spec"]["runtimeClassName"] == "kata-remote"


def test_any_other_pod_is_let_through_as_it_is():
    response = review(PeerPodsWebhook(), _asked())["response"]
    assert response == {"uid": "7", "allowed": True}


def test_pods_of_caas_own_namespace_are_left_alone():
    asked = _asked(runtimeClassName="kata-remote")
    asked["request"]["namespace"] = "confidential-containers-system"
    assert "patch" not in review(PeerPodsWebhook(), asked)["response"]


def test_its_configuration_asks_for_new_pods_only_and_may_be_called_again():
    [hook] = configuration(PeerPodsWebhook(), "https://127.0.0.1:1/x", b"pem")["webhooks"]
    assert hook["rules"] == [
        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    ]
    assert (hook["reinvocationPolicy"], hook["failurePolicy"], hook["sideEffects"]) == ("IfNeeded", "Fail", "None")
    assert base64.b64decode(hook["clientConfig"]["caBundle"]) == b"pem"
