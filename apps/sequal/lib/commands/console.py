"""Where the commands write: tables to standard output, progress and messages to standard error."""

import logging
import sys
import warnings
from collections.abc import Sequence

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

__all__ = ["OUT", "log_warnings", "progress_bar", "table"]

#: Columns that a table may take where the output is no terminal and has no width of its own.
_FILE_WIDTH = 160

OUT = Console(width=None if sys.stdout.isatty() else _FILE_WIDTH, highlight=False)
_ERR = Console(stderr=True, width=None if sys.stderr.isatty() else _FILE_WIDTH, highlight=False)


def log_warnings() -> None:
    """Show warnings of the library on standard error, above a running progress bar."""
    for category in (DeprecationWarning, FutureWarning):
        warnings.simplefilter("ignore", category)  # of the packages below: nothing that a user could act on
    handler = RichHandler(console=_ERR, show_time=False, show_path=False, markup=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])


def progress_bar(memory_s: float = 30.0) -> Progress:
    """A progress bar with the time left, on standard error; it disappears when it is done.

    Args:
        memory_s: the speed is judged by the last so many seconds; longer than a step takes.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=_ERR,
        transient=True,
        speed_estimate_period=memory_s,
    )


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table; numbers (int or float) stand at the right, None is shown as a dash.

    Args:
        title: above the table.
        columns: headers.
        rows: cells; floats are shown with four significant digits.
    """
    result = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        numeric = any(isinstance(row[index], int | float) for row in rows)
        result.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        result.add_row(*(_cell(value) for value in row))
    return result


def _cell(value: object) -> Text:
    # Not a string: square brackets in an image's name are no markup.
    if value is None:
        return Text("-")
    return Text(f"{value:.4g}" if isinstance(value, float) else str(value))
