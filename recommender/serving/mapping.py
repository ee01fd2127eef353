"""The map of the bundle that answers: drawn once, kept beside the bundles, extended by what was uploaded since.

``python -m recommender.serving.mapping BUNDLE`` draws one. The server does so in a process of its own where the
training has not, and says so until it is there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import filelock

from recommender.data.catalog import Catalog
from recommender.errors import ArtifactError, ModelError
from recommender.ranking.atlas import Atlas, draw_atlas, load_atlas, save_atlas, with_new_places
from recommender.ranking.model import HybridModel
from recommender.serving.bundle import load_bundle
from recommender.serving.live import Snapshot
from recommender.serving.problems import Problem

MAPS = ".maps"
AT_ONCE = 1000
"""The map of a catalog of so many tracks is drawn while the request waits: it takes about a second."""

RETRY_S = 60.0
NICENESS = 10


def map_path(bundle: Path) -> Path:
    """Return where the map of a bundle's folder lies: beside it, since a bundle never changes."""
    return bundle.parent / MAPS / f"{bundle.name}.safetensors"


def draw_map(bundle: Path, model: HybridModel) -> Atlas:
    """Draw the map of a bundle and keep it."""
    atlas = draw_atlas(model)
    path = map_path(bundle)
    path.parent.mkdir(exist_ok=True)
    save_atlas(path, atlas, bundle.name)
    return atlas


class Maps:
    """Holds the map of the bundle that answers; safe to use from many threads.

    Parameters
    ----------
    bundles_dir : Path
    """

    def __init__(self, bundles_dir: Path) -> None:
        self._bundles_dir = bundles_dir
        self._lock = threading.Lock()
        self._held: tuple[str, Atlas] | None = None
        self._drawing: subprocess.Popen[str] | None = None
        self._failed_at = -RETRY_S
        self._packed: tuple[str, bytes] | None = None

    def atlas(self, now: Snapshot) -> Atlas:
        """Return the map of everything that the model has now.

        Raises
        ------
        Problem
            503 while it is being drawn.
        """
        with self._lock:
            version = now.manifest.version
            if self._held is None or self._held[0] != version:
                self._held = (version, self._load(now, self._bundles_dir / version))
            atlas = self._held[1]
            if len(atlas.places) < len(now.model.catalog):
                atlas = with_new_places(atlas, now.model)
                self._held = (version, atlas)
        return atlas

    def close(self) -> None:
        """Stop drawing."""
        if self._drawing is not None:
            self._drawing.terminate()
            self._drawing.wait()

    def packed(self, tag: str, pack: Callable[[], bytes]) -> bytes:
        """Return what `pack` makes, kept until it is asked for by another tag."""
        with self._lock:
            if self._packed is None or self._packed[0] != tag:
                self._packed = (tag, pack())
            return self._packed[1]

    def _load(self, now: Snapshot, bundle: Path) -> Atlas:
        n_tracks = len(now.model.catalog) - len(now.upload_ids)
        try:
            return load_atlas(map_path(bundle), bundle.name, n_tracks)
        except ArtifactError:
            if n_tracks <= AT_ONCE:
                return draw_map(bundle, load_bundle(bundle).model if now.upload_ids else now.model)
        if self._drawing is not None and self._drawing.poll() is not None:
            failed = self._drawing.returncode != 0
            self._drawing, self._failed_at = None, time.monotonic() if failed else self._failed_at
        if time.monotonic() - self._failed_at < RETRY_S:
            raise Problem(
                503,
                "no-map",
                f"the map of bundle {bundle.name} could not be drawn; the server's log says why, "
                f"or draw it with: python -m {__spec__.name} {bundle.name}",
                {"Retry-After": str(round(RETRY_S))},
            )
        if self._drawing is None:
            command = [sys.executable, "-m", __spec__.name, str(bundle)]
            limits = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            self._drawing = subprocess.Popen(command, env=os.environ | limits, text=True, stdin=subprocess.DEVNULL)
        detail = f"the map of {n_tracks} tracks is being drawn, once for this bundle; ask again in a few seconds"
        raise Problem(503, "map-not-ready", detail, {"Retry-After": "3"})


def tempo_column(now: Snapshot) -> list[int]:
    """Return each track's tempo in whole beats a minute, 0 where it is not known."""
    tempo = now.signatures.column("tempo_bpm")
    return [round(float(bpm)) if bpm > 0 else 0 for bpm in tempo]


def artist_column(catalog: Catalog) -> tuple[list[int], list[str]]:
    """Return each track's place in a list of names, and that list."""
    names: dict[str, int] = {}
    return [names.setdefault(name, len(names)) for name in catalog.table["artist"]], list(names)


def main(arguments: list[str]) -> int:
    """Draw the map of one bundle unless another process is at it."""
    os.nice(NICENESS)
    bundle = Path(arguments[0])
    map_path(bundle).parent.mkdir(exist_ok=True)
    try:
        with filelock.FileLock(f"{map_path(bundle)}.lock", timeout=0):
            draw_map(bundle, load_bundle(bundle).model)
    except filelock.Timeout:
        return 0
    except (ArtifactError, ModelError) as error:
        sys.exit(f"the map cannot be drawn: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
