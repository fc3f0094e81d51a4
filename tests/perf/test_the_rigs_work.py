"""What the speed tests stand on, tried with a handful of pods by every `make test`: a benchmark that nobody runs must not rot meanwhile."""

from pathlib import Path

import orjson
import pytest

from burster.runtime.clock import SystemClock
from tests.perf import plane, rig
from tests.perf import test_real_api_server as real
from tests.perf.floor import FLOORS


@pytest.mark.parametrize("clone", [pytest.param(False, id="move"), pytest.param(True, id="clone")])
@pytest.mark.timeout(120)
async def test_the_lab_s_rig_measures_a_controller_in_this_process(clone: bool, tmp_path: Path):
    clock = SystemClock()
    async with rig.open_lab(clock, tmp_path) as lab, rig.run_controller(lab, clock, tmp_path):
        await rig.one_at_a_time(lab, 2, clone=clone)
        assert len(lab.reactions_ms()) == 2
        assert await rig.all_at_once(lab, 4, clone=clone) > 0


@pytest.mark.timeout(120)
async def test_the_lab_s_rig_measures_a_controller_in_a_process_of_its_own(tmp_path: Path):
    async with rig.open_lab(SystemClock(), tmp_path) as lab, rig.spawn_controller(lab, tmp_path) as process:
        await rig.one_at_a_time(lab, 1, clone=False)
        assert rig.memory_mib(process)["VmRSS"] > 20
        assert rig.cpu_ticks(process) > 0


@pytest.mark.long
@pytest.mark.plane
@pytest.mark.timeout(300)
async def test_the_rig_on_a_real_api_server_measures_each_of_its_figures(tmp_path: Path):
    async with plane.open_place(tmp_path) as place:
        await place.put_pods(place.pod(number, clone=True, waits=False) for number in range(real.WARM_UP + 2))
        await place.apply_policy()
        async with plane.run_program(place, tmp_path / "run") as program:
            assert await program.until_ready() > 0
            await program.until_offered(place)
            ours, bare = await real.reactions(place, tmp_path, 2, clone=True)
            assert len(ours.from_sent) == len(bare.from_sent) == 2
            assert all(each > 0 for each in (*ours.from_sent, *bare.from_sent))
            first, recorded, placed = await real.storm(place, 5, first=1_000)
            assert 0 < first <= recorded <= placed
            await plane.play_kubelet(place)
            await real.until_serving(program, real.WARM_UP + 2 + 5 + 1)
            await program.until_quiet()
            assert "burster_bursts" in await program.metrics()
        record = orjson.dumps(orjson.loads(await place.kube.get(real.BURSTS, {"limit": 1}))["items"][0])
        assert await real.writes_per_s(place, 10, real.as_floor(record)) > 0
        found = orjson.loads(await place.kube.get(FLOORS))
        assert len(found["items"]) == 2 + 10
