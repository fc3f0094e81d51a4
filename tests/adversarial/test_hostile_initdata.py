"""A ConfigMap that a namespace's user wrote, taken for a VM's initdata: refused in words, whatever is in it."""

from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from burster.adaptors.initdata import read_initdata
from burster.model.bursts import Burst, InitdataSource
from burster.model.errors import RemoteError
from tests.adversarial.test_adoption import a_record


class OneMap:
    """An API server that has one ConfigMap."""

    def __init__(self, text: Any) -> None:
        self._body = orjson.dumps({"metadata": {"name": "m"}, "data": {"k": text}})

    async def get(self, path: str, params: Any = None) -> bytes:
        return self._body


def a_burst() -> Burst:
    record = a_record("Move", "Reserved")
    return replace(record, spec=replace(record.spec, initdata=InitdataSource(config_map="m", key="k", by="Policy")))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a = " + "[" * 50_000 + "]" * 50_000, id="nested without bottom"),
        pytest.param("a = " + "9" * 100_000, id="a number without end"),
        pytest.param("H4sI" + "A" * 100_000, id="packed, and nothing"),
        pytest.param("x" * 1_000_000, id="a megabyte of nothing"),
        pytest.param("version = 1\n" * 3, id="said three times"),
        pytest.param(7, id="no text"),
    ],
)
async def test_it_is_refused_in_words(text: Any) -> None:
    api: Any = OneMap(text)
    with pytest.raises(RemoteError) as told:
        await read_initdata(api, a_burst(), "burster-system")
    assert told.value.kind == "Invalid"
