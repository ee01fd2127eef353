"""What a bundle's lists would have been worth to those who were shown others, from the server's log."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from pipelines import console
from pipelines.workspace import Workspace
from recommender.data.progress import Progress, silent
from recommender.data.tables import checked_ending, write_table
from recommender.errors import ArtifactError, DataError
from recommender.evaluation.off_policy import LoggedLists, OffPolicyEstimate, estimate_value
from recommender.ranking.ranker import HybridModel, RecommendOptions, recommend, score_users
from recommender.serving.bundle import Bundle, current_bundle, list_bundles, load_bundle
from recommender.serving.hearing import Hearing
from recommender.serving.live import Live
from recommender.serving.served import DAY_MS
from recommender.serving.store import Erasure, Feedback, Listen, Store, Upload

HOUR_MS = 3_600_000
BLOCK = 256


class PastStore(Store):
    """A store as it was at a time, which may be moved on; takes nothing in."""

    def __init__(self, listens: Sequence[Listen], uploads: Sequence[Upload]) -> None:
        self._listens = sorted(listens, key=lambda listen: listen.listened_at_ms)
        self._times = np.array([listen.listened_at_ms for listen in self._listens], dtype=np.int64)
        self._by_user: dict[str, list[Listen]] = {}
        for listen in self._listens:
            self._by_user.setdefault(listen.user_id, []).append(listen)
        self._uploads = list(uploads)
        self.now_ms = 0

    def of_user(self, user_id: str, until_ms: int) -> list[Listen]:
        """Return a user's listens from `now_ms` on that came before another time."""
        return [listen for listen in self._by_user.get(user_id, ()) if self.now_ms <= listen.listened_at_ms < until_ms]

    def listens_after(self, seq: int, limit: int = 100_000) -> tuple[list[Listen], int]:  # noqa: ARG002
        """Return the next listens of before `now_ms`; sequence numbers are places in the order of time."""
        until = int(np.searchsorted(self._times, self.now_ms))
        return self._listens[seq:until], max(seq, until)

    def uploads_after(self, seq: int) -> tuple[list[Upload], int]:
        """Return all uploads: when they came is not told."""
        return self._uploads[seq:], len(self._uploads)

    def feedback_after(self, seq: int) -> tuple[list[Feedback], int]:
        """Return nothing: a bundle is judged by what it makes of listens."""
        return [], seq

    def erasures_after(self, seq: int) -> tuple[list[Erasure], int]:
        """Return nothing: who was erased is in no list that is judged."""
        return [], seq

    def set_upload_vectors(self, upload: Upload) -> None:
        """Keep nothing."""


def run(
    workspace: Workspace, *, version: str | None, window_hours: float, out: Path | None, now_ms: int | None = None
) -> OffPolicyEstimate:
    """Estimate what a bundle would have got where others were shown, and print it.

    Parameters
    ----------
    workspace : Workspace
    version : str, optional
        Of the bundle; the current one if None.
    window_hours : float
        A shown track is a success where its user plays it so soon after.
    out : Path, optional
        The table goes there too.
    now_ms : int, optional
        Lists whose window is not over then are left out; this moment if None.

    Raises
    ------
    ArtifactError
        If there is no such bundle.
    DataError
        If no logged list can be used; the reason is named.

    Notes
    -----
    Only lists that were shown after the bundle was made count: it has learned from the plays that came before. The
    bundle answers with what it would have known: each user's plays up to the list, other people's up to that day (UTC).
    Only a user's first list of each time span counts, since the later ones repeat its draws.
    """
    if out is not None:
        checked_ending(out)
    bundle = load_bundle(_folder_of(workspace, version))
    if not workspace.has_store:
        raise DataError(_nothing(workspace))
    with closing(Store.open(workspace.store_url)) as store:
        served = read_served(store)
        listens, uploads = _all_listens(store), store.uploads_after(0)[0]
    if not len(served):
        raise DataError(_nothing(workspace))
    now_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    window_ms = int(window_hours * HOUR_MS)
    kept = usable(served, bundle, window_ms, now_ms)
    played = pd.concat([_played(listens), _imported(workspace)], ignore_index=True)
    kept["reward"] = was_played(kept, played, window_ms)
    past = PastStore(listens, uploads)
    hearing = Hearing(bundle)
    live = Live(bundle, past, hearing, workspace.uploads, refresh_s=0.0)
    with console.progress("Asking the bundle") as bar:
        logged = beside(kept, live, past, bar)
    found = estimate_value(logged)
    show(found, bundle.manifest.version, window_hours)
    if out is not None:
        counts = {name: getattr(found, name) for name in ("n_users", "n_lists", "n_shown", "n_rewarded")}
        quality = {name: getattr(found, name) for name in ("effective", "clipped", "overlap")}
        write_table(out, found.table.assign(bundle=bundle.manifest.version, **counts, **quality))
    return found


def read_served(store: Store) -> pd.DataFrame:
    """Return everything that was shown, a row a place: the fields of `ServedSlot`, in the order of writing."""
    pages, seq = [], 0
    while True:
        slots, seq = store.served_after(seq)
        if not slots:
            break
        pages.append(pd.DataFrame([vars(slot) for slot in slots]))
    return pd.concat(pages, ignore_index=True) if pages else pd.DataFrame()


def usable(served: pd.DataFrame, bundle: Bundle, window_ms: int, now_ms: int) -> pd.DataFrame:
    """Return the places of lists that the bundle can be judged by, in order of time; column `list` numbers them.

    Raises
    ------
    DataError
        If there is none.
    """
    made_ms = int(datetime.fromisoformat(bundle.manifest.created_at).timestamp() * 1000)
    served = served.sort_values("served_at_ms", kind="stable")
    early, late = served["served_at_ms"] < made_ms, served["served_at_ms"] + window_ms > now_ms
    first = served.groupby(["user_id", "bundle", "bucket_ms"])["request_id"].transform("first") == served["request_id"]
    kept = served[first & ~early & ~late].sort_values(["served_at_ms", "request_id", "rank"]).copy()
    if not len(kept):
        of = {name: served["request_id"][mask].nunique() for name, mask in (("early", early), ("late", late))}
        raise DataError(
            f"none of the {served['request_id'].nunique()} logged lists can judge bundle {bundle.manifest.version}: "
            f"{of['early']} were shown before it was made and {of['late']} less than {window_ms / HOUR_MS:g} hours "
            "ago; wait, or name an older bundle with --bundle"
        )
    kept["list"] = pd.factorize(kept["request_id"])[0]
    return kept.reset_index(drop=True)


def was_played(shown: pd.DataFrame, played: pd.DataFrame, window_ms: int) -> npt.NDArray[np.float64]:
    """Return 1 for each shown track that its user played within the window after it was shown, else 0.

    Parameters
    ----------
    shown : DataFrame
        Columns user_id, track_id, served_at_ms.
    played : DataFrame
        Columns user_id, track_id, played_at_ms: plays of a weight above 0.
    window_ms : int
    """
    pairs = shown[["user_id", "track_id", "served_at_ms"]].reset_index(names="row")
    pairs = pairs.merge(played, on=["user_id", "track_id"])
    after = pairs["played_at_ms"] - pairs["served_at_ms"]
    rewards = np.zeros(len(shown))
    rewards[pairs["row"][(after > 0) & (after <= window_ms)]] = 1
    return rewards


def beside(shown: pd.DataFrame, live: Live, past: PastStore, progress: Progress = silent) -> LoggedLists:
    """Set beside every list what the bundle would have shown, a day at a time."""
    wanted, scores, other_list, other_scores = np.zeros(len(shown), bool), np.zeros(len(shown)), [], []
    lists = shown.groupby("list").agg(
        user_id=("user_id", "first"),
        at_ms=("served_at_ms", "first"),
        top=("rank", "max"),
        cap=("max_per_artist", "first"),
    )
    rows = _rows(live, shown["track_id"])
    starts = np.r_[np.flatnonzero(np.r_[True, np.diff(shown["list"]) != 0]), len(shown)]
    lists["day"], done = lists["at_ms"] // DAY_MS, 0
    for day, top, cap in lists[["day", "top", "cap"]].drop_duplicates().sort_values("day").to_numpy():
        past.now_ms = int(day) * DAY_MS
        model = live.catch_up().model
        options = RecommendOptions(top=int(top), max_per_artist=int(cap) or None)
        alike = lists[(lists["day"] == day) & (lists["top"] == top) & (lists["cap"] == cap)]
        for start in range(0, len(alike), BLOCK):
            block = alike.iloc[start : start + BLOCK]
            plays, heard = _histories(model, block["user_id"].tolist(), block["at_ms"].tolist(), past)
            answers, all_scores = recommend(model, plays, heard, options), score_users(model, plays)
            for place, number in enumerate(block.index):
                here = slice(starts[number], starts[number + 1])
                known = rows[here] >= 0
                mine = all_scores[place]
                wanted[here] = np.isin(rows[here], answers[place].track_rows)
                scores[here] = np.where(known, mine[rows[here]], mine.min())
                other_list.append(np.full(len(answers[place]), number))
                other_scores.append(answers[place].scores)
            done += len(block)
            progress(done, len(lists))
    return LoggedLists(
        users=pd.factorize(lists["user_id"])[0].astype(np.int64),
        shown_list=shown["list"].to_numpy(dtype=np.int64),
        propensities=shown["propensity"].to_numpy(dtype=np.float64),
        rewards=shown["reward"].to_numpy(dtype=np.float64),
        wanted=wanted,
        shown_scores=scores,
        other_list=np.concatenate(other_list).astype(np.int64),
        other_scores=np.concatenate(other_scores).astype(np.float64),
    )


def show(found: OffPolicyEstimate, version: str, window_hours: float) -> None:
    """Print an estimate, how much it rests on, and what speaks against it."""
    lines = [
        (row.method, f"{row.value:.4f} [{row.low:.4f}, {row.high:.4f}]") for row in found.table.itertuples(index=False)
    ]
    console.table(f"Bundle {version}", ("estimate", f"played within {window_hours:g} h [95 % interval]"), lines)
    console.out.print(
        f"{found.n_lists} lists of {found.n_users} users, {found.n_shown} places, {found.n_rewarded} played; worth "
        f"{found.effective:.0f} places of this bundle's own; {found.clipped:.1%} of the weights were cut; about "
        f"{min(found.overlap, 1):.0%} of its lists could have been shown: IPS counts the rest as 0, SNIPS leaves it out"
    )
    for doubt in found.doubts:
        console.out.print(f"Do not rely on it: {doubt}", markup=False)


def _folder_of(workspace: Workspace, version: str | None) -> Path:
    if version is None:
        return current_bundle(workspace.bundles)
    if not (workspace.bundles / version / "manifest.json").exists():
        known = [bundle.version for bundle in list_bundles(workspace.bundles)]
        raise ArtifactError(f"{workspace.folder} has no bundle {version!r}; it has {', '.join(known) or 'none'}")
    return workspace.bundles / version


def _nothing(workspace: Workspace) -> str:
    return (
        f"{workspace.folder} holds no list that was shown to anybody; serve it with the log on, and ask for "
        "recommendations of users"
    )


def _all_listens(store: Store) -> list[Listen]:
    listens: list[Listen] = []
    seq = 0
    while True:
        page, seq = store.listens_after(seq)
        if not page:
            return listens
        listens += page


def _played(listens: Sequence[Listen]) -> pd.DataFrame:
    rows = [(listen.user_id, listen.track_id, listen.listened_at_ms) for listen in listens if listen.weight > 0]
    return pd.DataFrame(rows, columns=["user_id", "track_id", "played_at_ms"])


def _imported(workspace: Workspace) -> pd.DataFrame:
    frame = workspace.interaction_table()
    frame = frame[(frame["weight"] > 0) & frame["timestamp"].notna()]
    at_ms = frame["timestamp"].to_numpy(dtype="datetime64[ms]").astype(np.int64)
    return pd.DataFrame({"user_id": frame["user_id"], "track_id": frame["item_id"], "played_at_ms": at_ms})


def _rows(live: Live, ids: pd.Series) -> npt.NDArray[np.int64]:
    """Return catalog rows, -1 for tracks that the bundle does not have."""
    tracks = live.peek().model.catalog.tracks
    return np.array([tracks.row(name) if name in tracks else -1 for name in ids], dtype=np.int64)


def _histories(
    model: HybridModel, users: Sequence[str], times_ms: Sequence[int], past: PastStore
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Return what users had played and heard at some times, each (len(users), n_tracks)."""
    plays, heard = (sparse.lil_matrix((len(users), len(model.catalog)), dtype=np.float32) for _ in range(2))
    tracks = model.catalog.tracks
    for place, (user_id, at_ms) in enumerate(zip(users, times_ms, strict=True)):
        if user_id in model.users:
            user = model.users.row(user_id)
            plays[place], heard[place] = model.plays[user], model.heard[user]
        for listen in past.of_user(user_id, at_ms):
            if listen.track_id in tracks:
                row = tracks.row(listen.track_id)
                heard[place, row] = 1
                plays[place, row] = plays[place, row] + listen.weight
    return plays.tocsr(), heard.tocsr()
