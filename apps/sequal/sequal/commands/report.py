"""`report`: one page of an experiment, or of how a study stands."""

from collections.abc import Sequence
from pathlib import Path

from sequal.commands.console import OUT, table
from sequal.commands.looking import look_at_study
from sequal.commands.study_report import write_study_report
from sequal.errors import SettingsError, StudyError
from sequal.experiments.report import write_report
from sequal.study.folder import images_by_id

__all__ = ["report_command"]

_OVERLAP = ("dice", "good", "failures")
_THICKNESS = ("imt_bias", "imt_error", "li_error", "ma_error")
#: Where the report of a study goes; never into the studies folder, which the server watches.
_STUDY_REPORT = Path("report")


def report_command(studies: str, out: Path | None, app: Path, state: Path | None, conf: Sequence[str]) -> None:
    """Write the report and print its main figures.

    Args:
        studies: folder of an experiment, a studies folder, or the address of a PACS or a server.
        out: folder to write to; None: `report` in the experiment, or here.
        app: folder of the app, for a study.
        state: the study's state folder.
        conf: the settings of the study's server.

    Raises:
        SettingsError: an experiment was given settings.
        StudyError: the folder is neither.
        SequalError: as `write_report` and `look_at_study`.
    """
    if "://" in studies or not (Path(studies) / "experiment.json").exists():
        if "://" not in studies and not images_by_id(Path(studies)):
            raise StudyError(
                f"Expected `{studies}` to be an experiment, with its experiment.json, or a study, with images, "
                "got neither. Check the path."
            )
        _report_study(studies, out or _STUDY_REPORT, app, state, conf)
        return
    if state is not None or conf:
        raise SettingsError(
            f"Expected no --state and no settings for the experiment `{studies}`, got some. Its plan has them: leave "
            "them out."
        )
    _report_experiment(Path(studies), out or Path(studies) / "report")


def _report_study(studies: str, out: Path, app: Path, state: Path | None, conf: Sequence[str]) -> None:
    study = look_at_study(studies, app, state, conf)
    write_study_report(study, out)
    OUT.print(f"Images with a label: {study.labelled} of {study.images}. Rounds of training: {len(study.rounds)}.")
    OUT.print(f"{out / 'index.html'} is written.", markup=False)


def _report_experiment(experiment: Path, folder: Path) -> None:
    summary = write_report(experiment, folder)
    rows = [
        (name, len(row["seeds"]), row["auc"], (row["auc_minus_random"] or {}).get("mean"), row["final_dice"])
        for name, row in summary.items()
    ]
    OUT.print(table("Strategies", ("strategy", "seeds", "AULC", "minus random", "final Dice"), rows))
    for title, keys in (("Masks, means over seeds", _OVERLAP), ("Thickness, means over seeds", _THICKNESS)):
        followed = [
            (name, round(at["labels"], 1), *(None if at[key] is None else at[key]["mean"] for key in keys))
            for name, row in summary.items()
            for at in row["figures"]
        ]
        OUT.print(table(title, ("strategy", "labels", *(key.replace("_", " ") for key in keys)), followed))
    OUT.print(f"{folder / 'index.html'} is written.", markup=False)
