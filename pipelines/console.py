"""What a person sees while a command works: bars with an estimate on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

from recommender.data.checks import SILENT, Check
from recommender.data.progress import Progress

PLAIN_INTERVAL_S = 10.0
PLAIN_WIDTH = 160
VERDICT_STYLES = {"ok": "green", "note": "cyan", "warning": "yellow", "found": "bold red", "broken": "bold red"}

out = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
err = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def progress(task: str) -> Iterator[Progress]:
    """Give a `Progress` that is drawn on standard error."""
    started = time.monotonic()
    if err.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Bars(*columns, console=err, transient=True) as bars:
            bar = bars.add_task(task, total=None)
            yield lambda done, total: bars.update(bar, completed=done, total=total)
    else:
        last = started

        def line(done: int, total: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= PLAIN_INTERVAL_S and 0 < done < total:
                last = now
                left_s = (now - started) / done * (total - done)
                err.print(f"{task}: {done} of {total}, about {left_s:.0f} s left")

        yield line
    err.print(f"{task}: {time.monotonic() - started:.1f} s")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; numbers are set to the right."""
    drawn = Table(title=title, title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        drawn.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row))
    out.print(drawn)


def checks(title: str, made: Sequence[Check]) -> None:
    """Print verdicts, and under each that asks for something what to do."""
    drawn = Table(title=title, title_justify="left", title_style="bold")
    for name, most in (("check", 34), ("verdict", None), ("found", None), ("expected", 46)):
        drawn.add_column(name, max_width=most, overflow="fold")
    for check in made:
        name, verdict, found, expected, advice = map(escape, check.row)
        if advice and check.verdict not in SILENT:
            found = f"{found}\n-> {advice}"
        style = VERDICT_STYLES[check.verdict]
        drawn.add_row(name, f"[{style}]{verdict}[/{style}]", found, expected)
    out.print(drawn)


def warn(lines: Sequence[str], *, most: int = 20) -> None:
    """Print lines about things that were passed over, and how many more there are."""
    for line in lines[:most]:
        err.print(f"  {line}", markup=False)
    if len(lines) > most:
        err.print(f"  ... and {len(lines) - most} more")
