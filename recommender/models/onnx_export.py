"""From a trained network to an ONNX file that answers the same, or none is written."""

from __future__ import annotations

import io
import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recommender.audio.clips import ClipConfig
from recommender.data.storage import atomic_path
from recommender.errors import ConfigError, ModelError
from recommender.models.cnn_config import MIN_FRAMES
from recommender.models.ears import CLIPS_KEY, DIM_KEY, INPUT, OUTPUT, VERSION_KEY, read_ears

if TYPE_CHECKING:
    from torch import nn

    from recommender.models.trained_cnn import TrainedCnn

OPSET = 18
MAX_DIFFERENCE = 1e-4
"""Between a number of a unit vector by torch and by onnxruntime; measured: 2e-7."""


def export_onnx(trained: TrainedCnn, path: Path, clips: ClipConfig | None = None) -> None:
    """Write a network to an ONNX file, whole or not at all; see `onnx_of`."""
    content = onnx_of(trained, clips)
    with atomic_path(path) as part:
        part.write_bytes(content)


def onnx_of(trained: TrainedCnn, clips: ClipConfig | None = None) -> bytes:
    """Return a network as the content of an ONNX file.

    Its input ``mels`` is uint8 (batch, n_mels, n_frames): the levels that the clip store keeps, of
    `recommender.audio.mel.log_mel_spectrogram`; they become dB inside. Its output ``vectors`` is float32 (batch, dim),
    unit vectors. The batch is free, and the number of frames too where the network lets it be. The file says of which
    version it is and which seconds it hears.

    Parameters
    ----------
    trained : TrainedCnn
    clips : ClipConfig, optional
        The clips that it is to hear; by default the usual ones of its spectrograms.

    Raises
    ------
    ConfigError
        If the clips are not of the spectrograms that the network hears.
    ModelError
        If it cannot be written, or what was written answers differently from the network.

    Notes
    -----
    By torch's exporter by tracing: the newer one, by ``torch.export``, writes the same graph, needs one more package,
    and takes 15 times as long. What a trace may miss, sizes that it takes for constants, shows in the comparison.
    """
    import onnx
    from torch.onnx.errors import OnnxExporterError

    clips = clips or ClipConfig(mel=trained.config.cnn.mel)
    if clips.mel != trained.config.cnn.mel:
        raise ConfigError(
            f"the clips are analysed as {clips.mel}, the network hears {trained.config.cnn.mel}; "
            "train it on these clips"
        )
    network = _from_levels(trained)
    why = ""
    for free_frames in (True, False):
        try:
            model = onnx.load_from_string(_trace(network, clips, free_frames=free_frames))
        except OnnxExporterError as error:
            why = str(error).partition("\n")[0]
            continue
        model.producer_name = "firstlisten"
        told = {
            VERSION_KEY: trained.version,
            DIM_KEY: str(trained.config.cnn.dim),
            CLIPS_KEY: json.dumps(asdict(clips)),
        }
        onnx.helper.set_model_props(model, told)
        onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString()
        difference = _difference(network, content, clips, free_frames=free_frames)
        if difference <= MAX_DIFFERENCE:
            return content
        why = f"its vectors differ by {difference:.1g} from the network's, expected at most {MAX_DIFFERENCE:g}"
    raise ModelError(
        f"network {trained.version} cannot be written as ONNX: {why}; in models/cnn.py use operations that a trace can "
        "follow, such as shape[0] for len()"
    )


def _from_levels(trained: TrainedCnn) -> nn.Module:
    """Return the network with stored levels in front of it."""
    from torch import Tensor, nn

    from recommender.models.crops import decibels
    from recommender.models.embed import load_cnn

    class FromLevels(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = load_cnn(trained)

        def forward(self, levels: Tensor) -> Tensor:
            vectors: Tensor = self.network(decibels(levels))
            return vectors

    return FromLevels().eval()


def _trace(network: nn.Module, clips: ClipConfig, *, free_frames: bool) -> bytes:
    import torch

    example = torch.from_numpy(_levels((2, clips.mel.n_mels, clips.n_frames)))
    axes = {INPUT: {0: "batch"} | ({2: "frames"} if free_frames else {}), OUTPUT: {0: "batch"}}
    buffer: Any = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (example,),
            buffer,
            dynamo=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes=axes,
            opset_version=OPSET,
        )
    content: bytes = buffer.getvalue()
    return content


def _difference(network: nn.Module, content: bytes, clips: ClipConfig, *, free_frames: bool) -> float:
    """Return the largest difference between the network's vectors and the file's, over batches and lengths."""
    import torch
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

    ears = read_ears(content)
    frames = (
        {clips.n_frames, MIN_FRAMES, clips.n_frames // 2 + 1, clips.n_frames + 37} if free_frames else {clips.n_frames}
    )
    found = 0.0
    for n_frames in sorted(frames):
        for batch in (1, 3):
            levels = _levels((batch, clips.mel.n_mels, max(n_frames, MIN_FRAMES)))
            with torch.no_grad():
                wanted = network(torch.from_numpy(levels)).numpy()
            try:
                answer = ears.embed(levels)
            except (Fail, InvalidArgument, RuntimeException, ValueError):
                return np.inf
            found = max(found, float(np.abs(answer - wanted).max())) if np.isfinite(answer).all() else np.inf
    return found


def _levels(shape: tuple[int, int, int]) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """Return levels of something like music: loud below, soft above, uneven in time."""
    rng = np.random.default_rng(0)
    slope = np.linspace(150, 60, shape[1])[None, :, None]
    return np.clip(slope + rng.normal(0, 25, shape), 0, 255).astype(np.uint8)
