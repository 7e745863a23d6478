from pathlib import Path

from scaling_lab.config.schema import DataConfig
from scaling_lab.data import configured
from scaling_lab.data.configured import CORE_DIR, GUIDE_DIR, default_data_dir, open_configured


def test_the_guides_folder_is_the_default_where_it_exists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert default_data_dir() == CORE_DIR
    (tmp_path / GUIDE_DIR).mkdir(parents=True)
    assert default_data_dir() == GUIDE_DIR


def test_the_default_corpus_is_prepared_at_the_first_opening(tmp_path, monkeypatch, small):
    def prepare(folder: Path) -> None:
        folder.parent.mkdir()
        small.root.rename(folder)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(configured, "ensure_core", prepare)
    assert open_configured(DataConfig(sequence_length=512)).dir == CORE_DIR
