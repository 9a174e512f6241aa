"""Run a function on two processes that talk over gloo on this machine: `run_on_two_processes(fn, *args)`."""

import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

import torch
import torch.distributed as dist

LIMIT_SECONDS = 60.0
LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"


class ProcessFailure(AssertionError):
    """One of the two processes raised, died or did not finish."""


def run_on_two_processes(fn: Callable[..., Any], *args: Any, limit: float = LIMIT_SECONDS) -> list[Any]:
    """[fn(0, *args), fn(1, *args)], each in its own process with the gloo group set up.

    `fn` stands at the top of a module and takes the rank first; arguments and results are pickled. The variables RANK,
    LOCAL_RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT are set as a launcher sets them.

    Raises:
        ProcessFailure: with the traceback of the first process that raised, or who was missing after `limit` seconds.
    """
    # The store listens here, on a port that the system chose: no gap between finding a port and taking it.
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    context = multiprocessing.get_context("spawn")
    readers, processes = [], []
    try:
        for rank in (0, 1):
            reader, writer = context.Pipe(duplex=False)
            process = context.Process(target=_child, args=(rank, store.port, writer, limit, fn, args), daemon=True)
            process.start()
            writer.close()
            readers.append(reader)
            processes.append(process)
        return _results(readers, processes, limit)
    finally:
        for process in processes:
            process.kill()
            process.join()


def _child(rank: int, port: int, writer: Connection, limit: float, fn: Callable[..., Any], args: tuple) -> None:
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": LOOPBACK}
    os.environ.update(address, RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2")
    torch.set_num_threads(1)
    try:
        store = dist.TCPStore("127.0.0.1", port, is_master=False, timeout=timedelta(seconds=limit))
        dist.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=timedelta(seconds=limit))
        result = fn(rank, *args)
        dist.barrier()
        dist.destroy_process_group()
        writer.send((True, result))
    except BaseException:
        writer.send((False, traceback.format_exc()))


def _results(readers: list[Connection], processes: list[SpawnProcess], limit: float) -> list[Any]:
    results: dict[int, Any] = {}
    end = time.monotonic() + limit
    while len(results) < 2:
        missing = [rank for rank in range(2) if rank not in results]
        pending = [readers[rank] for rank in missing]
        ready = wait(pending, timeout=max(0.0, end - time.monotonic()))
        if not ready:
            raise ProcessFailure(
                f"no result from process {' and '.join(map(str, missing))} within {limit:g} s: probably one waits in a "
                "collective operation that the other never enters"
            )
        answers = {rank: _receive(readers[rank], processes[rank]) for rank in range(2) if readers[rank] in ready}
        # One failure soon breaks the other process too: both texts are shown, so that the cause is among them.
        failures = [f"process {rank} {text}" for rank, (fine, text) in answers.items() if not fine]
        if failures:
            raise ProcessFailure("\n".join(failures))
        results |= {rank: result for rank, (_, result) in answers.items()}
    return [results[0], results[1]]


def _receive(reader: Connection, process: SpawnProcess) -> tuple[bool, Any]:
    try:
        fine, result = reader.recv()
    except EOFError:
        process.join(5)
        return False, f"died without a word, exit code {process.exitcode}"
    return fine, result if fine else f"raised:\n{result}"
