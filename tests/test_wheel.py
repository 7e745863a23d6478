"""What is installed from the wheel: all that the package reads, and nothing beside the package."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_wheel_holds_presets_and_template_and_no_module_of_another_name(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for ladder in ("full", "mini"):
        for preset in ("tiny", "small", "medium", "large", "xl", "recipe"):
            assert f"scaling_lab/config/presets/{ladder}/{preset}.yaml" in names
    assert "scaling_lab/report/templates/study.html.j2" in names
    # A library of others, and the licence that goes with it.
    assert {"scaling_lab/report/vendor/abcjs-6.7.2.min.js", "scaling_lab/report/vendor/abcjs-LICENSE.md"} <= set(names)
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"scaling_lab"}


@pytest.mark.slow
def test_the_root_script_hands_on_to_the_package() -> None:
    command = [sys.executable, str(ROOT / "cli.py"), "--version"]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert ended.stdout.startswith("scaling-lab ")
