# ruff: noqa: UP031, RUF005 (this file must run on old Pythons)
"""Make .venv with everything the course needs: `python -m tools.setup` (make does this by itself).

This first half only looks for a Python that is new enough, so it is written for old Pythons too;
the work is in install.py beside it.
"""

import os
import subprocess
import sys

OLDEST = (3, 10)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NAMES = ["python3.12", "python3.13", "python3.11", "python3.10"]


def too_old(version):
    return tuple(version[:2]) < OLDEST


def find_newer():
    """The name of a newer Python on this machine that runs, or None."""
    question = "import sys; sys.exit(sys.version_info < (%d, %d))" % OLDEST
    for name in NAMES:
        try:
            process = subprocess.Popen([name, "-c", question], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            process.communicate()
            if process.returncode == 0:
                return name
        except OSError:
            pass
    return None


def main():
    if too_old(sys.version_info):
        this = "this is %d.%d.%d (%s)" % (sys.version_info[0], sys.version_info[1], sys.version_info[2], sys.executable)
        newer = find_newer()
        if newer is None:
            sys.exit("The course needs Python 3.10 or newer, and %s. Install one, or name it: make PYTHON=..." % this)
        sys.stdout.write("The course needs Python 3.10 or newer, and %s: taking %s instead.\n" % (this, newer))
        sys.stdout.flush()
        sys.exit(subprocess.call([newer, "-m", "tools.setup"] + sys.argv[1:], cwd=ROOT))
    from tools import install

    sys.exit(install.main())


if __name__ == "__main__":
    main()
