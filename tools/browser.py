"""Finds the browser that draws the slides and that the browser tests open: Chromium, Chrome or Edge."""

import os
import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
HELP = (
    "No browser was found: install Chromium (Debian: `sudo apt-get install chromium`), or set CHROMIUM to "
    "the path of a Chrome."
)


def browser_path() -> str | None:
    found = [os.environ.get("CHROMIUM"), *map(shutil.which, NAMES), *PLACES]
    return next((path for path in found if path and Path(path).is_file()), None)


def is_root() -> bool:
    """Whether Chromium needs --no-sandbox: as root, and only then, it refuses to start without."""
    return hasattr(os, "geteuid") and os.geteuid() == 0
