"""Scripts in processes of their own, one or several that torchrun starts: for tests that kill them or compare them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent


def start(folder: Path, text: str, processes: int = 1) -> subprocess.Popen[str]:
    """Write a script with this text into the folder and start it; what it prints, errors too, comes in its stdout.

    It imports latentlib, training and all that lies in tests, has one thread, and keeps its runs in folder/runs.
    """
    script = folder / "script.py"
    script.write_text(text, encoding="utf-8")
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "LATENTLIB_RUNS": str(folder / "runs"),
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, TESTS))),
    }
    return subprocess.Popen(
        [sys.executable, *launcher, str(script)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
