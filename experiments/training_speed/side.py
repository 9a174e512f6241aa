"""One side of a comparison: a checkout of this repository, this one or an older one, in a process of its own.

`Side` is the end that asks. This file run as a program is the other end: it imports `rim` of the checkout that
PYTHONPATH names, and answers a line of JSON with a line of JSON. It uses nothing that either checkout lacks.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any


class Side:
    """A process of the checkout at `root`; close it at the end."""

    def __init__(self, root: Path) -> None:
        quiet = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONDONTWRITEBYTECODE": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
            env={**os.environ, **quiet, "PYTHONPATH": str(root)},
        )

    def ask(self, what: str, **arguments: Any) -> Any:
        """What a method of `Work` gives."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps([what, arguments]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{what} failed with {arguments}: see what the process has printed")
        return json.loads(answer)

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


class Work:
    """What a side can be asked for; numbers of stages and updates begin at 0."""

    def begin(self, overrides: Sequence[str]) -> None:
        """Build data, method and model of these settings, in the place of earlier ones."""
        import torch

        from rim.backbone.load import load_backbone, load_tokenizer
        from rim.base.quiet import quiet_libraries
        from rim.data.prepare import prepare
        from rim.methods.registry import build_method
        from rim.settings.load import load
        from rim.training.plan import make_plan

        quiet_libraries()
        torch.set_num_threads(1)
        self.config = load([], list(overrides))
        tokenizer = load_tokenizer(self.config.backbone, list)
        self.splits = prepare(self.config.data, tokenizer, 0)
        self.method = build_method(self.config, tokenizer)
        self.backbone = load_backbone(self.config.backbone, tokenizer, 0)
        add_modules = "add_modules" if hasattr(self.method, "add_modules") else "equip"  # its name in commits before
        getattr(self.method, add_modules)(self.backbone)
        if hasattr(self.backbone, "split_head"):
            self.backbone.split_head()
        self.backbone.train()
        self.plan = make_plan(self.config.stages, self.config.training, len(self.splits.train))

    def _passes(self, stage: int, update: int) -> list[Any]:
        """Batches of trees that an update reads, one after the other."""
        from rim.training.datamodule import DataModule

        at = self.plan.stages[stage].first
        data: Any = DataModule(self.splits, self.config, self.method.layout, self.plan, lambda: at, 0)
        batch = next(islice(data.train_dataloader(), update, None))
        return [part.trees for part in getattr(batch, "passes", [batch])]

    def share(self, stage: int, updates: int) -> dict[str, int]:
        """Tokens that some updates read, and those of them that are no padding."""
        passes = [each for update in range(updates) for each in self._passes(stage, update)]
        return {
            "read": sum(each.ids_BN.numel() for each in passes),
            "useful": sum(int((each.node_BN >= 0).sum()) for each in passes),
        }

    def step(self, stage: int, update: int) -> float:
        """Seconds of work of an update, forward and backward; on a quiet machine those of the clock."""
        passes = self._passes(stage, update)
        self.backbone.zero_grad()
        start = time.process_time()
        for trees in passes:
            self.method.losses(self.backbone, trees).total.backward()
        return time.process_time() - start

    def saved(self, stage: int, update: int) -> dict[str, int]:
        """Bytes that autograd keeps for the backward pass of an update, weights apart, and its tokens but padding."""
        import torch

        weights = {weight.untyped_storage().data_ptr() for weight in self.backbone.parameters()}
        useful = kept = 0
        for trees in self._passes(stage, update):
            found: dict[int, Any] = {}  # holding a storage keeps its address from being used again

            def keep(tensor: Any, found: dict[int, Any] = found) -> Any:
                found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
                return tensor

            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                total = self.method.losses(self.backbone, trees).total
            kept += sum(storage.nbytes() for place, storage in found.items() if place not in weights)
            useful += int((trees.node_BN >= 0).sum())
            del total
        return {"bytes": kept, "useful": useful}


def main() -> None:
    """Answer until there are no more questions; whatever else is printed goes to the error output."""
    answers, sys.stdout = sys.stdout, sys.stderr
    work = Work()
    for line in sys.stdin:
        what, arguments = json.loads(line)
        print(json.dumps(getattr(work, what)(**arguments)), file=answers, flush=True)


if __name__ == "__main__":
    main()
