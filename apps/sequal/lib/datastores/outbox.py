"""Labels on their way to the PACS: sent at once, and again until it takes them."""

import logging
import threading
from collections.abc import Callable
from typing import Final

from sequal.errors import PacsError, SequalError

__all__ = ["Outbox"]

logger = logging.getLogger(__name__)

_AGAIN_S: Final = 20.0


class Outbox:
    """Sends what waits, from the thread of whoever submits and from one of its own.

    Args:
        waiting: ids of the images whose label the PACS does not have, the oldest first.
        send: sends the label of one image; raises SequalError when it cannot be sent.
        again_s: pause between two attempts of its own thread.
    """

    def __init__(
        self, waiting: Callable[[], list[str]], send: Callable[[str], None], *, again_s: float = _AGAIN_S
    ) -> None:
        self._waiting, self._send, self._again_s = waiting, send, again_s
        self._turn = threading.Lock()
        self._reasons: dict[str, str] = {}
        self._impossible: set[str] = set()
        self._ended = threading.Event()

    def start(self) -> None:
        """Send what waits now and whatever waits later, in a thread that ends with the process."""
        threading.Thread(target=self._run, name="labels-to-pacs", daemon=True).start()

    def stop(self) -> None:
        """End the thread after what it is doing."""
        self._ended.set()

    def deliver(self, image_id: str) -> str:
        """Try to send one label now.

        Returns:
            Why it waits; empty when the PACS has it.
        """
        if not self._turn.acquire(blocking=False):
            return "other labels are being sent"
        try:
            self._impossible.discard(image_id)
            if image_id in self._waiting():
                self._try(image_id)
            return self._reasons.get(image_id, "")
        finally:
            self._turn.release()

    def is_given_up(self, image_id: str) -> bool:
        """Whether a label cannot be sent, now or later."""
        return image_id in self._impossible

    def reason(self, image_id: str) -> str:
        """Why a label waits; empty when nothing was tried yet."""
        return self._reasons.get(image_id, "")

    def flush(self) -> None:
        """Try to send everything that waits, the oldest first.

        What cannot be written as DICOM is not tried again before it is submitted again, or the server is restarted.
        """
        with self._turn:
            for image_id in self._waiting():
                if image_id not in self._impossible:
                    self._try(image_id)

    def _try(self, image_id: str) -> None:
        try:
            self._send(image_id)
        except SequalError as error:
            if not isinstance(error, PacsError):
                self._impossible.add(image_id)
            if self._reasons.get(image_id) != str(error):
                logger.warning("The label of %s is kept here and counts; the PACS lacks it. %s", image_id, error)
            self._reasons[image_id] = str(error)
        else:
            if self._reasons.pop(image_id, None):
                logger.info("The PACS has the label of %s now", image_id)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self.flush()
            # The thread must outlive whatever a foreign image does to a library: it is the one that sends.
            except Exception:
                logger.exception("Labels could not be sent to the PACS; trying again")
            self._ended.wait(self._again_s)
