"""export/label_table.py: labels by people, or the line that cannot be one."""

from pathlib import Path

import pytest

from export.errors import LabelError
from export.label_table import read_csv


def test_csv_labels(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("\ufeffsmile, sample,hair\nyes,0,red\n\nno,4,\n,,\n,2,blue\nyes,0,\n")
    found = read_csv(path, 5)
    assert found["smile"].classes == ("no", "yes")
    assert found["smile"].labels().tolist() == [1, -1, -1, -1, 0]
    assert found["hair"].labels().tolist() == [1, -1, 0, -1, -1]
    assert found["hair"].labelled_by == "people, labels.csv"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("smile\nyes\n", "expected columns"),
        ("sample\n1\n", "expected columns"),
        ("", "expected columns"),
        ("sample,smile\n9,yes\n", "line 2: sample '9' is not a whole number within 0..4"),
        ("sample,smile\nx,yes\n", "line 2: sample 'x'"),
        ("sample,smile\n0.0,yes\n", "line 2: sample '0.0'"),
        ("sample,smile\n\u00b2,yes\n", "line 2: sample"),
        ("sample,smile\n1,\n", "smile has no label"),
        ("smile,sample\nyes,1\n\nyes\n", "line 4: expected 2 cells, got 1"),
        ("sample,smile\n1,yes,no\n", "line 2: expected 2 cells, got 3"),
        ("sample,smile\n1,yes\n1,no\n", "line 3: smile of sample 1 is 'no', but 'yes' further up"),
        ("sample,smile,smile\n1,yes,no\n", "line 1: two columns are named 'smile'"),
        ("sample,smile,\n1,yes,\n", "line 1: expected as the name of column 3 up to 64 of a-z"),
        ("sample,Smile\n1,yes\n", "line 1: expected as the name of column 2 .* got 'Smile'"),
        ("sample,tone\n1,Dark Tone\n", "line 2: expected as a class of tone .* got 'Dark Tone'"),
        ('sample,smile\n1,"yes\n', "not a CSV file"),
    ],
)
def test_bad_csv_files(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(LabelError, match=message):
        read_csv(path, 5)
