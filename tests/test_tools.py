"""The commands of the course that are not set-up: make test's summary, make run, make bench, and what they measure."""

from __future__ import annotations

import importlib.util
import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from tools import check, chromium, gallery, memory, run_course
from tools.course import ROOT

v4 = nbformat.v4
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def write_notebook(folder: Path, name: str, *cells: str) -> Path:
    """A notebook with a title, a parameters cell and these code cells."""
    parameters = v4.new_code_cell("fast = False\nseed = 0", metadata={"tags": ["parameters"]})
    title = v4.new_markdown_cell(f"# {name}\n\n**Question.** Is *this* it?")
    path = folder / f"{name}.ipynb"
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(v4.new_notebook(cells=[title, parameters, *map(v4.new_code_cell, cells)], metadata=kernel), path)
    return path


# --- memory is a test ------------------------------------------------------------------------------------------------


def nbval(*paths: Path, budget: int) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(ROOT), "-c"]
    command += [str(ROOT / "pyproject.toml"), "-p", "conftest", "--nbval", "--nbval-current-env"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command += [f"--peak-memory-mb={budget}", *map(str, paths)]
    return subprocess.run(command, cwd=paths[0].parent, env=environment, capture_output=True, text=True)


def test_a_notebook_that_holds_too_much_fails_although_it_lets_go_again(tmp_path):
    path = write_notebook(tmp_path, "00_big", "block = bytearray(400_000_000)", "del block")
    small, large = nbval(path, budget=300), nbval(path, budget=1500)
    assert small.returncode == 1, small.stdout
    assert re.search(r"00_big\.ipynb held \d{3} MB at its peak; the budget is 300 MB", small.stdout)
    assert large.returncode == 0, large.stdout
    assert re.search(r"peak memory of 00_big\.ipynb: \d{3} MB", large.stdout)


def test_the_notebook_after_one_that_held_too_much_is_tested_all_the_same(tmp_path):
    big = write_notebook(tmp_path, "00_big", "block = bytearray(400_000_000)")
    fine = write_notebook(tmp_path, "01_fine", "assert True")
    run = nbval(big, fine, budget=300)
    assert re.search(r"4 passed,.* 1 error", run.stdout), run.stdout
    assert re.search(r"peak memory of 01_fine\.ipynb: \d{2,3} MB", run.stdout)


def test_a_childs_memory_is_seen_and_its_peak_kept():
    code = "import time; block = bytearray(200_000_000); print('held', flush=True); del block; time.sleep(60)"
    with memory.KernelWatch(every=0.02) as watch:
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        try:
            child.stdout.readline()
            deadline = time.monotonic() + 20
            while watch.peak_mb < 190 and time.monotonic() < deadline:
                time.sleep(0.02)
        finally:
            child.kill()
            child.wait()
    assert 190 < watch.peak_mb < 400
    assert memory.held_mb(child.pid) == 0.0


def test_program_files_beyond_those_touched_do_not_count():
    def status(peak, files):
        return f"Name:\tpython\nVmHWM:\t{peak} kB\nRssAnon:\t1 kB\nRssFile:\t{files} kB\n"

    assert memory.peak_of(status(1_000_000, 300_000)) == pytest.approx(1024)
    extra = 600_000 * 1.024 / 1000 - memory.PROGRAM_MB
    assert memory.peak_of(status(1_500_000, 600_000)) == pytest.approx(1536 - extra)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_does_not_count_its_parents_memory_again():
    code = """if True:
        import os, time
        block = bytearray(200_000_000)
        if os.fork() == 0:
            time.sleep(60)
        print("forked", flush=True)
        time.sleep(60)"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        parent.stdout.readline()
        (fork,) = psutil.Process(parent.pid).children()
        assert memory.held_mb(fork.pid) > 190
        assert 190 < memory.held_mb(parent.pid) < 300
    finally:
        fork.kill()
        parent.kill()
        parent.wait()


# --- make test -------------------------------------------------------------------------------------------------------


def test_the_closing_line_of_pytest_is_counted():
    lines = [
        "3 passed in the text\n",
        "FAILED a - 9 passed\n",
        "= 1 failed, 12 passed, 2 skipped, 3 errors in 4.5s =\n",
        "\n",
    ]
    assert check.closing_counts(lines) == {"passed": 12, "failed": 1, "error": 3, "skipped": 2}
    assert check.closing_counts(["no tests ran in 0.1s\n"]) == {"passed": 0, "failed": 0, "error": 0, "skipped": 0}


def step(ok: bool, name: str = "unit tests", **counts: int) -> check.Step:
    return check.Step(name, ok, 1.0, dict.fromkeys(check.KINDS, 0) | counts)


@pytest.mark.parametrize(
    ("steps", "status", "closing"),
    [
        ([step(True, "style"), step(True, passed=3, skipped=1)], 0, "3 passed, 0 failed, 1 skipped"),
        ([step(False, "style"), step(True, passed=3)], 1, "3 passed, 1 failed, 0 skipped"),
        ([step(False, passed=3, failed=1, error=1)], 1, "3 passed, 2 failed, 0 skipped"),
        ([step(True, "style")], 1, "0 passed, 0 failed, 0 skipped"),
    ],
)
def test_the_summary_ends_with_the_counts_and_the_right_status(capsys, steps, status, closing):
    assert check.summary(steps, ["the browser tests: none here"]) == status
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == closing
    assert "left out: the browser tests: none here" in lines


def test_without_data_or_chromium_what_is_left_out_is_said(monkeypatch):
    ran = []

    def record(name, arguments, **settings):
        ran.append((name, settings))
        return step(True, name)

    monkeypatch.delenv("LATENTLIB_DATA", raising=False)
    monkeypatch.setattr(check, "style", lambda: step(True, "style"))
    monkeypatch.setattr(
        check, "pytest", lambda name, arguments, **settings: ran.append((name, settings)) or step(True, name)
    )
    monkeypatch.setattr(chromium, "find", lambda: None)
    monkeypatch.setattr(chromium, "required", lambda: False)
    _, left_out = check.run_all([])
    assert [name for name, _ in ran] == ["unit and browser tests", "notebooks on the bundled digits, no network"]
    assert ran[1][1]["LATENTLIB_OFFLINE"] == "1"
    assert [text.split(":")[0] for text in left_out] == ["the browser tests", "the notebooks with MNIST"]
    monkeypatch.setenv("LATENTLIB_DATA", "data")
    _, left_out = check.run_all([])
    assert ran[3][0] == "notebooks with MNIST"
    assert ran[3][1]["LATENTLIB_DATA"] == str(Path("data").resolve())
    assert ran[4][1]["LATENTLIB_DATA"] is None
    assert len(left_out) == 1


@pytest.mark.parametrize(
    ("ci", "asked", "expected"), [("", "", False), ("true", "", True), ("", "1", True), ("false", "0", False)]
)
def test_the_browser_tests_are_required_on_ci(monkeypatch, ci, asked, expected):
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("LATENTLIB_REQUIRE_BROWSER", asked)
    assert chromium.required() is expected


def test_a_chromium_can_be_named(monkeypatch, tmp_path):
    monkeypatch.setenv("LATENTLIB_CHROMIUM", str(tmp_path / "chromium"))
    assert chromium.find() is None
    (tmp_path / "chromium").touch()
    assert chromium.find() == str(tmp_path / "chromium")


def test_a_wrong_path_is_a_sentence(capsys):
    assert check.main(["nowhere.ipynb"]) == 2
    assert "is no notebook and no test file" in capsys.readouterr().out


# --- make run --------------------------------------------------------------------------------------------------------


@pytest.fixture
def build(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(run_course, "BUILD", tmp_path / "build")
    return tmp_path / "build"


def test_the_course_runs_and_a_failing_notebook_stops_no_other(build, tmp_path, capfd):
    """For real, with kernels: the first fails, the second gets its parameter, both have pages and a card."""
    picture = f'data = {{"image/png": "{PICTURE}", "text/plain": "a dot"}}\n'
    picture += 'display(data, raw=True, metadata={"image/png": {"alt": "A dot & nothing else"}})'
    bad = write_notebook(tmp_path, "00_bad", "ready = 1", "1 / 0", "never = 1")
    good = write_notebook(tmp_path, "01_good", "print('seed', seed, fast)\nblock = bytearray(150_000_000)", picture)
    assert run_course.main([str(bad), str(good), "seed=3", "fast=True"]) == 1
    said, errors = capfd.readouterr()
    assert "WARNING" not in errors  # the kernel's, about its transport
    assert re.search(
        r"00_bad .* 60 s .* 1\.5 GB   FAILED\n    cell \d \(In \[4\]\): ZeroDivisionError: division by zero", said
    )
    measured = re.search(r"01_good .* (\d\.\d\d) GB    1\.5 GB   fits", said)
    assert 0.17 < float(measured[1]) < 0.5  # the block of 0.15 GB and a bare kernel
    executed = nbformat.read(build / "01_good.ipynb", as_version=4)
    assert executed.cells[3].outputs[0].text == "seed 3 True\n"
    assert len(executed.cells) == 5  # title, parameters, injected parameters, two cells; the probe is gone
    assert "papermill" not in executed.metadata
    page = (build / "index.html").read_text(encoding="utf-8")
    assert 'alt="A dot &amp; nothing else"' in page
    assert "Is this it?" in page
    assert "division by zero" in page
    assert not re.search(r'(src|href)="https?:', page)
    links = re.findall(r'href="([^"]+)"', page)
    assert [link for link in links if not (build / link).is_file()] == []
    assert 'alt="A dot &amp; nothing else"' in (build / "01_good.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [("fats=True", "no notebook has the parameter fats; there are fast, seed"), ("fast", "'fast' is not name=value")],
)
def test_a_wrong_parameter_is_a_sentence(build, tmp_path, capsys, argument, sentence):
    path = write_notebook(tmp_path, "00_any", "1")
    assert run_course.main([str(path), argument]) == 2
    assert sentence in capsys.readouterr().out


def test_parameters_are_python_values_or_text():
    assert run_course.parameters_of(["fast=True", "seed=3", "device=cpu"]) == {"fast": True, "seed": 3, "device": "cpu"}


def test_the_table_says_what_fits():
    results = [
        run_course.Result(Path("00_small.ipynb"), seconds=12.3, peak_mb=800),
        run_course.Result(Path("01_slow.ipynb"), seconds=60.1, peak_mb=800),
        run_course.Result(Path("02_large.ipynb"), seconds=12.3, peak_mb=1501),
        run_course.Result(Path("03_broken.ipynb"), error="cell 4"),
    ]
    verdicts = [line.split()[-1] for line in run_course.table(results).splitlines()[1:] if not line.startswith(" ")]
    assert verdicts == ["fits", "OVER", "OVER", "FAILED"]


def test_a_notebook_without_pictures_has_a_card_too():
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell("# Plain <b>")])
    result = run_course.Result(Path("00_plain.ipynb"), notebook=notebook)
    assert '<div class="none"></div>' in gallery.card(result)
    assert "Plain &lt;b&gt;" in gallery.card(result)


# --- make bench ------------------------------------------------------------------------------------------------------


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """benchmarks/run.py on a folder with two benchmarks, one of which fails."""
    spec = importlib.util.spec_from_file_location("bench_runner", ROOT / "benchmarks" / "run.py")
    runner = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(runner)
    row = "types.SimpleNamespace(name='pictures a second', value=1200.0, peer=400.0, ratio=3.0)"
    (tmp_path / "bench_madeup.py").write_text(f"import types\ndef run():\n    return [{row}]\n")
    (tmp_path / "bench_zfails.py").write_text("def run():\n    raise OSError('no room')\n")
    (tmp_path / "bench_left.py").write_text(
        "from benchmarks.rows import LeftOut\ndef run():\n    raise LeftOut('there is no MNIST here')\n"
    )
    monkeypatch.setattr(runner, "FOLDER", tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return runner


def test_bench_prints_one_table_and_fails_when_one_fails(bench, capsys):
    assert bench.main([]) == 1
    said = capsys.readouterr().out
    assert said.startswith("Python 3.")
    assert re.search(r"^pictures a second +1,200 +400 +3\.00$", said, re.M)
    assert "zfails failed: OSError: no room" in said
    assert bench.main(["madeup"]) == 0
    assert bench.main(["left"]) == 0
    assert "left is left out: there is no MNIST here" in capsys.readouterr().out
    assert bench.main(["other"]) == 2
    assert "there is no other; there are left, madeup, zfails" in capsys.readouterr().out


def test_without_mnist_the_epoch_is_left_out(monkeypatch, tmp_path):
    from benchmarks import bench_fit, rows

    monkeypatch.delenv("LATENTLIB_DATA", raising=False)
    monkeypatch.setenv("LATENTLIB_CACHE", str(tmp_path))
    monkeypatch.setenv("LATENTLIB_OFFLINE", "1")
    with pytest.raises(rows.LeftOut, match="MNIST is not on this machine"):
        bench_fit.run()


def test_the_threads_are_compared_alone_in_pairs_and_beside_a_busy_process(monkeypatch):
    """Without work: which arms take turns, and what each ratio says."""
    from benchmarks import bench_threads

    ours = {"alone": 11.0, "pair": 22.0, "busy": 16.5}
    default = {"alone": 10.0, "pair": 100.0, "busy": 80.0}

    def pretend(code, slow, copies=1, busy=False):
        return (default if slow else ours)["pair" if copies == 2 else "busy" if busy else "alone"]

    monkeypatch.setattr(bench_threads, "seconds", pretend)
    rows = bench_threads.run("01_compression", rounds=3)
    assert [row.value for row in rows] == list(ours.values())
    assert [row.peer for row in rows] == list(default.values())
    assert [row.ratio for row in rows] == pytest.approx([1.1, 2.0, 1.5])
    alone, *beside_others = bench_threads.run("01_compression", rounds=1, short=True)
    assert (alone.peer, alone.ratio) == (10.0, pytest.approx(1.1))
    assert all(math.isnan(row.peer) for row in beside_others), "the default takes an hour beside others"
    assert [row.ratio for row in beside_others] == pytest.approx([2.0, 1.5])


def test_the_processes_of_the_threads_get_the_settings(monkeypatch):
    from benchmarks import bench_threads

    code = "import os, latentlib; assert os.environ['GOMP_SPINCOUNT'] == '{}'"
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    assert bench_threads.seconds(code.format(1000), default=False, copies=2, busy=True) > 0
    assert bench_threads.seconds(code.format(300000), default=True) > 0
    with pytest.raises(RuntimeError, match="the job failed"):
        bench_threads.seconds(code.format(7), default=False)


def test_every_benchmark_has_a_run_and_a_docstring():
    for path in (ROOT / "benchmarks").glob("bench_*.py"):
        source = path.read_text(encoding="utf-8")
        assert source.startswith('"""'), path.name
        assert re.search(r"^def run\(", source, re.M), path.name
