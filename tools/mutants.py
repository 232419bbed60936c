"""Are old defects noticed? python -m tools.mutants [old|new] [id ...]

Puts each defect of tests/mutants.json into a copy of the repository, one at a time, and runs the test that should
notice it. ``old`` takes the commit BEFORE, with its tests; ``new`` (the default) the tracked files as they are now.
Fewer than 28 noticed: exit 1. A test that fails without a defect as well notices nothing; "gone" says why a defect
cannot exist any more, which does not count as noticed.
"""

import functools
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tools import course

BEFORE = "e361b49"  # the last commit before the package was written again


def copy_tree(which: str, folder: Path) -> None:
    if which == "old":
        given = subprocess.run(["git", "archive", BEFORE], cwd=course.ROOT, check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(given)) as tree:
            tree.extractall(folder, filter="data")
    else:
        course.copy(folder)
    course.git("init", "--quiet", cwd=folder)  # the browser tests ask git what belongs to the course


def pytest(folder: Path, test: str) -> int:
    """pytest's exit code; latentlib comes from the copy, also in kernels that a test starts."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", test]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True).returncode


clean = functools.cache(pytest)  # without a defect: once for each test


def noticed(folder: Path, file: str, find: str, replace: str, noticed_by: str) -> bool:
    path = folder / file
    text = path.read_text(encoding="utf-8")
    if text.count(find) != 1:
        raise SystemExit(f"mutants: {file} holds this {text.count(find)} times instead of once:\n{find}")
    path.write_text(text.replace(find, replace), encoding="utf-8")
    code = pytest(folder, noticed_by)
    path.write_text(text, encoding="utf-8")
    return code == 1 and clean(folder, noticed_by) == 0  # 2 to 5: broken imports, a test that is not there


def main(arguments: list[str]) -> int:
    which = arguments.pop(0) if arguments[:1] in (["old"], ["new"]) else "new"
    listed = json.loads((course.ROOT / "tests" / "mutants.json").read_text(encoding="utf-8"))["mutants"]
    chosen = [mutant for mutant in listed if mutant["id"] in arguments or not arguments]
    with tempfile.TemporaryDirectory() as folder:
        copy_tree(which, Path(folder))
        count = 0
        for mutant in chosen:
            count += (seen := mutant[which] is not None and noticed(Path(folder), **mutant[which]))
            verdict = "noticed" if seen else "gone" if mutant[which] is None else "NOT noticed"
            print(f"{verdict:11} {mutant['id']}: {mutant['defect']}", flush=True)
    print(f"{count} of {len(chosen)} noticed")
    return int(count < min(28, len(chosen)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
