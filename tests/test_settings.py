"""Settings: what torch reads when it is loaded, the CPU quota, where files lie, and what parameters mean."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.bench_threads import control_group
from benchmarks.rows import LeftOut
from latentlib import settings

COURSE = Path(__file__).resolve().parents[1]
DECIDED = (*settings.WAITING, *settings.THREADS, *settings.FALLBACK, "NUMBA_CACHE_DIR", "MPLCONFIGDIR")


# --------------------------------------------------------------------------------------------- before torch is loaded


def test_importing_latentlib_sets_variables_and_loads_nothing_heavy():
    heavy = {"torch", "numpy", "matplotlib", "sklearn", "umap", "plotly", "ipywidgets", "anywidget", "PIL"}
    tell = f"print(json.dumps([dict(os.environ), [*({heavy} & set(sys.modules))]]))"
    code = f"import json, os, sys, latentlib, latentlib.claims; {tell}"
    environment = {name: value for name, value in os.environ.items() if name not in DECIDED}
    done = subprocess.run([sys.executable, "-c", code], cwd=COURSE, env=environment, capture_output=True, check=True)
    found, loaded = json.loads(done.stdout)
    assert loaded == []
    assert {name: found.get(name) for name in settings.WAITING} == settings.SPIN | {"OMP_WAIT_POLICY": None}
    assert found["PYTORCH_ENABLE_MPS_FALLBACK"] == "1"


@pytest.mark.parametrize("name", [*settings.WAITING, *settings.FALLBACK])
def test_what_the_learner_has_set_stays(name, tmp_path):
    environment = {name: "7"}
    made = settings.set_variables(environment, tmp_path)
    assert environment[name] == "7"
    assert not set(made) & set(settings.WAITING) if name in settings.WAITING else settings.SPIN.items() <= made.items()


def control_groups(root: Path, groups: str, files: dict[str, str]) -> Path:
    """A folder in which the kernel's files about control groups are imitated."""
    for name, content in {"proc/self/cgroup": groups, **{f"sys/fs/cgroup/{k}": v for k, v in files.items()}}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


V1 = {"cpu,cpuacct/cpu.cfs_quota_us": "150000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}
V1_FREE = {"cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}


@pytest.mark.parametrize(
    ("groups", "files", "quota"),
    [
        ("0::/\n", {"cpu.max": "100000 100000\n"}, 1),  # a container
        ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/user.slice/hub/ann\n", {"cpu.max": "max 100000", "user.slice/hub/ann/cpu.max": "50000 100000"}, 0.5),
        ("0::/user.slice/hub/ann\n", {"user.slice/hub/cpu.max": "200000 100000"}, 2),  # a group above has it
        ("0::/user.slice/hub/ann\n", {"user.slice/hub/bob/cpu.max": "50000 100000"}, math.inf),  # somebody else's
        ("4:cpu,cpuacct:/docker/1f\n1:name=systemd:/docker/1f\n", V1, 1.5),  # its own path is not seen from inside
        ("4:cpu,cpuacct:/docker/1f\n0::/\n", V1_FREE, math.inf),
        ("0::/\n", {"cpu.max": "strange\n"}, math.inf),
        ("2:memory:/\n", {"memory/cpu.max": "1 1"}, math.inf),
    ],
)
def test_the_quota_of_both_kinds_of_control_groups(tmp_path, groups, files, quota):
    assert settings.cpu_quota(control_groups(tmp_path, groups, files)) == quota


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="control groups are Linux's")
def test_the_quota_bounds_the_threads_unless_the_learner_has(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    root = control_groups(tmp_path, "0::/\n", {"cpu.max": "150000 100000"})
    assert settings.set_variables({}, root)["OMP_NUM_THREADS"] == "2"
    for name in settings.THREADS:
        assert "OMP_NUM_THREADS" not in settings.set_variables({name: "3"}, root)
    (root / "sys/fs/cgroup/cpu.max").write_text("400000 100000")  # as many as there are
    assert "OMP_NUM_THREADS" not in settings.set_variables({}, root)
    assert settings.cpu_quota(tmp_path / "nothing") == math.inf


def test_the_quota_of_a_real_control_group():
    own = "import os, pathlib, sys; pathlib.Path(sys.argv[1], 'cgroup.procs').write_text(str(os.getpid()))"
    code = f"{own}; import latentlib.settings as s; print(s.cpu_quota(), os.environ['OMP_NUM_THREADS'])"
    environment = {name: value for name, value in os.environ.items() if name not in DECIDED}
    try:
        with control_group(0.5) as group:
            command = [sys.executable, "-c", code, group]
            done = subprocess.run(command, cwd=COURSE, env=environment, capture_output=True, text=True, check=True)
    except LeftOut as reason:
        pytest.skip(str(reason))
    assert done.stdout.split() == ["0.5", "1"]


# ------------------------------------------------------------------------------------------------------ where files lie


@pytest.fixture
def own_folders(monkeypatch, tmp_path):
    """No variable set, and everything below a folder of our own."""
    for name in ("LATENTLIB_DATA", "LATENTLIB_CACHE", "LATENTLIB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(settings, "COURSE", tmp_path / "course")
    (tmp_path / "course").mkdir()
    return tmp_path


def test_the_data_folder_is_what_the_variable_names(own_folders, monkeypatch):
    assert settings.data_folder() is None
    (own_folders / "course" / "mine").mkdir()
    for name in (str(own_folders / "course" / "mine"), "mine"):  # relative to the course, wherever the kernel starts
        monkeypatch.setenv("LATENTLIB_DATA", name)
        assert settings.data_folder() == own_folders / "course" / "mine"
    monkeypatch.setenv("LATENTLIB_DATA", "elsewhere")
    with pytest.raises(FileNotFoundError, match="LATENTLIB_DATA names elsewhere"):
        settings.data_folder()


def test_looking_for_files_makes_no_folder(own_folders, monkeypatch):
    assert settings.cache_folder() == own_folders / "home" / ".cache" / "latentlib"  # an installed package
    (own_folders / "course" / "pyproject.toml").touch()
    assert settings.cache_folder() == own_folders / "course" / "data" / "cache"
    monkeypatch.setenv("LATENTLIB_CACHE", str(own_folders / "named"))
    assert settings.cache_folder() == own_folders / "named"
    assert settings.find("MNIST") is None
    assert sorted(path.name for path in own_folders.iterdir()) == ["course"]
    (own_folders / "home" / ".cache" / "latentlib" / "MNIST").mkdir(parents=True)
    assert settings.find("MNIST") == own_folders / "home" / ".cache" / "latentlib" / "MNIST"


def test_a_file_where_the_cache_should_be_is_no_cache(own_folders, monkeypatch):
    (own_folders / "file").touch()
    monkeypatch.setenv("LATENTLIB_CACHE", str(own_folders / "file"))
    assert settings.cache_folder() == own_folders / "home" / ".cache" / "latentlib"


@pytest.mark.parametrize(("said", "forbidden"), [("1", True), ("yes", True), ("0", False), ("Off", False), ("", False)])
def test_offline(monkeypatch, said, forbidden):
    monkeypatch.setenv("LATENTLIB_OFFLINE", said)
    assert settings.offline() is forbidden


IN_A_READ_ONLY_COURSE = """
import sys
import latentlib
from latentlib import settings, weights
from latentlib.datasets import digits, glyphs
import teachers_module
assert digits.load().name == "MNIST"
assert "torchvision" not in sys.modules  # it takes much memory, and is needed for downloads only
for name in latentlib.__all__:
    getattr(latentlib, name)
assert weights.load("furniture-regressor") is not None
folder = settings.cache_folder()
folder.mkdir(parents=True, exist_ok=True)
(folder / "written").write_text("yes")
print(teachers_module.double(21), folder)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="setpriv is Linux's")
def test_a_course_that_may_not_be_written_without_a_home_and_from_elsewhere(tmp_path):
    """A hub's share: somebody without rights or a home, in another folder, imports, loads and keeps things."""
    from test_datasets import COUNTS, small_idx

    course, temporary, data = tmp_path / "course", tmp_path / "tmp", tmp_path / "data"
    shutil.copytree(COURSE / "latentlib", course / "latentlib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(COURSE / "data" / "weights", course / "data" / "weights", copy_function=os.symlink)
    (course / "pyproject.toml").touch()
    (course / "teachers_module.py").write_text(  # as umap does
        "import numba\n\n@numba.njit(cache=True)\ndef double(x):\n    return 2 * x\n"
    )
    digits = course / "latentlib" / "datasets" / "digits.py"
    digits.write_text(digits.read_text().replace("60_000", "20").replace("10_000", "10"))
    (data / "MNIST" / "raw").mkdir(parents=True)
    for name in COUNTS:
        (data / "MNIST" / "raw" / name).write_bytes(small_idx(name))
    temporary.mkdir()
    folders = [path for place in (course, data) for path in (place, *place.rglob("*")) if path.is_dir()]
    for path in folders:
        path.chmod(0o555)
    # The superuser without a superuser's rights obeys them, too.
    bound = [] if os.geteuid() else ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(temporary), "PYTHONPATH": str(course), "HOME": str(data)}
    environment |= {"LATENTLIB_DATA": str(data), "LATENTLIB_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [*bound, sys.executable, "-c", IN_A_READ_ONLY_COURSE]
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True)
    for path in folders:
        path.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["42", str(temporary / f"latentlib-{os.geteuid()}")]
    assert sorted(os.listdir(course)) == ["data", "latentlib", "pyproject.toml", "teachers_module.py"]
    assert os.listdir(course / "data") == ["weights"]


def test_without_any_home_there_is_a_cache(own_folders, monkeypatch):
    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    assert settings.cache_folder() == Path(tempfile.gettempdir()) / f"latentlib-{os.getuid()}"
    made = settings.set_variables({}, own_folders)
    assert made["NUMBA_CACHE_DIR"].startswith(tempfile.gettempdir())


# --------------------------------------------------------------------------------------------------------- parameters


@pytest.mark.parametrize("said", [True, "true", "Yes", " on ", 1, "1", 1.0])
def test_fast_is_what_a_teacher_means_by_yes(said):
    assert settings.parameters(said, 0, "cpu", "auto")[0] is True


@pytest.mark.parametrize("said", [False, "false", "no", "OFF", 0, "0", 0.0])
def test_fast_is_what_a_teacher_means_by_no(said):
    assert settings.parameters(said, 0, "cpu", "auto")[0] is False


@pytest.mark.parametrize(("said", "seed"), [(0, 0), ("007", 7), (1000.0, 1000), (2**32 - 1, 2**32 - 1)])
def test_a_seed_is_a_number_however_it_is_written(said, seed):
    found = settings.parameters(False, said, "CPU", "MNIST")
    assert found == (False, seed, torch.device("cpu"), "mnist")
    drawn = random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002 - the global one is what is seeded
    assert settings.parameters(*found) == found  # a cell may run twice
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == drawn  # noqa: NPY002


@pytest.mark.parametrize(
    ("given", "about"),
    [
        (("maybe", 0, "cpu", "auto"), "fast"),
        ((2, 0, "cpu", "auto"), "fast"),
        ((None, 0, "cpu", "auto"), "fast"),
        ((False, 1.5, "cpu", "auto"), "seed"),
        ((False, True, "cpu", "auto"), "seed"),
        ((False, "nan", "cpu", "auto"), "seed"),
        ((False, -1, "cpu", "auto"), "seed"),
        ((False, None, "cpu", "auto"), "seed"),
        ((False, 0, "tpu", "auto"), "device"),
        ((False, 0, 0, "auto"), "device"),
        ((False, 0, "cpu", "fashion"), "dataset"),
    ],
)
def test_what_cannot_be_meant_gets_one_sentence(given, about):
    with pytest.raises(ValueError, match=about) as error:
        settings.parameters(*given)
    assert "\n" not in str(error.value)
