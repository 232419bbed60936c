"""Memory is a test: a notebook's kernel under nbval may hold so much above `import torch` at its peak, and no more."""

import pytest


def pytest_addoption(parser):
    parser.addoption(
        "--above-import-mb", type=float, default=None, help="budget for a notebook's kernel, in 10**6 bytes"
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item, nextitem):
    """After a notebook's last cell, while its kernel still lives, look at the most memory it has held.

    The verdict waits until the kernel is shut down, so that the next notebook begins as if nothing had happened.
    """
    kernel = getattr(item.parent, "kernel", None)
    budget = item.config.getoption("--above-import-mb")
    if kernel is None or budget is None or (nextitem is not None and nextitem.parent is item.parent):
        return (yield)
    from tools.run import import_torch, peak

    most = peak(kernel.km.provisioner.pid)
    above = most - import_torch()
    said = f"{item.path.name}: {above:.0f} MB above import torch"
    item.user_properties.append(("memory", f"{said}, {most:.0f} MB in all"))
    outcome = yield
    if not most or above > budget:
        pytest.fail(f"{said}; the budget is {budget:.0f} MB", pytrace=False)
    return outcome


def pytest_terminal_summary(terminalreporter):
    for reports in list(terminalreporter.stats.values()):
        for report in reports:
            for name, value in getattr(report, "user_properties", []):
                if name == "memory" and report.when == "teardown":
                    terminalreporter.write_line(f"memory of {value}")
