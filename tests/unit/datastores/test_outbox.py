import threading

import pytest

from lib.datastores.outbox import Outbox
from sequal.errors import LabelError, PacsError


class _Pacs:
    """Takes labels, or answers with an error for each."""

    def __init__(self, waiting: list[str]) -> None:
        self.waiting, self.errors, self.tried = waiting, {}, []
        self.empty = threading.Event()

    def send(self, image_id: str) -> None:
        self.tried.append(image_id)
        if image_id in self.errors:
            raise self.errors[image_id]
        self.waiting.remove(image_id)
        if not self.waiting:
            self.empty.set()


@pytest.fixture
def pacs() -> _Pacs:
    return _Pacs(["a", "b"])


def test_what_is_delivered_no_longer_waits(pacs: _Pacs) -> None:
    outbox = Outbox(lambda: list(pacs.waiting), pacs.send)
    assert outbox.deliver("a") == ""
    assert (pacs.waiting, pacs.tried) == (["b"], ["a"])
    assert outbox.deliver("a") == ""  # the PACS has it: nothing is sent twice
    assert pacs.tried == ["a"]


def test_a_refused_label_says_why_and_keeps_no_other_back(pacs: _Pacs, caplog: pytest.LogCaptureFixture) -> None:
    outbox = Outbox(lambda: list(pacs.waiting), pacs.send)
    pacs.errors["a"] = PacsError("The PACS is down.")
    outbox.flush()
    outbox.flush()
    assert (pacs.waiting, pacs.tried) == (["a"], ["a", "b", "a"])
    assert outbox.reason("a") == "The PACS is down."
    assert caplog.text.count("The PACS is down.") == 1  # said once, not with every attempt
    pacs.errors.clear()
    outbox.flush()
    assert (pacs.waiting, outbox.reason("a")) == ([], "")


def test_what_cannot_be_written_is_tried_again_only_when_it_is_submitted_again(pacs: _Pacs) -> None:
    outbox = Outbox(lambda: list(pacs.waiting), pacs.send)
    pacs.errors["a"] = LabelError("It cannot be written.")
    outbox.flush()
    outbox.flush()
    assert pacs.tried == ["a", "b"]
    assert outbox.deliver("a") == "It cannot be written."
    pacs.errors.clear()
    assert outbox.deliver("a") == ""


def test_a_submission_does_not_wait_for_another_one_on_its_way(pacs: _Pacs) -> None:
    started, released = threading.Event(), threading.Event()

    def send(image_id: str) -> None:
        started.set()
        assert released.wait(10)
        pacs.send(image_id)

    outbox = Outbox(lambda: list(pacs.waiting), send)
    thread = threading.Thread(target=outbox.flush)
    thread.start()
    assert started.wait(10)
    assert outbox.deliver("b") == "other labels are being sent"
    released.set()
    thread.join(10)
    assert pacs.waiting == []


def test_its_thread_sends_what_waits_and_outlives_what_goes_wrong(
    pacs: _Pacs, caplog: pytest.LogCaptureFixture
) -> None:
    pacs.errors["a"] = ZeroDivisionError("a library's own")
    outbox = Outbox(lambda: list(pacs.waiting), pacs.send, again_s=0.01)
    outbox.start()
    while "a" not in pacs.tried:
        pass
    pacs.errors.clear()
    assert pacs.empty.wait(10)
    outbox.stop()
    assert "a library's own" in caplog.text
