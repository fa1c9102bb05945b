"""The pages without a browser: what they show, what their forms do, and that no text of a user becomes code."""

import json
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from vcm_sweep.cluster.service.pages.render import read_file
from vcm_sweep.cluster.service.service import Service
from vcm_sweep.sweep import InProcessExecutor, run, train
from vcm_sweep.sweep.designs.build import checked_design
from vcm_sweep.sweep.study.study import Study

from ....studies import TINY
from ..conftest import bearer, served
from ..waiting import until

NAME = f"tiny-{Study.from_text(TINY).digest[:8]}"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7 * 7 }}"


@pytest.fixture
def person(client: TestClient) -> TestClient:
    """A browser of somebody who may run, whose requests carry the token in place of a cookie."""
    client.headers["Accept"] = "text/html"
    return client


def post(person: TestClient, text: str = TINY, seen: str | None = None, **fields: str) -> str:
    sent = {"text": text.replace("\n", "\r\n"), "seen": text if seen is None else seen} | fields
    answer = person.post("/new", data=sent)
    assert answer.status_code == 200
    return answer.text


def shown(page: str) -> str:
    """The text of the study file that a page shows."""
    import html

    return html.unescape(re.search(r'<textarea id="text"[^>]*>\n(.*?)</textarea>', page, re.DOTALL)[1])  # type: ignore[index]


def test_the_first_study_is_one_that_can_be_trained() -> None:
    study = Study.from_text(read_file("templates", "first.toml"))
    checked_design(study)
    study.check()
    assert study.design.no_verdict() == ""


def test_a_field_changes_its_line_and_the_text_changes_its_field(person: TestClient) -> None:
    text = TINY.replace("lr = 0.02", "lr = 2e-2  # quick")
    assert shown(post(person, text, **{"/network/lr": "0.05"})) == text.replace("2e-2", "0.05")
    page = post(person, text.replace("epochs = 1", "epochs = 7"), seen=text, **{"/network/epochs": "1"})
    assert re.search(r'id="/network/epochs"[^>]* value="7"', page)
    # Both at once: neither is lost.
    both = post(person, text.replace("epochs = 1", "epochs = 7"), seen=text, **{"/network/lr": "0.05"})
    assert shown(both) == text.replace("epochs = 1", "epochs = 7").replace("2e-2", "0.05")


def test_tables_are_added_and_taken_out(person: TestClient) -> None:
    longer = shown(post(person, add="/device/d2d/r", do="add"))
    assert "[device.d2d.r]" in longer
    assert 'id="/device/d2d/r/sigma"' in post(person, longer)
    assert "[device.d2d.r]" not in shown(post(person, longer, remove="/device/d2d/r"))
    assert shown(post(person, remove="/factor/1")).count("[[factor]]") == 1


def test_a_mistake_stands_beside_its_field_in_the_words_of_the_command_line(person: TestClient) -> None:
    page = post(person, **{"/network/lr": "quick"})
    said = "[network] lr = &#39;quick&#39; must be a number from 1e-09 to 100"
    assert f'<p class="problem" id="/network/lr-problem">{said}</p>' in page
    assert re.search(r'id="/network/lr"[^>]*aria-describedby="/network/lr-help /network/lr-problem" aria-invalid', page)
    assert "not TOML: " in post(person, "[study\n")
    assert "is code of your own" in post(person, TINY.replace('"digits"', '"os:abort"'))
    assert "is no table of a study" in post(person, add="/nothing")


@pytest.mark.parametrize(
    "text", ["", "[", "factor = 3\n", "factor = {}\n", "[factor]\nname = 3\n", "condition = {a = 1}\n"]
)
@pytest.mark.parametrize("place", ["", "abc", "/0", "/factor", "/factor/0", "/factor/9", "/factor/0/name/0", "/~2"])
def test_what_makes_no_sense_is_answered_with_the_page(person: TestClient, text: str, place: str) -> None:
    for sent in ({"add": place}, {"remove": place}, {place or "/": "1"}):
        assert 'id="verdict"' in post(person, text, **sent)


def test_a_study_that_is_wrong_is_not_run_and_a_right_one_once(person: TestClient, root: Path) -> None:
    assert "must be a power of 2" in post(person, TINY.replace("n = 4", "n = 5"), do="run")
    sent = {"text": TINY, "seen": TINY, "do": "run", "key": "one", "note": "for Ada"}
    for _ in range(2):
        answer = person.post("/new", data=sent)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/studies/{NAME}")
    until(lambda: (root / "played").exists())
    assert (root / "played").read_text() == f"run {NAME}\n"


def test_a_study_is_stopped_gone_on_with_and_noted_on_its_page(person: TestClient, service: Service) -> None:
    service.actions.start(TINY)
    here = f"/studies/{NAME}"
    until(lambda: "<button>Stop</button>" in person.get(here).text)
    assert person.post(f"{here}/stop").headers["location"] == here
    until(lambda: "<button>Resume</button>" in person.get(here).text)
    assert (
        "less than the 4 that the study has" in person.post(f"{here}/extend", data={"field": "to", "value": "2"}).text
    )
    refused = person.post(f"{here}/extend", data={"field": "to", "value": "many"})
    assert (refused.status_code, "must be a whole number" in refused.text) == (422, True)
    assert person.post(f"{here}/resume").status_code == 303
    assert person.post(f"{here}/note", data={"note": HOSTILE}).status_code == 303
    for page in (person.get(here).text, person.get("/").text):
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "{{ 7 * 7 }}" in page


def test_the_list_filters_sorts_and_puts_studies_of_one_name_together(person: TestClient, service: Service) -> None:
    for text in (TINY, TINY.replace("lr = 0.02", "lr = 0.03"), TINY.replace('"tiny"', '"other"')):
        service.actions.start(text)
    page = person.get("/").text
    assert "3 studies" in page
    assert "tiny: 2 studies" in page
    only = person.get("/", params={"search": "other"}).text
    assert ("1 study," in only, "tiny" in only) == (True, False)
    assert "No study is like that" in person.get("/", params={"search": "nothing"}).text
    wrong = person.get("/", params={"order": "size"})
    assert (wrong.status_code, "must be one of changed, name" in wrong.text) == (400, True)


def test_a_finished_study_shows_its_ranking_curves_and_clone(person: TestClient, service: Service, root: Path) -> None:
    text = (
        TINY.replace('"sobol"', '"morris"')
        .replace("epochs = 1", "epochs = 2")
        .replace("n = 4", "n = 8\nreplicates = 2")
    )
    study = Study.from_text(text)
    run(study, InProcessExecutor(train), root / "mine")
    service.rankings.ranking("mine", wait_s=300.0)  # a page waits for it no more than seconds
    page = person.get("/studies/mine").text
    assert page.count("data-spec=") == 2
    assert re.search(r'rowheader">r\.<wbr>d2d\.<wbr>sigma</th><td[^>]*>\S+ \[', page)
    assert shown(person.get("/new", params={"of": "mine"}).text) == text
    run(Study.from_text(text.replace("lr = 0.02", "lr = 0.03")), InProcessExecutor(train), root / "other")
    service.rankings.side_by_side("mine", "other", wait_s=300.0)
    compared = person.get("/compare", params={"study": ["mine", "other"]}).text
    assert "Is the difference real?" in compared
    assert compared.count("data-spec=") == 2
    once = person.get("/compare", params={"study": ["mine", "mine"]})
    assert (once.status_code, "1 studies are ticked: tick two" in once.text) == (422, True)


def test_no_page_has_script_or_style_of_its_own(person: TestClient, service: Service) -> None:
    service.actions.start(TINY, note=HOSTILE)
    for path in (
        "/login",
        "/",
        "/new",
        f"/studies/{NAME}",
        f"/studies/{NAME}/tolerance",
        "/tolerances",
        "/cells",
        f"/new?of={NAME}",
    ):
        page = person.get(path)
        assert page.status_code == 200
        assert "script-src 'self'" in page.headers["Content-Security-Policy"]
        assert not re.search(
            r"<style|\sstyle=|<[a-z][^>]*\son[a-z]+=|javascript:", page.text.replace("onerror=alert", "")
        )
        assert all(" src=" in tag for tag in re.findall(r"<script[^>]*>", page.text))


def test_whoever_may_only_read_sees_no_buttons(person: TestClient, service: Service) -> None:
    service.actions.start(TINY)
    person.headers.update(bearer(service, "read"))
    page = person.get(f"/studies/{NAME}").text
    assert "<button>Log out</button>" in page
    assert page.count("<button>") == 1
    assert 'href="/new' not in page


def test_links_carry_the_prefix_of_a_proxy(root: Path) -> None:
    from vcm_sweep.cluster.service.app import make_app

    service = served(root, prefix="/sweeps")
    person = TestClient(make_app(service), headers=bearer(service) | {"Accept": "text/html"})
    for path in ("/sweeps/", "/sweeps/new", "/sweeps/login"):
        page = person.get(path).text
        assert all(link.startswith("/sweeps/") for link in re.findall(r'(?:href|src|action)="(/[^"]*)"', page))
    service.runs.close()


@pytest.mark.parametrize(
    ("name", "kind", "holds"),
    [
        ("service.css", "text/css", '@import "report.css"'),
        ("report.css", "text/css", "--paper"),
        ("vega.js", "text/javascript", "vegaEmbed"),
        ("follow.js", "text/javascript", "data-follow"),
        ("study.schema.json", "application/json", "A study of vcm-sweep"),
    ],
)
def test_what_pages_load_comes_from_here(browser: TestClient, name: str, kind: str, holds: str) -> None:
    answer = browser.get(f"/static/{name}")
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, kind)
    assert holds in answer.text


@pytest.mark.parametrize("name", ["nothing.css", "..%2f..%2fpyproject.toml", "%00"])
def test_other_files_are_not_there(browser: TestClient, name: str) -> None:
    assert browser.get(f"/static/{name}").status_code == 404


def test_a_long_study_has_no_form_and_can_be_started(person: TestClient, service: Service) -> None:
    text = TINY + "# " + "x" * 100_000
    page = person.post("/new", data={"text": text, "/study/name": "other"}).text
    assert shown(page) == text
    assert re.search(r"No form: the study has 100,\d+ characters, and no form is made of more than 100,000\.", page)
    done = person.post("/new", data={"text": text, "do": "run"}, follow_redirects=False)
    assert done.headers["location"].startswith("/studies/tiny-")


@pytest.mark.parametrize("do", ["check", "plan", "run"])
def test_a_text_of_ten_megabytes_is_one_sentence_with_the_limit(
    browser: TestClient, service: Service, root: Path, do: str
) -> None:
    browser.post("/login", data={"token": bearer(service)["Authorization"].removeprefix("Bearer ")})
    browser.headers["Accept"] = "text/html"
    word = re.search(r'name="csrf" value="([^"]+)"', browser.get("/new").text)[1]  # type: ignore[index]
    sent = {"csrf": word, "do": do} | {f"/field/{number}": "1" for number in range(2000)}
    answer = browser.post("/new", data={"text": "x" * 10_000_000, **sent})
    assert answer.status_code == 200
    told = re.findall(r"<li>(the study has .*?)</li>", answer.text)
    assert told == [
        "the study has 10,000,000 characters, and at most 1,000,000 are read: put conditions into a file, or split the "
        "study"
    ]
    more = browser.post("/new", data={"text": "x" * 16_000_001, **sent})
    assert (more.status_code, "more than 16,000,000 bytes" in more.text, len(more.text) < 2000) == (413, True, True)
    assert not list(root.glob("*"))[1:]  # but for what the service has of its own


def test_a_start_from_the_page_is_written_down_and_each_typed_letter_is_not(
    person: TestClient, service: Service
) -> None:
    post(person)
    post(person, TINY.replace("0.02", "nonsense"), do="run")
    person.post("/new", data={"text": TINY, "do": "run"})
    lines = (service.settings.home / "audit.jsonl").read_text().splitlines()
    told = [(own["what"], own["study"], own["status"]) for own in map(json.loads, lines)]
    assert told == [("POST /new", Study.from_text(TINY).folder_name, 303)]
