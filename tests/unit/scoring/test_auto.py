import threading

import pytest

from lib.scoring import AutoScoring
from lib.scoring import auto as module
from sequal.study.pool_index import PoolIndex


class _Served:
    digest = "first"


class _Model:
    name = "carotid"


class _Study:
    served = _Served()
    model = _Model()

    @staticmethod
    def own(datastore):
        return datastore


class _Datastore:
    def __init__(self):
        self.pool_index = PoolIndex()
        self.pool_index.fill([("a", ()), ("b", ())])


class _Item:
    def __init__(self, image):
        self.id = image


@pytest.fixture
def world(monkeypatch):
    """What is unscored, which tasks there are, what was started and how often was looked; all may be changed."""

    class World:
        unscored = ("a", "b")
        tasks = {"scoring": [], "train": []}  # noqa: RUF012
        started = []  # noqa: RUF012
        looks = 0

    World.tasks, World.started, World.looks = {"scoring": [], "train": []}, [], 0

    def unscored(_study, _datastore):
        World.looks += 1
        return [_Item(image) for image in World.unscored]

    class Run:
        @staticmethod
        def run(kind, request, enqueue):
            World.started.append((kind, request["method"]))

    monkeypatch.setattr(module, "unscored", unscored)
    monkeypatch.setattr(module, "AsyncTask", Run)
    monkeypatch.setattr(module, "tasks", lambda kind: World.tasks[kind])
    monkeypatch.setattr(module.time, "monotonic", lambda: 1.0)
    _Study.served.digest = "first"
    return World


def test_what_is_unscored_is_scored_once(world):
    auto, store = AutoScoring([_Study], ["pld"]), _Datastore()
    for _ in range(3):
        auto.ask(store, wait=True)
    assert world.started == [("scoring", "pld")]
    assert world.looks == 1


@pytest.mark.parametrize("kind", ["scoring", "train"])
@pytest.mark.parametrize("status", ["SUBMITTED", "RUNNING"])
def test_nothing_starts_while_a_round_or_a_scoring_runs_or_waits(world, kind, status):
    auto, store = AutoScoring([_Study], ["pld"]), _Datastore()
    world.tasks[kind].append({"status": status})
    auto.ask(store, wait=True)
    assert world.started == []
    world.tasks[kind][0] |= {"status": "DONE", "end_ts": "now"}
    auto.ask(store, wait=True)
    assert world.started == [("scoring", "pld")]


def test_it_looks_again_when_there_may_be_something_new(world):
    auto, store = AutoScoring([_Study], ["pld"]), _Datastore()
    auto.ask(store, wait=True)
    world.unscored = ("a", "b", "c")
    auto.ask(store, wait=True)
    assert len(world.started) == 1
    store.pool_index.put("c", ())
    auto.ask(store, wait=True)
    assert len(world.started) == 2
    _Study.served.digest = "second"
    auto.ask(store, wait=True)
    assert len(world.started) == 3


def test_what_was_tried_in_vain_is_not_tried_again(world):
    auto, store = AutoScoring([_Study], ["pld"]), _Datastore()
    auto.ask(store, wait=True)
    world.tasks["scoring"].append({"status": "ERROR", "end_ts": "now"})
    auto.ask(store, wait=True)
    assert (world.looks, len(world.started)) == (2, 1)


def test_an_annotator_does_not_wait_for_it(world, monkeypatch):
    looking, go = threading.Event(), threading.Event()

    def slow(_study, _datastore):
        looking.set()
        go.wait(20)
        return []

    monkeypatch.setattr(module, "unscored", slow)
    auto, store = AutoScoring([_Study], ["pld"]), _Datastore()
    auto.ask(store)
    assert looking.wait(20)
    auto.ask(store)
    go.set()
    assert world.started == []


def test_what_goes_wrong_reaches_no_annotator(world, monkeypatch, caplog):
    monkeypatch.setattr(module, "unscored", lambda *_: 1 / 0)
    auto, store = AutoScoring([_Study], ["pld"]), _Datastore()
    auto.ask(store, wait=True)
    assert "could not be found out" in caplog.text
