"""The memory of a server: most of it lives as long as a bundle."""

from __future__ import annotations

import ctypes
import gc


def settle() -> None:
    """Set aside what lives as long as the bundle, and give the system back what was only needed to make it."""
    gc.collect()
    gc.freeze()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # where glibc allocates: it keeps what was freed
    if trim is not None:
        trim(0)
