"""What a scrobbler says to ListenBrainz, said to this server: its token is an API key that is bound to a user.

Shapes: `metabrainz/listenbrainz-server`, ``docs/users/api`` and ``docs/users/json.rst``. A listen of a track that is
not in the catalog is kept with its names until it is (`recommender.serving.rematching`).
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Sequence
from datetime import UTC
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.datastructures import Headers

from recommender.data.histories.listen import Unusable
from recommender.data.histories.listenbrainz import LISTENS as FORMAT
from recommender.data.matching import Name
from recommender.data.names import as_mbid
from recommender.serving.context import Context, Now, ServerContext
from recommender.serving.live import Snapshot
from recommender.serving.observing import LISTENS
from recommender.serving.problems import Problem, problems
from recommender.serving.rematching import rematch
from recommender.serving.schemas.base import AskedId
from recommender.serving.schemas.listenbrainz import (
    FEEDBACK,
    SUBMISSION,
    Accepted,
    CountAnswer,
    CountPayload,
    ListenOut,
    ListensAnswer,
    ListensPayload,
    TokenAnswer,
)
from recommender.serving.security import Caller, CallerNow, credential_of, forbidden, network_of_scope
from recommender.serving.store import Feedback, Listen, UnmatchedListen
from recommender.serving.verifying import Verifier

router = APIRouter(prefix="/1", tags=["ListenBrainz"])
MAX_PAYLOAD_BYTES = 10_240_000
MAX_LISTEN_BYTES = 10_240
MAX_LISTENS = 1000
EARLIEST_S = 1_033_430_400
"""October 2002: no scrobble is older, says ListenBrainz."""

MAX_AHEAD_S = 3600
LATEST_MS = 1 << 62
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
KEY_BEGINS = "fl_"
PERSON = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,256}")


async def _body(request: Request) -> bytes:
    return await request.body()


async def _listener(request: Request, caller: CallerNow) -> str:
    """Return whose listens these are: the user of the key; where nobody is asked for one, a name does as well."""
    token, key = credential_of(Headers(scope=request.scope))[0], caller.key
    if caller.trusted and token:
        if not token.startswith(KEY_BEGINS):
            if PERSON.fullmatch(token) is None:
                raise _no_token(f"{token[:50]!r} is no user; a name has 1 to 256 characters")
            return token
        verifier: Verifier = request.app.state.verifier
        key, trouble = await verifier.verified(token, network_of_scope(request.scope))
        if key is None:
            raise _no_token(trouble)
    if key is None:
        raise _no_token("this takes a token; send it as 'Authorization: Token KEY'")
    if key.user_id is None:
        raise forbidden(f"the key {key.name!r} is bound to no user; make one with --user NAME --scope listen", "listen")
    return key.user_id


Listener = Annotated[str, Depends(_listener)]
Body = Annotated[bytes, Depends(_body)]


def _takes(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


@router.post(
    "/submit-listens",
    summary="Submit listens",
    responses=problems(400, 401, 413, 503),
    openapi_extra=_takes(SUBMISSION),
)
def submit_listens(body: Body, user_id: Listener, context: ServerContext) -> Accepted:
    """Keep listens, each once, whether their tracks are in the catalog or not; *playing_now* is heard and not kept."""
    kind, payload = _submission(body)
    if kind == "playing_now":
        for entry in payload:
            _read({"listened_at": EARLIEST_S, **entry} if "listened_at" not in entry else {})
        return Accepted()
    now_s = time.time()
    listens = [_read(entry) for entry in payload]
    for name, at_s, _ in listens:
        if not EARLIEST_S <= at_s <= now_s + MAX_AHEAD_S:
            raise _wrong(f"Value for key listened_at is too {'low' if at_s < now_s else 'high'}: {at_s} ({name.title})")
    _keep(context, user_id, listens)
    return Accepted()


def _keep(context: Context, user_id: str, listens: Sequence[tuple[Name, int, float]]) -> None:
    before = context.live.catch_up()
    matches = context.finder.find(before, [name for name, _, _ in listens])
    ids = before.model.catalog.tracks.ids
    found, lost = [], []
    for (name, at_s, weight), match in zip(listens, matches, strict=True):
        if match.row is None:
            lost.append(UnmatchedListen(user_id, 1000 * at_s, weight, name))
        else:
            found.append(Listen(user_id, ids[match.row], 1000 * at_s, weight))
    outcomes = context.store.add_listens(found)
    new = context.store.add_unmatched(lost)
    for outcome in outcomes:
        LISTENS.labels(outcome).inc()
    LISTENS.labels("unmatched").inc(new)
    LISTENS.labels("duplicate").inc(len(lost) - new)
    now = context.live.catch_up()
    if lost and now.model.catalog is not before.model.catalog:
        rematch(context.store, *context.finder.parts(now))


@router.get("/validate-token", summary="Validate a token", responses=problems(400, 422, 429, 503))
async def validate_token(
    request: Request,
    caller: CallerNow,
    token: Annotated[str, Query(max_length=2048, description="Better sent as 'Authorization: Token KEY'.")] = "",
) -> TokenAnswer:
    """Tell whose token this is; one that may submit nobody's listens is not valid."""
    given = token or credential_of(Headers(scope=request.scope))[0]
    if not given:
        raise _wrong("You need to provide an Authorization token.")
    if caller.trusted and not given.startswith(KEY_BEGINS):
        named = PERSON.fullmatch(given) is not None
        return TokenAnswer(
            message=f"Token {'valid' if named else 'invalid'}.", valid=named, user_name=given if named else None
        )
    key = caller.key
    if token or caller.trusted:
        verifier: Verifier = request.app.state.verifier
        key, _ = await verifier.verified(given, network_of_scope(request.scope))
    if key is None or key.user_id is None or not Caller(key).has("listen"):
        return TokenAnswer(message="Token invalid.", valid=False)
    return TokenAnswer(message="Token valid.", valid=True, user_name=key.user_id)


@router.post(
    "/feedback/recording-feedback",
    summary="Love, hate or clear a recording",
    responses=problems(400, 401, 404, 413, 503),
    openapi_extra=_takes(FEEDBACK),
)
def submit_feedback(body: Body, user_id: Listener, context: ServerContext) -> Accepted:
    """Say what the user makes of a recording: 1 love, -1 hate, 0 takes it back."""
    data = _json(body)
    mbid, score = data.get("recording_mbid"), data.get("score")
    if not isinstance(mbid, str) or not as_mbid(mbid) or score not in (-1, 0, 1) or isinstance(score, bool):
        raise _wrong("JSON document must contain recording_mbid, a MusicBrainz id, and score: 1, 0 or -1.")
    now = context.live.catch_up()
    row = context.finder.find(now, [Name(recording_mbid=as_mbid(mbid))])[0].row
    if row is None:
        raise Problem(404, "unknown-id", f"no track of the library has the recording_mbid {mbid}")
    track_id = now.model.catalog.tracks.ids[row]
    context.store.add_feedback(Feedback(user_id, track_id, int(score), time.time_ns() // 1_000_000))
    context.live.catch_up()
    return Accepted()


@router.get("/user/{user_id:path}/listens", summary="Listens of a user", responses=problems(400, 422, 503))
def list_listens(
    user_id: Annotated[AskedId, Path()],
    now: Now,
    context: ServerContext,
    max_ts: Annotated[int | None, Query(ge=0, le=10**11)] = None,
    min_ts: Annotated[int | None, Query(ge=0, le=10**11)] = None,
    count: Annotated[int, Query(ge=0, le=10**9, description="At most 100 are shown.")] = 25,
) -> ListensAnswer:
    """Show what this server was told that a user listened to, the latest first; skips are left out."""
    if max_ts is not None and min_ts is not None:
        raise _wrong("You may only specify max_ts or min_ts, not both.")
    before_ms = LATEST_MS if max_ts is None else 1000 * max_ts
    after_ms = -1 if min_ts is None else 1000 * min_ts + 999
    limit = min(count, 100)
    store, tracks = context.store, now.model.catalog.tracks
    known = [
        _shown(user_id, one.listened_at_ms, _name_of(now, tracks.row(one.track_id)))
        for one in store.listens_of(user_id, before_ms, after_ms, limit)
        if one.weight > 0 and one.track_id in tracks
    ]
    others = store.unmatched_of(user_id, before_ms, after_ms, limit)
    shown = known + [_shown(user_id, one.listened_at_ms, one.name) for one in others if one.weight > 0]
    shown = sorted(shown, key=lambda one: -one.listened_at)[:limit]
    times = [one.listened_at for one in shown] or [0]
    return ListensAnswer(
        payload=ListensPayload(
            count=len(shown), user_id=user_id, listens=shown, latest_listen_ts=times[0], oldest_listen_ts=times[-1]
        )
    )


@router.get("/user/{user_id:path}/listen-count", summary="Count the listens of a user", responses=problems(422, 503))
def count_listens(user_id: Annotated[AskedId, Path()], context: ServerContext) -> CountAnswer:
    """Count what this server was told that a user listened to."""
    return CountAnswer(payload=CountPayload(count=context.store.count_listens_of(user_id)))


def _submission(body: bytes) -> tuple[str, list[dict[str, Any]]]:
    data = _json(body)
    payload, kind = data.get("payload"), data.get("listen_type")
    if kind not in ("single", "playing_now", "import"):
        raise _wrong("JSON document requires a valid listen_type key.")
    if not isinstance(payload, list) or not payload or not all(isinstance(entry, dict) for entry in payload):
        raise _wrong("JSON document does not contain any listens")
    if len(payload) > MAX_LISTENS:
        raise _wrong(f"Too many listens. You may not send more than {MAX_LISTENS} listens.")
    if kind != "import" and len(payload) > 1:
        raise _wrong("JSON document contains more than listen for a single/playing_now. It should contain only one.")
    if len(body) > MAX_LISTEN_BYTES * len(payload):
        raise _wrong(
            f"JSON document is too large. In aggregate, listens may not be larger than {MAX_LISTEN_BYTES} characters."
        )
    return str(kind), payload


def _json(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _wrong(f"Cannot parse JSON document: {str(error)[:200]}") from error
    if not isinstance(data, dict):
        raise _wrong("Invalid JSON document submitted.")
    return data


def _read(entry: dict[str, Any]) -> tuple[Name, int, float]:
    """Return what was heard, when (Unix seconds), and its weight."""
    data = entry.get("track_metadata")
    if "listened_at" not in entry:
        raise _wrong("JSON document must contain the key listened_at at the top level; playing_now must not.")
    if not isinstance(data, dict) or not all(isinstance(data.get(key), str) for key in ("track_name", "artist_name")):
        raise _wrong("JSON document does not contain a valid metadata.track_name and/or track_metadata.artist_name.")
    at = entry["listened_at"]
    if isinstance(at, bool) or not isinstance(at, int | float | str) or (isinstance(at, float) and not at.is_integer()):
        raise _wrong("JSON document must contain an int value for listened_at.")
    try:
        found = FORMAT.read({**entry, "listened_at": int(at)}, UTC)
    except Unusable as error:
        raise _wrong(f"track_metadata is not valid: {str(error)[:200]}") from error
    if found is None:
        raise _wrong("A listen cannot be playing_now at the same time.")
    name = found.name
    artist, title, album = (" ".join(_NO_TEXT.sub(" ", text).split()) for text in name[:3])
    if not (artist and title):
        raise _wrong("JSON document does not contain required track_metadata.track_name and artist_name.")
    return name._replace(artist=artist, title=title, album=album), int(found.time), found.weight


def _name_of(now: Snapshot, row: int) -> Name:
    columns = now.model.catalog.columns
    duration_s = columns["duration_s"][row]
    artist, title, album, mbid = (columns[key][row] for key in ("artist", "title", "album", "recording_mbid"))
    return Name(artist, title, album, mbid, 0.0 if math.isnan(duration_s) else duration_s)


def _shown(user_id: str, at_ms: int, name: Name) -> ListenOut:
    more: dict[str, Any] = {"duration_ms": round(1000 * name.duration_s)} if name.duration_s else {}
    more |= {"recording_mbid": name.recording_mbid} if name.recording_mbid else {}
    data = {"artist_name": name.artist, "track_name": name.title, "release_name": name.album, "additional_info": more}
    return ListenOut(listened_at=at_ms // 1000, user_name=user_id, track_metadata=data)


def _wrong(detail: str) -> Problem:
    return Problem(400, "invalid-request", detail)


def _no_token(detail: str) -> Problem:
    return Problem(401, "no-key", detail, {"WWW-Authenticate": 'Bearer realm="firstlisten"'})
