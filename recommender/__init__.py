"""Music recommendation that works for the track nobody has played yet.

``recommender.load(folder)`` answers questions with a trained workspace or bundle, see `recommender.library`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recommender.library import Library, load

__all__ = ["Library", "load"]


def __getattr__(name: str) -> Any:
    """Import what is asked for: a part of the package is used without the rest of it."""
    if name in __all__:
        from recommender import library

        return getattr(library, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
