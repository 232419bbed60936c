# Set-up. In a clone or on Binder this finds the course; opened alone, as on Colab, it fetches it.
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY, REVISION = "https://github.com/OWNER/NAME", "REVISION"
here = Path.cwd()
places = [here, *here.parents, here / REPOSITORY.split("/")[-1]]
course = next((place for place in places if (place / "latentlib" / "bootstrap.py").is_file()), None)
fetched = course is None
if fetched:
    course = places[-1]
    source = os.environ.get("LATENTLIB_REPOSITORY", REPOSITORY)
    command = ["git", "clone", "-q", "--depth", "1", "--branch", REVISION, source, str(course)]
    quiet = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    clone = subprocess.run(command, capture_output=True, text=True, env=quiet)
    if clone.returncode:
        raise RuntimeError(f"could not fetch the course from {source}; git says: {clone.stderr}")
sys.path.insert(0, str(course))

from latentlib.bootstrap import prepare

prepare(course, fetched)
