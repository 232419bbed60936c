"""The course on other Pythons and with other versions: `pip install "nox[uv]"`, then `nox -s tests-3.13 lowest colab`.

A Python that is not on the machine is skipped, or fetched with `--download-python auto`. Each takes up to 7 GB of disk.
"""

import nox

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
NOTEBOOK = "notebooks/01_compression.ipynb"
WITHOUT_BROWSER = ["--ignore-glob=*test_browser*", "--ignore=tests/test_site.py", "--ignore=tests/test_play.py"]
UNITS = ["-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", "-p", "no:cacheprovider", *WITHOUT_BROWSER]
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = []


def check(session: nox.Session) -> None:
    """The unit tests and one notebook, or what the command line names."""
    session.run("python", *UNITS, *(session.posargs or ["tests"]), env={"OMP_NUM_THREADS": "1"})
    session.run("python", "-m", "tools.check", NOTEBOOK)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The newest versions that the ranges of pyproject.toml allow."""
    session.install("-e", ".[all,test]", "pip", "setuptools>=77")  # test_wheel builds a wheel
    check(session)


@nox.session(python=PYTHONS)
def constrained(session: nox.Session) -> None:
    """The versions of constraints.txt, as tools.setup takes them."""
    session.install("-r", "requirements.txt", "-c", "constraints.txt")
    check(session)


@nox.session(python=PYTHONS[0], venv_backend="uv")
def lowest(session: nox.Session) -> None:
    """The lowest versions that the ranges allow, on the oldest Python."""
    session.install("--resolution", "lowest-direct", "-e", ".[all,test]", "pip>=24", "setuptools>=77")
    check(session)


@nox.session(python="3.13", venv_backend="uv|virtualenv")
def colab(session: nox.Session) -> None:
    """Colab's Python and packages: each notebook (or those named) alone in an empty folder, then the unit tests."""
    session.install("-r", "constraints-colab.txt", "pip", "nbclient", "nbconvert", "psutil", "safetensors", "pillow")
    session.run("python", "-m", "tools.colab", *session.posargs)
    if not session.posargs:
        session.install("-c", "constraints-colab.txt", "-e", ".[all,test]")
        session.run("python", *UNITS, "tests", env={"OMP_NUM_THREADS": "1"})


@nox.session(python=PYTHONS[0], venv_backend="uv|virtualenv")
def hub(session: nox.Session) -> None:
    """A JupyterHub on this machine, and 1, 4 and 8 students or as many as named: seconds and memory. Needs npm."""
    session.install("-e", ".[all]", "jupyterhub", "jupyterlab", "psutil", "requests", "websocket-client")
    into = ["--global", "--prefix", session.virtualenv.location]
    session.run("npm", "install", *into, "configurable-http-proxy", external=True)
    session.run("python", "-m", "benchmarks.hub", *session.posargs, interrupt_timeout=60)
