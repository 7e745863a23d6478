"""The report: figures and tables of a study in one HTML file that needs no network. `scaling-lab report` writes it, and
with `--compare` one of several studies.
"""

from scaling_lab.report.comparison_page import build_comparison
from scaling_lab.report.study_page import build_report

__all__ = ["build_comparison", "build_report"]
