"""How long work tells how far it is; who draws the bar is none of its business."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with (done, total), both counts of the same unit."""


def silent(done: int, total: int) -> None:
    """Show nothing."""
