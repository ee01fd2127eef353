"""From a track to sound: play the parts of a few windows, mix them, make the record."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import fft

from recommender.synthetic.corpus import effects
from recommender.synthetic.corpus.artists import Insert
from recommender.synthetic.corpus.kits import strike
from recommender.synthetic.corpus.scores import Score, score
from recommender.synthetic.corpus.soundfont import SoundFont
from recommender.synthetic.corpus.synth import Player
from recommender.synthetic.corpus.tracks import Track
from recommender.synthetic.instruments import SAMPLE_RATE_HZ, Waveform

BEFORE_S = 1.6
"""What is played before a window, so that it begins in the middle of music."""

_LEVELS_DB = {"chords": -3.0, "second": -6.0, "pad": -8.0, "bass": 0.0, "lead": -1.0, "counter": -5.0, "riff": -4.0}


def window_starts(track: Track, count: int, length_s: float, rng: np.random.Generator) -> list[float]:
    """Spread windows over a track: one in each of `count` equal stretches, at a random place."""
    room = max(0.0, track.length_s - length_s)
    stretch = room / count
    return [float(stretch * (i + rng.uniform(0.05, 0.95))) for i in range(count)]


def render_track(track: Track, fonts: Sequence[SoundFont]) -> Waveform:
    """Render a whole track.

    Returns
    -------
    ndarray, shape (n_samples,), float32
        Mono at `SAMPLE_RATE_HZ`, no sample above `effects.CEILING`.
    """
    (sound,) = render_windows(track, [0.0], track.length_s, fonts)
    return np.asarray(sound)


def render_windows(track: Track, starts_s: Sequence[float], length_s: float, fonts: Sequence[SoundFont]) -> Waveform:
    """Render windows of a track as parts of the same recording.

    Parameters
    ----------
    track : Track
    starts_s : sequence of float
    length_s : float
        Of each window.
    fonts : sequence of SoundFont
        Each artist plays one of them.

    Returns
    -------
    ndarray, shape (n_windows, n_samples), float32
        Mono at `SAMPLE_RATE_HZ`, no sample above `effects.CEILING`.
    """
    kept = int(length_s * SAMPLE_RATE_HZ)
    before = int(BEFORE_S * SAMPLE_RATE_HZ)
    n = fft.next_fast_len(before + kept + SAMPLE_RATE_HZ // 10, real=True)
    scores = [score(track, start - BEFORE_S, n / SAMPLE_RATE_HZ) for start in starts_s]
    font = fonts[int(track.artist.font * len(fonts))]
    rng = np.random.default_rng([track.seed, 1])
    sound = _mix(track, scores, n, font, rng)
    return np.ascontiguousarray(_record(track, sound, rng)[:, before : before + kept])


def _mix(track: Track, scores: Sequence[Score], n: int, font: SoundFont, rng: np.random.Generator) -> Waveform:
    hz = fft.rfftfreq(n, 1 / SAMPLE_RATE_HZ).astype(np.float32)
    shape = (len(scores), len(hz))
    music, send, repeated = (np.zeros(shape, dtype=np.complex64) for _ in range(3))
    for place, voice in enumerate(track.voices):
        part = _play(track, place, scores, n, font, rng)
        if not part.any():
            continue
        level_db = _LEVELS_DB[voice.role] + voice.insert.level_db
        heard = _through(part, voice.insert, level_db, hz, rng)
        music += heard
        send += np.float32(voice.insert.send) * heard
        repeated += np.float32(voice.insert.echo) * heard
    struck = np.zeros(shape, dtype=np.complex64)
    if track.kit is not None:
        hits = np.stack([strike(track.kit, each.strokes, n, font) for each in scores])
        if hits.any():
            struck = _through(hits, track.artist.drum_insert, 1.0 + track.artist.drum_insert.level_db, hz, rng)
            send += np.float32(track.artist.drum_insert.send) * struck
    if repeated.any():
        heard = repeated * fft.rfft(effects.echo(track.record, 60 / track.tempo_bpm, n))
        music += heard
        send += np.float32(0.4) * heard
    music += np.float32(track.record.wet) * send * fft.rfft(effects.reverb(track.record, n, rng))
    sound = np.asarray(fft.irfft(music, n), dtype=np.float32)
    sound = _shaped_in_time(track, scores, music, sound, hz)
    return sound + np.asarray(fft.irfft(struck, n), dtype=np.float32) if struck.any() else sound


def _play(
    track: Track, place: int, scores: Sequence[Score], n: int, font: SoundFont, rng: np.random.Generator
) -> Waveform:
    patch, tuning = track.voices[place].patch, track.artist.tuning
    if patch.engine == "font":
        return np.stack([font.play(patch.bank, patch.program, each.parts[place], n, tuning) for each in scores])
    player = Player(patch, rng, tuning)
    return np.stack([player.play(each.parts[place], n) for each in scores])


def _through(
    part: Waveform, insert: Insert, level_db: float, hz: effects.Curve, rng: np.random.Generator
) -> effects.Spectrum:
    """Send a part, shape (windows, n), through its effects; return its spectrum."""
    n = part.shape[-1]
    if insert.drive:
        part = effects.drive(part, insert.drive)
    if insert.crush:
        part = effects.crush(part, insert.crush)
    if insert.chorus:
        part = effects.chorus(part, insert.chorus, float(rng.uniform(0.3, 2.5)))
    if insert.tremolo:
        part = effects.tremolo(part, insert.tremolo, float(rng.uniform(2, 9)))
    part = effects.levelled(part, level_db)
    gain = effects.curve(hz, insert.bands, insert.low_cut_hz, insert.high_cut_hz)
    if insert.amplifier:
        gain = gain * effects.curve(hz, ((2600.0, 5.0, 0.6), (110.0, 3.0, 0.5)), 80.0, 4600.0)
    return np.asarray(fft.rfft(part, n) * gain, dtype=np.complex64)


def _shaped_in_time(
    track: Track, scores: Sequence[Score], spectrum: effects.Spectrum, sound: Waveform, hz: effects.Curve
) -> Waveform:
    record = track.record
    if record.sweep:
        n = sound.shape[-1]
        corner = 250.0 + 900.0 * (1 - record.sweep)
        dark = np.asarray(fft.irfft(spectrum * effects.curve(hz, (), 1.0, corner), n), dtype=np.float32)
        turn = 2 * np.pi / (8 * track.bar_s)
        at = np.array([track.seed % 97 / 10 + i for i in range(len(scores))])[:, None]
        openness = 1 - record.sweep * (0.5 + 0.5 * np.sin(turn * np.arange(n) / SAMPLE_RATE_HZ + at))
        sound = dark + openness.astype(np.float32) * (sound - dark)
    if record.pump:
        kicks = [[note.at_s for piece, note in each.strokes if piece == "kick"] for each in scores]
        sound = effects.pumped(sound, kicks, record.pump, float(np.clip(0.8 * 60 / track.tempo_bpm, 0.08, 0.6)))
    return sound


def _record(track: Track, sound: Waveform, rng: np.random.Generator) -> Waveform:
    """Make the record: compress, saturate, equalize, add the medium's noise, set the loudness."""
    record, n = track.record, sound.shape[-1]
    level = float(np.sqrt(np.mean(sound**2)))
    if level < 1e-7:
        return sound
    sound = effects.saturated(effects.compressed(sound, record.glue), record.saturation)
    if record.flutter:
        sound = effects.flutter(sound, record.flutter, rng)
    hz = fft.rfftfreq(n, 1 / SAMPLE_RATE_HZ).astype(np.float32)
    gain = effects.curve(hz, record.bands, record.low_cut_hz, record.high_cut_hz, order=3)
    sound = np.asarray(fft.irfft(fft.rfft(sound) * gain, n), dtype=np.float32)
    heard = effects.loudness_db(sound)
    loudest = float(10 * np.log10(np.mean(10 ** (heard / 10))))
    sound = sound * np.float32(10 ** ((record.loudness - loudest) / 20))
    return effects.limited(sound + effects.medium(record, (len(sound), n), rng))
