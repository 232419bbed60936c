"""make matrix: which clones it makes and what it says of them. The environments take minutes and gigabytes each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools import matrix
from tools.course import ROOT


@pytest.fixture
def asked(monkeypatch, tmp_path) -> list[tuple[str, str | None]]:
    """What each set-up would have been asked for: the folder's name and its constraints. Nothing is installed."""
    found = []

    def record(command, cwd=None, **_):
        constraints = Path(cwd) / "constraints.txt"
        found.append((Path(cwd).name, constraints.read_text().splitlines()[0] if constraints.is_file() else None))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(matrix, "HOME", tmp_path)
    monkeypatch.setattr(matrix.clone, "copy", lambda folder: copy_few(folder))
    monkeypatch.setattr(matrix.subprocess, "run", record)
    monkeypatch.setattr(matrix.pythons, "find", lambda version: Path(sys.executable))
    monkeypatch.setattr(matrix, "lowest_versions", lambda python, course: "torch==2.4.0\n")
    monkeypatch.setattr(matrix, "NEEDED_GB", 0)
    return found


def copy_few(folder: Path) -> None:
    (folder / "tests").mkdir(parents=True)
    for name in ("requirements.txt", "constraints.txt"):
        (folder / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")


def test_each_environment_is_a_clone_with_its_own_versions_and_is_removed(asked, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(matrix, "run", lambda course: None)
    assert matrix.main([]) == 0
    newest = [(name.replace(".", "-"), None) for name in matrix.pythons.SUPPORTED]
    assert asked == [*newest, ("lowest", "# Tested with Python 3.10")]
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out.endswith("5 passed, 0 failed, 0 skipped\n")


def test_a_failure_and_what_cannot_be_tried_are_told_apart(asked, monkeypatch, capsys):
    def fail(course):
        raise RuntimeError("tests failed, see above")

    monkeypatch.setattr(matrix, "run", fail)
    monkeypatch.setattr(matrix.pythons, "find", lambda version: None if version == "3.12" else Path(sys.executable))
    assert matrix.main(["3.12"]) == 0
    assert "no Python 3.12 was found on this machine\n0 passed, 0 failed, 1 skipped\n" in capsys.readouterr().out
    assert matrix.main(["3.12", "3.13"]) == 1
    assert "0 passed, 1 failed, 1 skipped" in capsys.readouterr().out


def test_a_wrong_name_is_a_sentence(capsys):
    assert matrix.main(["3.14", "--fast"]) == 2
    assert "there is no --fast, 3.14; there are 3.10, 3.11, 3.12, 3.13, lowest" in capsys.readouterr().out
