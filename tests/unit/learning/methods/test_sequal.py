import math
from itertools import repeat

import pytest
import torch

from sequal.learning.batch import Batch
from sequal.learning.losses import SupervisedLoss, consistency_loss, consistency_weight, paper_consistency_weight
from sequal.learning.methods.sequal import MeanTeacherPair, MeanTeacherTrainer
from sequal.learning.networks import Architecture
from sequal.learning.training.early_learning import EarlyLearningHandler
from unit.synthetic_study import settings

CPU = torch.device("cpu")


def _batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    views = [torch.rand(3, 1, 64, 64, generator=generator) for _ in range(2)]
    label = torch.randint(0, 2, (3, 1, 64, 64), generator=generator).to(torch.uint8)
    label[2] = 255
    return Batch(*views, label)


def _pair(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MeanTeacherPair(Architecture("unet"), alpha_max=0.9)


def _run(pair, **changes):
    trainer = MeanTeacherTrainer(pair, repeat(_batch()), settings(**changes), CPU)
    outputs = []
    from ignite.engine import Events

    trainer.add_event_handler(
        Events.ITERATION_COMPLETED,
        lambda engine: outputs.append({**engine.state.output, "rate": trainer.optimizers[0].param_groups[0]["lr"]}),
    )
    trainer.run()
    return trainer, outputs


def test_the_first_loss_is_the_sum_of_its_parts():
    pair, twin = _pair(), _pair()
    for module in (*pair.modules(), *twin.modules()):
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # two passes are compared
    _, outputs = _run(pair, epochs=1, iterations_per_epoch=1, consistency_weight=3.0, dice_weight=0.5, extent_weight=0)
    batch = _batch()
    twin.train()
    with torch.no_grad():
        student, teacher = twin.student(batch.view), twin.teacher(batch.other_view)
        supervised = SupervisedLoss(0.5)(student, batch.label).item()
        consistency = consistency_loss(student, teacher).item()
    out = outputs[0]
    assert out["supervised"] == pytest.approx(supervised, rel=1e-5)
    assert out["consistency"] == pytest.approx(consistency, rel=1e-4)
    assert out["weight"] == pytest.approx(3.0 * math.exp(-5))
    assert out["loss"] == pytest.approx(supervised + out["weight"] * consistency, rel=1e-5)
    predicted = student.argmax(1, keepdim=True) == 1
    known, truth = batch.label != 255, batch.label == 1
    assert out["intersection"] == int((predicted & truth).sum())
    assert out["union"] == int(((predicted & known) | truth).sum())


def test_the_student_learns_and_the_teacher_follows():
    pair = _pair()
    student = {k: v.clone() for k, v in pair.student.state_dict().items()}
    _, outputs = _run(pair, epochs=2, iterations_per_epoch=6, learning_rate=0.005)
    assert pair.updates == 12
    assert sum(o["supervised"] for o in outputs[-3:]) < sum(o["supervised"] for o in outputs[:3])
    assert any(not torch.equal(student[k], v) for k, v in pair.student.state_dict().items())
    assert any(
        not torch.equal(v, pair.teacher.state_dict()[k])
        for k, v in pair.student.state_dict().items()
        if v.is_floating_point()
    )
    assert all(p.grad is None for p in pair.teacher.parameters())


def test_learning_rate_and_weight_over_a_round():
    _, outputs = _run(_pair(), epochs=2, iterations_per_epoch=5, learning_rate=0.01, ramp_fraction=0.5)
    for step, out in enumerate(outputs):
        assert out["rate"] == pytest.approx(0.01 * (1 - (step + 1) / 10) ** 0.9, abs=1e-9)
        assert out["weight"] == pytest.approx(consistency_weight(step / 10, 1.0, 0.5))


def test_the_published_preset():
    trainer, outputs = _run(_pair(), preset="paper", epochs=1, iterations_per_epoch=2)
    group = trainer.optimizers[0].param_groups[0]
    assert isinstance(trainer.optimizers[0], torch.optim.SGD)
    assert (group["momentum"], group["weight_decay"]) == (0.9, 1e-4)
    assert outputs[0]["weight"] == pytest.approx(paper_consistency_weight(0, 1.0))


def test_nothing_but_the_student_is_optimised():
    pair = _pair()
    trainer = MeanTeacherTrainer(pair, repeat(_batch()), settings(), CPU)
    given = {id(p) for group in trainer.optimizers[0].param_groups for p in group["params"]}
    assert given == {id(p) for p in pair.student.parameters()}


class _Engine:
    """What the handler reads of an engine."""

    def __init__(self):
        self.state = type("State", (), {"output": {}, "epoch": 0})()


def _watch(epochs, trigger="adele", **changes):
    fired = []
    watch = EarlyLearningHandler(settings(trigger=trigger, **changes), fired.append)
    engine = _Engine()
    for epoch, steps in enumerate(epochs, start=1):
        engine.state.epoch = epoch
        for intersection, union in steps:
            engine.state.output = {"intersection": intersection, "union": union}
            watch._count(engine)
        watch._judge(engine)
    return watch, fired


def test_the_iou_of_an_epoch_is_over_all_its_pixels():
    watch, _ = _watch([[(1, 10), (30, 50)], [(0, 0)], [(5, 10)]], trigger="never")
    assert watch.iou[0] == pytest.approx(31 / 60)
    assert math.isnan(watch.iou[1])
    assert watch.iou[2] == pytest.approx(0.5)


def test_fusion_fires_once_and_only_where_it_may():
    flat = [[(70, 100)]] * 6
    assert _watch(flat)[1] == [3]
    assert _watch(flat)[0].fired_at == 3
    assert _watch(flat, trigger="never")[1] == []
    rising = [[(10 * n, 100)] for n in range(1, 7)]
    assert _watch(rising)[1] == []
    assert _watch(rising, trigger="paper")[1] == [3]
    assert _watch(rising[:2], trigger="paper")[1] == []


def _sparse_batch():
    """Half of each patch is annotated, with a layer of four pixels; the other half is unknown."""
    views = [torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(1)) for _ in range(2)]
    label = torch.full((2, 1, 64, 64), 255, dtype=torch.uint8)
    label[:, :, :32] = 0
    label[:, :, :32, 30:34] = 1
    return Batch(*views, label)


def test_what_the_model_knows_of_every_prediction_counts_in_the_loss():
    changes = {"epochs": 1, "iterations_per_epoch": 1, "consistency_weight": 0}
    trainer = MeanTeacherTrainer(
        _pair(),
        repeat(_sparse_batch()),
        settings(**changes),
        CPU,
        prior=lambda logits, label: 2.5 * label.numel() / logits.numel(),
    )
    trainer.run()
    out = trainer.state.output
    assert out["loss"] - out["supervised"] == pytest.approx(1.25, rel=1e-5)
