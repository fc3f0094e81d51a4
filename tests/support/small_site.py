"""A cluster of the lab with one small node: what tests of the whole controller over real protocols begin with."""

from collections.abc import Iterable
from pathlib import Path

from burster.lab.demo_result import DemoOptions
from burster.lab.site import SiteOptions
from burster.lab.stage import set_stage
from burster.model.pods import Resources
from burster.policy.load import Document, load_files


_TARGET = Path(__file__).parents[2] / "policies/targets/azure-westeurope-tdx.yaml"


def beside_the_target(folder: Path, rules: str) -> tuple[Document, ...]:
    """Write rules to a file, and return them together with the target that they name."""
    (folder / "rules.yaml").write_text(rules)
    return load_files([str(folder / "rules.yaml"), str(_TARGET)])


def one_node(
    folder: Path, documents: Iterable[Document], namespaces: tuple[str, ...], *, millicores: int = 2_000
) -> SiteOptions:
    """A site with one node of so many millicores and 8 GiB, and the demo's cloud."""
    return SiteOptions(
        nodes=(Resources(cpu_millicores=millicores, memory_bytes=8 * 1024**3),),
        documents=tuple(documents),
        namespaces=namespaces,
        seed=7,
        arm=set_stage(DemoOptions(run_dir=str(folder), seed=7)).arm,
    )
