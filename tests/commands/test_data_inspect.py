"""`scaling-lab data inspect`: what it shows of a dataset, and that nothing of the data can act in its page."""

import json
from pathlib import Path

from cli_in_process import CommandLine
from corpora import write_split
from report_page import Page

HOSTILE = "</pre><script>alert(1)</script>"


def write_tunes(folder: Path) -> None:
    """Twelve tunes in two keys, and one whose text would like to be a script."""
    folder.mkdir()
    for number in range(12):
        bars = "|".join("CDEFGABc"[number % 8 :] + "cBAGFEDC"[: number % 8] for _ in range(number + 3))
        (folder / f"{number:02}.abc").write_text(
            f"X:1\nM:{'6/8' if number < 3 else '4/4'}\nL:1/8\nK:{'Em' if number % 2 else 'G'}\n{bars}|\n"
        )


def test_it_counts_lengths_keys_and_metres_and_shows_three_tunes(folder: Path, scaling_lab: CommandLine) -> None:
    write_tunes(folder / "tunes")
    assert scaling_lab("data", "prepare", "--input", "tunes", "--out", "out").code == 0
    said = json.loads(scaling_lab("data", "inspect", "out", "--json").out)
    n_documents = said["splits"]["train"]["documents"]
    assert sum(bin_["documents"] for bin_ in said["lengths"]) == n_documents
    assert sum(said["keys"].values()) == sum(said["metres"].values()) == n_documents
    assert set(said["keys"]) == {"G", "Em"}
    assert list(said["metres"]) == ["4/4", "6/8"]
    assert [tune["tokens"] for tune in said["tunes"]] == [len(tune["text"]) + 2 for tune in said["tunes"]]
    assert len({tune["place"] for tune in said["tunes"]}) == 3
    lows, highs = ([bin_[end] for bin_ in said["lengths"]] for end in ("low", "high"))
    assert lows[1:] == [high + 1 for high in highs[:-1]]
    assert highs[-1] >= said["splits"]["train"]["length_max"]
    text = scaling_lab("data", "inspect", "out").out
    assert said["tunes"][1]["text"] in text
    assert "▇" in text


def test_the_page_says_the_same_and_runs_nothing(folder: Path, scaling_lab: CommandLine) -> None:
    write_split(folder / "music", "train", ["ABC", "DEF", "GAB"])
    write_split(folder / "music", "val", ["ABCD"])
    lines = (folder / "music/train/data.json").read_text().splitlines()
    records = [json.loads(line) | {"midi_path": HOSTILE, "abc": f"K:{HOSTILE}\n{HOSTILE}"} for line in lines]
    (folder / "music/train/data.json").write_text(json.dumps(records))
    assert scaling_lab("data", "inspect", "music", "--out", "pages/data.html").code == 0
    page = Page((folder / "pages/data.html").read_text())
    assert "script" not in {tag for tag, _ in page.elements}
    assert page.text.count(HOSTILE) >= 6
    assert "default-src 'none'" in str(page.elements)


def test_data_without_texts_have_lengths_alone(folder: Path, scaling_lab: CommandLine) -> None:
    for split in ("train", "val"):
        (folder / "music" / split).mkdir(parents=True)
        tokens = [[1, 2, 3]] * 5 if split == "train" else [[4]]
        (folder / "music" / split / "data.json").write_text(json.dumps([{"tokens": ids} for ids in tokens]))
    ended = scaling_lab("data", "inspect", "music")
    assert ended.code == 0
    assert ended.out.rstrip().endswith("the data carry no text, so there are no keys, metres and tunes to show")
    assert scaling_lab("data", "inspect", "nowhere").code == 2
