"""The application: what answers requests, behind its guard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI, Response

from vcm_sweep.cluster.service.access.guard import Guard
from vcm_sweep.cluster.service.api import cells, searches, studies
from vcm_sweep.cluster.service.docs import router as docs
from vcm_sweep.cluster.service.login import router as login
from vcm_sweep.cluster.service.pages.router import router as pages
from vcm_sweep.cluster.service.problems import add_problems
from vcm_sweep.cluster.service.service import Service


def make_app(service: Service) -> FastAPI:
    """The application of a service.

    Its ``state.service`` is the service. Nothing but ``/login``, ``/static/`` and ``/healthz`` answers without a token.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.runs.close()

    app = FastAPI(
        title="vcm-sweep",
        version=version("vcm-sweep"),
        description="Studies: start, watch, stop, extend and read them.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # an answer of its own, which would name whatever host was asked for
        lifespan=lifespan,
    )
    app.state.service = service
    app.add_middleware(
        Guard,
        tokens=service.tokens,
        sessions=service.sessions,
        limiter=service.limiter,
        audit=service.settings.home / "audit.jsonl",
        prefix=service.settings.prefix,
    )
    add_problems(app)
    app.include_router(studies.router)
    app.include_router(searches.router)
    app.include_router(cells.router)
    app.include_router(login)
    app.include_router(docs)
    app.include_router(pages)

    @app.get("/healthz", include_in_schema=False)
    async def healthy() -> Response:  # no thread is needed for it, should all be busy
        return Response("ok\n", media_type="text/plain")

    return app
