"""The names that a notebook imports from `scaling_lab` itself."""

import subprocess
import sys
from pathlib import Path

from corpora import write_corpus

import scaling_lab


def test_a_notebook_goes_from_config_to_report_by_the_public_names(folder: Path) -> None:
    write_corpus(folder / "music")
    for size in ("tiny", "small", "medium"):
        overrides = [
            *("ladder=mini", f"size={size}", "data.dir=music", "tracking.mode=disabled", "machine.threads=1"),
            *("data.sequence_length=64", "recipe.batch_size_tokens=256", "recipe.tokens=1024", "recipe.evaluations=1"),
        ]
        scaling_lab.train(scaling_lab.load_config(overrides=overrides))
    analysis = scaling_lab.analyse(*scaling_lab.read_runs(folder / "outputs"))
    page = scaling_lab.build_report(analysis, folder / "report.html")
    assert len(analysis.runs) == 3
    assert analysis.law.verdict == "not identified"
    assert analysis.sentence in page.read_text()
    assert scaling_lab.fit_power_law([1e6, 1e7, 1e8, 1e9], [4.0, 3.2, 2.7, 2.4]).n_sizes == 4


def test_importing_the_package_imports_nothing_heavy() -> None:
    probe = "import sys, scaling_lab; print(sorted({'torch', 'wandb', 'numpy', 'pydantic'} & sys.modules.keys()))"
    ended = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True, timeout=60)
    assert ended.stdout.strip() == "[]"
