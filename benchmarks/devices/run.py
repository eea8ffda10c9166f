"""What a training step costs each of several processes, beside the step of one process with the same batch.

    python benchmarks/devices/run.py [--processes 2] [--steps 12]

Starts itself under torchrun, with one process and with several, each with one thread. The figure is the processor time
of the first process for a step: the median of the steps after the third. On a machine where other programs run, the
clock says nothing, and processor time tells what a process would take on a core of its own but for the time in which it
waits for the others.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from itertools import pairwise, repeat
from pathlib import Path

HERE = Path(__file__).resolve().parent
APP = HERE.parents[1] / "apps" / "sequal"
sys.path.insert(0, str(APP))

#: As a round trains from the starting weights, whose statistics of batch norm it keeps, and from random weights.
CASES = {
    "sequal, from the starting weights": {"method": "sequal"},
    "sequal, from random weights": {"method": "sequal", "frozen_statistics": False},
    "cross, from the starting weights": {"method": "cross"},
}
_WARMING_UP = 3


def main() -> None:
    """Measure with one process and with several, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=12)
    options = parser.parse_args()
    of_one, of_several = (started(count, options.steps) for count in (1, options.processes))
    results = {"processes": options.processes, "load": round(os.getloadavg()[0], 1), "steps": options.steps}
    for name, one in of_one.items():
        results[name] = {
            "one_ms": round(one, 1),
            "each_ms": round(of_several[name], 1),
            "ratio": round(one / of_several[name], 2),
        }
        print(name, results[name], flush=True)
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")


def started(processes: int, steps: int) -> dict[str, float]:
    """Milliseconds of a step by case, in so many processes."""
    script = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    ended = subprocess.run(
        [*script, __file__, f"--steps={steps}"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "SEQUAL_MEASURED": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(ended.stdout.splitlines()[-1])


def measured() -> None:
    """In the first process: train in each case, and print what a step took."""
    steps = int(sys.argv[1].split("=")[1])
    print(json.dumps({name: step_ms(steps, **settings) for name, settings in CASES.items()}), flush=True)


def step_ms(steps: int, **changes) -> float:  # noqa: ANN003
    """Of a trainer with the default settings but for the changes."""
    import torch
    from ignite.engine import Events

    from sequal.anatomy.models import model_of
    from sequal.learning.batch import Batch
    from sequal.learning.methods import METHODS
    from sequal.settings import Settings

    settings = Settings.from_conf({"device": "cpu", "epochs": 1, "iterations_per_epoch": steps, **changes})
    model, method = model_of(settings), METHODS[settings.method]
    rng = torch.Generator().manual_seed(0)
    views = [torch.rand(4, 1, *model.patch, generator=rng) for _ in range(2)]
    label = torch.zeros(4, 1, *model.patch, dtype=torch.uint8)
    label[:, :, :, 100:110], label[2:] = 1, 255
    torch.manual_seed(0)
    pair = method.pair.create(method.pair.architectures_of(settings, model.shape), settings.ema_alpha)
    if settings.frozen_statistics:
        pair.freeze_statistics()
    trainer, stamps = method.trainer(pair, repeat(Batch(*views, label)), settings, torch.device("cpu")), []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: stamps.append(time.process_time()))
    trainer.run()
    taken = [1000 * (after - before) for before, after in pairwise(stamps)]
    return statistics.median(taken[_WARMING_UP:])


if __name__ == "__main__":
    if "SEQUAL_MEASURED" not in os.environ:
        main()
    elif os.environ["WORLD_SIZE"] == "1":
        measured()
    else:
        from sequal.distributed import run_as_one

        run_as_one(measured)
