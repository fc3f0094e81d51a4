"""initdata that is declared: read, packed, never left out."""

import base64
import gzip

import msgspec
import pytest

from burster.adaptors.initdata import ANNOTATION, read_initdata
from burster.adaptors.peer_pods import TAKEN_ANNOTATION, place_pod
from burster.adaptors.records import record_burst
from burster.lab.caa.initdata import decode_initdata, encode_initdata
from burster.model.bursts import Burst, InitdataSource
from burster.model.errors import RemoteError
from burster.model.instructions import PlacePod, RecordBurst
from tests.support.fake_cluster import FakeCluster, FakeKube


TOML = 'version = "0.1.0"\nalgorithm = "sha256"\n\n[data]\n"policy.rego" = "package agent_policy"\n'


def declared(burst: Burst, by: str = "Policy", key: str = "initdata.toml") -> Burst:
    source = InitdataSource(config_map="measured", key=key, by=by)
    return msgspec.structs.replace(burst, spec=msgspec.structs.replace(burst.spec, initdata=source))


def put(cluster: FakeCluster, text: object = TOML, namespace: str = "bank") -> None:
    cluster.add(
        "configmaps", {"metadata": {"namespace": namespace, "name": "measured"}, "data": {"initdata.toml": text}}
    )


async def recorded(api: FakeKube, burst: Burst) -> Burst:
    done = await record_burst(api, RecordBurst(key="k", burst=burst))
    return msgspec.structs.replace(burst, uid=done.uid)


def annotations(cluster: FakeCluster, name: str) -> dict[str, str]:
    pod = cluster.find("pods", "bank", name)
    assert pod is not None
    return pod["metadata"]["annotations"]


@pytest.mark.parametrize(("by", "namespace"), [("Policy", "bank"), ("Target", "platform")])
async def test_it_is_read_where_it_was_declared(api: FakeKube, cluster: FakeCluster, clone: Burst, by, namespace):
    put(cluster, namespace=namespace)
    packed = await read_initdata(api, declared(clone, by), "platform")
    assert decode_initdata(packed) == TOML.encode()
    assert packed == encode_initdata(TOML.encode()), "the same text gives the same annotation"
    assert cluster.calls == [("get", f"/api/v1/namespaces/{namespace}/configmaps/measured")]


async def test_where_none_is_declared_nothing_is_read(api: FakeKube, cluster: FakeCluster, clone: Burst) -> None:
    assert await read_initdata(api, clone, "platform") == ""
    assert cluster.calls == []


async def test_what_is_packed_already_is_passed_on_as_it_is(api: FakeKube, cluster: FakeCluster, clone: Burst) -> None:
    packed = base64.b64encode(gzip.compress(TOML.encode(), 1, mtime=5)).decode()
    put(cluster, packed + "\n")
    assert await read_initdata(api, declared(clone), "platform") == packed


@pytest.mark.parametrize(
    ("text", "code", "want"),
    [
        pytest.param(
            None, "InitdataMissing", "ConfigMap bank/measured, which is to hold the initdata, does", id="none"
        ),
        pytest.param(" \n", "InitdataMissing", "has no initdata under initdata.toml", id="blank"),
        pytest.param(5, "InitdataMissing", "has no initdata under initdata.toml", id="no text"),
        pytest.param("version = ", "InitdataInvalid", "holds no initdata that kata can read", id="no TOML"),
        pytest.param(TOML.replace("0.1.0", "0.2.0"), "InitdataInvalid", "version '0.1.0'", id="another version"),
        pytest.param(TOML.replace("sha256", "md5"), "InitdataInvalid", "sha256, sha384 or sha512", id="no such hash"),
        pytest.param("H4sIAAA!", "InitdataInvalid", "holds no initdata", id="no base64"),
        pytest.param("H4sIAAAAAAAA", "InitdataInvalid", "ends too early", id="cut off"),
        pytest.param(
            base64.b64encode(gzip.compress(b"#" * (1 << 20) + TOML.encode())).decode(),
            "InitdataInvalid",
            "more than 1048576 bytes",
            id="a bomb",
        ),
    ],
)
async def test_what_can_not_be_used_is_said_and_no_pod_is_made(
    api: FakeKube, cluster: FakeCluster, clone: Burst, text: object, code: str, want: str
) -> None:
    if text is not None:
        put(cluster, text)
    burst = await recorded(api, declared(clone))
    with pytest.raises(RemoteError) as caught:
        await place_pod(api, PlacePod(key="k", burst=burst))
    assert (caught.value.kind, caught.value.code) == ("Invalid", code)
    assert want in caught.value.message
    assert len(cluster.all("pods")) == 1


async def test_more_than_a_vms_user_data_has_room_for_is_refused(
    api: FakeKube, cluster: FakeCluster, clone: Burst
) -> None:
    noise = "".join(f"{number * 2654435761 % 2**32:08x}" for number in range(20_000))
    put(cluster, f'{TOML}x = "{noise}"\n')
    with pytest.raises(RemoteError, match="has room for 60000"):
        await read_initdata(api, declared(clone), "platform")


async def test_a_clone_gets_it_instead_of_its_templates(api: FakeKube, cluster: FakeCluster, clone: Burst) -> None:
    def own(obj: dict) -> None:
        obj["spec"]["template"]["metadata"]["annotations"] = {ANNOTATION: "the author's"}

    cluster.change("deployments", "bank", "web", own)
    plain = await recorded(api, clone)
    await place_pod(api, PlacePod(key="k", burst=plain))
    assert annotations(cluster, clone.spec.pod_name)[ANNOTATION] == "the author's"
    cluster.remove("pods", "bank", clone.spec.pod_name)
    put(cluster)
    await place_pod(api, PlacePod(key="k", burst=declared(plain)))
    assert decode_initdata(annotations(cluster, clone.spec.pod_name)[ANNOTATION]) == TOML.encode()


async def test_a_moved_pod_gets_it_on_the_way_out_and_not_on_the_way_home(
    api: FakeKube, cluster: FakeCluster, move: Burst
) -> None:
    put(cluster, namespace="platform")
    burst = declared(move, "Target")
    done = await record_burst(api, RecordBurst(key="k", burst=burst), home="platform")
    burst = msgspec.structs.replace(burst, uid=done.uid)
    await place_pod(api, PlacePod(key="k", burst=burst), home="platform")
    assert decode_initdata(annotations(cluster, "task-1")[ANNOTATION]) == TOML.encode()
    record = cluster.find("bursts", "bank", burst.name)
    assert record is not None
    assert ANNOTATION not in record["spec"]["podManifest"]["metadata"]["annotations"]


async def test_a_pod_whose_initdata_went_missing_is_not_taken(api: FakeKube, cluster: FakeCluster, move: Burst) -> None:
    put(cluster)
    burst = await recorded(api, declared(move))
    cluster.remove("configmaps", "bank", "measured")
    with pytest.raises(RemoteError, match="does not exist"):
        await place_pod(api, PlacePod(key="k", burst=burst))
    record = cluster.find("bursts", "bank", burst.name)
    assert record is not None
    assert TAKEN_ANNOTATION not in (record["metadata"].get("annotations") or {})
    assert cluster.find("pods", "bank", "task-1") is not None


async def test_a_move_whose_initdata_is_missing_is_not_even_recorded(
    api: FakeKube, cluster: FakeCluster, move: Burst
) -> None:
    with pytest.raises(RemoteError) as caught:
        await record_burst(api, RecordBurst(key="k", burst=declared(move)))
    assert caught.value.kind == "Invalid"
    assert cluster.all("bursts") == []
