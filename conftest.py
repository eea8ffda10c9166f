"""Several test processes share a machine: each computes with one thread, unless something else is asked for."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
