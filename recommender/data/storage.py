"""Files that are either whole or absent, and arrays on disk without pickle."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from recommender.errors import ArtifactError, VersionError

Array = npt.NDArray[Any]


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; on success it becomes `path`, on any error it is gone.

    The content is flushed to disk before the rename, so that after a crash `path` holds the old content or the new.

    Examples
    --------
    >>> with atomic_path(tmp / "x.txt") as part:
    ...     _ = part.write_text("whole")
    >>> [file.name for file in tmp.iterdir()]
    ['x.txt']
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".part-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(0o666 & ~_umask())
        _flush(part)
        part.replace(path)
        _flush(path.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_path(path) as part:
        part.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    ArtifactError
        If the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(f"{path} is missing") from None
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read as JSON: {error}") from error


_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}
"""NumPy's names of what safetensors calls these."""


def save_arrays(path: Path, kind: str, version: str, arrays: Mapping[str, Array], metadata: Any = None) -> None:
    """Write named arrays to a safetensors file, whole or not at all.

    Parameters
    ----------
    path : Path
    kind : str
        What the arrays are, for example ``"factors"``; checked by `load_arrays`.
    version : str
        The version of the bundle or model that they belong to; checked by `load_arrays`.
    arrays : mapping of str to ndarray
    metadata : JSON value, optional

    Raises
    ------
    ArtifactError
        If it cannot be written, for example because the disk is full; what was there before stays.
    """
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    header = {"kind": kind, "version": version, "metadata": json.dumps(metadata), "digest": _digest_by_name(contiguous)}
    with atomic_path(path) as part:
        try:
            save_file(contiguous, part, metadata=header)
        except SafetensorError as error:
            raise ArtifactError(f"{path} cannot be written: {error}; make room there and run again") from error


def load_arrays(path: Path, kind: str, version: str | None, *, mapped: bool = False) -> tuple[dict[str, Array], Any]:
    """Read what `save_arrays` wrote.

    Parameters
    ----------
    path : Path
    kind : str
    version : str or None
        The version that is expected; None accepts any.
    mapped : bool
        Leave the arrays in the file, from where the system fetches what is looked at; they cannot be changed then. For
        a file whose content was checked before: here it is not.

    Returns
    -------
    arrays : dict of str to ndarray
    metadata : JSON value

    Raises
    ------
    ArtifactError
        If the file is missing, damaged or of another kind.
    VersionError
        If it belongs to another version; both are named.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            if header.get("kind") != kind:
                raise ArtifactError(f"{path} holds {header.get('kind')!r}, expected {kind!r}")
            if version is not None and header["version"] != version:
                raise VersionError(
                    f"{path} is of version {header['version']!r}, expected {version!r}: artifacts of two versions "
                    "cannot be mixed; restore the file or train again"
                )
            if mapped:
                return _mapped_arrays(path), json.loads(header["metadata"])
            arrays = {name: file.get_tensor(name) for name in list(file.keys())}
            if "digest" in header and header["digest"] != _digest_by_name(arrays):
                raise ArtifactError(
                    f"{path} is damaged: its content is not what was written; restore it or train again"
                )
            return arrays, json.loads(header["metadata"])
    except FileNotFoundError:
        raise ArtifactError(f"{path} is missing") from None
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ArtifactError(f"{path} is damaged: {error}") from error


def _mapped_arrays(path: Path) -> dict[str, Array]:
    """Map the arrays of a safetensors file: eight bytes of length, a header in JSON, then the values.

    Each has a map of its own: scipy copies arrays that are a small part of another.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    arrays = {}
    for name, about in header.items():
        if name != "__metadata__":
            first, last = about["data_offsets"]
            dtype, shape = _DTYPES[about["dtype"]], tuple(about["shape"])
            if first == last:
                arrays[name] = np.empty(shape, dtype=dtype)
            else:
                arrays[name] = np.asarray(np.memmap(path, dtype, "r", 8 + length + first, shape))
    return arrays


def digest_of(*arrays: Array) -> str:
    """Return a short hexadecimal digest of arrays' contents, dtypes and shapes."""
    state = hashlib.blake2b(digest_size=8)
    for array in arrays:
        state.update(f"{array.dtype}{array.shape}".encode())
        if array.dtype == object:
            state.update(json.dumps(array.tolist()).encode())
        else:
            state.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return state.hexdigest()


def _digest_by_name(arrays: Mapping[str, Array]) -> str:
    names = sorted(arrays)
    return digest_of(np.array(names, dtype=object), *(arrays[name] for name in names))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
