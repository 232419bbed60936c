"""What must be decided before PyTorch is loaded, where files lie, and what a notebook's parameters mean.

Only the standard library is imported here. A setting that the learner has made already, in the shell or in a cell,
stays as it is.
"""

import math
import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path

# How long a thread that has nothing to do goes round a loop before it sleeps. GNU's do 300,000 rounds unless told
# otherwise, Intel's and LLVM's go on for 200 ms. Where two notebooks share two cores, each then waits for threads that
# only wait, and takes many times as long as alone. A short spin costs little.
SPIN = {
    "GOMP_SPINCOUNT": "1000",  # GNU: rounds. PyTorch on Linux
    "KMP_BLOCKTIME": "0",  # Intel and LLVM: milliseconds. PyTorch on macOS, Windows and from conda-forge
}
WAITING = ("OMP_WAIT_POLICY", *SPIN)  # who sets one of these has decided how threads wait
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")  # and who sets one of these, how many there are
FALLBACK = {"PYTORCH_ENABLE_MPS_FALLBACK": "1"}  # what Apple's GPUs cannot do yet is done on the CPU
SILENCE = 20.0  # seconds without a byte after which a server is given up
COURSE = Path(__file__).resolve().parents[1]


def set_variables(environment: MutableMapping[str, str] = os.environ, root: Path = Path("/")) -> dict[str, str]:
    """Set in the environment what is not decided there yet; gives what was set. root: where /proc and /sys lie."""
    wanted = dict(FALLBACK)
    if not any(name in environment for name in WAITING):
        wanted |= SPIN
    quota = cpu_quota(root)
    if quota < math.inf and quota < len(os.sched_getaffinity(0)) and not any(name in environment for name in THREADS):
        # PyTorch counts the cores that it sees; where it may use the time of one, their threads wait for each other.
        wanted["OMP_NUM_THREADS"] = str(math.ceil(quota))
    if not _may_write(_home()):  # else umap stops with "cannot cache function", and matplotlib reads all fonts anew
        wanted |= {name: str(_temporary() / name.lower()) for name in ("NUMBA_CACHE_DIR", "MPLCONFIGDIR")}
    made = {name: value for name, value in wanted.items() if name not in environment}
    environment.update(made)
    return made


def cpu_quota(root: Path = Path("/")) -> float:
    """How many cores' time this process may take by its control groups (Linux, versions 1 and 2); else infinity."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return math.inf
    quotas = [math.inf]
    for line in lines:  # "0::/own/group", or for version 1 "4:cpu,cpuacct:/own/group"
        _, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = root / "sys/fs/cgroup" / controllers
        own = base / group.strip("/")
        files = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if controllers else ("cpu.max",)
        # A group may have less than the groups above it; in a container its own may be the topmost that is to be seen.
        for place in [own, *own.parents][: len(own.parts) - len(base.parts) + 1]:
            try:
                limit, period = " ".join((place / name).read_text() for name in files).split()
                if int(limit) > 0:  # else there is none; version 2 says "max", which is no number
                    quotas.append(int(limit) / int(period))
            except (OSError, ValueError):
                continue
    return min(quotas)


def data_folder() -> Path | None:
    """The folder named by ``LATENTLIB_DATA``, or None when the variable is not set.

    Raises FileNotFoundError with one sentence when the variable names something that is not a folder.
    """
    name = os.environ.get("LATENTLIB_DATA", "").strip()
    if not name:
        return None
    path = Path(name).expanduser()
    # A kernel starts in the notebook's folder, so a relative path may also be meant from the course's folder.
    for folder in (path.resolve(), (COURSE / path).resolve()):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"LATENTLIB_DATA names {path}, which is not a folder; correct it or unset it")


def cache_folder() -> Path:
    """Where downloads are kept: the first place that may be written. Made by whoever writes there, not here."""
    return next((folder for folder in _caches() if _may_write(folder)), _temporary())


def places() -> list[Path]:
    """Where data may lie, in the order to look there: ``LATENTLIB_DATA``, then the caches, also those only to read."""
    return [folder for folder in [data_folder()] if folder] + [*_caches(), _temporary()]


def find(name: str) -> Path | None:
    """The file or folder of this name in the first place that has it; else None."""
    return next((place / name for place in places() if os.path.exists(place / name)), None)


def _caches() -> Iterator[Path]:
    if named := os.environ.get("LATENTLIB_CACHE", "").strip():
        yield Path(named).expanduser().resolve()
    if (COURSE / "pyproject.toml").is_file():  # a clone, not an installed package
        yield COURSE / "data" / "cache"
    if home := _home():
        yield home / ".cache" / "latentlib"


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # neither HOME nor an entry for this user
        return None


def _temporary() -> Path:
    import tempfile  # only here: importing the package must be quick

    return Path(tempfile.gettempdir()) / f"latentlib-{getattr(os, 'getuid', lambda: 'course')()}"


def _may_write(folder: Path | None) -> bool:
    """Whether files can be made in this folder, or the folder itself."""
    there = next((place for place in (folder, *folder.parents) if os.path.exists(place)), None) if folder else None
    return there is not None and there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def offline() -> bool:
    """True when ``LATENTLIB_OFFLINE`` forbids the network."""
    return os.environ.get("LATENTLIB_OFFLINE", "").strip().lower() not in ("", "0", "false", "no", "off")


def parameters(fast, seed, device, dataset) -> tuple:
    """What a notebook's parameters mean, whoever set them (papermill gives "false" as text): the cell's third line.

    Gives (fast: bool, seed: int, device: torch.device, dataset: str), and seeds Python, NumPy and PyTorch.
    Raises ValueError with one sentence for what cannot be meant.
    """
    from latentlib.device import pick_device, seed_everything

    said, dataset = str(fast).strip().lower().removesuffix(".0"), str(dataset).strip().lower()
    if said not in ("true", "yes", "on", "1", "false", "no", "off", "0"):
        raise ValueError(f"fast must be true or false, got {fast!r}")
    number = str(seed).strip().removesuffix(".0")
    if not number.isdecimal() or int(number) >= 2**32:
        raise ValueError(f"seed must be a whole number from 0 to {2**32 - 1}, got {seed!r}")
    if dataset not in ("auto", "mnist", "bundled"):
        raise ValueError(f'dataset must be "auto", "mnist" or "bundled", got {dataset!r}')
    seed_everything(int(number))
    return said in ("true", "yes", "on", "1"), int(number), pick_device(str(device).strip().lower()), dataset
