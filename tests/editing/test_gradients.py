"""editing/gradients.py: closed forms against autograd."""

import torch

from editing import class_logits, class_probabilities, jacobian, log_odds_rows, stack_heads
from editing.gradients import log_odds_rows_of, unit_lengths
from editing.scoring import read_points
from tests.doubles import make_head

HEADS = stack_heads([make_head(2, 0), make_head(5, 1), make_head(3, 2)]).to("cpu", torch.float64)


def sample(count: int = 4) -> torch.Tensor:
    return torch.randn(count, 16, dtype=torch.float64, generator=torch.manual_seed(1))


def test_jacobian_equals_autograd() -> None:
    latents = sample()
    rows = jacobian(HEADS, latents)
    for n in range(len(latents)):
        expected = torch.autograd.functional.jacobian(
            lambda x: class_logits(HEADS, x[None])[0].nan_to_num(neginf=0), latents[n]
        )
        torch.testing.assert_close(rows[n], expected)


def test_log_odds_rows_equal_autograd_per_sample_target() -> None:
    latents = sample().requires_grad_()
    targets = torch.tensor([[0, 4, 2], [1, 0, 1], [1, 2, 0], [0, 1, 1]])
    probabilities = class_probabilities(HEADS, latents)
    for a in range(3):
        chosen = probabilities[torch.arange(4), a, targets[:, a]]
        (expected,) = torch.autograd.grad(torch.logit(chosen).sum(), latents, retain_graph=True)
        torch.testing.assert_close(log_odds_rows(HEADS, latents.detach(), targets)[:, a], expected)


def test_log_odds_rows_are_parallel_to_probability_rows() -> None:
    latents = sample().requires_grad_()
    probability = class_probabilities(HEADS, latents)[:, 1, 3]
    (expected,) = torch.autograd.grad(probability.sum(), latents)
    found = log_odds_rows(HEADS, latents.detach(), torch.full((4, 3), 3) % torch.tensor([2, 5, 3]))
    cosine = torch.cosine_similarity(found[:, 1], expected)
    torch.testing.assert_close(cosine, torch.ones(4, dtype=torch.float64))


def test_saturated_heads_keep_a_direction() -> None:
    head = make_head(2, 0)
    steep = stack_heads(
        [type(head)(head.hidden_weight, head.hidden_bias, head.class_weight * 1e4, head.class_bias)]
    )
    latents = torch.randn(8, 16)
    assert class_probabilities(steep, latents).max() == 1.0  # saturated in float32
    rows = log_odds_rows(steep, latents, torch.ones(8, 1, dtype=torch.int64))
    assert torch.isfinite(rows).all()
    assert (torch.linalg.vector_norm(rows, dim=2) > 0).all()


def noisy_rows(latents: torch.Tensor, targets: torch.Tensor, noise: float) -> torch.Tensor:
    of_units = (noise * unit_lengths(HEADS)).expand(len(latents), -1, -1)
    return log_odds_rows_of(HEADS, read_points(HEADS, latents), targets, of_units)


def test_noisy_rows_are_the_mean_of_the_rows_around_a_point() -> None:
    """Of heads with two classes, whose rows have no weights that depend on the point."""
    binary = stack_heads([make_head(2, 0), make_head(2, 1)]).to("cpu", torch.float64)
    latents, targets = sample(2), torch.tensor([[0, 1], [1, 1]])
    of_units = (0.5 * unit_lengths(binary)).expand(2, -1, -1)
    found = log_odds_rows_of(binary, read_points(binary, latents), targets, of_units)
    around = 0.5 * torch.randn(20_000, 16, dtype=torch.float64, generator=torch.manual_seed(3))
    for n in range(2):
        many = targets[n].expand(len(around), -1)
        rows = log_odds_rows(binary, latents[n] + around, many)
        error = rows.std(dim=0) / len(around) ** 0.5
        assert ((found[n] - rows.mean(dim=0)).abs() < 4.5 * error + 1e-12).all()
        assert (found[n] - log_odds_rows(binary, latents, targets)[n]).abs().max() > 0.01


def test_rows_without_noise_are_those_of_the_point_bit_for_bit() -> None:
    latents, targets = sample(), torch.tensor([[0, 4, 2], [1, 0, 1], [1, 2, 0], [0, 1, 1]])
    assert torch.equal(noisy_rows(latents, targets, 0.0), log_odds_rows(HEADS, latents, targets))


def test_rows_of_much_noise_do_not_turn() -> None:
    """Every unit is as often on as off: the row of a binary head is the same everywhere."""
    rows = noisy_rows(sample(), torch.ones(4, 3, dtype=torch.int64), 1e6)[:, 0]
    torch.testing.assert_close(rows, rows[:1].expand(4, -1), atol=1e-5, rtol=0)
