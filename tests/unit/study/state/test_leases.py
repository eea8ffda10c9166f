import multiprocessing
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sequal.study.state import ANONYMOUS, Ledger

IMAGES = ["a", "b", "c"]


@pytest.fixture
def ledger(tmp_path):
    return Ledger.open(tmp_path / "ledger.db")


def test_two_clients_get_different_images_in_the_order_of_wanting(ledger):
    assert ledger.acquire_lease(IMAGES, "x", 60, now=0) == "a"
    assert ledger.acquire_lease(IMAGES, "y", 60, now=0) == "b"
    assert ledger.leased(now=1) == {"a": "x", "b": "y"}


def test_asking_again_skips_and_keeps_the_earlier_lease(ledger):
    assert ledger.acquire_lease(IMAGES, "x", 60, now=0) == "a"
    assert ledger.acquire_lease(IMAGES, "x", 60, now=1) == "b"
    assert ledger.acquire_lease(IMAGES, "y", 60, now=2) == "c"


def test_own_leases_come_back_in_turn_when_nothing_is_free(ledger):
    for now in (0, 1):
        ledger.acquire_lease(IMAGES[:2], "x", 60, now=now)
    assert [ledger.acquire_lease(IMAGES[:2], "x", 60, now=now) for now in (2, 3, 4)] == ["a", "b", "a"]
    assert ledger.acquire_lease(IMAGES[:2], "y", 60, now=62) is None
    assert ledger.acquire_lease(IMAGES[:2], "y", 60, now=63) == "b"


def test_an_offer_renews_the_lease(ledger):
    ledger.acquire_lease(["a"], "x", 60, now=0)
    ledger.acquire_lease(["a"], "x", 60, now=50)
    assert ledger.acquire_lease(["a"], "y", 60, now=100) is None


def test_none_is_left(ledger):
    assert ledger.acquire_lease([], "x", 60, now=0) is None
    ledger.acquire_lease(["a"], "x", 60, now=0)
    assert ledger.acquire_lease(["a"], "y", 60, now=0) is None


def test_lease_runs_out_at_its_end(ledger):
    ledger.acquire_lease(["a"], "x", 60, now=0)
    assert ledger.acquire_lease(["a"], "y", 60, now=59.9) is None
    assert ledger.leased(now=60) == {}
    assert ledger.acquire_lease(["a"], "y", 60, now=60) == "a"


def test_submitting_releases(ledger):
    ledger.acquire_lease(["a"], "x", 60, now=0)
    ledger.release("a")
    ledger.release("a")
    assert ledger.acquire_lease(["a"], "y", 60, now=1) == "a"


def test_own_lease_on_an_image_that_is_no_candidate_is_not_offered(ledger):
    ledger.acquire_lease(["a"], "x", 60, now=0)
    assert ledger.acquire_lease(["b"], "x", 60, now=1) == "b"
    assert ledger.acquire_lease(["b"], "x", 60, now=2) == "b"


def test_renewing(ledger):
    ledger.acquire_lease(["a"], "x", 60, now=0)
    assert ledger.renew("a", "x", 60, now=50)
    assert ledger.leased(now=100) == {"a": "x"}
    assert not ledger.renew("a", "y", 60, now=100)
    assert not ledger.renew("b", "x", 60, now=100)
    assert not ledger.renew("a", "x", 60, now=110)


@pytest.mark.parametrize("name", [None, ""])
def test_clients_without_a_name_are_one_client(ledger, name):
    assert ledger.acquire_lease(IMAGES, name, 60, now=0) == "a"
    assert ledger.acquire_lease(IMAGES, None, 60, now=0) == "b"
    assert ledger.leased(now=1) == {"a": ANONYMOUS, "b": ANONYMOUS}
    assert ledger.renew("a", name, 60, now=1)


def test_leases_survive_a_restart(tmp_path):
    Ledger.open(tmp_path / "ledger.db").acquire_lease(IMAGES, "x", 60, now=0)
    assert Ledger.open(tmp_path / "ledger.db").acquire_lease(IMAGES, "y", 60, now=1) == "b"


def test_another_server_that_was_quicker_is_noticed(ledger, monkeypatch):
    ledger.acquire_lease(IMAGES, "x", 60, now=0)
    # In a database without SQLite's single writer, the other's lease may come after this one looked.
    monkeypatch.setattr(ledger, "_held", lambda connection, now: {})
    assert ledger.acquire_lease(IMAGES, "y", 60, now=0) == "b"


def take_all(path, client, images, found):
    """Ask until nothing new comes, as one annotator who never submits."""
    ledger = Ledger.open(path)
    mine = []
    while (image := ledger.acquire_lease(images, client, 60, now=0)) is not None and image not in mine:
        mine.append(image)
    found.put((client, mine))


@pytest.mark.parametrize("kind", ["process", "thread"])
def test_no_image_goes_to_two_clients_that_ask_at_once(tmp_path, kind):
    path = tmp_path / "ledger.db"
    Ledger.open(path)
    images = [f"image-{number:02d}" for number in range(30)]
    context = multiprocessing.get_context("fork")
    found = context.Queue()
    make = context.Process if kind == "process" else threading.Thread
    workers = [make(target=take_all, args=(path, f"client-{n}", images, found)) for n in range(4)]
    for worker in workers:
        worker.start()
    taken = [found.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    everything = [image for _, mine in taken for image in mine]
    assert sorted(everything) == images
    assert Ledger.open(path).leased(now=1) == {image: client for client, mine in taken for image in mine}


STEPS = st.lists(
    st.tuples(st.sampled_from(["acquire", "release", "renew"]), st.sampled_from("xyz"), st.integers(0, 40)),
    max_size=20,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_an_acquired_image_is_never_held_by_another(tmp_path, steps):
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'property.db'}")
    for image in IMAGES:
        ledger.release(image)
    now = 0
    for action, client, delay in steps:
        now += delay
        before = ledger.leased(now=now)
        if action == "acquire":
            image = ledger.acquire_lease(IMAGES, client, 60, now=now)
            if image is None:
                assert set(before) == set(IMAGES)
                assert client not in before.values()
            else:
                assert before.get(image, client) == client
                assert ledger.leased(now=now)[image] == client
        elif action == "renew":
            assert ledger.renew("a", client, 60, now=now) == (before.get("a") == client)
        else:
            ledger.release("a")
            assert "a" not in ledger.leased(now=now)


def test_no_more_candidates_are_looked_at_than_are_needed(ledger):
    asked = []

    def candidates():
        for number in range(10**9):
            asked.append(number)
            yield f"i{number}"

    assert ledger.acquire_lease(candidates(), "x", 60, now=0) == "i0"
    assert ledger.acquire_lease(candidates(), "y", 60, now=0) == "i1"
    assert len(asked) < 50


def test_an_image_that_another_server_took_meanwhile_is_passed_over(ledger):
    def candidates():
        for number, image in enumerate(["a", "b"] + [f"i{n}" for n in range(40)]):
            if number == 1:
                assert ledger.acquire_lease(["a"], "other", 60, now=0) == "a"
            yield image

    assert ledger.acquire_lease(candidates(), "x", 60, now=0) == "b"
