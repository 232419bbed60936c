"""Every benchmark of this folder in one table: `make bench NAMES="inversion tuning"`, or `python -m benchmarks.run`.

Each bench_NAME.py has run(), which gives rows; a row's peer was measured in the same run, so that the ratio means
something on a machine that is busy with other things, while value and peer alone may not.
"""

import importlib
import platform
import sys
import time
from pathlib import Path

import torch

from benchmarks.rows import LeftOut
from latentlib import device

NAMES = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))


def main(arguments: list[str]) -> int:
    unknown = sorted(set(arguments) - set(NAMES))
    if unknown:
        print(f"bench: there is no {', '.join(unknown)}; there are {', '.join(NAMES)}")
        return 2
    print(f"Python {platform.python_version()}, PyTorch {torch.__version__}, {device.pick_device()}")
    print(f"\n{'what':72} {'value':>12} {'peer':>12} {'ratio':>8}", flush=True)
    failed = []
    for name in arguments or NAMES:
        start = time.perf_counter()
        try:
            for row in importlib.import_module(f"benchmarks.bench_{name}").run():
                print(f"{row.name:72} {row.value:>12,.4g} {row.peer:>12,.4g} {row.ratio:>8.2f}", flush=True)
        except LeftOut as reason:
            print(f"{name} is left out: {reason}", flush=True)
        except Exception as error:  # the other figures are still worth having
            failed.append(name)
            print(f"{name} failed: {type(error).__name__}: {error}", flush=True)
        print(f"  ({name}: {time.perf_counter() - start:.0f} s)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
