from collections import Counter
from itertools import permutations

import numpy as np

from sequal.acquisition.shuffled import shuffled


def test_every_order_is_as_likely():
    rng = np.random.default_rng(0)
    counts = Counter("".join(shuffled("abc", rng)) for _ in range(6000))
    assert set(counts) == {"".join(order) for order in permutations("abc")}
    assert all(abs(count - 1000) < 150 for count in counts.values())  # five standard deviations


def test_only_what_is_asked_for_is_drawn():
    class Counting(list):
        asked = 0

        def __getitem__(self, index):
            Counting.asked += 1
            return super().__getitem__(index)

    found = shuffled(Counting(range(1_000_000)), np.random.default_rng(0))
    assert next(found) != next(found)
    assert Counting.asked == 2


def test_items_that_go_meanwhile_are_left_out():
    items = list(range(10))
    found = shuffled(items, np.random.default_rng(0))
    first = next(found)
    del items[5:]
    rest = list(found)
    assert len({first, *rest}) == len(rest) + 1
    assert set(rest) >= set(range(5)) - {first}
