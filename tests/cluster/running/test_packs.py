"""How many trials share a pack, how many packs run side by side, and what is said where that cannot be (mocks)."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from vcm_sweep.cluster.options import Place
from vcm_sweep.cluster.ray_executor.resources import PackNeeds
from vcm_sweep.cluster.ray_executor.tasks import TrainSettings
from vcm_sweep.cluster.running import packs
from vcm_sweep.cluster.running.packs import pack_of
from vcm_sweep.cluster.running.places import places_of
from vcm_sweep.sweep import ExecutorError, Study, StudyError

from ...studies import TINY

HERE = Place(in_process=True)
# Torch takes this for the CPU, and vcm-sweep for another device.
MOCK = TrainSettings(device="cpu:0")


def study(pack: int = 0) -> Study:
    return Study.from_text(f"{TINY}[run]\npack = {pack}\n" if pack else TINY)


@pytest.fixture
def mock_card(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A card that is none, with so many free bytes."""

    def put_in(free: float) -> None:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 80e9))
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA Mock")
        monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)

    return put_in


def test_a_pack_that_a_mock_card_has_no_memory_for_is_one_line_with_the_one_that_fits(
    mock_card: Callable[[float], None],
) -> None:
    mock_card(1e9)
    assert pack_of(study(16), MOCK, HERE) == 16
    mock_card(5e6)
    with pytest.raises(StudyError, match=r"pack = 16 takes .* GB of a GPU, and 0.0047 GB of NVIDIA Mock are") as few:
        pack_of(study(16), MOCK, HERE)
    most = int(str(few.value).rpartition(" ")[2])
    assert 1 < most < 16
    # What the line says is so.
    assert pack_of(study(most), MOCK, HERE) == most
    with pytest.raises(StudyError):
        pack_of(study(most + 1), MOCK, HERE)
    mock_card(1e5)
    with pytest.raises(StudyError, match="not even one training fits: train on the CPU"):
        pack_of(study(16), MOCK, HERE)


def test_a_pack_on_a_mock_card_is_found_where_packs_run(
    mock_card: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mock_card(80e9)
    asked: list[Place] = []
    usual = packs.executor_of

    def noted(place: Place, *others: Any) -> Any:
        asked.append(place)
        return usual(HERE, *others)

    monkeypatch.setattr(packs, "executor_of", noted)
    elsewhere = Place(address="10.0.0.1:6379", device="cuda")
    monkeypatch.setattr(packs, "places_of", lambda place, needs: 3)
    assert pack_of(study(), MOCK, elsewhere) == 6  # of 16 trials in three places
    # On a CPU they are tried here, without a cluster.
    assert 1 <= pack_of(study(), TrainSettings(), Place(address="10.0.0.1:6379")) <= 6
    assert asked == [elsewhere, HERE]


def test_packs_that_cannot_be_tried_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(device: str) -> None:
        raise RuntimeError("the card has fallen off the bus\nmore lines")

    monkeypatch.setattr(torch.cuda, "mem_get_info", gone)
    with pytest.raises(ExecutorError, match=r"no size .* \(RuntimeError: the card has fallen off the bus\): .* --pack"):
        pack_of(study(), MOCK, HERE)
    with pytest.raises(ExecutorError, match=r"^pack = 16 could not be tried \(RuntimeError: .*\): vcm-sweep doctor"):
        pack_of(study(16), MOCK, HERE)


def test_a_worker_s_driver_that_is_too_old_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "gpu_fault", lambda: "the NVIDIA driver is for CUDA 11.4")
    with pytest.raises(StudyError, match=r"--device cuda cannot be used on \S+ \(the NVIDIA driver is for CUDA 11.4\)"):
        pack_of(study(16), TrainSettings(device="cuda"), HERE)


def test_gpus_are_counted_not_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    here = Place(cpus=64, device="cuda")
    assert places_of(here, PackNeeds(gpus=1.0)) == 4
    assert places_of(here, PackNeeds(gpus=0.5)) == 8
    assert places_of(here, PackNeeds(gpus=2.0)) == 2
    assert places_of(Place(cpus=3, device="cuda"), PackNeeds(gpus=0.5)) == 3
    assert places_of(Place(cpus=64), PackNeeds(cpus=4)) == 16
    assert places_of(Place(cpus=64, in_process=True, device="cuda"), PackNeeds(gpus=0.5)) == 1


def test_the_gpus_of_a_cluster_are_counted_once_it_is_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Place(address="10.0.0.1:6379", cpus=2, device="cuda")
    monkeypatch.setattr("ray.is_initialized", lambda: True)
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 96.0, "GPU": 16.0})
    assert places_of(there, PackNeeds(gpus=1.0)) == 16


def test_a_pack_that_gets_no_gpu_is_one_line() -> None:
    spec = SimpleNamespace(cpus_per_pack=1, gpus_per_pack=0.0, memory_gb_per_pack=0.0)
    assert PackNeeds.of(spec).gpus == 0  # type: ignore[arg-type]
    with pytest.raises(StudyError, match=r"\[run\] gpus_per_pack = 0 gives a pack no GPU.* such as 0.5"):
        PackNeeds.of(spec, "cuda")  # type: ignore[arg-type]
