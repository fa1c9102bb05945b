"""Studies: the list, one of them, what changes them, and what they give."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from vcm_sweep.cluster.service.access.sessions import Visitor
from vcm_sweep.cluster.service.api.given import given
from vcm_sweep.cluster.service.service import Service, service_of
from vcm_sweep.cluster.service.studies.actions import Done
from vcm_sweep.cluster.service.studies.catalogue import StudyCard
from vcm_sweep.cluster.service.studies.view import Curves, StudyFile, StudyView
from vcm_sweep.sweep.errors import StudyError

router = APIRouter(prefix="/api")
Own = Annotated[Service, Depends(service_of)]


class StudyText(BaseModel):
    """A study file."""

    study: str = Field(description="the text of the study file, TOML")


class NewStudy(StudyText):
    """A study to start."""

    note: str = Field("", description="a note on it, for people")


class Longer(BaseModel):
    """By what a study is made longer, as `vcm-sweep extend` has it."""

    to: int | None = Field(None, ge=1, le=2**31, description="base points or points (a power of 2), or trajectories")
    replicates: int | None = Field(None, ge=1, le=2**31, description="runs of every point")
    replicate_rows: int | None = Field(None, ge=0, le=2**31, description="points that are run once more")


class Again(BaseModel):
    """What is run once more."""

    only: list[str] = Field([], description="statuses, such as timeout and oom; all failures without it")


class Note(BaseModel):
    """A note on a study."""

    note: str


class Checked(BaseModel):
    """Whether a text is a study that can be trained; mistakes are the sentences of the command line."""

    valid: bool
    mistakes: list[str] = []
    name: str = ""
    study: str = ""
    trainings: int = 0


class Me(BaseModel):
    """Who asks."""

    name: str
    role: str


@router.get("/me")
async def me(request: Request) -> Me:
    """Name and role of the token."""
    visitor: Visitor = request.state.visitor
    return Me(name=visitor.name, role=visitor.role)


@router.get("/studies")
def studies(
    service: Own,
    state: Annotated[str, Query(description="only those in this state, such as running or done")] = "",
    search: Annotated[str, Query(description="only those with this text in id or note")] = "",
    order: Annotated[str, Query(description="changed, name, state, done or best")] = "changed",
    descending: bool = True,
) -> list[StudyCard]:
    """All studies."""
    return service.catalogue.studies(state, search, order, descending)


@router.post("/studies", status_code=HTTPStatus.CREATED)
def start(
    asked: NewStudy,
    service: Own,
    request: Request,
    response: Response,
    idempotency_key: Annotated[str, Header(description="of this click: sent twice, it starts once")] = "",
) -> Done:
    """Start a study; 200 where it had been started before."""
    done = service.actions.start(asked.study, idempotency_key, asked.note)
    request.state.study = done.study
    if not done.fresh:
        response.status_code = HTTPStatus.OK
    return done


@router.post("/check")
def check(asked: StudyText, service: Own) -> Checked:
    """Whether a text is a study; nothing is started."""
    try:
        study = service.actions.read(asked.study)
    except StudyError as error:
        return Checked(valid=False, mistakes=getattr(error, "mistakes", [str(error)]))
    from vcm_sweep.sweep.designs.build import build_design

    return Checked(valid=True, name=study.name, study=study.folder_name, trainings=len(build_design(study)))


@router.post("/plan")
def plan(
    asked: StudyText,
    service: Own,
    pilot_s: Annotated[float, Query(ge=0, le=600, description="seconds of the pilot; 0: no pilot, no costs")] = 20.0,
) -> dict[str, Any]:
    """What `vcm-sweep plan --json` prints: size and cost, with its interval."""
    return service.plans.plan(asked.study, pilot_s)


@router.get("/studies/{study}")
def one(study: str, service: Own) -> StudyView:
    """One study: progress, failures by cause, use of the nodes."""
    return service.views.study(study)


@router.get("/studies/{study}/card")
def card(study: str, service: Own) -> StudyCard:
    """Its line in the list, which is quick to ask for."""
    return service.catalogue.card(study)


@router.get("/studies/{study}/log")
def log(study: str, service: Own, lines: Annotated[int, Query(ge=1, le=10_000)] = 100) -> list[dict[str, Any]]:
    """The last lines of the log of the latest run."""
    return service.views.log(study, lines)


@router.get("/studies/{study}/ranking")
def ranking(study: str, service: Own, metric: str = "accuracy", method: str = "", policy: str = "") -> dict[str, Any]:
    """The ranking as it forms, with its intervals: what `vcm-sweep analyze --json` prints."""
    return service.rankings.ranking(study, metric, method, policy)


@router.get("/studies/{study}/curves")
def curves(study: str, service: Own) -> Curves:
    """Accuracy after each epoch: the middle training, and half of all."""
    return service.views.curves(study)


@router.get("/studies/{study}/records", response_class=Response)
def records(study: str, service: Own) -> Response:
    """All records so far, one per training, as Parquet."""
    headers = {"Content-Disposition": f'attachment; filename="{study}.parquet"'}
    return Response(service.views.records(study), media_type="application/vnd.apache.parquet", headers=headers)


@router.get("/compare")
def compare(
    one: str, other: str, service: Own, metric: str = "accuracy", method: str = "", policy: str = "fail"
) -> dict[str, Any]:
    """Two studies side by side: what `vcm-sweep compare --json` prints."""
    return service.rankings.comparison(one, other, metric, method, policy)


@router.get("/studies/{study}/files")
def files(study: str, service: Own) -> list[StudyFile]:
    """What can be downloaded."""
    return service.views.files(study)


@router.get("/studies/{study}/files/{path:path}", response_class=Response)
def file(study: str, path: str, request: Request, service: Own) -> Response:
    """A file of the results folder; a browser is shown a page of it within one of the service."""
    return given(request, path, service.views.file(study, path))


@router.get("/studies/{study}/events", response_class=StreamingResponse)
async def events(study: str, request: Request, service: Own) -> StreamingResponse:
    """Server-sent events: `state` whenever the study's state changes, `unread`, `gone`, `expired`."""
    return events_of(study, request, service)


def events_of(study: str, request: Request, service: Service) -> StreamingResponse:
    """The events of a study or a search, for as long as whoever asks may see them."""
    service.catalogue.folder(study)
    service.events.check_room()
    cookie, bearer = (
        request.cookies.get(service.sessions.cookie, ""),
        request.headers.get("authorization", "").partition(" ")[2],
    )

    def known() -> bool:
        return (service.tokens.owner(bearer.strip()) if bearer else service.sessions.visitor(cookie)) is not None

    stream: AsyncIterator[str] = service.events.stream(study, known)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


@router.post("/studies/{study}/stop")
def stop(study: str, service: Own) -> Done:
    """Ask the run to stop, as Ctrl-C would."""
    return service.actions.stop(study)


@router.post("/studies/{study}/resume")
def resume(study: str, service: Own) -> Done:
    """Go on with a study that was stopped."""
    return service.actions.resume(study)


@router.post("/studies/{study}/retry")
def retry(study: str, service: Own, asked: Again | None = None) -> Done:
    """Run trials that failed once more."""
    return service.actions.retry(study, asked.only if asked else ())


@router.post("/studies/{study}/extend")
def extend(study: str, asked: Longer, service: Own) -> Done:
    """Make a study longer, and run what is new."""
    return service.actions.extend(study, asked.to, asked.replicates, asked.replicate_rows)


@router.post("/studies/{study}/report")
def report(study: str, service: Own, metric: str = "accuracy", method: str = "", policy: str = "fail") -> StudyFile:
    """Write the report of a study anew, with another metric, method or policy."""
    return service.rankings.report(study, metric, method, policy)


@router.put("/studies/{study}/note", status_code=HTTPStatus.NO_CONTENT)
def note(study: str, asked: Note, service: Own) -> None:
    """Write a note on a study, in place of the one before."""
    service.actions.note(study, asked.note)
