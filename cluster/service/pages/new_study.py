"""The page on which a study is written: its form beside its text, what it would cost, and its start."""

import re
import secrets
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from starlette.datastructures import FormData

from vcm_sweep.cluster.service.aside import aside
from vcm_sweep.cluster.service.pages.form import LONGEST, form_of, with_fields, with_table, without_table
from vcm_sweep.cluster.service.pages.render import back_to, page, read_file
from vcm_sweep.cluster.service.problems import BusyError, TooLargeError, UnfinishedError
from vcm_sweep.cluster.service.service import Service, service_of
from vcm_sweep.cluster.service.settings import MAX_BODY, MAX_FIELDS, MAX_STUDY, ServiceSettings
from vcm_sweep.cluster.service.studies.actions import too_long
from vcm_sweep.cluster.service.studies.own_code import with_own_cells
from vcm_sweep.cluster.terminal.words import duration
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.editing import with_values
from vcm_sweep.sweep.study.study import Study

router = APIRouter(prefix="/new", include_in_schema=False)
_ASKS = re.compile(r"^\s*\[tolerance\]", re.MULTILINE)
Own = Annotated[Service, Depends(service_of)]


async def _sent(request: Request) -> FormData:
    return await request.form(max_fields=MAX_FIELDS, max_part_size=MAX_BODY)


@router.get("")
def new(request: Request, service: Own, of: str = "", cell: str = "") -> Response:
    """The page, with the demo, of the cell of this name where one is given; or with the study ``of``."""
    aside.warm()  # what is written here will be checked
    text = service.views.study(of).text if of else read_file("templates", "first.toml")
    if cell:
        text = with_values(text, "device", {"cell": service.shelf.card(cell).named})
    return _page(request, service, text, source=of)


@router.post("")
def follow(request: Request, service: Own, sent: Annotated[FormData, Depends(_sent)]) -> Response:
    """What was written or pressed: form and text brought together, a plan, or the start of the study."""
    word = {name: value for name, value in sent.items() if isinstance(value, str)}
    text = word.get("text", "").replace("\r\n", "\n")
    seen = word.get("seen", "").replace("\r\n", "\n")
    fields = {name: value for name, value in word.items() if name.startswith("/")}
    mistakes: list[str] = []
    plan: Mapping[str, str] = {}
    try:
        if fields and len(text) <= LONGEST:
            text, mistakes = with_fields(text, fields, seen)
        for name in sent.getlist("add"):
            text = with_table(text, str(name)) if name else text
        if taken := word.get("remove"):
            text = without_table(text, taken)
        if not mistakes and word.get("do") == "plan":
            plan = plan_in_words(service.plans.plan(text))
        if not mistakes and word.get("do") == "run":
            done = service.actions.start(text, word.get("key", ""), word.get("note", ""))
            request.state.study = done.study  # for the line on it
            return back_to(request, f"/studies/{done.study}")
        if not mistakes and word.get("do") == "search":
            done = service.searches.begin(text, word.get("note", ""))
            request.state.study = done.study
            return back_to(request, f"/studies/{done.study}/tolerance")
    except (StudyError, BusyError, UnfinishedError, TooLargeError) as error:
        mistakes = getattr(error, "mistakes", [str(error)])
    return _page(request, service, text, mistakes, plan, word.get("key", ""), word.get("note", ""))


def _page(
    request: Request,
    service: Service,
    text: str,
    mistakes: list[str] | None = None,
    plan: Mapping[str, str] | None = None,
    key: str = "",
    note: str = "",
    source: str = "",
) -> Response:
    told = [*(mistakes or []), *mistakes_in(text, service.settings)]
    told = list(dict.fromkeys(told))
    without = ""
    try:
        form = form_of(text, told)
    except StudyError as error:
        form, without = None, str(error)
    values: dict[str, Any] = {
        "text": text,
        "form": form,
        "without": without,
        "mistakes": told,
        "plan": plan,
        "note": note,
        "source": source,
        "asks": bool(_ASKS.search(text)) and not service.searches.elsewhere,
    }
    return page(request, "new", key=key or secrets.token_urlsafe(16), **values)


def mistakes_in(text: str, settings: ServiceSettings) -> list[str]:
    """What the reader of study files says against a text, as far as it says it at once: no device is simulated."""
    try:
        if len(text) > MAX_STUDY:
            raise StudyError(too_long(text))
        Study.from_text(with_own_cells(text, settings.allow_code, settings.library))
    except StudyError as error:
        return list(getattr(error, "mistakes", [str(error)]))
    return []


def plan_in_words(plan: Mapping[str, Any]) -> dict[str, str]:
    """What ``vcm-sweep plan --json`` prints, for people.

    >>> plan_in_words({"trials": 1024, "core_hours": 0.5, "core_hours_interval": [0.4, 0.6], "workers": 2})
    {'trials': '1,024', 'core time': '30 min', 'core time interval': '24 min to 36 min', 'workers': '2'}
    """
    said = {}
    for name, value in plan.items():
        if value is None or name == "folder":
            continue
        if "_hours" in name:
            name = name.replace("_hours", "_time")
            ends = [duration(3600 * hours) for hours in (value if isinstance(value, list) else [value])]
            said[name.replace("_", " ")] = " to ".join(ends)
        else:
            said[name.replace("_", " ")] = _words(value)
    return said


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name} {_words(own)}" for name, own in value.items())
    if isinstance(value, list):
        return ", ".join(_words(own) for own in value)
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
