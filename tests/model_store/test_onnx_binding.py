"""model_store/onnx_binding.py: the memory that a session gets and gives is that of the tensors."""

from typing import cast

import onnxruntime
import pytest
import torch
from onnx import TensorProto, checker, helper

from model_store.onnx_binding import bound_device, run_bound
from tests.doubles import RecordingSession


def doubling_session() -> onnxruntime.InferenceSession:
    """Real: y [N, 3] = x + x."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3]) for name in ("x", "y"))
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "double", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    checker.check_model(model)
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


@pytest.mark.parametrize("batch", [1, 4])
def test_the_output_is_what_the_session_computes(batch: int) -> None:
    session, given = doubling_session(), torch.randn(batch, 3)
    first = run_bound(session, given, given.shape)
    second = run_bound(session, given + 1, given.shape)
    torch.testing.assert_close(first, given + given)  # not overwritten by the second call
    torch.testing.assert_close(second, (given + 1) * 2)


def test_a_shape_that_the_session_does_not_make_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="invalid dimensions for output"):
        run_bound(doubling_session(), torch.zeros(2, 3), (2, 4))


@pytest.mark.parametrize("device", ["cpu", "meta"])  # meta: stands for any other device
def test_nothing_is_copied_and_nothing_changes_device(device: str) -> None:
    session = RecordingSession()
    given = torch.zeros(2, 5, device=device)
    found = run_bound(cast("onnxruntime.InferenceSession", session), given, (2, 3, 4, 4))
    assert found.device == given.device
    assert session.inputs == {"latents": (device, 0, (2, 5), given.data_ptr())}
    assert session.outputs == {"images": (device, 0, (2, 3, 4, 4), found.data_ptr())}
    assert session.runs == 1


@pytest.mark.parametrize(
    ("device", "named"), [("cpu", ("cpu", 0)), ("cuda", ("cuda", 0)), ("cuda:1", ("cuda", 1))]
)
def test_devices_by_the_names_of_onnx_runtime(device: str, named: tuple[str, int]) -> None:
    assert bound_device(torch.device(device)) == named
