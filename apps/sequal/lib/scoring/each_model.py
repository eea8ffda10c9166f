"""A scoring method over the studies of a server."""

import logging
from collections.abc import Mapping
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.scoring import ScoringMethod

from lib.configs import chosen
from lib.scoring.pld import PldScoring
from sequal.errors import SequalError

__all__ = ["EachModel"]

logger = logging.getLogger(__name__)


class EachModel(ScoringMethod):
    """Scores the images of every model, or with `{"model": NAME}` those of one.

    Args:
        methods: the method on the study of each model.
    """

    def __init__(self, methods: Mapping[str, PldScoring]) -> None:
        super().__init__(next(iter(methods.values())).description)
        self._methods = methods

    def check(self, request: Mapping[str, Any]) -> None:
        """Refuse a request before it waits for its turn.

        Raises:
            SettingsError: it names a model that is not served, or as `PldScoring.check`.
        """
        for method in chosen(self._methods, request).values():
            method.check(request)

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Score; what the method returns, of several models by their names.

        Of several models, one that cannot be scored, since it has no checkpoint yet, has the reason under `error`.

        Raises:
            SequalError: none could be scored.
        """
        methods = chosen(self._methods, request)
        results: dict[str, Any] = {}
        errors: list[SequalError] = []
        for model, method in methods.items():
            try:
                results[model] = method(request, datastore)
            except SequalError as error:
                logger.warning("The images of %s are not scored: %s", model, error)
                results[model] = {"error": str(error)}
                errors.append(error)
        if len(errors) == len(methods):
            raise errors[0]
        return results if len(methods) > 1 else next(iter(results.values()))
