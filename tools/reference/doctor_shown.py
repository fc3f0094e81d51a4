"""What `burster doctor` says of a lab in which somebody has edited cloud-api-adaptor's ConfigMap: the example of docs/doctor.md.

Two edits that look harmless: confidential VMs are switched off, and a blank stands behind a comma, which cloud-api-adaptor keeps. What
changes from run to run, the lab's address and the time, is shown as an example.
"""

import contextlib
import io
import re
from pathlib import Path
from typing import Final

import msgspec

from burster.cli.doctor import tell
from burster.lab.caa.config import LAB_CONFIG
from burster.lab.lockstep import LabClock, run_lockstep
from burster.lab.site import SiteOptions, open_site
from burster.model.pods import Resources
from burster.policy.load import Document, load_files
from burster.runtime.clock import SystemClock
from burster.runtime.doctor import DoctorOptions, Report, examine_all
from burster.settings import Settings


TARGET: Final = Path(__file__).parents[2] / "policies" / "targets" / "azure-westeurope-tdx.yaml"
_SIZES: Final = ("Standard_DC2es_v6", "Standard_DC4es_v6")
_EDITS: Final = {"DISABLECVM": "true", "AZURE_INSTANCE_SIZES": ", ".join(_SIZES)}
_TIME: Final = "2026-01-05T08:00:00Z"
_GIB: Final = 1024**3


def doctor_example() -> str:
    """Return the console block."""
    report = run_lockstep(_look, epoch_ms=SystemClock().now_ms())  # doctor itself goes by this machine's clock
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        tell(report)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:6443", said.getvalue())
    lines = [line.rstrip() for line in re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", _TIME, text).splitlines()]
    return "```console\n$ .venv/bin/burster doctor\n" + "\n".join(lines) + "\n```\n"


async def _look(clock: LabClock) -> Report:
    options = SiteOptions(
        nodes=(Resources(cpu_millicores=8_000, memory_bytes=32 * _GIB),),
        documents=(_target(),),
        namespaces=("batch",),
        caa=_EDITS,
    )
    async with open_site(clock, options) as site:
        settings = {
            "kube": {"kubeconfig": site.kubeconfig},
            "arm": {"base_url": site.arm.url, "auth": "none"},
            "prices": {"url": site.arm.url, "cache_dir": "-"},
        }
        return await examine_all(Settings.model_validate(settings), DoctorOptions(), lambda _: None)


def _target() -> Document:
    """Return the library's target, with image and subnet as the lab's cloud-api-adaptor has them."""
    (document,) = load_files([str(TARGET)])
    spec = {
        **document.object["spec"],
        "image": LAB_CONFIG["AZURE_IMAGE_ID"],
        "subnet": LAB_CONFIG["AZURE_SUBNET_ID"],
        "sizes": [*_SIZES],
        "allowedNamespaces": ["batch"],
    }
    return msgspec.structs.replace(document, object={**document.object, "spec": spec})
