"""The jobs behind the commands, on a small embedded world."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines import demo, embed, playlist_batch, playlists, publish, recommend, similar, train
from pipelines.config import load_settings
from pipelines.workspace import open_workspace
from recommender.errors import ArtifactError, ConfigError, DataError, RulesError, UnknownIdError
from recommender.playlists.formats import read_playlist
from recommender.serving.bundle import current_bundle, list_bundles, read_manifest
from recommender.synthetic.world import TINY, load_world


@pytest.fixture
def copy(demo_folder, tmp_path):
    shutil.copytree(demo_folder, tmp_path / "w")
    return open_workspace(tmp_path / "w")


def run_recommend(workspace, **changes):
    usual = {
        "user": None, "history": None, "top": 20, "candidates": None, "include_heard": False, "max_per_artist": None,
        "out": None,
    }  # fmt: skip
    recommend.run(workspace, **(usual | changes))


def test_the_demo_shows_every_method_on_new_known_and_both(demo_folder):
    table = pd.read_csv(demo_folder / "demo.csv")
    assert set(table["candidates"]) == {"new", "known", "both"}
    assert set(table["method"]) == {"random", "popularity", "ALS alone", "audio alone", "First Listen", "oracle"}
    assert set(table["metric"]) == {"recall@20", "ndcg@20"}
    assert np.all(table["low"] <= table["mean"] + 1e-9)
    assert np.all(table["mean"] <= table["high"] + 1e-9)
    oracle = table[table["method"] == "oracle"]
    assert np.allclose(oracle["share_of_attainable"].dropna(), 1)


def test_a_second_demo_takes_what_is_there(demo_folder):
    before = read_manifest(current_bundle(demo_folder / "bundles"))
    demo.run(demo_folder, serving=False, config=TINY)
    assert [bundle.version for bundle in list_bundles(demo_folder / "bundles")] == [before.version]


def test_nothing_of_the_future_is_in_the_workspace(demo_workspace):
    world = load_world(demo_workspace.folder / "world")
    assert demo_workspace.interaction_table()["timestamp"].max() < world.split_time


def test_lists_for_everyone_leave_out_what_was_heard(demo_workspace, tmp_path):
    out = tmp_path / "all.parquet"
    run_recommend(demo_workspace, out=out, top=5)
    lists = pd.read_parquet(out)
    assert list(lists.columns) == ["user_id", "item_id", "rank", "score", "source"]
    assert set(lists["source"]) <= {"cf", "content", "popularity", "mixed"}
    assert lists.groupby("user_id")["rank"].apply(list).map(lambda ranks: ranks == list(range(1, len(ranks) + 1))).all()
    heard = set(demo_workspace.interaction_table()[["user_id", "item_id"]].itertuples(index=False, name=None))
    assert not heard & set(lists[["user_id", "item_id"]].itertuples(index=False, name=None))
    assert lists["user_id"].nunique() == demo_workspace.interaction_table()["user_id"].nunique()


def test_a_history_of_unknown_users_is_folded_in(demo_workspace, tmp_path):
    ids = demo_workspace.catalog().tracks.ids
    history, out = tmp_path / "h.csv", tmp_path / "o.csv"
    history.write_text(f"user_id,item_id\nnobody,{ids[0]}\nnobody,{ids[1]}\nnobody,not-a-track\n")
    run_recommend(demo_workspace, history=history, out=out, top=3)
    lists = pd.read_csv(out)
    assert list(lists["user_id"]) == ["nobody"] * 3
    assert not set(lists["item_id"]) & {ids[0], ids[1]}


def test_candidates_limit_the_list(demo_workspace, tmp_path):
    ids = demo_workspace.catalog().tracks.ids
    candidates, out = tmp_path / "c.csv", tmp_path / "o.jsonl"
    candidates.write_text("item_id\n" + "\n".join(ids[:6]) + "\n")
    run_recommend(demo_workspace, candidates=candidates, out=out)
    assert set(pd.read_json(out, lines=True)["item_id"]) <= set(ids[:6])
    candidates.write_text("item_id\nx\ny\n")
    with pytest.raises(DataError, match="none of its 2 item ids is in the catalog"):
        run_recommend(demo_workspace, candidates=candidates, out=out)


def test_an_unknown_user_is_named(demo_workspace):
    with pytest.raises(UnknownIdError, match="unknown user 'nobody'"):
        run_recommend(demo_workspace, user="nobody")


def test_similar_takes_a_track_or_a_file(demo_workspace, tmp_path):
    catalog, out = demo_workspace.catalog(), tmp_path / "s.csv"
    similar.run(demo_workspace, catalog.tracks.ids[3], top=4, out=out)
    by_id = pd.read_csv(out)
    similar.run(demo_workspace, catalog.table["path"].iloc[3], top=5, out=out)
    by_file = pd.read_csv(out)
    assert by_file["item_id"].iloc[0] == catalog.tracks.ids[3]
    assert list(by_file["item_id"][1:]) == list(by_id["item_id"])
    with pytest.raises(UnknownIdError, match=r"neither a track of .* nor an audio file"):
        similar.run(demo_workspace, "nothing", top=5, out=None)


def test_embed_gives_a_row_a_clip_and_one_a_track(demo_workspace, tmp_path):
    path = demo_workspace.catalog().table["path"].iloc[0]
    bad = tmp_path / "bad.mp3"
    bad.write_bytes(b"no music")
    out = tmp_path / "e.parquet"
    embed.run([bad, tmp_path / "gone.mp3", type(bad)(path)], out, demo_workspace)
    rows = pd.read_parquet(out)
    assert list(rows.columns) == ["path", "start_s", "embedding"]
    assert rows["start_s"].isna().sum() == 1
    assert all(len(vector) == 32 for vector in rows["embedding"])


def test_export_gives_unit_vectors_and_factors(demo_workspace, tmp_path):
    publish.export(demo_workspace, "embeddings", tmp_path / "e.parquet")
    vectors = np.stack(pd.read_parquet(tmp_path / "e.parquet")["embedding"])
    assert vectors.shape == (36, 32)
    publish.export(demo_workspace, "factors", tmp_path / "f.parquet")
    assert set(pd.read_parquet(tmp_path / "f.parquet")["kind"]) == {"user", "track"}


def test_export_gives_a_signature_of_every_track_that_was_heard(demo_workspace, tmp_path):
    publish.export(demo_workspace, "signature", tmp_path / "s.csv")
    table = pd.read_csv(tmp_path / "s.csv")
    assert list(table["item_id"]) == list(demo_workspace.catalog().tracks.ids)
    assert table["tempo_bpm"].between(40, 240).all()
    assert table["loudness_lufs"].between(-40, -3).all()
    assert set(table["mode"]) <= {"major", "minor"}
    assert table["camelot"].str.fullmatch(r"([1-9]|1[0-2])[AB]").all()


def test_playlists_for_everyone_are_files_and_a_table(demo_workspace, tmp_path):
    playlist_batch.run(demo_workspace, tmp_path, length=6, absolute=True, kinds="discovery")
    table = pd.read_parquet(tmp_path / "playlists.parquet")
    files = sorted(tmp_path.glob("*.m3u8"))
    assert len(files) == table["user_id"].nunique() == len(set(demo_workspace.interaction_table()["user_id"]))
    lines = files[0].read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#EXTM3U"
    paths = [line for line in lines if not line.startswith("#")]
    assert len(paths) == 6
    assert all(path.endswith(".flac") for path in paths)


def test_a_playlist_follows_an_arc_into_every_format(demo_workspace, tmp_path, capsys):
    track = demo_workspace.catalog().tracks.ids[0]
    plain_rules = playlists.Asked(tracks=(track,), length=8)
    rising_rules = playlists.Asked(tracks=(track,), length=8, arc="rising")
    options = {"seed": 0, "name": "Mix", "absolute": None}
    plain = playlists.build(demo_workspace, plain_rules, **options, out=tmp_path / "a.xspf")
    rising = playlists.build(demo_workspace, rising_rules, **options, out=tmp_path / "b.jspf")
    assert sorted(plain.track_ids) == sorted(rising.track_ids)
    assert plain.track_ids != rising.track_ids
    for name, playlist in (("a.xspf", plain), ("b.jspf", rising)):
        entries = read_playlist(tmp_path / name)[1]
        assert [entry.track_id for entry in entries] == list(playlist.track_ids)
        assert all(entry.file.is_file() for entry in entries)
    with pytest.raises(ConfigError, match="arc is 'wild'"):
        playlists.Asked(arc="wild")


def test_a_file_starts_a_playlist_that_it_is_not_in(demo_workspace, capsys):
    catalog = demo_workspace.catalog()
    asked = playlists.Asked(files=(Path(catalog.table["path"][0]),), length=4, max_per_artist=4)
    made = playlists.build(demo_workspace, asked, seed=0, name=None, absolute=None, out=None)
    assert len(made.track_ids) == 4
    assert set(made.track_ids) <= set(catalog.tracks.ids)
    with pytest.raises(DataError, match=r"nowhere\.ogg is not there"):
        playlists.build(
            demo_workspace,
            playlists.Asked(files=(Path("nowhere.ogg"),)),
            seed=0,
            name=None,
            absolute=None,
            out=None,
        )


@pytest.mark.parametrize("text", ["fast", "1-2-3", "-", ""])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(RulesError, match="is no range, expected one like 120-130"):
        playlists.span_of(text)


def test_a_path_leads_from_one_track_to_another(demo_workspace, tmp_path, capsys):
    ids = demo_workspace.catalog().tracks.ids
    options = {"steps": 6, "exclude": (ids[5],), "seed": 0, "name": None, "absolute": None, "out": tmp_path / "p.m3u8"}
    found = playlists.path(demo_workspace, start=ids[0], end=ids[-1], **options)
    assert len(found.rows) == 6
    assert "6 of 6 tracks have a file" in capsys.readouterr().out
    entries = read_playlist(tmp_path / "p.m3u8")[1]
    assert len(entries) == 6
    assert all(entry.file.is_file() for entry in entries)
    with pytest.raises(UnknownIdError, match="nope"):
        playlists.path(demo_workspace, start=ids[0], end="nope", **options)


def test_training_again_gives_the_same_model_and_a_new_bundle(copy, quick):
    before = read_manifest(current_bundle(copy.bundles))
    manifest = train.run(copy, load_settings(copy.folder))
    assert manifest.version != before.version or manifest.data_digest == before.data_digest
    assert {a.file: a.version for a in manifest.artifacts}["cnn.safetensors"] == (
        {a.file: a.version for a in before.artifacts}["cnn.safetensors"]
    )
    publish.use(copy, before.version)
    assert current_bundle(copy.bundles).name == before.version
    with pytest.raises(ArtifactError):
        publish.use(copy, "20000101T000000-nothing")


def test_a_killed_training_leaves_the_old_bundle_current(copy, monkeypatch):
    before = current_bundle(copy.bundles)

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("recommender.serving.bundle.write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        train.run(copy, load_settings(copy.folder))
    assert current_bundle(copy.bundles) == before
    assert len(list_bundles(copy.bundles)) == 1
    run_recommend(copy, user="listener-0000")


def test_what_a_network_learned_from_is_what_the_blend_is_chosen_without(copy, monkeypatch):
    """The network and the inner model see the same plays, and neither sees one that the blend is judged by."""
    from recommender.models import als
    from recommender.ranking import fitting

    def pairs(plays):
        users, tracks = plays.users.ids_of(plays.user_rows), plays.tracks.ids_of(plays.track_rows)
        return set(zip(users, tracks, strict=True))

    learned, judged, fit, choose = [], [], als.fit_als, fitting.set_trial

    def fit_als(plays, *args):
        learned.append(pairs(plays))
        return fit(plays, *args)

    def set_trial(model, split, config):
        judged.append(pairs(split.held_out) | pairs(split.cold))
        return choose(model, split, config)

    monkeypatch.setattr(als, "fit_als", fit_als)
    monkeypatch.setattr(fitting, "fit_als", fit_als)
    monkeypatch.setattr(fitting, "set_trial", set_trial)
    train.run(copy, load_settings(copy.folder))
    for_the_network, for_the_blend, for_the_bundle = learned
    assert for_the_network == for_the_blend < for_the_bundle
    assert judged
    assert all(hidden and not hidden & for_the_network for hidden in judged)


def test_clips_of_other_settings_are_what_a_training_hears(copy):
    settings = copy.folder / "firstlisten.toml"
    settings.write_text(settings.read_text() + "\n[clips]\nclip_s = 5.0\n")
    clips = load_settings(copy.folder).clips
    assert train.read_library(copy, clips).clips is None, "nothing was analysed with these settings yet"
    train.analyse(copy, clips)
    assert train.read_library(copy, clips).clips.mels.shape[2] == clips.n_frames


def test_the_digest_tells_apart_all_that_a_training_sees(demo_workspace):
    from dataclasses import replace

    library = train.read_library(demo_workspace, load_settings(demo_workspace.folder).clips)
    plays, catalog = library.interactions, library.catalog
    later = replace(plays, times=plays.times + np.timedelta64(1, "s"))
    one_artist = replace(catalog, table=catalog.table.assign(artist="one"))
    digests = {
        library.digest,
        replace(library, interactions=later).digest,
        replace(library, catalog=one_artist).digest,
        replace(library, clips=None).digest,
    }
    assert len(digests) == 4


def test_one_seed_is_everywhere(tmp_path):
    settings = load_settings(tmp_path).seeded(7)
    ranker = settings.ranker
    assert {settings.train_cnn.seed, ranker.seed, ranker.als.seed, ranker.prior.seed} == {7}


def test_settings_that_were_asked_for_must_be_there(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        load_settings(tmp_path, tmp_path / "other.toml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[train_cnn]\nepoch = 3\n", "train_cnn.*epoch"),
        ("[ranker.als]\nfactors = 'many'\n", "ranker.als.factors"),
        ("not toml", "is not TOML"),
        ("[clips.mel]\nn_mels = 64\n", "differ"),
    ],
)
def test_settings_that_no_room_knows_are_named(tmp_path, text, says):
    (tmp_path / "firstlisten.toml").write_text(text)
    with pytest.raises(ConfigError, match=says):
        load_settings(tmp_path)


def test_a_bundle_that_is_clearly_worse_does_not_replace_the_current_one(copy):
    from dataclasses import replace

    now = read_manifest(current_bundle(copy.bundles))
    ndcg = publish.held_out_ndcg(now)
    assert 0 < ndcg < 1

    def of(value):
        return replace(now, metrics={"validation": {"mixed": {"blend": {"total": value}}}})

    assert publish.worse_than(of(ndcg * 0.97), now) is None
    assert publish.worse_than(of(ndcg * 0.9), now).startswith("on plays hidden from it")
    assert publish.worse_than(of(0.0), None) is None
    assert publish.worse_than(replace(now, metrics={}), now) is None
