"""What packing costs: 1 GB of records as an array and as JSONL, packed, and read by three JSON parsers, in turn.

    python benchmarks/packing.py [MEGABYTES] [REPEATS]      # absent: 1000 and 3, some fifteen minutes and 4 GB of disk

packing        `open_dataset` on a folder that was never packed: read, checked, packed, written
orjson, whole  the file's bytes, then `orjson.loads` of all of them, or of each line, everything kept
json, whole    the same by the standard library
ijson          record by record, nothing kept; left out where it isn't installed

Each in a process of its own, whose peak of memory is told with its imports. Packing alone is measured too on what is
harder: gzip, a token for each character, and documents of eight tokens. The figures are in docs/benchmarks.md.
"""

import gzip
import json
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import orjson

from scaling_lab.data.dataset import open_dataset

CHARACTERS = "ABCDEFGabcdefg|:2 ^'/\n348><zx(),[]"
# Ids of a vocabulary of 5,000 as often as words of a language, each for three characters of text; specials come first.
N_IDS, FIRST_ID = 5_000, 4
WEIGHTS = [1 / (rank + 10) for rank in range(N_IDS)]
MEDIAN_TOKENS = 545


def of_tokens(source: random.Random) -> Iterator[tuple[str, list[int]]]:
    """Documents of some hundred tokens of three characters."""
    pieces = ["".join(source.choices(CHARACTERS, k=3)) for _ in range(N_IDS)]
    while True:
        ids = source.choices(range(N_IDS), WEIGHTS, k=_length(source))
        yield "".join(map(pieces.__getitem__, ids)), [FIRST_ID + id_ for id_ in ids]


def of_characters(source: random.Random) -> Iterator[tuple[str, list[int]]]:
    """Documents of a token for each character."""
    id_of = {character: FIRST_ID + place for place, character in enumerate(CHARACTERS)}
    while True:
        text = "".join(source.choices(CHARACTERS, k=_length(source)))
        yield text, [id_of[character] for character in text]


def of_eight(source: random.Random) -> Iterator[tuple[str, list[int]]]:
    """Documents of eight tokens."""
    for text, ids in of_tokens(source):
        for begin in range(0, len(ids) - 8, 8):
            yield text[3 * begin : 3 * begin + 24], ids[begin : begin + 8]


def _length(source: random.Random) -> int:
    return max(40, int(MEDIAN_TOKENS * source.lognormvariate(0, 0.6)))


def records(documents: Iterator[tuple[str, list[int]]], n_bytes: int) -> Iterator[bytes]:
    """Records as `json.dumps` writes them, with a blank after each comma, until there are `n_bytes`."""
    for number, (text, ids) in enumerate(documents):
        record = json.dumps({"midi_path": f"collection/{number:07d}.mid", "abc": f"L:1/8\nK:G\n{text}", "tokens": ids})
        n_bytes -= len(record) + 2
        if n_bytes < 0:
            return
        yield record.encode()


def write(folder: Path, parts: Iterator[bytes], *, opening: bytes, joint: bytes, closing: bytes) -> Path:
    """A training split of the records; returns its file."""
    path = folder / "train" / "data.json"
    path.parent.mkdir(parents=True)
    with path.open("wb") as stream:
        stream.write(opening + next(parts))
        while some := list(islice(parts, 1000)):
            stream.write(b"".join(joint + record for record in some))
        stream.write(closing)
    return path


def write_all(folder: Path, n_bytes: int) -> dict[str, Path]:
    """All files, keyed by what they are."""
    lines = {"opening": b"", "joint": b"\n", "closing": b"\n"}
    array = {"opening": b"[", "joint": b", ", "closing": b"]"}
    files = {
        "array": write(folder / "array", records(of_tokens(random.Random(0)), n_bytes), **array),
        "JSONL": write(folder / "jsonl", records(of_tokens(random.Random(0)), n_bytes), **lines),
        "characters": write(folder / "characters", records(of_characters(random.Random(0)), n_bytes), **array),
        "short": write(folder / "short", records(of_eight(random.Random(0)), n_bytes), **lines),
    }
    for form in ("array", "JSONL"):
        packed = folder / f"{form}-gz" / "train" / "data.json.gz"
        packed.parent.mkdir(parents=True)
        with files[form].open("rb") as source, gzip.open(packed, "wb", compresslevel=6) as target:
            shutil.copyfileobj(source, target, 1 << 20)
        files[f"{form}, gzip"] = packed
    return files


def pack(path: Path) -> None:
    """What a user meets at the first opening; the packing is removed again."""
    directory = path.parents[1]
    assert open_dataset(directory).train.n_documents
    shutil.rmtree(directory / "packed")


def read_whole(loads: Callable[[bytes], object]) -> Callable[[Path], None]:
    """Everything at once, as a script of ten lines would."""

    def read(path: Path) -> None:
        content = path.read_bytes()
        kept = loads(content) if content.startswith(b"[") else [loads(line) for line in content.splitlines()]
        assert kept

    return read


def read_by_ijson(path: Path) -> None:
    """Record by record."""
    import ijson  # type: ignore[import-not-found]

    with path.open("rb") as stream:
        is_array = stream.read(1) == b"["
        stream.seek(0)
        for _ in ijson.items(stream, "item" if is_array else "", multiple_values=not is_array):
            pass


WAYS: dict[str, Callable[[Path], None]] = {
    "packing": pack,
    "orjson, whole": read_whole(orjson.loads),
    "json, whole": read_whole(json.loads),
    "ijson": read_by_ijson,
}


def measured(way: str, path: Path) -> tuple[float, float, float]:
    """Seconds and processor seconds of one way in a process of its own, and its peak of memory in MiB."""
    command = [sys.executable, __file__, "--one", way, str(path)]
    took, worked, peak = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.split()
    return float(took), float(worked), float(peak) / 1024


def one(way: str, path: Path) -> None:
    """The process that does it."""
    took, worked = time.perf_counter(), time.process_time()
    WAYS[way](path)
    took, worked = time.perf_counter() - took, time.process_time() - worked
    # Not ru_maxrss, which a process inherits from the one that started it.
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak
    print(took, worked, peak[1])


def main() -> None:
    """Write the files, measure every way in turn, print a table."""
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2], Path(sys.argv[3]))
        return
    megabytes, repeats = (int(value) for value in (*sys.argv[1:], *("1000", "3")[len(sys.argv) - 1 :]))
    ways = [way for way in WAYS if way != "ijson" or find_spec("ijson")]
    with tempfile.TemporaryDirectory() as folder:
        files = write_all(Path(folder), megabytes * 10**6)
        found: dict[tuple[str, str], list[tuple[float, float, float]]] = defaultdict(list)
        for _ in range(repeats):
            for form, path in files.items():
                for way in ways if form in ("array", "JSONL") else ways[:1]:
                    found[form, way].append(measured(way, path))
    print("| file | read by | seconds | MB/s | MB/s of a core | peak, MiB |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for (form, way), runs in found.items():
        took, worked = ([run[place] for run in runs] for place in (0, 1))
        second, core = statistics.median(took), statistics.median(worked)
        print(
            f"| {form} | {way} | {second:.1f} ({min(took):.1f} to {max(took):.1f}) | {megabytes / second:.0f} "
            f"| {megabytes / core:.0f} | {max(run[2] for run in runs):,.0f} |"
        )


if __name__ == "__main__":
    main()
