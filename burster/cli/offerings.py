"""`burster offerings`: what every target offers for what is asked for, the cheapest first, and the reason against each other size.

It asks as the person who runs it: by their kubeconfig for the targets, by BURSTER_ARM__* in the cloud. Exit code 0 where something can be
had at some target, 1 where nothing can, or a target could not be read.
"""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from burster.cli.output import Output, line, print_json, print_table, print_yaml
from burster.cli.target_files import progress, rules_in
from burster.model.errors import InputError
from burster.model.offerings import Tee
from burster.model.quantities import (
    QuantityError,
    format_memory_bytes,
    format_micro_usd,
    parse_count,
    parse_cpu_millicores,
    parse_memory_bytes,
)
from burster.settings import load_settings


if TYPE_CHECKING:
    from burster.clients.arm_facts import Sku
    from burster.engine.offers.why_not import Explained
    from burster.runtime.offerings_report import Fit, TargetOfferings


_TEES: Final[dict[str, Tee]] = {"tdx": "TDX", "snp": "SNP"}
_SPOT: Final[dict[str, Literal["Never", "Prefer", "Only"]]] = {"never": "Never", "prefer": "Prefer", "only": "Only"}
_DAY_MS: Final = 86_400_000
_KEYS: Final = "cpu, memory, gpu, tee, spot"
_COLUMNS: Final = ("#", "size", "tee", "cpu#", "memory#", "gpu#", "zones", "USD/h#", "free vCPUs#", "why")


def offerings(  # noqa: PLR0913 - its options, each by name
    *,
    target: Annotated[str, typer.Option("--target", metavar="NAME", help="Only this BurstTarget.")] = "",
    fit: Annotated[
        str,
        typer.Option(
            "--fit",
            metavar="cpu=4,memory=16Gi,tee=tdx",
            help="What has to fit: cpu, memory, gpu, tee (tdx or snp), spot (never, prefer or only; for machines).",
        ),
    ] = "",
    file: Annotated[
        list[Path] | None,
        typer.Option("-f", "--file", metavar="FILE", help="Targets to look at instead of the cluster's; repeatable."),
    ] = None,
    offline: Annotated[
        bool,
        typer.Option("--offline", help="Ask no cloud: published sizes, and the dated price list that comes along."),
    ] = False,
    kubeconfig: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A kubeconfig; the usual one if left out.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="A context of the kubeconfig.")] = None,
    output: Output = "table",
) -> None:
    """List what targets offer, ranked by price, with the reason against each size that can't be had."""
    from burster.cli.controller import given

    wanted = parse_fit(fit)
    kube = given({"kubeconfig": str(kubeconfig) if kubeconfig else None, "context": context})
    settings = load_settings(**given({"kube": kube}))
    from burster.runtime.logs import configure_answer_logs
    from burster.runtime.offerings_report import OfferingsOptions, look

    options = OfferingsOptions(
        fit=wanted,
        target=target,
        rules=rules_in(file, about="offerings are a target's"),
        catalogue=published_sizes if offline else None,
    )
    configure_answer_logs()
    told = asyncio.run(look(settings, options, progress))
    progress("")
    if output == "table":
        _tell(told, wanted)
    else:
        (print_json if output == "json" else print_yaml)(document(told, wanted))
    sys.stdout.flush()
    if any(one.refused for one in told) or not any(one.fits for one in told):
        raise typer.Exit(1)


def parse_fit(text: str) -> "Fit":
    """Return what ``--fit`` asks for. Raises InputError that names the part, what was expected, and an example."""
    import msgspec

    from burster.model.pods import Resources
    from burster.runtime.offerings_report import Fit

    given: dict[str, str] = {}
    for part in text.split(",") if text.strip() else ():
        key, separator, value = (each.strip() for each in part.partition("="))
        key = key.lower()
        if not separator or not value or key not in {"cpu", "memory", "gpu", "tee", "spot"}:
            raise InputError(
                f"--fit {part.strip()!r}: write KEY=VALUE with one of {_KEYS}, as in cpu=4,memory=16Gi,tee=tdx"
            )
        if key in given:
            raise InputError(f"--fit names {key} twice: leave one out")
        given[key] = value
    try:
        requests = Resources(
            cpu_millicores=parse_cpu_millicores(given.get("cpu", "0")),
            memory_bytes=parse_memory_bytes(given.get("memory", "0")),
            gpus=parse_count(given.get("gpu", "0")),
        )
    except QuantityError as error:
        raise InputError(f"--fit: {error}") from error
    found = Fit(requests=requests)
    if "tee" in given:
        found = msgspec.structs.replace(found, tees=(_one_of(_TEES, "tee", given["tee"]),))
    if "spot" in given:
        found = msgspec.structs.replace(found, spot=_one_of(_SPOT, "spot", given["spot"]))
    return found


def _one_of(known: dict[str, Any], key: str, text: str) -> Any:
    if text.lower() not in known:
        raise InputError(f"--fit {key}={text}: it is one of {', '.join(known)}")
    return known[text.lower()]


def published_sizes(region: str) -> "list[Sku]":
    """Return the sizes of a region as they were published: what the stand-in for Azure sells, too."""
    from burster.clients.arm_facts import Sku
    from burster.lab.arm.catalogue import REGIONS, sizes_in
    from burster.model.pods import Resources

    return [
        Sku(
            name=size.name,
            family=size.family,
            resources=Resources(
                cpu_millicores=size.vcpus * 1000, memory_bytes=size.memory_mib * 1024**2, gpus=size.gpus
            ),
            tee=size.tee,
            zones=REGIONS.get(region, ()),
            generation=size.series.generations,
        )
        for size in sizes_in(region)
    ]


def document(told: "tuple[TargetOfferings, ...]", wanted: "Fit") -> dict[str, Any]:
    """Return the report as `-o json` shows it."""
    return {
        "fit": {
            "cpu_millicores": wanted.requests.cpu_millicores,
            "memory_bytes": wanted.requests.memory_bytes,
            "gpus": wanted.requests.gpus,
            "tees": list(wanted.tees),
            "spot": wanted.spot,
        },
        "targets": [
            {
                "target": one.target,
                "provider": one.provider,
                "region": one.region,
                "currency": "USD",
                "prices_as_of": one.prices_as_of,
                "prices_age_ms": one.prices_age_ms,
                "prices_problem": one.prices_problem,
                "quota_problem": one.quota_problem,
                "notes": list(one.notes),
                "refused": one.refused,
                "offerings": [_offering(each) for each in one.offerings],
            }
            for one in told
        ],
    }


def _offering(one: "Explained") -> dict[str, Any]:
    offering = one.offering
    return {
        "rank": one.rank,
        "size": offering.size,
        "spot": offering.spot,
        "family": offering.family,
        "tee": offering.tee,
        "generation": offering.generation,
        "cpu_millicores": offering.resources.cpu_millicores,
        "memory_bytes": offering.resources.memory_bytes,
        "gpus": offering.resources.gpus,
        "zones": list(offering.zones),
        "open_zones": list(one.open_zones),
        "blocked_zones": list(offering.blocked_zones),
        "price_micro_usd_per_hour": one.price_micro_usd_per_hour,
        "price_per_fit_micro_usd_per_hour": one.price_per_fit_micro_usd_per_hour,
        "price_as_of": offering.price_as_of,
        "free_family_vcpus": one.free_family_vcpus,
        "free_region_vcpus": one.free_region_vcpus,
        "in_flight_vcpus": one.in_flight_vcpus,
        "refused_until_ms": one.refused_until_ms,
        "code": one.reason.code,
        "sentence": one.reason.sentence,
    }


def _tell(told: "tuple[TargetOfferings, ...]", wanted: "Fit") -> None:
    for number, one in enumerate(told):
        if number:
            line()
        line(f"{one.target}: {one.provider or '?'} {one.region}".rstrip())
        if one.refused:
            line(f"  {one.refused}")
            continue
        line(f"  prices in USD per hour, {_age(one)}")
        for said in (
            *one.notes,
            *((f"prices: {one.prices_problem}",) if one.prices_problem else ()),
            *((f"quota can't be read: {one.quota_problem}",) if one.quota_problem else ()),
        ):
            line(f"  {said}")
        shown_ones = [each for each in one.offerings if each.reason.code != "SpotNotAllowed"]
        print_table(_COLUMNS, [_row(each) for each in shown_ones], empty="  It offers nothing at all.")
        hidden = len(one.offerings) - len(shown_ones)
        if hidden:
            line(f"  {hidden} more as spot, for machines only: --fit spot=prefer shows them.")
        if not one.fits:
            line(f"  None of them can be had now{_wish(wanted)}.")
    if not told:
        line("There is no BurstTarget: write one, or name a file of one with --file.")


def _age(one: "TargetOfferings") -> str:
    old = _duration(one.prices_age_ms or 0)
    if one.prices_as_of:
        return f"from the list of {one.prices_as_of}{f', {old} old' if old else ''}"
    return f"read {old} ago" if old else "as of now"


def _duration(age_ms: int) -> str:
    """Return an age as people say it, "" for less than a minute."""
    for unit_ms, name in ((_DAY_MS, "day"), (3_600_000, "hour"), (60_000, "minute")):
        if age_ms >= unit_ms:
            count = age_ms // unit_ms
            return f"{count} {name}" if count == 1 else f"{count} {name}s"
    return ""


def _row(one: "Explained") -> tuple[object, ...]:
    offering, resources = one.offering, one.offering.resources
    price = one.price_micro_usd_per_hour
    free = [vcpus for vcpus in (one.free_family_vcpus, one.free_region_vcpus) if vcpus is not None]
    why = one.reason.sentence if one.rank is None else "" if one.rank > 1 else "the cheapest that fits"
    return (
        one.rank or "-",
        f"{offering.size} (spot)" if offering.spot else offering.size,
        offering.tee,
        f"{resources.cpu_millicores / 1000:g}",
        format_memory_bytes(resources.memory_bytes),
        resources.gpus or "",
        _zones(one),
        "?" if price is None else format_micro_usd(price).removeprefix("$"),
        min(free) if free else "?",
        f"{one.reason.code}: {why}" if one.rank is None else why,
    )


def _zones(one: "Explained") -> str:
    closed = [zone for zone in one.offering.zones if zone not in one.open_zones]
    blocked = sorted({*closed, *one.offering.blocked_zones})
    said = " ".join(one.open_zones) or "-"
    return f"{said} (not {' '.join(blocked)})" if blocked else said


def _wish(wanted: "Fit") -> str:
    asked = wanted.requests
    if not asked.cpu_millicores and not asked.memory_bytes and not asked.gpus:
        return ""
    said = f" for {asked.cpu_millicores / 1000:g} cpu and {format_memory_bytes(asked.memory_bytes)} memory"
    return f"{said} and {asked.gpus} GPU" if asked.gpus else said
