"""Quantities in files that people write for the simulator: kept as they were written, checked by Kubernetes' grammar.

Used by the schemas of scenarios and of policy cases.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from burster.model.quantities import parse_count, parse_cpu_millicores, parse_memory_bytes


def as_text(value: Any) -> Any:
    """Let a quantity be written as a number too."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _quantity(parse: Any) -> Any:
    def check(text: str) -> str:
        parse(text)
        return text

    return check


Cpu = Annotated[str, BeforeValidator(as_text), AfterValidator(_quantity(parse_cpu_millicores))]
Memory = Annotated[str, BeforeValidator(as_text), AfterValidator(_quantity(parse_memory_bytes))]
Count = Annotated[str, BeforeValidator(as_text), AfterValidator(_quantity(parse_count))]
