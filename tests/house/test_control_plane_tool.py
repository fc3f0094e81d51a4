"""`tools/control-plane` where nothing has to be built: what it finds, and what it says where it finds nothing."""

import subprocess
from pathlib import Path

import pytest

from tests.support.control_plane import NoControlPlaneError, require_since


TOOL = Path(__file__).parents[2] / "tools/control-plane"
BUILT = "burster/control-plane/kubernetes-1.20-recipe-1"
EVERYTHING = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd", "kubectl")


def put(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


def run(cache: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(cache), "XDG_CACHE_HOME": str(cache), **variables}
    return subprocess.run([TOOL, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=30)


def test_assets_that_are_named_come_first(tmp_path: Path):
    put(tmp_path / "cache" / BUILT, *EVERYTHING)
    assets = put(tmp_path / "assets", "kube-apiserver", "etcd")
    for arguments in ((), ("--where",)):
        done = run(tmp_path / "cache", *arguments, KUBEBUILDER_ASSETS=str(assets))
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{assets}\n", "")


def test_assets_that_lack_something_are_told_in_one_line(tmp_path: Path):
    assets = put(tmp_path / "assets", "etcd")
    done = run(tmp_path / "cache", "--where", KUBEBUILDER_ASSETS=str(assets))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert f"KUBEBUILDER_ASSETS is {assets}, and there is no kube-apiserver in it" in done.stderr


def test_what_was_built_is_found_and_not_built_again(tmp_path: Path):
    built = put(tmp_path / BUILT, *EVERYTHING)
    for arguments in ((), ("--where",)):
        done = run(tmp_path, *arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{built}\n", "")


@pytest.mark.parametrize(
    "left", [pytest.param("burster/control-plane/building/made", id="interrupted"), pytest.param("else", id="nothing")]
)
def test_looking_finds_no_half_of_a_build(tmp_path: Path, left: str):
    put(tmp_path / left, *EVERYTHING)
    done = run(tmp_path, "--where")
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")


def test_a_build_that_lacks_a_binary_is_none(tmp_path: Path):
    put(tmp_path / BUILT, *EVERYTHING[:-1])
    assert run(tmp_path, "--where").returncode == 3


def test_a_system_that_cannot_build_it_is_told_what_else_to_do(tmp_path: Path):
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "dirname", "basename"):
        (tools / name).symlink_to(f"/bin/{name}")
    done = run(tmp_path, PATH=str(tools))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "there is no apt-get" in done.stderr
    assert "KUBEBUILDER_ASSETS" in done.stderr


def test_tests_of_newer_servers_say_by_the_binaries_why_they_are_not_run(tmp_path: Path):
    server = put(tmp_path, "kube-apiserver") / "kube-apiserver"
    server.write_text("#!/bin/sh\necho Kubernetes v1.29.10+k3s1\n")
    require_since(tmp_path, (1, 29))
    with pytest.raises(NoControlPlaneError, match=r"need Kubernetes 1\.30, and 1\.29 is here; KUBEBUILDER_ASSETS"):
        require_since(tmp_path, (1, 30))
