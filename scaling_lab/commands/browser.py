"""`--open`: a page in the reader's own browser."""

import sys
import webbrowser
from pathlib import Path


def open_page(path: Path) -> None:
    """Show a page; where there is no browser, say where the page is."""
    page = path.resolve()
    if not webbrowser.open(page.as_uri()):
        print(f"no browser is found here; the page is {page}", file=sys.stderr, flush=True)
