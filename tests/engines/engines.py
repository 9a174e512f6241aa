"""What each engine is asked: an export's questions, answered as by its run, or the score of its test set."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.engines.environments import (
    CACHE,
    LLAMA_CPP,
    LM_EVAL,
    ONNX,
    TRANSFORMERS,
    VLLM,
    EngineError,
    called,
    source_of_llama,
)
from tests.engines.exports import Exported
from tests.engines.interventions import nnsight
from tests.engines.servers import asked, serving

Outcome = tuple[str, bool]
"""What was found, and whether it is what the run has."""


def transformers(export: Exported) -> Outcome:
    """`transformers serve`, with nothing from the client but the length."""
    program = [TRANSFORMERS.ready(), "-m", "transformers.cli.transformers", "serve", str(export.folder)]
    line = [*program, "--device", "cpu", "--dtype", "float32", "--port", "{port}"]
    with serving(line) as address:
        return _texts(export, asked(address, str(export.folder), export.questions, {"max_tokens": 16}))


def vllm(export: Exported) -> Outcome:
    """vLLM's server, with nothing from the client: `generation_config.json` makes it greedy."""
    program = [VLLM.ready(), "-m", "vllm.entrypoints.openai.api_server", "--model", str(export.folder)]
    more = ["--served-model-name", "rim", "--dtype", "float32", "--enforce-eager", "--max-model-len", "256"]
    variables = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    with serving([*program, *more, "--port", "{port}"], variables) as address:
        return _texts(export, asked(address, "rim", export.questions, {}))


def llama_cpp(export: Exported) -> Outcome:
    """The export with `--gguf`, whose token ids llama.cpp has, behind the server of llama-cpp-python."""
    library = {"LLAMA_CPP_LIB_PATH": str(CACHE / "src" / "build" / "bin")}
    to = export.folder.with_name(f"{export.name}-gguf")
    line = [LLAMA_CPP.ready(), "-m", "rim.export", "--run", str(export.run), "--to", str(to), "--gguf"]
    called([*line, str(source_of_llama())], library)
    compared = json.loads((to / "rim.json").read_text())["gguf"]["prompts"]
    file = next(to.glob("*.gguf"))
    program = [LLAMA_CPP.python, "-m", "llama_cpp.server", "--model", str(file), "--model_alias", "rim"]
    greedy: dict[str, Any] = {"temperature": 0, "max_tokens": export.longest, "extra_body": {"repeat_penalty": 1.0}}
    with serving([*program, "--n_ctx", "256", "--n_threads", "1", "--port", "{port}"], library) as address:
        said, equal = _texts(export, asked(address, "rim", export.questions, greedy))
    return f"{said}; token ids of {compared} prompts equal", equal and bool(compared)


def onnx(export: Exported) -> Outcome:
    """ONNX Runtime GenAI's own builder and generator."""
    to = export.folder.with_name(f"{export.name}-onnx")
    builder = [ONNX.ready(), "-m", "onnxruntime_genai.models.builder", "-i", str(export.folder), "-o", str(to)]
    called([*builder, "-p", "fp32", "-e", "cpu", "-c", str(CACHE / "onnx-cache")])
    line = [ONNX.python, str(Path(__file__).with_name("onnx_answers.py")), str(to), str(export.longest)]
    given = json.dumps(export.questions)
    done = subprocess.run(line, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError(done.stderr.strip().splitlines()[-1])
    return _texts(export, json.loads(done.stdout))


def lm_eval(export: Exported) -> Outcome:
    """The score of the exported task, by lm_eval's own code."""
    to = export.folder.with_name(f"{export.name}-lm_eval")
    tasks = ["--include_path", "lm_eval", "--tasks", "rim_tracking_test"]
    more = ["--apply_chat_template", "--batch_size", "8", "--device", "cpu", "--output_path", str(to)]
    program = [
        LM_EVAL.ready(),
        "-m",
        "lm_eval",
        "--model",
        "hf",
        "--model_args",
        "pretrained=.,dtype=float32",
        *tasks,
        *more,
    ]
    done = subprocess.run(program, cwd=export.folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError("\n    ".join(done.stderr.strip().splitlines()[-6:]))
    results = json.loads(next(to.rglob("results_*.json")).read_text())
    score = results["results"]["rim_tracking_test"]["exact_match,answer"]
    return f"score {score:.3f}, the run's {export.score:.3f}", abs(score - export.score) < 1e-6


def _texts(export: Exported, texts: list[str]) -> Outcome:
    pairs = list(zip(texts, export.answers, strict=True))
    wrong = [f"{found!r} for {own!r}" for found, own in pairs if found.strip() != own]
    first = f", the first other one {wrong[0]}" if wrong else ""
    return f"{len(pairs) - len(wrong)} of {len(pairs)} answers equal{first}", not wrong


ENGINES: dict[str, Callable[[Exported], Outcome]] = {
    "transformers": transformers,
    "llama_cpp": llama_cpp,
    "onnx": onnx,
    "lm_eval": lm_eval,
    "vllm": vllm,
    "nnsight": nnsight,
}
