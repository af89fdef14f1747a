"""ONNX files in int8 and float16 against float32 and eager torch: speed, and how equal images look.

One thread, in turns, CPU time. Static int8 is calibrated on seeds that nothing here is measured on.

    python -m benchmarks.onnx_precision [avatars celeba] [--repeats 15]
"""

import argparse
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.pairs import medians, save
from export.onnx_export import export_onnx
from model_store import (
    SYNTHESIS_FILE,
    Starts,
    StoredModel,
    find_model,
    open_session,
    start_latents,
    to_pixels,
    z_of_seeds,
)
from model_store.onnx_binding import run_bound

BATCHES = (1, 4, 9)
SEEN = range(64)  # seeds whose images are compared
CALIBRATION = range(1_000, 1_128)
PEAK = 255.0
COLOURS = 3
CONVOLUTIONS = ["Conv", "ConvTranspose"]


class _Latents(CalibrationDataReader):  # type: ignore[misc]  # untyped
    """Feeds of one latent each."""

    def __init__(self, latents: Tensor) -> None:  # [N, L, C]
        self._feeds: Iterator[dict[str, np.ndarray]] = iter(
            [{"latents": one[None].numpy()} for one in latents]
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next one, until there is none."""
        return next(self._feeds, None)


def latents_of(model: StoredModel, seeds: Sequence[int]) -> Tensor:  # [N, L, C]
    """Latents as the service starts from seeds."""
    starts = Starts(z=z_of_seeds(model.card, seeds), truncation=model.card.truncation)
    return start_latents(model.mapper(), starts)


def write_precisions(model: StoredModel, folder: Path) -> dict[str, Path]:
    """Files by precision, float32 first."""
    plain = model.path / SYNTHESIS_FILE
    prepared = folder / "prepared.onnx"
    quant_pre_process(plain, prepared, skip_symbolic_shape=True)
    found = {"float32": plain}
    found |= {name: folder / f"{name}.onnx" for name in ("int8 dynamic", "int8 static", "float16")}
    quantize_dynamic(prepared, found["int8 dynamic"], weight_type=QuantType.QInt8, per_channel=True)
    quantize_static(
        prepared,
        found["int8 static"],
        _Latents(latents_of(model, CALIBRATION)),
        activation_type=QuantType.QUInt8,
        calibrate_method=CalibrationMethod.Percentile,  # 31 dB of avatars; least and most: 29
        op_types_to_quantize=CONVOLUTIONS,  # all operators: 26 dB, and slower
        per_channel=True,
    )
    half = convert_float_to_float16(onnx.load(plain), keep_io_types=True)
    onnx.save(half, found["float16"])
    return found


def psnr(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Decibels between two uint8 batches; inf for equal ones."""
    error = float(np.mean((ours.astype(float) - theirs.astype(float)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(PEAK**2 / error)


def compare(model: StoredModel, files: Mapping[str, Path], repeats: int) -> list[dict[str, object]]:
    """One row for each precision and batch."""
    side = model.card.resolution
    sessions = {name: open_session(file, "cpu", 1) for name, file in files.items()}
    eager = model.generator()
    latents = latents_of(model, SEEN)

    def images(session: onnxruntime.InferenceSession, given: Tensor) -> Tensor:
        return run_bound(session, given, (len(given), COLOURS, side, side))

    looks = {name: to_pixels(images(one, latents)) for name, one in sessions.items()}
    rows: list[dict[str, object]] = []
    for batch in BATCHES:
        some = latents[:batch].contiguous()
        runs: dict[str, Callable[[], object]] = {"eager": lambda some=some: eager.synthesis(some)}  # type: ignore[misc]
        for name, session in sessions.items():
            runs[name] = lambda session=session, some=some: images(session, some)  # type: ignore[misc]
        times = medians(runs, repeats, time.process_time)
        for name, file in files.items():
            rows.append(
                {
                    "model": model.card.name,
                    "batch": batch,
                    "precision": name,
                    "ms": 1e3 * times[name],
                    "of eager": times["eager"] / times[name],
                    "of float32": times["float32"] / times[name],
                    "psnr": psnr(looks[name], looks["float32"]),
                    "mb": file.stat().st_size / 1e6,
                }
            )
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["avatars", "celeba"])
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, object]] = []
    for name in options.models:
        model = export_onnx(find_model(name))[0]
        with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
            rows += compare(model, write_precisions(model, Path(folder)), options.repeats)
    table = Table(*rows[0])
    for row in rows:
        cells = (f"{one:.2f}" if isinstance(one, float) else str(one) for one in row.values())
        table.add_row(*cells)
    console = Console()
    console.print(table)
    console.print(f"wrote {save('onnx_precision', rows)}")


if __name__ == "__main__":
    main()
