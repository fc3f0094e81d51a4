"""What is used of kubernetes_asyncio, without the rest of it: Configuration, ApiClient and the loaders of credentials.

``import kubernetes_asyncio`` also imports a class for each kind of object that Kubernetes has and for each way of asking for one: 1,200
modules, 64 MiB and more than a second of CPU, of which nothing is used here (see ``kube``). A third of the controller's memory, and the
longest part of a start or a fail-over. So the packages' own ``__init__`` files are stepped over while the few modules wanted are imported,
and the packages are taken out again: whoever imports kubernetes_asyncio later in this process gets all of it, with these same classes.
"""

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any, Final


_PACKAGES: Final = ("kubernetes_asyncio", "kubernetes_asyncio.client", "kubernetes_asyncio.client.models")


def _without_models() -> tuple[Any, Any, Any]:
    """Return Configuration, ApiClient and the module of the loaders. Raises ImportError where the package is built otherwise by now."""
    found = importlib.util.find_spec(_PACKAGES[0])
    if found is None or not found.submodule_search_locations:
        raise ImportError(f"no package {_PACKAGES[0]}")
    folder = next(iter(found.submodule_search_locations))
    hollow: list[ModuleType] = []
    for name in _PACKAGES:
        module = ModuleType(name)
        module.__path__ = ["/".join((folder, *name.split(".")[1:]))]
        sys.modules[name] = module
        hollow.append(module)
    top, client, models = hollow
    top.client, client.models = client, models  # type: ignore[attr-defined]
    try:
        configuration: Any = importlib.import_module("kubernetes_asyncio.client.configuration").Configuration
        api_client: Any = importlib.import_module("kubernetes_asyncio.client.api_client").ApiClient
        # what the loaders import from the package
        client.Configuration, client.ApiClient = configuration, api_client  # type: ignore[attr-defined]
        return configuration, api_client, importlib.import_module("kubernetes_asyncio.config")
    finally:
        for name in _PACKAGES:
            del sys.modules[name]
        # ApiClient looks its classes up in the module that it was imported with: whoever asks it for objects gets the real ones
        models.__getattr__ = lambda name: getattr(importlib.import_module(_PACKAGES[2]), name)  # type: ignore[method-assign]


def _load() -> tuple[Any, Any, Any]:
    if _PACKAGES[1] not in sys.modules:
        try:
            return _without_models()
        except (ImportError, AttributeError):
            # a release that is laid out otherwise: all of it, then
            for name in [name for name in sys.modules if name.split(".")[0] == _PACKAGES[0]]:
                del sys.modules[name]
    client = importlib.import_module("kubernetes_asyncio.client")
    return client.Configuration, client.ApiClient, importlib.import_module("kubernetes_asyncio.config")


#: ``Configuration()``: host, TLS and credentials; ``ApiClient(configuration)``: a connector, and headers with a fresh token;
#: ``loaders``: load_incluster_config, load_kube_config, ConfigException.
Configuration, ApiClient, loaders = _load()
