"""The application: one bundle, one store, the routes, the page."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from uvicorn.config import STARTUP_FAILURE

from recommender.errors import ConfigError, FirstListenError
from recommender.models.als import keep_one_blas_thread
from recommender.serving.bundle import Bundle, current_bundle, load_bundle
from recommender.serving.context import Context
from recommender.serving.draining import Draining
from recommender.serving.hearing import Hearing
from recommender.serving.http import BUNDLE_HEADER, Gate
from recommender.serving.keys import Keyring
from recommender.serving.limits import RateLimits
from recommender.serving.live import Live
from recommender.serving.memory import settle
from recommender.serving.observing import Observer
from recommender.serving.problems import install_problem_handlers
from recommender.serving.redaction import HideKeys
from recommender.serving.reloading import Reloader
from recommender.serving.routes import (
    atlas,
    audience,
    feedback,
    listenbrainz,
    listens,
    model,
    personal,
    playlists,
    recommendations,
    session,
    tracks,
    users,
)
from recommender.serving.routes import uploads as upload_routes
from recommender.serving.routes.listenbrainz import MAX_PAYLOAD_BYTES
from recommender.serving.schemas import ProblemDocument
from recommender.serving.security import Guard, authorize, describe_security
from recommender.serving.settings import SETTINGS_VARIABLE, Settings
from recommender.serving.store import Store
from recommender.serving.subsonic import router as subsonic_router
from recommender.serving.upload_worker import UploadWorker
from recommender.serving.verifying import Verifier
from recommender.serving.views import rehearse

STATIC = Path(__file__).parent / "static"
SWITCH_S = 0.0005
"""How long a thread that writes to the database may keep a request waiting that is made beside it."""
FORM_BYTES = 64 * 1024
"""What a multipart form takes besides the file in it."""


def create_app(settings: Settings) -> FastAPI:
    """Load the current bundle, take in what the store holds, and return the application.

    Raises
    ------
    ArtifactError
        If there is no current bundle, or it cannot be loaded.
    StoreError
        If the listens' database cannot be opened.
    """
    bundle = load_bundle(current_bundle(settings.bundles_dir))
    store = Store.open(settings.store_url)
    live = Live(bundle, store, Hearing(bundle, settings.max_upload_s), settings.uploads_dir, settings.refresh_s)
    uploads = UploadWorker(store, settings.uploads_dir, lambda: live.hearing, live)

    def warm_hearing(bundle: Bundle) -> Hearing:
        hearing = Hearing(bundle, settings.max_upload_s)
        if settings.warm_hearing and hearing.possible:
            hearing.warm().join()
        return hearing

    reloader = Reloader(settings.bundles_dir, live, warm_hearing, rehearse, max(settings.refresh_s, 0.2))

    def rehearse_and_settle() -> None:
        rehearse(live.peek())
        settle()

    draining = Draining(settings.drain_s, uploads.stop)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        draining.heed()
        warming = live.hearing.warm() if settings.warm_hearing and live.hearing.possible else None
        uploads.start()
        Thread(target=rehearse_and_settle, name="rehearse", daemon=True).start()
        following, rematching = reloader.start(), app.state.context.rematcher.start()
        yield
        reloader.stop()
        uploads.stop()
        app.state.context.rematcher.stop()
        following.join()
        rematching.join()
        live.hearing.close()
        uploads.join()
        if warming is not None:
            warming.join()
        app.state.context.maps.close()
        app.state.context.served_log.close()
        store.close()

    app = FastAPI(
        title="First Listen",
        summary="Music recommendation that works for the track nobody has played yet.",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(authorize)],
    )
    app.state.context = Context(settings, store, live, reloader, draining, uploads.wake)
    install_problem_handlers(app)
    limits = RateLimits.of(settings.requests_per_minute, settings.uploads_per_minute, settings.refused_keys_per_minute)
    app.state.verifier = Verifier(Keyring(store), limits)
    app.add_middleware(Guard, verifier=app.state.verifier, require_keys=settings.require_keys)
    logging.getLogger("uvicorn.access").addFilter(HideKeys())
    app.add_middleware(
        Gate,
        limit_of=lambda method, path: _body_limit(settings, method, path),
        bundle=lambda: live.peek().manifest.version,
        draining=draining,
        origins=settings.origins,
    )
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-Api-Key", "X-Request-Id", "If-None-Match"],
            expose_headers=[BUNDLE_HEADER, "ETag", "X-Request-Id", "Retry-After"],
        )
    app.add_middleware(Observer, as_json=settings.json_logs)
    catalog_routes = (recommendations, audience, tracks, upload_routes, model, atlas, playlists)
    for routes in (users, feedback, personal, *catalog_routes, listens, listenbrainz, session):
        app.include_router(routes.router)
    app.include_router(playlists.cluster_router)
    app.include_router(subsonic_router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_api_route("/", lambda: FileResponse(STATIC / "index.html"), include_in_schema=False)
    app.add_api_route("/docs", lambda: FileResponse(STATIC / "docs.html"), include_in_schema=False)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def app_from_environment() -> FastAPI:
    """Create the application from the settings in the environment: what each worker process calls."""
    text = os.environ.get(SETTINGS_VARIABLE)
    if text is None:
        raise ConfigError(f"{SETTINGS_VARIABLE} is not set; start the server with: firstlisten serve WORKSPACE")
    _end_with_parent()
    ours = logging.getLogger("recommender")
    if not ours.handlers:
        lines = logging.StreamHandler()
        lines.setFormatter(logging.Formatter("%(message)s"))
        ours.addHandler(lines)
        ours.setLevel(logging.INFO)
    keep_one_blas_thread()
    sys.setswitchinterval(SWITCH_S)
    try:
        return create_app(Settings.from_json(text))
    except FirstListenError as error:
        if multiprocessing.parent_process() is None:
            raise
        ours.error("a worker cannot start: %s", error)
        sys.exit(STARTUP_FAILURE)


def _end_with_parent() -> None:
    """Let a worker whose parent was killed end, so that the next server finds the port free."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def _body_limit(settings: Settings, method: str, path: str) -> int:
    if (method, path.rstrip("/")) == ("POST", "/v1/tracks"):
        return settings.max_upload_bytes + FORM_BYTES
    return MAX_PAYLOAD_BYTES if path.rstrip("/") == "/1/submit-listens" else settings.max_body_bytes


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        schemas = schema["components"]["schemas"]
        schemas["ProblemDocument"] = ProblemDocument.model_json_schema()
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for route in [route for methods in schema["paths"].values() for route in methods.values()]:
            if "application/json" in route["responses"].get("422", {}).get("content", {}):
                del route["responses"]["422"]  # added by FastAPI where only ids come in, which are never invalid
        describe_security(schema)
        app.openapi_schema = schema
    return app.openapi_schema
