"""Below the adapters nothing needs MONAI Label, and nothing anywhere needs torchvision."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

APP = Path(__file__).parents[2] / "apps" / "sequal"
#: Packages that adapt the app to MONAI Label; every other one lies below the line.
ADAPTERS = {"configs", "endpoints", "routes", "infers", "trainers", "scoring", "activelearning", "datastores"}

_IMPORT_ALL = """
import importlib, sys, warnings

BLOCKED = {"monailabel", "torchvision"}


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Blocker())
warnings.simplefilter("ignore")
for name in sys.argv[1:]:
    importlib.import_module(name)
assert not BLOCKED & {name.partition(".")[0] for name in sys.modules}
"""


def _module(path):
    parts = path.relative_to(APP).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _is_adapter(path):
    return path.relative_to(APP / "lib").parts[0] in ADAPTERS


def _imported(path):
    """Names that a file imports, wherever in the file it does so."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def _packages(path):
    return {name.partition(".")[0] for name in _imported(path)}


LIB_FILES = sorted((APP / "lib").rglob("*.py"))
BELOW = [path for path in LIB_FILES if not _is_adapter(path)]
#: What an annotator's server runs: the app's own `model` and `logs` folders hold no code.
OURS = [APP / "main.py", APP / "cli.py", *LIB_FILES]


def test_the_files_are_found():
    names = {_module(path) for path in BELOW}
    assert {"lib.training.round", "lib.state", "lib.settings", "lib.networks.dual"} <= names
    assert not any(name.startswith("lib.infers") for name in names)
    assert {"monailabel"} <= set().union(*(_packages(path) for path in LIB_FILES if _is_adapter(path)))


@pytest.mark.parametrize("path", BELOW, ids=_module)
def test_below_the_line_nothing_imports_monailabel_or_an_adapter(path):
    assert "monailabel" not in _packages(path)
    adapters = {name for name in _imported(path) for part in ADAPTERS if f"{name}.".startswith(f"lib.{part}.")}
    assert adapters == set()


def test_the_label_guard_runs_without_monailabel():
    """It lies beside the datastore that calls it, but only the datastore is MONAI Label's."""
    assert "monailabel" not in _packages(APP / "lib" / "datastores" / "label_guard.py")


def test_nothing_imports_torchvision():
    assert [str(path) for path in OURS if path.exists() and "torchvision" in _packages(path)] == []


def test_everything_below_the_line_imports_without_monailabel():
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_ALL, *[_module(path) for path in BELOW]],
        cwd=APP,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_blocker_blocks():
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_ALL, "monailabel"], cwd=APP, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "No module named 'monailabel'" in done.stderr
