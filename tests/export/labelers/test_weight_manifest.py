import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.errors import ExportError
from export.labelers.weight_manifest import WeightManifestError, read_weight_manifest


def write_manifest(folder: Path, content: Any, **binaries: bytes) -> Path:
    for name, binary in binaries.items():
        (folder / f"{name}.bin").write_bytes(binary)
    path = folder / "manifest.json"
    path.write_text(json.dumps(content))
    return path


def plain(name: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "shape": list(shape), "dtype": "float32"}


def quantised(name: str, dtype: str, scale: float, minimum: float, *shape: int) -> dict[str, Any]:
    return {
        **plain(name, *shape),
        "quantization": {"dtype": dtype, "scale": scale, "min": minimum},
    }


def group(*entries: dict[str, Any], paths: tuple[str, ...] = ("w.bin",)) -> list[dict[str, Any]]:
    return [{"paths": list(paths), "weights": list(entries)}]


def test_reads_plain_and_quantised_tensors_in_order(tmp_path: Path) -> None:
    binary = bytes([0, 1, 10, 255])  # uint8
    binary += np.array([1.5, -2.0], "<f4").tobytes()
    binary += np.array([0, 65535, 256], "<u2").tobytes()
    entries = (
        quantised("conv/filters", "uint8", 0.5, -1.0, 2, 2),
        plain("conv/bias", 2),
        quantised("fc/weights", "uint16", 0.001, 3.0, 3, 1),
    )
    tensors = read_weight_manifest(write_manifest(tmp_path, group(*entries), w=binary))

    assert list(tensors) == ["conv/filters", "conv/bias", "fc/weights"]
    assert all(values.dtype == np.float32 for values in tensors.values())
    assert tensors["conv/filters"].tolist() == [[-1.0, -0.5], [4.0, 126.5]]
    assert tensors["conv/bias"].tolist() == [1.5, -2.0]
    expected = np.array([[3.0], [68.535], [3.256]], np.float32)
    np.testing.assert_array_equal(tensors["fc/weights"], expected)


def test_reads_halves_and_whole_numbers(tmp_path: Path) -> None:
    halved = {"dtype": "float16", "original_dtype": "float32"}
    entries = ({**plain("a", 2), "quantization": halved}, {**plain("b", 2), "dtype": "int32"})
    binary = np.array([0.5, -3.0], "<f2").tobytes() + np.array([-1, 70000], "<i4").tobytes()
    tensors = read_weight_manifest(write_manifest(tmp_path, group(*entries), w=binary))
    assert [tensors[name].dtype.name for name in "ab"] == ["float32", "int32"]
    assert tensors["a"].tolist() == [0.5, -3.0]
    assert tensors["b"].tolist() == [-1, 70000]


def test_tensors_can_be_written_to(tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, group(plain("a", 1)), w=bytes(4))
    tensors = read_weight_manifest(manifest)
    tensors["a"][0] = 1.0
    assert read_weight_manifest(manifest)["a"][0] == 0.0


def test_a_tensor_may_span_the_binaries_of_its_group(tmp_path: Path) -> None:
    content = group(plain("a", 2), paths=("w.bin", "v.bin"))
    binary = np.array([7.0, 8.0], "<f4").tobytes()
    manifest = write_manifest(tmp_path, content, w=binary[:3], v=binary[3:])
    assert read_weight_manifest(manifest)["a"].tolist() == [7.0, 8.0]


@pytest.mark.parametrize("length", [7, 9], ids=["short", "long"])
def test_refuses_a_binary_of_another_length(tmp_path: Path, length: int) -> None:
    manifest = write_manifest(tmp_path, group(plain("a", 2)), w=bytes(length))
    with pytest.raises(WeightManifestError, match=rf"describes 8 bytes, but w\.bin holds {length}"):
        read_weight_manifest(manifest)


def test_refuses_a_name_that_occurs_in_two_groups(tmp_path: Path) -> None:
    content = group(plain("a", 1), plain("b", 1)) + group(plain("a", 1), paths=("v.bin",))
    with pytest.raises(WeightManifestError, match=r"occur twice: \['a'\]"):
        read_weight_manifest(write_manifest(tmp_path, content, w=bytes(8), v=bytes(4)))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({**plain("a", 1), "dtype": "int64"}, r"0\.weights\.0\.dtype"),
        (quantised("a", "int8", 1.0, 0.0, 1), r"quantization: .*'uint8'"),
        (quantised("a", "float16", 1.0, 0.0, 1), r"quantization\.float16\.scale"),
        (quantised("a", "uint8", float("nan"), 0.0, 1), r"quantization\.uint8\.scale"),
        (quantised("a", "uint8", 1.0, float("inf"), 1), r"quantization\.uint8\.min"),
        (plain("a", 0), "shape"),
        (plain("a", -1), "shape"),
        (plain("", 1), "name"),
        ({"name": "a", "dtype": "float32"}, "shape"),
        ({**plain("a", 1), "order": "F"}, "order"),
    ],
)
def test_names_the_entry_that_it_cannot_read(
    tmp_path: Path, entry: dict[str, Any], message: str
) -> None:
    with pytest.raises(WeightManifestError, match=message):
        read_weight_manifest(write_manifest(tmp_path, group(entry), w=bytes(4)))


@pytest.mark.parametrize(
    "path", ["../w.bin", "/w.bin", "..", ".", "", "sub/w.bin", "..\\w.bin", "w.bin\0", "w.bin\n"]
)
def test_reads_no_file_outside_the_folder_of_the_manifest(tmp_path: Path, path: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "w.bin").write_bytes(bytes(4))
    manifest = write_manifest(inside, group(plain("a", 1), paths=(path,)))
    with pytest.raises(WeightManifestError, match="next to the manifest"):
        read_weight_manifest(manifest)


def test_says_which_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(WeightManifestError, match=r"manifest\.json: cannot be read"):
        read_weight_manifest(tmp_path / "manifest.json")
    with pytest.raises(WeightManifestError, match=r"w\.bin: cannot be read"):
        read_weight_manifest(write_manifest(tmp_path, group(plain("a", 1))))


def test_refuses_what_is_no_manifest(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(b"\x80\x04not json")
    with pytest.raises(WeightManifestError, match=r"manifest\.json"):
        read_weight_manifest(path)


def test_its_error_is_a_value_error_and_an_export_error() -> None:
    assert issubclass(WeightManifestError, ValueError)
    assert issubclass(WeightManifestError, ExportError)
