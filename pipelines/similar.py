"""What sounds like a track or a file: by the current bundle, or on day one by the shipped network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines import console
from pipelines.ears import current_ears, hear_library
from pipelines.recommend import load_current
from pipelines.workspace import Workspace
from recommender.data.catalog import Catalog
from recommender.data.tables import checked_ending, write_table
from recommender.errors import DataError, UnknownIdError
from recommender.ranking.sound import Sound, clock, place_sound, query_of_row, query_of_vector, similar_tracks
from recommender.serving.hearing import Heard, hear

SIMILAR_COLUMNS = ("item_id", "rank", "track", "similarity", "query_start_s", "match_start_s")


@dataclass(frozen=True, eq=False)
class Audible:
    """A catalog whose sound is known.

    Parameters
    ----------
    catalog : Catalog
    sound : Sound
        In rows of the catalog.
    hear : function
        From a file to its vectors, of the same network.
    """

    catalog: Catalog
    sound: Sound
    hear: Callable[[Path], Heard]


def run(workspace: Workspace, track: str, *, top: int, out: Path | None) -> None:
    """Print or write what sounds like a track of the catalog or like an audio file.

    Nothing need have been trained or analysed: what the workspace's music lacks is analysed first.

    Raises
    ------
    UnknownIdError
        If it is neither a track's id nor a file.
    DataError
        If the workspace, or the track, has no sound.
    """
    if out is not None:
        checked_ending(out)
    library = _trained(workspace) or _untrained(workspace, track)
    catalog, sound = library.catalog, library.sound
    exclude: list[int] = []
    if track in catalog.tracks:
        row = catalog.tracks.row(track)
        if not sound.has_vector[row]:
            raise DataError(f"track {track!r} has no embedding: its file was not analysed")
        query, exclude, title = query_of_row(sound, row), [row], catalog.label(row)
    else:
        _check_file(workspace, track)
        heard = library.hear(Path(track))
        query = query_of_vector(sound, heard.vector, heard.clip_vectors, heard.clip_starts_s)
        title = Path(track).name
    rows: list[dict[str, Any]] = [
        {
            "item_id": catalog.tracks.ids[match.track_row],
            "rank": rank,
            "track": catalog.label(match.track_row),
            "similarity": match.similarity,
            "query_start_s": match.query_start_s,
            "match_start_s": match.match_start_s,
        }
        for rank, match in enumerate(similar_tracks(sound, query, top, exclude), 1)
    ]
    if out is not None:
        write_table(out, pd.DataFrame(rows, columns=SIMILAR_COLUMNS))
        console.out.print(f"{out}: {len(rows)} rows", markup=False)
        return
    lines = [
        (
            r["rank"],
            r["track"],
            r["similarity"],
            *(_time(r[at]) for at in ("query_start_s", "match_start_s")),
            r["item_id"],
        )
        for r in rows
    ]
    console.table(f"Sounds like {title}", ("", "track", "similarity", "here", "there", "item_id"), lines)


def _trained(workspace: Workspace) -> Audible | None:
    """Return what the current bundle knows; None where there is none, or it knows no sound."""
    if not (workspace.bundles / "current").exists():
        return None
    current = load_current(workspace)
    if current.model.sound is None:
        return None
    return Audible(current.model.catalog, current.model.sound, current.hearing.hear)


def _untrained(workspace: Workspace, track: str) -> Audible:
    catalog = workspace.catalog()
    if track not in catalog.tracks:
        _check_file(workspace, track)
    supplied = workspace.supplied_embeddings()
    if supplied is not None:

        def deaf(path: Path) -> Heard:
            raise DataError(
                f"{path} cannot be compared: the embeddings of {workspace.folder} were supplied, and what made them is "
                "not known; give a track's id"
            )

        return Audible(catalog, place_sound(supplied, catalog.tracks), deaf)
    ears = current_ears(workspace)
    sound = place_sound(hear_library(workspace, ears), catalog.tracks)
    return Audible(catalog, sound, lambda path: hear(ears, path))


def _check_file(workspace: Workspace, track: str) -> None:
    if not Path(track).is_file():
        raise UnknownIdError(f"{track!r} is neither a track of {workspace.folder} nor an audio file")


def _time(start_s: float | None) -> str:
    return "" if start_s is None else clock(start_s)
