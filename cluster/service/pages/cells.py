"""The pages of cells: all of them, a fit to a measured file, and one with its numbers and pictures."""

from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from fastapi.responses import Response

from vcm_sweep.cluster.service.api.cells import fit_options
from vcm_sweep.cluster.service.cells.fits import FitOptions
from vcm_sweep.cluster.service.cells.portraits import SHOWN
from vcm_sweep.cluster.service.pages.render import back_to, page
from vcm_sweep.cluster.service.service import Service, service_of
from vcm_sweep.device.physics.parameters import CellParameters

router = APIRouter(prefix="/cells", include_in_schema=False)
Own = Annotated[Service, Depends(service_of)]
# A page that waits for a fit or a picture is loaded again by itself.
_AGAIN_S = "3"


@router.get("")
def cells(request: Request, service: Own) -> Response:
    """All cells, and what a fit can be asked."""
    cards = service.shelf.cells()
    return page(
        request,
        "cells",
        cards=cards,
        start=[card.name for card in cards if card.named],
        parameters=CellParameters.names(),
    )


@router.post("")
def fit(
    request: Request,
    service: Own,
    name: Annotated[str, Form(max_length=100)],
    data: Annotated[UploadFile, File()],
    options: Annotated[FitOptions, Depends(fit_options)],
) -> Response:
    """Fit a cell to the file that was sent."""
    card = service.fits.start(name, data.file.read(), options)
    return back_to(request, f"/cells/{card.name}")


@router.get("/{name}")
def cell(request: Request, name: str, service: Own) -> Response:
    """One cell; while it is being fitted or drawn, the page is loaded again by itself."""
    view = service.shelf.cell(name)
    pictures, coming = service.portraits.of(name) if view.parameters else ({}, False)
    answer = page(
        request,
        "cell",
        view=view,
        card=view.card,
        fit=view.fit,
        units={own.name: own.unit for own in view.parameters} | {"n_start": "1e26/m3"},
        pictures=pictures,
        words=SHOWN,
        coming=coming,
    )
    if coming or view.card.state == "fitting":
        answer.headers["Refresh"] = _AGAIN_S
    return answer


@router.post("/{name}/stop")
def stop(request: Request, name: str, service: Own) -> Response:
    """End its fit."""
    service.fits.stop(name)
    return back_to(request, f"/cells/{name}")


@router.post("/{name}/remove")
def remove(request: Request, name: str, service: Own) -> Response:
    """Take a fitted cell away."""
    service.shelf.remove(name)
    return back_to(request, "/cells")
