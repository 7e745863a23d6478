import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import orjson
import pytest

Records = Iterable[dict[str, object]]


class GuideFolder:
    """A dataset in the guide's layout, written by hand so that nothing of the package helps to make it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def split(self, name: str, records: Records, *, file: str = "data.json") -> Path:
        """Write a split as JSONL."""
        return self.raw(name, b"".join(orjson.dumps(record) + b"\n" for record in records), file=file)

    def raw(self, name: str, content: bytes, *, file: str = "data.json") -> Path:
        """Write a split's file as it is given."""
        path = self.root / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def meta(self, **content: object) -> None:
        """Write meta.json."""
        (self.root / "meta.json").write_bytes(orjson.dumps(content))


@pytest.fixture
def guide(tmp_path: Path) -> GuideFolder:
    """An empty dataset folder."""
    root = tmp_path / "dataset"
    root.mkdir()
    return GuideFolder(root)


@pytest.fixture
def small(guide: GuideFolder) -> GuideFolder:
    """Six documents in three splits, of ids 4 to 9, with texts, BOS 1, EOS 2 and a vocabulary of 10."""
    guide.split("train", [{"midi_path": f"{i}.mid", "abc": "abc", "tokens": [4 + i, 5, 6]} for i in range(4)])
    guide.split("val", [{"midi_path": "v.mid", "abc": "abcd", "tokens": [8, 9]}])
    guide.split("test", [{"midi_path": "t.mid", "abc": "ab", "tokens": [9, 9, 9]}])
    guide.meta(vocab_size=10, pad_id=0, bos_id=1, eos_id=2)
    return guide


# VmHWM, not ru_maxrss, which a child inherits from its parent.
MEASURE_PEAK = """
import re, sys
from pathlib import Path
{imports}

def peak_kilobytes():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

folder = Path(sys.argv[1])
before = peak_kilobytes()
{work}
print(peak_kilobytes() - before)
"""


@pytest.fixture
def peak_megabytes() -> Callable[[Path, str, str], float]:
    """Memory that some work on a `folder` takes at its peak beyond what its imports take, in a process of its own."""
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak of memory is read from Linux's /proc")

    def measure(folder: Path, imports: str, work: str) -> float:
        command = [sys.executable, "-c", MEASURE_PEAK.format(imports=imports, work=work), str(folder)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1024

    return measure
