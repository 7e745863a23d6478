"""Several studies compared, as one HTML file in the manner of a study's own report.

build_comparison(compared, Path("comparison.html"), command="scaling-lab report --compare a b")
"""

from pathlib import Path

from scaling_lab.laws.difference import TOLD_APART
from scaling_lab.report import comparison_tables, formats
from scaling_lab.report.comparison_figures import comparison_figures
from scaling_lab.report.page import render_page, write_page
from scaling_lab.studies.analysis import COUNTS, count_name
from scaling_lab.studies.comparison import UNIT_NAMES, Comparison

CAVEATS = (
    "A larger alpha is not a lower loss: a and c have their say, and the figure shows whose loss is lower where.",
    "The interval of a difference is of studies whose noise is independent. It covers noise, not a wrong form of law.",
    "What differs beside what was meant to differ may be the cause. No interval knows of it.",
)


def build_comparison(comparison: Comparison, path: Path, command: str) -> Path:
    """Write the comparison to `path`, as a whole or not at all; return `path`. `command`: what makes this page again.

    Folders on the way are made. Raises OSError if the file can't be written.
    """
    return write_page(render_comparison(comparison, command), path)


def render_comparison(comparison: Comparison, command: str) -> str:
    """The comparison as HTML."""
    units = {unit: UNIT_NAMES[unit] for unit in comparison.units}
    # The parts of a figure's name that each choice stands for; where there is one unit, that of N stands for all.
    fixed = "" if len(units) > 1 else "nats-"
    labels = [formats.plain(study.label) for study in comparison.studies]
    return render_page(
        "comparison.html.j2",
        title=f"Studies compared: {formats.listed(labels)}",
        figures=comparison_figures(comparison),
        agreeing=len(comparison.settings) - len(comparison.differing),
        badge=_badge(comparison),
        caveats=CAVEATS,
        command=formats.plain(command),
        comparison=comparison,
        counts={f"{fixed}{count}": count_name(count) for count in COUNTS},
        differences=comparison_tables.differences_table(comparison),
        differences_by_count=comparison_tables.differences_table(comparison, comparison.differences),
        differing=comparison_tables.differing_table(comparison),
        left_out=comparison_tables.left_out_of_studies_table(comparison),
        studies=comparison_tables.studies_table(comparison),
        together=_together(comparison),
        told_apart=comparison.verdict == TOLD_APART and not comparison.hinges(),
        units=units,
    )


def _badge(comparison: Comparison) -> str:
    """The answer in a word or two."""
    if comparison.hinges():
        return "Depends on how size is counted"
    verdicts = [found.verdict for found in comparison.headline]
    number = verdicts.count(comparison.verdict)
    if number == len(verdicts):
        return comparison.verdict.capitalize()
    return f"{number} of {len(verdicts)} pairs {comparison.verdict}"


def _together(comparison: Comparison) -> str | None:
    """What several comparisons cost, in a sentence; None for one."""
    pairs = len(comparison.pairs)
    if pairs == 1:
        return None
    each = formats.percent(1 - (1 - comparison.headline[0].confidence) / pairs, 1)
    return (
        f"Among {pairs} pairs, one is more likely to look different by chance than one pair alone. So each interval is "
        f"of {each}, and all together hold in 95 of 100 such comparisons (Bonferroni). That of each study's own alpha "
        "is of 95 %."
    )
