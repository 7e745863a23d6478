"""`scaling-lab data validate DIR`: whether a dataset can serve, found out before a run is started on it."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling_lab.commands.tables import number, table

if TYPE_CHECKING:
    from scaling_lab.data.dataset import Dataset

_NUMBERS = ("documents", "tokens", "unique_tokens", "characters", "length_p50", "length_p95", "length_max")


def validate(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that holds train/data.json.")],
    vocab_size: Annotated[int | None, typer.Option(min=1, metavar="N", help="As data.vocab_size of a run.")] = None,
    bos_id: Annotated[int | None, typer.Option(min=0, metavar="ID", help="As data.bos_id of a run.")] = None,
    eos_id: Annotated[int | None, typer.Option(min=0, metavar="ID", help="As data.eos_id of a run.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as pure JSON.")] = False,
) -> None:
    """Read every split of a dataset as training would, and say what is in it; nothing is written into the folder.

    Where it can't serve, the reason is told with file, record and byte, and the exit code is 2.
    """
    import tempfile

    from scaling_lab.data.dataset import open_dataset

    with tempfile.TemporaryDirectory(prefix="scaling-lab-validate-") as scratch:
        dataset = open_dataset(directory, vocab_size=vocab_size, bos_id=bos_id, eos_id=eos_id, scratch=Path(scratch))
        content = _content(dataset)
    for warning in dataset.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    typer.echo(json.dumps(content, indent=2) if as_json else _as_text(content))


def _content(dataset: "Dataset") -> dict[str, Any]:
    """What was found, as `--json` prints it."""
    from dataclasses import asdict

    from scaling_lab.data.packing.guide_format import find_splits

    files = find_splits(dataset.dir)
    found = {"train": dataset.train, "val": dataset.val, "test": dataset.test}
    splits = {}
    for name, numbers in dataset.summary().items():
        split = found[name]
        assert split is not None
        splits[name] = {
            # A val split that was drawn from train has no file of its own.
            "file": str(files[name]) if name in files else None,
            **numbers,
            "left_out": dict(split.skipped),
            "first_left_out": [asdict(record) for record in split.first_skipped],
        }
    return {
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "vocab_size": dataset.vocab_size,
        "bos_id": dataset.bos_id,
        "eos_id": dataset.eos_id,
        "splits": splits,
        "warnings": list(dataset.warnings),
    }


def _as_text(content: dict[str, Any]) -> str:
    """A column for each split, the records that were left out, and the verdict."""
    splits = content["splits"]
    rows = [["", *splits]]
    rows += [[name.replace("_", " "), *(number(split[name]) for split in splits.values())] for name in _NUMBERS]
    reasons = dict.fromkeys(reason for split in splits.values() for reason in split["left_out"])
    rows.append(["left out", *(number(sum(split["left_out"].values())) for split in splits.values())])
    rows += [
        [f"  {reason}", *(number(split["left_out"].get(reason, 0)) for split in splits.values())] for reason in reasons
    ]
    lines = table(rows)
    for split in splits.values():
        lines += [
            f"left out: {split['file']}: record {record['number']:,} at byte {record['byte']:,}: {record['reason']}"
            for record in split["first_left_out"]
        ]
    lines.append(f"vocabulary {content['vocab_size']:,}, BOS {content['bos_id']:,}, EOS {content['eos_id']:,}")
    lines.append(f"{content['name']} ({content['fingerprint']}) can serve")
    return "\n".join(lines)
