"""The settings that change no number of a run, but for rounding, and so may be others when it goes on.

Where dropout acts, `training.tokens_per_line`, `training.tokens_per_pass` and the number of processes draw its noise
anew, since it is drawn for each pass.
"""

PLACES = (
    *("data.root", "data.cache", "data.revisions", "data.modules"),
    *("data.own.train", "data.own.validation", "data.own.test"),
)
"""Where rows are found. What is found is compared with what the run has kept (`rim/data/same_rows.py`)."""
FREE = (
    *PLACES,
    *("run.folder", "data.workers", "training.tokens_per_line", "training.tokens_per_pass"),
    *("training.nodes", "training.devices", "training.accelerator", "training.threads", "training.strategy"),
    *("training.save_every", "training.keep_every", "training.log_every", "training.loggers"),
    *("evaluation.batch_size", "evaluation.decode"),
)
"""All of them; every other setting stays as it was when the run began."""


def path_of(difference: str) -> str:
    """The setting of a line of `rim.settings.load.differences`."""
    return difference.partition(":")[0]
