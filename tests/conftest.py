"""What several test files share."""

from __future__ import annotations

import importlib.metadata
import os
import zipfile
from pathlib import Path

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(scope="module")
def one_thread():
    """For networks and batches so small that a second thread would only wait for the first.

    For a whole module, because what its tests share must be computed in the same way: two threads add in another order.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def three_threads():
    """For what cores do side by side, on whatever machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def make_wheel():
    """A function that packs an installed package into a wheel again, so that pip can install it without a network."""

    def make(name: str, folder: Path) -> Path:
        package = importlib.metadata.distribution(name)
        tag = next(line for line in (package.read_text("WHEEL") or "").splitlines() if line.startswith("Tag:"))
        path = folder / f"{name.replace('-', '_')}-{package.version}-{tag.split()[1]}.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            for file in package.files:
                if ".." not in file.parts and file.suffix != ".pyc" and file.name not in ("INSTALLER", "REQUESTED"):
                    wheel.write(file.locate(), file.as_posix())
        return path

    return make


@pytest.fixture(scope="module")
def lab():
    """A JupyterLab of our own: its url, its token, and root_dir, where the course's copy lies that it serves."""
    from tools.jupyter_page import chromium, serve

    assert chromium(), "this run requires the browser tests, and no Chromium is on this machine"
    with serve() as started:
        yield started


@pytest.fixture(scope="module")
def browser():
    from tools.jupyter_page import chromium_browser

    with chromium_browser() as started:
        yield started
