"""Colab, imitated: runs notebooks in this Python as on a fresh machine there; `nox -s colab` makes such a Python.

    python -m tools.colab [NOTEBOOK ...]

Each notebook runs alone in an empty folder, IPython has imported google.colab, and the set-up cell fetches the course
from a git repository on this machine; for the next notebook the course is removed again. Not imitated: Colab's page and
its JavaScript, its GPU, its network. Exit status 1 when a notebook failed or a package that was there before is another
one now.
"""

import importlib.metadata
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import nbformat

from tools.course import lessons, repository
from tools.run import Result, execute, header, row, use_data

STUB = '''"""Enough of Colab's module for widgets."""
managers = 0


def enable_custom_widget_manager():
    global managers
    managers += 1
'''


def settings(folder: Path, url: str) -> dict[str, str]:
    """The environment variables of a fresh Colab machine, whose IPython has imported google.colab at its start."""
    stub, startup = folder / "stub" / "google" / "colab", folder / "ipython" / "profile_default" / "startup"
    stub.mkdir(parents=True, exist_ok=True)
    startup.mkdir(parents=True, exist_ok=True)
    (stub / "output.py").write_text(STUB, encoding="utf-8")
    (startup / "00-colab.py").write_text("from google.colab import output\n", encoding="utf-8")
    use_data()
    return {
        "LATENTLIB_OFFLINE": "1",
        "LATENTLIB_CACHE": str(folder / "cache"),
        "LATENTLIB_REPOSITORY": url,
        "PYTHONPATH": str(folder / "stub"),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_DATA_DIR": str(folder / "jupyter"),
    }


def packages() -> dict[str, str]:
    """Name: version of what is installed in this Python; a latentlib.egg-info in the clone is not."""
    places = [sysconfig.get_path("purelib")]
    return {package.name: package.version for package in importlib.metadata.distributions(path=places)}


def run(path: Path, folder: Path) -> Result:
    """Run one notebook alone in a new folder inside `folder`, then remove the course that it has installed."""
    alone = folder / "content" / path.stem
    alone.mkdir(parents=True)
    before = packages()
    result = execute(nbformat.read(path, as_version=4), alone, path.stem)
    after = packages()
    changed = [f"{name} {before[name]} became {after.get(name)}" for name in before if after.get(name) != before[name]]
    if "latentlib" not in after:
        changed.append("the course was not installed")
    subprocess.run([sys.executable, "-m", "pip", "uninstall", "-q", "-y", "latentlib"], check=True)
    result.error = result.error or "; ".join(changed)
    print(row(result), flush=True)
    return result


def main(arguments: list[str]) -> int:
    if "latentlib" in packages():
        print("colab: latentlib is installed in this Python already; `nox -s colab` makes one where it is not")
        return 2
    paths = [Path(argument).resolve() for argument in arguments] or lessons()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        os.environ.update(settings(Path(name), repository(Path(name))))
        print(f"Colab, imitated\n{header()}")
        results = [run(path, Path(name)) for path in paths]
    return 1 if any(result.error for result in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
