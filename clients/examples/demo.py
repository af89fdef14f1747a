"""Starts the service, edits faces over REST and gRPC, writes film strips, stops the service.

Uses the client library alone; the service is the `gradctrl` command next to this Python.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gradctrl_client import Client, Edit
from PIL import Image, ImageDraw

READY_TIMEOUT_S = 120
Row = tuple[int, str, str]  # seed, attribute, target
ROWS: dict[str, tuple[Row, ...]] = {  # seeds with clean faces, whose edits turn out well
    "avatars": (
        (22, "eyeglasses", "no_eyeglasses"),
        (16, "background", "mint"),
        (27, "smile", "smiling"),
        (32, "hair_length", "long"),
        (17, "skin_tone", "pale"),
    ),
    "celeba": (
        (69, "smile", "smiling"),
        (69, "gender", "male"),
        (57, "gender", "female"),
        (68, "background", "dark"),
    ),
}
FRAMES_SHOWN = 9
SCALE = 2
MARGIN = 16  # pixels above each row, for its caption


@contextmanager
def service(log: Path) -> Iterator[tuple[str, str]]:
    """The REST and the gRPC address of a service that lives as long as the block."""
    port, grpc_port = _free_port(), _free_port()
    command = [str(Path(sys.executable).with_name("gradctrl")), "serve", "--port", str(port)]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--grpc-port", str(grpc_port), "--models", ",".join(ROWS)],
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url, process, log)
        yield url, f"grpc://127.0.0.1:{grpc_port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    started = time.monotonic()
    with Client(url) as client:
        while not client.is_ready():
            if process.poll() is not None or time.monotonic() - started > READY_TIMEOUT_S:
                raise SystemExit(f"the service did not start; see {log}")
            time.sleep(0.1)
    print(f"service ready after {time.monotonic() - started:.1f} s at {url}")


def edit_rows(client: Client, model: str) -> list[tuple[str, Edit]]:
    """One edit per row, with a caption that gives the scores."""
    rows = []
    for seed, attribute, target in ROWS[model]:
        started = time.perf_counter()
        edit = client.edit(attribute, target, seed=seed, model=model)
        elapsed = (time.perf_counter() - started) * 1000
        before, after = (edit.frames[i].scores[attribute][target] for i in (0, -1))
        caption = f"{attribute} -> {target}: {before:.2f} -> {after:.2f}"
        print(f"{model}, seed {seed}: {caption}, {len(edit.frames)} frames in {elapsed:.0f} ms")
        rows.append((caption, edit))
    return rows


def compare_transports(address: str, rest: Edit) -> None:
    """The first row's edit again over gRPC, which must give the same images."""
    seed, attribute, target = ROWS["avatars"][0]
    started = time.perf_counter()
    with Client(address) as client:
        edit = client.edit(attribute, target, seed=seed, model="avatars")
    elapsed = (time.perf_counter() - started) * 1000
    if [frame.encoded for frame in edit.frames] != [frame.encoded for frame in rest.frames]:
        raise SystemExit("gRPC and REST gave different images")
    print(f"the first edit again over gRPC: the same {len(edit.frames)} images in {elapsed:.0f} ms")


def film_strip(rows: list[tuple[str, Edit]]) -> Image.Image:
    """All rows under each other, captions above them."""
    side = rows[0][1].frames[0].image.width * SCALE
    width = side * FRAMES_SHOWN
    sheet = Image.new("RGB", (width, (side + MARGIN) * len(rows)), "white")
    draw = ImageDraw.Draw(sheet)
    for y, (caption, edit) in enumerate(rows):
        top = y * (side + MARGIN)
        draw.text((4, top + 2), caption, fill="black")
        every = (len(edit.frames) - 1) // (FRAMES_SHOWN - 1) or 1
        for x, frame in enumerate(edit.frames[::every]):
            tile = frame.image.resize((side, side), Image.Resampling.BICUBIC)
            sheet.paste(tile, (x * side, top + MARGIN))
    return sheet


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("demo"), help="folder for the strips")
    folder: Path = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    with service(folder / "service.log") as (url, address), Client(url) as client:
        edits = {model: edit_rows(client, model) for model in ROWS}
        compare_transports(address, edits["avatars"][0][1])
    for model, rows in edits.items():
        path = folder / f"strip-{model}.png"
        film_strip(rows).save(path)
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
