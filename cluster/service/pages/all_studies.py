"""The page of all studies: filtered, sorted, those of one name together."""

import math
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from vcm_sweep.cluster.service.pages.render import page
from vcm_sweep.cluster.service.service import Service, service_of
from vcm_sweep.cluster.service.studies.catalogue import ORDERS, StudyCard

router = APIRouter(include_in_schema=False)

STATES = (
    "new", "submitted", "running", "silent", "disk full", "done", "interrupted", "stopped", "failed", "unreadable",
)  # fmt: skip
_A_PAGE = 100


@router.get("/")
def studies(
    request: Request,
    service: Annotated[Service, Depends(service_of)],
    search: str = "",
    state: str = "",
    order: str = "changed",
    upwards: str = "",
    number: Annotated[int, Query(alias="page", ge=1, le=10**6)] = 1,
) -> Response:
    """All studies, or those that are asked for, a hundred to a page."""
    cards = service.catalogue.studies(state, search, order, not upwards)
    groups = grouped(cards)
    pages = max(1, math.ceil(len(groups) / _A_PAGE))
    number = min(number, pages)
    asked = {"search": search, "state": state, "order": order, "upwards": upwards}
    running = sum(card.state == "running" for card in cards)
    return page(
        request,
        "studies",
        counted=f"{len(cards):,} {'study' if len(cards) == 1 else 'studies'}, {running:,} running",
        groups=groups[(number - 1) * _A_PAGE : number * _A_PAGE],
        pages=pages,
        asked=asked | {"page": number},
        states=STATES,
        orders=ORDERS,
        query=lambda **more: urlencode({key: value for key, value in (asked | more).items() if value}),
    )


def grouped(cards: list[StudyCard]) -> list[tuple[str, list[StudyCard]]]:
    """The cards by name of their study, each name where its first card is.

    >>> cards = [StudyCard("a-1", "a"), StudyCard("b-1", "b"), StudyCard("a-2", "a")]
    >>> [(name, len(own)) for name, own in grouped(cards)]
    [('a', 2), ('b', 1)]
    """
    groups: dict[str, list[StudyCard]] = {}
    for card in cards:
        groups.setdefault(card.name, []).append(card)
    return list(groups.items())
