"""Configurations made to hurt, given to a real process that may have 400 MB: refused with the place, and nothing run.

What each fault is told as is in tests/config/test_yaml_reader.py.
"""

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

MEMORY_BYTES = 400 * 2**20
BOMB = "a0: &a0 [lol, lol]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
# What is written into the file, and where the fault is said to be.
HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "100 MB": (lambda: b"# nothing\n" + b"size: tiny\n" * 10_000_000, "run.yaml: more than 1,000,000 bytes"),
    "100 MB in a line": (lambda: b"size: " + b"x" * 10**8, "run.yaml: more than 1,000,000 bytes"),
    "alias bomb": (BOMB.encode, "run.yaml:1:5: a0: &a0 is an anchor"),
    "alias to itself": (lambda: b"a: &a [*a]\n", "run.yaml:1:4: a: &a is an anchor"),
    "merge key": (lambda: b"size: tiny\n<<: *x\n", "run.yaml:2:5: <<: *x is an alias"),
    "a command to run": (
        lambda: b'size: tiny\nname: !!python/object/apply:os.system ["touch was-run"]\n',
        "run.yaml:2:7: name: !!python/object/apply:os.system is a tag",
    ),
    "an object": (lambda: b"!!python/object:os.stat_result {}\n", "run.yaml:1:1: file: !!python/object"),
    "duplicate key": (lambda: b"size: tiny\nsize: xl\n", "run.yaml:2:1: size: given twice, first on line 1"),
    "duplicate key in a section": (
        lambda: b"recipe:\n  tokens: 1\n  tokens: 2\n",
        "run.yaml:3:3: recipe.tokens: given",
    ),
    "unknown key": (lambda: b"size: tiny\nlearning_rat: 1\n", "run.yaml:2:1: learning_rat"),
    "tab": (lambda: b"recipe:\n\ttokens: 1\n", "run.yaml:2:1: syntax: a tab where YAML wants spaces"),
    "brackets without end": (lambda: b"[" * 900_000, "run.yaml:1:"),
    "keys without end": (lambda: b"".join(b"k%d: 1\n" % n for n in range(90_000)), "run.yaml:"),
    "bytes of all kinds": (lambda: bytes(range(256)) * 100, "run.yaml:2:118: file: not UTF-8"),
    "a BOM in the middle": (lambda: "size: tiny\nna\ufeffme: x\n".encode(), "run.yaml:2:1: "),
}


def bounded() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def validate(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scaling_lab", "config", "validate", "run.yaml"]
    return subprocess.run(
        command, cwd=folder, preexec_fn=bounded, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(("content", "place"), HOSTILE.values(), ids=HOSTILE)
def test_a_file_made_to_hurt_is_refused_with_its_place_in_bounded_memory(
    folder: Path, content: Callable[[], bytes], place: str
) -> None:
    (folder / "run.yaml").write_bytes(content())
    ended = validate(folder)
    assert ended.returncode == 2, ended.stderr
    assert place in ended.stderr.splitlines()[0]
    assert len(ended.stderr) < 10_000
    assert not (folder / "was-run").exists()
    (folder / "run.yaml").unlink()


def test_a_byte_order_mark_at_the_beginning_is_no_fault(folder: Path) -> None:
    (folder / "run.yaml").write_bytes("\ufeffsize: tiny\nladder: mini\n".encode())
    assert validate(folder).returncode == 0
