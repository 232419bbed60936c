"""What the set-up cell of a notebook does once the course's folder is there. Imports only the standard library."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

# Module: what pip is asked for when that module cannot be found. The same ranges as in pyproject.toml (tested).
NEEDED = {
    "matplotlib": "matplotlib>=3.8",
    "ipywidgets": "ipywidgets>=7.7,<9",
    "anywidget": "anywidget>=0.9",
    "plotly": "plotly>=5.20",
    "sklearn": "scikit-learn>=1.5",
    "skimage": "scikit-image>=0.22",
    "umap": "umap-learn>=0.5.6",
    "safetensors": "safetensors>=0.4.3",
    "PIL": "pillow>=10",
    "tqdm": "tqdm>=4.66",
}
# Never installed or changed: Colab and Binder chose these to fit their machines.
KEPT = ("torch", "torchvision", "numpy")


def prepare(course: Path | str, fetched: bool = False) -> None:
    """Install what is missing, switch on Colab's widgets, set the look of figures, and say in one line what was done.

    course: the folder that holds latentlib. fetched: whether the set-up cell has just cloned it.
    Raises RuntimeError with one sentence when PyTorch is not there or pip fails.
    """
    if lost := [name for name in KEPT if importlib.util.find_spec(name) is None]:
        raise RuntimeError(f"this Python has no {', '.join(lost)}; install PyTorch first (pytorch.org), or use Colab")
    done = [f"fetched the course into the folder {Path(course).name}"] if fetched else []
    missing = [package for module, package in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        _install(missing)
        done.append("installed " + ", ".join(missing))
    if "google.colab" in sys.modules:
        from google.colab import output

        output.enable_custom_widget_manager()
        done.append("switched on Colab's widgets")
    from latentlib.plots.style import use_style

    use_style()
    print("Ready: " + ("; ".join(done) if done else "the course is here, nothing to install"))


def _install(packages: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "kept.txt"  # pip must not touch these, whatever a package would like
        kept.write_text("".join(f"{name}=={importlib.metadata.version(name)}\n" for name in KEPT))
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", str(kept), *packages]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise RuntimeError(f"pip could not install {', '.join(packages)} ({reason}); check the network and run again")
    importlib.invalidate_caches()
