from torch import nn

from sequal.learning.networks import evaluating, only_dropout_trains


def network():
    return nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(0.5), nn.Dropout(0.0))


def modes(*networks):
    return [layer.training for one in networks for layer in one]


def test_every_layer_has_its_own_mode_again_also_after_an_error():
    mixed, evaluated = network().train(), network().eval()
    mixed[0].eval()
    try:
        with evaluating([mixed, evaluated]):
            assert modes(mixed, evaluated) == [False] * 6
            raise KeyError
    except KeyError:
        pass
    assert modes(mixed, evaluated) == [False, True, True, False, False, False]


def test_only_dropout_that_drops_something_trains():
    training, evaluated = network().train(), network().eval()
    with only_dropout_trains([training, evaluated]):
        assert modes(training, evaluated) == [False, True, False] * 2
    assert modes(training, evaluated) == [True] * 3 + [False] * 3
