import itertools
from dataclasses import replace

import numpy as np
import pytest

from recommender.synthetic.composition import compose, lead_voices, step_s
from recommender.synthetic.plans import ENDING_S, draw_signature, plan_track
from recommender.synthetic.styles import MODES, STYLES

BY_NAME = {style.name: style for style in STYLES}


def plan_of(style, seed=5, longest_s=26.0):
    rng = np.random.default_rng(seed)
    return plan_track(style, draw_signature(style, rng), longest_s, 0.0, -16.0, rng)


def score_of(plan):
    return compose(plan, np.random.default_rng(plan.seed))


def test_chords_worked_by_hand():
    """C major, I V vi IV: C E G, G B D, A C E, F A C; each voice goes to the nearest tone."""
    plan = replace(plan_of(BY_NAME["piano ballad"]), key=0, mode="major", progression=(0, 4, 5, 3))
    voicings = lead_voices(plan, [0, 4, 5, 3])
    assert [sorted(p % 12 for p in v) for v in voicings] == [[0, 4, 7], [2, 7, 11], [0, 4, 9], [0, 5, 9]]
    moves = [sum(abs(a - b) for a, b in zip(v, w, strict=True)) for v, w in itertools.pairwise(voicings)]
    assert moves == [3, 5, 1]


def test_jazz_goes_from_two_to_five_to_one():
    """In C: D minor 9, G 9, C major 9, each without its root."""
    plan = replace(plan_of(BY_NAME["jazz trio"]), key=0, mode="major")
    voicings = lead_voices(plan, [1, 4, 0])
    assert [sorted(p % 12 for p in v) for v in voicings] == [[0, 4, 5, 9], [2, 5, 9, 11], [2, 4, 7, 11]]


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_voices_move_little_and_stay_in_their_register(style):
    for seed in range(4):
        voicings = score_of(plan_of(style, seed)).voicings
        for before, after in itertools.pairwise(voicings):
            assert np.mean(np.abs(np.subtract(before, after))) <= 4
        assert all(abs(np.mean(v) - style.chord_centre) <= 7 for v in voicings)
        assert all(list(v) == sorted(v) and len(set(v)) == len(v) for v in voicings)


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_melodies_keep_to_the_key_move_by_steps_and_play_one_note_at_a_time(style):
    leaps, notes = 0, 0
    for seed in range(4):
        plan = plan_of(style, seed)
        lead = score_of(plan).lead
        inside = {(plan.key + step) % 12 for step in MODES[plan.mode]}
        assert {note.pitch % 12 for note in lead} <= inside
        leaps += sum(abs(b.pitch - a.pitch) > 7 for a, b in itertools.pairwise(lead))
        notes += len(lead)
        for before, after in itertools.pairwise(lead):
            assert after.at_s > before.at_s - 0.1
    assert notes > 12
    assert leaps < 0.25 * notes


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_the_bass_is_low_and_on_the_root_at_the_bar(style):
    plan = plan_of(style)
    roots = {(plan.key + MODES[plan.mode][degree]) % 12 for degree in plan.progression} | {plan.key}
    bass = score_of(plan).bass
    assert all(26 <= note.pitch <= 60 for note in bass)
    on_bar = [n for n in bass if abs(n.at_s / plan.bar_s - round(n.at_s / plan.bar_s)) < 0.02]
    assert on_bar or style.name == "house"
    assert all(note.pitch % 12 in roots for note in on_bar)


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_a_track_has_a_form_and_comes_to_an_end(style):
    plan = plan_of(style)
    score = score_of(plan)
    end = plan.bars * plan.bar_s
    assert plan.length_s == pytest.approx(end + ENDING_S)
    assert 26.0 - 240 / style.tempo_bpm[0] < plan.length_s <= 26.0
    parts = (score.chords, score.bass, score.lead, score.layer)
    assert all(0 <= note.at_s <= end + 0.3 for part in parts for note in part)
    closing = [note.pitch for note in score.bass if note.at_s == end]
    assert [pitch % 12 for pitch in closing] == [plan.key]
    assert all(0 <= strike.at_s <= end + 0.1 for strike in score.drums)


def test_swing_delays_the_second_eighth():
    """120 bpm, 0.64: the second eighth of a beat of 0.5 s comes at 0.32 s; straight, at 0.25 s."""
    jazz, straight = BY_NAME["jazz trio"], BY_NAME["chiptune"]
    for style, wanted in ((jazz, 0.32), (straight, 0.25)):
        plan = replace(plan_of(style), tempo_bpm=120.0)
        plan = replace(plan, signature=replace(plan.signature, swing=0.0))
        assert step_s(plan, 0, 2) == pytest.approx(wanted)
        assert [step_s(plan, 1, step) for step in (0, 4, 16)] == pytest.approx([2.0, 2.5, 4.0])
        assert np.all(np.diff([step_s(plan, 0, step) for step in range(17)]) > 0)


def test_players_are_human_and_machines_are_not():
    def spread(name):
        plan = plan_of(BY_NAME[name])
        at = np.array([strike.at_s for strike in score_of(plan).drums if strike.piece == "kick"])
        grid = np.array([step_s(plan, bar, step) for bar in range(plan.bars + 1) for step in range(16)])
        return max(np.abs(grid - t).min() for t in at)

    assert spread("chiptune") == 0
    assert 0.0005 < spread("bossa") < 0.03


def test_tracks_of_one_artist_are_alike_and_not_the_same():
    style, rng = BY_NAME["folk"], np.random.default_rng(2)
    signature = draw_signature(style, rng)
    tracks = [plan_track(style, signature, 26.0, 0.0, -16.0, rng) for _ in range(12)]
    anyone = [plan_of(style, seed) for seed in range(12)]
    assert np.std([t.tempo_bpm for t in tracks]) < np.std([t.tempo_bpm for t in anyone])
    assert np.std([t.signature.touch.brightness for t in tracks]) < np.std(
        [t.signature.touch.brightness for t in anyone]
    )
    assert {t.key for t in tracks} <= set(signature.keys)
    assert len({t.seed for t in tracks}) == 12
