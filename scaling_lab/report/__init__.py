"""The report: figures and tables of a study in one HTML file that needs no network. `scaling-lab report` writes it."""

from scaling_lab.report.study_page import build_report

__all__ = ["build_report"]
