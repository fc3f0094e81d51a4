"""CAA's webhook as a real API server calls it: an AdmissionReview in, an AdmissionReview with a JSON patch out, over HTTPS.

The API server accepts no webhook without TLS: who serves it brings the certificate. What is changed is ``webhook``'s business.
"""

import base64
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import orjson
from aiohttp import web

from burster.lab.apiserver.objects import is_object, section
from burster.lab.caa.webhook import PeerPodsWebhook


Json = dict[str, Any]
PATH: Final = "/mutate-v1-pod"
_BAD_REQUEST: Final = 400


def review(webhook: PeerPodsWebhook, asked: Json) -> Json:
    """Return the answer to an AdmissionReview."""
    request = section(asked, "request")
    # an object that is being created may leave its namespace to the request
    pod: Json = {**section(request, "object")}
    pod["metadata"] = {"namespace": request.get("namespace", ""), **section(pod, "metadata")}
    new = webhook("pods", str(request.get("operation", "")), pod, str(section(request, "userInfo").get("username", "")))
    response: Json = {"uid": request.get("uid", ""), "allowed": True}
    if new is not pod:
        operations: list[Json] = [
            {"op": "add", "path": "/metadata/annotations", "value": section(new, "metadata").get("annotations") or {}},
            {"op": "replace", "path": "/spec", "value": new["spec"]},
        ]
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(orjson.dumps(operations)).decode()}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}


def configuration(webhook: PeerPodsWebhook, url: str, ca_pem: bytes) -> Json:
    """Return the MutatingWebhookConfiguration that has an API server call it there."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": webhook.name},
        "webhooks": [
            {
                "name": "mwebhook.peerpods.io",
                "clientConfig": {"url": url, "caBundle": base64.b64encode(ca_pem).decode()},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
                "failurePolicy": "Fail",
                "reinvocationPolicy": "IfNeeded",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }
        ],
    }


@asynccontextmanager
async def serve_webhook(webhook: PeerPodsWebhook, context: ssl.SSLContext) -> AsyncGenerator[str]:
    """Serve it on a free port of this machine; the value is its URL."""

    async def mutate(request: web.Request) -> web.Response:
        asked: Any = orjson.loads(await request.read())
        if not is_object(asked):
            return web.Response(status=_BAD_REQUEST)
        return web.Response(body=orjson.dumps(review(webhook, asked)), content_type="application/json")

    application = web.Application()
    application.router.add_post(PATH, mutate)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        port: int = runner.addresses[0][1]
        yield f"https://127.0.0.1:{port}{PATH}"
    finally:
        await runner.cleanup()
