"""The names that a notebook imports from `scaling_lab` itself."""

import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from corpora import write_corpus
from report_page import Page
from study_folders import Study

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


def shown(result: object) -> Page:
    """What Jupyter shows of a result, by its own formatter where IPython is installed; it asks for the same method."""
    try:
        formatters = import_module("IPython.core.formatters")
    except ImportError:
        return Page(result._repr_html_())  # type: ignore[attr-defined]
    return Page(str(formatters.HTMLFormatter()(result)))


def test_a_study_shows_its_conclusion_its_runs_and_its_laws(folder: Path) -> None:
    study = Study(folder / "runs", noise=0.002).write()
    analysis = study.analysis()
    page = shown(analysis)
    assert page.text.startswith(analysis.conclusion.splitlines()[0])
    for run in analysis.runs:
        assert f"{run.parameters['total']:,}" in page.text
        assert f"{run.results['final_val_loss']:.5g}" in page.text
    for law in analysis.laws.values():
        assert f"{law.alpha.value:.5g}" in page.text
    assert [tag for tag, _ in page.elements].count("table") == 2


def test_a_law_shows_its_sentence_and_its_intervals_and_a_refusal_shows_no_number_that_is_none() -> None:
    law = scaling_lab.fit_power_law([1e5, 1e6, 1e7, 1e8, 1e9], [4.0, 3.2, 2.7, 2.4, 2.2])
    text = shown(law).text
    assert text.startswith(law.sentence())
    assert f"{law.alpha.low:.5g}" in text
    refused = scaling_lab.fit_power_law([1e6, 1e7], [4.0, 3.2])
    text = shown(refused).text
    assert text.startswith(refused.sentence())
    assert "nan" not in text


def test_hostile_name_is_text_in_a_notebook(folder: Path) -> None:
    study = Study(folder / "runs")
    study.write_run("tiny", name="</td><script>alert(1)</script>\u202e")
    (record,), _ = scaling_lab.read_runs(study.folder)
    # No folder is read with text for a loss; whoever makes a record may have one.
    record = replace(record, results=record.results | {"final_train_loss": "<img src=x onerror=alert(2)>"})
    page = shown(scaling_lab.analyse([record]))
    assert {tag for tag, _ in page.elements} == {"p", "table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert "</td><script>alert(1)</script>\\u202e" in page.text
    assert "<img src=x onerror=alert(2)>" in page.text


def test_importing_the_package_imports_nothing_heavy() -> None:
    probe = "import sys, scaling_lab; print(sorted({'torch', 'wandb', 'numpy', 'pydantic'} & sys.modules.keys()))"
    ended = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True, timeout=60)
    assert ended.stdout.strip() == "[]"
