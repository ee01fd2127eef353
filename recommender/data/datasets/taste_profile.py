"""The Taste Profile subset of the Million Song Dataset (McFee, Bertin-Mahieux, Ellis & Lanckriet, 2012).

`train_triplets.txt` (published as `train_triplets.txt.zip`; millionsongdataset.com/tasteprofile): user, song, plays;
tabs, no line of names, no times. `unique_tracks.txt` (millionsongdataset.com, AdditionalFiles), not required:
track<SEP>song<SEP>artist<SEP>title. Read from the pages of the data set and `implicit/datasets/million_song_dataset.py`
of benfred/implicit. A song's id (SO...) is the item's id; of its tracks (TR...) the first one names it. Only songs that
were played are in the track table. The list of songs that were matched to a wrong track (`sid_mismatches.txt`) is not
used: a song on it may have another song's name.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from recommender.data.datasets.blocks import Tally, text_rows
from recommender.data.datasets.download import Download
from recommender.data.datasets.pairs import Codes
from recommender.data.datasets.result import DatasetTables, counted_plays, filled, track_table
from recommender.data.progress import Progress


def read_taste_profile(download: Download, progress: Progress) -> DatasetTables:
    """Read the MSD Taste Profile."""
    tally = Tally(download.need("train_triplets.txt", "train_triplets.txt or train_triplets.txt.zip"))
    songs = Codes()
    blocks = text_rows(tally, ("user", "song", "plays"), header=False, progress=progress)
    plays = counted_plays(tally, blocks, songs)
    if (names := download.find("unique_tracks.txt")) is None:
        note = "no unique_tracks.txt: songs have no artist and no title"
        return DatasetTables(None, plays, reports=(tally.report(),), notes=(note,))
    named = Tally(names)
    found: dict[str, tuple[str, str]] = {}
    played = pa.array(songs.code_of, pa.string())
    for rows in text_rows(named, ("track", "song", "artist", "title"), separator="<SEP>", header=False):
        song = filled(rows.column("song"), "song")
        good = pa.array(named.judge(rows.numbers, song.faults))
        here = pc.and_(good, pc.is_in(song.values, played))
        named.n_beside += good.true_count - here.true_count
        columns = (song.values, rows.column("artist").combine_chunks(), rows.column("title").combine_chunks())
        for identifier, artist, title in zip(*(c.filter(here).to_pylist() for c in columns), strict=True):
            named.n_duplicate += identifier in found
            found.setdefault(identifier, (artist.strip(), title.strip()))
    artist, title = ([found.get(song, ("", ""))[at] for song in songs.code_of] for at in (0, 1))
    tracks = track_table(songs.code_of, artist=artist, title=title)
    lost = len(songs) - len(found)
    notes = (f"{lost} of {len(songs)} songs are not in {names.path.name}",) if lost else ()
    return DatasetTables(tracks, plays, reports=(tally.report(), named.report()), notes=notes)
