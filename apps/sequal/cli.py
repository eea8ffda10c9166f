"""The command line: `python apps/sequal/cli.py COMMAND --help`.

What a command needs is imported when it runs, so that `--help` answers at once.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from sequal.commands.spelling import SettingsCommand, the_study
from sequal.errors import SequalError, SettingsError
from sequal.processor import wait_without_spinning
from sequal.settings import Settings
from sequal.version import VERSION

wait_without_spinning()  # before a command loads torch

APP = Path(__file__).resolve().parent
#: Exit code for bad input, as for an option that does not exist.
BAD_INPUT = 2


class Commands(TyperGroup):
    """Turns an error that is meant for the user into its message and an exit code."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as typer has it
        """Run a command."""
        try:
            return super().invoke(ctx)
        except SequalError as error:
            typer.echo(f"Error: {error}", err=True)
            raise typer.Exit(BAD_INPUT) from error


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="SEQUAL for MONAI Label: import images, see how a study stands, measure thickness, export, run experiments. "
    "A research tool, not a medical device.",
)

Studies = Annotated[str | None, typer.Argument(metavar="STUDIES", help="The studies folder.", show_default=False)]
#: Of commands that look at a study wherever it is.
AnyStudies = Annotated[
    str | None,
    typer.Argument(
        metavar="STUDIES",
        help="The studies folder, the DICOMweb address of a PACS, or the address of a running server.",
        show_default=False,
    ),
]
StudiesOption = Annotated[str | None, typer.Option("--studies", help="The same as STUDIES.", show_default=False)]
AppFolder = Annotated[Path, typer.Option("--app", help="Folder of the app.", show_default="this one")]
State = Annotated[Path | None, typer.Option(help="The study's state folder.", show_default="where the server keeps it")]
Conf = Annotated[
    list[str] | None,
    typer.Option(
        "--conf",
        "-c",
        metavar="KEY VALUE",
        help="A setting of the server (docs/settings.md). key=value means the same. May be repeated.",
        show_default=False,
    ),
]
Modality = Annotated[
    Literal["CT", "MR"], typer.Option(help="What volumes are called in DICOM; their files do not say it.")
]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"SEQUAL for MONAI Label {VERSION}")
        raise typer.Exit()


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Show warnings of the library above the progress bars."""
    from sequal.commands.console import log_warnings

    log_warnings()


@app.command(cls=SettingsCommand)
def annotate(
    studies: Annotated[
        str | None,
        typer.Argument(
            metavar="STUDIES", help="The studies folder, with true masks and patients.csv.", show_default=False
        ),
    ] = None,
    studies_option: StudiesOption = None,
    server: Annotated[str, typer.Option(help="Address of a running server.")] = "http://127.0.0.1:8000",
    truth: Annotated[
        Path | None, typer.Option(help="Folder of true masks, <image id>.nii.gz.", show_default="STUDIES/truth")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Number of trainings.")] = 2,
    per_round: Annotated[int, typer.Option(min=1, help="Labels before each training.")] = 4,
    strategy: Annotated[
        str | None,
        typer.Option(help="How the next image is picked (docs/settings.md).", show_default="the server's own"),
    ] = None,
    test_images: Annotated[
        int, typer.Option(min=0, help="Images that only test the model and are never labelled.")
    ] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the test images and of the expert's errors.")] = 0,
    noisy: Annotated[
        bool, typer.Option("--noisy/--exact", help="Draw with gaps and errors as a reader does, or submit the truth.")
    ] = True,
    out: Annotated[Path, typer.Option(help="Folder for annotate.json and annotate.png.")] = Path("annotate"),
    demo: Annotated[
        Path | None,
        typer.Option(help="Start a server in this folder, on a copy of STUDIES or on simulated frames."),
    ] = None,
    app_folder: AppFolder = APP,
    conf: Conf = None,
) -> None:
    """Play a simulated annotator over HTTP: next image, model's mask, submit, train, judge.

    Settings go to the server of --demo. A running server gets them with every training; of one with several models,
    `--models carotid` or `--models volume` says which to annotate for.
    """
    from sequal.commands.annotating.annotate import AnnotateOptions, annotate_command
    from sequal.commands.annotating.play import PlayOptions

    named = studies is not None or studies_option is not None
    folder = Path(the_study(studies, studies_option)) if named else None
    how = PlayOptions(strategy, rounds, per_round, test_images, seed)
    annotate_command(AnnotateOptions(app_folder, server, folder, truth, out, demo, noisy, how, conf or ()))


@app.command(cls=SettingsCommand)
def status(
    studies: AnyStudies = None,
    studies_option: StudiesOption = None,
    app_folder: AppFolder = APP,
    state: State = None,
    strategy: Annotated[
        str | None,
        typer.Option(help="How the next image is picked (docs/settings.md).", show_default="as the settings say"),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Write a picture of predicted and true Dice and thickness (PNG, SVG or PDF).", show_default=False
        ),
    ] = None,
    conf: Conf = None,
) -> None:
    """Show how a study stands: labels, who has which image, rounds, model in use, next images. Changes nothing."""
    from sequal.commands.place import each_model
    from sequal.commands.status import show_status

    found = each_model(the_study(studies, studies_option), state, conf or ())
    if plot is not None and len(found) > 1:
        raise SettingsError("Expected `--plot` for one model, got several. Name one of `--models` and its folder.")
    for place, own_state, own in found:
        show_status(place, app_folder, own_state, own, strategy, plot)


@app.command(cls=SettingsCommand)
def score(
    studies: Studies = None,
    studies_option: StudiesOption = None,
    app_folder: AppFolder = APP,
    state: State = None,
    conf: Conf = None,
) -> None:
    """Score the unlabelled images that the model in use has not scored yet, as the server does."""
    from sequal.commands.place import StudyPlace, each_model
    from sequal.commands.score import show_scores

    for place, own_state, own in each_model(the_study(studies, studies_option), state, conf or ()):
        show_scores(StudyPlace.find(place, app_folder, own_state, own))


@app.command(cls=SettingsCommand)
def measure(
    studies: AnyStudies = None,
    studies_option: StudiesOption = None,
    out: Annotated[Path, typer.Option(help="Folder for tables and pictures.")] = Path("measurements"),
    checkpoint: Annotated[
        Path | None, typer.Option(help="The model.", show_default="the one in use, else the starting weights")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Folder of labels to measure instead of masks; saved ones are in STUDIES/labels/final."),
    ] = None,
    spacing_mm: Annotated[
        str | None, typer.Option(help="Millimetres per pixel, X or X,Y, whatever the files say.")
    ] = None,
    overlays: Annotated[bool, typer.Option(help="Write a picture of each frame with LI and MA.")] = True,
    app_folder: AppFolder = APP,
    conf: Conf = None,
) -> None:
    """Measure the intima-media thickness in every image of a folder, a PACS or a running server.

    The masks of the model are measured, unless --labels names labels.
    """
    from sequal.commands.measuring.measure import measure_command

    measure_command(
        the_study(studies, studies_option),
        out,
        app=app_folder,
        checkpoint=checkpoint,
        labels=labels,
        spacing=spacing_mm,
        overlays=overlays,
        conf=conf or (),
    )


@app.command(cls=SettingsCommand)
def consensus(
    studies: Studies = None,
    studies_option: StudiesOption = None,
    reader: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=FOLDER]",
            help="A reader: a folder in STUDIES/labels, or any folder of labels. May be repeated.",
            show_default="all in STUDIES/labels, except final and original",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for labels and tables; new or empty.")] = Path("consensus"),
    method: Annotated[
        Literal["majority", "weights", "staple"], typer.Option(help="How the readers decide on a pixel.")
    ] = "majority",
    weights: Annotated[
        str | None,
        typer.Option(help="For --method weights: a number for each reader, such as 0.5,0.3,0.2.", show_default=False),
    ] = None,
    least: Annotated[int, typer.Option(min=1, help="Leave out images with fewer readers.")] = 1,
    remove_bias: Annotated[
        bool,
        typer.Option("--remove-bias", help="First move each reader's LI and MA to the mean of all readers."),
    ] = False,
    app_folder: AppFolder = APP,
    conf: Conf = None,
) -> None:
    """Make one label from the labels of several readers, and say how they differ. Overwrites nothing."""
    from sequal.commands.consensus.consensus import ConsensusOptions, consensus_command, parse_weights
    from sequal.commands.place import StudyPlace

    place = StudyPlace.find(the_study(studies, studies_option), app_folder, None, conf or ())
    how = ConsensusOptions(out, tuple(reader or ()), method, parse_weights(weights), least, remove_bias)
    consensus_command(place, how)


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="A folder of images, a DICOM or picture file.", show_default=False)],
    studies: Annotated[
        str | None, typer.Argument(metavar="STUDIES", help="The studies folder to import into.", show_default=False)
    ] = None,
    studies_option: StudiesOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be done; write nothing.")] = False,
    spacing_mm: Annotated[
        str | None, typer.Option(help="Millimetres per pixel, X or X,Y, whatever the files say.")
    ] = None,
    spacing_csv: Annotated[
        Path | None,
        typer.Option(help="Table image,spacing_mm or image,dx_mm,dy_mm.", show_default="files beside the pictures"),
    ] = None,
    voxel_mm: Annotated[
        str | None, typer.Option(help="Size of the voxels of H5 files in mm, X or X,Y,Z.", show_default="1")
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(help="Folder of masks, or of one folder for each reader.", show_default="SOURCE/masks"),
    ] = None,
    layer_value: Annotated[
        int | None, typer.Option(min=0, max=255, help="Value of the layer in the masks.", show_default="the only one")
    ] = None,
    final: Annotated[
        str | None,
        typer.Option(help="Reader whose labels become the expert's labels, or none.", show_default="the only reader"),
    ] = None,
    patients: Annotated[
        Path | None, typer.Option(help="Table image,patient.", show_default="SOURCE/patients.csv")
    ] = None,
    patient_pattern: Annotated[
        str,
        typer.Option(help="Finds the patient in an image's id: a regular expression with a group (?P<patient>...)."),
    ] = "",
    keep_patient_ids: Annotated[
        bool, typer.Option("--keep-patient-ids", help="Keep DICOM PatientIDs, instead of replacing them by codes.")
    ] = False,
    kind: Annotated[Literal["auto", "files", "cubs"], typer.Option(help="Layout of the source.")] = "auto",
) -> None:
    """Make a study from pictures, masks, CUBS, DICOM or H5 files, or add to one. Overwrites no label."""
    from sequal.commands.import_study import import_command, spacing_option, voxel_option
    from sequal.files.importing import ImportOptions

    options = ImportOptions(
        kind=kind,
        spacing_mm=spacing_option(spacing_mm),
        spacing_table=spacing_csv,
        voxel_mm=voxel_option(voxel_mm),
        masks=masks,
        layer_value=layer_value,
        patients=patients,
        patient_pattern=patient_pattern,
        keep_patient_ids=keep_patient_ids,
        final=final,
    )
    import_command(source, Path(the_study(studies, studies_option)), options, dry_run=dry_run)


@app.command(cls=SettingsCommand)
def export(
    studies: Annotated[
        str | None,
        typer.Argument(
            metavar="STUDIES", help="The study whose model is exported.", show_default="the starting weights"
        ),
    ] = None,
    studies_option: StudiesOption = None,
    form: Annotated[str, typer.Option("--format", help="bundle (a MONAI Bundle), onnx or torchscript.")] = "bundle",
    out: Annotated[Path | None, typer.Option(help="File or folder.", show_default="in the folder export")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="Another model.", show_default="the one in use")] = None,
    app_folder: AppFolder = APP,
    state: State = None,
    conf: Conf = None,
) -> None:
    """Write the model for other programs, and check that it computes what the app computes."""
    from sequal.commands.export import ExportOptions, export_command

    named = studies is not None or studies_option is not None
    study = the_study(studies, studies_option) if named else None
    export_command(ExportOptions(form, study, out, checkpoint, app_folder, state, conf or ()))


@app.command()
def pretrain(
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps.")] = 3000,
    batch: Annotated[int, typer.Option(min=1, help="Patches in a step; twelve come from one simulated frame.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Seed of simulated frames, network and batches.")] = 0,
    out: Annotated[
        Path,
        typer.Option(help="File of weights to write. Its card (.md) is written beside it.", show_default="the app's"),
    ] = APP / "model" / "pretrained_carotid.pt",
    workers: Annotated[
        int, typer.Option(min=0, help="Processes that simulate frames; 0: this process simulates and trains.")
    ] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    cpu_bfloat16: Annotated[
        bool, typer.Option(help="Compute in bfloat16: faster on a CPU that supports it, slower on others.")
    ] = False,
    network: Annotated[str, typer.Option(help="Architecture.")] = Settings.network,
    learning_rate: Annotated[float, typer.Option(help="Learning rate at the start; it falls to zero.")] = 0.002,
    start: Annotated[Path | None, typer.Option(help="Weights to start from.", show_default="random")] = None,
    average_with: Annotated[
        list[Path] | None,
        typer.Option(help="Weights that the result is averaged with; may be repeated.", show_default=False),
    ] = None,
    join: Annotated[
        list[Path] | None,
        typer.Option(
            help="Train nothing: join two files of weights to a pair for method=cross. Give it twice.",
            show_default=False,
        ),
    ] = None,
    branch_of: Annotated[
        Path | None,
        typer.Option(
            help="Train only an error branch (it says where a mask is wrong) for these weights.", show_default=False
        ),
    ] = None,
    test_frames: Annotated[int, typer.Option(min=1, help="Simulated frames that test the result.")] = 40,
) -> None:
    """Make starting weights from simulated frames alone, with a card that says what they are."""
    from sequal.commands.pretrain import PretrainOptions, pretrain_command

    pretrain_command(
        PretrainOptions(
            out=out,
            steps=steps,
            batch=batch,
            seed=seed,
            workers=workers,
            device=device,
            cpu_bfloat16=cpu_bfloat16,
            network=network,
            learning_rate=learning_rate,
            start=start,
            average_with=tuple(average_with or ()),
            join=tuple(join or ()),
            branch_of=branch_of,
            test_frames=test_frames,
        )
    )


@app.command(cls=SettingsCommand)
def simulate(
    experiment: Annotated[Path, typer.Argument(help="Folder of the experiment.", show_default=False)],
    images: Annotated[
        str | None, typer.Option(help="Folder of images, or of H5 files with image and label (--models volume).")
    ] = None,
    masks: Annotated[str | None, typer.Option(help="Folder of their true masks (docs/experiments.md, Masks).")] = None,
    test_images: Annotated[str | None, typer.Option(help="Folder of test images.")] = None,
    test_masks: Annotated[str | None, typer.Option(help="Folder of the true masks of the test images.")] = None,
    test_list: Annotated[
        str | None, typer.Option(help="File with the names of the test images in --images, one a line.")
    ] = None,
    test_fraction: Annotated[
        float | None,
        typer.Option(help="Part of the patients that is the test set, without --test-images.", show_default="0.3"),
    ] = None,
    splits: Annotated[
        str | None,
        typer.Option(help="one, or seed: each seed chooses other test patients.", show_default="one"),
    ] = None,
    phantom: Annotated[
        int | None, typer.Option(help="Number of simulated frames in the pool, instead of images.")
    ] = None,
    phantom_test: Annotated[int | None, typer.Option(help="Number of simulated test frames.")] = None,
    phantom_seed: Annotated[int | None, typer.Option(help="Seed of the simulated frames.", show_default="0")] = None,
    size: Annotated[str | None, typer.Option(help="Shrink frames to fit within WxH pixels.")] = None,
    readers: Annotated[int | None, typer.Option(help="Number of simulated readers.", show_default="1")] = None,
    fusion: Annotated[
        str | None,
        typer.Option(
            help="How several readers become one: majority, staple, or none (one reader a frame).",
            show_default="majority",
        ),
    ] = None,
    noise: Annotated[
        str | None, typer.Option(help="Errors of the readers: default, careful or none.", show_default="default")
    ] = None,
    traced: Annotated[
        tuple[float, float] | None,
        typer.Option(help="Part of the columns that readers trace, from LO to HI.", show_default="0.4 0.9"),
    ] = None,
    start: Annotated[int | None, typer.Option(help="Labels before the first round.", show_default="8")] = None,
    budget: Annotated[int | None, typer.Option(help="Labels that each round adds.", show_default="8")] = None,
    rounds: Annotated[int | None, typer.Option(help="Number of rounds.", show_default="5")] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="Or: the labels of each round, such as 0,2,5,10,all; 0 tests the starting weights.",
            show_default="as start, budget and rounds say",
        ),
    ] = None,
    strategies: Annotated[
        str | None, typer.Option(help="Strategies, separated by commas.", show_default="random,entropy,pld")
    ] = None,
    refinement: Annotated[
        str | None, typer.Option(help="Fill in labels during a round: on, off or both.", show_default="on")
    ] = None,
    both_for: Annotated[
        str | None,
        typer.Option(help="With --refinement both: the strategies that are played with both.", show_default="all"),
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, separated by commas.", show_default="0")] = None,
    network: Annotated[
        str | None, typer.Option(help="Architecture of the network.", show_default="as the settings say")
    ] = None,
    gate: Annotated[
        str | None,
        typer.Option(help="on: a round that is worse beyond chance is not used, as at the server.", show_default="off"),
    ] = None,
    starting_weights: Annotated[
        str | None, typer.Option(help="A file of weights, or none (random weights).", show_default="none")
    ] = None,
    full: Annotated[
        bool | None, typer.Option("--full", help="Also train once on all labels of the pool, for comparison.")
    ] = None,
    thumbnails: Annotated[
        bool | None, typer.Option(help="Keep small pictures of the frames for the report.", show_default="yes")
    ] = None,
    scores: Annotated[
        str | None,
        typer.Option(help="Scores of the pool in each round: all, or needed (by the strategies).", show_default="all"),
    ] = None,
    conf: Annotated[
        list[str] | None,
        typer.Option(
            "--conf",
            "-c",
            "--set",
            metavar="KEY VALUE",
            help="A setting of the server (docs/settings.md). key=value means the same. May be repeated.",
            show_default=False,
        ),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(help="Name for the settings of this call, to compare them with others.", show_default=False),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda; may differ between machines.")] = "auto",
) -> None:
    """Play active-learning experiments without a server. The same call again goes on."""
    from sequal.commands.simulate import given_options, simulate_command

    options = {
        "images": images,
        "masks": masks,
        "test_images": test_images,
        "test_masks": test_masks,
        "test_list": test_list,
        "test_fraction": test_fraction,
        "splits": splits,
        "phantom": phantom,
        "phantom_test": phantom_test,
        "phantom_seed": phantom_seed,
        "size": size,
        "readers": readers,
        "fusion": fusion,
        "noise": noise,
        "traced": traced,
        "start": start,
        "budget": budget,
        "rounds": rounds,
        "labels": labels,
        "strategies": strategies,
        "refinement": refinement,
        "both_for": both_for,
        "seeds": seeds,
        "network": network,
        "gate": gate,
        "starting_weights": starting_weights,
        "full": full,
        "thumbnails": thumbnails,
        "scores": scores,
    }
    simulate_command(experiment, given_options(options, conf or (), variant), device)


@app.command(cls=SettingsCommand)
def report(
    studies: Annotated[
        str | None,
        typer.Argument(
            metavar="EXPERIMENT|STUDIES",
            help="Folder of an experiment, a studies folder, the DICOMweb address of a PACS, or that of a server.",
            show_default=False,
        ),
    ] = None,
    studies_option: StudiesOption = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write to.", show_default="EXPERIMENT/report, and `report` for a study"),
    ] = None,
    app_folder: AppFolder = APP,
    state: State = None,
    conf: Conf = None,
) -> None:
    """Write one page with tables and figures, about an experiment or about how a study stands."""
    from sequal.commands.report import report_command

    report_command(the_study(studies, studies_option), out, app_folder, state, conf or ())


@app.command("to-dicom", cls=SettingsCommand)
def to_dicom(
    studies: Studies = None,
    studies_option: StudiesOption = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write to; each image gets a folder in it.")] = None,
    stow: Annotated[str | None, typer.Option(help="DICOMweb address of a PACS to send to.", show_default=False)] = None,
    salt: Annotated[
        str,
        typer.Option(
            envvar="SEQUAL_DICOM_SALT",
            help="Secret: names of patients and images are replaced by codes made with it.",
            show_default=False,
        ),
    ] = "",
    refined: Annotated[bool, typer.Option(help="Also write refined labels, marked as automatic.")] = True,
    app_folder: AppFolder = APP,
    modality: Modality = "MR",
    state: State = None,
    conf: Conf = None,
) -> None:
    """Write images, labels and thickness as DICOM for OHIF, into a folder or a PACS."""
    from sequal.commands.dicom_out.to_dicom import ToDicomOptions, to_dicom_command
    from sequal.commands.place import StudyPlace

    place = StudyPlace.find(the_study(studies, studies_option), app_folder, state, conf or ())
    to_dicom_command(place, ToDicomOptions(out, stow, salt, refined, modality))


@app.command(cls=SettingsCommand)
def pacs(
    studies: Annotated[
        str | None,
        typer.Argument(metavar="STUDIES", help="The study to load into the PACS.", show_default="sample-data"),
    ] = None,
    studies_option: StudiesOption = None,
    folder: Annotated[Path, typer.Option(help="Folder of the PACS: database, log, DICOM objects.")] = Path("pacs"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the server.")] = 8000,
    pacs_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the PACS.")] = 8042,
    modality: Modality = "MR",
    app_folder: AppFolder = APP,
    conf: Conf = None,
) -> None:
    """Start Orthanc on this computer, load a study into it, and serve it from there until Ctrl-C."""
    from sequal.commands.pacs import PacsOptions, pacs_command
    from sequal.commands.place import StudyPlace, each_model

    named = studies is not None or studies_option is not None
    study = the_study(studies, studies_option) if named else "sample-data"
    places = [
        # A state that `conf` names is that of the study in the PACS, not of the folder.
        StudyPlace.find(folder_of, app_folder, None, [pair for pair in own if not pair.startswith("state=")])
        for folder_of, _, own in each_model(study, None, conf or ())
    ]
    pacs_command(places, PacsOptions(folder, app_folder, port, pacs_port, conf or (), modality))


def start() -> None:
    """Run the command that the arguments name; under torchrun all its processes run it as one."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        from sequal.distributed import run_as_one

        try:
            run_as_one(app)
        except SequalError as error:
            typer.echo(f"Error: {error}", err=True)
            raise SystemExit(BAD_INPUT) from error
    else:
        app()


if __name__ == "__main__":
    start()
