"""How CAA picks an Azure VM size for a pod, faults included.

Pure. The fit is a binary search with a condition on two keys over a list sorted by memory: right on a list of one shape, wrong on mixed
ones, and kept that way here because burster has to live with it. On Azure no size is known to have GPUs.
"""

from collections.abc import Callable, Iterable

import msgspec


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """A VM size as the region's list tells it."""

    name: str
    vcpus: int
    memory_mib: int
    gpus: int = 0


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the shim passes on from the pod's annotations; zero and empty where unset."""

    machine_type: str = ""
    vcpus: int = 0
    memory_mib: int = 0
    gpus: int = 0


class SizeError(Exception):
    """No size can be chosen; the text is CAA's."""


def known_sizes(region: Iterable[Size], allowed: tuple[str, ...], default: str) -> tuple[Size, ...]:
    """Return the sizes CAA can search: allowed ones that the region has, smallest first. Names the region lacks vanish silently."""
    names = allowed or (default,)
    found = [size for size in region if size.name in names]
    return tuple(sorted(found, key=lambda size: (size.gpus, size.memory_mib, size.vcpus)))


def choose_size(wanted: Wanted, known: tuple[Size, ...], allowed: tuple[str, ...], default: str) -> str:
    """Return the size's name. Raises SizeError."""
    name = ""
    if wanted.machine_type:
        name = wanted.machine_type
    elif wanted.gpus:
        name = _fit_gpus(wanted, known)
    elif wanted.vcpus and wanted.memory_mib:
        name = _fit(wanted, known)
    return _verify(name, allowed, default)


def _fit_gpus(wanted: Wanted, known: tuple[Size, ...]) -> str:
    index = _search(
        known,
        lambda size: size.gpus >= wanted.gpus and size.vcpus >= wanted.vcpus and size.memory_mib >= wanted.memory_mib,
    )
    if index == len(known):
        raise SizeError(
            "failed to get instance type based on GPU, vCPU, and memory annotations: no instance type found for the given"
            f" GPUs ({wanted.gpus}), vCPUs ({wanted.vcpus}), and memory ({wanted.memory_mib})"
        )
    return known[index].name


def _fit(wanted: Wanted, known: tuple[Size, ...]) -> str:
    plain = tuple(size for size in known if not size.gpus)
    index = _search(plain, lambda size: size.memory_mib >= wanted.memory_mib and size.vcpus >= wanted.vcpus)
    if index == len(plain):
        raise SizeError(
            "failed to get instance type based on vCPU and memory annotations: no instance type found for the given"
            f" vcpus ({wanted.vcpus}) and memory ({wanted.memory_mib})"
        )
    return plain[index].name


def _search(sizes: tuple[Size, ...], enough: Callable[[Size], bool]) -> int:
    """Return where a binary search believes the first sufficient size to be; its length for nowhere."""
    low, high = 0, len(sizes)
    while low < high:
        middle = (low + high) // 2
        if enough(sizes[middle]):
            high = middle
        else:
            low = middle + 1
    return low


def _verify(name: str, allowed: tuple[str, ...], default: str) -> str:
    if not name:
        return default
    if not allowed and name != default:
        raise SizeError(
            f'failed to verify instance type: requested instance type ("{name}") is not default ("{default}")'
            " and supported instance types list is empty"
        )
    if allowed and name not in allowed:
        raise SizeError(
            f'failed to verify instance type: requested instance type ("{name}") is not part of supported instance types list'
        )
    return name
