"""The model as it stands now: the bundle's, plus the uploads, listens and verdicts that the store holds.

There is one way in: a request writes to the store, then the state takes in whatever the store has that it has not. So a
restart, and another process, arrive at the same state. Readers get an immutable snapshot and are never blocked.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from recommender.audio.signatures import Signatures
from recommender.data.catalog import Catalog
from recommender.data.embeddings import Embeddings
from recommender.data.interactions import Interactions
from recommender.data.vocabulary import Vocabulary
from recommender.errors import AudioError, ModelError, StoreError
from recommender.ranking.prepared import prepare
from recommender.ranking.ranker import HybridModel, with_feedback, with_live_plays, with_new_tracks, without_users
from recommender.serving.bundle import Bundle, Manifest
from recommender.serving.hearing import Hearing
from recommender.serving.search import TrackIndex
from recommender.serving.store import Feedback, Listen, Store, Upload

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Everything that one answer is made from.

    Parameters
    ----------
    bundle : Bundle
        Without the users that were erased since it was made.
    manifest : Manifest
    model : HybridModel
        The bundle's, with what the store had that it has not.
    index : TrackIndex
    signatures : Signatures
        In the rows of the catalog.
    upload_ids : frozenset of str
        Tracks that were appended to the bundle's catalog.
    n_listens : int
        Stored listens that are in `model`.
    feedback : mapping of (user id, track id) to Feedback
        The verdicts that stand; 0 where one was taken back.
    listened : HybridModel or None
        `model` without the verdicts; None where that is the same.
    skipped_at_ms : mapping of (user id, track id) to int
        The last skip of each pair among the stored listens: one that is later than a verdict taken back counts again.
    news : mapping of user id to (int, int)
        Up to which listen and verdict the store was read when something of that user's was last among them.
    last_listen, last_upload, last_feedback, last_erasure : int
        Sequence numbers up to which the store is in `model`.
    """

    bundle: Bundle
    manifest: Manifest
    model: HybridModel
    index: TrackIndex
    signatures: Signatures
    upload_ids: frozenset[str] = frozenset()
    n_listens: int = 0
    feedback: Mapping[tuple[str, str], Feedback] = field(default_factory=dict)
    listened: HybridModel | None = None
    skipped_at_ms: Mapping[tuple[str, str], int] = field(default_factory=dict)
    news: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    last_listen: int = 0
    last_upload: int = 0
    last_feedback: int = 0
    last_erasure: int = 0

    def version_of(self, user_id: str) -> tuple[str, int, int, int, int]:
        """Return what stays the same as long as no bundle, no upload and nothing of the user's is new, or gone."""
        return self.manifest.version, self.last_erasure, self.last_upload, *self.news.get(user_id, (0, 0))


class Live:
    """Holds the current snapshot; safe to use from many threads."""

    def __init__(self, bundle: Bundle, store: Store, hearing: Hearing, uploads_dir: Path, refresh_s: float) -> None:
        self._store, self.hearing, self._uploads_dir, self._refresh_s = store, hearing, uploads_dir, refresh_s
        self._lock = threading.Lock()
        self._seen_at = 0.0
        self._snapshot = _first(bundle)
        self.catch_up()

    def snapshot(self) -> Snapshot:
        """Return the current state, at most `refresh_s` behind other processes; it goes on while the store is away."""
        if not self.is_fresh and self._lock.acquire(blocking=False):
            try:
                self._catch_up()
            except StoreError as error:
                log.warning("answering from memory: %s", error)
                self._seen_at = time.monotonic()
            finally:
                self._lock.release()
        return self._snapshot

    @property
    def is_fresh(self) -> bool:
        """Whether the state is recent enough not to ask the store."""
        return time.monotonic() - self._seen_at <= self._refresh_s

    def peek(self) -> Snapshot:
        """Return the current state without asking the store."""
        return self._snapshot

    def catch_up(self) -> Snapshot:
        """Take in everything that the store holds now, and return the state with it."""
        with self._lock:
            self._catch_up()
            return self._snapshot

    def adopt(self, bundle: Bundle, hearing: Hearing, rehearse: Callable[[Snapshot], None] = lambda _: None) -> None:
        """Go on with another bundle, once it has taken in all that the store holds and been rehearsed with.

        The ears of the old one are let go of, not closed: they finish what they are hearing.
        """
        prepare(bundle.model)
        fresh = self._caught_up(_first(bundle), hearing)
        rehearse(fresh)
        with self._lock:
            self._snapshot = self._caught_up(fresh, hearing)
            self.hearing = hearing

    def _catch_up(self) -> None:
        self._snapshot = self._caught_up(self._snapshot, self.hearing)

    def _caught_up(self, now: Snapshot, hearing: Hearing) -> Snapshot:
        """Return a state with what the store has that it has not; who was erased leaves all of it, and all anew."""
        erasures, last_erasure = self._store.erasures_after(now.last_erasure)
        if not erasures:
            return self._with_news(now, hearing)
        news = self._without_erased(now, last_erasure)
        while True:
            before, news = news, self._with_news(news, hearing)
            if news.last_listen == before.last_listen:
                return news

    def _without_erased(self, now: Snapshot, last_erasure: int) -> Snapshot:
        """Return the state that a bundle begins with, without those who were erased after it was made."""
        bundle, hash_of = now.bundle, self._store.hash_of
        heeded = bundle.manifest.metrics.get("erasures", {})
        through = heeded["through"] if heeded.get("store") == hash_of("") else 0
        erased = {one.user_hash for one in self._store.erasures_after(0)[0] if one.seq > through}
        gone = [user_id for user_id in bundle.model.users if hash_of(user_id) in erased]
        return replace(_first(replace(bundle, model=without_users(bundle.model, gone))), last_erasure=last_erasure)

    def _with_news(self, now: Snapshot, hearing: Hearing) -> Snapshot:
        # listens first: a listen of a new track is never read without the upload that it needs
        listens, last_listen = self._store.listens_after(now.last_listen)
        verdicts, last_feedback = self._store.feedback_after(now.last_feedback)
        uploads, last_upload = self._store.uploads_after(now.last_upload)
        self._seen_at = time.monotonic()
        new = [upload for upload in uploads if upload.track_id not in now.model.catalog.tracks]
        model, index, signatures = now.listened or now.model, now.index, now.signatures
        if new:
            model = with_new_tracks(model, _catalog_of(new), self._embeddings_of(new, model, hearing))
            index = index.extended(model.catalog)
            signatures = signatures.extended([upload.signature for upload in new])
        if listens:
            model = with_live_plays(model, _interactions_of(listens, model.catalog.tracks))
        if not (uploads or listens or verdicts):
            return now
        concerned = {each.user_id for each in listens} | {each.user_id for each in verdicts}
        feedback = {**now.feedback, **{(given.user_id, given.track_id): given for given in verdicts}}
        skips = {(each.user_id, each.track_id): each.listened_at_ms for each in listens if each.weight == 0}
        skipped_at_ms = {**now.skipped_at_ms, **skips}
        return replace(
            now,
            model=with_feedback(model, _standing(feedback, skipped_at_ms, model.catalog.tracks)),
            listened=model,
            feedback=feedback,
            skipped_at_ms=skipped_at_ms,
            news={**now.news, **dict.fromkeys(concerned, (last_listen, last_feedback))},
            last_feedback=last_feedback,
            index=index,
            signatures=signatures,
            upload_ids=now.upload_ids | {upload.track_id for upload in new},
            n_listens=now.n_listens + len(listens),
            last_listen=last_listen,
            last_upload=last_upload,
        )

    def _embeddings_of(self, uploads: Sequence[Upload], model: HybridModel, hearing: Hearing) -> Embeddings | None:
        """Return the uploads' vectors by the model's own network; what another network heard is heard again."""
        if model.sound is None:
            return None
        version = model.sound.version
        current = [
            upload if upload.embedding_version == version else self._hear_again(upload, hearing) for upload in uploads
        ]
        heard = [upload for upload in current if upload is not None and upload.embedding_version == version]
        if not heard:
            return None
        counts = [len(upload.clip_starts_s) for upload in heard]
        return Embeddings(
            Vocabulary("track", tuple(upload.track_id for upload in heard)),
            np.stack([upload.vector for upload in heard]),
            np.concatenate([upload.clip_vectors for upload in heard]),
            np.repeat(np.arange(len(heard), dtype=np.int32), counts),
            np.concatenate([upload.clip_starts_s for upload in heard]),
            version,
        )

    def _hear_again(self, upload: Upload, hearing: Hearing) -> Upload | None:
        try:
            heard = hearing.hear(self._uploads_dir / upload.file_name)
        except (AudioError, ModelError, OSError) as error:
            log.warning("upload %s cannot be heard by this bundle: %s", upload.track_id, error)
            return None
        fresh = replace(
            upload,
            embedding_version=heard.version,
            vector=heard.vector,
            clip_vectors=heard.clip_vectors,
            clip_starts_s=heard.clip_starts_s,
            signature=heard.signature,
        )
        self._store.set_upload_vectors(fresh)
        return fresh


def _first(bundle: Bundle) -> Snapshot:
    """Return the state that a bundle begins with."""
    catalog = bundle.model.catalog
    signatures = bundle.signatures or Signatures.of([None] * len(catalog))
    return Snapshot(bundle, bundle.manifest, bundle.model, TrackIndex.of(catalog), signatures)


def _standing(
    feedback: Mapping[tuple[str, str], Feedback], skipped_at_ms: Mapping[tuple[str, str], int], tracks: Vocabulary
) -> Interactions:
    """Return the verdicts on known tracks that no later skip has overtaken."""
    given = [
        Listen(one.user_id, one.track_id, one.given_at_ms, float(one.value))
        for pair, one in feedback.items()
        if one.value != 0 or skipped_at_ms.get(pair, -1) <= one.given_at_ms
    ]
    return _interactions_of(given, tracks)


def _catalog_of(uploads: Sequence[Upload]) -> Catalog:
    return Catalog.from_frame(
        pd.DataFrame(
            {
                "item_id": [upload.track_id for upload in uploads],
                "title": [upload.title for upload in uploads],
                "artist": [upload.artist for upload in uploads],
                "album": [upload.album for upload in uploads],
                "duration_s": [upload.duration_s for upload in uploads],
                "path": [upload.file_name for upload in uploads],
            }
        )
    )


def _interactions_of(listens: Sequence[Listen], tracks: Vocabulary) -> Interactions:
    """Return the listens to known tracks; a track that left the catalog takes its listens along."""
    frame = pd.DataFrame(
        {
            "user_id": [listen.user_id for listen in listens],
            "item_id": [listen.track_id for listen in listens],
            "weight": np.array([listen.weight for listen in listens], dtype=np.float32),
            "timestamp": np.array([listen.listened_at_ms // 1000 for listen in listens], np.int64).astype("<M8[s]"),
        }
    )
    return Interactions.from_frame(frame, Vocabulary.of("user", frame["user_id"].unique()), tracks)
