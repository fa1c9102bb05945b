"""`vcm-sweep status` of one folder, of several, and of none, which is the latest run."""

import json
from pathlib import Path

import pytest

from vcm_sweep.cluster.cli import main
from vcm_sweep.sweep import Store, Study
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.session.state import SessionState, write_state

from ...studies import TINY


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two studies in runs/, of which the one whose name comes first was run last."""
    for name, began in (("later", "20260102"), ("sooner", "20260101")):
        folder = tmp_path / "runs" / name
        Store.create(Study.from_text(TINY.replace('"tiny"', f'"{name}"')), folder)
        started, seen = "2026-01-02T03:04:05.000Z", "2026-01-02T03:07:25.000Z"
        write_state(Folder(folder), SessionState(f"{began}-000000-abcd", state="done", started=started, seen=seen))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


@pytest.mark.usefixtures("runs")
def test_no_folder_means_the_latest_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 0
    words = {line.split("  ")[0]: line.split("  ")[-1].strip() for line in capsys.readouterr().out.splitlines()}
    assert words["study"] == "later"
    assert words["folder"] == "runs/later"
    assert words["started"] == "2026-01-02 03:04:05 UTC"
    assert words["took"] == "3 min 20 s"


def test_several_folders_are_shown_one_after_the_other(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(runs / "sooner"), str(runs / "later"), "--json"]) == 0
    assert [json.loads(line)["study"] for line in capsys.readouterr().out.splitlines()] == ["sooner", "later"]
    assert main(["status", str(runs / "sooner"), str(runs / "later"), "--watch"]) == 2
    assert "--watch follows one run, and 2 folders are given" in capsys.readouterr().err


def test_where_nothing_was_run_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["status"]) == 3
    assert capsys.readouterr().err == "vcm-sweep: runs/ here holds no run: give the results folder that run printed\n"
