"""The page on which a person logs in."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from vcm_sweep.cluster.service.pages.render import page

router = APIRouter(include_in_schema=False)


@router.get("/login")
def entrance(request: Request, next: str = "/") -> Response:
    """The page; ``next``: where to go on."""
    return page(request, "login", next=next, problem="")
