"""A class on a real hub: `nox -s hub -- 1 4 8` starts JupyterHub here, and so many students at once run 00 and 01.

Each has a home with a copy of the course, signs in, gets a server, opens both notebooks and runs their cells as
JupyterLab does, by the kernels' websockets; kernels stay to the end, as there. All processes belong to one user. What
was started is stopped, also after an error, Ctrl-C or SIGTERM.
"""

import contextlib
import json
import os
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import requests
import websocket
from jupyter_client.session import Session

from tools.course import copy, lessons

MARK, SECRET = "LATENTLIB_HUB", secrets.token_hex()  # stand in the environment of all that was started here
FIGURES = ("seconds", "CPU seconds", "kernel USS", "PSS", "server USS", "PSS")  # MB, the most at the end of a cell


def family() -> list[psutil.Process]:
    """What was started here and runs now, also what has lost its parent."""
    return [one for one in psutil.process_iter(["environ"]) if (one.info["environ"] or {}).get(MARK) == SECRET]


@contextlib.contextmanager
def running(command: list[str], log: Path) -> Iterator[subprocess.Popen]:
    """A process; at the end it is killed, and whatever it has started."""
    settings = {"cwd": log.parent, "env": os.environ | {MARK: SECRET}, "start_new_session": True}
    try:
        with log.open("wb") as out:
            yield subprocess.Popen(command, stdout=out, stderr=out, **settings)
    finally:
        while left := family():
            for member in left:
                with contextlib.suppress(psutil.Error):
                    member.kill()
            psutil.wait_procs(left, 5)


def configure(folder: Path, names: list[str]) -> str:
    """Write the hub's configuration into the folder; gives the hub's address."""
    with contextlib.ExitStack() as stack:
        listening = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        url, inner, proxy = (f"http://127.0.0.1:{each.getsockname()[1]}" for each in listening)
    wanted = {
        "JupyterHub.bind_url": url,
        "JupyterHub.hub_bind_url": inner,
        "ConfigurableHTTPProxy.api_url": proxy,
        "JupyterHub.authenticator_class": "dummy",
        "DummyAuthenticator.password": SECRET,
        "Authenticator.allowed_users": set(names),
        "JupyterHub.spawner_class": "simple",
        "SimpleLocalProcessSpawner.home_dir_template": f"{folder}/{{username}}",
        "Spawner.cmd": [sys.executable, "-m", "jupyterhub.singleuser", "--allow-root"],
        "Spawner.environment": {MARK: SECRET, "LATENTLIB_DATA": os.environ.get("LATENTLIB_DATA", "")},
        "Spawner.start_timeout": 600,
        "Spawner.http_timeout": 600,
    }
    (folder / "config.py").write_text("".join(f"c.{name} = {value!r}\n" for name, value in wanted.items()))
    return url


def run_cells(channel: websocket.WebSocket, cells: list[dict]) -> Iterator[None]:
    """Execute the code cells one by one, with a pause after each. RuntimeError names the cell that failed."""
    session = Session()
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            asked, state = session.msg("execute_request", {"code": cell["source"], "silent": False}), ""
            channel.send(json.dumps(asked | {"channel": "shell"}, default=str))
            while state != "idle":
                if isinstance(text := channel.recv(), bytes):  # a widget's picture
                    continue
                told = json.loads(text)
                if (state := told["content"].get("execution_state")) in ("restarting", "dead"):
                    raise RuntimeError(f"cell {number}: the kernel is {state}")
                if told["parent_header"].get("msg_id") != asked["msg_id"]:
                    state = ""
                elif told["msg_type"] == "error":
                    raise RuntimeError(f"cell {number}: {told['content']['ename']}: {told['content']['evalue']}")
            yield


def attend(name: str, url: str) -> list[tuple[list[float], str]]:
    """Sign in, start a server, run the notebooks one after the other; gives FIGURES and what failed, for each."""
    web, hub, api = requests.Session(), f"{url}/hub/api/users/{name}", f"{url}/user/{name}/api"
    web.hooks["response"] = lambda answer, *_, **__: answer.raise_for_status()
    signed = web.post(f"{hub}/tokens", json={"auth": {"username": name, "password": SECRET}}).json()
    pass_by = {"Authorization": f"token {signed['token']}"}
    web.headers.update(pass_by)
    web.post(f"{hub}/server")
    while not web.get(hub).json()["servers"].get("", {}).get("ready"):
        time.sleep(0.2)
    runs = []
    for path in [f"course/notebooks/{path.name}" for path in lessons()[:2]]:
        start, figures, error = time.perf_counter(), [0.0] * len(FIGURES), ""
        try:
            cells = web.get(f"{api}/contents/{path}").json()["content"]["cells"]
            wanted = {"path": path, "name": "", "type": "notebook", "kernel": {"name": "python3"}}
            kernel = web.post(f"{api}/sessions", json=wanted).json()["kernel"]["id"]
            process = next(one for one in family() if kernel in " ".join(one.cmdline()))
            address = f"ws{api.removeprefix('http')}/kernels/{kernel}/channels"
            with contextlib.closing(websocket.create_connection(address, 1800, header=pass_by)) as channel:
                for _ in run_cells(channel, cells):
                    memory = [one.memory_full_info() for one in (process, process.parent())]
                    sizes = [size / 1e6 for one in memory for size in (one.uss, one.pss)]
                    figures[:] = map(max, figures, (time.perf_counter() - start, sum(process.cpu_times()[:2]), *sizes))
        except Exception as reason:  # the other notebook and the other students go on
            error = f"{type(reason).__name__}: {str(reason)[:200]}"
        runs.append((figures, error))
    return runs


def classroom(count: int) -> list[list[tuple[list[float], str]]]:
    """So many students at once; for each what attend gives."""
    names = [f"student-{number}" for number in range(1, count + 1)]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, ThreadPoolExecutor(count) as pool:
        for home in names:
            copy(Path(name, home, "course"))
        url, log = configure(Path(name), names), Path(name, "log")
        with running([sys.executable, "-m", "jupyterhub", "-f", "config.py"], log) as hub:
            while "JupyterHub is now running" not in log.read_text(errors="replace"):
                if hub.poll() is not None:
                    raise RuntimeError(f"the hub has ended: {log.read_text(errors='replace')[-2000:]}")
                time.sleep(0.2)
            return list(pool.map(lambda who: attend(who, url), names))


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print("students", "notebook", "who", *FIGURES, "failure", sep=" | ")
    failed = False
    for count in map(int, sys.argv[1:] or (1, 4, 8)):
        for path, runs in zip(lessons(), zip(*classroom(count), strict=True), strict=False):
            middle = map(statistics.median, zip(*(figures for figures, _ in runs), strict=True))
            for who, (figures, error) in [*enumerate(runs, 1), ("median", (middle, ""))]:
                print(count, path.stem[:2], who, *(f"{figure:.0f}" for figure in figures), error, sep=" | ", flush=True)
                failed = failed or bool(error)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
