"""The library `sequal` needs neither MONAI Label nor the adapters in `lib`, and nothing anywhere needs torchvision."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

APP = Path(__file__).parents[2] / "apps" / "sequal"

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


ADAPTERS = sorted((APP / "lib").rglob("*.py"))
LIBRARY = sorted((APP / "sequal").rglob("*.py"))
#: What an annotator's server runs: the app's own `model` and `logs` folders hold no code.
OURS = [APP / "main.py", APP / "cli.py", *ADAPTERS, *LIBRARY]


def test_the_files_are_found():
    names = {_module(path) for path in LIBRARY}
    assert {"sequal.learning.training.round", "sequal.study.state", "sequal.settings"} <= names
    assert {"monailabel"} <= set().union(*(_packages(path) for path in ADAPTERS))


@pytest.mark.parametrize("path", LIBRARY, ids=_module)
def test_the_library_imports_neither_monailabel_nor_an_adapter(path):
    assert not {"monailabel", "lib"} & _packages(path)


def test_the_label_guard_runs_without_monailabel():
    """It lies beside the datastore that calls it, but only the datastore is MONAI Label's."""
    assert "monailabel" not in _packages(APP / "lib" / "datastores" / "label_guard.py")


def test_nothing_imports_torchvision():
    assert [str(path) for path in OURS if path.exists() and "torchvision" in _packages(path)] == []


def test_the_library_imports_without_monailabel():
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_ALL, *[_module(path) for path in LIBRARY]],
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
