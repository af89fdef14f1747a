"""Calls the gRPC API as grpcurl does: what it offers is asked from the server, no generated code.

    python clients/examples/reflection.py 127.0.0.1:3001
    python clients/examples/reflection.py 127.0.0.1:3001 gradctrl.v1.EditService/Generate \
        '{"seeds": [36], "output": {"format": "webp"}}'

Needs `pip install grpcio-reflection`.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (  # type: ignore[import-untyped]
    ProtoReflectionDescriptorDatabase,
)

SHOWN = 60  # characters of an image


def describe(database: ProtoReflectionDescriptorDatabase) -> Iterator[str]:
    """One line per method that the server offers."""
    pool = DescriptorPool(database)
    for name in database.get_services():
        for method in pool.FindServiceByName(name).methods:
            answer = f"{'stream ' if method.server_streaming else ''}{method.output_type.name}"
            yield f"{name}/{method.name}({method.input_type.name}) -> {answer}"


def call(channel: grpc.Channel, method: MethodDescriptor, body: Message) -> Iterator[Message]:
    """The answers of one method; one, unless it streams."""
    assert method.containing_service is not None, "methods belong to a service"
    path = f"/{method.containing_service.full_name}/{method.name}"
    kinds: dict[str, Any] = {
        "request_serializer": type(body).SerializeToString,
        "response_deserializer": GetMessageClass(method.output_type).FromString,
    }
    if method.server_streaming:
        yield from channel.unary_stream(path, **kinds)(body)
    else:
        yield channel.unary_unary(path, **kinds)(body)


def shorten(value: object) -> object:
    """The same with long texts, such as images, cut off."""
    if isinstance(value, dict):
        return {name: shorten(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shorten(one) for one in value]
    if isinstance(value, str) and len(value) > SHOWN:
        return f"{value[:SHOWN]}... ({len(value)} characters)"
    return value


def main() -> None:
    """Describe the server, or call one method with a JSON body."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("address", help="host:port")
    parser.add_argument("method", nargs="?", help="package.Service/Method; default: list them")
    parser.add_argument("body", nargs="?", default="{}", help="the request as JSON")
    arguments = parser.parse_args()
    with grpc.insecure_channel(
        arguments.address, [("grpc.max_receive_message_length", -1)]
    ) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        if arguments.method is None:
            print(*describe(database), sep="\n")
            return
        service, _, name = arguments.method.partition("/")
        try:
            method = DescriptorPool(database).FindServiceByName(service).FindMethodByName(name)
            body = ParseDict(json.loads(arguments.body), GetMessageClass(method.input_type)())
            for answer in call(channel, method, body):
                shown = MessageToDict(answer, preserving_proto_field_name=True)
                print(json.dumps(shorten(shown), indent=2))
        except (KeyError, ValueError, ParseError) as error:
            sys.exit(f"error: {error}")
        except grpc.RpcError as error:
            sys.exit(f"error: {error.code().name}: {error.details()}")


if __name__ == "__main__":
    main()
