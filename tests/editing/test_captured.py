"""editing/captured.py: what is recorded once walks as `walk` does, whatever the numbers are."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from editing import (
    NEVER_STOP,
    CapturedWalk,
    CudaGraphRecorder,
    EditingError,
    NoGraphsError,
    StackedHeads,
    Trajectory,
    WalkPlan,
    stack_heads,
    walk,
    walk_latents,
)
from editing.captured import bucket_of
from editing.methods import pad_points
from tests.doubles import TapeRecorder, make_head

CHANNELS, STEPS, MOST = 16, 5, 3
HEADS = stack_heads([make_head(2, 0), make_head(2, 1), make_head(3, 2)])
OTHER = stack_heads([make_head(2, 3), make_head(2, 4), make_head(3, 5)])


def plan(samples: int, seed: int = 0, stop: float = NEVER_STOP, steps: int = STEPS) -> WalkPlan:
    """Samples to a class of attribute 0, each with masks and step sizes of its own."""
    random = torch.manual_seed(seed)
    top_k = torch.randint(1, 5, (samples, 3), generator=random)
    top_k[:, 0] = 0
    return WalkPlan(
        attribute=torch.zeros(samples, dtype=torch.int64),
        target=torch.randint(0, 2, (samples,), generator=random),
        steps=torch.full((samples,), steps),
        step_size=torch.rand(samples, generator=random) + 0.1,
        top_k=top_k,
        stop_probability=torch.full((samples,), stop),
    )


def starts(samples: int, seed: int = 0) -> Tensor:
    return torch.randn(samples, CHANNELS, generator=torch.manual_seed(seed))


def captured(most: int = MOST) -> tuple[CapturedWalk, TapeRecorder]:
    recorder = TapeRecorder()
    return CapturedWalk(recorder, most), recorder


def assert_same(found: Trajectory, expected: Trajectory) -> None:
    steps = found.points.shape[1] - 1
    torch.testing.assert_close(found.points, pad_points(expected.points, steps), atol=2e-6, rtol=0)
    padded = pad_points(expected.probabilities, steps)
    torch.testing.assert_close(found.probabilities, padded, atol=2e-6, rtol=0)
    assert torch.equal(found.steps_taken, expected.steps_taken)
    assert torch.equal(found.masked_channels, expected.masked_channels)
    assert torch.equal(found.refused, expected.refused)


def test_one_recording_serves_all_numbers_of_its_kind() -> None:
    by_tape, recorder = captured()
    for samples, seed in ((4, 1), (3, 2), (4, 3)):
        start, wanted = starts(samples, seed), plan(samples, seed)
        assert_same(by_tape(HEADS, start, wanted), walk(HEADS, start, wanted))
    assert recorder.recorded == 1
    assert recorder.replayed == 3


def test_stops_goals_noise_pulls_and_bounds_are_numbers_too() -> None:
    by_tape, recorder = captured()
    for seed in (1, 2):
        wanted = replace(
            plan(2, seed, stop=0.5 + 0.1 * seed),
            goal=torch.tensor([float(seed), torch.inf]),
            row_noise=torch.tensor([0.3 * seed, 0.0]),
            pulls=0.1 * torch.randn(2, 3, 3, 3, generator=torch.manual_seed(seed)),
            editable=torch.rand(2, CHANNELS, generator=torch.manual_seed(seed)) > 0.2,
        )
        assert_same(by_tape(HEADS, starts(2, seed), wanted), walk(HEADS, starts(2, seed), wanted))
    assert recorder.recorded == 1


def test_other_operations_are_another_recording() -> None:
    by_tape, recorder = captured(most=9)
    nobody = torch.zeros(2, 3, dtype=torch.int64)
    kinds: list[tuple[StackedHeads, WalkPlan]] = [
        (HEADS, plan(2)),
        (HEADS, plan(3)),  # more samples
        (HEADS, plan(2, steps=STEPS + 1)),
        (HEADS, plan(2, stop=0.7)),
        (HEADS, replace(plan(2), top_k=nobody)),
        (HEADS, replace(plan(2), goal=torch.ones(2))),
        (HEADS, replace(plan(2), row_noise=torch.ones(2))),
        (HEADS, replace(plan(2), editable=torch.zeros(2, CHANNELS, dtype=torch.bool))),
        (OTHER, plan(2)),
    ]
    for heads, wanted in kinds * 2:
        start = starts(len(wanted.target))
        assert_same(by_tape(heads, start, wanted), walk(heads, start, wanted))
    assert recorder.recorded == len(kinds)


def test_what_was_not_used_for_longest_is_dropped() -> None:
    by_tape, recorder = captured(most=2)
    for steps in (1, 2, 1, 3, 1):  # 3 drops 2
        by_tape(HEADS, starts(1), plan(1, steps=steps))
    assert recorder.recorded == 3
    by_tape(HEADS, starts(1), plan(1, steps=2))
    assert recorder.recorded == 4


def test_a_result_outlives_the_next_replay_and_arguments_are_left_alone() -> None:
    by_tape, _ = captured()
    start, wanted = starts(2, 1), plan(2, 1)
    first = by_tape(HEADS, start, wanted)
    kept = first.points.clone()
    by_tape(HEADS, starts(2, 5), plan(2, 5))
    assert torch.equal(first.points, kept)
    assert torch.equal(start, starts(2, 1))
    assert all(map(torch.equal, wanted.tensors(), plan(2, 1).tensors()))


def test_latents_walk_by_it() -> None:
    by_tape, recorder = captured()
    latents, ranges = torch.randn(2, 4, CHANNELS), torch.tensor([[1, 3], [0, 4]])
    found = walk_latents(HEADS, latents, plan(2), ranges, by_tape)
    expected = walk_latents(HEADS, latents, plan(2), ranges)
    torch.testing.assert_close(found.latents, expected.latents, atol=2e-6, rtol=0)
    assert recorder.replayed == 1


def test_bad_input_is_named_and_nothing_recorded() -> None:
    by_tape, recorder = captured()
    with pytest.raises(EditingError, match="NaN"):
        by_tape(HEADS, torch.full((2, CHANNELS), torch.nan), plan(2))
    assert recorder.recorded == 0


def test_samples_fill_up_to_a_power_of_two() -> None:
    assert [bucket_of(n) for n in (1, 2, 3, 4, 5, 16, 17)] == [1, 2, 4, 4, 8, 16, 32]


def test_graphs_need_cuda() -> None:
    with pytest.raises(NoGraphsError, match="expected a CUDA device, got cpu"):
        CudaGraphRecorder(torch.device("cpu"))


@pytest.mark.gpu  # never run yet: there was no device
def test_cuda_graphs_walk_as_the_cpu_does() -> None:
    device = torch.device("cuda")
    on_gpu = HEADS.to(device, torch.float32)
    by_graph = CapturedWalk(CudaGraphRecorder(device), MOST)
    for seed in (1, 2, 3):
        start, wanted = starts(3, seed), plan(3, seed, stop=0.8)
        found = by_graph(on_gpu, start.to(device), wanted).to(torch.device("cpu"))
        expected = walk(HEADS, start, wanted)
        padded = pad_points(expected.points, STEPS)
        torch.testing.assert_close(found.points, padded, atol=1e-4, rtol=0)
        assert torch.equal(found.steps_taken, expected.steps_taken)
