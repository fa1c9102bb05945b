"""Folders under a service's root that others have made, to harm it or by chance: no link leads out of one, nothing in
one holds the service up, and no list fails for one."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from vcm_sweep.cluster.cli import main
from vcm_sweep.cluster.service.service import Service
from vcm_sweep.sweep import Study
from vcm_sweep.sweep.store import Store
from vcm_sweep.sweep.store.schema import encode, schema

from ....studies import TINY

FOREIGN = "foreign-00000001"
SESSION: dict[str, Any] = {
    "id": "20260101-000000-abcd", "host": "elsewhere", "pid": 5, "state": "done", "started": "2026-01-01T00:00:00Z",
    "seen": "2026-01-01T00:00:00Z", "figures": {},
}  # fmt: skip
LOOKS = ("", "/card", "/log", "/ranking", "/curves", "/records", "/files", "/files/study.toml")


@pytest.fixture
def foreign(service: Service, root: Path) -> Iterator[Path]:
    """The folder of a study that somebody has put under the root, beside one that is whole."""
    for name in (FOREIGN, "whole-00000002"):
        Store.create(Study.from_text(TINY), root / name)
        (root / name / "sessions").mkdir()
        (root / name / "logs").mkdir()
    session(root / FOREIGN)
    yield root / FOREIGN
    subprocess.run(["rm", "-rf", root / FOREIGN], check=True)  # Python's own way down is not deep enough


def session(folder: Path, **changed: Any) -> None:
    (folder / "sessions" / "a.json").write_text(json.dumps(SESSION | changed))


def looked_at(client: TestClient) -> str:
    """All that a service says of a folder; the list and the other study are as ever."""
    listed = client.get("/api/studies")
    assert listed.status_code == client.get("/", headers={"Accept": "text/html"}).status_code == 200
    assert client.get("/api/studies/whole-00000002/card").status_code == 200
    answers = [client.get(f"/api/studies/{FOREIGN}{path}") for path in LOOKS]
    answers.append(client.get(f"/studies/{FOREIGN}", headers={"Accept": "text/html"}))
    for answer in answers:
        assert answer.status_code in (200, 404, 409, 422, 503), answer.text
    return "".join(answer.text for answer in (listed, *answers))


def replaced(path: Path, to: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(to)


@pytest.mark.parametrize("name", ["note.txt", "study.toml", "frozen.json", "logs/20260101-000000-abcd-0001.jsonl"])
def test_no_link_shows_what_it_leads_to(client: TestClient, foreign: Path, root: Path, name: str) -> None:
    secret = root / ".vcm-sweep" / "audit.jsonl"
    secret.write_text('{"event": "SECRET"}\n')
    replaced(foreign / name, secret)
    assert "SECRET" not in looked_at(client)


def test_no_folder_that_is_a_link_is_read(client: TestClient, foreign: Path, root: Path) -> None:
    (root / "away").mkdir()
    (root / "away" / f"{SESSION['id']}-0001.jsonl").write_text('{"event": "SECRET"}\n')
    (root / "away" / "a.json").write_text(json.dumps(SESSION | {"host": "SECRET"}))
    for name in ("logs", "sessions", "parts"):
        replaced(foreign / name, root / "away")
        said = looked_at(client)
        assert "SECRET" not in said
        assert f"{FOREIGN}/{name} is a link, which may lead anywhere and is not followed here" in said


@pytest.mark.parametrize("name", ["sessions", "logs", "report", "lock", "limits/lock"])
def test_nothing_is_written_where_a_link_leads(client: TestClient, foreign: Path, root: Path, name: str) -> None:
    away = root / "away"
    away.mkdir()
    (away / "lock").write_text("precious")
    (foreign / "limits").mkdir()
    replaced(foreign / name, away / "lock" if name.endswith("lock") else away)
    for path, sent in (("resume", {}), ("retry", {}), ("extend", {"to": 8}), ("report", {}), ("stop", {})):
        answer = client.post(f"/api/studies/{FOREIGN}/{path}", json=sent)
        assert answer.status_code in (409, 422), answer.text
        assert path in ("report", "stop") or f"{name} is a link, which may lead" in answer.json()["detail"]
    assert client.put(f"/api/studies/{FOREIGN}/note", json={"note": "kept"}).status_code == 204
    assert [path.name for path in away.iterdir()] == ["lock"]
    assert (away / "lock").read_text() == "precious"


@pytest.mark.parametrize("name", ["note.txt", "frozen.json", "manifest.json", "study.toml", "sessions/b.json"])
def test_no_pipe_is_waited_for(client: TestClient, foreign: Path, name: str) -> None:
    (foreign / name).unlink(missing_ok=True)
    os.mkfifo(foreign / name)
    looked_at(client)


@pytest.mark.parametrize("name", ["note.txt", "frozen.json", "manifest.json", "study.toml", "sessions/b.json"])
def test_no_giant_file_is_read(client: TestClient, foreign: Path, name: str) -> None:
    os.truncate(os.open(foreign / name, os.O_CREAT | os.O_WRONLY), 1 << 25)
    assert f"{name} has 33,554,432 bytes, and at most" in looked_at(client)


@pytest.mark.parametrize(
    "changed",
    [
        {"id": "a\0b", "state": "running"}, {"id": "a" * 5000}, {"id": "\ud800", "state": "running"}, {"id": "a/b"},
        {"reason": "\ud800"}, {"host": "\udfff"}, {"job": {"id": 5, "address": []}, "state": "submitted"},
        {"figures": {"best": 10**400}}, {"figures": {"done": 10**400}}, {"figures": {"failed": -1}},
        {"figures": {"failures": {"x": "y"}}}, {"figures": {"nodes": {"x": 5}}}, {"figures": {"nodes": {"x": {}}}},
    ],
    ids=str,
)  # fmt: skip
def test_a_state_that_is_none_is_left_out(client: TestClient, foreign: Path, changed: dict[str, Any]) -> None:
    session(foreign, **changed)
    looked_at(client)
    assert client.get(f"/api/studies/{FOREIGN}/card").json()["state"] == "new"


def test_long_words_of_a_run_do_not_fill_the_list(client: TestClient, foreign: Path) -> None:
    session(foreign, state="failed", reason="x" * 400_000, host="y" * 400_000)
    assert len(client.get("/api/studies").text) < 3000
    assert len(client.get("/", headers={"Accept": "text/html"}).text) < 20_000


@pytest.mark.parametrize("content", ["[" * 100_000, "[" * 3000 + "]" * 3000, '{"parts": "\\ud800"}', "\ud800"])
@pytest.mark.parametrize("name", ["sessions/a.json", "manifest.json", "frozen.json", "lineage.json", "logs"])
def test_no_json_is_a_bug(client: TestClient, foreign: Path, name: str, content: str) -> None:
    path = foreign / (f"logs/{SESSION['id']}-0001.jsonl" if name == "logs" else name)
    path.write_bytes(f"{content}\n".encode(errors="surrogatepass"))
    looked_at(client)


def named_no_text(folder: Path) -> None:
    for under in (b"", b"/parts", b"/sessions", b"/logs"):
        open(os.fsencode(folder) + under + b"/bad\xff.parquet", "w").close()


def nested(folder: Path) -> None:
    for depth in range(1, 1100):
        os.mkdir(folder / "/".join(["d"] * depth))


def deep_study(folder: Path) -> None:
    (folder / "study.toml").write_text("a = " + "[" * 3000 + "]" * 3000)


def far_number(folder: Path) -> None:
    (folder / "parts" / "99999999-00000000.parquet").touch()


def far_first(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"parts": [], "first": -90000000, "replaced": [], "unique": []}')


@pytest.mark.parametrize("harm", [named_no_text, nested, deep_study, far_number, far_first])
@pytest.mark.timeout(20)
def test_no_odd_folder_is_a_bug(client: TestClient, foreign: Path, harm: Callable[[Path], None]) -> None:
    harm(foreign)
    looked_at(client)


def test_the_last_lines_of_a_long_log_are_read_from_its_end(client: TestClient, foreign: Path) -> None:
    for number in (1, 2):
        with open(foreign / "logs" / f"{SESSION['id']}-{number:04d}.jsonl", "w") as log:
            log.writelines(f'{{"number": {number}, "line": {line}}}\n' for line in range(10_000))
            log.write('{"half')
    assert client.get(f"/api/studies/{FOREIGN}/log?lines=1").json() == [{"number": 2, "line": 9999}]
    many = client.get(f"/api/studies/{FOREIGN}/log?lines=10000").json()
    assert many == [{"number": 2, "line": line} for line in range(10_000)]


def test_a_part_of_countless_equal_rows_is_not_read(client: TestClient, foreign: Path) -> None:
    columns = schema(Study.from_text(TINY))
    rows = pa.Table.from_arrays([pa.nulls(300_000, field.type) for field in columns], schema=columns)
    (foreign / "parts" / "00000001-00000000.parquet").write_bytes(encode(rows))
    assert "has 300,000 records, many times as many as its study has trainings" in looked_at(client)


def of_length(length: int, **others: Any) -> pa.Table:
    """Two records, the first of which failed for a reason of this length."""
    columns = schema(Study.from_text(TINY))
    given = {
        "key": ["0" * 32, "1" * 32], "point": [0, 1], "replicate": [0, 0], "status": ["error", "ok"],
        "reason": ["x" * length, ""], "accuracy": [None, 0.5],
    } | others  # fmt: skip
    rows = [given.get(field.name, [None, None]) for field in columns]
    return pa.Table.from_arrays(
        [pa.array(own, field.type) for own, field in zip(rows, columns, strict=True)], schema=columns
    )


@pytest.mark.parametrize("kind", ["one text", "one text, as its footer denies", "equal texts", "one list"])
def test_a_part_of_huge_texts_is_not_read(client: TestClient, foreign: Path, kind: str) -> None:
    huge, sink = 300_000_000, pa.BufferOutputStream()
    if kind == "equal texts":
        few = of_length(3_000_000)
        pq.write_table(pa.concat_tables([few] * 400), sink, compression="zstd", use_dictionary=["reason"])
    elif kind == "one list":
        history = pa.ListArray.from_arrays([0, huge // 8, huge // 8], np.full(huge // 8, 0.5))
        pq.write_table(of_length(9, history=history), sink, compression="zstd", use_dictionary=["history"])
    else:
        pq.write_table(of_length(huge), sink, compression="zstd", use_dictionary=False)
    content = sink.getvalue().to_pybytes()
    if "denies" in kind:
        footer = pq.ParquetFile(pa.BufferReader(content)).metadata
        column = next(i for i in range(footer.num_columns) if footer.schema.column(i).name == "reason")
        true = varint(footer.row_group(0).column(column).total_uncompressed_size)
        false = bytes([true[0] | 128, *([128] * (len(true) - 2)), 0])
        begins = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
        assert true in content[begins:]
        content = content[:begins] + content[begins:].replace(true, false)
    (foreign / "parts" / "00000001-00000000.parquet").write_bytes(content)
    with open("/proc/self/clear_refs", "w") as of_the_process:
        of_the_process.write("5")  # forget the peak so far
    before = peak_kb()
    assert "has texts or lists that are longer than records of this study can have" in looked_at(client)
    assert peak_kb() - before < 150_000


def peak_kb() -> int:
    """The most memory that this process has taken since that was forgotten."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def varint(number: int) -> bytes:
    """A whole number as Thrift writes it."""
    rest, found = 2 * number, b""
    while rest > 127:
        found, rest = found + bytes([rest & 127 | 128]), rest >> 7
    return found + bytes([rest])


def test_a_terminal_takes_no_orders_from_a_folder(foreign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    orders = "\x1b[2J\r\x9b1A\u202e"
    session(foreign, host=orders, reason=orders)
    (foreign / "logs" / f"{SESSION['id']}-0001.jsonl").write_text(json.dumps({"event": orders, orders: orders}) + "\n")
    for words in (["logs", str(foreign)], ["status", str(foreign)], ["jobs", str(foreign.parent)]):
        main(words)
        said = capsys.readouterr().out
        assert r"\x1b[2J\r\x9b1A\u202e" in said
        assert not set(orders) & {*said} - {*"[2J1A"}
