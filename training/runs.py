"""What every training shares: its folder, checkpoints whole at any moment, a way to stop."""

import argparse
import contextlib
import json
import math
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

from latentlib.device import pick_device
from latentlib.weights import WeightsError

CHECKPOINT_SECONDS = 180


class Stop(Exception):
    """A reason to stop that a person can read; the last good checkpoint stays as it is."""


def autocast(device: torch.device | str, enabled: bool = True) -> contextlib.AbstractContextManager:
    """bfloat16 arithmetic inside a ``with`` block where the device does it fast; else full precision.

    That is: NVIDIA GPUs of compute capability 8.0 or more (A100, L4, RTX 30 and later), and CPUs with AVX-512's
    bfloat16 instructions (without them it takes twice as long as float32). Apple's MPS and older hardware stay in
    float32: so does Colab's T4, of capability 7.5, on which PyTorch only emulates bfloat16.
    """
    device = torch.device(device)
    if device.type == "cuda":
        # is_bf16_supported() counts emulation, too
        fast = torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        fast = device.type == "cpu" and _cpu_has_bfloat16()
    return torch.autocast(device.type, dtype=torch.bfloat16) if enabled and fast else contextlib.nullcontext()


def _cpu_has_bfloat16() -> bool:
    return getattr(torch.cpu, "_is_avx512_bf16_supported", bool)()  # the oldest PyTorch that we support has none


def describe(device: torch.device) -> str:
    """One line about the machine: Python, PyTorch, and the device with its name."""
    name = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU with {torch.get_num_threads()} threads"
    )
    return f"Python {platform.python_version()}, PyTorch {torch.__version__}, {device.type} ({name})"


class Trainer:
    """What a run needs. A subclass makes its networks, has ``step``, and names what a checkpoint holds."""

    modules: tuple[str, ...] = ()  # attributes with a state_dict: networks, optimisers
    values: tuple[str, ...] = ()  # attributes kept as they are: numbers, tensors

    def __init__(self, recipe: dict, device: torch.device):
        self.recipe, self.device = recipe, device
        self.images_seen, self.seconds = 0, 0.0

    def step(self) -> dict[str, torch.Tensor]:
        """One batch; counts images_seen up and gives the losses."""
        raise NotImplementedError

    def state(self) -> dict:
        """What a checkpoint holds."""
        kept = {name: getattr(self, name).state_dict() for name in self.modules}
        return kept | {name: getattr(self, name) for name in ("recipe", "images_seen", "seconds", *self.values)}

    def restore(self, state: dict) -> None:
        """Go on from what a checkpoint holds."""
        for name in self.modules:
            getattr(self, name).load_state_dict(state[name])
        for name in ("images_seen", "seconds", *self.values):
            setattr(self, name, state[name])

    def finite(self) -> bool:
        """Whether every weight is a number."""
        networks = [part for part in (getattr(self, name) for name in self.modules) if hasattr(part, "parameters")]
        return all(bool(torch.isfinite(p).all()) for network in networks for p in network.parameters())

    def seed_step(self) -> None:
        """Each step draws its own numbers, the same ones when it is done again."""
        torch.manual_seed(hash((self.recipe["seed"], self.images_seen)) % 2**63)

    @property
    def learning_rate(self) -> float:
        """The rate of the next step: from "decay_from" on it falls, in a straight line, to 0 at the last image."""
        rate, start, end = (self.recipe[name] for name in ("learning_rate", "decay_from", "images"))
        if start is None or self.images_seen < start:
            return rate
        return rate * max(end - self.images_seen, 0) / max(end - start, 1)

    def learn(self, loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> torch.Tensor:
        """One step of an optimiser; gives the loss without its graph."""
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.detach()

    @torch.no_grad()
    def average(self, ema: torch.nn.Module, network: torch.nn.Module, half_life: float) -> None:
        """Move the running mean of a network's weights by one batch; half_life: in images."""
        average = get_ema_multi_avg_fn(0.5 ** (self.recipe["batch"] / max(half_life, 1e-8)))
        average(list(ema.parameters()), list(network.parameters()), None)


# ------------------------------------------------------------------------------------------------------------ the loop


def go_on(
    trainer: Trainer,
    path: Path,
    images: float = math.inf,  # seen in all
    seconds: float = math.inf,  # of this start
    on_checkpoint: Callable[[Trainer], None] | None = None,
) -> None:
    """Train until so many images, so many seconds, Ctrl-C or SIGTERM, with a checkpoint now and then and at the end.

    Raises Stop with the reason when a loss or a weight is no number, or a checkpoint cannot be written.
    """
    started = saved = time.monotonic()
    before, sums, steps = trainer.seconds, {}, 0

    def checkpoint() -> None:
        _report(trainer, sums, steps)
        _keep(trainer, path)
        if on_checkpoint is not None:
            on_checkpoint(trainer)

    with stop_signals() as asked:
        while not asked and trainer.images_seen < images and time.monotonic() - started < seconds:
            for name, loss in trainer.step().items():
                sums[name] = sums.get(name, 0.0) + loss
            steps += 1
            trainer.seconds = before + time.monotonic() - started
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                checkpoint()
                saved, sums, steps = time.monotonic(), {}, 0
        if steps:
            checkpoint()


def _report(trainer: Trainer, sums: dict, steps: int) -> None:
    means = {name: float(total) / steps for name, total in sums.items()}
    if not all(math.isfinite(value) for value in means.values()):
        raise Stop(f"the loss is no longer a number after {trainer.images_seen} images; go on from the last checkpoint")
    text = ", ".join(f"{name} {value:.4g}" for name, value in means.items())
    print(f"{trainer.images_seen} images, {trainer.seconds / 60:.1f} min: {text}", flush=True)


def _keep(trainer: Trainer, path: Path) -> None:
    if not trainer.finite():
        raise Stop(f"a weight is no longer a number after {trainer.images_seen} images; the last good state is {path}")
    save_atomically(trainer.state(), path)


# ------------------------------------------------------------------------------------------------------ command lines


def options(doc: str, run: str) -> argparse.ArgumentParser:
    """What every trainer can be asked."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default=run, help="name of the run's folder in LATENTLIB_RUNS")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after that long; the next start goes on")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="change the recipe, such as r1=0.1")
    parser.add_argument("--warm-start", type=Path, metavar="FOLDER", help="begin from shipped weights")
    parser.add_argument("--export", type=Path, metavar="FOLDER", help="write the last checkpoint's weights and stop")
    return parser


def changed(recipe: dict, settings: list[str]) -> dict:
    """The recipe with what ``--set`` names; Stop for a name that it does not have, or a value that is no JSON."""
    recipe = dict(recipe)
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in recipe:
            raise Stop(f"the recipe has no {name!r}; it has {', '.join(recipe)}")
        try:
            value = json.loads(value)
        except ValueError as error:
            raise Stop(f"--set {setting}: {value!r} must be JSON, such as 0.5, null or true") from error
        recipe[name] = {int(r): v for r, v in value.items()} if isinstance(value, dict) else value
    return recipe


def run(
    asked: argparse.Namespace,
    build: Callable[[dict | None, torch.device], Trainer],  # from the last checkpoint, or from None
    export: Callable[[dict, Path], object],
    on_checkpoint: Callable[[Trainer], None] | None = None,
) -> None:
    """A whole program: start a run or go on with it, or ship its last checkpoint."""
    path = runs_folder() / asked.run / "checkpoint.pt"
    with session(asked.device) as device:
        state = read_checkpoint(path, device)
        if asked.export:
            if state is None:
                raise Stop(f"there is no checkpoint at {path} to export")
            export(state, asked.export)
            return
        trainer = build(state, device)
        if trainer.images_seen:
            print(f"going on from {trainer.images_seen} images", flush=True)
        go_on(trainer, path, trainer.recipe.get("images", math.inf), asked.minutes * 60, on_checkpoint)


@contextlib.contextmanager
def session(device_name: str):
    """``with session("auto") as device: …`` is a whole program: a Stop inside it, or weights that cannot be loaded, end
    it with a sentence."""
    device = pick_device(device_name)
    if device.type == "cpu":
        keep_freed_memory()
    try:
        yield device
    except (Stop, WeightsError) as reason:
        sys.exit(str(reason))


# -------------------------------------------------------------------------------------------- checkpoints and signals


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
        with contextlib.suppress(OSError):
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

    glibc hands large pieces back at once, and the kernel must clear them before it gives them out again, hundreds of
    megabytes in every step. From this call on the process stays as large as it was at its largest. False where there is
    no glibc.
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
    kept.append(mallopt(mmap_threshold, 10**9) or mallopt(mmap_threshold, 2**25))  # older versions refuse more
    return all(kept)
