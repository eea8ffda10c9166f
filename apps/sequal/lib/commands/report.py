"""`report`: tables, figures and one page from the finished rounds of an experiment."""

from pathlib import Path

from lib.commands.console import OUT, table
from lib.experiments.report import write_report

__all__ = ["report_command"]

_FOLLOWED = ("dice", "imt_bias", "imt_error", "li_error", "ma_error", "good", "failures")


def report_command(experiment: Path, out: Path | None) -> None:
    """Write the report and print its main figures.

    Raises:
        StudyError: as `write_report`.
    """
    folder = experiment / "report" if out is None else out
    summary = write_report(experiment, folder)
    rows = [
        (name, len(row["seeds"]), row["auc"], (row["auc_minus_random"] or {}).get("mean"), row["final_dice"])
        for name, row in summary.items()
    ]
    OUT.print(table("Strategies", ("strategy", "seeds", "AULC", "minus random", "final Dice"), rows))
    followed = [
        (name, round(at["labels"], 1), *(None if at[key] is None else at[key]["mean"] for key in _FOLLOWED))
        for name, row in summary.items()
        for at in row["figures"]
    ]
    OUT.print(table("Means over seeds", ("strategy", "labels", *_FOLLOWED), followed))
    OUT.print(f"{folder / 'index.html'} is written.", markup=False)
