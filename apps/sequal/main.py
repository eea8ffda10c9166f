"""The SEQUAL app for MONAI Label: reads the settings, wires the adapters, nothing else."""

import logging
import sys
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import Depends
from monailabel.config import settings as server_settings
from monailabel.endpoints.user.auth import RBAC
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag

from lib.activelearning import LeasedStrategy, ModelsInTurn
from lib.configs import Claims, Studies, Study, conflict, in_task_process, not_found, refusal
from lib.datastores import (
    DicomWebStudy,
    JoinedStudies,
    ServedImages,
    StudyFolder,
    accept_label,
    open_folders,
    open_pacs,
    viewed_pacs,
    with_pacs_plan,
)
from lib.datastores.label_guard import MADE_BY
from lib.endpoints import SafeSessions, accept_tokens, serve_requests
from lib.infers import (
    IMAGE_ID,
    OWNERS,
    SENT_FILE,
    SequalBatchInfer,
    check_owner,
    check_storable,
    image_file,
    infer_tasks,
)
from lib.scoring import AutoScoring, EachModel, LabelChecks, PldScoring, SqaScoring
from lib.trainers import RoundTrain
from lib.web.access import asked_model, check_prefix, exposure, protect, start_address
from lib.web.dicomweb import FolderService
from lib.web.ohif import STUDY_LIST, VOLUME_LABELS, LastPredictions, serve_app_config, serve_pacs
from lib.web.ohif.in_front import place_of
from lib.web.routes import Access, Served, serve_studies
from sequal.acquisition import STRATEGIES
from sequal.errors import SequalError
from sequal.memory import watch_memory
from sequal.processor import step_back, wait_without_spinning
from sequal.study.state import end_with_parent, state_warnings
from sequal.version import VERSION

logger = logging.getLogger(__name__)


class SequalApp(MONAILabelApp):
    """Active learning from sparse, noisy labels, first for the carotid intima-media layer in ultrasound."""

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        if in_task_process():
            end_with_parent()
            step_back()
        else:
            wait_without_spinning()
            watch_memory()
        self._prefix = server_settings.MONAI_LABEL_API_STR
        try:
            self._studies = Studies.open(app_dir, studies, conf, partial(with_pacs_plan, studies, server_settings))
            self._claims = Claims(self._studies)
            super().__init__(
                app_dir=app_dir,
                studies=studies,
                conf=conf,
                name=f"SEQUAL - {' and '.join(study.model.title for study in self._studies)}",
                description=f"Active learning from sparse, noisy labels of {', '.join(self._studies.labels)}",
                version=VERSION,
                labels=self._studies.labels,
            )
            # A task is started by this process, not by a request over HTTP to its own address.
            self._server_mode = "monailabel.app" in sys.modules
            self._predictions = LastPredictions()
            self._service = self._folder_service()
            self._protect_server()
            self._serve_viewers()
        except SequalError as error:
            # What stops the start is a sentence for people; the way to it through the code would hide it.
            sys.tracebacklimit = 0
            raise error.with_traceback(None) from None
        self._study_warnings = [] if in_task_process() else self._studies.look_after()
        self._label_checks = {
            study.model.name: LabelChecks(study, partial(self._images_of, study)) for study in self._studies
        }
        scored = [study for study in self._studies if study.settings.auto_scoring]
        self._auto_scoring = AutoScoring(scored, ["pld"])
        if not scored:
            self._auto_update_scoring = False

    def init_datastore(self) -> Datastore:
        """The studies folders or the PACS, guarded; any other remote study as MONAI Label opens it."""
        if "://" not in self.studies:
            return open_folders(self._studies, self._claims, watched=server_settings.MONAI_LABEL_DATASTORE_AUTO_RELOAD)
        if server_settings.MONAI_LABEL_DATASTORE:
            return super().init_datastore()  # another kind of remote study
        return open_pacs(self._studies, self._claims, server_settings)

    def _check_alone(self) -> None:
        """Ask for nothing and train nothing beside a server with a state of its own.

        Raises:
            HTTPException: 409, with what to do.
        """
        told = self._claims.contested()
        for study, store in self._in_pacs():
            if study.settings.other_states == "refuse":
                told = told or store.refused()
        if told:
            raise conflict(told)

    def _model_of(self, image: str) -> str | None:
        """The model of an image; None where there is one model alone, or no such image."""
        return self._datastore.model_of(image) if isinstance(self._datastore, JoinedStudies) else None

    def _study_of(self, image: str) -> Study:
        return self._studies.by_model.get(self._model_of(image) or "", self._studies.first)

    def _images_of(self, study: Study) -> Datastore:
        return study.own(self._datastore)

    def _in_pacs(self) -> list[tuple[Study, DicomWebStudy]]:
        """The studies that are in a PACS, each with its images."""
        stores = [(study, self._images_of(study)) for study in self._studies]
        return [(study, store) for study, store in stores if isinstance(store, DicomWebStudy)]

    def datastore(self) -> Datastore:
        """The images of the server, or of the model to whose address a request came."""
        model = asked_model()
        return self._datastore if model is None else self._images_of(self._studies.by_model[model])

    def init_infers(self) -> dict[str, Any]:
        """Each model as a mask, and of a layer also as curves; clients take the first as their default."""
        return {name: task(study) for study in self._studies for name, task in infer_tasks(type(study.model)).items()}

    def init_trainers(self) -> dict[str, Any]:
        """A trainer a model."""
        return {model: RoundTrain(study) for model, study in self._studies.by_model.items()}

    def init_scoring_methods(self) -> dict[str, Any]:
        """Both write the scores of one pass; `sqa` adds its own, and refuses a model that cannot give it."""
        methods = {"pld": PldScoring, "sqa": SqaScoring}
        studies = self._studies.by_model.items()
        return {name: EachModel({model: method(study) for model, study in studies}) for name, method in methods.items()}

    def init_strategies(self) -> dict[str, Any]:
        """Every query strategy; the one in the settings first, since clients take the first as their default."""
        default, studies = self._studies.first.settings.strategy, self._studies.by_model.items()
        names = sorted(STRATEGIES, key=lambda name: (name != default, name))
        return {
            name: ModelsInTurn({model: LeasedStrategy(study, STRATEGIES[name]) for model, study in studies})
            for name in names
        }

    def init_batch_infer(self) -> SequalBatchInfer:
        """Batch inference that needs no GPU."""
        return SequalBatchInfer()

    def info(self) -> dict[str, Any]:
        """What clients ask for first, with what is not well with the study."""
        known: dict[str, Any] = super().info()
        of_states = [told for study in self._studies for told in state_warnings(study.state.root)]
        known["warnings"] = [*self._study_warnings, *self._other_warnings(), *of_states]
        model = asked_model()
        if model is None:
            return known
        tasks = {task: told for task, told in known["models"].items() if OWNERS[task] == model}
        own = {key: {model: known[key][model]} for key in ("trainers", "train_stats")}
        study, strategies = self._studies.by_model[model], known["strategies"]
        labels, images = list(study.model.labels), self.datastore().status()
        first = {name: told for name, told in strategies.items() if name == study.settings.strategy}
        own["strategies"] = first | strategies
        return {**known, **own, "models": tasks, "labels": labels, "datastore": images}

    def _other_warnings(self) -> list[str]:
        """What is not well beside the studies themselves."""
        others = [told] if (told := self._claims.contested()) else []
        others += self._datastore.warnings() if isinstance(self._datastore, JoinedStudies) else []
        others += [told for _, store in self._in_pacs() for told in (*store.warnings(), *store.left_out())]
        return [*others, *self._studies.warnings()]

    def infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Segment an image of the study, or a file sent along.

        Raises:
            HTTPException: 404 for a model or an image that is not there; 400 when the image is of another model, the
                model has no such result, or its mask would replace an expert's label.
        """
        model = request.get("model")
        if model not in self._infers:
            raise not_found("model", model, self._infers)
        store = datastore or self._images_of(self._studies.by_model[OWNERS[str(model)]])
        image = None if request.get(SENT_FILE) else str(request.get("image"))
        if image is not None:
            check_owner(str(model), image, OWNERS[str(model)], self._model_of(image))
        file = image_file(request, store)
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

    def batch_infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Segment many images of the model's study."""
        study = self._studies.by_model[OWNERS[request["model"]]]
        result: dict[str, Any] = super().batch_infer(request, datastore or self._images_of(study))
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
        model = str(request.get("model") or asked_model())
        named = request.get("strategy") or self._studies.by_model.get(model, self._studies.first).settings.strategy
        if named not in self._strategies:
            raise not_found("strategy", named, self._strategies)
        for _, store in self._in_pacs()[:1]:  # all are in one PACS
            store.check_answers()
        self._check_alone()
        try:
            result: dict[str, Any] = super().next_sample({**request, "strategy": named})
        except SequalError as error:
            raise refusal(error) from error
        if result and self._service is not None and result["id"] in self._service.study:
            uids, image = self._service.uids, str(result["id"])
            result |= {"StudyInstanceUID": uids.study(image), "SeriesInstanceUID": uids.series(image)}
        return result

    def async_scoring(self, method: str | None, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Start a scoring process; without a method only in the server, and where `AutoScoring` finds one wanted."""
        if method is None:
            if "monailabel.app" in sys.modules:  # a process that trains would have to ask the server over HTTP
                self._auto_scoring.ask(self._datastore)
            return {}
        result: dict[str, Any] = super().async_scoring(method, params)
        return result

    def on_init_complete(self) -> None:
        """The server is about to answer: say where."""
        super().on_init_complete()
        address = start_address(sys.argv)
        if address:
            logger.info("Ready. Open %s in a browser.", address)

    def _load_sessions(self, load: bool = False) -> SafeSessions | None:
        """Sessions, when the setting turns them on: images of a study need none."""
        study = self._studies.first
        if not (load and study.settings.sessions):
            return None
        folder = server_settings.MONAI_LABEL_SESSION_PATH or str(study.state.root / "sessions")
        return SafeSessions(folder, server_settings.MONAI_LABEL_SESSION_EXPIRY)

    def _protect_server(self) -> None:
        """Refuse unknown keys, names and pages; warn when the network reaches the server without a password."""
        server = sys.modules.get("monailabel.app")
        if server is None:
            return
        settings = self._studies.first.settings
        listed = [str(origin).rstrip("/").lower() for origin in server_settings.MONAI_LABEL_CORS_ORIGINS]
        accept_tokens()
        serve_requests(server.app, self, self._check_alone)
        origins = [*settings.origins, *listed]
        protect(server.app, settings.hosts, origins, self._known_id, self._studies.by_model, self._prefix)
        risk = exposure(sys.argv, authenticated=server_settings.MONAI_LABEL_AUTH_ENABLE)
        if risk:
            logger.warning(risk)

    def _folder_service(self) -> FolderService | None:
        """What shows a studies folder of frames to viewers as a PACS would; None for a study that is no folder."""
        study = self._studies.of_frames
        store = None if study is None else self._images_of(study)
        if study is None or not isinstance(store, StudyFolder) or isinstance(store, DicomWebStudy):
            return None
        return FolderService(ServedImages(store, study))

    def _known_id(self, name: str) -> str:
        """The study's own id for a name that looks the same."""
        store = self._datastore
        return store.known_id(name) if isinstance(store, StudyFolder | JoinedStudies) else name

    def _serve_viewers(self) -> None:
        """The app's own routes, the way to the images, and OHIF; a process that trains has no server."""
        server = sys.modules.get("monailabel.app")
        if server is None:
            return
        readers = [Depends(RBAC(server_settings.MONAI_LABEL_AUTH_ROLE_USER))]
        annotators = [Depends(RBAC(server_settings.MONAI_LABEL_AUTH_ROLE_ANNOTATOR))]
        trainers = [Depends(RBAC(server_settings.MONAI_LABEL_AUTH_ROLE_ADMIN))]
        access = Access(readers, annotators, trainers)
        serve_studies(
            server.app,
            [Served(study, partial(self._images_of, study)) for study in self._studies],
            self._predictions,
            access,
            self._service,
            place=self.studies,
            model_of=self._model_of,
            warnings=self._other_warnings,
            prefix=self._prefix,
        )
        # Of a folder, OHIF shows the frames alone.
        shown = list(self._studies) if self._in_pacs() else [self._studies.of_frames or self._studies.first]
        wanted = [study.model for study in shown if study.settings.ohif_bridge]
        if wanted:
            scripts = [STUDY_LIST if model.is_layer else VOLUME_LABELS for model in wanted]
            serve_app_config(server.app, Path(server.static_dir) / "ohif", scripts, self._prefix)
        # The stock viewer needs it as much: what hangs is the server.
        pacs = viewed_pacs(self.studies, server_settings) if self._in_pacs() else None
        if pacs is not None:
            serve_pacs(server.app, pacs, readers)
        check_prefix(self._prefix, [place_of(route)[0] for route in server.app.routes])

    def on_save_label(self, image_id: str, label_id: str) -> dict[str, Any]:
        """Change the state with the label, and let it judge the model.

        Returns:
            As `accept_label`.
        """
        study = self._study_of(image_id)
        self._label_checks[study.model.name].put(image_id)
        return accept_label(study, self._images_of(study), image_id, label_id)
