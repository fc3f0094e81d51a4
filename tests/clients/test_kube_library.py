"""kubernetes_asyncio without its thousand models: only what is used is imported, and whoever wants all of it still gets it."""

import subprocess
import sys


def python(code: str) -> str:
    """Run code in a process that has imported nothing yet."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_transport_imports_no_models_of_kubernetes_objects():
    code = """
import sys
import burster.clients.kube
print(sum(name.startswith("kubernetes_asyncio") for name in sys.modules), "kubernetes_asyncio.client.models.v1_pod" in sys.modules)
"""
    count, has_models = python(code).split()
    assert 5 < int(count) < 30
    assert has_models == "False"


def test_who_imports_the_library_afterwards_gets_all_of_it_with_the_same_classes():
    code = """
from burster.clients import kube_library
import kubernetes_asyncio, kubernetes_asyncio.client as client
assert kubernetes_asyncio.client is client and kubernetes_asyncio.watch.Watch
assert client.CoreV1Api and client.models.V1Pod(kind="Pod").kind == "Pod"
assert client.Configuration is kube_library.Configuration and client.ApiClient is kube_library.ApiClient
assert kubernetes_asyncio.config is kube_library.loaders
print("all")
"""
    assert python(code) == "all"


def test_answers_become_objects_also_where_burster_was_imported_first():
    code = """
import burster.clients.kube
import json, types
from kubernetes_asyncio import client
answer = types.SimpleNamespace(data=json.dumps({"kind": "Pod", "metadata": {"name": "a"}}))
api = client.ApiClient.__new__(client.ApiClient)  # a whole one wants a loop
api.configuration = client.Configuration()
pod = api.deserialize(answer, "V1Pod")
print(type(pod).__name__, pod.metadata.name)
"""
    assert python(code) == "V1Pod a"


def test_a_library_that_is_imported_already_is_used_as_it_is():
    code = """
import kubernetes_asyncio.client as client
from burster.clients import kube_library
assert kube_library.Configuration is client.Configuration
print("same")
"""
    assert python(code) == "same"


def test_a_release_that_is_laid_out_otherwise_is_imported_whole():
    code = """
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "kubernetes_asyncio" else find_spec(name, *rest)
from burster.clients import kube_library
import kubernetes_asyncio.client as client
assert kube_library.ApiClient is client.ApiClient
print("whole")
"""
    assert python(code) == "whole"
