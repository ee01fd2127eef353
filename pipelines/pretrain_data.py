"""Render the music that a network is pretrained on."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

from recommender.data.progress import Progress, silent
from recommender.errors import ConfigError, FirstListenError
from recommender.synthetic.corpus.shards import Corpus, CorpusConfig, missing_shards, open_corpus, prepare, render_shard
from recommender.synthetic.corpus.soundfont import find_soundfont, load_soundfont


def render_corpus(
    folder: Path,
    n_artists: int,
    config: CorpusConfig | None = None,
    soundfonts: Sequence[Path] = (),
    workers: int = 1,
    progress: Progress = silent,
) -> Corpus:
    """Render a corpus, or what is missing of it.

    Parameters
    ----------
    folder : Path
        Shards appear here one by one, whole; run it again to continue, with more artists to extend.
    n_artists : int
        Rounded up to whole shards.
    config : CorpusConfig, optional
    soundfonts : sequence of Path
        Each artist plays one of them; without any, that of the system.
    workers : int
        Processes.
    progress : Progress
        Told of shards.

    Raises
    ------
    ConfigError
        If there is no soundfont or no player, or the folder holds another corpus.
    """
    if n_artists < 1 or workers < 1:
        raise ConfigError(f"a corpus of {n_artists} artists by {workers} workers; expected at least 1 of each")
    config = config or CorpusConfig()
    fonts = tuple(find_soundfont(path) for path in soundfonts) or (find_soundfont(),)
    for font in fonts:
        load_soundfont(font)
    prepare(folder, config, fonts)
    todo = missing_shards(folder, config, n_artists)
    if workers == 1:
        for done, shard in enumerate(todo):
            progress(done, len(todo))
            render_shard(folder, config, shard, fonts)
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            for done, _ in enumerate(pool.map(render_shard, repeat(folder), repeat(config), todo, repeat(fonts))):
                progress(done + 1, len(todo))
    progress(len(todo), len(todo))
    return open_corpus(folder)


def main() -> None:
    """``python -m pipelines.pretrain_data FOLDER``."""
    from pipelines import console

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--artists", type=int, default=1000)
    parser.add_argument("--tracks", type=int, default=4, help="of each artist")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--soundfont", type=Path, action="append", default=[], help="repeat it for several")
    asked = parser.parse_args()
    try:
        with console.progress("rendering") as progress:
            config = CorpusConfig(tracks_per_artist=asked.tracks, seed=asked.seed)
            corpus = render_corpus(asked.folder, asked.artists, config, asked.soundfont, asked.workers, progress)
    except FirstListenError as error:
        raise SystemExit(f"error: {error}") from None
    console.out.print(f"{len(corpus.truth)} clips of {corpus.truth['artist'].nunique()} artists in {asked.folder}")


if __name__ == "__main__":
    main()
