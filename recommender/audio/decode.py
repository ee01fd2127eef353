"""Audio files to mono waveforms: opens anything that FFmpeg reads, and decodes only the seconds that are asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import av.error

from recommender.audio.stretch import MAX_CHANNELS, TIME_JITTER_S, Stretch, Waveform
from recommender.errors import AudioError

FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,flac,flv,matroska,mov,mp3,mp4,mpc,mpc8,mpeg,mpegts,ogg,tta,w64,wav,webm,wv"
)
"""FFmpeg's names of the containers that are opened; playlists and scripts, which name other files, are left out."""

PREROLL_S = 0.3
"""Decoders need to run in after a seek: the bit reservoir of MP3, 80 ms of Opus, the band replication of HE-AAC."""

SEEK_BACKS_S = (0.0, 10.0, math.inf)
"""How much earlier to seek, in turn, while a seek lands behind the place that was asked for."""

PROTECTED_TAGS = frozenset({"drms", "drmi", "enca", "aavd"})
"""Names of sample entries in MP4 files whose audio is encrypted: FairPlay, Common Encryption, Audible."""

PROTECTED_ASF = (
    bytes.fromhex("fbb31122 23bd d211 b4b7 00a0c955fc6e"),
    bytes.fromhex("14e68a29 2226 174c b935 dae07ee9289c"),
)
"""Names of the objects in the header of a WMA file that say how it is encrypted."""

MIN_RATE_HZ, MAX_RATE_HZ = 2000, 3_072_000
"""Sample rates of audio: telephones have four times the lower one, the finest DSD half the upper."""

HEAD_BYTES = 1 << 16
MAX_PACKET_S = 60.0
MAX_READ_ERRORS = 1000


@dataclass(frozen=True)
class AudioInfo:
    """What a file's headers say of its first (or default) audio stream.

    Parameters
    ----------
    duration_s : float
        As promised by the headers, or estimated by FFmpeg from the bit rate; NaN where neither is possible.
    sample_rate_hz : int
    channels : int
    codec : str
        FFmpeg's name of the codec, such as ``"mp3"`` or ``"vorbis"``.
    """

    duration_s: float
    sample_rate_hz: int
    channels: int
    codec: str


def probe(path: Path) -> AudioInfo:
    """Read a file's headers.

    Raises
    ------
    AudioError
        If the file is missing or empty, is no container that FFmpeg knows, or holds no audio stream.
    """
    with open_audio(path) as audio:
        return audio.info


def decode_windows(
    path: Path, starts_s: Sequence[float], window_s: float, sample_rate_hz: int
) -> tuple[list[Waveform], tuple[str, ...]]:
    """Decode windows of a file; see `AudioFile.decode_windows`.

    Raises
    ------
    AudioError
        If the file cannot be opened, see `probe`.
    """
    with open_audio(path) as audio:
        return audio.decode_windows(starts_s, window_s, sample_rate_hz)


@contextmanager
def open_audio(path: Path) -> Iterator[AudioFile]:
    """Open a file for the length of a ``with`` block.

    Raises
    ------
    AudioError
        If the file is missing or empty, is no container that FFmpeg knows, or holds no audio stream.
    """
    path = Path(path)
    try:
        if path.stat().st_size == 0:
            raise AudioError(f"{path.name}: 0 bytes, expected an audio file")
        container = av.open(
            f"file:{path}",
            options={"protocol_whitelist": "file", "format_whitelist": FORMATS},
            metadata_errors="ignore",
        )
    except FileNotFoundError:
        raise AudioError(f"{path.name}: no such file at {path}, expected an audio file") from None
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise AudioError(
            f"{path.name}: no audio file ({_words(error)}), expected MP3, FLAC, Ogg, M4A, WAV or the like"
        ) from error
    with container:
        stream = container.streams.best("audio")
        if not isinstance(stream, av.AudioStream):
            kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
            raise AudioError(f"{path.name}: holds {kinds}, expected an audio stream")
        if _is_protected(path, container, stream):
            raise AudioError(
                f"{path.name}: copy protected (DRM), which cannot be decoded; expected an unprotected file"
            )
        if stream.codec_context is None:
            raise AudioError(f"{path.name}: FFmpeg has no decoder for its audio stream, expected a common codec")
        stream.codec_context.thread_type = "NONE"
        try:
            yield AudioFile(path, container, stream)
        except av.error.FFmpegError as error:
            raise AudioError(f"{path.name}: cannot be decoded ({_words(error)}), expected intact audio") from error


class AudioFile:
    """An open audio file; made by `open_audio`.

    Times are seconds from the first sample that a player would play: encoder delay is left out.
    """

    def __init__(self, path: Path, container: av.container.InputContainer, stream: av.AudioStream) -> None:
        self._container, self._stream = container, stream
        self._is_fresh = True
        if stream.time_base is None or not stream.sample_rate:
            raise AudioError(f"{path.name}: the {stream.codec_context.name} stream has no sample rate")
        if not MIN_RATE_HZ <= stream.sample_rate <= MAX_RATE_HZ:
            raise AudioError(
                f"{path.name}: claims {stream.sample_rate} samples a second, expected {MIN_RATE_HZ} to {MAX_RATE_HZ}"
            )
        if not 1 <= stream.channels <= MAX_CHANNELS:
            raise AudioError(f"{path.name}: has {stream.channels} channels, expected 1 to {MAX_CHANNELS}")
        self._tick_s = float(stream.time_base)
        self._origin_s = (stream.start_time or 0) * self._tick_s
        if stream.duration is not None:
            duration_s = stream.duration * self._tick_s
        else:
            duration_s = math.nan if container.duration is None else container.duration / av.time_base
        self.info = AudioInfo(
            duration_s if duration_s > 0 else math.nan, stream.sample_rate, stream.channels, stream.codec_context.name
        )

    def decode_windows(
        self, starts_s: Sequence[float], window_s: float, sample_rate_hz: int
    ) -> tuple[list[Waveform], tuple[str, ...]]:
        """Decode windows of equal length, each second at most once.

        Parameters
        ----------
        starts_s : sequence of float >= 0
            In any order; windows may overlap.
        window_s : float > 0
        sample_rate_hz : int
            Rate of the waveforms; the file's own may be any.

        Returns
        -------
        waveforms : list of ndarray, float32, full scale is 1
            One a window: the mean of the channels. It has ``round(window_s * sample_rate_hz)`` samples, or less where
            the audio ends or cannot be decoded: what is missing is left out, and the rest moves together.
        warnings : tuple of str
            What could not be decoded.

        Raises
        ------
        ValueError
            If a start is negative or a length or rate is not positive.
        """
        if window_s <= 0 or sample_rate_hz <= 0 or any(not 0 <= start < math.inf for start in starts_s):
            raise ValueError(f"cannot decode {window_s} s from {list(starts_s)} s at {sample_rate_hz} Hz")
        length = round(window_s * sample_rate_hz)
        waveforms: dict[int, Waveform] = {}
        warnings: list[str] = []
        for indices in _group(starts_s, window_s):
            first_s = starts_s[indices[0]]
            last_s = max(starts_s[index] for index in indices) + window_s
            stretch = self._decode(first_s, last_s, sample_rate_hz)
            for index in indices:
                waveforms[index] = stretch.cut(starts_s[index], length)
            warnings.extend(stretch.problems())
        return [waveforms[index] for index in range(len(starts_s))], tuple(warnings)

    def measure_s(self) -> float:
        """Return where the audio really ends, in seconds, by reading every packet without decoding any."""
        self._seek(0.0)
        end_s = 0.0
        for packet in self._packets():
            if packet is not None and packet.pts is not None:
                # After a seek FFmpeg may give the last packet of a short Ogg file a negative, so a huge, duration.
                length_s = (packet.duration or 0) * self._tick_s
                start_s = packet.pts * self._tick_s - self._origin_s
                end_s = max(end_s, start_s + length_s if length_s < MAX_PACKET_S else start_s)
        return end_s

    def _decode(self, first_s: float, last_s: float, sample_rate_hz: int) -> Stretch:
        for back_s in SEEK_BACKS_S:
            seek_s = max(first_s - PREROLL_S - back_s, 0.0)
            stretch = Stretch(sample_rate_hz, first_s, last_s)
            if self._seek(seek_s):
                self._fill(stretch, seek_s)
            if stretch.landed_s <= first_s + TIME_JITTER_S or seek_s == 0.0:
                break
            if stretch.landed_s == math.inf and self.measure_s() <= first_s:
                break
        return stretch.finish()

    def _fill(self, stretch: Stretch, position_s: float) -> None:
        tick_s = 0.0
        for packet in self._packets():
            frames: list[av.AudioFrame] = []
            is_damaged = packet is None
            if packet is not None:
                try:
                    frames = packet.decode()
                except av.error.FFmpegError:
                    is_damaged = True
            if is_damaged:
                stretch.miss(position_s)
            for frame in frames:
                if frame.pts is not None:
                    tick_s = tick_s or float(frame.time_base or self._tick_s)
                    position_s = frame.pts * tick_s - self._origin_s
                if stretch.is_full(position_s):
                    return
                stretch.add(frame, position_s)
                position_s += frame.samples / frame.sample_rate
        stretch.ended = True

    def _packets(self) -> Iterator[av.Packet[av.AudioStream] | None]:
        """Yield packets up to the end; None for one that could not be read."""
        self._is_fresh = False
        for _ in range(MAX_READ_ERRORS):
            try:
                yield from self._container.demux(self._stream)
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                yield None
            else:
                return

    def _seek(self, time_s: float) -> bool:
        """Go to `time_s` or somewhat earlier; tell whether that worked. The start can always be reached."""
        try:
            self._container.seek(math.floor((time_s + self._origin_s) / self._tick_s), stream=self._stream)
        except av.error.FFmpegError:
            if time_s > 0:
                return False
            if not self._is_fresh:
                raise
        return True


def _group(starts_s: Sequence[float], window_s: float) -> Iterator[list[int]]:
    """Yield indices of windows that overlap or nearly touch, so that they are decoded in one go."""
    group: list[int] = []
    for index in sorted(range(len(starts_s)), key=lambda i: starts_s[i]):
        if group and starts_s[index] > starts_s[group[-1]] + window_s + PREROLL_S:
            yield group
            group = []
        group.append(index)
    if group:
        yield group


def _is_protected(path: Path, container: av.container.InputContainer, stream: av.AudioStream) -> bool:
    if container.format.name == "asf":
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        return any(mark in head for mark in PROTECTED_ASF)
    return stream.codec_context is not None and stream.codec_context.codec_tag in PROTECTED_TAGS


def _words(error: Exception) -> str:
    if isinstance(error, av.error.FFmpegError):
        return str(error.strerror).lower()
    return str(error)
