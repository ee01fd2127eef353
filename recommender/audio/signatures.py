"""The readable signature of a track: tempo, key, loudness, brightness, density and pulse, each with a confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recommender.audio.key import MODES, Mode, camelot, key_name
from recommender.data.storage import Array, load_arrays, save_arrays
from recommender.data.vocabulary import Vocabulary
from recommender.errors import ArtifactError, DataError

KIND = "signatures"


@dataclass(frozen=True)
class Signature:
    """What can be said of a track in words and numbers; every confidence lies in [0, 1].

    Parameters
    ----------
    tempo_bpm : float
        40 to 240.
    tempo_confidence : float
        About the share of such tracks whose tempo is right within 4 %.
    rival_bpm : float
        The same music counted at the next best of a third, half, twice and three times the tempo.
    tonic : int
        0 (C) to 11 (B).
    mode : {"major", "minor"}
    key_confidence : float
        About the share of such tracks whose tonic and mode are both right.
    loudness_lufs : float
        Integrated over the clips, as of a mono file: stereo reads 3 dB (equal channels) or more higher. -70 is silence.
    loudness_confidence : float
    brightness_hz : float
        Spectral centroid of the magnitudes, of all that was heard.
    brightness_confidence : float
    density_hz : float
        Onsets a second.
    density_confidence : float
    pulse : float
        0 (no beat) to 1 (a machine): how alike onsets are one, two and four beats later.
    pulse_confidence : float
    """

    tempo_bpm: float
    tempo_confidence: float
    rival_bpm: float
    tonic: int
    mode: Mode
    key_confidence: float
    loudness_lufs: float
    loudness_confidence: float
    brightness_hz: float
    brightness_confidence: float
    density_hz: float
    density_confidence: float
    pulse: float
    pulse_confidence: float

    @property
    def key(self) -> str:
        """The key's name, such as ``A minor``."""
        return key_name(self.tonic, self.mode)

    @property
    def camelot(self) -> str:
        """The key's place on the Camelot wheel, such as ``8A``."""
        return camelot(self.tonic, self.mode)


NUMBERS = tuple(field.name for field in fields(Signature) if field.name not in ("tonic", "mode"))


@dataclass(frozen=True, eq=False)
class Signatures:
    """The signatures of many tracks, in the rows of a catalog.

    Parameters
    ----------
    numbers : ndarray, shape (n_tracks, len(NUMBERS)), float32
        NaN where a track has no signature; columns are `NUMBERS`.
    tonics : ndarray, shape (n_tracks,), int8
        0 (C) to 11 (B); -1 where unknown.
    minor : ndarray, shape (n_tracks,), int8
        1 minor, 0 major; -1 where unknown.

    Raises
    ------
    DataError
        If shapes differ.
    """

    numbers: npt.NDArray[np.float32]
    tonics: npt.NDArray[np.int8]
    minor: npt.NDArray[np.int8]

    def __post_init__(self) -> None:
        if self.numbers.shape != (len(self), len(NUMBERS)) or len(self.minor) != len(self):
            raise DataError(
                f"signatures of shape {self.numbers.shape} do not fit {len(self)} tonics, {len(self.minor)} modes and "
                f"{len(NUMBERS)} columns"
            )

    @classmethod
    def of(cls, found: Sequence[Signature | None]) -> Signatures:
        """Put signatures into a table, one a row."""
        if not any(found):
            none = np.full(len(found), -1, dtype=np.int8)
            return cls(np.full((len(found), len(NUMBERS)), np.nan, dtype=np.float32), none, none)
        numbers = [
            [np.nan] * len(NUMBERS) if one is None else [getattr(one, name) for name in NUMBERS] for one in found
        ]
        return cls(
            np.array(numbers, dtype=np.float32).reshape(len(found), len(NUMBERS)),
            np.array([-1 if one is None else one.tonic for one in found], dtype=np.int8),
            np.array([-1 if one is None else MODES.index(one.mode) for one in found], dtype=np.int8),
        )

    @classmethod
    def in_rows(cls, tracks: Vocabulary, found: Mapping[str, Signature]) -> Signatures:
        """Put signatures by track id into the rows of a vocabulary."""
        return cls.of([found.get(track) for track in tracks.ids])

    def __len__(self) -> int:
        return len(self.tonics)

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Tell of each track whether it has a signature, shape (n_tracks,)."""
        return np.asarray(self.tonics >= 0)

    def column(self, name: str) -> npt.NDArray[np.float32]:
        """Return one of `NUMBERS` of every track, shape (n_tracks,); NaN where unknown."""
        return self.numbers[:, NUMBERS.index(name)]

    def row(self, row: int) -> Signature | None:
        """Return the signature of one track, None where it has none."""
        if self.tonics[row] < 0:
            return None
        numbers = dict(zip(NUMBERS, map(float, self.numbers[row]), strict=True))
        return Signature(tonic=int(self.tonics[row]), mode=MODES[int(self.minor[row])], **numbers)

    def extended(self, more: Sequence[Signature | None]) -> Signatures:
        """Return the table with more tracks at its end."""
        other = Signatures.of(more)
        return Signatures(
            np.concatenate([self.numbers, other.numbers]),
            np.concatenate([self.tonics, other.tonics]),
            np.concatenate([self.minor, other.minor]),
        )


def save_signatures(path: Path, signatures: Signatures, version: str) -> None:
    """Write a table of signatures."""
    arrays: dict[str, Array] = {"numbers": signatures.numbers, "tonics": signatures.tonics, "minor": signatures.minor}
    save_arrays(path, KIND, version, arrays, {"columns": list(NUMBERS)})


def load_signatures(path: Path, version: str, n_tracks: int) -> Signatures:
    """Read a table of signatures.

    Raises
    ------
    ArtifactError
        If the file is missing, damaged, or not of `n_tracks` tracks.
    VersionError
        If it belongs to another version.
    """
    arrays, settings = load_arrays(path, KIND, version)
    if settings["columns"] != list(NUMBERS) or len(arrays["tonics"]) != n_tracks:
        raise ArtifactError(
            f"{path} holds {len(arrays['tonics'])} signatures of {settings['columns']}, "
            f"expected {n_tracks} of {list(NUMBERS)}; train again"
        )
    return Signatures(arrays["numbers"], arrays["tonics"], arrays["minor"])


def to_json(signature: Signature) -> dict[str, float | int | str]:
    """Return a signature as JSON values; `from_json` reads them."""
    return asdict(signature)


def from_json(values: Mapping[str, Any]) -> Signature:
    """Return a signature from JSON values.

    Raises
    ------
    DataError
        If a field is missing or unknown.
    """
    try:
        return Signature(**values)
    except TypeError as error:
        raise DataError(f"not a signature: {error}; run firstlisten analyse again") from None
