"""Where a Chromium for the browser tests is."""

from __future__ import annotations

import os
import shutil

NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge"]
NAMES += ["/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"]
NAMES += [r"C:\Program Files\Google\Chrome\Application\chrome.exe"]
NAMES += [r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe"]


def find() -> str | None:
    """The path of a Chromium, Chrome or Edge on this machine, or None."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def required() -> bool:
    """Whether the browser tests must run: on CI, and wherever LATENTLIB_REQUIRE_BROWSER=1 is set."""
    wanted = (os.environ.get("CI", ""), os.environ.get("LATENTLIB_REQUIRE_BROWSER", ""))
    return any(value.lower() not in ("", "0", "false", "no") for value in wanted)
