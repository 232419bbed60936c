import os, pathlib, subprocess, sys  # set-up: takes the course's code from here, or installs it
from importlib import metadata, util

sys.path += [str(p) for p in pathlib.Path.cwd().parents if (p / "latentlib/settings.py").exists()]
if not util.find_spec("latentlib"):  # as on Colab, whose PyTorch and NumPy stay as they are
    kept = [f"{p}=={metadata.version(p)}" for p in ("torch", "numpy") if util.find_spec(p)]
    url = os.getenv("LATENTLIB_REPOSITORY", "https://github.com/OWNER/NAME") + "@REVISION"  # fmt: skip
    subprocess.run([sys.executable, "-mpip", "install", "-q", f"latentlib[all] @ git+{url}", *kept])
assert util.find_spec("latentlib"), "The course was not installed: is there a network, and git?"
