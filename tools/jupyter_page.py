"""For the browser tests and benchmarks: a Chromium of this machine, and in it a course of its own in JupyterLab."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from jupyter_server.serverapp import list_running_servers

from tools.course import copy

CHROMIUMS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge"]
CHROMIUMS += ["/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"]
CHROMIUMS += [r"C:\Program Files\Google\Chrome\Application\chrome.exe"]
CHROMIUMS += [r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe"]
PATIENCE = 60_000  # milliseconds for one change; the machine may be busy with other tests
RUN_ALL = 400_000
SETTINGS = {
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},  # every cell on the page, also those far away
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
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


def chromium() -> str | None:
    """The path of a Chromium, Chrome or Edge on this machine, or None."""
    return next((found for name in CHROMIUMS if (found := shutil.which(name))), None)


def required() -> bool:
    """Whether the browser tests must run: on CI, and wherever LATENTLIB_REQUIRE_BROWSER=1 is set."""
    wanted = (os.environ.get("CI", ""), os.environ.get("LATENTLIB_REQUIRE_BROWSER", ""))
    return any(value.lower() not in ("", "0", "false", "no") for value in wanted)


@contextlib.contextmanager
def serve() -> Iterator[dict]:
    """A JupyterLab of our own on a copy of the course, without data or network: its url, token, root_dir and more."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        folder = Path(home)
        course = copy(folder / "course")
        (folder / "overrides.json").write_text(json.dumps(SETTINGS))
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--log-level=ERROR"]
        command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={course}", "--LabApp.expose_app_in_browser=True"]
        command += [f"--LabApp.app_settings_dir={folder}"]
        places = ("_CONFIG", "_RUNTIME", "LAB_SETTINGS", "LAB_WORKSPACES")
        own = {f"JUPYTER{name}_DIR": str(folder / name) for name in places} | {"LATENTLIB_OFFLINE": "1"}
        environment = {key: value for key, value in os.environ.items() if not key.startswith("LATENTLIB_")} | own
        server = subprocess.Popen(command, env=environment, cwd=course)
        try:
            deadline = time.monotonic() + 120
            while not (found := list(list_running_servers(folder / "_RUNTIME"))):
                assert server.poll() is None, "JupyterLab has ended"
                assert time.monotonic() < deadline, "JupyterLab did not start"
                time.sleep(0.3)
            yield found[0]
        finally:
            server.terminate()
            server.wait(20)


@contextlib.contextmanager
def chromium_browser() -> Iterator:
    """Playwright's browser, which talks to nobody but the page."""
    from playwright.sync_api import sync_playwright

    quiet = ["--disable-gpu", "--disable-quic", "--no-proxy-server"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=quiet)
        yield started
        started.close()


class Notebook:
    """One notebook, open in JupyterLab with all its cells run."""

    def __init__(self, page, lab: dict, name: str):
        self.page = page
        page.set_default_timeout(PATIENCE)
        page.goto(f"{lab['url']}lab/tree/notebooks/{name}.ipynb?token={lab['token']}")
        page.wait_for_function(READY, arg=f"{name}.ipynb", timeout=120_000)
        run_all = "() => jupyterapp.commands.execute('notebook:run-all-cells').then(() => true, () => true)"
        page.wait_for_function(run_all, timeout=RUN_ALL)
        page.wait_for_function(READY, arg=f"{name}.ipynb")
        self.panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")

    def problems(self) -> list[str]:
        """Errors among the outputs, cells that did not run, and widgets that JupyterLab could not show."""
        found = []
        for number, cell in enumerate(self.page.evaluate(CELLS)):
            if cell["type"] == "code" and cell["count"] is None:
                found.append(f"cell {number} did not run")
            errors = [output for output in cell["outputs"] if output["output_type"] == "error"]
            found += [f"cell {number}: {error['ename']}: {error['evalue']}" for error in errors]
        text = self.panel.inner_text()
        bad = ("Error displaying widget", "Error creating widget", "Failed to load model class", "Loading widget...")
        return found + [sentence for sentence in bad if sentence in text]
