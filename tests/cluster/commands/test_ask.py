"""``vcm-sweep ask``, as a user calls it."""

import json
from pathlib import Path

import pytest

from vcm_sweep.cluster.cli import main

from ...analysis.stored import stored


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("runs") / "space"
    stored(folder, 256, factors=3, design='method = "space"\n')
    return str(folder)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert main(["ask", *arguments]) == 0
    return capsys.readouterr().out


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str, code: int) -> str:
    capsys.readouterr()
    assert main(["ask", *arguments]) == code
    message = capsys.readouterr().err
    assert message.startswith("vcm-sweep: ")
    assert message.count("\n") == 1
    return message.removeprefix("vcm-sweep: ").strip()


def test_what_one_more_setting_buys(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, folder)
    assert text.startswith("Over the ranges of the study the mean of accuracy is ")
    rows = [line.split() for line in text.splitlines() if line.startswith(("r.", "l."))]
    assert [row[0] for row in rows] == ["r.d2d.sigma", "l.d2d.sigma", "r.c2c.direct"]
    assert rows[0][1:3] == ["lower", "half"]
    assert "points that it had not seen" in text


def test_ranges_and_settings(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, folder, "--range", "r.d2d.sigma=0:0.06", "--fix", "l.d2d.sigma=0.02")
    assert text.startswith(
        "With r.d2d.sigma 0 to 0.06, where the records count as 192 points, the mean of accuracy is "
    )
    assert "above that over the ranges of the study" in text
    assert "Shares of the variance there:" in text
    assert "l.d2d.sigma  at 0.02" in text
    text = said(capsys, folder, "--at", "r.d2d.sigma=0.08", "--at", "l.d2d.sigma=0.1")
    assert "With r.d2d.sigma at 0.08, l.d2d.sigma at 0.1, the mean of accuracy is " in text
    assert "below that over the ranges of the study" in text
    assert "No points lie where a factor is held: the interval is that of the surrogate" in text
    assert "in 95 of 100 settings drawn from the box" in text


def test_what_keeps_an_accuracy(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, folder, "--keep", "0.8")
    assert "The mean of accuracy stays at 80 % or more in a box from the factors' low ends" in text
    rows = [line.split() for line in text.splitlines() if line.startswith(("r.", "l."))]
    assert [row[0] for row in rows] == ["r.d2d.sigma", "l.d2d.sigma", "r.c2c.direct"]
    assert 0.0 < float(rows[0][3]) <= float(rows[0][2]) <= float(rows[0][4]) <= 0.08
    assert "What one more setting buys" not in text
    found = json.loads(said(capsys, folder, "--keep", "0.8", "--at", "r.d2d.sigma=0.02", "--json"))["keep"]
    assert [side["factor"] for side in found["sides"]] == ["l.d2d.sigma", "r.c2c.direct"]
    assert "1 is not even kept at the factors' low ends" in refusal(capsys, folder, "--keep", "1", code=5)


def test_too_few_points_for_indices_leave_all_else(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    narrow = ("--range", "r.d2d.sigma=0:0.01", "--fix", "l.d2d.sigma=0", "--keep", "0.8")
    text = said(capsys, folder, *narrow)
    assert "With r.d2d.sigma 0 to 0.01, the mean of accuracy is " in text
    assert "The 256 points count as 32 there, and 128 or more are needed: the interval is that of the surrogate" in text
    assert "No shares of the variance there: r.d2d.sigma 0 to 0.01: the 256 points count as 32 there, and 128" in text
    assert "The mean of accuracy stays at 80 % or more" in text
    assert "What one more setting buys" in text
    found = json.loads(said(capsys, folder, *narrow, "--json"))
    assert found["no_indices"].startswith("r.d2d.sigma 0 to 0.01: the 256 points count as 32 there")
    assert "indices" not in found
    assert {"here", "keep", "gains"} <= set(found)


def test_json(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(said(capsys, folder, "--range", "r.d2d.sigma=0:0.06:uniform", "--json"))
    assert found["here"]["effective_points"] == pytest.approx(192, abs=1)
    assert {index["factor"] for index in found["indices"]["total"]} == {"r.d2d.sigma", "l.d2d.sigma", "r.c2c.direct"}
    assert found["gains"][0]["factor"] == "r.d2d.sigma"
    found = json.loads(said(capsys, folder, "--at", "r.d2d.sigma=0.01", "--json"))
    assert found["at"]["mean"]["low"] < found["at"]["mean"]["value"] < found["at"]["mean"]["high"]
    assert "indices" not in found


def test_bad_input_is_one_line(folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option, value in (("--at", "r.d2d.sigma"), ("--range", "r.d2d.sigma=0.1"), ("--fix", "r.d2d.sigma=1,5")):
        with pytest.raises(SystemExit) as ended:
            main(["ask", folder, option, value])
        assert ended.value.code == 2
        assert f"argument {option}: '{value}' must be FACTOR=" in capsys.readouterr().err
    word = refusal(capsys, folder, "--fix", "r.d2d.sigma=much", code=5)
    assert word.startswith("r.d2d.sigma: 'much' must be a number, ")
    twice = refusal(capsys, folder, "--at", "r.d2d.sigma=0", "--range", "r.d2d.sigma=0:0.01", code=2)
    assert twice == "--range and --at: r.d2d.sigma is given 2 times; give each factor once"
    assert refusal(capsys, folder, "--at", "r.sigma=0", code=5).startswith(
        "r.sigma: is no factor of the study; did you mean r.d2d.sigma?"
    )
    assert "lies outside of what was sampled, 0 to 0.08" in refusal(capsys, folder, "--at", "r.d2d.sigma=0.1", code=5)
    stored(tmp_path / "few", 64, design='method = "space"\n')
    assert "64 points are too few for a verdict" in refusal(capsys, str(tmp_path / "few"), code=5)
