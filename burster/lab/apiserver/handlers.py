"""What the API server does for each verb on a resource, watches aside.

The server calls it with a decoded call and writes what comes back. Everything here is synchronous, so each request is one transaction.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import orjson

from burster.lab.apiserver.calls import Call, is_true
from burster.lab.apiserver.errors import ApiError, Json, bad_request, unsupported_media
from burster.lab.apiserver.forms import AnyForm, choose_form
from burster.lab.apiserver.objects import is_object, key_of, section
from burster.lab.apiserver.pages import Ask
from burster.lab.apiserver.patches import json_patch, merge_patch
from burster.lab.apiserver.reviews import token_request
from burster.lab.apiserver.store import Store
from burster.lab.apiserver.subresources import bind, check_scalable, evict, read_scale, write_scale


class Answer(NamedTuple):
    """What goes back over the wire."""

    body: bytes
    status: int = 200
    warnings: tuple[str, ...] = ()


Handler = Callable[[Store, Call], Answer]

#: kinds whose deletion answers with the object
_RETURNS_OBJECT: Final = frozenset({"pods", "services", "serviceaccounts", "persistentvolumeclaims", "persistentvolumes",
                                    "podtemplates", "resourcequotas"})  # fmt: skip


def form_of(store: Store, call: Call) -> AnyForm:
    """The form the client asks for."""
    return choose_form(call.view, call.accept, call.query.get("includeObject", ""), store.now_ms)


def _success(**details: Any) -> bytes:
    status: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if details:
        status["details"] = details
    return orjson.dumps(status)


def _warnings(store: Store, call: Call) -> tuple[str, ...]:
    if call.validation != "Warn":
        return ()
    return tuple(f'unknown field "{path}"' for path in store.dropped)


def _inward(call: Call, body: Json) -> Json:
    """What was sent, as the store keeps it."""
    view = call.view
    said = (body.get("apiVersion", view.api_version), body.get("kind", view.kind.kind))
    if said != (view.api_version, view.kind.kind):
        message = (
            f"the API version in the data ({said[0]}, Kind={said[1]}) does not match the expected "
            f"API version ({view.api_version}, Kind={view.kind.kind})"
        )
        raise bad_request(message)
    return body if view.inward is None else view.inward(body)


def ask_of(call: Call) -> Ask:
    """What a list asks for."""
    query = call.query
    return Ask(
        limit=call.number("limit") or 0,
        continue_token=query.get("continue", ""),
        resource_version=query.get("resourceVersion", ""),
        match=query.get("resourceVersionMatch", ""),
    )


def get(store: Store, call: Call) -> Answer:
    """One object, or its scale."""
    obj = store.get(call.view.kind.resource, call.namespace, call.name)
    if call.subresource == "scale":
        check_scalable(call.view.kind)
        return Answer(orjson.dumps(read_scale(call.view.kind, obj)))
    if call.subresource and call.subresource not in ("status", *call.view.kind.subresources):
        raise ApiError(404, "NotFound", "the server could not find the requested resource")
    return Answer(form_of(store, call).object(obj))


def list_(store: Store, call: Call) -> Answer:
    """A list, or a page of one."""
    form = form_of(store, call)
    query = call.query
    page = store.page(
        call.view.kind.resource,
        call.namespace,
        ask_of(call),
        labels=query.get("labelSelector", ""),
        fields=query.get("fieldSelector", ""),
    )
    return Answer(form.list(page))


def create(store: Store, call: Call) -> Answer:
    """A new object, or what posting to a subresource does."""
    if call.subresource or (call.view.kind.resource == "pods" and call.name):
        return _create_subresource(store, call)
    body = _inward(call, call.object_body())
    new = store.create(
        call.view.kind.resource,
        call.namespace,
        body,
        dry_run=call.dry_run,
        user=call.user,
        strict=call.validation == "Strict",
    )
    return Answer(form_of(store, call).object(new), 201, _warnings(store, call))


def _create_subresource(store: Store, call: Call) -> Answer:
    where = (call.view.kind.resource, call.subresource)
    body = call.object_body()
    match where:
        case ("pods", "binding"):
            bind(store, call.namespace, call.name, section(body, "target").get("name", ""))
        case ("pods", "eviction"):
            evict(store, call.namespace, call.name, section(body, "deleteOptions"), dry_run=call.dry_run)
        case ("serviceaccounts", "token"):
            account = store.get("serviceaccounts", call.namespace, call.name)
            return Answer(orjson.dumps(token_request(body, account, now_ms=store.now_ms())), 201)
        case _:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
    return Answer(_success(), 201)


def update(store: Store, call: Call) -> Answer:
    """An object replaced."""
    kind = call.view.kind
    body = call.object_body()
    if call.subresource == "scale":
        check_scalable(kind)
        current = store.get(kind.resource, call.namespace, call.name)
        return Answer(
            orjson.dumps(
                write_scale(store, kind, current, body, dry_run=call.dry_run, field_manager=call.field_manager)
            )
        )
    new = store.update(
        kind.resource,
        call.namespace,
        call.name,
        _inward(call, body),
        subresource=call.subresource,
        dry_run=call.dry_run,
        user=call.user,
        field_manager=call.field_manager,
        strict=call.validation == "Strict",
    )
    return Answer(form_of(store, call).object(new), 200, _warnings(store, call))


def patch(store: Store, call: Call) -> Answer:
    """An object changed by a patch, or applied."""
    kind, patch_kind = call.view.kind, call.patch_kind()
    body = call.json_body()
    if call.subresource == "scale":
        return _patch_scale(store, call, patch_kind, body)
    if call.view.inward is not None and is_object(body):
        body = {**call.view.inward(body)} if "apiVersion" in body else body
    key = key_of(call.namespace if kind.namespaced else "", call.name)
    existed = store.peek(kind.resource, key) is not None
    manager = call.query.get("fieldManager", "") if patch_kind == "apply" else call.field_manager
    new = store.patch(
        kind.resource,
        call.namespace,
        call.name,
        body,
        kind=patch_kind,
        subresource=call.subresource,
        field_manager=manager,
        force=is_true(call.query.get("force", "")),
        dry_run=call.dry_run,
        user=call.user,
        strict=call.validation == "Strict",
    )
    return Answer(form_of(store, call).object(new), 200 if existed else 201, _warnings(store, call))


def _patch_scale(store: Store, call: Call, patch_kind: str, body: Any) -> Answer:
    kind = call.view.kind
    check_scalable(kind)
    current = store.get(kind.resource, call.namespace, call.name)
    scale = read_scale(kind, current)
    if patch_kind == "json":
        new = json_patch(scale, body)
    elif patch_kind in ("merge", "strategic"):
        new = merge_patch(scale, body)
    else:
        raise unsupported_media(("application/json-patch+json", "application/merge-patch+json"))
    return Answer(
        orjson.dumps(write_scale(store, kind, current, new, dry_run=call.dry_run, field_manager=call.field_manager))
    )


def _delete_options(call: Call) -> Json:
    """DeleteOptions from the body, completed from the query string."""
    options: Json = {**call.object_body()} if call.body else {}
    if (grace := call.number("gracePeriodSeconds")) is not None:
        options.setdefault("gracePeriodSeconds", grace)
    if policy := call.query.get("propagationPolicy", ""):
        options.setdefault("propagationPolicy", policy)
    if options.get("orphanDependents"):
        options.setdefault("propagationPolicy", "Orphan")
    if call.dry_run:
        options.setdefault("dryRun", ["All"])
    return options


def _delete_one(store: Store, call: Call, name: str, options: Json) -> Json | None:
    preconditions = section(options, "preconditions")
    return store.delete(
        call.view.kind.resource,
        call.namespace,
        name,
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
        grace_seconds=options.get("gracePeriodSeconds"),
        propagation=options.get("propagationPolicy") or "Background",
        dry_run=bool(options.get("dryRun")),
    )


def delete(store: Store, call: Call) -> Answer:
    """An object deleted, or its deletion begun."""
    kind = call.view.kind
    before = store.get(kind.resource, call.namespace, call.name)
    left = _delete_one(store, call, call.name, _delete_options(call))
    if left is not None:
        return Answer(form_of(store, call).object(left))
    if kind.resource in _RETURNS_OBJECT:
        return Answer(form_of(store, call).object(before))
    details = {"name": call.name, "group": kind.group, "kind": kind.plural, "uid": before["metadata"]["uid"]}
    return Answer(_success(**{key: value for key, value in details.items() if value}))


def delete_collection(store: Store, call: Call) -> Answer:
    """All objects of a list deleted."""
    form, query, options = form_of(store, call), call.query, _delete_options(call)
    page = store.page(
        call.view.kind.resource,
        call.namespace,
        ask_of(call),
        labels=query.get("labelSelector", ""),
        fields=query.get("fieldSelector", ""),
    )
    for record in page.records:
        if store.peek(call.view.kind.resource, record.key) is not None:
            namespaced = Call(**{**_fields(call), "namespace": record.object["metadata"].get("namespace", "")})
            _delete_one(store, namespaced, record.object["metadata"]["name"], options)
    return Answer(form.list(page))


def _fields(call: Call) -> dict[str, Any]:
    return {name: getattr(call, name) for name in call.__struct_fields__}


HANDLERS: Final[dict[str, Handler]] = {
    "get": get,
    "list": list_,
    "create": create,
    "update": update,
    "patch": patch,
    "delete": delete,
    "deletecollection": delete_collection,
}
