"""A bundle's folder holds plain files of a bundle's size, or it is not read."""

from __future__ import annotations

import os
import re

import pytest

from models.errors import BundleError
from pipeline.artefacts import read_bundle


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "bundle"
    place.mkdir()
    (place / "manifest.json").write_text("{}")
    return place


def refusal(folder):
    with pytest.raises(BundleError) as caught:
        read_bundle(folder)
    return str(caught.value)


def test_a_link_is_not_followed(folder, tmp_path):
    (tmp_path / "elsewhere").write_text("{}")
    (folder / "scorer.json").symlink_to(tmp_path / "elsewhere")

    assert refusal(folder) == (
        f"{folder}: expected plain files, found a link, a folder or a device: 'scorer.json'."
    )


def test_a_link_to_nowhere_is_refused(folder):
    (folder / "scorer.json").symlink_to("/dev/zero")

    assert "'scorer.json'" in refusal(folder)


def test_a_folder_inside_is_refused(folder):
    (folder / "more").mkdir()

    assert refusal(folder).endswith("a device: 'more'.")


def test_a_pipe_is_not_waited_for(folder):
    os.mkfifo(folder / "booster.ubj")

    assert refusal(folder).endswith("a device: 'booster.ubj'.")


def test_a_name_with_line_breaks_stays_on_one_line(folder):
    (folder / "a\nb").mkdir()

    assert refusal(folder).endswith(r"'a\nb'.")


def test_a_file_of_any_size_is_not_read(folder):
    with (folder / "booster.ubj").open("wb") as handle:
        handle.truncate(2**40)  # a hole: no bytes on the disk

    assert re.search(r"expected a bundle of at most 256 MiB, found 1048576\.$", refusal(folder))
