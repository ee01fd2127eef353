"""What the ONNX file hears is what the network hears, and it can be heard without torch."""

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from recommender.audio.clips import ClipConfig, Clips, TrackClips, read_clips
from recommender.audio.mel import MelConfig, dequantise
from recommender.data.vocabulary import Vocabulary
from recommender.errors import ArtifactError, ConfigError, ModelError, VersionError
from recommender.models import embed, shipped
from recommender.models.checkpoint import weights_of
from recommender.models.cnn import SpectrogramCNN
from recommender.models.cnn_config import MIN_FRAMES, CnnConfig, TrainCnnConfig
from recommender.models.ears import Ears, load_ears, read_ears
from recommender.models.embed import embed_clips, embed_track, load_cnn
from recommender.models.onnx_export import export_onnx, onnx_of
from recommender.models.trained_cnn import TrainedCnn, save_cnn, version_of

CLIPS = ClipConfig(clip_s=1.5, max_clips=2, mel=MelConfig(n_mels=24))


def untrained(seed: int = 0, mel: MelConfig = CLIPS.mel) -> TrainedCnn:
    shape = CnnConfig(mel=mel, dim=12, pitch_channels=3, channels=8, events=8)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = SpectrogramCNN(shape)
        for name, buffer in network.named_buffers():
            if buffer.is_floating_point():
                buffer.uniform_(0.5, 2.0) if "var" in name else buffer.normal_()
    weights = weights_of(network)
    return TrainedCnn(weights, TrainCnnConfig(cnn=shape), [], 0, (), version_of(weights, shape))


@pytest.fixture(scope="module")
def trained() -> TrainedCnn:
    return untrained()


@pytest.fixture(scope="module")
def path(trained, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "hearing.onnx"
    export_onnx(trained, path, CLIPS)
    return path


@pytest.fixture(scope="module")
def ears(path) -> Ears:
    return load_ears(path)


def levels(*shape: int, seed: int = 0) -> np.ndarray:
    """Levels of clips that differ: noise around a slope over the bands that turns from clip to clip."""
    rng = np.random.default_rng(seed)
    slope = np.linspace(-1, 1, shape[-2])[:, None] * rng.normal(0, 60, (*shape[:-2], 1, 1))
    return np.clip(128 + slope + rng.normal(0, 20, shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("n_frames", [MIN_FRAMES, 33, CLIPS.n_frames, 431])
@pytest.mark.parametrize("batch", [1, 2, 11])
def test_vectors_are_those_of_torch(trained, ears, batch, n_frames):
    mels = levels(batch, 24, n_frames, seed=n_frames)
    with torch.no_grad():
        wanted = load_cnn(trained)(torch.from_numpy(dequantise(mels))).numpy()
    found = ears.embed(mels)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert batch == 1 or np.abs(wanted[0] - wanted[1]).max() > 1e-2


def test_the_extremes_of_what_is_stored_are_heard_alike(trained, ears):
    mels = np.stack([np.full((24, 40), level, dtype=np.uint8) for level in (0, 1, 200, 255)])
    mels[1, 5, 7] = 255
    with torch.no_grad():
        wanted = load_cnn(trained)(torch.from_numpy(dequantise(mels))).numpy()
    np.testing.assert_allclose(ears.embed(mels), wanted, atol=1e-5)


def test_the_file_is_plain_onnx_that_says_what_it_is(trained, path, ears):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert model.producer_name == "firstlisten"
    assert {node.domain for node in model.graph.node} == {""}
    session = onnxruntime.InferenceSession(path)
    (mels,), (vectors,) = session.get_inputs(), session.get_outputs()
    assert (mels.name, mels.type, mels.shape) == ("mels", "tensor(uint8)", ["batch", 24, "frames"])
    assert (vectors.name, vectors.type, vectors.shape[0], vectors.shape[1:]) == (
        "vectors",
        "tensor(float)",
        "batch",
        [12],
    )
    assert (ears.version, ears.dim, ears.clip_config, ears.n_frames) == (trained.version, 12, CLIPS, None)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_track_and_a_library_are_embedded_as_by_torch(trained, ears):
    clips = Clips(
        Vocabulary("track", ("a", "b", "c")),
        levels(3, 24, 65),
        np.array([2, 0, 0], np.int32),
        np.array([0.0, 1.0, 7.0], np.float32),
    )
    told: list[tuple[int, int]] = []
    wanted, found = embed_clips(load_cnn(trained), clips), ears.embed_clips(clips, lambda *at: told.append(at))
    assert found.tracks.ids == wanted.tracks.ids == ("a", "c")
    assert found.version == wanted.version
    assert told[-1] == (3, 3)
    np.testing.assert_allclose(found.vectors, wanted.vectors, atol=1e-5)
    np.testing.assert_array_equal(found.clip_tracks, wanted.clip_tracks)
    track = TrackClips(clips.mels[1:], clips.starts_s[1:], 20.0, ())
    for mine, theirs in zip(ears.embed_track(track), embed_track(load_cnn(trained), track), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
    assert ears.embed(clips.mels[:0]).shape == (0, 12)


def test_ears_go_to_another_process_even_when_their_file_is_gone(trained, tmp_path):
    export_onnx(trained, tmp_path / "e.onnx", CLIPS)
    ears, mels = load_ears(tmp_path / "e.onnx", threads=2), levels(3, 24, 40)
    sent = pickle.dumps(ears)
    (tmp_path / "e.onnx").unlink()
    arrived = pickle.loads(sent)
    assert (arrived.threads, arrived.version, arrived.clip_config) == (2, ears.version, CLIPS)
    np.testing.assert_allclose(arrived.embed(mels), ears.embed(mels), atol=1e-6)


@pytest.mark.parametrize(
    "mels",
    [levels(1, 24, MIN_FRAMES - 1), levels(1, 23, 40), levels(24, 40), levels(1, 24, 40).astype(np.float32)],
    ids=["short", "bands", "no batch", "dB"],
)
def test_other_spectrograms_are_refused(ears, mels):
    with pytest.raises(ModelError, match=r"hears uint8 spectrograms \(n, 24, at least 8\), got .*; analyse the audio"):
        ears.embed(mels)


def test_a_file_that_is_none_of_ours_is_named(path, trained, tmp_path):
    other = tmp_path / "hearing.onnx"
    with pytest.raises(ArtifactError, match=r"hearing\.onnx is missing"):
        load_ears(other)
    for content in (b"", b"no network", path.read_bytes()[:5000]):
        other.write_bytes(content)
        with pytest.raises(ArtifactError, match=r"hearing\.onnx is damaged: .*; restore the file or train again"):
            load_ears(other)
    foreign = onnx.load(path)
    del foreign.metadata_props[:]
    onnx.save(foreign, other)
    with pytest.raises(ArtifactError, match="holds no network that this program knows"):
        load_ears(other)
    with pytest.raises(VersionError, match=rf"is of version '{trained.version}', expected 'cnn-other'"):
        load_ears(path, version="cnn-other")


def test_clips_of_other_spectrograms_are_refused(trained):
    with pytest.raises(ConfigError, match="train it on these clips"):
        onnx_of(trained, ClipConfig(mel=MelConfig(n_mels=32)))


class SizesAsConstants(nn.Module):
    """Takes the number of frames that it is traced with for a constant."""

    def __init__(self, trained: TrainedCnn) -> None:
        super().__init__()
        self.network = load_cnn(trained)

    def forward(self, mels: Tensor) -> Tensor:
        return self.network(mels * float(mels.shape[2]) / 100 + torch.arange(float(mels.shape[2])))


def test_a_network_that_must_know_the_length_gets_a_fixed_one(trained, monkeypatch, tmp_path):
    fixed = SizesAsConstants(trained)
    monkeypatch.setattr(embed, "load_cnn", lambda _: fixed)
    export_onnx(trained, tmp_path / "fixed.onnx", CLIPS)
    ears, mels = load_ears(tmp_path / "fixed.onnx"), levels(3, 24, CLIPS.n_frames)
    assert ears.n_frames == CLIPS.n_frames
    np.testing.assert_allclose(ears.embed(mels), fixed(torch.from_numpy(dequantise(mels))).numpy(), atol=1e-5)
    with pytest.raises(ModelError, match=rf"hears uint8 spectrograms \(n, 24, {CLIPS.n_frames}\)"):
        ears.embed(mels[:, :, 1:])


class Unfolding(SizesAsConstants):
    """Uses an operation that ONNX has for known lengths only."""

    def forward(self, mels: Tensor) -> Tensor:
        return self.network(mels.unfold(2, 2, 1).amax(3))


def test_a_network_that_can_only_be_written_for_one_length_is(trained, monkeypatch):
    monkeypatch.setattr(embed, "load_cnn", lambda _: Unfolding(trained))
    assert read_ears(onnx_of(trained, CLIPS)).n_frames == CLIPS.n_frames


class Wayward(SizesAsConstants):
    """Never answers twice the same."""

    def forward(self, mels: Tensor) -> Tensor:
        self.calls = getattr(self, "calls", 0) + 1
        return torch.roll(self.network(mels), self.calls, dims=1)


def test_a_file_that_answers_otherwise_is_not_written(trained, monkeypatch, tmp_path):
    monkeypatch.setattr(embed, "load_cnn", lambda _: Wayward(trained))
    with pytest.raises(ModelError, match=r"cannot be written as ONNX: its vectors differ by"):
        export_onnx(trained, tmp_path / "hearing.onnx", CLIPS)
    assert not list(tmp_path.iterdir())


def test_hearing_needs_no_torch(path):
    program = (
        "import sys; from pathlib import Path; import numpy as np; from recommender.models.ears import load_ears\n"
        "ears = load_ears(Path(sys.argv[1])); print(ears.embed(np.zeros((2, 24, 30), np.uint8)).shape)\n"
        "assert not {'torch', 'onnx', 'onnxscript'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, path], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "(2, 12)\n"), done.stderr


def test_both_shipped_files_are_one_network():
    files = [shipped.FOLDER / name for name in (shipped.EARS_FILE, shipped.WEIGHTS_FILE)]
    assert sum(file.stat().st_size for file in files) <= shipped.MAX_BYTES
    assert (shipped.FOLDER / "MODEL_CARD.md").is_file()
    assert shipped.load_shipped().version == shipped.load_shipped_trained().version


def test_the_shipped_network_hears_and_can_be_trained_further(trained, path, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    for load in (shipped.load_shipped, shipped.load_shipped_trained):
        with pytest.raises(
            ArtifactError, match=r"has no shipped audio model: .* is missing; install firstlisten again"
        ):
            load()
    (tmp_path / shipped.EARS_FILE).write_bytes(path.read_bytes())
    save_cnn(replace(trained, history=[{"epoch": 1.0}]), tmp_path / shipped.WEIGHTS_FILE)
    assert shipped.load_shipped().version == shipped.load_shipped_trained().version == trained.version


def test_a_wheel_has_the_shipped_network():
    import tomllib
    from fnmatch import fnmatch

    project = tomllib.loads((Path(shipped.__file__).parents[3] / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["recommender.models.shipped"]
    for name in (shipped.EARS_FILE, shipped.WEIGHTS_FILE, "MODEL_CARD.md"):
        assert any(fnmatch(name, pattern) for pattern in patterns)


def test_what_is_heard_of_a_file_is_what_librosa_shows_of_it(trained, ears, tmp_path):
    """From the file to the vector: decoding, spectrograms, the store's steps and ONNX, against librosa and torch."""
    import wave

    import librosa

    rate_hz, seconds = CLIPS.mel.sample_rate_hz, np.arange(2 * 22050) / 22050
    tune = 0.3 * np.sin(2 * np.pi * 330 * seconds * (1 + 0.2 * seconds)) * np.abs(np.sin(5 * seconds))
    tune += np.random.default_rng(0).normal(0, 0.003, len(tune))
    with wave.open(str(tmp_path / "tune.wav"), "wb") as file:
        file.setparams((1, 2, rate_hz, 0, "NONE", ""))
        file.writeframes((tune * 32767).astype("<i2").tobytes())
    clips = read_clips(tmp_path / "tune.wav", CLIPS)
    first = round(float(clips.starts_s[0]) * rate_hz)
    waveform = (tune * 32767).astype("<i2")[first : first + CLIPS.n_samples].astype(np.float32) / 32768
    mel = CLIPS.mel
    power = librosa.feature.melspectrogram(
        y=waveform, sr=rate_hz, n_fft=mel.n_fft, hop_length=mel.hop, n_mels=mel.n_mels, fmin=mel.f_min_hz,
        fmax=mel.f_max_hz, pad_mode="reflect", norm=None,
    )  # fmt: skip
    level_db = 10 * np.log10(np.maximum(power / (mel.n_fft / 4) ** 2, 1e-10)).astype(np.float32)
    with torch.no_grad():
        wanted = load_cnn(trained)(torch.from_numpy(level_db[None])).numpy()
    np.testing.assert_allclose(ears.embed(clips.mels)[:1], wanted, atol=0.005)
