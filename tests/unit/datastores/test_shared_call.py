import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.datastores.shared_call import SharedCall

#: For what must happen; reached only by a test that fails.
LONG_S = 30.0


class _Slow:
    """A call that takes until it is let go, and counts."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Semaphore(0), threading.Event()
        self.count = 0

    def __call__(self) -> int:
        self.count += 1
        self.begun.release()
        assert self.go.wait(LONG_S)
        return self.count


def test_the_result_and_the_error_are_those_of_the_call():
    numbers = iter([1, 2])
    call = SharedCall(lambda: next(numbers), LONG_S)
    assert [call.result(), call.result()] == [1, 2]
    with pytest.raises(StopIteration):
        call.result()


def test_those_who_ask_meanwhile_wait_for_the_same_call():
    slow = _Slow()
    call = SharedCall(slow, LONG_S)
    with ThreadPoolExecutor(3) as askers:
        results = [askers.submit(call.result) for _ in range(3)]
        assert slow.begun.acquire(timeout=LONG_S)
        slow.go.set()
        assert results[0].result() == 1
        assert {result.result() for result in results} <= {1, 2, 3}


def test_a_call_that_takes_too_long_goes_on_and_is_not_made_twice():
    slow = _Slow()
    call = SharedCall(slow, 0.1)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            call.result()
    assert slow.count == 1
    slow.go.set()
    assert call._made
    assert call._made.result(LONG_S) == 1
    assert SharedCall(slow, LONG_S).result() == 2
