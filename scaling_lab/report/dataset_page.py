"""A dataset as one HTML file: counts, histograms, three tunes. It needs no network and no script.

`scaling-lab data inspect DIR --out page.html` writes it. Names and texts come from outside and are escaped by Jinja2.
"""

from collections.abc import Mapping
from pathlib import Path

from scaling_lab.data.dataset import Dataset
from scaling_lab.data.inspection import Inspection
from scaling_lab.report.page import render_page, write_page


def write_dataset_page(dataset: Dataset, found: Inspection, path: Path) -> None:
    """Write the page to `path`, as a whole or not at all. Raises OSError if it can't be written."""
    histograms = {
        "Tokens a document": {f"{bin_.low:,} to {bin_.high:,}": bin_.documents for bin_ in found.lengths},
        "Key": found.keys,
        "Metre": found.metres,
    }
    page = render_page(
        "dataset.html.j2",
        title=f"{dataset.name}: the data",
        dataset=dataset,
        histograms={title: _bars(counts) for title, counts in histograms.items() if counts},
        splits=dataset.summary(),
        tunes=found.tunes,
    )
    write_page(page, path)


def _bars(counts: Mapping[str, int]) -> list[tuple[str, int, float]]:
    """Name, count, and how long its bar is, in hundredths of the longest."""
    most = max(counts.values()) or 1
    return [(name, count, round(100 * count / most, 2)) for name, count in counts.items()]
