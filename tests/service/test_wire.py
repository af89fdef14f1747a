"""The proto, its rules and the code generated from it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor
from gradctrl_client.wire import edit_pb2 as client
from pydantic import BaseModel

from clients.proto.generate import PACKAGES, PROTO_ROOT, generate
from model_store import AttributeCard, EditDefaults, InversionCard, Provenance
from service import answer_schema, schema
from service.wire import edit_pb2 as wire
from tests.servers import ROOT

BUF = Path(sys.executable).with_name("buf")
REST_ONLY = {
    "EditRequest": set[str](),
    "Output": {"frame_ms"},  # animations are /v1/edit/image
}
PAIRS: dict[str, type[BaseModel]] = {
    "EditRequest": schema.EditBody,
    "AttributeEdit": schema.EditRequest,
    "Source": schema.Source,
    "Output": schema.EditOutput,
    "Inversion": schema.InversionRequest,
    "InversionErrors": answer_schema.InversionErrors,
    "InversionReport": answer_schema.InversionAnswer,
    "InvertRequest": schema.InvertBody,
    "InvertResult": answer_schema.InvertAnswer,
    "Stop": schema.StopRequest,
    "Exclusion": schema.ExcludeRequest,
    "GenerateRequest": schema.GenerateBody,
    "ScoreRequest": schema.ScoreBody,
    "EditResponse": answer_schema.EditBodyAnswer,
    "EditSummary": answer_schema.EditSummary,
    "EditReport": answer_schema.EditAnswer,
    "Frame": answer_schema.FrameAnswer,
    "Receipt": answer_schema.Receipt,
    "GenerateResponse": answer_schema.GenerateAnswer,
    "ScoreResponse": answer_schema.ScoreAnswer,
    "ListModelsResponse": answer_schema.ModelsAnswer,
    "Model": answer_schema.ServedModel,
}
PROTO_ONLY = {
    "EditResponse": {"space"},
    "EditSummary": {"space"},
    "GenerateResponse": {"space"},
    "InvertResult": {"space", "error"},
}


def fields(message: Descriptor) -> set[str]:
    return {field.name for field in message.fields}


@pytest.mark.parametrize("name", PAIRS)
def test_every_field_of_rest_has_its_place(name: str) -> None:
    message = wire.DESCRIPTOR.message_types_by_name[name]
    rest = set(PAIRS[name].model_fields) - REST_ONLY.get(name, set())
    assert fields(message) - PROTO_ONLY.get(name, set()) == rest


def test_every_field_of_a_card_has_its_place() -> None:
    parts: dict[str, type[BaseModel]] = {
        "Attribute": AttributeCard,
        "EditDefaults": EditDefaults,
        "InversionCard": InversionCard,
        "Provenance": Provenance,
    }
    for name, part in parts.items():
        message = wire.DESCRIPTOR.message_types_by_name[name]
        assert fields(message) == set(part.model_fields)


def test_the_generated_code_is_that_of_the_proto(tmp_path: Path) -> None:
    written = generate(tmp_path)
    assert len(written) == 3 * len(PACKAGES)
    for path in written:
        committed = ROOT / path.relative_to(tmp_path)
        assert committed.read_text() == path.read_text(), "run: make proto"


@pytest.mark.parametrize("command", [["lint"], ["format", "--diff", "--exit-code"]])
def test_the_proto_keeps_the_rules_of_buf(command: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [BUF, *command],
        cwd=PROTO_ROOT,
        env={"HOME": str(tmp_path), "BUF_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_buf_would_find_a_broken_rule(tmp_path: Path) -> None:
    copy = tmp_path / "proto"
    shutil.copytree(PROTO_ROOT, copy)
    proto = copy / "gradctrl/v1/edit.proto"
    proto.write_text(proto.read_text().replace("bytes image = 3;", "bytes Image = 3;"))
    env = {"HOME": str(tmp_path), "BUF_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([BUF, "lint"], cwd=copy, env=env, capture_output=True, text=True)
    assert "lower_snake_case" in done.stdout


def test_service_and_client_have_the_same_messages() -> None:
    assert client.DESCRIPTOR.serialized_pb == wire.DESCRIPTOR.serialized_pb
