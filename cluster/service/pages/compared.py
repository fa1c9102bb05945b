"""The page of two studies side by side."""

import threading
from collections import OrderedDict
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from vcm_sweep.analysis.conditions.two_studies import compare_conditions
from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.report.conditions_compared import conditions_comparison_page
from vcm_sweep.analysis.report.content.parts import Page
from vcm_sweep.analysis.report.side_by_side import comparison_page
from vcm_sweep.analysis.studies.comparison import compare_studies
from vcm_sweep.cluster.service.pages.render import page
from vcm_sweep.cluster.service.service import Service, service_of
from vcm_sweep.sweep.store.results import Results

router = APIRouter(include_in_schema=False)

_MOST_HELD = 16
_HELD: OrderedDict[object, Page] = OrderedDict()
_ONE = threading.Lock()


@router.get("/compare")
def compare(
    request: Request,
    service: Annotated[Service, Depends(service_of)],
    study: Annotated[list[str], Query(default_factory=list)],
) -> Response:
    """The two studies that are asked for."""
    if len(study) != 2 or study[0] == study[1]:
        raise AnalysisError(f"{len(set(study))} studies are ticked: tick two in the list to compare them")
    return page(request, "compare", found=_found(service, study), studies=study)


def _found(service: Service, studies: list[str]) -> Page:
    """The comparison, which takes seconds: made once for what both studies hold now, by one thread at a time."""
    asked = tuple((str(service.settings.root), study, service.views.stamp(study)) for study in studies)
    with _ONE:
        if asked not in _HELD:
            one, other = (service.views.results(study) for study in studies)
            _HELD[asked] = _page(one, other)
            while len(_HELD) > _MOST_HELD:
                _HELD.popitem(last=False)
        return _HELD[asked]


def _page(one: Results, other: Results) -> Page:
    """What is to be seen of a comparison; blocks without all of their records are left out, as while a study runs."""
    policy = "drop-block"
    if one.study.conditions and other.study.conditions:
        return conditions_comparison_page(compare_conditions(one, other, policy=policy))
    return comparison_page(compare_studies(one, other, policy=policy))
