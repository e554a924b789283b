"""CSV files as users' spreadsheets and editors write them."""

import cv2
import numpy as np
import pytest

from emotion_ros.errors import DatasetError
from emotion_ros.training.csv_table import read_table
from emotion_ros.training.data.dataset_split import split
from emotion_ros.training.data.votes import read_votes

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def test_byte_order_mark_and_line_ends_of_windows_are_no_part_of_the_values(tmp_path):
    file = tmp_path / "votes.csv"
    file.write_bytes(BYTE_ORDER_MARK + b"split,file\r\nval,a/1.png\r\n")
    assert read_table(file, ("split", "file")) == [{"split": "val", "file": "a/1.png"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"split;file\nval;a/1.png\n", "expected a column 'split', separated by commas, found split;file"),
        ("split,file\nval,glücklich/1.png\n".encode("latin-1"), "expected text in UTF-8, got other bytes"),
        (b"", "expected a column 'split'"),
    ],
)
def test_file_that_is_no_such_table_is_an_error_that_names_it(content, message, tmp_path):
    file = tmp_path / "votes.csv"
    file.write_bytes(content)
    with pytest.raises(DatasetError, match=f"votes.csv: {message}"):
        read_table(file, ("split", "file"))


def test_missing_file(tmp_path):
    with pytest.raises(DatasetError, match="cannot read it"):
        read_table(tmp_path / "none.csv", ())


def test_votes_that_are_no_numbers(tmp_path):
    (tmp_path / "labels.csv").write_text("split,file,happiness\nval,happy/1.png,many\n")
    with pytest.raises(DatasetError, match="expected the number of votes for each category"):
        read_votes(tmp_path, "val", ["happy/1.png"], ["happy"])


def test_captures_that_a_spreadsheet_saved_are_an_error(tmp_path):
    (tmp_path / "mine" / "happy").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "mine" / "happy" / "1.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "mine" / "captures.csv").write_text("file;label;time;burst;source\n")
    with pytest.raises(DatasetError, match="expected a column 'label', separated by commas"):
        split(tmp_path / "mine", tmp_path / "out", "80/10/10", 1)
