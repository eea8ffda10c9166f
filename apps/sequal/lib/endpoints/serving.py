"""The endpoints of the app in front of MONAI Label's of the same path."""

from collections.abc import Callable

from fastapi import FastAPI
from monailabel.config import settings as server_settings
from monailabel.interfaces.app import MONAILabelApp

from lib.endpoints.administration import administration_endpoints
from lib.endpoints.dataset import dataset_endpoints
from lib.endpoints.inference import inference_endpoints
from lib.endpoints.inherited import inherited_routes, pacs_endpoints
from lib.endpoints.session_uploads import session_endpoints
from lib.endpoints.stored_labels import stored_label_endpoints
from lib.endpoints.submissions import submission_endpoints
from lib.endpoints.task_queue import use_task_queues
from lib.endpoints.tasks import task_endpoints
from lib.web.access import behind_prefix
from lib.web.ohif.in_front import put_in_front

__all__ = ["serve_requests"]


def serve_requests(server: FastAPI, app: MONAILabelApp, check_alone: Callable[[], None] = lambda: None) -> None:
    """Answer in place of MONAI Label; called again, the new routes replace the old ones.

    Args:
        server: MONAI Label's FastAPI application.
        app: what runs the tasks.
        check_alone: refuses a training beside a server with a state of its own.
    """
    use_task_queues()
    put_in_front(server, [*behind_prefix(server_settings.MONAI_LABEL_API_STR), *inherited_routes()])
    ours = [
        *task_endpoints(app, check_alone),
        *inference_endpoints(app),
        *session_endpoints(app),
        *dataset_endpoints(app),
        *submission_endpoints(app),
        *stored_label_endpoints(app),
        *administration_endpoints(),
        *([] if "://" in app.studies else pacs_endpoints()),
    ]
    put_in_front(server, [endpoint.route() for endpoint in ours])
