"""The way of the data is the architecture: stages import downward only, and heavy packages stay where they are used."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "scaling_lab"

# From the bottom up; stages on one line stand side by side and don't import each other.
LEVELS = (
    ("errors", "version"),
    ("files", "display", "stopping"),
    ("localserver",),
    ("config",),
    ("music",),
    ("data", "model"),
    ("tracking",),
    ("history", "laws"),
    ("training", "studies"),
    ("planning", "sampling"),
    ("report",),
    ("commands",),
)
LEVEL = {stage: level for level, stages in enumerate(LEVELS) for stage in stages}

# Where a package that is slow to import may be imported at all.
HOMES = {
    "torch": ("data/batches.py", "model/", "training/", "planning/rehearsal.py", "sampling/"),
    "wandb": ("tracking/", "studies/", "history/", "planning/rehearsal.py"),
    "wandb_workspaces": ("studies/",),
    "plotly": ("report/",),
    "kaleido": ("report/images.py",),
    "scipy": ("laws/",),
    "music21": (),
    "mido": ("music/midi.py",),
    "starlette": ("localserver/",),
    "uvicorn": ("localserver/",),
    "graphql": ("localserver/",),
}


def imports() -> Iterator[tuple[Path, str, bool]]:
    """(file, imported module, whether only for type checkers) of every import in the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for_types = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name, id(node) in for_types) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield path, node.module, id(node) in for_types


def stage_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_folder_has_its_place() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders <= LEVEL.keys()


def test_imports_run_downward_only() -> None:
    upward = []
    for path, module, _ in imports():
        stage, parts = stage_of(path), module.split(".")
        if parts[0] != "scaling_lab" or stage in ("__init__", "__main__") or len(parts) < 2:
            continue
        if parts[1] != stage and LEVEL[parts[1]] >= LEVEL[stage]:
            upward.append(f"{path.relative_to(PACKAGE)} imports {module}")
    assert upward == []


def test_the_local_server_could_be_lifted_out() -> None:
    known = {"scaling_lab.errors"}
    strays = [
        f"{path.relative_to(PACKAGE)} imports {module}"
        for path, module, _ in imports()
        if stage_of(path) == "localserver"
        and module.split(".")[0] == "scaling_lab"
        and not module.startswith("scaling_lab.localserver")
        and module not in known
    ]
    assert strays == []


@pytest.mark.parametrize("package", HOMES)
def test_heavy_packages_stay_at_home(package: str) -> None:
    strays = [
        f"{path.relative_to(PACKAGE)} imports {module}"
        for path, module, for_types in imports()
        if module.split(".")[0] == package
        and not for_types
        and not str(path.relative_to(PACKAGE)).startswith(HOMES[package])
    ]
    assert strays == []
