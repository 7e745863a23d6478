"""docs/config.md is what the schema says, no more and no less."""

from pathlib import Path

from cli_in_process import CommandLine

REFERENCE = Path(__file__).parents[2] / "docs" / "config.md"


def test_the_reference_is_what_the_command_prints(scaling_lab: CommandLine) -> None:
    printed = scaling_lab("config", "schema", "--markdown")
    assert printed.code == 0
    assert REFERENCE.read_text(encoding="utf-8") == printed.out, (
        "write it anew: config schema --markdown > docs/config.md"
    )


def test_every_key_of_a_run_is_in_the_reference(scaling_lab: CommandLine) -> None:
    shown = scaling_lab("config", "show", "--size", "xl").out
    reference = REFERENCE.read_text(encoding="utf-8")
    keys = [line.split()[0] for line in shown.splitlines()]
    assert len(keys) > 30
    assert [key for key in keys if f"| `{key}` |" not in reference] == []
