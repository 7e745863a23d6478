"""A real browser, driven by Playwright: an installed Chromium, since Playwright's own is never fetched."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
QUIET = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
QUIET += ("--disable-component-update", "--disable-sync")


def find_chromium() -> str | None:
    """Its path, or None where there is none."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


@contextmanager
def chromium() -> Iterator[Any]:
    """A Chromium of whatever name; where there is none the test is skipped."""
    playwright = pytest.importorskip("playwright.sync_api")
    found = find_chromium()
    if found is None:
        pytest.skip(f"none of these browsers is installed: {', '.join(BROWSERS)}")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=found, args=["--no-sandbox", *QUIET])
        yield started
        started.close()
