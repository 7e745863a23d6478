"""The `command` of a sweep, read as its agent runs it: which fixed values it gives to every trial.

    command: [${env}, ${interpreter}, ${program}, train, --ladder=mini, ${args_no_boolean_flags}]

The agent puts the trial's parameters where the last word stands. What it can't fill in it drops without a word, so
that is found here.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from scaling_lab.config.fields import nearest, shown
from scaling_lab.config.options import OPTIONS, SHORT_OPTIONS
from scaling_lab.config.settings import Override
from scaling_lab.errors import ConfigError

ARGUMENTS = "${args_no_boolean_flags}"
USUAL = ("${env}", "${interpreter}", "${program}", "train", "--ladder=mini", ARGUMENTS)
EXAMPLE = f"[{', '.join(USUAL)}]"
OPTION_KEYS = {flag: key for flag, _, key in OPTIONS} | {
    SHORT_OPTIONS[f]: k for f, _, k in OPTIONS if f in SHORT_OPTIONS
}

# What W&B's agent fills in besides the trial's arguments; `${envvar:NAME}` may stand anywhere in a word.
_FILLED_IN = ("${env}", "${interpreter}", "${program}")
_MACRO = re.compile(r"\$\{.*\}")
_ENVIRONMENT_VARIABLE = re.compile(r"\$\{envvar:[A-Z0-9_]*\}")
_SCALING_LAB = ("${program}", "cli.py", "scaling-lab", "scaling_lab")
_FREE = ("-o", "--option")
_FILE = ("-c", "--config")

# Called with the number of a word (None: the whole command) and what is wrong with it.
Fault = Callable[[int | None, str], None]


@dataclass
class FixedWords:
    """What a command gives to every trial.

    Attributes:
        overrides: values of a run, each with the place of its word.
        config_file: the YAML file of `--config`, if there is one.
        uses_program: whether `program:` is needed.
    """

    overrides: list[Override] = field(default_factory=list)
    config_file: Path | None = None
    uses_program: bool = False


def read_command(command: Any, place: Callable[[int], str], fault: Fault) -> FixedWords:
    """Read a command, and tell `fault` of whatever would make its trials fail or differ from what is meant.

    Args:
        command: the value of `command:`, or None where there is none.
        place: words for the place of the word with a number.
        fault: called for each fault.
    """
    if command is None:
        fault(None, f"is missing, and W&B's own calls no subcommand; write {EXAMPLE}")
        return FixedWords()
    if not isinstance(command, list) or not all(isinstance(word, str | int | float) for word in command):
        fault(None, f"is not a list of words; write {EXAMPLE}")
        return FixedWords()
    words = [str(word) for word in command]
    fixed = FixedWords(uses_program="${program}" in words)
    _check_macros(words, fault)
    begin = _after_train(words, fault)
    if begin is not None:
        for index, option, value in _options(words, begin, fault):
            _take(fixed, option, value, place(index), lambda text, index=index: fault(index, text))
    return fixed


def _check_macros(words: Sequence[str], fault: Fault) -> None:
    for index, word in enumerate(words):
        if not _MACRO.search(word) or word in (*_FILLED_IN, ARGUMENTS) or _ENVIRONMENT_VARIABLE.search(word):
            continue
        if word.startswith("${args"):
            fault(index, f"{word} is not how options are written here; use {ARGUMENTS}")
        else:
            fault(index, f"{word} is nothing that an agent fills in; it knows {', '.join((*_FILLED_IN, ARGUMENTS))}")
    if not any(word.startswith("${args") for word in words):
        fault(None, f"hands no parameter to its trials, which would all be the same; end it with {ARGUMENTS}")


def _after_train(words: Sequence[str], fault: Fault) -> int | None:
    """Where the options of `scaling-lab train` begin."""
    for index, word in enumerate(words):
        if word in _SCALING_LAB or PurePath(word).name in _SCALING_LAB:
            if words[index + 1 : index + 2] == ["train"]:
                return index + 2
            fault(index, f"is not followed by train; write {EXAMPLE}")
            return None
    fault(None, f"starts no scaling-lab; write {EXAMPLE}")
    return None


def _options(words: Sequence[str], begin: int, fault: Fault) -> Iterator[tuple[int, str, str]]:
    """(number of its word, option, value) of each option from word `begin` on."""
    index = begin
    while index < len(words):
        option, equals, value = words[index].partition("=")
        at = index
        index += 1
        if words[at].startswith("${"):
            continue
        if not equals and option != "--json":
            if index == len(words) or words[index].startswith(("--", "${args")):
                fault(at, f"{option} has no value; write {option}=VALUE" if option[:1] == "-" else _stray(option))
                continue
            value = words[index]
            index += 1
        if not _ENVIRONMENT_VARIABLE.search(value):  # what the agent's environment says then isn't known now
            yield at, option if option[:2] != "--" else option.replace("_", "-"), value


def _take(fixed: FixedWords, option: str, value: str, place: str, fault: Callable[[str], None]) -> None:
    if option in OPTION_KEYS:
        fixed.overrides.append(Override(OPTION_KEYS[option], value, place))
    elif option in _FREE:
        try:
            assignment = Override.parse(value)
        except ConfigError:
            fault(f"{shown(value)} has no `=`; write section.key=value")
        else:
            fixed.overrides.append(Override(assignment.key, assignment.value, place))
    elif option in _FILE:
        fixed.config_file = Path(value)
    elif option == "--dry-run":
        fault("--dry-run trains nothing; take it out")
    elif option != "--json":
        near = nearest(option, [*OPTION_KEYS, "--config", "--option"])
        fault(f"{option} is no option of train" + (f"; did you mean {near}?" if near else "; see `train --help`"))


def _stray(word: str) -> str:
    return f"{shown(word)} is neither an option nor its value; write --option=VALUE"
