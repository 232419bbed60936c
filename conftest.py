"""Memory is a test: when a notebook runs under nbval, its kernel's peak must stay within the budget."""

import os

import pytest


def pytest_addoption(parser):
    parser.addoption(
        "--peak-memory-mb", type=float, default=None, help="budget for a notebook's kernel, in 10**6 bytes"
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item, nextitem):
    """After a notebook's last cell, while its kernel still lives, look at the most memory it has held.

    The verdict waits until the kernel is shut down, so that the next notebook begins as if nothing had happened.
    """
    kernel = getattr(item.parent, "kernel", None)
    budget = item.config.getoption("--peak-memory-mb")
    if kernel is None or budget is None or (nextitem is not None and nextitem.parent is item.parent):
        return (yield)
    from tools.memory import held_mb

    peak = held_mb(kernel.km.provisioner.pid)
    item.user_properties.append(("peak memory", f"{os.path.basename(str(item.path))}: {peak:.0f} MB"))
    outcome = yield
    if not 0 < peak <= budget:
        pytest.fail(f"{item.path.name} held {peak:.0f} MB at its peak; the budget is {budget:.0f} MB", pytrace=False)
    return outcome


def pytest_terminal_summary(terminalreporter):
    for reports in list(terminalreporter.stats.values()):
        for report in reports:
            for name, value in getattr(report, "user_properties", []):
                if name == "peak memory" and report.when == "teardown":
                    terminalreporter.write_line(f"peak memory of {value}")
