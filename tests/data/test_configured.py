from pathlib import Path

import pytest

from scaling_lab.config.schema import DataConfig
from scaling_lab.data import configured
from scaling_lab.data.configured import CORE_DIR, GUIDE_DIR, default_data_dir, open_configured
from scaling_lab.errors import DataError


def test_the_guides_folder_is_the_default_where_it_exists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert default_data_dir() == CORE_DIR
    (tmp_path / GUIDE_DIR).mkdir(parents=True)
    assert default_data_dir() == GUIDE_DIR


def test_the_guides_folder_on_a_disk_that_is_not_mounted_is_not_taken_for_absent(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    GUIDE_DIR.parent.mkdir(parents=True)
    GUIDE_DIR.symlink_to("/not-mounted/tokenized")
    with pytest.raises(DataError, match=f"{GUIDE_DIR}: is a link that leads nowhere"):
        default_data_dir()
    assert not CORE_DIR.exists()


def test_the_default_corpus_is_prepared_at_the_first_opening(tmp_path, monkeypatch, small):
    def prepare(folder: Path) -> None:
        folder.parent.mkdir()
        small.root.rename(folder)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(configured, "ensure_core", prepare)
    assert open_configured(DataConfig(sequence_length=512)).dir == CORE_DIR
