"""``vcm-sweep compact`` and ``merge``, as a user calls them."""

import json
import re
from pathlib import Path

import pytest

from vcm_sweep.cluster.cli import main
from vcm_sweep.sweep import SobolDesign, Store, Study, TrialRecord

from ...studies import TINY


def filled(folder: Path, study: Study, points: range, status: str = "ok") -> Path:
    with Store.create(study, folder) as store:
        for t in SobolDesign(study).trials():
            if t.point in points:
                store.append([TrialRecord(t.key, t.point, 0, t.factors, t.seed, status, accuracy=0.5)])
                store.flush()
    return folder


def shown(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    return dict(json.loads(capsys.readouterr().out))


def test_compact_leaves_one_file_and_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = filled(tmp_path / "a", Study.from_text(TINY), range(5))
    assert main(["compact", str(folder), "--json"]) == 0
    told = shown(capsys)
    assert (told["records"], told["files"], told["files_before"]) == (5, 1, 5)
    (part,) = (folder / "parts").iterdir()
    part.write_bytes(b"torn")
    assert main(["compact", str(folder)]) == 3
    assert "should have" in capsys.readouterr().err
    assert main(["compact", str(folder), "--skip-bad"]) == 0
    assert part.name in capsys.readouterr().out
    assert (folder / "aside" / part.name).read_bytes() == b"torn"


def test_merge_brings_two_clusters_together_whichever_went_further(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study, longer = Study.from_text(TINY), Study.from_text(TINY.replace("n = 4", "n = 8"))
    one = filled(tmp_path / "one", study, range(10))
    two = filled(tmp_path / "two", study, range(6, 14), "error")
    with Store.open(two) as store:
        store.become(longer)
    filled(two, longer, range(20, 24))
    into = tmp_path / "both"
    for again in (False, True):
        assert main(["merge", str(one), str(two), "--into", str(into), "--json"]) == 0
        counts = [0, 0] if again else [10, 8]
        assert shown(capsys) == {"folder": str(into), f"from {one}": counts[0], f"from {two}": counts[1]}
    store = Store.open(into)
    assert store.study.digest == longer.digest
    # Of the four trainings that both had, the ones that are ok.
    assert store.counts() == {"ok": 14, "error": 4}
    assert Store.open(one).table().num_rows == 10


def test_merge_refuses_another_study_with_the_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = filled(tmp_path / "one", Study.from_text(TINY), range(2))
    two = filled(tmp_path / "two", Study.from_text(TINY.replace("lr = 0.02", "lr = 0.03")), range(2))
    assert main(["merge", str(one), str(two), "--into", str(tmp_path / "both")]) == 3
    assert "network.lr is 0.02 there and 0.03 here" in capsys.readouterr().err
    assert not (tmp_path / "both").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "study.toml", "--in-process", "--pack", "0"], 2, "argument --pack: '0' must be a whole number of at"),
        (["run", "study.toml", "--in-process", "--address", "a:1"], 2, "--in-process trains here, and --address a:1"),
        (["run", "study.toml", "--in-process", "--reuse", "no", "--out", "new"], 3, "no is no results folder"),
        (["plan", "study.toml", "--in-process", "--pilot-s", "nan"], 2, "--pilot-s nan must be more than 0"),
        (["jobs", "no"], 3, "no is not there"),
        (["status", "s3://"], 3, "s3:// names no bucket"),
        (["fetch", "a", "/proc/here"], 3, "a cannot be copied to /proc/here"),
        (["extend", "torn", "--to", "8", "--no-run"], 3, "torn/parts/00000001-.*compact torn --skip-bad"),
    ],
)
def test_a_mistake_is_one_line_and_makes_nothing(
    arguments: list[str], code: int, words: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("study.toml").write_text(TINY)
    filled(Path("a"), Study.from_text(TINY), range(2))
    filled(Path("torn"), Study.from_text(TINY), range(2))
    min(Path("torn/parts").iterdir()).write_bytes(b"torn")
    try:
        given = main(arguments)
    except SystemExit as end:
        given = end.code
    said = capsys.readouterr().err
    assert given == code
    assert re.search(words, said)
    assert said.count("\n") == 1
    assert {p.name for p in Path().iterdir()} == {"study.toml", "a", "torn"}
    assert Path("torn/study.toml").read_text() == TINY
