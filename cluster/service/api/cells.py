"""Cells: the list, one of them with its pictures, and fits to measured files."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Request, Response, UploadFile

from vcm_sweep.cluster.service.api.given import given
from vcm_sweep.cluster.service.api.studies import Own
from vcm_sweep.cluster.service.cells.fits import FitOptions
from vcm_sweep.cluster.service.cells.shelf import CellCard, CellView

router = APIRouter(prefix="/api/cells")
Number = Annotated[float | None, Form(allow_inf_nan=False)]


def fit_options(  # noqa: PLR0913
    fit: Annotated[str, Form(max_length=2000, description="parameters to fit, as r,dW_A")],
    cell: Annotated[str, Form(max_length=100, description="name of the cell to start from")] = "default",
    model: Annotated[str, Form(pattern="^(explicit|full)$")] = "full",
    ramp: Number = None,
    columns: Annotated[str, Form(max_length=2000, description="as voltage_v=Vds:mV,current_a=3:uA")] = "",
    polarity: Annotated[str, Form(pattern="^set-(negative|positive)$")] = "set-negative",
    magnitude: Annotated[bool, Form(description="currents have no sign")] = False,
    compliance: Number = None,
    read_voltage: Number = None,
    n_start: Number = None,
    floor: Number = None,
) -> FitOptions:
    """The fields of a form that say how to fit, as `vcm-sweep device fit` has them."""
    return FitOptions(
        fit, cell, model, ramp, columns, polarity, magnitude, compliance, read_voltage, n_start, floor
    )  # fmt: skip


@router.get("")
def cells(service: Own) -> list[CellCard]:
    """All cells: those that were fitted here, the latest first, and those of the library."""
    return service.shelf.cells()


@router.post("", status_code=HTTPStatus.CREATED)
def fit(
    service: Own,
    name: Annotated[str, Form(max_length=100, description="of the new cell")],
    data: Annotated[UploadFile, File(description="measured file, see docs/measured.md")],
    options: Annotated[FitOptions, Depends(fit_options)],
) -> CellCard:
    """Fit a cell to a measured file; the cell says when the fit has ended, and how."""
    return service.fits.start(name, data.file.read(), options)


@router.get("/{name}")
def one(name: str, service: Own) -> CellView:
    """One cell: its parameters, where they hold, and what its fit has said."""
    return service.shelf.cell(name)


@router.post("/{name}/stop")
def stop(name: str, service: Own) -> CellCard:
    """End the fit of a cell."""
    return service.fits.stop(name)


@router.delete("/{name}", status_code=HTTPStatus.NO_CONTENT)
def remove(name: str, service: Own) -> None:
    """Take a fitted cell away; studies of it have its numbers and stay."""
    service.shelf.remove(name)


@router.get("/{name}/files/{file}", response_class=Response)
def file(name: str, file: str, request: Request, service: Own) -> Response:
    """A file of a fitted cell."""
    return given(request, file, service.shelf.file(name, file))


@router.get("/{name}/pictures/{kind}.png", response_class=Response)
def picture(name: str, kind: str, service: Own) -> Response:
    """A picture of a cell: iv, pulses, switching, maps or mismatch; 503 while it is being drawn."""
    return Response(service.portraits.picture(name, kind), media_type="image/png")
