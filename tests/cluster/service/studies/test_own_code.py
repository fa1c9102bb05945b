"""What a study may name: nothing of its own, or with --allow-code what lies in one folder."""

from pathlib import Path

import pytest

from vcm_sweep.cluster.service.studies.own_code import check_own
from vcm_sweep.sweep.errors import StudyError

from ....studies import TINY
from ..conftest import served

OWN = (
    '[network]\ndata = "ours:digits"',
    '[network]\nmodel = "ours.nets:Net"',
    '[network]\nstart = "weights"',
    '[device]\ncell = "ours/cell.toml"',
    '[device]\ncell = "cell.toml"',
    '[device.intervention.nominal]\ncell = "/etc/passwd"',
    '[design]\nconditions = "rows"',
    '[[condition]]\nname = "a/b: free"\nnetwork = {start = "w"}',
    '[[condition]]\nname = "x"\n[condition.device]\ncell = "x\\\\y"',
)


@pytest.mark.parametrize("text", OWN)
def test_a_stranger_names_no_code_and_no_file(text: str) -> None:
    with pytest.raises(StudyError, match=r"^\[.*\] \w+ = .* of your own, which this service does not open: .* FOLDER$"):
        check_own(text, None)


@pytest.mark.parametrize("study", sorted(Path("studies").glob("*.toml")), ids=lambda path: path.name)
def test_the_studies_that_come_with_it_name_nothing_of_their_own(study: Path) -> None:
    check_own(study.read_text(), None)


def test_what_lies_in_the_folder_may_be_named_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "ours.py").write_text("")
    (tmp_path / "json.py").write_text("")
    (tmp_path / "cells").mkdir()
    for text in ('[network]\ndata = "ours:digits"', '[network]\nstart = "w.pt"', '[device]\ncell = "cells/a.toml"'):
        check_own(text, tmp_path)
    for value in ("os:abort", "json:loads", "..ours:x", ":x", "subprocess.x:y"):
        with pytest.raises(StudyError, match="must be a module in the folder of --allow-code"):
            check_own(f'[network]\ndata = "{value}"', tmp_path)
    for value in ("/etc/passwd", "../x", "cells/../../x", ".", "/"):
        with pytest.raises(StudyError, match="must be a file in the folder of --allow-code"):
            check_own(f'[network]\nstart = "{value}"', tmp_path)


def test_a_study_of_own_data_is_started_where_that_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "ours_of_the_service.py").write_text(
        "import torch\n"
        "def data():\n"
        "    x = torch.linspace(0, 1, 80).reshape(20, 4)\n"
        "    made = torch.utils.data.TensorDataset(x, (x.sum(1) > 2).long())\n"
        "    return made, made\n"
    )
    text = TINY.replace('"digits"', '"ours_of_the_service:data"').replace("batch = 32", "batch = 4")
    closed = served(tmp_path / "closed")
    with pytest.raises(StudyError, match="which this service does not open"):
        closed.actions.start(text)
    closed.runs.close()
    monkeypatch.chdir(code)  # where `vcm-sweep serve --allow-code code` stands
    service = served(tmp_path / "studies", allow_code=code)
    study = service.actions.start(text).study
    assert service.views.study(study).trainings == 16
    (tmp_path / "studies" / "hurry").touch()
    service.runs.close()
