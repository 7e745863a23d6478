"""How loss falls with size and data together: L(N, D) = E + A/N^alpha + B/D^beta."""

from scaling_lab.laws.joint.law import (
    ComputeOptimal,
    DroppedPoint,
    JointLawFit,
    JointPrediction,
    LargestPredicted,
    Sensitivity,
    fit_joint_law,
)

__all__ = [
    "ComputeOptimal",
    "DroppedPoint",
    "JointLawFit",
    "JointPrediction",
    "LargestPredicted",
    "Sensitivity",
    "fit_joint_law",
]
