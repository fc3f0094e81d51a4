"""``burster sweep-cloud`` and ``burster reaper --once`` as people run them: what is printed, and the exit code."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
import yaml

from tests.support.resource_group import STRAY, TARGET, Group, a_group


@pytest.fixture
async def group(tmp_path: Path) -> AsyncIterator[Group]:
    async with a_group(tmp_path) as group:
        yield group


async def test_what_is_left_is_shown_and_deleted_by_yes_only(group: Group) -> None:
    await group.make(STRAY)
    await asyncio.sleep(0.3)
    code, out, _ = await group.burster("sweep-cloud", "--dry-run", "-o", "json")
    (finding,) = orjson.loads(out)["findings"]
    assert (code, finding["fate"], finding["code"], finding["proof"]) == (1, "Goes", "Unclaimed", "Group")
    assert group.arm.vms
    code, out, err = await group.burster("sweep-cloud", "--yes")
    assert (code, group.arm.leaks()) == (0, ())
    assert f"deleting {STRAY}" in err
    assert "1 of 1 deleted" in out


@pytest.mark.long
async def test_a_table_tells_the_same_and_an_empty_one_that_nothing_is_left(group: Group) -> None:
    assert await group.burster("sweep-cloud") == (0, "Nothing is left behind.\n", "")
    await group.make(STRAY)
    await asyncio.sleep(0.3)
    code, out, _ = await group.burster("sweep-cloud")
    assert code == 1
    assert STRAY in out
    assert "1 would be deleted by --yes" in out


@pytest.mark.long
async def test_wrong_words_and_a_cluster_that_is_not_there(group: Group) -> None:
    code, _, err = await group.burster("sweep-cloud", "--yes", "--dry-run")
    assert (code, "one of the two" in err) == (2, True)
    code, _, err = await group.burster("sweep-cloud", "--target", "west")
    assert (code, "there is azure" in err) == (2, True)
    text = (group.folder / "kubeconfig").read_text().replace("127.0.0.1:", "127.0.0.1:1", 1)
    (group.folder / "kubeconfig").write_text(text.replace(text.partition("127.0.0.1:")[2].partition("/")[0], "1", 1))
    code, _, err = await group.burster("sweep-cloud")
    assert code == 2
    assert "can't be asked" in err


@pytest.mark.long
async def test_the_reaper_tells_what_it_would_end_and_why_not_yet(group: Group) -> None:
    await group.make(STRAY)
    await asyncio.sleep(0.3)
    code, out, _ = await group.burster(
        "reaper", "--once", "--api-gone", "--targets", str(group.folder / "targets.yaml"), "-o", "json"
    )
    (finding,) = orjson.loads(out)["findings"]
    assert (code, finding["code"]) == (0, "NoMaxAge")
    code, _, err = await group.burster("reaper", "--once", "--api-gone")
    assert (code, "BURSTER_REAPER" in err) == (2, True)


async def test_what_the_reaper_would_end_is_one_document_on_standard_output(group: Group) -> None:
    await group.make(STRAY)
    await asyncio.sleep(0.3)
    patience = {"BURSTER_REAPER__GRACE_MS": "240000"}
    code, out, err = await group.burster("reaper", "--once", "-o", "json", **patience)
    done = orjson.loads(out)
    assert (code, [(one["outcome"], one["finding"]["code"]) for one in done["reaped"]]) == (
        1,
        [("Reported", "Unclaimed")],
    )
    assert err == "", "it is in the document already"


@pytest.mark.long
async def test_a_target_that_can_not_be_listed_is_not_taken_for_one_where_nothing_is_left(group: Group) -> None:
    elsewhere = {**TARGET, "metadata": {"name": "elsewhere"}}
    azure = {**TARGET["spec"]["azure"], "subscriptionId": "11111111-1111-1111-1111-111111111111"}
    elsewhere["spec"] = {**TARGET["spec"], "azure": azure}
    (group.folder / "targets.yaml").write_text(yaml.safe_dump_all([TARGET, elsewhere]))
    words = ("reaper", "--once", "--targets", str(group.folder / "targets.yaml"))
    code, out, err = await group.burster(*words)
    assert code == 1, err
    assert "elsewhere can't be listed" in out
    (group.folder / "targets.yaml").write_text(yaml.safe_dump(elsewhere))
    code, out, err = await group.burster(*words)
    assert (code, out) == (2, "")
    assert "nothing could be looked at" in err


@pytest.mark.long
async def test_an_api_server_that_is_away_is_told_and_does_not_keep_the_reaper_from_looking(group: Group) -> None:
    text = (group.folder / "kubeconfig").read_text()
    address = text.partition("127.0.0.1:")[2].partition("/")[0].split()[0]
    (group.folder / "kubeconfig").write_text(text.replace(address, "1"))
    code, out, err = await group.burster("reaper", "--once", "--targets", str(group.folder / "targets.yaml"))
    assert (code, err) == (0, "")
    assert "the API server can't be asked" in out
