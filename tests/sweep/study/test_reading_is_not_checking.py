"""Reading a study or its results simulates nothing; every way to train a study checks it first."""

from pathlib import Path

import pytest

from vcm_sweep.cluster.cli import main
from vcm_sweep.cluster.jobs.submit import submit
from vcm_sweep.cluster.options import Place, RunOptions
from vcm_sweep.sweep import InProcessExecutor, Store, Study, StudyError, extend, open_results, plan, run
from vcm_sweep.sweep.designs.build import build_design, checked_design

EXAMPLE = Path(__file__).parents[3] / "docs" / "example"

TEXT = """
[study]
name = "tiny"
[network]
hidden = [8]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
[device]
model = "explicit"
pulse_s = {pulse_s}
[[factor]]
name = "r.d2d.sigma"
range = [0.0, 0.08]
[[factor]]
name = "read.noise.sigma"
range = [0.0, 0.05]
[design]
n = 4
"""
CROSSES = r"one SET pulse of pulse_s = 0\.01 s .* saturates every cell: shorten the pulse or lower the voltage"


@pytest.fixture
def nothing_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever integrates a pulse, builds the devices at the ends of ranges or samples a design fails."""

    def fails(*_: object, **__: object) -> None:
        raise AssertionError("something was simulated")

    for name in (
        "vcm_sweep.device.physics.full_current.full_current",
        "vcm_sweep.sweep.study.tables.window_check.integrate",
        "vcm_sweep.sweep.study.tables.window_check.rate",
        "vcm_sweep.sweep.study.tables.window_check.refuse_nominal_jumps",
        "vcm_sweep.sweep.study.tables.window_check.check_compiled",
        "vcm_sweep.sweep.study.corners.build_device",
        "vcm_sweep.sweep.designs.limits.build_device",
        "vcm_sweep.sweep.designs.sobol.SobolDesign.sample",
    ):
        monkeypatch.setattr(name, fails)


@pytest.mark.usefixtures("nothing_simulated")
@pytest.mark.parametrize("folder", ["", "limits", "tolerance"])
def test_opening_results_simulates_nothing(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    results = open_results(EXAMPLE / folder)
    assert len(results.design) > 0
    assert main(["status", str(EXAMPLE / folder)]) == 0
    assert results.study.name in capsys.readouterr().out


@pytest.mark.usefixtures("nothing_simulated")
def test_reading_a_study_simulates_nothing() -> None:
    Study.from_text(TEXT.format(pulse_s=1e-2))
    # A device of its own: what another test has checked in this process is not simulated again.
    with pytest.raises(AssertionError, match="something was simulated"):
        Study.from_text(TEXT.format(pulse_s=1.01e-6)).check()


@pytest.fixture
def crossing(tmp_path: Path) -> Path:
    """A study file whose SET pulse crosses the window."""
    file = tmp_path / "study.toml"
    file.write_text(TEXT.format(pulse_s=1e-2))
    return file


def never(*_: object) -> list[object]:
    raise AssertionError("something was trained")


def test_what_cannot_be_trained_is_refused_at_every_door(crossing: Path, tmp_path: Path) -> None:
    study, out = Study.from_toml(crossing), tmp_path / "out"
    doors = {
        "check": study.check,
        "design": lambda: checked_design(study),
        "run": lambda: run(study, InProcessExecutor(never), out),  # type: ignore[arg-type]
        "plan": lambda: plan(study, out),
        "create": lambda: Store.create(study, out),
        "submit": lambda: submit(crossing, RunOptions(Place(address="http://127.0.0.1:1"), str(out))),
    }
    for door, go in doors.items():
        with pytest.raises(StudyError, match=CROSSES) as refusal:
            go()
        assert str(refusal.value).startswith(f"{crossing}: [device] one SET pulse"), door
        assert not out.exists(), door


def test_a_folder_that_cannot_be_trained_can_be_read_and_not_extended(
    crossing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, out = Study.from_toml(crossing), tmp_path / "out"
    with monkeypatch.context() as patched:
        # As by a version that did not know better.
        patched.setattr(Study, "check", lambda _: None)
        Store.create(study, out)
    assert open_results(out).counts()["missing"] == len(build_design(study))
    for go in (lambda: extend(out, to=8), lambda: run(Store.open(out).study, InProcessExecutor(never), out)):  # type: ignore[arg-type]
        with pytest.raises(StudyError, match=CROSSES) as refusal:
            go()
        assert str(refusal.value).startswith(f"{out}/study.toml: [device] one SET pulse")


@pytest.mark.parametrize("command", ["run", "plan", "tolerance", "submit"])
def test_commands_say_it_in_one_line(
    command: str, crossing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    more = ["--address", "http://127.0.0.1:1", "--out", "out"] if command == "submit" else ["--in-process"]
    assert main([command, str(crossing), *more]) == 2
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    assert f"{crossing}: [device] one SET pulse of pulse_s = 0.01 s" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == [crossing.name]
