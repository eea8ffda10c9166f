"""Who may talk to the server: the names that it is reached by, and the pages that may use it."""

from lib.web.access.control import AccessControl
from lib.web.access.listening import exposure, start_address
from lib.web.access.one_model import asked_model, check_asked
from lib.web.access.prefix import behind_prefix, check_prefix
from lib.web.access.server import protect

__all__ = [
    "AccessControl",
    "asked_model",
    "behind_prefix",
    "check_asked",
    "check_prefix",
    "exposure",
    "protect",
    "start_address",
]
