"""The queues of trainings, scorings and batches: a task that cannot start says so, and waiting ones can be stopped."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final

import psutil
from monailabel.utils.async_tasks import utils

__all__ = ["TaskQueue", "stop_tasks", "use_task_queues", "wait_for_task"]

logger = logging.getLogger(__name__)

_METHODS: Final = ("train", "scoring", "batch_infer")
_WAITING, _STOPPED, _ERROR = "SUBMITTED", "STOPPED", "ERROR"
_POLL_S: Final = 0.1
#: How long a process may take to come up after its task was stopped.
_COMING_UP_S: Final = 10.0


class TaskQueue(ThreadPoolExecutor):
    """Runs MONAI Label's background tasks one after the other, in its own way to start them.

    MONAI Label forgets what a task raises before its process runs, so that it waits for good, and everybody who looks
    whether one is waiting with it.
    """

    def __init__(self, method: str) -> None:
        super().__init__(max_workers=1, thread_name_prefix=method)
        self._turn = threading.Lock()
        self.started: str | None = None

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401
        """Put a task in line.

        Args:
            call: MONAI Label's function that starts its process and waits for it.
            args: the task, its method, and what is called at its end.
            kwargs: none.
        """
        task = args[0]

        def run() -> None:
            with self._turn:
                if task["status"] != _WAITING:
                    return
                self.started = task["id"]
            try:
                call(*args, **kwargs)
            except Exception as error:
                logger.exception("A task could not be started")
                end_task(task, _ERROR, f"{type(error).__name__}: {error}")
            finally:
                self.started = None

        return super().submit(run)

    def stop_waiting(self, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Take tasks out of the line; those that were in it."""
        with self._turn:
            waiting = [task for task in tasks if task["status"] == _WAITING and task["id"] != self.started]
            for task in waiting:
                end_task(task, _STOPPED, "It was stopped before its turn came.")
        return waiting


def end_task(task: dict[str, Any], status: str, reason: str) -> None:
    """Note that a task is over."""
    task["status"], task["details"] = status, [reason]
    task["end_ts"] = datetime.today().strftime("%Y-%m-%d %H:%M:%S")


def use_task_queues() -> None:
    """Let MONAI Label put its tasks into queues of this kind; those of before stay."""
    for method in _METHODS:
        if not isinstance(utils.background_executors.get(method), TaskQueue):
            utils.background_executors[method] = TaskQueue(method)


def stop_tasks(method: str) -> dict[str, Any] | None:
    """Stop the running task and all that wait behind it.

    Returns:
        The task that ran, else the first that waited; None when there was none.
    """
    queue, tasks = utils.background_executors.get(method), list(utils.tasks(method))
    waiting = queue.stop_waiting(tasks) if isinstance(queue, TaskQueue) else []
    running = queue.started if isinstance(queue, TaskQueue) else None
    stopped, end = None, time.monotonic() + _COMING_UP_S
    while True:
        try:
            stopped = utils.stop_background_task(method) or stopped
        except psutil.NoSuchProcess:  # it has just ended by itself
            stopped = next((task for task in tasks if task["id"] == running), None)
        # Its process may be about to start: it is waited for, so that nothing runs when this is answered.
        if stopped or running is None or queue.started != running or time.monotonic() > end:
            break
        time.sleep(_POLL_S)
    return stopped or (waiting[0] if waiting else None)


def wait_for_task(task: dict[str, Any]) -> None:
    """Wait until a task is over, in the thread of whoever asked for it."""
    while "end_ts" not in task:
        time.sleep(_POLL_S)
