"""Runs one notebook top to bottom in a fresh kernel and measures it. Shared by the tools."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parent.parent
CELL_TIMEOUT = 600  # seconds


@dataclass
class Run:
    """One execution: the notebook with outputs, seconds, peak memory in GB, and the error or ""."""

    notebook: nbformat.NotebookNode
    seconds: float
    peak: float
    error: str


def notebook_paths() -> list[Path]:
    return sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def code_cells(path: Path) -> int:
    return sum(cell.cell_type == "code" for cell in nbformat.read(path, as_version=4).cells)


def run(path: Path, on_cell: Callable[[], None] = lambda: None) -> Run:
    """Execute the notebook at `path` in its own folder; a failing cell ends it and is reported."""
    notebook = nbformat.read(path, as_version=4)
    place = {"cell": 0}

    def started(cell, cell_index):
        place["cell"] = cell_index

    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=[
            "--IPKernelApp.log_level=40"
        ],  # errors only: no note about encryption for each kernel
        on_notebook_start=lambda notebook: watch.start(),
        on_cell_start=started,
        on_cell_executed=lambda cell, cell_index, execute_reply: on_cell(),
    )
    watch, error, start = _MemoryWatch(client), "", time.perf_counter()
    try:
        client.execute()
    except CellExecutionError as failure:
        error = f"cell {place['cell'] + 1}: {failure.ename}: {failure.evalue.splitlines()[0] if failure.evalue else ''}"
    except CellTimeoutError:
        error = f"cell {place['cell'] + 1}: took longer than {CELL_TIMEOUT} s"
    except DeadKernelError:
        error = f"cell {place['cell'] + 1}: the kernel died (out of memory?)"
    finally:
        watch.stop.set()
    return Run(notebook, time.perf_counter() - start, watch.peak / 2**30, error)


class _MemoryWatch(threading.Thread):
    """Keeps the largest resident memory, in bytes, of the kernel and its children.

    To be started once the kernel answers: a process being started is for a moment a copy of its
    parent and seems to hold all of the parent's memory.
    """

    def __init__(self, client: NotebookClient):
        super().__init__(daemon=True)
        self.client, self.peak, self.stop = client, 0, threading.Event()

    def run(self):
        while True:
            try:
                kernel = psutil.Process(self.client.km.provisioner.pid)
                family = [kernel, *kernel.children(recursive=True)]
                self.peak = max(self.peak, sum(process.memory_info().rss for process in family))
            except (AttributeError, TypeError, psutil.Error):
                pass
            if self.stop.wait(0.2):
                return
