"""Log-mel spectrograms on tensors: the twin of `recommender.audio.mel` for batches that lie on a GPU already."""

from __future__ import annotations

import torch

from recommender.audio.mel import DB_FLOOR, MelConfig, mel_bands
from recommender.errors import AudioError


def log_mel_spectrogram_torch(waveform: torch.Tensor, config: MelConfig) -> torch.Tensor:
    """Compute mel-band levels in dB, as `recommender.audio.mel.log_mel_spectrogram` does.

    Parameters
    ----------
    waveform : Tensor, shape (batch, n_samples), float32
        Full scale is 1.
    config : MelConfig

    Returns
    -------
    Tensor, shape (batch, n_mels, n_frames), float32
        On the waveform's device; differentiable.

    Raises
    ------
    AudioError
        If the waveform is shorter than half a window.
    """
    if waveform.shape[-1] <= config.n_fft // 2:
        raise AudioError(f"a waveform has {waveform.shape[-1]} samples, expected more than {config.n_fft // 2}")
    window = torch.hann_window(config.n_fft, periodic=True, device=waveform.device)
    spectrum = torch.stft(
        waveform, config.n_fft, config.hop, window=window, center=True, pad_mode="reflect", return_complex=True
    )
    mel = torch.from_numpy(mel_bands(config)).to(waveform.device) @ spectrum.abs().square()
    return 10.0 * torch.log10(torch.clamp(mel / (config.n_fft / 4) ** 2, min=10 ** (DB_FLOOR / 10)))
