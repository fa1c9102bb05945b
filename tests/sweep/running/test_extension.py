"""A study is made longer in its folder: what is finished stays as it is, and its comments too."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from vcm_sweep.sweep import (
    InProcessExecutor,
    Store,
    StoreError,
    Study,
    StudyError,
    Trial,
    TrialRecord,
    build_design,
    extend,
    open_results,
    run,
)
from vcm_sweep.sweep.running.extension import extended

TEXT = """\
[study]
name = "tiny"
[network]
hidden = [8]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
[[factor]]
name = "r.d2d.sigma"
range = [0.0, 0.08]
[[factor]]
name = "read.noise.sigma"
range = [0.0, 0.05]   # n = 3 is not what is edited
[design]  # ours
method = "sobol"
n = 16    # base points
replicate_rows = 5
[run]
pack = 4
"""
MORRIS = TEXT.replace("sobol", "morris")
SHAPLEY = MORRIS.replace("morris", "shapley")
SECOND = TEXT.replace("[design]  # ours\n", "[design]  # ours\nsecond_order = true\n")
NESTED = TEXT.replace("replicate_rows = 5\n", "replicates = 4\ntrainings = 2\n")
GROUPS = TEXT.replace(
    "[run]", '[design.groups]\n"cells, n = 2" = ["r.d2d.sigma", "mismatch.global.mean"]\n[run]'
).replace("[design] ", '[[factor]]\nname = "mismatch.global.mean"\nrange = [-0.5, 0.5]\n[design] ')
ALL = {"sobol": TEXT, "morris": MORRIS, "shapley": SHAPLEY, "second": SECOND, "nested": NESTED, "groups": GROUPS}


def fast(pack: Sequence[Trial]) -> list[TrialRecord]:
    return [TrialRecord(t.key, t.point, t.replicate, t.factors, t.seed, "ok", accuracy=t.seed / 2**63) for t in pack]


def refused(pack: Sequence[Trial]) -> list[TrialRecord]:
    raise AssertionError("this is done already")


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "parts").glob("*.parquet")}


@pytest.mark.parametrize("text", ALL.values(), ids=ALL)
def test_every_finished_point_is_reused_exactly(text: str, tmp_path: Path) -> None:
    study, out = Study.from_text(text), tmp_path / "out"
    run(study, InProcessExecutor(fast), out)
    before, parts = {t.key for t in build_design(study).trials()}, bytes_of(out)
    ran: list[str] = []

    def noting(pack: Sequence[Trial]) -> list[TrialRecord]:
        ran.extend(trial.key for trial in pack)
        return fast(pack)

    _, longer = extend(out, to=32)
    after = {t.key for t in build_design(longer).trials()}
    assert before < after
    results = run(longer, InProcessExecutor(noting), out)
    assert len(ran) == len(set(ran))
    assert set(ran) == after - before
    assert results.counts() == {"ok": len(after)}
    assert bytes_of(out).items() >= parts.items()
    assert open_results(out).blocks().shape[0] == 32
    # Again after a new start, from what the folder says alone; and elsewhere by --reuse.
    run(Store.open(out).study, InProcessExecutor(refused), out)
    run(longer, InProcessExecutor(refused), tmp_path / "other", reuse=[out])


@pytest.mark.parametrize("text", ALL.values(), ids=ALL)
def test_what_failed_is_run_once_more_and_nothing_else(text: str, tmp_path: Path) -> None:
    study, out, again = Study.from_text(text), tmp_path / "out", list[str]()

    def failing(pack: Sequence[Trial]) -> list[TrialRecord]:
        return [TrialRecord.failed(t, "timeout", "late") if t.point % 7 == 3 else fast([t])[0] for t in pack]

    def noting(pack: Sequence[Trial]) -> list[TrialRecord]:
        again.extend(trial.key for trial in pack)
        return fast(pack)

    run(study, InProcessExecutor(failing), out)
    results = run(study, InProcessExecutor(noting), out, retry=True)
    assert sorted(again) == sorted(t.key for t in build_design(study).trials() if t.point % 7 == 3)
    assert results.counts() == {"ok": len(build_design(study))}
    assert not np.isnan(results.blocks()[:, :, 0]).any()


def test_only_the_designs_lines_change() -> None:
    longer = extended(Study.from_text(TEXT), to=64, replicates=2)
    assert longer.text == TEXT.replace("n = 16    #", "n = 64    #").replace("[run]", "replicates = 2\n[run]")


@pytest.mark.parametrize("table", ['[design]\nmethod = "sobol"\nn=1_6\n', "[design]\nn = 16\n"])
def test_replicates_are_added_where_nothing_was_said(table: str) -> None:
    study = Study.from_text(TEXT[: TEXT.index("[design]")] + table)
    assert extended(study, replicates=3).design.replicates == 3
    assert extended(study, to=32).design.n == 32


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"to": 8}, "--to 8 is less than the 16 that the study has: a design only grows"),
        ({"replicates": 0}, "--replicates 0 is less than the 1"),
        ({"to": 24}, r"n = 24 must be a power of 2, as Sobol points need: 32"),
        ({"to": 16}, "nothing would be added: the study has n = 16, replicates = 1, replicate_rows = 5"),
        ({"replicate_rows": 4}, "--replicate-rows 4 leaves out second runs that the study has: give at least 5"),
    ],
)
def test_what_is_no_extension_is_one_line_and_changes_nothing(
    options: dict[str, int], words: str, tmp_path: Path
) -> None:
    Store.create(Study.from_text(TEXT), tmp_path / "out")
    with pytest.raises(StudyError, match=words) as refusal:
        extend(tmp_path / "out", **options)
    assert "\n" not in str(refusal.value)
    assert (tmp_path / "out" / "study.toml").read_text() == TEXT


def test_second_runs_that_are_finished_stay_part_of_the_design() -> None:
    """More repeated rows than base points: their order depends on n, and so would which ones are repeated."""
    study = Study.from_text(TEXT.replace("replicate_rows = 5", "replicate_rows = 24"))
    longer = extended(study, to=64)
    assert longer.design.replicate_rows > 24
    places = {(t.point, t.replicate) for t in build_design(longer).trials()}
    assert {(t.point, t.replicate) for t in build_design(study).trials()} <= places
    more = extended(study, replicates=2, replicate_rows=0)
    assert {(t.point, t.replicate) for t in build_design(more).trials()} > {
        (t.point, t.replicate) for t in build_design(study).trials()
    }


@pytest.mark.parametrize(
    ("design", "longer"),
    [
        (
            "design = {method = 'sobol', n = 16} # ours\n{}",
            "design = {method = 'sobol', n = 32, replicates = 2} # ours\n{}",
        ),
        (
            "design.n = 16 # ours\ndesign.method = 'sobol'\n{}",
            "design.n = 32 # ours\ndesign.replicates = 2\ndesign.method = 'sobol'\n{}",
        ),
        (
            "[design.groups]\nsize = ['r.d2d.sigma']\n{}[design]\nmethod = 'sobol'\nn = 16",
            "[design.groups]\nsize = ['r.d2d.sigma']\n{}[design]\nmethod = 'sobol'\nn = 32\nreplicates = 2\n",
        ),
        (
            "{}[design]\n'method' = 'sobol'\n'n' = 0x10\n\n# next\n",
            "{}[design]\n'method' = 'sobol'\n'n' = 32\nreplicates = 2\n\n# next\n",
        ),
    ],
)
def test_a_design_may_be_written_in_any_way(design: str, longer: str) -> None:
    rest = TEXT[: TEXT.index("[design]")]
    made = extended(Study.from_text(design.replace("{}", rest)), to=32, replicates=2)
    assert made.text == longer.replace("{}", rest)
    assert (made.design.n, made.design.replicates) == (32, 2)


@pytest.mark.parametrize("design", ["design = {n = 16}\n{}", "design.n = 16\n{}", "{}[design]\nn = 16\n[run]\n"])
def test_a_folder_states_its_method_and_one_that_states_none_is_sobol(design: str, tmp_path: Path) -> None:
    """Folders of studies that name no method were made when it was sobol by default; now the text says what it is."""
    text = design.replace("{}", TEXT[: TEXT.index("[design]")])
    made = Study.from_text(text)
    assert (made.design.method, made.design.replicates) == ("space", 2)
    assert Study.from_text(made.text, made.frozen) == made
    older = Study.from_text(text, made.frozen)
    assert (older.design.method, older.design.replicates, older.text) == ("sobol", 1, text)
    Store.create(older, tmp_path / "out")
    assert Store.open(tmp_path / "out").study == older
    with pytest.raises(StoreError, match=r'design\.method is "sobol" there and "space" here'):
        Store.create(made, tmp_path / "out")
