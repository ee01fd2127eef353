"""Processes that make blocks of playlists; they share the mapped arrays, and end with this one."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from pipelines.playlist_blocks import MODEL, Batch, load_inputs, make_block, save_inputs
from recommender.errors import DataError, FirstListenError


def run_blocks(batch: Batch, blocks: Sequence[int], workers: int, model_path: Path | None) -> Iterator[int]:
    """Make blocks, and yield each when it is done.

    Parameters
    ----------
    batch : Batch
    blocks : sequence of int
    workers : int
        Processes; with 1 this one does it.
    model_path : Path or None
        The file of the batch's model; None where there is none.

    Raises
    ------
    DataError
        If a process ended before it was done.
    """
    workers = min(workers, len(blocks))
    if workers <= 1:
        from threadpoolctl import threadpool_limits

        for block in blocks:
            with threadpool_limits(1):
                make_block(batch, block)
            yield block
        return
    save_inputs(batch, with_model=model_path is None)
    batch.library.model.__dict__.pop("track_index", None)  # the workers map the one that was written
    context = multiprocessing.get_context("spawn")
    waiting, pipes, processes = list(reversed(blocks)), list[Connection](), list[SpawnProcess]()
    try:
        for _ in range(workers):
            mine, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, batch.staging, model_path), daemon=True)
            process.start()
            theirs.close()
            pipes.append(mine)
            processes.append(process)
        ours = list(pipes)
        while pipes:
            for pipe in wait(pipes):
                assert isinstance(pipe, Connection)
                try:
                    told = pipe.recv()
                except (EOFError, ConnectionResetError):
                    raise _ended(processes[ours.index(pipe)]) from None
                if isinstance(told, Exception):
                    raise told
                if told >= 0:
                    yield told
                if waiting:
                    pipe.send(waiting.pop())
                else:
                    pipes.remove(pipe)
                    pipe.close()
    finally:
        for process in processes:
            process.kill()
            process.join()


def _ended(process: SpawnProcess) -> Exception:
    process.join(timeout=10)
    code = process.exitcode
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return DataError(
            f"a process that made playlists was killed ({name}), perhaps for want of memory; run the command again, it "
            "goes on where it stopped (--workers 1 needs least)"
        )
    return RuntimeError(f"a process that made playlists ended with exit code {code}: its error is shown above")


def _work(pipe: Connection, staging: Path, model_path: Path | None) -> None:
    """Make the blocks that are asked for, until the other end is gone."""
    from threadpoolctl import threadpool_limits

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    with threadpool_limits(1), suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            batch = load_inputs(staging, model_path or staging / MODEL)
            pipe.send(-1)
            while True:
                block = pipe.recv()
                make_block(batch, block)
                pipe.send(block)
        except (FirstListenError, OSError) as error:
            if isinstance(error, BrokenPipeError | ConnectionResetError):
                raise
            pipe.send(error)
