"""The pages of searches for tolerances: all of them, and one with its front, its best points and its start."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from vcm_sweep.analysis.report.content.parts import Part, Table
from vcm_sweep.analysis.report.sections.tolerances import answered
from vcm_sweep.cluster.service.pages.one_study import log_of
from vcm_sweep.cluster.service.pages.render import back_to, page
from vcm_sweep.cluster.service.service import Service, service_of
from vcm_sweep.cluster.service.studies.catalogue import SEARCH
from vcm_sweep.cluster.service.studies.searches import Point
from vcm_sweep.device.errors import VcmSweepError
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.session.tally import Figures
from vcm_sweep.sweep.study.tables.tolerance import QUESTIONS

router = APIRouter(include_in_schema=False)
Own = Annotated[Service, Depends(service_of)]
Word = Annotated[str, Form()]
_RUNNING = ("running", "submitted", "disk full")


@router.get("/tolerances")
def searches(request: Request, service: Own) -> Response:
    """All searches, the latest first."""
    return page(request, "searches", cards=service.catalogue.searches())


@router.get("/studies/{study}/tolerance")
def search(request: Request, study: str, service: Own) -> Response:
    """The search of a study, and what it can be asked."""
    view = service.searches.search(study)
    parts, trouble = _answers(service, study)
    return page(
        request,
        "search",
        view=view,
        card=view.card,
        figures=view.session.figures if view.session else Figures(),
        parts=parts,
        best=_best(view.best),
        trouble=view.trouble or trouble,
        elsewhere=service.searches.elsewhere,
        running=view.card.state in _RUNNING,
        files=[own for own in service.views.files(study) if own.path.startswith(f"{SEARCH.strip('/')}/")],
        log=log_of(service, study + SEARCH, view.printed) if view.session else "",
        questions=QUESTIONS,
    )


@router.post("/studies/{study}/tolerance")
def start(
    request: Request, study: str, service: Own, question: Word = "", target: Word = "", drop: Word = "",
    trials: Word = "",
) -> Response:  # fmt: skip
    """Search, or go on with it."""
    given: dict[str, Any] = {"question": question or None}
    for name, text, kind in (("target", target, float), ("drop", drop, float), ("trials", trials, int)):
        try:
            given[name] = kind(text) if text.strip() else None
        except ValueError:
            raise StudyError(f"[tolerance] {name} = {text[:80]!r} must be a number") from None
    service.searches.start(study, **given)
    return back_to(request, f"/studies/{study}/tolerance")


@router.post("/studies/{study}/tolerance/stop")
def stop(request: Request, study: str, service: Own) -> Response:
    """Stop it."""
    service.searches.stop(study)
    return back_to(request, f"/studies/{study}/tolerance")


def _answers(service: Service, study: str) -> tuple[list[Part], str]:
    """The answers as the report has them, and why they cannot be shown."""
    try:
        return answered(service.searches.answers(study)), ""
    except VcmSweepError as error:
        return [], str(error)


def _best(points: list[Point]) -> Table | None:
    if not points:
        return None
    names = list(points[0].values)
    rows = [
        [str(number), f"{100 * own.accuracy:.1f} %", str(own.trainings), *(f"{own.values[name]:.4g}" for name in names)]
        for number, own in enumerate(points, 1)
    ]
    columns = ("point", "mean accuracy", "trainings", *names)
    return Table("best", "The points of highest mean accuracy so far", columns, rows, frozenset(columns[1:]))
