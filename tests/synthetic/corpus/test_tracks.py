from dataclasses import replace

import librosa
import numpy as np
import pytest

from recommender.synthetic.corpus.artists import album_record, draw_artist
from recommender.synthetic.corpus.effects import CEILING, loudness_db
from recommender.synthetic.corpus.harmony import SCALES, VOCABULARIES, VOICINGS, draw_progression
from recommender.synthetic.corpus.kinds import KINDS
from recommender.synthetic.corpus.patches import FAMILIES, PROGRAMS
from recommender.synthetic.corpus.rendering import render_track, render_windows
from recommender.synthetic.corpus.rhythm import BEATS, FIGURES, METERS, draw_beat, figure
from recommender.synthetic.corpus.scores import score
from recommender.synthetic.corpus.tracks import draw_track
from recommender.synthetic.corpus.truth import window_truth
from recommender.synthetic.instruments import SAMPLE_RATE_HZ


def drawn(seed, wanted=lambda track: True, length_s=None):
    """The first track from a seed on that is as wanted."""
    for number in range(400):
        rng = np.random.default_rng([seed, number])
        track = draw_track(draw_artist(rng), rng, length_s=length_s)
        if wanted(track):
            return track
    raise AssertionError("no such track in 400")


def beaten(track):
    """A section of 12 s with drums."""
    long = (section for section in track.sections if section.bars * track.bar_s >= 12)
    return next((section for section in long if section.material.beat), None)


def test_kinds_name_what_there_is():
    for kind in KINDS:
        assert set(kind.scales) <= set(SCALES), kind.name
        assert set(kind.vocabularies) <= set(VOCABULARIES), kind.name
        assert set(kind.voicings) <= set(VOICINGS), kind.name
        assert set(kind.beats) <= set(BEATS), kind.name
        assert set(kind.meters) <= set(METERS), kind.name
        assert kind.figures in FIGURES, kind.name
        assert {group for _, groups in kind.roles.values() for group in groups} <= set(PROGRAMS), kind.name


@pytest.mark.parametrize("meter", METERS)
def test_beats_and_figures_stay_inside_the_bar(meter):
    rng = np.random.default_rng(0)
    steps = METERS[meter].steps
    for flavour in BEATS:
        strokes = draw_beat(flavour, METERS[meter], 0.8, rng).strokes
        assert strokes
        assert all(0 <= step < steps for _, step, _, _ in strokes)
    for name in {name for names in FIGURES.values() for name in names}:
        assert all(0 <= step < steps and length > 0 for step, length, _ in figure(name, METERS[meter], 0.5, rng))


def test_chords_belong_to_their_scale():
    rng = np.random.default_rng(1)
    for vocabulary in ("loop", "jazz", "wander", "pair"):
        for chord in draw_progression(vocabulary, "dorian", "seventh", rng):
            assert set(chord.tones) <= set(SCALES["dorian"])
            assert len(chord.tones) == 4


def test_a_track_without_drums_has_no_stroke_and_one_with_drums_has():
    without, with_drums = (drawn(2, lambda track, has=has: track.has_drums == has) for has in (False, True))
    assert not any(score(without, start, 10.0).strokes for start in np.arange(0, without.length_s, 10))
    assert any(score(with_drums, start, 10.0).strokes for start in np.arange(0, with_drums.length_s, 10))
    assert "drums" in with_drums.families
    assert "drums" not in without.families


def test_the_truth_of_a_window_is_what_its_notes_say():
    track = drawn(3, lambda track: track.has_drums and len(track.voices) > 3)
    rows = window_truth(track, [20.0, 50.0], 10.0)
    for row, start in zip(rows, (20.0, 50.0), strict=True):
        window = score(track, start, 10.0)
        playing = {voice.patch.family for voice, part in zip(track.voices, window.parts, strict=True) if part}
        playing |= {"drums"} if window.strokes else set()
        assert {family for family, here in zip(FAMILIES, row["families"], strict=True) if here} == playing
        assert all(here <= anywhere for here, anywhere in zip(row["families"], row["track_families"], strict=True))
        assert row["tempo_bpm"] == track.tempo_bpm
        assert row["minor"] == (3 in SCALES[track.scale])
        assert 0 < row["density"] < 40


def test_windows_of_a_track_overlap_as_one_recording():
    track = drawn(4, lambda track: len(track.voices) > 2)
    early, late = score(track, 30.0, 10.0), score(track, 32.0, 10.0)
    for one, other in zip(early.parts, late.parts, strict=True):
        shared = {(round(note.at_s - 2, 6), note.pitch) for note in one if note.at_s >= 2}
        assert shared == {(round(note.at_s, 6), note.pitch) for note in other if 0 <= note.at_s < 8}


def test_sections_differ_and_fill_the_track():
    track = drawn(5, length_s=120.0)
    assert track.length_s == pytest.approx(120, abs=0.6 * track.bar_s)
    ends = [section.first_bar + section.bars for section in track.sections]
    assert [section.first_bar for section in track.sections] == [0, *ends[:-1]]
    assert len({section.material.loops for section in track.sections}) > 1


def test_albums_of_an_artist_are_near_each_other_but_not_the_same():
    artist = draw_artist(np.random.default_rng(6))
    first, second = album_record(artist, 0), album_record(artist, 1)
    assert first == album_record(artist, 0)
    assert first != second
    assert abs(first.loudness - second.loudness) < 12


def test_windows_can_be_heard_without_harm(fonts):
    for seed in range(8):
        track = drawn(10 + seed)
        sound = render_windows(track, [5.0, 40.0], 3.0, fonts)
        assert sound.shape == (2, 3 * SAMPLE_RATE_HZ)
        assert sound.dtype == np.float32
        assert np.all(np.isfinite(sound))
        assert 0.005 < np.abs(sound).max() <= CEILING + 1e-6
        heard = 10 * np.log10(np.mean(10 ** (loudness_db(sound) / 10)))
        assert track.record.loudness - 8 < heard < track.record.loudness + 3, "limiting takes, the medium's noise adds"


def test_the_same_track_gives_the_same_samples_whatever_was_rendered_before(fonts):
    track = drawn(20)
    first = render_windows(track, [10.0], 2.0, fonts)
    render_windows(drawn(21), [10.0], 2.0, fonts)
    assert np.array_equal(render_windows(track, [10.0], 2.0, fonts), first)
    other = replace(track, seed=track.seed + 1)
    assert not np.array_equal(render_windows(other, [10.0], 2.0, fonts), first)


def test_a_whole_track_is_as_long_as_its_bars(fonts):
    track = drawn(22, length_s=20.0)
    assert len(render_track(track, fonts)) == int(track.length_s * SAMPLE_RATE_HZ)


def test_the_tempo_that_is_heard_is_the_one_of_the_truth(fonts):
    """By the autocorrelation of onsets at two and four beats, against lags between."""
    right, seeds = 0, (30, 31, 32, 33, 34, 35)
    for seed in seeds:
        track = drawn(
            seed,
            lambda track: track.has_drums and track.meter.beat == 4 and track.meter.steps == 16
            and not track.artist.rubato and beaten(track) is not None,
        )  # fmt: skip
        (sound,) = render_windows(track, [beaten(track).first_bar * track.bar_s], 12.0, fonts)
        onset = librosa.onset.onset_strength(y=sound, sr=SAMPLE_RATE_HZ, hop_length=256)
        onset = onset - onset.mean()
        similarity = np.correlate(onset, onset, "full")[len(onset) - 1 :]
        beat = 60 / track.tempo_bpm * SAMPLE_RATE_HZ / 256

        def at(factor, similarity=similarity, beat=beat):
            lag = round(factor * beat)
            return similarity[lag - 2 : lag + 3].max() / similarity[0]

        right += max(at(2), at(4)) > 1.5 * np.mean([at(factor) for factor in (1.38, 1.62, 2.38, 3.38)])
    assert right >= len(seeds) - 1
