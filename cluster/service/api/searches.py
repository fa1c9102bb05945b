"""Searches for tolerances: how far they are, what they found, their start and stop."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from vcm_sweep.cluster.service.api.studies import NewStudy, Own, events_of
from vcm_sweep.cluster.service.studies.actions import Done
from vcm_sweep.cluster.service.studies.catalogue import SEARCH, StudyCard
from vcm_sweep.cluster.service.studies.searches import SearchView

router = APIRouter(prefix="/api")


class Question(BaseModel):
    """What is asked in place of the study's [tolerance] table, as `vcm-sweep tolerance` has it."""

    question: str | None = Field(None, description="one, joint or trade-off")
    target: float | None = Field(None, description="mean accuracy to keep, 0 to 1", allow_inf_nan=False)
    drop: float | None = Field(None, description="what may be lost of the nominal accuracy", allow_inf_nan=False)
    against: str | None = Field(None, description="of a trade-off: energy or tolerance")
    trials: int | None = Field(None, ge=1, le=2**31, description="trainings of the search")


@router.get("/tolerances")
def searches(service: Own) -> list[StudyCard]:
    """All searches for tolerances, the latest first; the id is that of the study, with `/tolerance` at its end."""
    return service.catalogue.searches()


@router.post("/tolerances", status_code=HTTPStatus.CREATED)
def begin(asked: NewStudy, service: Own, request: Request, response: Response) -> Done:
    """Make the folder of a study that has a [tolerance] table, and search; 200 where its search goes on already."""
    done = service.searches.begin(asked.study, asked.note)
    request.state.study = done.study
    if not done.fresh:
        response.status_code = HTTPStatus.OK
    return done


@router.get("/studies/{study}/tolerance")
def search(study: str, service: Own) -> SearchView:
    """The search of a study: how far it is, its answers, and the best points."""
    return service.searches.search(study)


@router.post("/studies/{study}/tolerance", status_code=HTTPStatus.CREATED)
def start(study: str, service: Own, asked: Question | None = None) -> Done:
    """Search the tolerances of a study, or go on with that."""
    return service.searches.start(study, **(asked.model_dump() if asked else {}))


@router.post("/studies/{study}/tolerance/stop")
def stop(study: str, service: Own) -> Done:
    """Ask the search to stop, as Ctrl-C would."""
    return service.searches.stop(study)


@router.get("/studies/{study}/tolerance/log")
def log(study: str, service: Own) -> list[dict[str, Any]]:
    """The last lines of the log of the search."""
    return service.views.log(study + SEARCH)


@router.get("/studies/{study}/tolerance/events", response_class=StreamingResponse)
async def events(study: str, request: Request, service: Own) -> StreamingResponse:
    """Server-sent events, as those of a study."""
    return events_of(study + SEARCH, request, service)
