"""How long the next sample, a label and the start take in studies of 1,000 to 1,000,000 images.

    python benchmarks/scale/run.py [--sizes 1000 10000 100000 1000000] [--repeats 30]

Each size runs in a process of its own, and MONAI Label's endpoint functions are called without HTTP. A million images
are ids alone, but for those that are asked for. Beside the figures stands a fixed computation, timed in between: where
its time on the clock is far over that of the processor, other programs had the machine. Writes `results.json` and
prints the rows of the table.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Run every size and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    file = HERE / "results.json"
    results: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    for size in options.sizes:
        command = [sys.executable, str(HERE / "one_size.py"), str(size), str(options.repeats)]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        found = json.loads(said.strip().splitlines()[-1])
        results[str(size)] = found | {"load": os.getloadavg()[0], "cores": os.cpu_count()}
        file.write_text(json.dumps(rounded(results), indent=1) + "\n")
        print(table({str(size): rounded(found)}), flush=True)


def rounded(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The same with two decimals."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return round(value, 2) if isinstance(value, float) else value


def table(results: dict[str, Any]) -> str:
    """Rows of a Markdown table."""
    rows = []
    for size, found in results.items():
        cells = [f"{int(size):,}"]
        for name in ("next", "save", "fixed"):
            times = found[f"{name}_ms"]
            cells.append(f"{times['median']} ({times['p95']}; {times['processor']})")
        cells += [str(found["start_s"]["first"]), str(found["start_s"]["again"])]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
