"""What changes in behaviour between two sets of rules, not in text: each change a sentence, with its direction.

Compares what is compiled, so order of fields, formatting, comments and defaults spelled out make no difference. Called by
``burster policy diff``.
"""

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, cast

import msgspec

from burster.model.policies import LabelRule, Policy
from burster.model.quantities import format_duration_ms, format_micro_usd
from burster.model.scaling import Step
from burster.model.targets import Target
from burster.model.windows import Window
from burster.policy.compile import Compiled
from burster.policy.diff.rules import POLICY_RULES, TARGET_RULES, Area, FieldRule
from burster.policy.explain.times import window_words
from burster.policy.explain.words import label_rule, step_words


Direction = Literal["looser", "tighter", "neutral", "unclear"]
_IGNORED: Final = ("uid", "generation", "name", "namespace")
_ABSENT: Final = None
#: stands for a dot in a name, which is no step of a path
_DOT: Final = "\uf000"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One difference in behaviour. ``before`` and ``after`` are in words; empty: not there."""

    object: str
    field: str
    area: Area
    direction: Direction
    before: str
    after: str
    sentence: str

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.direction} ({self.area}): {self.object}: {self.sentence}"


def compare(old: Compiled, new: Compiled) -> tuple[Change, ...]:
    """Return every difference in behaviour, by object and field; none where both sets do the same."""
    changes = list(
        _objects("BurstPolicy", {one.key: one for one in old.policies}, {one.key: one for one in new.policies})
    )
    changes += _objects("BurstTarget", {one.name: one for one in old.targets}, {one.name: one for one in new.targets})
    return tuple(changes)


def _objects(kind: str, old: Mapping[str, Policy | Target], new: Mapping[str, Policy | Target]) -> Iterator[Change]:
    rules = POLICY_RULES if kind == "BurstPolicy" else TARGET_RULES
    for key in sorted({**old, **new}):
        name = f"{kind} {key}"
        before, after = old.get(key), new.get(key)
        if before is None:
            yield _whole(name, "looser", "is new: what it allows was not possible before")
        elif after is None:
            yield _whole(name, "tighter", "is gone: what it allowed comes home")
        else:
            yield from _fields(name, flatten(before), flatten(after), rules)


def _whole(name: str, direction: Direction, sentence: str) -> Change:
    return Change(object=name, field="", area="money", direction=direction, before="", after="", sentence=sentence)


def _fields(
    name: str, old: Mapping[str, object], new: Mapping[str, object], rules: Iterable[FieldRule]
) -> Iterator[Change]:
    yield from _triggers(name, old, new)
    told = _gone_or_new(old, new)
    for path in sorted({**old, **new}):
        before, after = old.get(path, _ABSENT), new.get(path, _ABSENT)
        if before == after or any(path.startswith(f"{prefix}.") for prefix in told):
            continue
        rule = next((one for one in rules if fnmatchcase(path, one.pattern)), FieldRule(path, "demand", "either", ""))
        direction = _direction(rule, before, after)
        yield Change(
            object=name,
            field=yaml_path(path),
            area=rule.area,
            direction=direction,
            before=shown(path, before),
            after=shown(path, after),
            sentence=_sentence(rule, path, before, after),
        )


def _names(values: Mapping[str, object]) -> dict[str, str]:
    """Return the triggers by name, each with its kind."""
    return {path.split(".")[1]: str(value) for path, value in values.items() if _is_kind(path)}


def _is_kind(path: str) -> bool:
    parts = path.split(".")
    return parts[0] == "triggers" and parts[-1] == _KIND and len(parts) == _KIND_DEPTH


_KIND: Final = "type"
_KIND_DEPTH: Final = 3


def _gone_or_new(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    before, after = _names(old), _names(new)
    return [f"triggers.{name}" for name in {**before, **after} if before.get(name) != after.get(name)]


def _triggers(name: str, old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[Change]:
    before, after = _names(old), _names(new)
    for key in sorted({**before, **after}):
        was, now, trigger = before.get(key, ""), after.get(key, ""), key.replace(_DOT, ".")
        if was == now:
            continue
        if not was:
            direction, sentence = "looser", f"trigger {trigger} ({now}) is new: it can start bursts of its own"
        elif not now:
            direction, sentence = "tighter", f"trigger {trigger} ({was}) is gone"
        else:
            direction, sentence = "unclear", f"trigger {trigger} is of type {now} instead of {was}"
        yield Change(
            object=name,
            field=f"spec.triggers.{trigger}",
            area="demand",
            direction=direction,
            before=was,
            after=now,
            sentence=sentence,
        )


def _direction(rule: FieldRule, before: object, after: object) -> Direction:
    if rule.looser in {"up", "more", "down"}:
        return _by_number(before, after, rule.looser)
    if rule.looser in {"wider", "any", "narrower"}:
        return _by_list(before, after, empty_is_all=rule.looser == "any", narrower=rule.looser == "narrower")
    if rule.looser == "named":
        order = rule.order
        return "looser" if order.index(after) > order.index(before) else "tighter"
    if rule.looser in {"given", "taken"} and bool(before) != bool(after):
        return "looser" if bool(after) == (rule.looser == "taken") else "tighter"
    return "unclear" if rule.looser else "neutral"


def _by_number(before: object, after: object, looser: str) -> Direction:
    """Compare numbers, one of which may be missing: no limit at all, or nothing at all."""
    missing = float("inf") if looser == "up" else 0.0
    was = missing if before is None else cast("float", before)
    now = missing if after is None else cast("float", after)
    return "looser" if (now > was) == (looser != "down") else "tighter"


def _by_list(before: object, after: object, *, empty_is_all: bool, narrower: bool) -> Direction:
    was, now = list(cast("tuple[object, ...]", before or ())), list(cast("tuple[object, ...]", after or ()))
    if empty_is_all and (not was or not now):
        return "looser" if not now else "tighter"
    more = [one for one in now if one not in was]
    less = [one for one in was if one not in now]
    if "*" in was or "*" in now:
        return "looser" if "*" not in was else "tighter" if "*" not in now else "neutral"
    if not more and not less:
        return "neutral"
    if more and less:
        return "unclear"
    return "looser" if bool(more) != narrower else "tighter"


def _sentence(rule: FieldRule, path: str, before: object, after: object) -> str:
    what = f"{rule.words} ({yaml_path(path)})" if rule.words else yaml_path(path)
    was, now = (_or_any(rule, one, shown(path, one)) for one in (before, after))
    if isinstance(before, tuple) and isinstance(after, tuple) and sorted(map(str, before)) == sorted(map(str, after)):  # pyright: ignore[reportUnknownArgumentType] (values of any type)
        return f"{what} in another order: {now} instead of {was}"
    return f"{what}: {now} instead of {was}"


def _or_any(rule: FieldRule, value: object, text: str) -> str:
    """Return ``any`` for a list whose being empty stands for everything: ``none`` would say the contrary."""
    return "any" if rule.looser == "any" and not value else text


def flatten(value: Policy | Target) -> dict[str, object]:
    """Return a compiled value's leaves by path; triggers by name, catalogues by size, other lists whole."""
    found: dict[str, object] = {}
    _flatten(value, "", found)
    return {path: item for path, item in found.items() if path not in _IGNORED}


def _flatten(value: object, path: str, found: dict[str, object]) -> None:
    if isinstance(value, msgspec.Struct):
        tag = value.__struct_config__.tag
        if tag is not None:
            found[f"{path}.{_KIND}"] = type(value).__name__.removesuffix("Trigger")
        for field in value.__struct_fields__:
            _flatten(getattr(value, field), f"{path}.{field}" if path else field, found)
    elif isinstance(value, dict):
        for key, item in cast("dict[str, object]", value).items():
            _flatten(item, f"{path}.{key}", found)
    elif isinstance(value, tuple) and path == "triggers":
        for trigger in cast("tuple[Any, ...]", value):
            _flatten(trigger, f"triggers.{trigger.name.replace('.', _DOT)}", found)
    elif isinstance(value, tuple) and path == "catalogue":
        for offering in cast("tuple[Any, ...]", value):
            _flatten(offering, f"catalogue.{offering.size}", found)
    elif value is not None:
        found[path] = value


def yaml_path(path: str) -> str:
    """Return where a field stands in YAML, near enough to be found: ``spec.limits.maxBursts``."""
    if path in _WHERE:
        return _WHERE[path]
    path = path.replace("scaling.behavior.", "scaling.advanced.horizontalPodAutoscalerConfig.behavior.")
    parts = [_YAML.get(part, part) for part in path.removeprefix("scaling.").split(".")]
    for suffix in _UNITS:
        parts[-1] = parts[-1].removesuffix(suffix)
    return ".".join(["spec", *(_camel(part) for part in parts)]).replace(_DOT, ".")


_UNITS: Final = ("_ms", "_micro_usd", "_milli")
_WHERE: Final = {
    "paused": "metadata.annotations",
    "paused_scale_in": "metadata.annotations",
    "paused_scale_out": "metadata.annotations",
    "force_activation": "metadata.annotations",
    "confidential.images_by_digest": "spec.confidential.images.digestOnly",
    "confidential.allowed_images": "spec.confidential.images.allowed",
    "confidential.secrets": "spec.confidential.secrets.mode",
    "confidential.sealed_secrets": "spec.confidential.secrets.sealed",
    "machine.requests.cpu_millicores": "spec.machine.requests.cpu",
    "machine.requests.memory_bytes": "spec.machine.requests.memory",
    "machine.config_map": "spec.machine.userData.configMap",
    "machine.key": "spec.machine.userData.key",
    "machine.service": "spec.machine.service.name",
    "machine.port": "spec.machine.service.port",
    "machine.os_disk_gib": "spec.machine.osDiskGiB",
    "wait.value_micro_usd_per_hour": "spec.wait.valuePerHour",
    "subscription": "spec.azure.subscriptionId",
    "resource_group": "spec.azure.resourceGroup",
    "region": "spec.azure.region",
    "runtime_class": "spec.runtimeClassName",
    "trustee_url": "spec.trustee.url",
    "sweep": "spec.sweep.mode",
    "sweep_grace_ms": "spec.sweep.grace",
    "sweep_tags": "spec.sweep.scope.tags",
    "sweep_exclusive": "spec.sweep.scope.exclusive",
    "discount_milli_percent": "spec.prices.discountPercent",
    "assumed_price_micro_usd_per_hour": "spec.assumedPricePerHour",
    "when_quota_unknown": "spec.whenQuotaUnknown",
}
_YAML: Final = {
    "timezone": "timeZone",
    "warn_percent": "warnAtPercent",
    "stop_percent": "stopAtPercent",
    "drain_percent": "drainAtPercent",
    "max_replicas": "maxReplicaCount",
    "min_replicas": "minReplicaCount",
    "idle_replicas": "idleReplicaCount",
    "cooldown_ms": "cooldownPeriod",
    "polling_ms": "pollingInterval",
    "initial_cooldown_ms": "initialCooldownPeriod",
    "disruption_percent": "maxDisruptedPercent",
    "exec_forbidden": "exec",
    "negotiated_micro_usd_per_hour": "prices.perHour",
    "steps": "policies",
    "match_labels": "selector.matchLabels",
    "match_expressions": "selector.matchExpressions",
    "headers": "customHeaders",
    "restore_to_original": "advanced.restoreToOriginalReplicaCount",
}


def _camel(part: str) -> str:
    first, *rest = part.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def shown(path: str, value: object) -> str:
    """Return a value in words, in the unit that its field has."""
    last = path.rsplit(".", 1)[-1]
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return _number(path, last, value)
    if isinstance(value, tuple):
        items = cast("tuple[object, ...]", value)
        return ", ".join(_item(item) for item in items) if items else "none"
    return str(value) or "none"


def _number(path: str, last: str, value: int) -> str:
    if "micro_usd" in path:
        return format_micro_usd(value)
    if last.endswith("_ms"):
        return format_duration_ms(value)
    if last.endswith("_milli_percent"):
        return f"{value / 1000:g} %"
    if last.endswith("_milli"):
        return f"{value / 1000:g}"
    if last.endswith("_percent") or "provider_shares" in path:
        return f"{value} %"
    return str(value)


def _item(item: object) -> str:
    match item:
        case Window():
            return window_words(item)
        case LabelRule():
            return label_rule(item)
        case Step():
            return step_words(item)
        case _:
            return str(item)
