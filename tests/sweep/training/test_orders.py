"""Orders of samples: each trial's own, and the same whether they are drawn ahead or not."""

import torch

from vcm_sweep.sweep.training.orders import Orders


def test_orders_are_permutations_from_each_trials_own_seed():
    """And a short last batch is filled up with rows that do not count."""
    orders = Orders([5, 6], samples=10, batch=4)
    for _ in range(2):
        order = orders.next()
        assert order.shape == (2, 12)
        assert (order[:, 10:] == -1).all()
        assert (order[:, :10].sort(1).values == torch.arange(10)).all()
        assert not torch.equal(order[0], order[1])
    generator = torch.Generator().manual_seed(5)
    expected = [torch.randperm(10, generator=generator) for _ in range(3)][2]
    assert torch.equal(orders.next()[0, :10], expected)


def test_orders_that_are_drawn_ahead_are_the_same():
    """Also where a training that was restored has drawn some before."""
    now, ahead = (Orders([5, 6, 7], samples=50, batch=8) for _ in range(2))
    for epoch in range(5):
        ahead.ahead = epoch > 1
        assert torch.equal(now.next(), ahead.next())
