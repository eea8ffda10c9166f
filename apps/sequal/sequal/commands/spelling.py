"""How settings and studies may be written on the command line, in every command alike."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from typer.core import TyperCommand, TyperOption

from sequal.errors import SettingsError
from sequal.settings import setting_keys

__all__ = ["CONF", "SettingsCommand", "joined_settings", "setting_pairs", "the_study"]

#: The option that takes a setting.
CONF: Final = "--conf"
#: How a setting is written that a command takes by its own name.
_OPTIONS: Final = frozenset(f"--{key}" for key in setting_keys())
_SETTING: Final = re.compile(r"[a-z][a-z0-9_]*=.*", re.DOTALL)


class SettingsCommand(TyperCommand):
    """A command that takes a setting in every form.

    `--conf key value`, as the server does, `--conf key=value`, `key=value`, and `--key value` where the command has no
    option of that name.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - as typer has it
        """Bring every form into the one that the option takes, before typer reads it."""
        options = [option for option in self.params if isinstance(option, TyperOption)]
        settings = {name for option in options if CONF in option.opts for name in option.opts}
        if settings:
            valued = {name: option.nargs for option in options if not option.is_flag for name in option.opts}
            args = list(joined_settings(args, valued, settings))
        return super().parse_args(ctx, args)


def joined_settings(
    arguments: Sequence[str], valued: Mapping[str, int], settings: Collection[str] = (CONF,)
) -> Iterator[str]:
    """The arguments with every setting as `--conf key=value`.

    Args:
        arguments: as the shell gives them.
        valued: number of values by the name of an option that takes some.
        settings: names of the option that takes a setting.

    >>> list(joined_settings(["study", "--conf", "seed", "1", "epochs=4", "--method", "cross"], {"--conf": 1}))
    ['study', '--conf', 'seed=1', '--conf', 'epochs=4', '--conf', 'method=cross']
    """
    left = list(arguments)
    while left:
        argument = left.pop(0)
        if argument == "--":
            yield from (argument, *left)
            return
        if argument in settings:
            yield argument
            key = left.pop(0) if left else None
            if key is not None and "=" not in key and left:
                key = f"{key}={left.pop(0)}"
            yield from () if key is None else (key,)
        elif argument in valued:
            yield from (argument, *left[: valued[argument]])
            del left[: valued[argument]]
        elif (option := argument.partition("=")[0]) in _OPTIONS - valued.keys():
            if "=" not in argument and left:
                argument = f"{option}={left.pop(0)}"
            yield from (CONF, argument.removeprefix("--"))
        elif _SETTING.fullmatch(argument) and not Path(argument).exists():
            yield from (CONF, argument)
        else:
            yield argument


def setting_pairs(settings: Sequence[str]) -> dict[str, str]:
    """Value by key of settings that are written `key=value`; of one that is given twice, the last.

    Raises:
        SettingsError: one is written in another way.

    >>> setting_pairs(["seed=1", "epochs=4"])
    {'seed': '1', 'epochs': '4'}
    """
    pairs = {}
    for text in settings:
        key, separator, value = text.partition("=")
        if not separator or not key.strip():
            raise SettingsError(
                f"Expected a setting to be written `--conf key value` or `key=value`, got {text!r}. "
                "Write for example --conf seed 1."
            )
        pairs[key.strip()] = value
    return pairs


def the_study(positional: str | None, named: str | None) -> str:
    """The study that a command was given, in either form.

    Args:
        positional: `STUDIES`.
        named: `--studies STUDIES`, as the server takes it.

    Raises:
        SettingsError: neither was given, or both and they differ.
    """
    if positional is not None and named is not None and positional != named:
        raise SettingsError(
            f"Expected one study, got {positional!r} and --studies {named!r}. Leave one of the two out."
        )
    study = positional if positional is not None else named
    if study is None:
        raise SettingsError("Expected a study, got none. Name its folder, for example `sample-data`.")
    return study
