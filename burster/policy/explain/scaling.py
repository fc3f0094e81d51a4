"""Numbers of replicas in sentences: what is scaled, within what bounds, how fast, and what counts when a metric fails."""

from collections.abc import Iterator

from burster.model.policies import Policy
from burster.model.quantities import format_duration_ms
from burster.model.scaling import Direction, Fallback, Scaling
from burster.policy.explain.words import all_of, counted, milli, step_words


_FALLBACKS = {
    "static": "{replicas} replicas are asked for",
    "currentReplicas": "the number stays as it is",
    "currentReplicasIfHigher": "{replicas} replicas are asked for, or as many as there are if that is more",
    "currentReplicasIfLower": "{replicas} replicas are asked for, or as many as there are if that is less",
    "scalingModifiers": "the formula gets nil for it and may put something else in its place (??), else {replicas} replicas are asked for",
}


def scaling_sentences(policy: Policy) -> Iterator[str]:
    """Yield how a policy's number moves; nothing where its demand is the pending pods themselves."""
    if not policy.numeric:
        return
    scaling = policy.scaling
    if len(policy.triggers) > 1 and scaling.modifiers is None:
        yield "Where the triggers ask for different numbers, the largest counts; while any of them fails, nothing is scaled down."
    if scaling.modifiers is not None:
        yield (
            f"The triggers' values become one by {scaling.modifiers.formula}; it is active above"
            f" {milli(scaling.modifiers.activation_milli)}, and one replica takes {milli(scaling.modifiers.target_milli)} of it."
        )
    yield _bounds(scaling)
    yield (
        f"Values are read every {format_duration_ms(scaling.polling_ms)}, and one older than"
        f" {format_duration_ms(scaling.stale_after_ms)} is missing: what is missing neither starts nor ends anything."
    )
    yield _home(scaling)
    yield from _speed(scaling)
    if scaling.fallback is not None:
        yield _fallback(scaling.fallback)
    if scaling.restore_to_original:
        yield "When the policy goes, the workload gets the number of replicas back that it had before."


def _bounds(scaling: Scaling) -> str:
    idle = scaling.idle_replicas
    rest = scaling.min_replicas if idle is None else idle
    least = max(1, scaling.min_replicas)
    are = "is" if rest == 1 else "are"
    return (
        f"Without any demand there {are} {counted(rest, 'replica')}; with demand {least} at first, and from there up to"
        f" {scaling.max_replicas}."
    )


def _home(scaling: Scaling) -> str:
    text = f"{format_duration_ms(scaling.cooldown_ms)} after the last trigger was active the last replicas go home"
    if scaling.initial_cooldown_ms:
        text += f", and not in the first {format_duration_ms(scaling.initial_cooldown_ms)} of the policy's life"
    return f"{text}."


def _speed(scaling: Scaling) -> Iterator[str]:
    behavior = scaling.behavior
    if behavior is None:
        yield (
            f"Every {format_duration_ms(scaling.sync_ms)} the number may at most double (from few to 4 at once); it goes down to"
            " the largest number of the last 5m; within 10 % of the target nothing changes."
        )
        return
    yield f"Up: {_direction(behavior.scale_up)}."
    yield f"Down: {_direction(behavior.scale_down)}."


def _direction(rules: Direction) -> str:
    if rules.select == "Disabled":
        return "never"
    steps = [step_words(step) for step in rules.steps]
    which = {"Max": "whichever is more", "Min": "whichever is less"}[rules.select]
    text = f"at most {all_of(steps)}, {which}" if len(steps) > 1 else f"at most {steps[0]}" if steps else "at any rate"
    if rules.stabilization_ms:
        text += f", by the most careful number of the last {format_duration_ms(rules.stabilization_ms)}"
    return f"{text}, and not within {milli(rules.tolerance_milli * 100)} % of the target"


def _fallback(fallback: Fallback) -> str:
    then = _FALLBACKS[fallback.behavior].format(replicas=fallback.replicas)
    return f"When a trigger has failed more than {fallback.failure_threshold} times in a row, {then}."
