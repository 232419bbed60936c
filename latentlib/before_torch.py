"""Settings that PyTorch reads once, while it is loaded: importing latentlib makes them. Standard library only.

A setting that the learner has made already, in the shell or in a cell, stays as it is. Where PyTorch was loaded before
latentlib, they come too late for that process and change nothing.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

# How long a thread that has nothing to do goes round a loop before it sleeps. GNU's do 300,000 rounds unless told
# otherwise, Intel's and LLVM's go on for 200 ms. Where two notebooks share two cores, each then waits for threads that
# only wait, and takes ten times as long as alone. A short spin costs little; benchmarks/bench_threads.py measures it.
SPIN = {
    "GOMP_SPINCOUNT": "1000",  # GNU: rounds. PyTorch on Linux
    "KMP_BLOCKTIME": "0",  # Intel and LLVM: milliseconds. PyTorch on macOS, Windows and from conda-forge
}
WAITING = ("OMP_WAIT_POLICY", *SPIN)  # who sets one of these has decided how threads wait
FALLBACK = {
    "PYTORCH_ENABLE_MPS_FALLBACK": "1",  # what Apple's GPUs cannot do yet is done on the CPU instead of failing
}


def set_variables(environment: MutableMapping[str, str] = os.environ) -> dict[str, str]:
    """Set in the environment what is not decided there yet; gives what was set."""
    wanted = dict(FALLBACK)
    if not any(name in environment for name in WAITING):
        wanted |= SPIN
    made = {name: value for name, value in wanted.items() if name not in environment}
    environment.update(made)
    return made
