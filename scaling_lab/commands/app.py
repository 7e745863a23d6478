"""`scaling-lab`: the commands, and what each way of ending means to whoever started it.

A command is one module of this package whose `app` is a Typer (with `add_completion=False`), and one line of COMMANDS.
It is imported when it is asked for, so that `scaling-lab --help` waits for nothing but Typer.
"""

import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from scaling_lab.errors import ScalingLabError, UsageError
from scaling_lab.files import NO_PATH, NO_ROOM
from scaling_lab.stopping import COMMAND, as_error
from scaling_lab.version import __version__

COMMANDS = {
    "train": "Train one size of the ladder, or go on with an interrupted run.",
    "plan": "Say what every size of a ladder costs: time, memory, money.",
    "lint": "Say what a study could not show, before it is trained.",
    "study": "Train every size of a ladder, fit the law, write the report.",
    "sweep": "Check a W&B sweep and create it, see how far it is, stop it.",
    "fit": "Fit a law to anyone's table of runs.",
    "report": "Draw the report of a study from its runs' journals, or from W&B.",
    "predict": "Predict a size's loss before it is trained, and write it down.",
    "tune": "Find how the best learning rate falls with size.",
    "sample": "Let a trained run write tunes, as ABC files.",
    "server": "Serve W&B's protocol on this machine, with no account.",
    "history": "Pull the rows of runs out of W&B, for other tools.",
    "data": "Make music into a dataset, fetch, inspect and check datasets.",
    "config": "Show, check and explain configurations.",
}

# Those in whose own process models are trained.
TRAINING = ("train", "plan")

# Those that keep what they have done when they are stopped, and go on from there.
GOING_ON = ("train", "study", "data prepare", "data fetch", "history pull")


class _ImportedOnUse(TyperGroup):
    """A group that lists its commands from COMMANDS, and imports the one that runs."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, listed, rest = super().resolve_command(ctx, args)
        if listed is None or listed.name not in COMMANDS:
            return name, listed, rest
        from scaling_lab.commands.dependencies import require_dependencies

        require_dependencies()
        command = typer.main.get_command(import_module(f"scaling_lab.commands.{listed.name.replace('-', '_')}").app)
        command.name = listed.name
        COMMAND.begin(_last_words(listed.name, *rest[:1]))
        return listed.name, command, rest

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as asked:
            # Typer has an exit code of its own for it, and no words.
            raise as_error(asked, COMMAND.words) from None
        finally:
            COMMAND.end()


def _last_words(*command: str) -> str:
    """What is said of a command that was stopped, but for those that know more themselves."""
    for name in (command[0], " ".join(command)):
        if name in GOING_ON:
            return f"{name}: stopped; what was done is kept, and the same command goes on from here"
    return f"{command[0]}: stopped before its end; run it again"


def _with_dashes(token: str) -> str:
    """`--learning_rate` is `--learning-rate`: W&B sweep agents name options as the sweep names parameters."""
    return token.replace("_", "-")


# Plain help: half as long to wait for as the boxed one, and the same in a terminal, a pipe and a log.
app = typer.Typer(
    cls=_ImportedOnUse,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "token_normalize_func": _with_dashes},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"scaling-lab {__version__}")
        raise typer.Exit


@app.callback()
def scaling_lab(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """How does validation loss fall as a transformer of symbolic music grows, and how sure are we?"""


def _listed() -> None:
    """Stands in the list of commands for one that isn't imported yet."""


for _name, _help in COMMANDS.items():
    app.command(_name, help=_help)(_listed)


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    COMMAND.listen()
    if sys.argv[1:2] and sys.argv[1] in TRAINING:
        from scaling_lab.training.allocator import restart_with_fast_allocator

        restart_with_fast_allocator()
    code = exit_code()
    if {"torch", "wandb"} & sys.modules.keys():
        # Whatever was begun is written by now. Torch's native threads can abort an interpreter that is taken down
        # under them, which fails a run of torchrun's that had ended well. The SDK's exit hooks would wait for its
        # service without limit, or print the traceback of its death; the service ends by itself with its parent.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def exit_code() -> int:
    """Runs the command line: 0 fine, 1 our bug, 2 usage, 130 Ctrl-C, else what the error carries."""
    try:
        app(prog_name="scaling-lab")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except ScalingLabError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except ModuleNotFoundError as error:
        return _code_of_missing(error)
    except Exception as error:  # noqa: BLE001 - the outermost frame: whatever is left is a bug of ours
        return _code_of_disk(error) if isinstance(error, OSError) else _code_of_bug(error)
    return 0


def _code_of_disk(error: OSError) -> int:
    """Say what only the user can mend: a disk without room, a path that can't be or isn't theirs; else it is a bug."""
    if error.errno in NO_ROOM:
        print(f"{error.filename or 'the disk'}: {error.strerror}; free some space and run it again", file=sys.stderr)
        return ScalingLabError.exit_code
    if error.errno in NO_PATH and error.filename:
        print(f"{str(error.filename)[:200]}: {error.strerror}; give another path", file=sys.stderr)
        return UsageError.exit_code
    return _code_of_bug(error)


def _code_of_missing(error: ModuleNotFoundError) -> int:
    from scaling_lab.commands.dependencies import missing_import

    ours = missing_import(error)
    if ours is None:
        return _code_of_bug(error)
    print(ours, file=sys.stderr)
    return ours.exit_code


def _code_of_bug(error: Exception) -> int:
    """One readable line on stderr, and the traceback in a file, or on stderr under SCALING_LAB_DEBUG=1; then 1."""
    import tempfile
    import traceback

    details = "".join(traceback.format_exception(error))
    print(f"This is a bug in scaling-lab {__version__}: {type(error).__name__}: {error}", file=sys.stderr)
    if os.environ.get("SCALING_LAB_DEBUG"):
        print(details, file=sys.stderr)
        return 1
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="scaling-lab-bug-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file:
            file.write(details)
        print(f"Please report it, with the traceback in {file.name}", file=sys.stderr)
    except OSError:
        print(details, file=sys.stderr)
    return 1
