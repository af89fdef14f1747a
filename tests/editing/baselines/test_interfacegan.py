"""editing/baselines/interfacegan.py: conditional normals against the paper's own formula."""

import torch
from torch import Tensor

from editing.baselines import conditional_normals, conditioned


def unit(*rows: list[float]) -> Tensor:
    tensor = torch.tensor(rows)
    return tensor / torch.linalg.vector_norm(tensor, dim=1, keepdim=True)


def test_one_condition_is_the_formula_of_the_paper() -> None:
    first, second = unit([1.0, 2.0, 3.0]), unit([0.0, 1.0, 1.0])
    expected = first - (first @ second.T) * second
    expected = expected / torch.linalg.vector_norm(expected)
    torch.testing.assert_close(conditioned(first, second), expected)


def test_several_conditions_are_all_orthogonal_to_what_is_left() -> None:
    generator = torch.manual_seed(0)
    normals = [torch.randn(k, 12, generator=generator) for k in (2, 3, 2)]
    normals = [n / torch.linalg.vector_norm(n, dim=1, keepdim=True) for n in normals]
    found = conditional_normals(normals)
    for a, own in enumerate(found):
        torch.testing.assert_close(torch.linalg.vector_norm(own, dim=1), torch.ones(len(own)))
        others = torch.cat([n for b, n in enumerate(normals) if b != a])
        assert (own @ others.T).abs().max() < 1e-6
        assert ((own * normals[a]).sum(dim=1) > 0).all()


def test_opposite_and_repeated_conditions_count_once() -> None:
    condition = unit([1.0, 0.0, 0.0])
    left = conditioned(unit([1.0, 1.0, 0.0]), torch.cat([condition, -condition, condition]))
    torch.testing.assert_close(left, torch.tensor([[0.0, 1.0, 0.0]]))


def test_a_normal_within_the_span_has_no_direction() -> None:
    span = torch.eye(3)[:2]
    left = conditioned(unit([1.0, 1.0, 0.0], [0.0, 0.0, 1.0]), span)
    assert left.tolist() == [[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]


def test_a_single_attribute_keeps_its_normals() -> None:
    normals = unit([1.0, 2.0, 3.0])
    assert conditional_normals([normals])[0] is normals
