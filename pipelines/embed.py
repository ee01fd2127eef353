"""Vectors for any audio files, by the shipped network or by a workspace's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipelines import console
from pipelines.workspace import Workspace
from recommender.data.tables import checked_ending, write_table
from recommender.errors import AudioError, DataError


def run(audio: Sequence[Path], out: Path, workspace: Workspace | None = None) -> None:
    """Write the vectors of any files: one row a clip, and one a track with an empty start_s.

    A file that cannot be used is named with its reason, and the others are written.

    Parameters
    ----------
    audio : sequence of Path
    out : Path
        A table of path, start_s, embedding.
    workspace : Workspace, optional
        Whose network hears; the shipped one if there is none.

    Raises
    ------
    DataError
        If none of the files can be used.
    ArtifactError
        If the network is missing or damaged.
    """
    from pipelines.ears import current_ears
    from recommender.models.shipped import load_shipped
    from recommender.serving.hearing import hear

    checked_ending(out)
    ears = load_shipped() if workspace is None else current_ears(workspace)
    rows: list[dict[str, object]] = []
    problems = []
    with console.progress("Embedding") as bar:
        for done, path in enumerate(audio, 1):
            try:
                heard = hear(ears, path)
            except (AudioError, OSError) as error:
                problems.append(f"{path}: {str(error).removeprefix(f'{path.name}: ')}")
                continue
            finally:
                bar(done, len(audio))
            starts: list[float | None] = [None, *heard.clip_starts_s.tolist()]
            vectors = [heard.vector, *heard.clip_vectors]
            rows += [
                {"path": str(path), "start_s": start, "embedding": vector.tolist()}
                for start, vector in zip(starts, vectors, strict=True)
            ]
    console.warn(problems)
    if not rows:
        raise DataError(f"none of the {len(audio)} files can be used")
    write_table(out, pd.DataFrame(rows))
    console.out.print(f"{out}: {len(audio) - len(problems)} of {len(audio)} files by {ears.version}", markup=False)
