"""model_store/readers/torch_files.py: both containers as torch.load reads them, none forged."""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from model_store import CheckpointError, read_checkpoint
from model_store.readers.network_parts import load_tensors, raw_state
from model_store.readers.raw_values import RawTensor
from model_store.readers.torch_files import is_torch, load_storage, read_torch

DTYPES = [
    torch.float16,
    torch.float32,
    torch.float64,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
]
ROOT = "archive"


def saved(value: object, new_container: bool = True, protocol: int = 2) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, pickle_protocol=protocol, _use_new_zipfile_serialization=new_container)
    return file.getvalue()


def read(content: bytes) -> Any:
    """What our reader gives, with real tensors."""
    return settled(read_torch(memoryview(content)))


def settled(value: Any) -> Any:
    if isinstance(value, RawTensor):
        return value.tensor()
    if isinstance(value, dict):
        return {key: settled(one) for key, one in value.items()}
    return [settled(one) for one in value] if isinstance(value, list) else value


def tensors() -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(0)
    base = torch.randn(6, 8, generator=draw)
    found = {str(dtype): (torch.rand(3, 4, generator=draw) * 9).to(dtype) for dtype in DTYPES}
    return found | {
        "shared": base,
        "view": base[2:5, 1:7],
        "row": base[3],
        "column": base[:, 2],
        "every second": base[::2, ::3],
        "transposed": base.T,
        "permuted": torch.randn(2, 3, 4, generator=draw).permute(2, 0, 1),
        "channels last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "number": torch.tensor(3.5),
        "empty": torch.empty(0),
        "empty of two axes": torch.empty(0, 7),
        "parameter": torch.nn.Parameter(base.clone()).detach(),
    }


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("new_container", [True, False])
def test_tensors_are_those_of_torch(new_container: bool, protocol: int) -> None:
    value = OrderedDict(tensors())
    content = saved({"state": value, "list": [1, "a", None], "step": 7}, new_container, protocol)
    assert is_torch(memoryview(content))
    ours = read(content)
    if protocol == 2:  # the only one that torch's weights-only loader reads without a warning
        value = torch.load(io.BytesIO(content), weights_only=True)["state"]
    assert (ours["list"], ours["step"]) == ([1, "a", None], 7)
    assert ours["state"].keys() == value.keys()
    for name, tensor in value.items():
        found = ours["state"][name]
        assert (found.dtype, found.shape) == (tensor.dtype, tensor.shape), name
        assert torch.equal(found, tensor), name
        assert found.is_contiguous()


def test_parameters_and_module_states_are_read() -> None:
    layer = torch.nn.BatchNorm2d(3)
    for content in (saved(layer.state_dict()), saved(layer.state_dict(), False)):
        assert {k: v.tolist() for k, v in read(content).items()} == {
            k: v.tolist() for k, v in layer.state_dict().items()
        }
    found = read(saved({"p": torch.nn.Parameter(torch.ones(2))}))
    assert torch.equal(found["p"], torch.ones(2))


def test_what_is_read_is_a_copy_of_its_own() -> None:
    found = read(saved({"a": (base := torch.zeros(4)), "b": base}))
    found["a"] += 1
    assert found["b"].tolist() == [0, 0, 0, 0]


# --- forged zips


def entries(value: object) -> dict[str, bytes]:
    """The members of a saved zip, by their names below its folder."""
    with zipfile.ZipFile(io.BytesIO(saved(value))) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def packed(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(f"{ROOT}/{name}", content)
    return target.getvalue()


def twice() -> bytes:
    content = packed({"data.pkl": entries(torch.ones(4))["data.pkl"], "data/0": b"0" * 16})
    target = io.BytesIO(content)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(target, "a") as archive:
        archive.writestr(f"{ROOT}/data/0", b"1" * 16)
    return target.getvalue()


FORGED: dict[str, tuple[Callable[[], bytes], str]] = {
    "compressed": (
        lambda: packed(entries(torch.ones(4000)), zipfile.ZIP_DEFLATED),
        "compressed .* torch never compresses",
    ),
    "twice": (twice, "data/0: twice in the zip"),
    "short storage": (
        lambda: packed({**entries(torch.ones(4)), "data/0": b"0" * 12}),
        "storage 0: 16 bytes claimed, 12 found",
    ),
    "long storage": (
        lambda: packed({**entries(torch.ones(4)), "data/0": b"0" * 20}),
        "storage 0: 16 bytes claimed, 20 found",
    ),
    "no storage": (
        lambda: packed({"data.pkl": entries(torch.ones(4))["data.pkl"]}),
        "storage 0: 16 bytes claimed, None found",
    ),
    "big-endian": (
        lambda: packed({**entries(torch.ones(4)), "byteorder": b"big"}),
        "big-endian machine",
    ),
    "no pickle": (lambda: packed({"version": b"3"}), "a zip with 0 data.pkl"),
    "two pickles": (
        lambda: packed({"data.pkl": b"N.", "code/data.pkl": b"N."}),
        "a zip with 2 data.pkl",
    ),
    "truncated": (lambda: saved(torch.ones(400))[:-100], "not a sound zip file"),
    "path as key": (
        lambda: packed(entries(torch.ones(4))).replace(
            b"X\x01\x00\x00\x000", b"X\x01\x00\x00\x00/"
        ),
        "CRC|claimed",
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_zips_are_refused(name: str) -> None:
    forge, message = FORGED[name]
    with pytest.raises(CheckpointError, match=message):
        read(forge())


def test_torchscript_archives_are_refused(tmp_path: Path) -> None:
    members = {
        "data.pkl": b"\x80\x02c__torch__.G\nGenerator\n)\x81}b.",
        "constants.pkl": b"\x80\x02).",
    }
    (tmp_path / "scripted.pt").write_bytes(packed({**members, "code/__torch__.py": b"x"}))
    with pytest.raises(CheckpointError, match=r"asks for __torch__\.G\.Generator"):
        read_checkpoint(tmp_path / "scripted.pt")


# --- forged tensors


def tensor_pickle(
    storage: str = "FloatStorage",
    numel: object = 4,
    offset: object = 0,
    shape: object = (4,),
    stride: object = (1,),
    extra: tuple[object, ...] = (),
) -> bytes:
    """data.pkl of one tensor with a claim that torch would not write."""

    def raw(value: object) -> bytes:
        return pickle.dumps(value, 2)[2:-1]

    claim = b"(" + raw("storage") + f"ctorch\n{storage}\n".encode()
    claim += raw("0") + raw("cpu") + raw(numel) + b"".join(map(raw, extra)) + b"tQ"
    call = b"ctorch._utils\n_rebuild_tensor_v2\n(" + claim + raw(offset) + raw(shape) + raw(stride)
    return b"\x80\x02" + call + raw(False) + b"}tR."


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ({"shape": (5,)}, r"shape \[5\] does not lie within 4 stored numbers"),
        ({"offset": 1}, r"shape \[4\] does not lie within 4"),
        ({"offset": -1}, "strides do not fit"),
        ({"stride": (2,)}, r"does not lie within"),
        ({"stride": (-1,), "offset": 3}, "strides do not fit"),
        ({"stride": ()}, "strides do not fit"),
        ({"shape": (2, 2), "stride": (0,)}, "strides do not fit"),
        ({"shape": (1 << 20, 1 << 20), "stride": (0, 0)}, "does not lie within"),
        ({"shape": (8,), "stride": (0,)}, "does not lie within"),
        ({"shape": (1 << 40,), "stride": (0,)}, "a shape that is not a few"),
        ({"shape": (-1,)}, "a shape that is not a few"),
        ({"shape": (1,) * 9, "stride": (1,) * 9}, "a shape that is not a few"),
        ({"shape": (4.0,)}, "a tensor without shape and stride"),
        ({"shape": [4]}, "a tensor without shape and stride"),
        ({"shape": (True,)}, "a tensor without shape and stride"),
        ({"offset": None}, "a tensor without a storage"),
        ({"numel": 5}, "storage 0: 20 bytes claimed, 16 found"),
        ({"numel": -4}, "a storage without key and size"),
        ({"numel": "4"}, "a storage without key and size"),
        ({"numel": 1 << 62}, "bytes claimed, 16 found"),
        ({"storage": "DoubleStorage"}, "storage 0: 32 bytes claimed, 16 found"),
        ({"storage": "QInt8Storage"}, r"asks for torch\.QInt8Storage"),
        ({"storage": "load"}, r"asks for torch\.load"),
        ({"extra": (("0", 0, 4),)}, "a storage that is a view of another"),
        ({"extra": (None, None)}, "a persistent id that is not a storage"),
    ],
)
def test_forged_tensors_are_refused(claim: dict[str, Any], message: str) -> None:
    content = packed({"data.pkl": tensor_pickle(**claim), "data/0": b"\0" * 16})
    with pytest.raises(CheckpointError, match=message):
        read(content)


def test_the_forger_s_honest_tensor_is_read() -> None:
    content = packed(
        {"data.pkl": tensor_pickle(extra=(None,)), "data/0": struct.pack("<4f", 1, 2, 3, 4)}
    )
    assert read(content).tolist() == [1, 2, 3, 4]


def test_many_tensors_of_one_storage_are_refused_before_they_are_read() -> None:
    base = torch.zeros(100_000)
    content = saved({f"t{i}": base[i : i + 1] for i in range(3000)})
    found = raw_state(read_torch(memoryview(content)), "file")
    with pytest.raises(CheckpointError, match=r"the tensors claim 3000 numbers, the file has"):
        load_tensors(found, len(content))
    copies = raw_state(read_torch(memoryview(saved({f"t{i}": base for i in range(9)}))), "file")
    with pytest.raises(CheckpointError, match="the tensors claim 900000 numbers"):
        load_tensors(copies, 400_000)


def test_too_many_tensors_are_refused() -> None:
    one = read_torch(memoryview(saved(torch.zeros(()))))
    with pytest.raises(CheckpointError, match="20001 tensors are more than 20000"):
        load_tensors({str(i): one for i in range(20_001)}, 1 << 30)


# --- forged streams


def stream(**changes: Any) -> bytes:
    """A legacy stream of one tensor of four numbers."""
    parts: dict[str, Any] = {
        "magic": 0x1950A86A20F9469CFC6C,
        "protocol": 1001,
        "facts": {"little_endian": True},
        "value": tensor_pickle(),
        "keys": ["0"],
        "numel": 4,
        "data": struct.pack("<4f", 1, 2, 3, 4),
        **changes,
    }
    head = [pickle.dumps(parts[name], 2) for name in ("magic", "protocol", "facts")]
    body = [parts["value"], pickle.dumps(parts["keys"], 2), struct.pack("<q", parts["numel"])]
    return b"".join([*head, *body, parts["data"]])


def test_the_forger_s_honest_stream_is_read() -> None:
    assert read(stream()).tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"magic": 1}, "not a torch file"),
        ({"protocol": 1002}, "unknown protocol"),
        ({"keys": []}, "do not fit its tensors"),
        ({"keys": ["0", "0"]}, "do not fit its tensors"),
        ({"keys": ["0", "1"]}, "do not fit its tensors"),
        ({"keys": [0]}, "without storage keys"),
        ({"keys": None}, "without storage keys"),
        ({"data": b"1234"}, "storage 0: 16 bytes claimed, 4 are left"),
        ({"data": b""}, "storage 0: 16 bytes claimed, 0 are left"),
        ({"value": b"\x80\x02cos\nsystem\n)R."}, r"asks for os\.system"),
    ],
)
def test_forged_streams_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        read(stream(**changes))


def test_a_count_that_differs_from_the_claim_is_refused() -> None:
    with pytest.raises(CheckpointError, match="storage 0"):
        read(stream(numel=5))


@pytest.mark.parametrize("content", [None, "text", b"", b"N.", saved(torch.ones(2), False)])
def test_nested_storages_are_nothing_else(content: object) -> None:
    with pytest.raises(CheckpointError):
        load_storage(content)
