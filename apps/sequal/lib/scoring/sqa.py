"""The `sqa` scoring method: as `pld`, for a study whose model in service has an error branch."""

from typing import Any

from monailabel.interfaces.datastore import Datastore

from lib.configs import Study
from lib.scoring.pld import PldScoring
from sequal.acquisition import SQA
from sequal.errors import CheckpointError

__all__ = ["SqaScoring"]


class SqaScoring(PldScoring):
    """Writes the predicted Dice of every unlabelled image to the ledger, with all scores of the same pass."""

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self.description = "Predicted Dice of every unlabelled image, the lowest is asked for first"

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Score as `PldScoring` does.

        Raises:
            CheckpointError: the model in service has no error branch.
        """
        if self._study.served.load().branched is None:
            raise CheckpointError(
                "Expected the model in service to have an error branch, which says where masks are wrong, got one "
                "without. Train once with `quality_weight` over 0, or ask by another strategy than `sqa`."
            )
        wanted = ",".join(filter(None, (str(request.get("acquisitions") or ""), SQA)))
        return super().__call__({**request, "acquisitions": wanted}, datastore)
