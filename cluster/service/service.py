"""The parts of a service, put together."""

from dataclasses import dataclass

from fastapi import Request

from vcm_sweep.cluster.service.access.limiter import Limiter
from vcm_sweep.cluster.service.access.sessions import Sessions
from vcm_sweep.cluster.service.access.tokens import Tokens
from vcm_sweep.cluster.service.cells.fits import Fits
from vcm_sweep.cluster.service.cells.portraits import Portraits
from vcm_sweep.cluster.service.cells.shelf import Shelf
from vcm_sweep.cluster.service.events import Events
from vcm_sweep.cluster.service.processes import Processes
from vcm_sweep.cluster.service.settings import ServiceSettings
from vcm_sweep.cluster.service.studies.actions import Actions
from vcm_sweep.cluster.service.studies.catalogue import Catalogue
from vcm_sweep.cluster.service.studies.plans import Plans
from vcm_sweep.cluster.service.studies.rankings import Rankings
from vcm_sweep.cluster.service.studies.runs import Runs
from vcm_sweep.cluster.service.studies.searches import Searches
from vcm_sweep.cluster.service.studies.view import Views


@dataclass(frozen=True)
class Service:
    """What answers are made of; pages and API call the same methods."""

    settings: ServiceSettings
    tokens: Tokens
    sessions: Sessions
    limiter: Limiter
    runs: Runs
    catalogue: Catalogue
    views: Views
    rankings: Rankings
    actions: Actions
    searches: Searches
    plans: Plans
    events: Events
    shelf: Shelf
    fits: Fits
    portraits: Portraits

    @classmethod
    def of(cls, settings: ServiceSettings) -> "Service":
        """The service of a folder; StoreError where another has it, or its tokens cannot be read."""
        tokens = Tokens(settings.home / "tokens.json")
        processes = Processes(settings)
        runs = Runs(settings, processes)
        shelf = Shelf(settings, processes)
        catalogue = Catalogue(settings, runs)
        views = Views(catalogue, runs)
        actions = Actions(settings, catalogue, runs)
        return cls(
            settings,
            tokens,
            Sessions(tokens, settings.session_s, settings.home / "ended.json"),
            Limiter(),
            runs,
            catalogue,
            views,
            Rankings(views),
            actions,
            Searches(settings, catalogue, views, actions, runs),
            Plans(settings, actions),
            Events(catalogue),
            shelf,
            Fits(settings, shelf, processes),
            Portraits(shelf),
        )


def service_of(request: Request) -> Service:
    """The service that answers a request, for ``Depends``."""
    made: Service = request.app.state.service
    return made
