"""Columns of text as they are written, and files of text."""

import numpy as np
import pytest

from longspan.errors import DataFileNotFoundError, EmptyDataError, FormatError, TableError
from longspan.io import write_table
from longspan.io.texts import read_text_file, read_texts


@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_numbers_and_dates_stay_as_they_are_written(tmp_path, name):
    separator = "," if name.endswith("csv") else "\t"
    lines = (("code", "day", "x"), ("007", "1/2/2024", "1"), ("1.50", "2024-01-02", "2"))
    (tmp_path / name).write_text("".join(separator.join(line) + "\n" for line in lines), "utf-8")
    assert read_texts(tmp_path / name, ["day", "code"]) == {"day": ["1/2/2024", "2024-01-02"], "code": ["007", "1.50"]}


def test_types_of_other_files_become_text(tmp_path):
    write_table(tmp_path / "t.parquet", {"n": np.array([7, 10]), "w": np.array(["a", "b"])})
    assert read_texts(tmp_path / "t.parquet", ["n", "w"]) == {"n": ["7", "10"], "w": ["a", "b"]}


def test_a_query_makes_the_rows(tmp_path):
    (tmp_path / "t.csv").write_text("w,n\na,1\nb,2\nc,3\n", "utf-8")
    query = "SELECT upper(w) AS word FROM source WHERE n > 1 ORDER BY n DESC"
    assert read_texts(tmp_path / "t.csv", ["word"], query=query) == {"word": ["C", "B"]}


def test_what_is_missing_is_named(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("word,n\na,1\n,2\n,3\n", "utf-8")
    with pytest.raises(TableError, match="'word' is missing in 2 rows; the first is row 2"):
        read_texts(path, ["word"])
    with pytest.raises(TableError, match=r"no column 'Word'.*\n.*Did you mean 'word'"):
        read_texts(path, ["Word"])
    with pytest.raises(DataFileNotFoundError, match=r"t\.csv"):
        read_texts(tmp_path / "tt.csv", ["word"])
    path.write_text("word,n\n", "utf-8")
    with pytest.raises(EmptyDataError, match="no rows"):
        read_texts(path, ["word"])


def test_a_file_of_text(tmp_path):
    path = tmp_path / "book.txt"
    path.write_bytes("\ufeffCaf\xe9.\r\nEnd\n".encode())
    assert read_text_file(path) == "Caf\xe9.\nEnd\n"


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b"", EmptyDataError, "is empty"),
        (b" \n\t", EmptyDataError, "is empty"),
        (b"\x89PNG\0\0", FormatError, "zero bytes"),
        (b"caf\xe9 au lait", FormatError, "byte 3 is 0xe9"),
    ],
    ids=["empty", "blank", "binary", "latin1"],
)
def test_what_is_no_text(tmp_path, content, error, words):
    path = tmp_path / "book.txt"
    path.write_bytes(content)
    with pytest.raises(error, match=words):
        read_text_file(path)
