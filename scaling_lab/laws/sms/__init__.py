"""Whole loss curves of data read again and again: the SMS law L(N, D, U) of MuPT."""

from scaling_lab.laws.sms.law import SmsFit, SmsPrediction, fit_sms

__all__ = ["SmsFit", "SmsPrediction", "fit_sms"]
