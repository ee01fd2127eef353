"""Two bundles side by side: what they were made of, how well each does, and how alike what they recommend is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipelines import console
from pipelines.publish import bundle_folder, held_out_ndcg, worse_than
from pipelines.workspace import Workspace
from recommender.ranking.ranker import HybridModel, RecommendOptions, recommend
from recommender.serving.bundle import Bundle, load_bundle

TOP, USERS = 10, 200
ALIKE = 0.5
"""Lists that share less of their tracks are called different."""


@dataclass(frozen=True)
class Comparison:
    """What two bundles have and have not in common.

    Parameters
    ----------
    versions : tuple of two str
    facts : mapping of str to tuple of two values
        Counts, versions and figures, of the first and the second.
    settings : mapping of str to tuple of two values
        Settings that differ, by their dotted names.
    tracks_added, tracks_removed, users_added, users_removed : int
        From the first to the second.
    n_users : int
        Users of both whose lists were compared.
    overlap : float or None
        Mean share of the first one's best `TOP` tracks that are in the second one's list too; None without users.
    new_in_lists : float or None
        Share of the places of the second one's lists that go to tracks that the first did not have.
    verdict : str
    """

    versions: tuple[str, str]
    facts: Mapping[str, tuple[Any, Any]]
    settings: Mapping[str, tuple[Any, Any]]
    tracks_added: int
    tracks_removed: int
    users_added: int
    users_removed: int
    n_users: int
    overlap: float | None
    new_in_lists: float | None
    verdict: str


def run(workspace: Workspace, first: str, second: str, *, as_json: bool = False) -> Comparison:
    """Compare two bundles of a workspace and print what was found.

    Raises
    ------
    ArtifactError
        If one is not there or does not load.
    """
    a, b = (load_bundle(bundle_folder(workspace, version)) for version in (first, second))
    found = compare(a, b)
    if as_json:
        console.out.print_json(json.dumps(asdict(found), default=str))
        return found
    show(found)
    return found


def compare(a: Bundle, b: Bundle) -> Comparison:
    """Compare two bundles; see `Comparison`."""
    facts = {name: (value, _facts(b)[name]) for name, value in _facts(a).items()}
    flat_a, flat_b = _flat(a.manifest.config), _flat(b.manifest.config)
    settings = {
        name: (flat_a.get(name), flat_b.get(name))
        for name in sorted(flat_a.keys() | flat_b.keys())
        if flat_a.get(name) != flat_b.get(name)
    }
    tracks = [set(each.model.catalog.tracks.ids) for each in (a, b)]
    users = [set(each.model.users.ids) for each in (a, b)]
    n_users, overlap, new = _lists(a.model, b.model)
    return Comparison(
        (a.manifest.version, b.manifest.version),
        facts,
        settings,
        len(tracks[1] - tracks[0]),
        len(tracks[0] - tracks[1]),
        len(users[1] - users[0]),
        len(users[0] - users[1]),
        n_users,
        overlap,
        new,
        _verdict(a, b, overlap, n_users),
    )


def show(found: Comparison) -> None:
    """Print a comparison."""
    rows = [(name, _text(one), _text(other)) for name, (one, other) in found.facts.items()]
    rows += [(f"setting {name}", _text(one), _text(other)) for name, (one, other) in found.settings.items()]
    console.table("Bundles", ("", *found.versions), rows)
    console.out.print(
        f"tracks: {found.tracks_added} more, {found.tracks_removed} fewer; "
        f"users: {found.users_added} more, {found.users_removed} fewer"
    )
    if found.overlap is not None and found.new_in_lists is not None:
        console.out.print(
            f"the best {TOP} of {found.n_users} users: {found.overlap:.0%} the same; "
            f"{found.new_in_lists:.0%} of the second's places go to tracks that the first does not have"
        )
    console.out.print(found.verdict, markup=False)


def _facts(bundle: Bundle) -> dict[str, Any]:
    model, manifest = bundle.model, bundle.manifest
    return {
        "made": manifest.created_at,
        "tracks": len(model.catalog),
        "tracks with sound": int(model.has_vector.sum()),
        "tracks with plays": int((model.evidence > 0).sum()),
        "users": len(model.users),
        "pairs of user and track": int(model.plays.nnz),
        "audio model": bundle.cnn_version or "none",
        "validation NDCG": held_out_ndcg(manifest),
        "megabytes": round(sum(each.size for each in manifest.artifacts) / 1e6, 1),
        "data": manifest.data_digest[:12],
    }


def _lists(a: HybridModel, b: HybridModel) -> tuple[int, float | None, float | None]:
    """Return how many users' lists were compared, their overlap, and the share of the second's that is new."""
    both = sorted(set(a.users.ids) & set(b.users.ids))
    if not both:
        return 0, None, None
    rng = np.random.default_rng(0)
    chosen = [both[at] for at in np.sort(rng.choice(len(both), min(USERS, len(both)), replace=False)).tolist()]
    lists = []
    for model in (a, b):
        rows = model.users.rows(chosen, unknown="raise")
        ranked = recommend(model, model.plays[rows], model.heard[rows], RecommendOptions(top=TOP))
        lists.append([model.catalog.tracks.ids_of(each.track_rows) for each in ranked])
    shared = [len(set(one) & set(other)) / max(len(one), 1) for one, other in zip(*lists, strict=True)]
    places = [track not in a.catalog.tracks for other in lists[1] for track in other]
    return len(chosen), float(np.mean(shared)), float(np.mean(places)) if places else 0.0


def _verdict(a: Bundle, b: Bundle, overlap: float | None, n_users: int) -> str:
    old, new = held_out_ndcg(a.manifest), held_out_ndcg(b.manifest)
    reason = worse_than(b.manifest, a.manifest)
    if reason is not None:
        return f"{b.manifest.version} should not replace {a.manifest.version}: {reason}"
    better = "is not known to be worse"
    if old is not None and new is not None:
        better = f"reaches NDCG {new:.3f} on plays hidden from it, {a.manifest.version} {old:.3f}"
    alike = ""
    if overlap is not None:
        alike = f"; their lists for {n_users} users are {'alike' if overlap >= ALIKE else 'different'} ({overlap:.0%})"
    return f"{b.manifest.version} {better}{alike}"


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{before}{name}.") if isinstance(value, Mapping) else {before + name: value}
    return found


def _text(value: Any) -> str:
    return "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
