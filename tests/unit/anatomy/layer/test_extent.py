import pytest
import torch

from sequal.anatomy.layer.extent import column_extent, extent_loss


def _logits(probability):
    """Logits (1, 2, W, H) of a layer probability (W, H)."""
    p = torch.tensor(probability)
    return torch.stack([(1 - p).log(), p.log()])[None]


def test_value_by_hand():
    # Columns hold 0.8 + 0.7 = 1.5 and 0.2 pixels; only the first exceeds 1: ((0.5 / 2)² + 0) / 2.
    assert extent_loss(_logits([[0.8, 0.7], [0.1, 0.1]]), bound=1.0).item() == pytest.approx(0.25**2 / 2)


def test_plausible_columns_get_no_gradient():
    logits = _logits([[0.6, 0.3], [0.2, 0.1]]).requires_grad_()
    extent_loss(logits, bound=1.0).backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() == 0


def test_a_column_filled_from_top_to_bottom_is_pushed_towards_background():
    logits = torch.zeros(1, 2, 2, 16)
    logits[:, 1] = 3.0
    logits.requires_grad_()
    extent_loss(logits, bound=3.0).backward()
    assert logits.grad is not None
    assert (logits.grad[:, 1] > 0).all()  # a step against the gradient lowers the layer


def test_extent_counts_the_layer_alone():
    label = torch.tensor([[1, 1, 0], [255, 255, 255], [1, 0, 0]], dtype=torch.uint8)[None, None]
    assert column_extent(label) == 2
    assert column_extent(torch.full_like(label, 255)) == 0
