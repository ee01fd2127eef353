import json
from pathlib import Path

import av
import mutagen
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from pipelines import ingest
from pipelines.cli import app
from pipelines.workspace import Workspace, open_workspace

GOLDEN = Path(__file__).parents[1] / "data" / "histories" / "golden"
TRACKS = (
    "item_id,title,artist,album,duration_s,recording_mbid\n"
    "ferry,Winter Ferry,Ola Sundby,Harbour Lights,214,3f0f6ff0-0a41-4f0e-8f5c-6a0e5f3a1d01\n"
    "comet,Slow Comet,The Paper Lanterns,Night Bus,187,\n"
    "rose,Šípková růže,Žofie Malá,Zahrada,243,\n"
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    opened = open_workspace(tmp_path / "w", create=True)
    (tmp_path / "tracks.csv").write_text(TRACKS)
    ingest.run(opened, tracks=tmp_path / "tracks.csv")
    return opened


def test_repeating_histories_adds_nothing_twice(workspace: Workspace) -> None:
    files = sorted(GOLDEN.iterdir())
    first = ingest.run(workspace, listens=files, user="ola")
    before = workspace.interaction_table()
    report = (workspace.folder / "reports" / "listens.csv").read_bytes()
    again = ingest.run(workspace, listens=files, user="ola")
    pd.testing.assert_frame_equal(workspace.interaction_table(), before)
    assert (workspace.folder / "reports" / "listens.csv").read_bytes() == report
    assert again.lines == first.lines
    # 3 plays, the same by every service; those of two services without their seconds; 3 stars
    assert len(before) == 3 + 3 + 3
    assert set(before["user_id"]) == {"ola"}


def test_what_became_of_every_name_is_written_down(workspace: Workspace) -> None:
    report = ingest.run(workspace, listens=[GOLDEN / "maloja.json", GOLDEN / "lastfm-ghan.csv"])
    assert report.lines[0] == (
        "maloja.json: Maloja, 3 of 4 plays matched for maloja (2 by name, 1 by name without edition), "
        "1 of tracks not in the catalog"
    )
    assert report.lines[1] == "  Nobody Known - Not Here (1 play): no such artist"
    table = pd.read_csv(workspace.folder / "reports" / "listens.csv", keep_default_na=False)
    assert len(table) == 8
    row = table[(table["history"] == "lastfm-ghan.csv") & (table["title"] == "Winter Ferry")].iloc[0]
    assert row[["rule", "item_id", "matched"]].tolist() == ["MusicBrainz id", "ferry", "Ola Sundby - Winter Ferry"]
    ingest.run(workspace, listens=[GOLDEN / "maloja.json"])
    assert len(pd.read_csv(workspace.folder / "reports" / "listens.csv")) == 8


def test_the_command(workspace: Workspace, tmp_path: Path) -> None:
    log = tmp_path / ".scrobbler.log"
    log.write_text("#AUDIOSCROBBLER/1.1\n#TZ/UNKNOWN\nOla Sundby\t\tWinter Ferry\t\t214\tL\t1700000000\t\n")
    command = ["ingest", str(workspace.folder), "--listens", str(log), "--user", "ola", "--timezone", "Europe/Oslo"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "1 of 1 plays matched for ola" in result.output
    assert workspace.interaction_table()["timestamp"].tolist() == [pd.Timestamp("2023-11-14 21:13:20")]
    result = CliRunner().invoke(app, [*command[:-1], "Europe/Nowhere"])
    assert result.exit_code == 2
    assert "is no time zone" in result.output


def test_a_history_that_cannot_be_read_leaves_the_plays_as_they_were(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text(json.dumps([{"ts": 1}])[:-1])
    result = CliRunner().invoke(app, ["ingest", str(workspace.folder), "--listens", str(tmp_path / "bad.json")])
    assert result.exit_code == 1
    assert len(workspace.interaction_table()) == 0


def test_music_that_was_scanned_before_ids_were_kept_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "music" / "Ola Sundby" / "Harbour Lights" / "Winter Ferry.flac"
    path.parent.mkdir(parents=True)
    with av.open(path, "w") as music:
        stream = music.add_stream("flac", rate=44_100, layout="mono")
        stream.codec_context.open()
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.int16), format="s16", layout="mono")
        frame.sample_rate = 44_100
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            music.mux(packet)
    file = mutagen.File(path)
    file["musicbrainz_trackid"] = "3f0f6ff0-0a41-4f0e-8f5c-6a0e5f3a1d01"
    file.save()
    workspace = open_workspace(tmp_path / "w", create=True)
    ingest.run(workspace, music=tmp_path / "music")
    table = tmp_path / "w" / "tables" / "files.parquet"
    before = pd.read_parquet(table)
    before.drop(columns="recording_mbid").to_parquet(table)
    assert workspace.catalog().table["recording_mbid"].tolist() == [""]
    ingest.run(workspace, music=tmp_path / "music")
    pd.testing.assert_frame_equal(workspace.files(), before)
    assert workspace.catalog().table["recording_mbid"].tolist() == ["3f0f6ff0-0a41-4f0e-8f5c-6a0e5f3a1d01"]
