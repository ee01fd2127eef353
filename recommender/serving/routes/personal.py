"""A user's own data: told in full, or erased."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Path, Query

from recommender.serving.context import Now, ServerContext
from recommender.serving.problems import problems
from recommender.serving.schemas import Identifier
from recommender.serving.schemas.base import AskedId
from recommender.serving.schemas.personal import ErasedAnswer, PersonalItem, PersonalPage
from recommender.serving.views import history

router = APIRouter(prefix="/v1/users", tags=["personal data"])
MOST_ITEMS = 5000
NOTE = (
    "The user is unknown from now on, in every process within seconds. What the model's numbers learned from the user "
    "goes with the next training, which leaves the user out; bundles from before keep it until they are deleted."
)


@router.get("/{user_id:path}/export", summary="Everything that is kept of a user", responses=problems(404, 422, 503))
def export_user(
    user_id: Annotated[AskedId, Path()],
    now: Now,
    context: ServerContext,
    after: Annotated[str, Query(max_length=512, description="From the address in `next`.")] = "",
    limit: Annotated[int, Query(ge=1, le=MOST_ITEMS)] = 1000,
) -> PersonalPage:
    """Tell all listens, verdicts and shown lists of a user, and which tracks the model counts as heard."""
    records, following = context.store.data_of(user_id, after, limit)
    learned_from: list[str] = []
    if not after and (user_id in now.model.users or not records):
        heard = history(now, user_id)[1]
        learned_from = now.model.catalog.tracks.ids_of(heard.indices)
    more = urlencode({"after": following, "limit": limit})
    return PersonalPage(
        bundle=now.manifest.version,
        user=user_id,
        learned_from=learned_from,
        items=[PersonalItem(kind=record.kind, data=record.data) for record in records],
        next=None if following is None else f"/v1/users/{quote(user_id, safe='')}/export?{more}",
    )


@router.delete("/{user_id:path}", summary="Erase a user", responses=problems(404, 422, 503))
def erase_user(user_id: Annotated[Identifier, Path()], context: ServerContext) -> ErasedAnswer:
    """Delete all that is kept of a user, keys that were bound to the user included; this cannot be taken back.

    What is left is that somebody was erased, and a hash by which trainings leave out what else they find of the user.
    """
    erased = context.store.erase(user_id)
    return ErasedAnswer(bundle=context.live.catch_up().manifest.version, erased=erased, note=NOTE)
