import numpy as np
import pytest

from recommender.audio.signatures import Signature, Signatures
from recommender.data.embeddings import Embeddings
from recommender.data.vocabulary import Vocabulary
from recommender.errors import ConfigError
from recommender.playlists.energy import ARC_WEIGHT, ARCS, arc_heights, energies, placing
from recommender.playlists.flow import fit_scale, flow_of, jumps, terms, transitions
from recommender.ranking.sound import place_sound


def signature(tempo=120.0, tonic=0, mode="major", loudness=-14.0, brightness=2000.0, density=3.0, sure=1.0):
    return Signature(tempo, sure, 60.0, tonic, mode, sure, loudness, sure, brightness, sure, density, sure, 0.5, sure)


def signed(*found):
    return Signatures.of(found)


def flow_with(*found):
    return flow_of(None, signed(*found), np.arange(len(found)))


@pytest.mark.parametrize(
    ("tempos", "octaves"),
    [((120, 120), 0), ((60, 120), 0), ((240, 60), 0), ((100, 150), np.log2(4 / 3)), ((90, 100), np.log2(10 / 9))],
)
def test_tempo_jumps_do_not_mind_octaves(tempos, octaves):
    found = jumps(flow_with(*(signature(tempo=float(tempo)) for tempo in tempos)))
    assert found[1, 0, 1] == found[1, 1, 0] == pytest.approx(octaves, abs=1e-6)


@pytest.mark.parametrize(
    ("one", "other", "steps"),
    [
        ((0, "major"), (0, "major"), 0),  # 8B, 8B
        ((0, "major"), (9, "minor"), 1),  # 8B, 8A: the relative minor
        ((0, "major"), (7, "major"), 1),  # 8B, 9B: the dominant
        ((0, "major"), (5, "major"), 1),  # 8B, 7B
        ((4, "major"), (11, "major"), 1),  # 12B, 1B: around the wheel
        ((0, "major"), (4, "minor"), 2),  # 8B, 9A
        ((0, "major"), (0, "minor"), 4),  # 8B, 5A
        ((0, "major"), (6, "major"), 6),  # 8B, 2B: the far side
        ((0, "major"), (3, "minor"), 7),  # 8B, 2A
    ],
)
def test_key_jumps_are_steps_on_the_camelot_wheel(one, other, steps):
    found = jumps(flow_with(*(signature(tonic=tonic, mode=mode) for tonic, mode in (one, other))))
    assert found[2, 0, 1] == found[2, 1, 0] == steps


def test_loudness_jumps_are_capped():
    found = jumps(flow_with(signature(loudness=-10), signature(loudness=-14.5), signature(loudness=-70)))
    assert found[3, 0].tolist() == [0, 4.5, 12]


def test_sound_is_from_the_end_of_one_track_to_the_start_of_the_next():
    east, north = np.eye(2, dtype=np.float32)
    tracks = Vocabulary("track", ("a", "b", "c"))
    embeddings = Embeddings(
        tracks,
        np.array([east + north, north, east]) / np.array([[np.sqrt(2)], [1], [1]], dtype=np.float32),
        np.stack([east, north, north]),
        np.array([0, 0, 1], dtype=np.int32),
        np.array([0, 20, 3], dtype=np.float32),
        "v",
    )
    sound = place_sound(embeddings, tracks)
    flow = flow_of(sound, None, np.array([2, 0, 1]))
    units = {row: sound.clip_vectors[sound.clip_tracks == row] for row in (0, 1)}
    assert flow.starts.tolist() == [sound.vectors[2].tolist(), units[0][0].tolist(), units[1][0].tolist()]
    assert flow.ends.tolist() == [sound.vectors[2].tolist(), units[0][1].tolist(), units[1][0].tolist()]
    found = jumps(flow)[0]
    assert found[1, 2] == pytest.approx(1 - float(units[0][1] @ units[1][0]), abs=1e-6)
    assert found[2, 1] == pytest.approx(1 - float(units[1][0] @ units[0][0]), abs=1e-6)
    assert found[1, 2] < found[2, 1]
    assert np.isnan(jumps(flow)[1:]).all()


def library(n=60):
    rng = np.random.default_rng(1)
    return signed(
        *(
            signature(float(rng.uniform(60, 180)), int(rng.integers(12)), "minor", float(rng.normal(-14, 3)))
            for _ in range(n)
        )
    )


def test_over_a_library_every_term_has_mean_0_and_deviation_1():
    signatures = library()
    scale = fit_scale(None, signatures, len(signatures))
    found = terms(flow_of(None, signatures, np.arange(60)), scale)[:, ~np.eye(60, dtype=bool)]
    assert found.mean(axis=1) == pytest.approx([0, 0, 0, 0], abs=1e-9)
    assert found.std(axis=1) == pytest.approx([0, 1, 1, 1], abs=1e-9)


def test_what_is_unknown_or_unsure_is_ordinary():
    signatures = library()
    scale = fit_scale(None, signatures, len(signatures))
    sure, half, not_at_all = (flow_with(signature(sure=sure), signature(sure=1.0)) for sure in (1.0, 0.5, 0.0))
    cost = [transitions(flow, scale)[0, 1] for flow in (sure, half, not_at_all)]
    assert cost[0] < 0
    assert cost[1] == pytest.approx(cost[0] / 2)
    assert cost[2] == 0
    assert transitions(flow_with(signature(), None), scale).tolist()[0][1] == 0
    assert (
        transitions(flow_of(None, None, np.arange(3)), fit_scale(None, None, 3)).tolist() == np.zeros((3, 3)).tolist()
    )


def test_weights_are_the_terms_shares():
    signatures = library()
    scale, flow = fit_scale(None, signatures, 60), flow_of(None, signatures, np.arange(9))
    assert transitions(flow, scale, (0, 0, 2, 0)) == pytest.approx(2 * terms(flow, scale)[2])


def test_energy_is_louder_faster_denser_brighter():
    signatures = signed(
        signature(90, loudness=-20, density=1, brightness=900),
        signature(180, loudness=-8, density=8, brightness=4000),
        signature(120, loudness=-14, density=3, brightness=2000),
        None,
        signature(180, loudness=-8, density=8, brightness=4000, sure=0.5),
    )
    found = energies(signatures, np.arange(5))
    assert found[0] < found[2] < found[1]
    assert found[4] == pytest.approx(found[1] / 2)
    assert np.isnan(found[3])
    for field, value in (("loudness", -8.0), ("tempo", 180.0), ("density", 8.0), ("brightness", 4000.0)):
        more = energies(signed(signature(), signature(**{field: value})), np.arange(2))
        assert more[1] > more[0]


def test_arcs():
    assert arc_heights("rising", 5).tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert arc_heights("falling", 5).tolist() == [1, 0.75, 0.5, 0.25, 0]
    peak = arc_heights("peak", 21)
    assert peak.argmax() == 13
    assert (np.diff(peak)[:13] > 0).all()
    assert (np.diff(peak)[13:] < 0).all()
    flat = arc_heights("flat", 32)
    assert np.allclose([flat[start : start + 8].mean() for start in range(25)], 0.5)
    with pytest.raises(ConfigError, match="'wild', expected one of none, flat, rising"):
        arc_heights("wild", 4)


@pytest.mark.parametrize("arc", [arc for arc in ARCS if arc != "none"])
def test_a_place_wants_the_energy_that_the_arc_has_there(arc):
    energy = np.array([0.3, -1.0, 2.0, 0.9, -0.2, 0.0, 1.1])
    cost = placing(energy, arc)
    best = np.argsort(arc_heights(arc, 7), kind="stable")
    order = np.empty(7, dtype=int)
    order[best] = np.argsort(energy)
    assert cost[order, np.arange(7)] == pytest.approx(np.zeros(7))
    assert cost[2, best[0]] == pytest.approx(ARC_WEIGHT * 9 / energy.var())


def test_without_an_arc_or_without_energies_places_are_all_alike():
    assert placing(np.array([1.0, 2.0]), "none") is None
    assert placing(np.array([np.nan, np.nan]), "rising") is None
    assert placing(np.array([]), "rising") is None
    assert placing(np.array([1.0, np.nan, 0.0]), "rising")[1].tolist() == [0, 0, 0]
    assert placing(np.array([1.0, 1.0]), "rising").tolist() == [[0, 0], [0, 0]]
