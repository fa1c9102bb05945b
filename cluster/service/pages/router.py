"""All pages of the service, and the files that they load."""

from fastapi import APIRouter

from vcm_sweep.cluster.service.pages import (
    all_studies,
    assets,
    cells,
    compared,
    entrance,
    new_study,
    one_study,
    searches,
)

router = APIRouter(include_in_schema=False)
for _part in (entrance, assets, all_studies, new_study, searches, one_study, compared, cells):
    router.include_router(_part.router)
