"""The model that answers, and whether the server is well."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

import numpy as np
from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from recommender.errors import FirstListenError, StoreError
from recommender.serving.context import Now, ServerContext
from recommender.serving.observing import MADE_AT, QUEUED, figures
from recommender.serving.problems import Problem, problems
from recommender.serving.schemas import Health, ModelAnswer
from recommender.serving.schemas.model import ReloadAnswer
from recommender.serving.upload_jobs import UploadJobs

router = APIRouter(tags=["model"])


@router.get("/v1/model", summary="The model that answers")
def describe_model(now: Now, context: ServerContext) -> ModelAnswer:
    """Show the bundle, what it was made of and measured at, and what came in since."""
    model, manifest = now.model, now.manifest
    return ModelAnswer(
        bundle=manifest.version,
        created_at=manifest.created_at,
        data_digest=manifest.data_digest,
        tracks=len(model.catalog),
        tracks_with_sound=int(np.count_nonzero(model.has_vector)),
        tracks_without_listeners=int(np.count_nonzero(model.evidence == 0)),
        users=len(model.users),
        uploads=len(now.upload_ids),
        listens_since=now.n_listens,
        can_hear_uploads=context.hearing.possible,
        ears_ready=context.hearing.ready,
        refused=context.reloader.refused,
        max_upload_bytes=context.settings.max_upload_bytes,
        metrics=manifest.metrics,
        config=manifest.config,
        packages=manifest.packages,
    )


@router.post("/v1/model/reload", summary="Follow the current bundle now", responses=problems(409))
def reload_model(context: ServerContext) -> ReloadAnswer:
    """Load the bundle that is current and answer from it; if it is damaged, the other one goes on.

    Every process follows by itself within seconds; this one has done so when it answers.
    """
    try:
        manifest = context.reloader.reload()
    except FirstListenError as error:
        raise Problem(409, "bundle-refused", str(error)) from error
    return ReloadAnswer(bundle=manifest.version, created_at=manifest.created_at)


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"example": "firstlisten_uploads_waiting 0.0"}}}},
)
def metrics(context: ServerContext) -> Response:
    """Latencies by route, what was recommended by source, the share of new tracks in it, queues, the model's age."""
    manifest = context.live.peek().manifest
    MADE_AT.labels(manifest.version).set(datetime.fromisoformat(manifest.created_at).timestamp())
    with suppress(StoreError):
        QUEUED.set(UploadJobs(context.store).count_open())
    return Response(figures(), media_type=CONTENT_TYPE_LATEST)


@router.get("/healthz", summary="Whether the process lives")
def healthz(context: ServerContext) -> Health:
    """Answer without asking anything of anybody."""
    return Health(status="ok", bundle=context.live.peek().manifest.version)


@router.get("/readyz", summary="Whether requests can be answered", responses=problems(503))
def readyz(context: ServerContext) -> Health:
    """Answer 200 when a model is loaded, the store can be reached and the server does not end, else 503."""
    if context.draining.began:
        raise Problem(503, "ending", "this server is ending; ask another one", {"Retry-After": "5"})
    context.store.check()
    return Health(status="ready", bundle=context.live.peek().manifest.version)
