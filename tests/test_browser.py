"""Two notebooks in a real JupyterLab under headless Chromium: run all, move a slider and the map, watch the picture."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import chromium
from course import ROOT

PATIENCE = 60_000  # milliseconds for one change; the machine may be busy with other tests
RUN_ALL = 400_000
BROWSER = chromium.find()
pytestmark = pytest.mark.skipif(
    BROWSER is None and not chromium.required(), reason="no Chromium on this machine, the browser tests are left out"
)
COPIED = ("latentlib", "notebooks", "data", "pyproject.toml")
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # every cell on the page, also those far away
    "docmanager-extension/plugin": {"autosave": False},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
CELLS = """() => jupyterapp.shell.currentWidget.content.model.sharedModel.cells.map(cell => ({
  type: cell.cell_type, count: cell.execution_count ?? null,
  outputs: (cell.outputs || []).map(out => out.toJSON ? out.toJSON() : out)}))"""
READY = """name => { const w = window.jupyterapp && jupyterapp.shell.currentWidget;
  return w && w.context && w.context.path.endsWith(name) && w.context.isReady && w.sessionContext.session
    && w.sessionContext.session.kernel && w.sessionContext.session.kernel.status === 'idle'; }"""
# What the eye sees of one picture: its decoded pixels, whatever its address is.
PIXELS = """image => { if (!image.complete || !image.naturalWidth) return null;
  const canvas = document.createElement('canvas');
  canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
  canvas.getContext('2d').drawImage(image, 0, 0); return canvas.toDataURL(); }"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A JupyterLab of our own on a copy of the course, without data or network: its address and its token."""
    assert BROWSER, "this run requires the browser tests, and no Chromium is on this machine"
    folder = tmp_path_factory.mktemp("lab")
    course = folder / "course"
    course.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("cache", "__pycache__", ".ipynb_checkpoints")
            shutil.copytree(ROOT / name, course / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, course / name)
    for name, values in SETTINGS.items():
        path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
    command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"]
    command += [f"--ServerApp.root_dir={course}", "--LabApp.expose_app_in_browser=True"]
    environment = {
        **{key: value for key, value in os.environ.items() if key not in ("LATENTLIB_DATA", "LATENTLIB_REPOSITORY")},
        "LATENTLIB_OFFLINE": "1",
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
    }
    log = folder / "lab.log"
    with log.open("wb") as sink:
        server = subprocess.Popen(command, env=environment, cwd=course, stdout=sink, stderr=subprocess.STDOUT)
    try:
        wait_for(f"http://127.0.0.1:{port}/api", server, log)
        yield f"http://127.0.0.1:{port}", token
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


def wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        try:
            opener.open(address, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise AssertionError(f"JupyterLab did not start: {log.read_text(errors='replace')[-2000:]}")


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    quiet = ["--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=BROWSER, args=[*quiet, "--disable-sync", "--no-first-run", "--no-proxy-server"]
        )
        yield started
        started.close()


class Notebook:
    """One notebook, open in JupyterLab with all its cells run."""

    def __init__(self, page, address: str, token: str, name: str):
        self.page = page
        page.set_default_timeout(PATIENCE)
        page.goto(f"{address}/lab/tree/notebooks/{name}.ipynb?token={token}")
        page.wait_for_function(READY, arg=f"{name}.ipynb", timeout=120_000)
        page.evaluate(
            "() => { window.allRun = false; jupyterapp.commands.execute('notebook:run-all-cells')"
            ".finally(() => { window.allRun = true; }); }"
        )
        page.wait_for_function("() => window.allRun", timeout=RUN_ALL)
        page.wait_for_function(READY, arg=f"{name}.ipynb")
        self.panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")

    def problems(self) -> list[str]:
        """Errors among the outputs, cells that did not run, and widgets that JupyterLab could not show."""
        found = []
        for number, cell in enumerate(self.page.evaluate(CELLS)):
            if cell["type"] == "code" and cell["count"] is None:
                found.append(f"cell {number} did not run")
            found += [
                f"cell {number}: {o['ename']}: {o['evalue']}" for o in cell["outputs"] if o["output_type"] == "error"
            ]
        text = self.panel.inner_text()
        bad = ("Error displaying widget", "Error creating widget", "Failed to load model class", "Loading widget...")
        return found + [sentence for sentence in bad if sentence in text]

    def show(self, part) -> dict:
        """Scroll to a part and wait until the page stands still (JupyterLab moves and redraws cells); gives its box."""
        from playwright.sync_api import Error

        deadline, last = time.monotonic() + PATIENCE / 1000, None
        while time.monotonic() < deadline:
            try:
                part.scroll_into_view_if_needed(timeout=2000)
                box = part.bounding_box(timeout=2000)
            except Error:  # it was redrawn in this moment
                box = None
            if box is not None and box == last:
                return box
            last = box
            time.sleep(0.3)
        raise AssertionError("the page did not come to rest")

    def changed_by(self, image, act) -> bool:
        """Whether the picture shows other pixels after `act`."""
        self.show(image)
        before = image.evaluate(PIXELS)
        act()
        deadline = time.monotonic() + PATIENCE / 1000
        while time.monotonic() < deadline:
            now = image.evaluate(PIXELS)
            if now is not None and now != before:
                return True
            time.sleep(0.05)
        return False


@pytest.fixture
def opened(lab, browser, request):
    """A function that opens a notebook and runs it; a screenshot goes to build/browser when the test fails."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    yield lambda name: Notebook(page, *lab, name)
    if getattr(request.node, "failed", False):
        shots = ROOT / "build" / "browser"
        shots.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=shots / f"{request.node.name}.png")
    page.close()


def drag(page, handle, pixels: int) -> None:
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + pixels, y, steps=5)
    page.mouse.up()


def test_a_slider_changes_its_picture_by_keyboard_and_by_mouse(opened):
    notebook = opened("00_start_here")
    assert notebook.problems() == []
    slider = notebook.panel.locator(".widget-slider").first
    image = slider.locator("xpath=ancestor::div[contains(@class, 'jp-OutputArea-output')][1]").locator("img").first
    handle = slider.locator(".noUi-handle").first

    def press():
        handle.focus()
        for _ in range(3):
            handle.press("ArrowRight")

    assert notebook.changed_by(image, press), "the arrow keys did not change the picture"
    assert notebook.changed_by(image, lambda: drag(notebook.page, handle, -60)), "dragging did not change the picture"
    assert handle.get_attribute("aria-label")
    assert image.get_attribute("alt")
    assert notebook.problems() == []


def test_the_latent_map_follows_keyboard_and_mouse(opened):
    notebook = opened("02_latent_plots")
    assert notebook.problems() == []
    chart = notebook.panel.locator(".latent-map-chart").first
    image = notebook.panel.locator(".latent-map-side img").first

    def press():
        chart.focus()
        for _ in range(4):
            chart.press("Shift+ArrowRight")

    def point(x: float, y: float):
        def move():
            box = notebook.show(chart)
            notebook.page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=3)

        return move

    assert notebook.changed_by(image, press), "the arrow keys did not change the picture"
    assert notebook.changed_by(image, point(0.25, 0.3)), "the mouse did not change the picture"
    assert notebook.changed_by(image, point(0.75, 0.7)), "the mouse did not change the picture"
    assert "Map of codes" in chart.get_attribute("aria-label")
    assert image.get_attribute("alt")
    assert notebook.problems() == []
