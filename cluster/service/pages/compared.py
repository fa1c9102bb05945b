"""The page of two studies side by side."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.cluster.service.pages.render import page
from vcm_sweep.cluster.service.service import Service, service_of

router = APIRouter(include_in_schema=False)


@router.get("/compare")
def compare(
    request: Request,
    service: Annotated[Service, Depends(service_of)],
    study: Annotated[list[str], Query(default_factory=list)],
) -> Response:
    """The two studies that are asked for."""
    if len(study) != 2 or study[0] == study[1]:
        raise AnalysisError(f"{len(set(study))} studies are ticked: tick two in the list to compare them")
    one, other = study
    query = urlencode({"one": one, "other": other, "policy": "drop-block"})
    return page(request, "compare", found=service.rankings.side_by_side(one, other), studies=study, query=query)
