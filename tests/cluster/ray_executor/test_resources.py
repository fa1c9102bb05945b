"""How many packs fit on a node; a pack that fits nowhere is refused before anything starts."""

import socket
from types import SimpleNamespace

import pytest

from vcm_sweep.cluster import RayExecutor
from vcm_sweep.cluster.ray_executor.flight import Flight
from vcm_sweep.cluster.ray_executor.nodes import Nodes
from vcm_sweep.cluster.ray_executor.resources import PackNeeds, check_feasible
from vcm_sweep.cluster.ray_executor.workers import Workers
from vcm_sweep.sweep import ExecutorError, Study, StudyError, Trial, TrialRecord
from vcm_sweep.sweep.packs.recovery import whole
from vcm_sweep.sweep.study.tables.run import RunSpec


@pytest.mark.parametrize(
    ("needs", "node", "slots"),
    [
        (PackNeeds(), {"CPU": 8.0}, 8),
        (PackNeeds(cpus=3), {"CPU": 8.0}, 2),
        (PackNeeds(gpus=0.5), {"CPU": 8.0, "GPU": 1.0}, 2),
        (PackNeeds(gpus=0.3), {"CPU": 16.0, "GPU": 2.0}, 6),  # three on each GPU, none across both
        (PackNeeds(gpus=2), {"CPU": 8.0, "GPU": 3.0}, 1),
        (PackNeeds(gpus=1), {"CPU": 8.0}, 0),
        (PackNeeds(memory_gb=2), {"CPU": 8.0, "memory": 5.0 * 2**30}, 2),
    ],
)
def test_packs_that_fit_into_a_node(needs: PackNeeds, node: dict[str, float], slots: int) -> None:
    assert needs.slots(node) == slots


def test_a_request_that_no_node_can_meet_names_the_nodes() -> None:
    nodes = [("big", {"CPU": 64.0, "memory": 2.0**38}), ("small", {"CPU": 4.0, "GPU": 1.0, "memory": 2.0**33})]
    check_feasible(PackNeeds(cpus=64), nodes)
    with pytest.raises(ExecutorError) as failure:
        check_feasible(PackNeeds(cpus=8, gpus=1), nodes)
    text = str(failure.value)
    assert "\n" not in text
    for part in ("8 CPUs, 1 GPU", "big has 64 CPU, 0 GPU", "small has 4 CPU, 1 GPU, 8.0 GB", "gpus_per_pack"):
        assert part in text


@pytest.mark.parametrize(("device", "table", "gpus"), [("cpu", {}, 0.0), ("cuda", {}, 1.0), ("cuda", 0.25, 0.25)])
def test_a_pack_takes_a_gpu_where_it_trains_on_one(device: str, table: object, gpus: float) -> None:
    spec = RunSpec.from_table({} if table == {} else {"gpus_per_pack": table})
    assert PackNeeds.of(spec, device).gpus == gpus


def test_a_share_of_gpus_that_cannot_be_given_is_one_line() -> None:
    with pytest.raises(StudyError, match=r"gpus_per_pack = 1.5 must be at most 1, or a whole number: take 1 or 2"):
        RunSpec.from_table({"gpus_per_pack": 1.5})
    with pytest.raises(StudyError, match="cpus_per_pack = 0"):
        RunSpec.from_table({"cpus_per_pack": 0})


def test_how_a_study_is_run_is_no_part_of_it() -> None:
    text = """
[study]
name = "a"
[network]
hidden = [4]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
[[factor]]
name = "T_0.global.mean"
range = [283.0, 323.0]
[[factor]]
name = "read.noise.sigma"
range = [0.0, 0.05]
[design]
method = "sobol"
n = 2
"""
    other = Study.from_text(
        text + "[run]\nretries = 5\ncpus_per_pack = 2\ngpus_per_pack = 0.5\nmemory_gb_per_pack = 4\n"
    )
    assert other.run.retries == 5
    assert other.digest == Study.from_text(text).digest


def node(name: str, alive: bool = True, cpus: float = 4.0) -> dict[str, object]:
    resources = {"CPU": cpus} if alive else {}
    return {"NodeID": name, "Alive": alive, "Resources": resources, "NodeManagerHostname": f"host-{name}"}


def test_when_every_capable_node_has_left_there_is_a_wait_and_then_an_error(now: list[float]) -> None:
    listed = [node("a"), node("head", cpus=0.0)]
    nodes = Nodes(PackNeeds(), lambda: listed, patience_s=60.0)  # type: ignore[arg-type, return-value]
    assert nodes.slots == 4
    listed[0] = node("a", alive=False)
    now[0] = 30.0
    nodes.refresh()
    assert (nodes.slots, nodes.lost) == (0, {"a"})
    now[0] = 50.0
    nodes.refresh()
    now[0] = 100.0
    with pytest.raises(ExecutorError, match="host-head has 0 CPU"):
        nodes.refresh()
    listed.append(node("b"))
    now[0] = 102.0
    nodes.refresh()
    assert nodes.slots == 4


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the clock of the nodes says."""
    from vcm_sweep.cluster.ray_executor import nodes

    clock = [0.0]
    monkeypatch.setattr(nodes.time, "monotonic", lambda: clock[0])
    return clock


def seen(*resources: dict[str, float]) -> list[dict[str, object]]:
    return [
        {"NodeID": f"n{k}", "Alive": True, "Resources": has, "NodeManagerHostname": f"host{k}"}
        for k, has in enumerate(resources)
    ]


def test_workers_that_are_still_to_come_are_waited_for(now: list[float]) -> None:
    """A head without cores has nothing to run on; one with cores that lack a GPU is asked at once, unless told."""
    head_alone = Nodes(PackNeeds(), lambda: seen({"CPU": 0.0, "memory": 1.0}), patience_s=1.0)
    assert head_alone.slots == 0
    with pytest.raises(ExecutorError, match="no node can run a pack"):
        Nodes(PackNeeds(gpus=1), lambda: seen({"CPU": 4.0}), patience_s=1.0)
    nodes = seen({"CPU": 4.0})
    waiting = Nodes(PackNeeds(gpus=1), lambda: nodes, patience_s=1.0, wait_s=60.0)
    assert waiting.slots == 0
    nodes.append(seen({}, {"CPU": 4.0, "GPU": 2.0})[1])
    now[0] += 1.1
    waiting.refresh()
    assert waiting.slots == 2


def test_what_never_comes_is_an_error_after_the_wait(now: list[float]) -> None:
    waiting = Nodes(PackNeeds(gpus=1), lambda: seen({"CPU": 4.0}), patience_s=600.0, wait_s=1.0)
    now[0] += 1.1
    with pytest.raises(ExecutorError, match="host0 has 4 CPU, 0 GPU"):
        waiting.refresh()


def test_a_short_wait_for_the_first_node_is_no_short_patience_with_the_next(now: list[float]) -> None:
    nodes = seen({"CPU": 4.0})
    waiting = Nodes(PackNeeds(), lambda: nodes, patience_s=600.0, wait_s=1.0)
    now[0] += 1.1
    waiting.refresh()
    nodes.clear()
    now[0] += 1.1
    waiting.refresh()
    assert waiting.slots == 0
    now[0] += 1.1
    waiting.refresh()


def test_an_interrupt_while_records_are_fetched_does_not_lose_them() -> None:
    """What was fetched once is no longer in the stream: the finishing after Ctrl-C asks for it again."""
    from ray import exceptions

    trial = Trial(0, 0, {}, {}, 1)
    records = [TrialRecord(trial.key, 0, 0, {}, 1, "ok")]
    interrupts = [KeyboardInterrupt()]

    def get(_: object) -> list[TrialRecord]:
        if interrupts:
            raise interrupts.pop()
        return records

    executor = RayExecutor(lambda _: [])
    ray = SimpleNamespace(get=get, exceptions=exceptions, remote=lambda **_: lambda function: function)
    executor._connection = SimpleNamespace(ray=ray)  # type: ignore[assignment]
    executor._nodes = Nodes(PackNeeds(), lambda: seen({"CPU": 4.0}), patience_s=1.0)
    executor._crew = Workers(ray, PackNeeds(), None)
    flight = Flight(whole([trial]), iter(["the only reference"]), 1.0, node="n0")
    executor._flights = [flight]
    with pytest.raises(KeyboardInterrupt):
        executor._heard(flight)
    assert [record.key for record in executor._heard(flight, again=False)] == [trial.key]
    assert executor._flights == []


def test_a_dashboard_is_no_cluster_to_run_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    with pytest.raises(ExecutorError, match=r"--address head:8265 is a dashboard's, .* submit .* HOST:6379, or auto"):
        next(RayExecutor(len, "http://user:secret@head:8265").run([[]]))  # type: ignore[arg-type]


def test_a_head_that_does_not_answer_is_one_line_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # The cluster of the session may be connected.
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    with socket.socket() as taken:
        # A port that is bound and not listened at refuses.
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ExecutorError, match=f"the Ray cluster at {address} does not answer"):
            next(RayExecutor(len, address).run([[]]))  # type: ignore[arg-type]
