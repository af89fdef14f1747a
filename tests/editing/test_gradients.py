"""editing/gradients.py: closed forms against autograd."""

import torch

from editing import class_logits, class_probabilities, jacobian, log_odds_rows, stack_heads
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
