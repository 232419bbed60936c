"""The files that say what to install agree, and tools.setup makes, keeps and mends a .venv."""

from __future__ import annotations

import ast
import functools
import http.server
import importlib.util
import operator
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import types
import urllib.parse
import zipfile
from pathlib import Path

import pytest
import yaml

from latentlib import bootstrap
from tools import bundle, install, lab, progress
from tools.course import ROOT

COMMANDS = ("lab", "test", "run", "bench", "badges", "refresh", "colab", "bundle", "matrix")
THIS = platform.python_version()


def text(name: str | Path) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def split(requirement: str) -> tuple[str, str]:
    """("scikit-learn", ">=1.4") of "scikit-learn>=1.4  # PCA"."""
    name, ranges = re.match(r"([\w.-]+)([^#]*)", requirement).groups()
    return name.lower(), ranges.strip()


def required() -> dict[str, str]:
    return dict(split(line) for line in text("requirements.txt").splitlines() if re.match(r"[A-Za-z]", line))


def from_pyproject(name: str) -> dict[str, str]:
    block = re.search(rf"^{name} = \[\n(.*?)^\]", text("pyproject.toml"), re.M | re.S)[1]
    return dict(split(requirement) for requirement in re.findall(r'"(.+?)"', block))


def needed_by_latentlib() -> dict[str, str]:
    extras = (from_pyproject(name) for name in ("plots", "widgets", "faces"))
    return functools.reduce(operator.or_, extras, from_pyproject("dependencies"))


def test_requirements_and_pyproject_name_the_same_packages_and_ranges():
    assert required() == needed_by_latentlib() | from_pyproject("test")


def test_the_set_up_cell_knows_what_latentlib_needs():
    needed = dict(split(requirement) for requirement in bootstrap.NEEDED.values())
    kept = {name: from_pyproject("dependencies")[name] for name in bootstrap.KEPT}
    assert needed | kept == needed_by_latentlib()
    missing = [module for module in bootstrap.NEEDED if importlib.util.find_spec(module) is None]
    assert not missing


def test_each_requirement_says_why_it_is_there_and_the_package_comes_last():
    lines = [line for line in text("requirements.txt").splitlines() if line and not line.startswith("#")]
    assert lines.pop() == "-e ."
    assert [line for line in lines if not re.search(r"  # \S.{8,}", line)] == []


def test_nothing_that_colab_brings_is_pinned():
    pinned = {name: ranges for name, ranges in required().items() if "==" in ranges or "~=" in ranges}
    assert pinned == {}
    assert not any("<" in required()[name] for name in bootstrap.KEPT)


def test_environment_for_binder_and_conda_agrees():
    environment = yaml.safe_load(text("environment.yml"))
    *conda, pip = environment["dependencies"]
    assert environment["channels"] == ["conda-forge"]
    assert conda[:2] == ["python=3.12", "pip"]
    there = dict(split(entry) for entry in conda[2:])
    there["torch"], there["matplotlib"] = there.pop("pytorch-cpu"), there.pop("matplotlib-base")
    assert pip["pip"][-1] == "-e ."
    assert there | dict(split(entry) for entry in pip["pip"][:-1]) == required()


def test_constraints_hold_an_exact_version_inside_each_range():
    from packaging.specifiers import SpecifierSet

    exact = dict(line.split("==") for line in text("constraints.txt").splitlines() if line and line[0] != "#")
    exact = {name.lower().replace("_", "-"): version for name, version in exact.items()}
    outside = {
        name: exact.get(name) for name, ranges in required().items() if exact.get(name) not in SpecifierSet(ranges)
    }
    assert outside == {}


def test_constraints_are_for_the_python_that_they_name():
    if "Tested with Python 3.11.7" not in text("constraints.txt"):
        pytest.skip("these constraints were made for another Python, as in `make matrix`")
    assert install.constraints_for(ROOT, "3.11.9") == ROOT / "constraints.txt"
    assert install.constraints_for(ROOT, "3.11.2") is None  # Debian's: soupsieve's version needs 3.11.5
    assert install.constraints_for(ROOT, "3.1.1") is None
    assert install.constraints_for(ROOT, "3.13.0") is None


def test_no_registry_or_machine_is_named():
    names = ["requirements.txt", "constraints.txt", "environment.yml", "pyproject.toml", "Makefile", ".ci/run"]
    assert [name for name in names if re.search(r"https?://|index-url|find-links|/root/|/tmp/", text(name))] == []


def test_the_makefile_has_the_commands_and_readme_names_them():
    makefile, readme = text("Makefile"), text("README.md")
    for command in COMMANDS:
        assert re.search(rf"^{command}: setup$", makefile, re.M)
    assert "make lab" in readme
    assert "make test" in readme
    tools = set(re.findall(r"-m tools\.(\w+)", makefile + readme))
    assert {"setup", "lab", "check"} <= tools
    assert [tool for tool in tools if not (ROOT / "tools" / f"{tool}.py").is_file()] == []


def test_widgets_bring_their_scripts_along():
    """No address and no import: what the browser runs comes from the package, also without a network."""
    scripts = [path for ending in ("js", "css") for path in (ROOT / "latentlib").rglob(f"*.{ending}")]
    assert scripts
    for path in scripts:
        assert not re.search(r"https?://(?!www\.w3\.org)|^\s*import\b|@import|\bimport\(|\burl\(", text(path), re.M), (
            path.name
        )


def test_the_code_is_written_for_the_oldest_python():
    assert 'requires-python = ">=3.10"' in text("pyproject.toml")
    assert 'target-version = "py310"' in text("pyproject.toml")
    for path in [*(ROOT / "latentlib").rglob("*.py"), *(ROOT / "tools").glob("*.py")]:
        ast.parse(text(path), feature_version=(3, 10))


# --- the first half of the script, for old Pythons -------------------------------------------------------------------


def load_front():
    spec = importlib.util.spec_from_file_location("front", ROOT / "tools" / "setup.py")
    front = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(front)
    return front


@pytest.mark.parametrize(("version", "expected"), [((2, 7, 18), True), ((3, 9, 18), True), ((3, 10, 0), False)])
def test_pythons_before_3_10_are_too_old(version, expected):
    assert load_front().too_old(version) is expected


def test_an_old_python_without_a_newer_one_is_a_clear_sentence(monkeypatch):
    front = load_front()
    monkeypatch.setattr(front.sys, "version_info", (3, 8, 18, "final", 0))
    monkeypatch.setattr(front, "NAMES", ["surely-no-python"])
    with pytest.raises(SystemExit) as stop:
        front.main()
    assert str(stop.value).startswith("The course needs Python 3.10 or newer, and this is 3.8.18 (")
    assert str(stop.value).endswith("Install one, or name it: make PYTHON=...")


def test_an_old_python_hands_over_to_a_newer_one(monkeypatch, capsys):
    front = load_front()
    monkeypatch.setattr(front.sys, "version_info", (3, 8, 18, "final", 0))
    monkeypatch.setattr(front, "NAMES", ["surely-no-python", sys.executable])
    calls = []
    monkeypatch.setattr(front.subprocess, "call", lambda command, cwd: calls.append((command, cwd)) or 0)
    with pytest.raises(SystemExit) as stop:
        front.main()
    assert stop.value.code == 0
    assert calls == [([sys.executable, "-m", "tools.setup", *sys.argv[1:]], str(ROOT))]
    assert "taking" in capsys.readouterr().out


def test_the_first_half_is_written_for_old_pythons():
    """No Python 2.7 may be here to try it, so look for what one cannot read."""
    source = text("tools/setup.py") + text("tools/__init__.py")
    assert not re.search(r"\bf[\"']|:=|-> |import annotations|\bmatch\b|print ", source)
    assert source.isascii()


# --- a .venv's life --------------------------------------------------------------------------------------------------


@pytest.fixture
def course(tmp_path, monkeypatch, make_wheel):
    """A small course that needs one package, which pip finds in a folder."""
    wheels, root = tmp_path / "wheels", tmp_path / "a course"
    wheels.mkdir()
    root.mkdir()
    version = make_wheel("tqdm", wheels).name.split("-")[1]
    (root / "requirements.txt").write_text("tqdm>=4  # progress bars\n")
    (root / "constraints.txt").write_text(f"# Tested with Python {THIS.rpartition('.')[0]}\ntqdm=={version}\n")
    (root / "pyproject.toml").write_text('[project]\nname = "small"\n\n[tool.latentlib]\nslug = "a/b"\n')
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("LATENTLIB_TORCH_INDEX", "")
    monkeypatch.setattr(install, "NEEDED_GB", 0.01)
    return root


def package_folder(root: Path) -> Path:
    command = [install.python_of(root / ".venv"), "-c", "import tqdm; print(tqdm.__path__[0])"]
    return Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())


def test_a_venv_is_made_kept_and_mended(course, capfd, monkeypatch):
    python = install.install(course)
    assert python == install.python_of(course / ".venv")
    assert "Making" in capfd.readouterr().out
    folder = package_folder(course)
    assert course / ".venv" in folder.parents

    install.install(course)  # nothing to do: says nothing, runs no pip
    assert capfd.readouterr().out == ""

    pyproject = course / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("a/b", "c/d"))  # the badges' slug installs nothing
    install.install(course)
    assert capfd.readouterr().out == ""

    (course / ".venv" / "latentlib-stamp").unlink()  # stopped half-way: a file never came
    (folder / "auto.py").unlink()
    install.install(course)
    said = capfd.readouterr().out
    assert "Updating .venv" in said
    assert "Mending tqdm==" in said
    assert (folder / "auto.py").is_file()

    shutil.rmtree(folder)  # a package is gone although the stamp is right
    install.install(course)
    assert "Updating .venv" in capfd.readouterr().out
    assert package_folder(course) == folder

    requirements = course / "requirements.txt"
    requirements.write_text(requirements.read_text() + "surely-not-installed>=1\n")
    with pytest.raises(install.SetupError, match=r"There is no release of surely-not-installed>=1 for Python 3\."):
        install.install(course)
    requirements.write_text("tqdm>=4  # progress bars\n")

    capfd.readouterr()
    python.unlink()  # its Python is gone: nothing starts
    install.install(course)
    assert "making it anew" in capfd.readouterr().out
    assert package_folder(course).is_dir()

    monkeypatch.setattr(install, "pip_install", refuse_network)  # new requirement, no network, all packages there
    pyproject.write_text(pyproject.read_text() + '[project.urls]\nhome = "x"\n')
    install.install(course)
    assert "going on with the packages that are there" in capfd.readouterr().out


def refuse_network(*_):
    raise install.SetupError(install.explain("NewConnectionError: failed"))


def test_another_python_takes_the_ranges_and_says_so(course, capfd, monkeypatch):
    commands = []
    monkeypatch.setattr(install, "pip_install", lambda venv, root, *arguments: commands.append(arguments))
    monkeypatch.setattr(install, "DAMAGED", "")
    (course / ".venv").mkdir()
    other = f"{sys.version_info.major}.{sys.version_info.minor + 1}.0"
    install.fill(course, Path(sys.prefix), other)
    assert commands[-1] == ("-r", "requirements.txt")
    assert f"constraints.txt was not tested with Python {other}" in capfd.readouterr().out
    install.fill(course, Path(sys.prefix), THIS)
    assert commands[-1] == ("-r", "requirements.txt", "-c", "constraints.txt")


def test_no_network_is_one_sentence(course, monkeypatch, capfd):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the port where nobody answers
    monkeypatch.setenv("PIP_RETRIES", "0")
    (course / "requirements.txt").write_text("surely-not-installed\n")
    with pytest.raises(install.SetupError) as error:
        install.pip_install(Path(sys.prefix), course, "-r", "requirements.txt")
    assert str(error.value).startswith("pip cannot reach the package index: check the network")
    assert "\n" not in str(error.value)


def test_a_full_disk_is_one_sentence(course, monkeypatch):
    monkeypatch.setattr(install, "NEEDED_GB", 10)
    monkeypatch.setattr(install.shutil, "disk_usage", lambda path: types.SimpleNamespace(free=2.04e9))
    with pytest.raises(install.SetupError, match=r"needs about 10 GB of disk under .*; 2\.0 GB are free\. Make room\."):
        install.install(course)
    assert not (course / ".venv").exists()
    assert install.explain("OSError: [Errno 28] No space left on device").startswith("The disk is full")


def test_a_python_without_venv_is_one_sentence(course, monkeypatch):
    monkeypatch.setattr(install.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(install.SetupError, match="has no venv module; on Debian and Ubuntu: apt install python3-venv"):
        install.create(course / ".venv")


@pytest.mark.parametrize(
    ("error", "sentence", "status"),
    [
        (install.SetupError("One sentence."), "setup: One sentence.", 1),
        (PermissionError(13, "Permission denied", "/course/.venv"), "setup: no permission to write /course/.venv", 1),
        (OSError(28, "No space left on device"), "setup: The disk is full", 1),
        (KeyboardInterrupt(), "setup: stopped; the same command goes on from here.", 130),
    ],
)
def test_every_failure_ends_in_a_sentence_and_a_status(monkeypatch, capsys, error, sentence, status):
    def fail():
        raise error

    monkeypatch.setattr(install, "install", fail)
    assert install.main() == status
    assert sentence in capsys.readouterr().out


# --- PyTorch without a GPU's libraries --------------------------------------------------------------------------------


def small_wheel(folder: Path, name: str, version: str) -> Path:
    """A wheel that holds one module which knows its version."""
    folder.mkdir(parents=True, exist_ok=True)
    path, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as wheel:
        for file, content in (files | {f"{info}/RECORD": record}).items():
            wheel.writestr(file, content)
    return path


@pytest.fixture
def torch_server(tmp_path):
    """The address of a package index on this machine, as PyTorch's: torch and torchvision, +cpu behind the version."""
    for name, version in (("torch", "2.15.0+cpu"), ("torchvision", "0.29.2+cpu")):
        wheel = small_wheel(tmp_path / "index" / name, name, version)
        page = f'<a href="{urllib.parse.quote(wheel.name)}">{wheel.name}</a>'
        (wheel.parent / "index.html").write_text(f"<!doctype html><html><body>{page}</body></html>")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / "index")
    handler.func.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def torch_course(course, tmp_path, monkeypatch, torch_server):
    """A course that needs PyTorch; the ordinary "index" is a folder with builds that would bring a GPU's libraries."""
    for name, version in (("torch", "2.15.0"), ("torchvision", "0.29.2")):
        small_wheel(tmp_path / "wheels", name, version)
    (course / "requirements.txt").write_text("torch>=2.4,!=2.13.0  # tensors\ntorchvision>=0.19  # MNIST\n")
    (course / "constraints.txt").write_text(
        f"# Tested with Python {THIS.rpartition('.')[0]}\ntorch==2.15.0\ntorchvision==0.29.2\n"
    )
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # nobody answers there
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("LATENTLIB_TORCH_INDEX")
    monkeypatch.setattr(install, "CPU_INDEX", torch_server)
    monkeypatch.setattr(install.sys, "platform", "linux")
    return course


def torch_versions(root: Path) -> list[str]:
    code = "import torch, torchvision; print(torch.__version__, torchvision.__version__)"
    command = [install.python_of(root / ".venv"), "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the choice is Linux's")
@pytest.mark.parametrize(
    ("gpu", "reached", "ending"),
    [
        (False, True, "+cpu"),
        (True, True, ""),  # with a GPU: the ordinary build
        (False, False, ""),  # PyTorch's index cannot be reached
    ],
)
def test_without_a_gpu_pytorch_comes_from_its_own_index(torch_course, monkeypatch, capfd, gpu, reached, ending):
    """For real, with pip: the index is served on this machine, and the ordinary one is a folder."""
    monkeypatch.setattr(install, "has_nvidia_gpu", lambda: gpu)
    if not reached:
        monkeypatch.setattr(install, "CPU_INDEX", "http://127.0.0.1:9/whl/cpu")
    monkeypatch.setattr(install, "pip_install", ordinary_from_folder(install.pip_install, monkeypatch))
    install.install(torch_course)
    assert torch_versions(torch_course) == [f"2.15.0{ending}", f"0.29.2{ending}"]
    said = capfd.readouterr().out
    assert ("that index cannot be used from here: taking the ordinary build" in said) is not reached
    assert "Installed in " in said


def ordinary_from_folder(pip_install, monkeypatch):
    """A command that names no index looks into the folder, which stands for the ordinary one; others do not."""

    def run(venv, root, *arguments):
        with monkeypatch.context() as here:
            if "--index-url" in arguments:
                here.delenv("PIP_FIND_LINKS")
            else:
                here.setenv("PIP_NO_INDEX", "1")
            pip_install(venv, root, *arguments)

    return run


@pytest.mark.parametrize(
    ("variables", "system", "gpu", "expected"),
    [
        ({}, "linux", False, install.CPU_INDEX),
        ({}, "linux", True, None),
        ({}, "darwin", False, None),
        ({}, "win32", False, None),
        ({"LATENTLIB_TORCH_INDEX": ""}, "linux", False, None),
        ({"LATENTLIB_TORCH_INDEX": "file:///wheels"}, "darwin", True, "file:///wheels"),
    ],
)
def test_which_index_pytorch_comes_from(monkeypatch, variables, system, gpu, expected):
    monkeypatch.setattr(install, "has_nvidia_gpu", lambda: gpu)
    assert install.torch_index(variables, system) == expected


def test_room_is_asked_for_again_when_the_large_build_must_do(torch_course, monkeypatch):
    monkeypatch.setattr(install, "has_nvidia_gpu", lambda: False)
    monkeypatch.setattr(install, "pip_install", refuse_network)
    monkeypatch.setattr(install, "NEEDED_GB", 10)
    monkeypatch.setattr(install.shutil, "disk_usage", lambda path: types.SimpleNamespace(free=5e9))
    with pytest.raises(install.SetupError, match=r"needs about 10 GB of disk under .*; 5\.0 GB are free"):
        install.install_torch(torch_course, torch_course / ".venv", [])


# --- progress --------------------------------------------------------------------------------------------------------


def test_progress_names_large_files_and_counts_the_rest(tmp_path):
    said = []
    with progress.Progress(tmp_path, said.append, every=60) as shown:
        shown.follow(
            [
                "Collecting torch==2.15.0\n",
                "  Downloading torch-2.15.0-cp311-cp311-manylinux_2_28_x86_64.whl (1.1 GB)\n",
                "Collecting tqdm\n",
                "  Downloading tqdm-4.70.1-py3-none-any.whl (78 kB)\n",
                "Installing collected packages: tqdm, torch\n",
            ]
        )
    assert said[0] == "  fetching torch, 1,100 MB ..."
    assert re.fullmatch(r"  1,100 MB fetched in \d+ s; installing 2 packages \.\.\.", said[1])
    assert len(said) == 2


def test_while_pip_is_silent_the_packages_that_arrived_are_counted(tmp_path):
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    (site / "pip-26.dist-info").mkdir(parents=True)
    said, told = [], threading.Event()

    def say(text):
        said.append(text)
        if "1 of 2 packages installed" in text:
            told.set()

    with progress.Progress(tmp_path, say, every=0.01) as shown:
        shown.read("Installing collected packages: tqdm, torch\n")
        (site / "tqdm-4.dist-info").mkdir()
        assert told.wait(30), said


@pytest.mark.parametrize(("seconds", "text"), [(4.4, "4 s"), (59.6, "1 min 00 s"), (245, "4 min 05 s")])
def test_how_long_it_took_is_readable(seconds, text):
    assert progress.clock(seconds) == text


# --- a classroom without a network -----------------------------------------------------------------------------------


@pytest.fixture
def bundled(course, tmp_path, monkeypatch):
    """The course with the folder that one command made, carried to another place; its first place is gone."""
    digits = tmp_path / "data" / "MNIST" / "raw"
    digits.mkdir(parents=True)
    for name in bundle_files():
        (digits / name).write_text(name)
    monkeypatch.setenv("LATENTLIB_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("latentlib.datasets.digits.load", lambda source: None)
    monkeypatch.setattr(bundle, "BUILD_TOOLS", ())
    bundle.make(course)
    elsewhere = tmp_path / "another machine"
    course.rename(elsewhere)
    shutil.rmtree(tmp_path / "wheels")
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "LATENTLIB_DATA"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # no network: nobody answers
    monkeypatch.setenv("PIP_RETRIES", "0")
    return elsewhere


def bundle_files():
    from latentlib.datasets import digits

    return digits.FILES


def test_a_folder_of_wheels_sets_up_another_machine_without_a_network(bundled, capfd, monkeypatch):
    monkeypatch.setattr(install, "pip_install", without_renewing_pip(install.pip_install))
    install.install(bundled)
    assert "from the folder offline ..." in capfd.readouterr().out
    assert bundled / ".venv" in package_folder(bundled).parents
    there = bundled / "data" / "cache" / "MNIST" / "raw"
    assert sorted(path.name for path in there.iterdir()) == sorted(bundle_files())


def without_renewing_pip(pip_install):
    """The dummy folder has no wheel of pip: it is large, and the new .venv's own will do."""
    return lambda venv, root, *arguments: None if "--upgrade" in arguments else pip_install(venv, root, *arguments)


def test_a_folder_for_another_python_is_not_used_and_that_is_said(bundled, capfd):
    made_for = bundled / "offline" / "made_for.json"
    made_for.write_text(made_for.read_text().replace(THIS.rpartition(".")[0], "3.99"))
    with pytest.raises(install.SetupError, match="cannot reach the package index"):
        install.install(bundled)
    assert "The folder offline was made for Python 3.99 on " in capfd.readouterr().out


def test_a_bundle_without_mnist_or_network_says_so(course, capfd, monkeypatch):
    def refuse(source):
        raise RuntimeError("MNIST is not on this machine")

    monkeypatch.setattr("latentlib.datasets.digits.load", refuse)
    monkeypatch.setattr(bundle, "BUILD_TOOLS", ())
    bundle.make(course)
    said = capfd.readouterr().out
    assert "MNIST is left out (MNIST is not on this machine); without it the notebooks use smaller digits." in said
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    (course / "constraints.txt").unlink()
    monkeypatch.setattr(bundle.make, "__defaults__", (course,))
    assert bundle.main() == 1
    assert "bundle: There is no release of tqdm" in capfd.readouterr().out


# --- make lab --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "system", "expected"),
    [
        ({"DISPLAY": ":0"}, "linux", True),
        ({}, "linux", False),
        ({}, "darwin", True),
        ({"SSH_CONNECTION": "x"}, "darwin", False),
    ],
)
def test_a_browser_opens_only_where_there_is_a_screen(environment, system, expected):
    assert lab.has_screen(environment, system) is expected


def test_lab_starts_on_the_first_notebook_also_as_root_without_a_screen(monkeypatch):
    monkeypatch.setattr(lab, "has_screen", lambda environment: False)
    command = lab.command({}, root=True, extra=["--port=9999"])
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb" in command
    assert {"--no-browser", "--allow-root"} <= set(command)
    assert command[-1] == "--port=9999"
    monkeypatch.setattr(lab, "has_screen", lambda environment: True)
    assert not {"--no-browser", "--allow-root"} & set(lab.command({}, root=False, extra=[]))
