"""A bundle: the deployable set of artifacts of one training, version-checked as a whole."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from recommender.audio.signatures import Signatures, load_signatures, save_signatures
from recommender.data.storage import atomic_path, read_json, write_json
from recommender.errors import ArtifactError, VersionError
from recommender.models.ears import Ears, clip_config_of, load_ears, read_ears
from recommender.ranking.prepared import load_prepared, save_prepared
from recommender.ranking.ranker import HybridModel, load_hybrid, save_hybrid
from recommender.ranking.retrieval import is_large

if TYPE_CHECKING:
    from recommender.audio.clips import ClipConfig
    from recommender.models.trained_cnn import TrainedCnn

log = logging.getLogger(__name__)
BUNDLE_FORMAT = 2
READABLE_FORMATS = (1, BUNDLE_FORMAT)
"""Bundles of format 1 have no `EARS_FILE`: their network is written as ONNX when it is needed, which takes torch."""
HYBRID_FILE = "hybrid.safetensors"
CNN_FILE = "cnn.safetensors"
EARS_FILE = "hearing.onnx"
PREPARED_FILE = "prepared.safetensors"
"""Only in bundles of large catalogs; what it holds is found out when the server starts where there is none."""
SIGNATURES_FILE = "signatures.safetensors"
PACKAGES = ("firstlisten", "numpy", "scipy", "pandas", "torch", "onnxruntime", "implicit", "av", "safetensors")
BLAKE_HEX = 32
"""Digits of the digests of older bundles. Now it is SHA-256, which processors know: 600 MB take a third of a second."""
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")


@dataclass(frozen=True)
class Artifact:
    """One file of a bundle: its name, what version it carries, its size in bytes and the digest of its content."""

    file: str
    version: str
    size: int
    digest: str


@dataclass(frozen=True)
class Manifest:
    """What a bundle is and where it comes from; ``manifest.json``.

    Parameters
    ----------
    format : int
    version : str
        Also the name of its folder.
    created_at : str
        ISO 8601, UTC.
    config : dict
        The resolved config of the training.
    data_digest : str
    packages : dict of str to str
        Versions of the packages that made it.
    metrics : dict
        What was measured when it was made.
    artifacts : tuple of Artifact
    """

    format: int
    version: str
    created_at: str
    config: dict[str, Any]
    data_digest: str
    packages: dict[str, str]
    metrics: dict[str, Any]
    artifacts: tuple[Artifact, ...]


@dataclass(frozen=True, eq=False)
class Bundle:
    """A loaded bundle.

    Parameters
    ----------
    manifest : Manifest
    model : HybridModel
    cnn_path : Path or None
        The audio model, loaded where it is needed; None where the embeddings came from elsewhere or there are none.
    cnn_version : str or None
    signatures : Signatures or None
        In the rows of the model's catalog; None where nothing was analysed.
    """

    manifest: Manifest
    model: HybridModel
    cnn_path: Path | None
    cnn_version: str | None
    signatures: Signatures | None = None

    def ears(self, threads: int = 1) -> Ears | None:
        """Load the audio model, None if there is none; see `bundle_ears`."""
        return None if self.cnn_path is None else bundle_ears(self.cnn_path.parent, threads)


def new_version(data_digest: str) -> str:
    """Return a version name: the time in UTC and a part of the data's digest; later ones sort later."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{data_digest[:6]}"


def write_bundle(
    folder: Path,
    model: HybridModel,
    trained: TrainedCnn | None,
    *,
    config: Mapping[str, Any],
    data_digest: str,
    metrics: Mapping[str, Any],
    signatures: Signatures | None = None,
) -> Manifest:
    """Write a bundle, whole or not at all: into a folder beside `folder`, which is then renamed.

    Parameters
    ----------
    folder : Path
        Must not exist; its name is the bundle's version.
    model : HybridModel
    trained : TrainedCnn or None
        The network that made the model's embeddings.
    config, metrics : mapping
        JSON values.
    data_digest : str
    signatures : Signatures, optional
        In the rows of the model's catalog.

    Returns
    -------
    Manifest

    Raises
    ------
    ArtifactError
        If there is a bundle of that name, or the name is not a plain one.
    VersionError
        If the model's embeddings were not made by `trained`.
    """
    version = _checked_name(folder.name)
    if folder.exists():
        raise ArtifactError(f"{folder} exists; a bundle is never written over, choose a new version")
    if trained is not None and model.sound is not None and model.sound.version != trained.version:
        raise VersionError(_unlike_cnn(folder, trained.version, model.sound.version))
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
    try:
        save_hybrid(part / HYBRID_FILE, model, version)
        if is_large(model):
            save_prepared(part / PREPARED_FILE, model, version)
        if signatures is not None:
            save_signatures(part / SIGNATURES_FILE, signatures, version)
        if trained is not None:
            from recommender.models.onnx_export import export_onnx
            from recommender.models.trained_cnn import save_cnn

            save_cnn(trained, part / CNN_FILE)
            export_onnx(trained, part / EARS_FILE, _clips_of(config))
        manifest = Manifest(
            BUNDLE_FORMAT,
            version,
            datetime.now(UTC).isoformat(timespec="seconds"),
            dict(config),
            data_digest,
            _package_versions(),
            dict(metrics),
            tuple(_describe(file) for file in sorted(part.iterdir())),
        )
        write_json(part / "manifest.json", asdict(manifest))
        part.chmod(0o755)
        part.rename(folder)
        _flush(folder.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Read a bundle's manifest.

    Raises
    ------
    ArtifactError
        If it is missing or damaged.
    VersionError
        If the bundle is of an unknown format, or its folder has another version's name; both are named.
    """
    values = read_json(folder / "manifest.json")
    found = values.get("format") if isinstance(values, dict) else None
    if found not in READABLE_FORMATS:
        raise VersionError(
            f"{folder} is a bundle of format {found!r}, this firstlisten reads format {BUNDLE_FORMAT} and older; "
            "install the matching version, or train again"
        )
    try:
        values["artifacts"] = tuple(Artifact(**artifact) for artifact in values["artifacts"])
        manifest = Manifest(**values)
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"{folder / 'manifest.json'} is damaged: {error}; train again") from error
    if manifest.version != folder.name:
        raise VersionError(
            f"the folder {folder.name!r} holds the manifest of bundle {manifest.version!r}: "
            "bundles cannot be mixed or renamed; restore the folder or train again"
        )
    return manifest


def load_bundle(folder: Path) -> Bundle:
    """Load a bundle after checking each of its artifacts.

    Raises
    ------
    ArtifactError
        If a file is missing, damaged, or not the one that the manifest lists.
    VersionError
        If the format is unknown, or artifacts of two versions are mixed; both are named.
    """
    manifest = read_manifest(folder)
    versions: dict[str, str] = {}
    for artifact in manifest.artifacts:
        _check_artifact(folder, manifest, artifact)
        versions[artifact.file] = artifact.version
    if HYBRID_FILE not in versions:
        raise ArtifactError(f"{folder / 'manifest.json'} lists no {HYBRID_FILE}; train again")
    model = load_hybrid(folder / HYBRID_FILE, manifest.version, mapped=True)
    if PREPARED_FILE in versions:
        load_prepared(folder / PREPARED_FILE, manifest.version, model)
    cnn_version = versions.get(CNN_FILE)
    if cnn_version is not None and model.sound is not None and model.sound.version != cnn_version:
        raise VersionError(_unlike_cnn(folder, cnn_version, model.sound.version))
    if versions.get(EARS_FILE, cnn_version) != cnn_version:
        raise VersionError(
            f"{folder}: {EARS_FILE} is of version {versions[EARS_FILE]!r}, {CNN_FILE} of {cnn_version!r}: "
            "they cannot be mixed; train again"
        )
    signatures = None
    if SIGNATURES_FILE in versions:
        signatures = load_signatures(folder / SIGNATURES_FILE, manifest.version, len(model.catalog))
    return Bundle(manifest, model, folder / CNN_FILE if cnn_version is not None else None, cnn_version, signatures)


def bundle_ears(folder: Path, threads: int = 1) -> Ears | None:
    """Load the audio model of a bundle, and nothing else of it.

    Parameters
    ----------
    folder : Path
    threads : int
        Of one forward pass.

    Returns
    -------
    Ears or None
        None where the bundle has no audio model.

    Raises
    ------
    ArtifactError, VersionError
        As `load_bundle` does.
    """
    manifest = read_manifest(folder)
    by_name = {artifact.file: artifact for artifact in manifest.artifacts}
    if CNN_FILE not in by_name:
        return None
    if EARS_FILE in by_name:
        _check_artifact(folder, manifest, by_name[EARS_FILE])
        return load_ears(folder / EARS_FILE, threads, by_name[CNN_FILE].version)
    from recommender.models.onnx_export import onnx_of
    from recommender.models.trained_cnn import load_trained

    _check_artifact(folder, manifest, by_name[CNN_FILE])
    trained = load_trained(folder / CNN_FILE, by_name[CNN_FILE].version)
    return read_ears(onnx_of(trained, _clips_of(manifest.config)), threads)


def current_bundle(bundles_dir: Path) -> Path:
    """Return the folder of the bundle to serve.

    Raises
    ------
    ArtifactError
        If no bundle is current, or the one that is named is not there.
    """
    pointer = bundles_dir / "current"
    try:
        version = _checked_name(pointer.read_text(encoding="utf-8").strip())
    except FileNotFoundError:
        raise ArtifactError(f"{bundles_dir} has no current bundle; make one with: firstlisten train") from None
    if not (bundles_dir / version).is_dir():
        raise ArtifactError(
            f"{pointer} names bundle {version!r}, which is not there; "
            "choose another with: firstlisten bundles WORKSPACE use VERSION"
        )
    return bundles_dir / version


def use_bundle(bundles_dir: Path, version: str) -> None:
    """Make a bundle the current one.

    Raises
    ------
    ArtifactError
        If there is no such bundle.
    """
    read_manifest(bundles_dir / _checked_name(version))
    with atomic_path(bundles_dir / "current") as part:
        part.write_text(version + "\n", encoding="utf-8")


def list_bundles(bundles_dir: Path) -> list[Manifest]:
    """Return the manifests of all bundles, oldest first; one that this program cannot read is named in the log."""
    manifests = []
    for folder in sorted(bundles_dir.iterdir()) if bundles_dir.is_dir() else []:
        if folder.name.startswith(".") or not (folder / "manifest.json").is_file():
            continue
        try:
            manifests.append(read_manifest(folder))
        except ArtifactError as error:
            log.warning("left out: %s", error)
    return manifests


def _check_artifact(folder: Path, manifest: Manifest, artifact: Artifact) -> None:
    found = _describe(folder / _checked_name(artifact.file), artifact.digest)
    if found.version != artifact.version:
        raise VersionError(
            f"{folder / artifact.file} is of version {found.version!r}, bundle {manifest.version!r} needs "
            f"{artifact.version!r}: artifacts of two versions cannot be mixed; restore the file or train again"
        )
    if found != artifact:
        raise ArtifactError(
            f"{folder / artifact.file} is damaged: its {found.size} bytes have digest {found.digest}, "
            f"expected {artifact.size} with {artifact.digest}; restore the file or train again"
        )


def _clips_of(config: Mapping[str, Any]) -> ClipConfig | None:
    return clip_config_of(config["clips"]) if config.get("clips") else None


def _blake2b() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=BLAKE_HEX // 2)


def _version_in(path: Path) -> str:
    if path.suffix == ".onnx":
        return load_ears(path).version
    with safe_open(path, framework="numpy") as file:
        return str((file.metadata() or {}).get("version", ""))


def _describe(path: Path, like: str = "") -> Artifact:
    """Describe a file, its content by the kind of digest that `like` is."""
    try:
        version = _version_in(path)
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, _blake2b if len(like) == BLAKE_HEX else hashlib.sha256).hexdigest()
        return Artifact(path.name, version, path.stat().st_size, digest)
    except FileNotFoundError:
        raise ArtifactError(f"{path} is missing; restore the file or train again") from None
    except (SafetensorError, OSError) as error:
        raise ArtifactError(f"{path} is damaged: {error}; restore the file or train again") from error


def _checked_name(name: str) -> str:
    if not _SAFE_NAME.fullmatch(name):
        raise ArtifactError(f"{name!r} is no name for a bundle or its files; expected letters, digits, '.', '_' or '-'")
    return name


def _unlike_cnn(folder: Path, cnn_version: str, vectors_version: str) -> str:
    return (
        f"{folder}: the audio model is of version {cnn_version!r}, the model's embeddings of {vectors_version!r}: "
        "they cannot be mixed; restore the file or train again"
    )


def _package_versions() -> dict[str, str]:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
