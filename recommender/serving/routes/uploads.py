"""What became of an upload."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response

from recommender.errors import UnknownIdError
from recommender.serving.context import ServerContext
from recommender.serving.live import Snapshot
from recommender.serving.problems import problems
from recommender.serving.schemas.base import AskedId
from recommender.serving.schemas.uploads import UploadStatus
from recommender.serving.upload_jobs import OPEN, UploadJobs
from recommender.serving.views import tracks_of

router = APIRouter(prefix="/v1/uploads", tags=["tracks"])
POLL_S = 2


@router.get("/{upload_id:path}", summary="What became of an upload", responses=problems(404, 422, 503))
def get_upload(upload_id: Annotated[AskedId, Path()], context: ServerContext, response: Response) -> UploadStatus:
    """Tell whether an upload that was answered with 202 waits, is being heard, became a track, or failed and why."""
    job = UploadJobs(context.store).get(upload_id)
    now = context.live.catch_up()
    if job is None and upload_id not in now.upload_ids:
        raise UnknownIdError(f"unknown upload {upload_id!r}; what became of an upload is told for a week")
    if job is not None and job.status in OPEN:
        response.headers["Retry-After"] = str(POLL_S)
    if job is None:
        return upload_status(now, upload_id, "done")
    return upload_status(now, upload_id, job.status, job.reason, job.warnings)


def upload_status(
    now: Snapshot,
    track_id: str,
    status: Literal["queued", "analysing", "done", "failed"],
    reason: str = "",
    warnings: tuple[str, ...] = (),
) -> UploadStatus:
    """Describe an upload."""
    rows = [now.model.catalog.tracks.row(track_id)] if status == "done" else []
    return UploadStatus(
        bundle=now.manifest.version,
        id=track_id,
        status=status,
        track=tracks_of(now, rows)[0] if rows else None,
        reason=reason,
        warnings=list(warnings),
    )
