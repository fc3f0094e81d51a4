"""The shipped RBAC as an authorizer for the lab's API server: refuses what it does not allow, remembers what was used."""

from pathlib import Path

import yaml

from burster.lab.apiserver.faults import Fault, RequestInfo


ROOT = Path(__file__).parents[2]
Right = tuple[str, str, str]  # role, resource (with group and subresource), verb


def documents(*files: str) -> list[dict]:
    return [document for file in files for document in yaml.safe_load_all((ROOT / "deploy" / file).read_text())]


class Rights:
    """Made from the files under deploy/; ``namespace`` is the one that opted in, "" where none did, ``more`` what else it applied."""

    def __init__(self, namespace: str, more: tuple[str, ...] = ()) -> None:
        files = ["rbac.yaml", "opt-in/rolebinding.yaml"] if namespace else ["rbac.yaml"]
        found = documents(*files, *more)
        #: role -> the namespace in which it holds; "" for everywhere
        self._holds = {
            each["roleRef"]["name"]: ""
            if each["kind"] == "ClusterRoleBinding"
            else each["metadata"].get("namespace", namespace)
            for each in found
            if each["kind"] in {"ClusterRoleBinding", "RoleBinding"}
        }
        self.granted: set[Right] = {
            (role["metadata"]["name"], f"{resource}.{group}" if group else resource, verb)
            for role in found
            if role["kind"] in {"ClusterRole", "Role"} and role["metadata"]["name"] in self._holds
            for rule in role["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        #: the only objects that a right is about, where it names any
        self._names: dict[Right, set[str]] = {
            (role["metadata"]["name"], f"{resource}.{group}" if group else resource, verb): set(rule["resourceNames"])
            for role in found
            for rule in role.get("rules", ())
            if "resourceNames" in rule
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        self.used: set[Right] = set()
        self.refused: set[str] = set()

    def namespace_of(self, right: Right) -> str:
        """Return the namespace in which a right holds; "" for everywhere."""
        return self._holds[right[0]]

    def names_of(self, right: Right) -> set[str]:
        """Return the names of the only objects that a right is about; one empty name where it is about all."""
        return self._names.get(right, {""})

    def __call__(self, info: RequestInfo) -> Fault | None:
        if not info.user_agent.startswith("burster/"):
            return None
        plural, dot, group = info.resource.partition(".")
        resource = (f"{plural}/{info.subresource}" if info.subresource else plural) + dot + group
        for role, namespace in sorted(self._holds.items()):
            if namespace not in {"", info.namespace}:
                continue
            for right in ((role, resource, info.verb), (role, f"*{dot}{group}", info.verb)):
                if right in self.granted and info.name in self._names.get(right, {info.name}):
                    self.used.add(right)
                    return None
        self.refused.add(f"{info.verb} {resource} in {info.namespace or 'the cluster'}")
        return Fault(status=403)
