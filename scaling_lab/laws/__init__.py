"""Laws: functions fitted to finished runs, each with intervals that cover and a verdict on whether it may be used."""

from scaling_lab.laws.best_size import BestSize
from scaling_lab.laws.comparison import (
    FormCompared,
    compare_curve_forms,
    compare_joint_forms,
    compare_power_forms,
    compare_repetition_forms,
)
from scaling_lab.laws.difference import AlphaDifference, alpha_difference
from scaling_lab.laws.envelope import Crossing, EnvelopeFit, fit_envelope
from scaling_lab.laws.isoflop import Budget, IsoFlopFit, fit_isoflop
from scaling_lab.laws.joint import JointLawFit, JointPrediction, fit_joint_law
from scaling_lab.laws.leave_out import LeaveLargestOut, LeftOut
from scaling_lab.laws.next_runs import NextRuns, next_runs
from scaling_lab.laws.power_law import (
    CAVEATS,
    PowerLawFit,
    Prediction,
    Profile,
    fit_power_law,
)
from scaling_lab.laws.region import Interval, Noise
from scaling_lab.laws.repetition import RepetitionFit, fit_repetition
from scaling_lab.laws.sms import SmsFit, SmsPrediction, fit_sms
from scaling_lab.laws.verdict import Reason

__all__ = [
    "CAVEATS",
    "AlphaDifference",
    "BestSize",
    "Budget",
    "Crossing",
    "EnvelopeFit",
    "FormCompared",
    "Interval",
    "IsoFlopFit",
    "JointLawFit",
    "JointPrediction",
    "LeaveLargestOut",
    "LeftOut",
    "NextRuns",
    "Noise",
    "PowerLawFit",
    "Prediction",
    "Profile",
    "Reason",
    "RepetitionFit",
    "SmsFit",
    "SmsPrediction",
    "alpha_difference",
    "compare_curve_forms",
    "compare_joint_forms",
    "compare_power_forms",
    "compare_repetition_forms",
    "fit_envelope",
    "fit_isoflop",
    "fit_joint_law",
    "fit_power_law",
    "fit_repetition",
    "fit_sms",
    "next_runs",
]
