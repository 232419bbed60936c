"""What every long training needs: where its run is kept, checkpoints that are whole at any moment, a way to stop."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
from pathlib import Path

import torch
import torch.distributed as dist

from latentlib.device import pick_device
from latentlib.weights import WeightsError


class Stop(Exception):
    """A reason to stop that a person can read; the last good checkpoint stays as it is."""


@contextlib.contextmanager
def session(device_name: str):
    """``with session("auto") as device: …`` is a whole program: one process, or one of those that torchrun started.

    These have met when the block begins and part when it ends. A Stop inside it, or weights that
    cannot be loaded, end the program with a sentence.
    """
    device = pick_device(device_name)
    if device.type == "cpu":
        keep_freed_memory()
    if "RANK" in os.environ:  # started by torchrun
        if device.type == "cuda":
            device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield device
    except (Stop, WeightsError) as reason:
        sys.exit(str(reason))
    finally:
        if "RANK" in os.environ:
            gc.collect()  # replicas that nobody needs any more hold the group; what is left of it may abort at exit
            dist.destroy_process_group()


def runs_folder() -> Path:
    """Where runs are kept, outside the work tree: LATENTLIB_RUNS, else the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "latentlib" / "runs"
    return Path(os.environ.get("LATENTLIB_RUNS") or default).expanduser()


def save_atomically(state: dict, path: Path) -> None:
    """Write beside the last checkpoint, then take its place in one move: it is whole at any moment."""
    unfinished = path.with_suffix(".unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(unfinished, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except (OSError, RuntimeError) as error:
        unfinished.unlink(missing_ok=True)
        raise Stop(
            f"the checkpoint could not be written ({error}); is the disk full? The last good state is at {path}"
        ) from error


def read_checkpoint(path: Path, device: torch.device) -> dict | None:
    """The state in a checkpoint, read without executing anything; None when there is none."""
    if not path.exists():
        return None
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        raise Stop(f"the checkpoint {path} cannot be read ({error}); move it away, or use another --run") from error


@contextlib.contextmanager
def stop_signals():
    """Inside the block Ctrl-C and SIGTERM interrupt nothing: they are put into the list that is given."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # only the main thread may listen to signals
        yield asked
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda number, frame: asked.append(number))
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def keep_freed_memory() -> bool:
    """Keep the memory that was freed for what comes next, instead of giving it back to the system each time.

    Training allocates and frees the same hundreds of megabytes in every step; glibc, the C library of most Linux
    systems, hands large pieces back at once, and the kernel must clear them before it gives them out again. From this
    call on the process stays as large as it was at its largest, so it is for long training runs on a CPU.
    Returns whether anything was changed: False on other systems.
    """
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    try:
        c_library = ctypes.CDLL(None)
        _ = c_library.gnu_get_libc_version  # other C libraries take the same call and do nothing
        mallopt = c_library.mallopt
    except (OSError, AttributeError):
        return False
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # M_…, from malloc.h
    kept = [mallopt(trim_threshold, 10**9), mallopt(top_pad, 200 * 10**6)]
    # Older versions of glibc refuse more than 32 MB here.
    kept.append(mallopt(mmap_threshold, 10**9) or mallopt(mmap_threshold, 2**25))
    return all(kept)
