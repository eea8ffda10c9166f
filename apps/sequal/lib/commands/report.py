"""`report`: tables, figures and one page from the finished rounds of an experiment."""

from pathlib import Path

from lib.commands.console import OUT, table
from lib.experiments.report import write_report

__all__ = ["report_command"]


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
    OUT.print(f"{folder / 'index.html'} is written.", markup=False)
