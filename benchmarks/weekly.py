"""The weekly batch at size: seconds, memory, and whether it gives what the slow path gives.

``python benchmarks/playlists.py FOLDER --weekly`` makes a generated workspace in FOLDER (100,000 tracks with paths, 10,000
users, 128 factors) and runs the command for two weeks, the second with what the first gave left out. Beside it, in the
same run: the slow twin (`recommender.playlists.weekly_reference`) and `build_playlist`, one call a user, on some users.
Memory is summed over the processes, ten times a second: *all* shares what processes share among them (PSS), *own* leaves
mapped files aside (anonymous pages).
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from big_bundle import Size, ensure_bundle

from pipelines.workspace import open_workspace
from recommender.playlists.builder import Rules, Seeds, build_playlist
from recommender.playlists.weekly import KINDS, Listeners, WeeklyConfig, library_of
from recommender.playlists.weekly_reference import weekly_lists_of
from recommender.playlists.weeks import GivenLists, Week
from recommender.ranking.model import HybridModel
from recommender.serving.bundle import current_bundle, load_bundle

SIZE = Size(users=10_000)
WEEKS = ("2026-W46", "2026-W47")
SAMPLE, LENGTH, MAX_S, MAX_BYTES = 20, 50, 60.0, 2e9


def weekly(folder: Path, kinds: str, formats: str, workers: int, max_s: float = MAX_S) -> bool:
    """Print the table; tell whether the last week took no more time and memory than it may, and is right."""
    workspace = open_workspace(folder, create=True)
    model = load_bundle(current_bundle(ensure_bundle(folder, SIZE))).model
    shutil.rmtree(workspace.given_lists, ignore_errors=True)
    out = folder / "playlists"
    print(
        f"{len(model.users)} users, {len(model.catalog)} tracks, {kinds}, {LENGTH} tracks each, {formats}, {workers} workers"
    )
    for week in WEEKS:
        command = ["playlists", folder, "--all-users", "--out", out, "--week", week, "--length", LENGTH]
        command += ["--kinds", kinds, "--formats", formats, "--workers", workers]
        wall_s, cpu_s, everything, own = watched([str(part) for part in command])
        print(f"{week}: {wall_s:.1f} s, {cpu_s:.1f} s of CPU; memory {everything / 1e6:.0f} MB, own {own / 1e6:.0f} MB")
    files = sum(1 for _ in out.glob("* - *"))
    table = pd.read_parquet(out / "playlists.parquet")
    print(f"{files} files, {len(table)} rows; twice in two weeks: {repeats(workspace.given_lists)}")
    wrong = compare(model, workspace.given_lists, table, kinds)
    good = wall_s <= max_s and own <= MAX_BYTES and everything <= MAX_BYTES and not wrong
    return good and not repeats(workspace.given_lists)


def watched(arguments: list[str]) -> tuple[float, float, float, float]:
    """Run the command; return seconds, seconds of CPU, and the most memory of all its processes: all, and their own."""
    code = "from pipelines.cli import main; main()"
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.DEVNULL)
    most = np.zeros(2)
    while process.poll() is None:
        most = np.maximum(most, memory_of(process.pid))
        time.sleep(0.1)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise SystemExit(process.returncode)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - started, cpu_s, *most.tolist()


def memory_of(pid: int) -> tuple[float, float]:
    """Return bytes of a process and its children: proportional, and anonymous."""
    sums = {"Pss": 0, "Anonymous": 0}
    try:
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
                name, _, rest = line.partition(":")
                if name in sums:
                    sums[name] += 1024 * int(rest.split()[0])
    except (psutil.Error, OSError):  # it ended while it was looked at
        return 0.0, 0.0
    return float(sums["Pss"]), float(sums["Anonymous"])


def repeats(folder: Path) -> int:
    """Count the pairs that were given more than once."""
    given = pd.concat([pd.read_parquet(path) for path in folder.glob("*.parquet")])
    return int(given.duplicated(["user_id", "item_id"]).sum())


def compare(model: HybridModel, given_lists: Path, table: pd.DataFrame, kinds: str) -> int:
    """Make some users' lists one by one, print what that takes, and count those that differ."""
    week = Week.of(WEEKS[-1])
    config = WeeklyConfig(week, {kind: LENGTH for kind in KINDS if kind in kinds.split(",")})
    given = GivenLists(given_lists).before(week, config.no_repeat_weeks, model.users, model.catalog.tracks)
    everyone = Listeners(model.users.ids, model.plays, model.heard, given, 0 * given)
    users = np.sort(np.random.default_rng(0).choice(len(model.users), SAMPLE, replace=False)).tolist()
    library, ids = library_of(model, None, week), np.array(model.catalog.tracks.ids, dtype=object)
    wrong, started = 0, time.process_time()
    slow = {user: weekly_lists_of(library, everyone, user, config) for user in users}
    twin_ms = 1e3 * (time.process_time() - started) / SAMPLE
    theirs = table[table["user_id"].isin([model.users.ids[user] for user in users])].groupby(["user_id", "kind"])
    found = {key: rows["item_id"].tolist() for key, rows in theirs}
    for user, lists in slow.items():
        for kind, one in lists.items():
            wrong += found.get((model.users.ids[user], kind), []) != ids[one.rows].tolist()
    rules, started = Rules(length=LENGTH, unheard=True), time.process_time()
    for user in users:
        seeds = Seeds(plays=model.plays[user], heard=model.heard[user])
        build_playlist(model, seeds, rules, name="", made_at=datetime.now(UTC), bundle_version="")
    builder_ms = 1e3 * (time.process_time() - started) / SAMPLE
    print(
        f"one user at a time: slow twin {twin_ms:.1f} ms for all kinds, build_playlist {builder_ms:.1f} ms for one list"
    )
    print(f"lists that differ from the slow twin's: {wrong} of {SAMPLE * len(config.lengths)}")
    return wrong
