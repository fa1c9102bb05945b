"""The page of one study: progress, ranking as it forms, curves, log, files, and what can be done with it."""

import json
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from vcm_sweep.analysis.plots.lines import lines
from vcm_sweep.analysis.plots.theme import Spec
from vcm_sweep.analysis.records.metrics import AFTER_AN_EPOCH, METRICS
from vcm_sweep.analysis.records.policies import POLICIES
from vcm_sweep.analysis.studies.analysis import CORRELATED, GIVEN, own_methods
from vcm_sweep.cluster.service.api.given import PAGES
from vcm_sweep.cluster.service.pages.ranked import Ranked, ranked
from vcm_sweep.cluster.service.pages.render import back_to, page
from vcm_sweep.cluster.service.problems import BusyError
from vcm_sweep.cluster.service.service import Service, service_of
from vcm_sweep.cluster.service.studies.view import Curves, StudyView
from vcm_sweep.device.errors import VcmSweepError
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.session.tally import Figures

router = APIRouter(prefix="/studies/{study}", include_in_schema=False)
Own = Annotated[Service, Depends(service_of)]
_REPORTS = ("report.html", "limits.html")
# A page waits so long for its ranking, and shows it later where that takes longer.
_WAIT_S = 0.5
# Whoever asks for a report is told soon that it is being made.
_SOON_S = 2.0


@router.get("")
def study(request: Request, study: str, service: Own) -> Response:
    """The page."""
    view = service.views.study(study)
    answer, ranking, why, coming = _answered(service, view)
    files = service.views.files(study)
    curves = _curves(service, view)
    return page(
        request,
        "study",
        view=view,
        card=view.card,
        figures=view.session.figures if view.session else Figures(),
        answer=answer,
        ranking=ranking,
        why=why,
        coming=coming,
        curves=curves,
        bands=_bands(curves) if curves else {},
        log=log_of(service, view.card.id, view.printed),
        files=files,
        report=next((file.path for file in files if file.path in _REPORTS), ""),
        longer=_longer(view),
        metrics=[*METRICS, *_of_earlier_epochs(curves)],
        methods=_methods(service, view),
        policies=POLICIES,
    )


@router.post("/stop")
def stop(request: Request, study: str, service: Own) -> Response:
    """Stop its run."""
    service.actions.stop(study)
    return back_to(request, f"/studies/{study}")


@router.post("/resume")
def resume(request: Request, study: str, service: Own) -> Response:
    """Go on with it."""
    service.actions.resume(study)
    return back_to(request, f"/studies/{study}")


@router.post("/retry")
def retry(request: Request, study: str, service: Own) -> Response:
    """Run what failed once more."""
    service.actions.retry(study)
    return back_to(request, f"/studies/{study}")


@router.post("/extend")
def extend(
    request: Request, study: str, service: Own, field: Annotated[str, Form()], value: Annotated[str, Form()]
) -> Response:
    """Make it longer: ``field`` of [design] becomes ``value``."""
    if field not in ("to", "replicates"):
        raise StudyError(f"extend: field = {field[:80]!r} must be to or replicates")
    if not value.strip().isascii() or not value.strip().isdigit() or len(value) > 12:
        raise StudyError(f"extend: {field} = {value[:80]!r} must be a whole number")
    service.actions.extend(study, **{field: int(value)})
    return back_to(request, f"/studies/{study}")


@router.post("/report")
def report(
    request: Request,
    study: str,
    service: Own,
    metric: Annotated[str, Form()] = "accuracy",
    method: Annotated[str, Form()] = "",
    policy: Annotated[str, Form()] = "fail",
) -> Response:
    """Write its report, and show it; until then a page says that it is being made, and asks again."""
    try:
        written = service.rankings.report(study, metric, method, policy, wait_s=_SOON_S)
    except BusyError as error:
        asked = {"metric": metric, "method": method, "policy": policy}
        return page(request, "coming", study=study, asked=asked, why=str(error))
    return back_to(request, f"/studies/{study}/shown/{written.path}")


@router.get("/shown/{path:path}")
def shown(request: Request, study: str, path: str, service: Own) -> Response:
    """A page of its folder, such as its report, within one of the service: nobody takes it for the service itself."""
    service.views.file(study, path).close()
    if not path.endswith(PAGES):
        return back_to(request, f"/api/studies/{study}/files/{quote(path)}")
    return page(request, "shown", study=study, path=path)


@router.post("/note")
def note(request: Request, study: str, service: Own, note: Annotated[str, Form()] = "") -> Response:
    """Write a note on it."""
    service.actions.note(study, note)
    return back_to(request, f"/studies/{study}")


def _answered(service: Service, view: StudyView) -> tuple[list[str], Ranked | None, str, bool]:
    """(sentences for the top, the ranking, why there is none, whether it is being made)."""
    if view.trouble:
        return ["Its folder cannot be read whole."], None, view.trouble, False
    done = sum(count for status, count in view.counts.items() if status != "missing")
    if not done:
        planned = f"{view.trainings:,} trainings are planned; none has ended yet."
        return [planned], None, "No training has ended yet.", False
    try:
        found = service.rankings.ranking(view.card.id, wait_s=_WAIT_S)
        return list(found["answer"]), ranked(found), "", False
    except VcmSweepError as error:
        ended = f"{done:,} of {view.trainings:,} trainings have ended."
        coming = isinstance(error, BusyError)
        return [ended], None, "The ranking is being made: it comes by itself." if coming else str(error), coming


def _curves(service: Service, view: StudyView) -> Curves | None:
    if view.trouble or not view.counts.get("ok"):
        return None
    curves = service.views.curves(view.card.id)
    return curves if len(curves.epochs) > 1 else None


def _bands(curves: Curves) -> Spec:
    named = {"a quarter lies above": curves.high, "median": curves.median, "a quarter lies below": curves.low}
    return lines({name: (curves.epochs, values) for name, values in named.items()}, "epoch", "accuracy", dots=True)


def _of_earlier_epochs(curves: Curves | None) -> list[str]:
    """The metrics of some epochs before the last: 1, 2, 5, 10, 20 and so on."""
    epochs = map(str, curves.epochs[:-1] if curves else [])
    return [AFTER_AN_EPOCH.replace("K", epoch) for epoch in epochs if epoch.rstrip("0") in ("1", "2", "5")]


def log_of(service: Service, study: str, printed: str) -> str:
    """The last lines of the log of a study or a search; else what its run has printed."""
    lines = [_line(own) for own in service.views.log(study, 60)]
    return "\n".join(lines) or printed or "Nothing was written yet."


def _line(own: dict[str, Any]) -> str:
    rest = {key: value for key, value in own.items() if key not in ("time", "event", "level", "message")}
    words = " ".join(str(own[key]) for key in ("time", "level", "event", "message") if key in own)
    return f"{words} {json.dumps(rest)}" if rest else words


def _methods(service: Service, view: StudyView) -> list[str]:
    """By which methods the points of this design can be analysed, that which is taken without a word first."""
    if view.trouble or view.method in ("limits", "conditions"):
        return []
    design = service.views.results(view.card.id).study.design
    return list(dict.fromkeys(CORRELATED if design.correlation else (*own_methods(design), *GIVEN, *CORRELATED)))


def _longer(view: StudyView) -> list[tuple[str, str]]:
    """By what a study of this design can be made longer: (field, its name)."""
    return (
        [("replicates", "replicates")] if view.method == "conditions" else [("to", "n"), ("replicates", "replicates")]
    )
