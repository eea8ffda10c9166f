"""The wiring of each study: its settings, state and model, shared by every adapter; how errors reach a client."""

from lib.configs.claims import Claims
from lib.configs.refusal import conflict, not_found, refusal
from lib.configs.studies import Studies, chosen
from lib.configs.study import Study
from lib.configs.task_process import in_task_process

__all__ = ["Claims", "Studies", "Study", "chosen", "conflict", "in_task_process", "not_found", "refusal"]
