"""Memory is a test: when a notebook runs under nbval, its kernel's peak must stay within the budget."""

import os

import pytest


def pytest_addoption(parser):
    parser.addoption(
        "--peak-memory-mb", type=float, default=None, help="budget for a notebook's kernel, in 10**6 bytes"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item, nextitem):
    """After a notebook's last cell, while its kernel still lives, look at the most memory it has held."""
    kernel = getattr(item.parent, "kernel", None)
    budget = item.config.getoption("--peak-memory-mb")
    if kernel is None or budget is None or (nextitem is not None and nextitem.parent is item.parent):
        return
    from memory import held_mb  # tools/memory.py

    peak = held_mb(kernel.km.provisioner.pid)
    item.user_properties.append(("peak memory", f"{os.path.basename(str(item.path))}: {peak:.0f} MB"))
    if not 0 < peak <= budget:
        pytest.fail(f"{item.path.name} held {peak:.0f} MB at its peak; the budget is {budget:.0f} MB", pytrace=False)


def pytest_terminal_summary(terminalreporter):
    for reports in list(terminalreporter.stats.values()):
        for report in reports:
            for name, value in getattr(report, "user_properties", []):
                if name == "peak memory" and report.when == "teardown":
                    terminalreporter.write_line(f"peak memory of {value}")
