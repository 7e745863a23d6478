"""What can go wrong for a user, as one tree. Each class carries the exit code that the command line ends with.

    ScalingLabError                1   something failed that is not the user's to mend by typing differently
    ├── CheckpointError            1   a checkpoint or result on disk cannot be trusted or read
    ├── StorageError               1   the disk is full, or takes nothing more; what was whole before still is
    ├── UsageError                 2   a command was asked for something it can't do
    │   ├── ConfigError            2   a configuration is wrong: file, line, column, fix
    │   └── DataError              2   a dataset is missing, malformed or of the wrong kind
    ├── DivergedError              3   the loss or gradient became NaN or infinite
    ├── RemoteError                4   W&B or another remote service failed
    └── Stopped                   75   asked to stop; a checkpoint was written, run the same command to go on
        └── Interrupted          130   the same, by Ctrl-C

A message reads `place: what is wrong; what to do`. `scaling_lab.commands.app` prints it as it stands.
"""


class ScalingLabError(Exception):
    """Root of everything that scaling-lab raises on purpose."""

    exit_code = 1


class CheckpointError(ScalingLabError):
    """A checkpoint or a result on disk is missing, damaged, or held by another process."""


class StorageError(ScalingLabError):
    """The disk takes nothing more; what was whole before still is, and the same command goes on once there is room."""


class UsageError(ScalingLabError):
    """The command, or its combination of options, can't be carried out."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration value is wrong. One line per fault, each `file:line:column: field: problem; fix`."""


class DataError(UsageError):
    """A dataset is missing, malformed, or not what the run was configured for."""


class DivergedError(ScalingLabError):
    """Loss or gradient norm is NaN or infinite; raised before the optimizer moves, so the weights are still good."""

    exit_code = 3


class RemoteError(ScalingLabError):
    """A remote service (W&B, mostly) failed or could not be reached."""

    exit_code = 4


class Stopped(ScalingLabError):  # noqa: N818 - not an error: the run was asked to stop, and can go on
    """The run was asked to stop. A checkpoint is written, and the same command goes on from it."""

    exit_code = 75


class Interrupted(Stopped):
    """Stopped by Ctrl-C."""

    exit_code = 130
