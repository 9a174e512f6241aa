"""Time and memory of encoding 386k rows like those of GSM8K-Aug; see README.md beside this file for the command."""

import json
import os
import random
import re
import resource
import sys
import tempfile
import time
from pathlib import Path

from rim.backbone.tokenizer import build_tokenizer
from rim.data.prepare import prepare, training_texts
from rim.settings import Data

ROWS = 385_620
NUMBER = re.compile(r"[1-9][0-9]*")


def perturbed(line: str, random: random.Random) -> str:
    """The line with other numbers of as many digits, so that no two rows are the same text."""
    return NUMBER.sub(lambda match: str(random.randrange(10 ** (len(match[0]) - 1), 10 ** len(match[0]))), line)


def write_rows(source: Path, target: Path, rows: int) -> None:
    """Write `rows` perturbed lines of the real held-out files."""
    lines = [line for name in ("valid", "test") for line in (source / f"{name}.txt").read_text().strip().split("\n")]
    draw = random.Random(0)
    target.parent.mkdir(parents=True)
    with target.open("w", encoding="utf-8") as file:
        file.writelines(perturbed(lines[row % len(lines)], draw) + "\n" for row in range(rows))


def main(shared: Path, out: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_rows(shared / "gsm8k_icot", root / "gsm8k_aug" / "train.txt", ROWS)
        (root / "gsm8k_icot").symlink_to((shared / "gsm8k_icot").resolve())
        config = Data(train="gsm8k_aug/train", validation="gsm8k_aug/validation", test=["gsm8k_aug/test"])
        config.root, config.cache = folder, str(root / "cache")
        tokenizer = build_tokenizer(training_texts(config, 20_000), 8000)
        start, used = time.perf_counter(), time.process_time()
        splits = prepare(config, tokenizer, seed=0)
        seconds, used = time.perf_counter() - start, time.process_time() - used
        start = time.perf_counter()
        prepare(config, tokenizer, seed=0)
        again = time.perf_counter() - start
        order = random.Random(1).sample(range(len(splits.train)), 50_000)
        start = time.perf_counter()
        for row in order:
            splits.train[row]
        access = (time.perf_counter() - start) / len(order) * 1e6
        result = {
            "rows": len(splits.train),
            "report": str(splits.train.report),
            "encode_seconds": round(seconds, 1),
            "encode_cpu_seconds": round(used, 1),
            "processes_wanting_the_two_cores": round(os.getloadavg()[0], 1),
            "from_cache_seconds": round(again, 2),
            "access_microseconds": round(access, 1),
            "peak_resident_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "cache_mib": sum(file.stat().st_size for file in (root / "cache").rglob("*.npy")) // 2**20,
        }
    out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).with_name("results.json"))
