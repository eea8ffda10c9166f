"""The SEQUAL app for MONAI Label: reads the settings, wires the adapters, nothing else."""

import logging
import os
import sys
from pathlib import Path
from typing import Any

from fastapi import Depends
from monailabel.config import settings as server_settings
from monailabel.endpoints.user.auth import RBAC
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag

from lib.activelearning import LeasedStrategy
from lib.configs import Claims, Study, conflict, in_task_process, not_found, refusal
from lib.datastores import (
    DicomWebStudy,
    LabelGuard,
    ServedImages,
    StudyFolder,
    open_archive,
    search_filter,
    viewed_pacs,
)
from lib.datastores.label_guard import MADE_BY, WARNINGS
from lib.endpoints import SafeSessions, accept_tokens, serve_requests
from lib.infers import (
    IMAGE_ID,
    INFERS,
    SENT_FILE,
    SequalBatchInfer,
    check_storable,
    image_file,
)
from lib.scoring import AutoScoring, LabelChecks, PldScoring, SqaScoring
from lib.trainers import RoundTrain
from lib.web.access import exposure, protect, start_address
from lib.web.dicomweb import FolderService
from lib.web.ohif import LastPredictions, serve_pacs, serve_study_list
from lib.web.routes import Access, serve_study
from sequal.acquisition import STRATEGIES
from sequal.errors import SequalError
from sequal.memory import watch_memory
from sequal.processor import step_back, wait_without_spinning
from sequal.study.state import (
    end_with_parent,
    file_digest,
    repair_published,
    state_warnings,
    study_warnings,
)
from sequal.version import VERSION

logger = logging.getLogger(__name__)

#: What clients call the app, by model.
NAMES = {"carotid": "SEQUAL - carotid intima-media", "volume": "SEQUAL - volumes"}


class SequalApp(MONAILabelApp):
    """Active learning from sparse, noisy labels, first for the carotid intima-media layer in ultrasound."""

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        if in_task_process():
            end_with_parent()
            step_back()
        else:
            wait_without_spinning()
            watch_memory()
        try:
            self.study = Study.open(app_dir, studies, conf)
            self._claims = Claims(self.study)
            super().__init__(
                app_dir=app_dir,
                studies=studies,
                conf=conf,
                name=NAMES[self.study.model.name],
                description=f"Active learning from sparse, noisy labels of {', '.join(self.study.model.labels)}",
                version=VERSION,
                labels=list(self.study.model.labels),
            )
        except SequalError as error:
            # What stops the start is a sentence for people; the way to it through the code would hide it.
            sys.tracebacklimit = 0
            raise error.with_traceback(None) from None
        # A task is started by this process, not by a request over HTTP to its own address.
        self._server_mode = "monailabel.app" in sys.modules
        self._predictions = LastPredictions()
        self._service = self._folder_service()
        self._protect_server()
        self._serve_viewers()
        self._study_warnings = self._look_after()
        self._label_checks = LabelChecks(self.study, self.datastore)
        self._auto_scoring = AutoScoring(self.study, ["pld"])
        if not self.study.settings.auto_scoring:
            self._auto_update_scoring = False

    def init_datastore(self) -> Datastore:
        """The studies folder or the PACS, guarded; any other remote study as MONAI Label opens it."""
        guard = LabelGuard(self.study.state, self.study.settings)
        if "://" in self.studies:
            if server_settings.MONAI_LABEL_DATASTORE:
                return super().init_datastore()  # another kind of remote study
            archive, found = open_archive(self.studies, server_settings), search_filter(server_settings)
            self._claim_study(found)
            return DicomWebStudy(archive, found, self.study.state, guard)
        self._claim_study()
        return StudyFolder(self.studies, guard, auto_reload=server_settings.MONAI_LABEL_DATASTORE_AUTO_RELOAD)

    def _claim_study(self, search: dict[str, Any] | None = None) -> None:
        """Refuse to serve what another server serves with a state of its own; `search` is the filter of a PACS."""
        if not in_task_process():  # which serves nobody
            self._claims.make(self.studies, search)

    def _check_alone(self) -> None:
        """Ask for nothing and train nothing beside a server with a state of its own.

        Raises:
            HTTPException: 409, with what to do.
        """
        told, store = self._claims.contested(), self.datastore()
        if isinstance(store, DicomWebStudy) and self.study.settings.other_states == "refuse":
            told = told or store.refused()
        if told:
            raise conflict(told)

    def init_infers(self) -> dict[str, Any]:
        """The model as a mask, and of a layer also as curves; clients take the first as their default."""
        return {name: task(self.study) for name, task in INFERS[self.study.model.name].items()}

    def init_trainers(self) -> dict[str, Any]:
        """Its trainer."""
        return {self.study.model.name: RoundTrain(self.study)}

    def init_scoring_methods(self) -> dict[str, Any]:
        """Both write the scores of one pass; `sqa` adds its own, and refuses a model that cannot give it."""
        return {"pld": PldScoring(self.study), "sqa": SqaScoring(self.study)}

    def init_strategies(self) -> dict[str, Any]:
        """Every query strategy; the one in the settings first, since clients take the first as their default."""
        default = self.study.settings.strategy
        names = sorted(STRATEGIES, key=lambda name: (name != default, name))
        return {name: LeasedStrategy(self.study, STRATEGIES[name]) for name in names}

    def init_batch_infer(self) -> SequalBatchInfer:
        """Batch inference that needs no GPU."""
        return SequalBatchInfer()

    def info(self) -> dict[str, Any]:
        """What clients ask for first, with what is not well with the study."""
        known: dict[str, Any] = super().info()
        store = self.datastore()
        others = [told] if (told := self._claims.contested()) else []
        others += store.warnings() if isinstance(store, DicomWebStudy) else []
        return {**known, "warnings": [*self._study_warnings, *others, *state_warnings(self.study.state.root)]}

    def infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Segment an image of the study, or a file sent along.

        Raises:
            HTTPException: 404 for a model or an image that is not there; 400 when the model has no such result, or its
                mask would replace an expert's label.
        """
        model, store = request.get("model"), datastore or self.datastore()
        if model not in self._infers:
            raise not_found("model", model, self._infers)
        file = image_file(request, store)
        image = None if request.get(SENT_FILE) else str(request["image"])
        tag = request.get("label_tag") or DefaultLabelTag.ORIGINAL.value
        stored = image is not None and bool(request.get("save_label"))
        if image is not None and stored:
            self._infers[model].check({**request, "save_label": True})
            check_storable(store, image, tag)
        # By its file: MONAI Label takes a file of this name in the working folder before an image of the study.
        named = {"image": file, IMAGE_ID: image, "save_label": False}
        result: dict[str, Any] = super().infer({**request, **named}, store)
        if image is not None and stored:
            about = {MADE_BY: model, "params": result["params"]}
            result |= {"label": store.save_label(image, result["file"], tag, about), "tag": tag}
        if image is not None:
            self._predictions.keep(image, result["params"])
        return result

    def infer_wsi(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Refused: MONAI Label reads any path for it.

        Raises:
            HTTPException: 404, always.
        """
        raise not_found("whole-slide model", request.get("model"))

    def next_sample(self, request: dict[str, Any]) -> dict[str, Any]:
        """The image that the strategy asks for; the one in the settings when the client names none.

        Raises:
            HTTPException: 404 for a strategy that is not there; 409 beside a server with a state of its own; 500 when
                the study's state cannot be used.
        """
        named = request.get("strategy") or self.study.settings.strategy
        if named not in self._strategies:
            raise not_found("strategy", named, self._strategies)
        if isinstance(self._datastore, DicomWebStudy):
            self._datastore.check_answers()
        self._check_alone()
        try:
            result: dict[str, Any] = super().next_sample({**request, "strategy": named})
        except SequalError as error:
            raise refusal(error) from error
        if result and self._service is not None:
            uids, image = self._service.uids, str(result["id"])
            result |= {"StudyInstanceUID": uids.study(image), "SeriesInstanceUID": uids.series(image)}
        return result

    def async_scoring(self, method: str | None, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Start a scoring process; without a method only in the server, and where `AutoScoring` finds one wanted."""
        if method is None:
            if "monailabel.app" in sys.modules:  # a process that trains would have to ask the server over HTTP
                self._auto_scoring.ask(self.datastore())
            return {}
        result: dict[str, Any] = super().async_scoring(method, params)
        return result

    def on_init_complete(self) -> None:
        """The server is about to answer: say where."""
        super().on_init_complete()
        address = start_address(sys.argv)
        if address:
            logger.info("Ready. Open %s in a browser.", address)

    def _look_after(self) -> list[str]:
        """Repair what can be repaired, and say in the log what is not well; what holds for the studies folder."""
        if in_task_process():
            return []
        try:
            repair_published(self.study.state)
        except SequalError as error:
            logger.error("%s", error)
        found = [] if "://" in self.studies else study_warnings(Path(self.studies))
        for warning in [*found, *state_warnings(self.study.state.root)]:
            logger.warning(warning)
        return found

    def _load_sessions(self, load: bool = False) -> SafeSessions | None:
        """Sessions, when the setting turns them on: images of a study need none."""
        if not (load and self.study.settings.sessions):
            return None
        folder = server_settings.MONAI_LABEL_SESSION_PATH or str(self.study.state.root / "sessions")
        return SafeSessions(folder, server_settings.MONAI_LABEL_SESSION_EXPIRY)

    def _protect_server(self) -> None:
        """Refuse unknown keys, names and pages; warn when the network reaches the server without a password."""
        server = sys.modules.get("monailabel.app")
        if server is None:
            return
        settings = self.study.settings
        listed = [str(origin).rstrip("/").lower() for origin in server_settings.MONAI_LABEL_CORS_ORIGINS]
        accept_tokens()
        serve_requests(server.app, self, self._check_alone)
        protect(server.app, settings.hosts, [*settings.origins, *listed], self._known_id)
        risk = exposure(sys.argv, authenticated=server_settings.MONAI_LABEL_AUTH_ENABLE)
        if risk:
            logger.warning(risk)

    def _folder_service(self) -> FolderService | None:
        """What shows a studies folder to viewers as a PACS would; None for a study that is no folder."""
        store = self._datastore
        folder = isinstance(store, StudyFolder) and not isinstance(store, DicomWebStudy)
        return FolderService(ServedImages(store, self.study)) if folder and self._of_frames else None

    @property
    def _of_frames(self) -> bool:
        """The browser's pages and OHIF show frames; volumes are for 3D Slicer."""
        return self.study.model.spatial_dims == 2

    def _known_id(self, name: str) -> str:
        """The study's own id for a name that looks the same."""
        store = self.datastore()
        return store.known_id(name) if isinstance(store, StudyFolder) else name

    def _serve_viewers(self) -> None:
        """The app's own routes, the way to the images, and OHIF; a process that trains has no server."""
        server = sys.modules.get("monailabel.app")
        if server is None:
            return
        readers = [Depends(RBAC(server_settings.MONAI_LABEL_AUTH_ROLE_USER))]
        annotators = [Depends(RBAC(server_settings.MONAI_LABEL_AUTH_ROLE_ANNOTATOR))]
        trainers = [Depends(RBAC(server_settings.MONAI_LABEL_AUTH_ROLE_ADMIN))]
        access = Access(readers, annotators, trainers)
        root = server_settings.MONAI_LABEL_API_STR
        serve_study(
            server.app,
            self.study,
            self.datastore,
            self._predictions,
            access,
            self._service,
            studies=self.studies,
            root=root,
        )
        if self.study.settings.ohif_bridge and self._of_frames:
            serve_study_list(server.app, Path(server.static_dir) / "ohif")
        # The stock viewer needs it as much: what hangs is the server.
        pacs = viewed_pacs(self.studies, server_settings) if isinstance(self._datastore, DicomWebStudy) else None
        if pacs is not None:
            serve_pacs(server.app, pacs, readers, root=root)

    def on_save_label(self, image_id: str, label_id: str) -> dict[str, Any]:
        """End the lease, forget a refined label that came from an older version, and let the label judge the model.

        Returns:
            What the client is told beside the ids: `warnings` about the label, where there are any, and whether the
            PACS has the label, or why it waits.
        """
        warnings: list[str] = []
        try:
            self._accept(image_id, label_id)
        except (SequalError, OSError) as error:
            # The label is stored, and that is what the client has to know. The lease runs out by itself, and a refined
            # label of an older version is not used.
            logger.exception("The label of %s is stored; the state could not be changed with it", image_id)
            warnings.append(f"The label is stored. {error}")
        self._label_checks.put(image_id)
        store = self.datastore()
        info = store.get_label_info(label_id, DefaultLabelTag.FINAL)
        warnings += info.get(WARNINGS) or []
        told = {WARNINGS: warnings} if warnings else {}
        return told | (store.delivery(image_id) if isinstance(store, DicomWebStudy) else {})

    def _accept(self, image_id: str, label_id: str) -> None:
        state = self.study.state
        state.ledger.release(image_id)
        provenance = state.refined.provenance(image_id)
        if provenance is None:
            return
        label = self.datastore().get_label_uri(label_id, DefaultLabelTag.FINAL)
        if not label or not os.path.exists(label) or provenance.label_digest != file_digest(Path(label)):
            state.refined.drop(image_id)
            state.ledger.drop_refined(image_id)
            logger.info("The expert changed the label of %s: its refined label is dropped", image_id)
