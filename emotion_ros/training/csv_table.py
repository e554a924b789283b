"""CSV files that users write, often with a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from emotion_ros.errors import DatasetError

ENCODING = "utf-8-sig"
"""UTF-8, with or without the byte order mark that spreadsheets write."""


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of a CSV file by column; values that a row lacks are empty.

    Args:
        path: the file.
        columns: those that it needs.

    Raises:
        DatasetError: the file cannot be read, is not UTF-8, or lacks a column.
    """
    try:
        with path.open(newline="", encoding=ENCODING) as file:
            reader = csv.DictReader(file, restval="")
            found = reader.fieldnames or ()
            rows = [{name: value for name, value in row.items() if name is not None} for row in reader]
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: expected text in UTF-8, got other bytes; save it as CSV in UTF-8") from error
    except (OSError, csv.Error) as error:
        raise DatasetError(f"{path}: expected a CSV file, cannot read it: {error}") from error
    for name in columns:
        if name not in found:
            raise DatasetError(f"{path}: expected a column {name!r}, separated by commas, found {', '.join(found)}")
    return rows
