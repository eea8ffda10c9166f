"""How long the annotator's page waits for its list in a study of 100,000 frames.

    python benchmarks/scale/frames.py [--size 100000] [--repeats 10]

Starts a real server on a folder of links to one frame, a tenth of them labelled, and asks over HTTP as the page does,
the list, its parts, a search, the frame that is open. Prints the rows of the table in this folder's README and
writes `frames.json`.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

from listing import HERE, asked, serving, summary
from study import make_study

ASKED = {
    "the list, all frames": "/sequal/frames?group=all&limit=100",
    "the list, 500 rows shown (the most)": "/sequal/frames?group=all&limit=500",
    "open ones": "/sequal/frames?group=open&limit=100",
    "labelled ones": "/sequal/frames?group=labelled&limit=100",
    "search that finds 20": "/sequal/frames?search=p000004&limit=100",
    "search that finds nothing": "/sequal/frames?search=nothing&limit=100",
    "what the labels come from": "/sequal/labels",
    "one frame": "/sequal/frame?image=p000000_f00",
}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        make_study(Path(name) / "study", options.size, options.size)
        with serving(Path(name)) as address:
            times = {what: [asked(address + path) for _ in range(options.repeats + 1)] for what, path in ASKED.items()}
    found = {"ms": {what: summary(seconds) for what, seconds in times.items()}}
    found |= {"size": options.size, "load": round(os.getloadavg()[0], 2), "cores": os.cpu_count()}
    (HERE / "frames.json").write_text(json.dumps(found, indent=1) + "\n")
    for what, row in found["ms"].items():
        print(f"| {what} | {row['first']:.0f} | {row['median']:.0f} | {row['worst']:.0f} |")


if __name__ == "__main__":
    main()
