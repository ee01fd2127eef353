"""Two data sets of Last.fm in which what is played are artists: an artist stands where a track does.

**HetRec 2011 Last.fm-2k** (Cantador, Brusilovsky & Kuflik, HetRec 2011; grouplens.org/datasets/hetrec-2011):
`user_artists.dat` with the columns userID, artistID, weight (plays), and `artists.dat` with id, name, url, pictureURL;
tabs, a line of names, no quoting, no times. Read from its readme and from the converter of RUCAIBox/RecSysDatasets. Its
tags and friends are not used.

**Last.fm-360k** (Celma, 2010; ocelma.net/MusicRecommendationDataset): `usersha1-artmbid-artname-plays.tsv`, without a
line of names: SHA-1 of the user, MusicBrainz id of the artist (often empty), name of the artist, plays. Read from its
readme and from `implicit/datasets/lastfm.py` of benfred/implicit. A few lines are spoilt: dates like ``sep 20, 2008``
stand where the user should. An artist's id is its MusicBrainz id, or else its name.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recommender.data.cells import Fault
from recommender.data.datasets.blocks import Tally, text_rows
from recommender.data.datasets.download import Download
from recommender.data.datasets.pairs import Codes, Pairs, plays_frame
from recommender.data.datasets.result import DatasetTables, counted_plays, filled, play_counts, track_table
from recommender.data.progress import Progress

HETREC_FILES = "the files user_artists.dat and artists.dat of hetrec2011-lastfm-2k.zip"
LISTENS_360K = "usersha1-artmbid-artname-plays.tsv"


def read_hetrec(download: Download, progress: Progress) -> DatasetTables:
    """Read HetRec 2011 Last.fm-2k."""
    tally = Tally(download.need("user_artists.dat", HETREC_FILES))
    named = Tally(download.need("artists.dat", HETREC_FILES))
    names = ("userID", "artistID", "weight")
    plays = counted_plays(tally, text_rows(tally, names, progress=progress), Codes())
    artists: dict[str, str] = {}
    for rows in text_rows(named, ("id", "name")):
        cells = [filled(rows.column(name), name) for name in ("id", "name")]
        kept = pa.array(named.judge(rows.numbers, [fault for cell in cells for fault in cell.faults]))
        before, n_kept = len(artists), pc.sum(kept).as_py() or 0
        artists.update(zip(*(cell.values.filter(kept).to_pylist() for cell in cells), strict=True))
        named.n_duplicate += n_kept - (len(artists) - before)
    titles = list(artists.values())
    return DatasetTables(
        track_table(artists, title=titles, artist=titles), plays, reports=(tally.report(), named.report())
    )


def read_360k(download: Download, progress: Progress) -> DatasetTables:
    """Read Last.fm-360k."""
    tally = Tally(download.need(LISTENS_360K, f"{LISTENS_360K} of lastfm-dataset-360K.tar.gz, unpacked"))
    users, artists, pairs = Codes(), Codes(), Pairs()
    names: list[str] = []
    for rows in text_rows(tally, ("user", "mbid", "artist", "plays"), header=False, progress=progress):
        user = filled(rows.column("user"), "user")
        hashed = pc.match_substring_regex(user.values, "^[0-9a-f]{40}$").to_numpy(zero_copy_only=False)
        mbid, name = (pc.utf8_trim_whitespace(rows.column(c).combine_chunks()) for c in ("mbid", "artist"))
        artist = filled(pa.chunked_array([pc.if_else(pc.equal(mbid, ""), name, mbid)]), "artist")
        plays = play_counts(rows.column("plays"), "plays")
        good = tally.judge(
            rows.numbers, [Fault(~hashed, partial(_no_hash, user.values)), *artist.faults, *plays.faults]
        )
        kept = pa.array(good)
        codes = artists.of(artist.values.filter(kept))
        distinct, first = np.unique(codes, return_index=True)
        names += name.filter(kept).take(pa.array(first[distinct >= len(names)])).to_pylist()
        pairs.add(users.of(user.values.filter(kept)), codes, plays.values[good])
    tracks = track_table(artists.code_of, title=names, artist=names)
    return DatasetTables(tracks, plays_frame(users.ids(), artists.ids(), pairs.result()), reports=(tally.report(),))


def _no_hash(users: pa.StringArray, row: int) -> str:
    return f"user {users[row].as_py()[:40]!r} is not a SHA-1"
