import importlib.util
import subprocess
import sys

import pytest

from scaling_lab.data.conversion.items import decode_text
from scaling_lab.data.sources.music21 import CORE, music21
from scaling_lab.errors import DataError


def test_old_files_in_latin_1_are_read_too():
    assert decode_text("Séan".encode()) == "Séan"
    assert decode_text("Séan".encode("latin-1")) == "Séan"


def test_byte_order_mark_and_foreign_line_ends_are_gone():
    assert decode_text(b"\xef\xbb\xbfX:1\r\nK:G\rabc\n") == "X:1\nK:G\nabc\n"


def test_without_music21_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install 'scaling-lab\[corpus\]'"):
        music21(CORE)


def test_music21_without_its_corpus_is_told_from_music21_missing(monkeypatch: pytest.MonkeyPatch, tmp_path):
    spec = importlib.util.spec_from_file_location("music21", tmp_path / "__init__.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(DataError, match="installed without its corpus"):
        music21(CORE)


def test_preparing_imports_neither_music21_nor_torch():
    code = (
        "import sys; from scaling_lab.data.preparation import prepare; from scaling_lab.data.sources import music21; "
        "music21.music21(music21.CORE); "
        "print({'music21', 'torch', 'wandb', 'scipy', 'plotly', 'tokenizers', 'symusic'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "set()\n"


def test_the_package_alone_is_cheap_to_import():
    code = "import sys, scaling_lab.data, scaling_lab.music; print('numpy' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "False\n"
