"""What a bank's platform team has applied before burster starts: namespaces with their labels, and the initdata that rules declare.

Called by ``site``. It reads the rules as their authors do and gives them what they name; it never changes a rule.
"""

from collections.abc import Iterable
from typing import Any, Final

from burster.adaptors.cluster_api import HOME
from burster.lab.apiserver.errors import ApiError
from burster.lab.apiserver.store import Store
from burster.model.policies import InitdataRef
from burster.model.targets import Target
from burster.policy.compile import compile_policy, compile_target
from burster.policy.load import Document


_ALREADY_THERE: Final = 409


def document_namespace(document: Document) -> str:
    """Return where a document belongs; targets belong to the cluster."""
    if document.kind == "BurstTarget":
        return ""
    metadata: dict[str, Any] = document.object.get("metadata") or {}
    return metadata.get("namespace") or "default"


def prepare(store: Store, documents: Iterable[Document], namespaces: Iterable[str]) -> None:
    """Write namespaces, labelled as the targets that allow them require, and the ConfigMaps that hold initdata."""
    documents = tuple(documents)
    targets = [compile_target(each.object) for each in documents if each.kind == "BurstTarget"]
    needed = {HOME, *namespaces, *(document_namespace(each) for each in documents)} - {""}
    declared = [(HOME, target.initdata, target.trustee_url) for target in targets if target.initdata is not None]
    for each in documents:
        if each.kind == "BurstPolicy":
            own = compile_policy(each.object).confidential.initdata
            if own is not None:
                declared.append((document_namespace(each), own, ""))
    for name in sorted(needed | {namespace for namespace, _, _ in declared}):
        metadata: dict[str, Any] = {"name": name}
        if labels := _labels(name, targets):
            metadata["labels"] = labels
        ensure(store, "namespaces", "", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    for namespace, reference, trustee in declared:
        ensure(store, "configmaps", namespace, _config_map(reference, trustee))


def _labels(namespace: str, targets: Iterable[Target]) -> dict[str, str]:
    wanted: dict[str, str] = {}
    for target in targets:
        if {"*", namespace} & set(target.allowed_namespaces):
            wanted |= target.required_namespace_labels
    return wanted


def _config_map(reference: InitdataRef, trustee: str) -> dict[str, Any]:
    toml = (
        'version = "0.1.0"\nalgorithm = "sha256"\n\n[data]\n'
        f"\"aa.toml\" = '''\n[token_configs.kbs]\nurl = \"{trustee}\"\n'''\n"
        "\"policy.rego\" = '''\npackage agent_policy\n\ndefault ExecProcessRequest := false\n'''\n"
    )
    metadata = {"name": reference.config_map}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {reference.key: toml}}


def ensure(store: Store, resource: str, namespace: str, obj: dict[str, Any]) -> None:
    """Create an object that may be there already."""
    try:
        store.create(resource, namespace, obj)
    except ApiError as error:
        if error.status != _ALREADY_THERE:
            raise
