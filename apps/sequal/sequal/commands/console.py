"""Where the commands write: tables to standard output, progress and messages to standard error."""

import logging
import warnings
from collections.abc import Sequence

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

__all__ = ["OUT", "log_warnings", "progress_bar", "table"]

#: As wide as the terminal, or as `COLUMNS` says; 80 columns where there is neither.
OUT = Console(highlight=False)
_ERR = Console(stderr=True, highlight=False)


def log_warnings() -> None:
    """Show warnings of the library on standard error, above a running progress bar."""
    for category in (DeprecationWarning, FutureWarning):
        warnings.simplefilter("ignore", category)  # of the packages below: nothing that a user could act on
    handler = RichHandler(console=_ERR, show_time=False, show_path=False, markup=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])


class _Elapsed(TimeElapsedColumn):
    """The time since the start, in words: two times side by side are a riddle."""

    def render(self, task: Task) -> Text:
        """As rich has it, with the word before it."""
        return Text.assemble("elapsed ", super().render(task))


class _Left(TimeRemainingColumn):
    """The time that is left, in words."""

    def render(self, task: Task) -> Text:
        """As rich has it, with the word before it."""
        return Text.assemble("left ", super().render(task))


def progress_bar(memory_s: float = 30.0) -> Progress:
    """A progress bar with the time elapsed and left, on standard error; it disappears when it is done.

    Args:
        memory_s: the speed is judged by the last so many seconds; longer than a step takes.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        _Elapsed(table_column=Column(no_wrap=True)),
        _Left(table_column=Column(no_wrap=True)),
        console=_ERR,
        transient=True,
        speed_estimate_period=memory_s,
    )


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table that fits 80 columns; numbers (int or float) stand at the right and whole, None is shown as a dash.

    Args:
        title: above the table.
        columns: headers; they break at blanks where room is short.
        rows: cells; floats are shown with four significant digits. Texts break at blanks, else anywhere.
    """
    result = Table(title=title, title_justify="left")
    shown = [[_cell(value) for value in row] for row in rows]
    for index, column in enumerate(columns):
        word = max(map(len, column.split()), default=0)  # a header breaks at blanks alone
        if any(isinstance(row[index], int | float) for row in rows):
            widest = max(row[index].cell_len for row in shown)
            result.add_column(column, justify="right", overflow="fold", min_width=max(widest, word))
        else:
            result.add_column(column, overflow="fold", min_width=word)
    for row in shown:
        result.add_row(*row)
    return result


def _cell(value: object) -> Text:
    # Not a string: square brackets in an image's name are no markup.
    if value is None:
        return Text("-")
    return Text(f"{value:.4g}" if isinstance(value, float) else str(value))
