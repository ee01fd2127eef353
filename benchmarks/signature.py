"""How right a track's signature is, against plain librosa on the same clips, and what it costs.

Run from the repository::

    python benchmarks/signature.py [--per-style 20] [--seed 3] [--no-librosa]

Tracks of every style are generated and heard as `read_clips` hears a file: three clips of 10 s. Tempo: *right* within
4 %, *but for octaves* with a half, a third, twice and three times the tempo counted as right. Key: a mode counts as
major or minor by its third; *MIREX* gives 1 for the key, .5 for a fifth beside it, .3 for the relative and .2 for the
parallel key; *mixes* is the key, the fifths and the relative: the neighbours on the Camelot wheel. Loudness: against
FFmpeg's ebur128 on the same samples. Density: rank correlation with the onsets that were composed. Baselines:
``librosa.feature.tempo`` of the mean over clips, ``librosa.beat.beat_track`` of each clip, their median, and
``chroma_cqt`` with Krumhansl's profiles. CPU time is of this process, without what librosa compiles at first.
Ends with 1 if a figure is below what it should be.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from recommender.audio.clips import ClipConfig, clip_starts
from recommender.audio.descriptors import describe
from recommender.audio.signatures import Signature
from recommender.synthetic.composition import compose
from recommender.synthetic.instruments import SAMPLE_RATE_HZ
from recommender.synthetic.music import render
from recommender.synthetic.plans import TrackPlan, draw_signature, plan_track
from recommender.synthetic.styles import MODES, STYLES

FACTORS = (1.0, 2.0, 0.5, 3.0, 1 / 3)
SAME = 0.04
LEAST = {"tempo right": 0.7, "tempo but for octaves": 0.93, "key mixes": 0.75, "surer half's tempo ahead": 0.1}
MOST_LUFS_OFF, MOST_MS = 0.1, 60.0
KRUMHANSL = (
    (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
)
Clip = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Heard:
    """A generated track: its plan, its clips, and how many onsets a second were composed in them."""

    plan: TrackPlan
    clips: list[Clip]
    density_hz: float


def generate(per_style: int, seed: int) -> list[Heard]:
    """Render tracks of 40 to 75 s and cut their clips."""
    config, tracks = ClipConfig(), []
    for number, style in enumerate(STYLES):
        for take in range(per_style):
            rng = np.random.default_rng([seed, number, take])
            hand, length_s = draw_signature(style, rng), float(rng.uniform(40, 75))
            plan = plan_track(style, hand, length_s, float(rng.normal(0, 2)), float(rng.uniform(-20, -9)), rng)
            sound = render(plan)
            starts_s = clip_starts(len(sound) / SAMPLE_RATE_HZ, config)
            firsts = [int(start * SAMPLE_RATE_HZ) for start in starts_s]
            clips = [sound[first : first + config.n_samples] for first in firsts]
            score = compose(plan, np.random.default_rng(plan.seed))
            struck = score.drums if plan.drums else ()
            times = np.sort([each.at_s for each in (*score.chords, *score.bass, *score.lead, *struck)])
            tracks.append(Heard(plan, clips, float(np.mean([_density(times, s, config.clip_s) for s in starts_s]))))
    return tracks


def _density(times: npt.NDArray[np.float64], start_s: float, clip_s: float) -> float:
    inside = times[(times >= start_s) & (times < start_s + clip_s)]
    return float(len(inside) > 0) / clip_s + float(np.sum(np.diff(inside) > 0.03)) / clip_s


def timed(function: Callable[[list[Clip]], object], tracks: list[Heard]) -> tuple[list[object], float]:
    """Return what a function says of each track's clips, and its CPU time a track in ms."""
    function(tracks[0].clips)
    began = time.process_time()
    found = [function(track.clips) for track in tracks]
    return found, (time.process_time() - began) / len(tracks) * 1000


def tempo_figures(found: npt.NDArray[np.float64], truth: npt.NDArray[np.float64]) -> tuple[Bools, Bools]:
    """Return which tempi are right, and which are but for an octave."""
    off = np.abs(found / truth / np.array(FACTORS)[:, None] - 1) <= SAME
    return off[0], off.any(axis=0)


def key_figures(found: npt.NDArray[np.int64], truth: npt.NDArray[np.int64]) -> dict[str, Bools]:
    """Return which keys are exact, a fifth beside, relative or parallel; keys are tonic + 12 for minor."""
    up, same_mode = (found - truth) % 12, found // 12 == truth // 12
    relative = np.where(truth < 12, 9, 3)
    return {
        "exact": same_mode & (up == 0),
        "fifth": same_mode & ((up == 5) | (up == 7)),
        "relative": ~same_mode & (up == relative),
        "parallel": ~same_mode & (up == 0),
        "mode": same_mode,
    }


def mirex(figures: dict[str, Bools]) -> float:
    """Return the weighted score of the MIREX audio key task."""
    return float(
        np.mean(
            figures["exact"] + 0.5 * figures["fifth"] + 0.3 * figures["relative"] + 0.2 * figures["parallel"], axis=0
        )
    )


def ffmpeg_lufs(clips: list[Clip]) -> float:
    """Return the integrated loudness by FFmpeg's ebur128 of the clips, played one after the other."""
    graph = av.filter.Graph()
    source = graph.add_abuffer(
        sample_rate=SAMPLE_RATE_HZ, format="flt", layout="mono", time_base=Fraction(1, SAMPLE_RATE_HZ)
    )
    meter, sink = graph.add("ebur128", "metadata=1"), graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    sound = np.concatenate(clips)[None]
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), format="flt", layout="mono")
    frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, 0
    graph.push(frame)
    graph.push(None)
    last = float("nan")
    while True:
        try:
            told = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return last
        last = float(told.metadata.get("lavfi.r128.I", last))


def librosa_baselines() -> dict[str, Callable[[list[Clip]], object]]:
    """Return plain librosa's ways to a tempo and to a key."""
    import librosa

    profiles = np.array([np.roll(profile, tonic) for profile in KRUMHANSL for tonic in range(12)])

    def tempo(clips: list[Clip]) -> float:
        return float(np.mean([librosa.feature.tempo(y=clip, sr=SAMPLE_RATE_HZ)[0] for clip in clips]))

    def beats(clips: list[Clip]) -> float:
        return float(np.median([np.squeeze(librosa.beat.beat_track(y=clip, sr=SAMPLE_RATE_HZ)[0]) for clip in clips]))

    def key(clips: list[Clip]) -> int:
        chroma = np.mean([librosa.feature.chroma_cqt(y=clip, sr=SAMPLE_RATE_HZ).mean(axis=1) for clip in clips], axis=0)
        return int(np.argmax([np.corrcoef(chroma, profile)[0, 1] for profile in profiles]))

    return {"librosa.feature.tempo": tempo, "librosa.beat.beat_track": beats, "chroma_cqt + Krumhansl": key}


def halves(confidence: list[float], right: Bools) -> tuple[float, float]:
    """Return the share right of the less sure half and of the surer one."""
    order = np.argsort(confidence, kind="stable")
    return float(right[order[: len(order) // 2]].mean()), float(right[order[len(order) // 2 :]].mean())


def main() -> int:
    """Generate, describe, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-style", type=int, default=20)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--no-librosa", action="store_true", help="leave the baselines out; they take most of the time")
    args = parser.parse_args()
    tracks = generate(args.per_style, args.seed)
    tempi = np.array([track.plan.tempo_bpm for track in tracks])
    keys = np.array([track.plan.key + 12 * (MODES[track.plan.mode][2] == 3) for track in tracks])
    told, ms = timed(lambda clips: describe(clips, SAMPLE_RATE_HZ), tracks)
    found = [each for each in told if isinstance(each, Signature)]
    right, octaves = tempo_figures(np.array([each.tempo_bpm for each in found]), tempi)
    with_rival = right | tempo_figures(np.array([each.rival_bpm for each in found]), tempi)[0]
    ours = np.array([each.tonic + 12 * (each.mode == "minor") for each in found])
    figures = key_figures(ours, keys)
    proper = np.array([track.plan.mode in ("major", "minor") for track in tracks])

    print(f"{len(tracks)} generated tracks, {args.per_style} a style\n")
    print(f"{'tempo':28}{'right':>9}{'but for octaves':>17}{'CPU ms':>9}")
    print(f"{'signature (all of it)':28}{right.mean():9.3f}{octaves.mean():17.3f}{ms:9.1f}")
    print(f"{'  or its rival tempo':28}{with_rival.mean():9.3f}")
    baselines = {} if args.no_librosa else {name: timed(f, tracks) for name, f in librosa_baselines().items()}
    for name, (values, cost) in baselines.items():
        if "Krumhansl" not in name:
            a, b = tempo_figures(np.array(values, dtype=float), tempi)
            print(f"{name:28}{a.mean():9.3f}{b.mean():17.3f}{cost:9.1f}")
    print(f"\n{'key':28}{'exact':>9}{'fifth':>9}{'relative':>9}{'MIREX':>9}{'mixes':>9}{'mode':>9}{'CPU ms':>9}")
    rows = [("signature", figures, ms)]
    for name, (values, cost) in baselines.items():
        if "Krumhansl" in name:
            rows.append((name, key_figures(np.array(values), keys), cost))
    rows.append(("  major and minor proper", {k: v[proper] for k, v in figures.items()}, ms))
    for name, each, cost in rows:
        mixes = each["exact"] | each["fifth"] | each["relative"]
        shares = [each["exact"].mean(), each["fifth"].mean(), each["relative"].mean(), mirex(each), mixes.mean()]
        print(f"{name:28}" + "".join(f"{share:9.3f}" for share in (*shares, each["mode"].mean())) + f"{cost:9.1f}")

    mixes = figures["exact"] | figures["fifth"] | figures["relative"]
    print(f"\n{'style':28}{'tempo':>9}{'octaves':>9}{'key':>9}{'mixes':>9}")
    for style in STYLES:
        of = np.array([track.plan.style.name == style.name for track in tracks])
        print(
            f"{style.name:28}"
            + "".join(f"{each[of].mean():9.2f}" for each in (right, octaves, figures["exact"], mixes))
        )

    tempo_halves = halves([each.tempo_confidence for each in found], right)
    key_halves = halves([each.key_confidence for each in found], figures["exact"])
    print("\nshare right of the less sure half and of the surer half, and the mean confidence")
    print(
        f"tempo {tempo_halves[0]:.3f} {tempo_halves[1]:.3f}, {np.mean([each.tempo_confidence for each in found]):.3f}"
    )
    print(f"key   {key_halves[0]:.3f} {key_halves[1]:.3f}, {np.mean([each.key_confidence for each in found]):.3f}")
    off = np.array([each.loudness_lufs - ffmpeg_lufs(track.clips) for each, track in zip(found, tracks, strict=True)])
    print(f"\nloudness against ebur128: median {np.median(np.abs(off)):.3f} LU off, at most {np.abs(off).max():.3f}")
    rho = spearmanr([each.density_hz for each in found], [track.density_hz for track in tracks])[0]
    print(f"density against the score: rank correlation {rho:.3f}")

    reached = {
        "tempo right": right.mean(),
        "tempo but for octaves": octaves.mean(),
        "key mixes": mixes.mean(),
        "surer half's tempo ahead": tempo_halves[1] - tempo_halves[0],
    }
    failed = [f"{name} {reached[name]:.3f} < {least}" for name, least in LEAST.items() if reached[name] < least]
    failed += (
        [f"loudness {np.abs(off).max():.2f} LU off > {MOST_LUFS_OFF}"] if np.abs(off).max() > MOST_LUFS_OFF else []
    )
    failed += [f"{ms:.0f} ms > {MOST_MS:.0f}"] if ms > MOST_MS else []
    print("\n" + ("; ".join(failed) if failed else "as it should be"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
