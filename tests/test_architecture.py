"""Imports point down only, between rooms and between files. Read from the source, so those inside functions count."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import rim.deployment.api

ROOT = Path(__file__).resolve().parent.parent
VERBS = ("fit", "evaluate", "analyze", "show", "compare", "sweep", "bench", "ask", "export")
LEVELS: tuple[tuple[str, ...], ...] = (
    ("base",),
    ("settings", "base.tree", "data.answers"),
    ("data", "backbone", "report"),
    ("reading settings",),
    ("methods",),
    ("runs",),
    ("evaluation",),
    ("training",),
    ("studies", "studies.comparison", "studies.sweeps", "studies.benchmark", "studies.analysis"),
    ("deployment",),
    VERBS,
    ("__main__",),
)
"""Rooms, lowest first. A room imports itself and lower levels; rooms of one level do not know each other. A folder
that is named with the folder above it, such as `studies.sweeps`, is a room of its own."""

READING = ("rim.settings.checks", "rim.settings.merge", "rim.settings.load", "rim.settings.commandline")
"""The upper floor of the settings: it lies above data, since sources are checked against the table of tasks. The lower
floor, the dataclasses, lies below, since data and backbones take their settings from it."""

DOORS = 20
"""Most files and folders directly under `rim/`, those that Python itself looks for left aside."""

COMMON = {
    "rim.methods.method",
    "rim.methods.registry",
    "rim.methods.blocks",
    "rim.methods.placement",
    "rim.methods.sentences",
    "rim.methods.replacement",
    "rim.methods.distillation",
}
"""What modules of `rim.methods` share; beyond it, no method knows another."""

LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "rim").rglob("*.py"))
}
SKIPPED = {
    ".git",
    ".venv",
    ".cache",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    "__pycache__",
    "runs",
    "build",
    "dist",
}
FILES = [
    path
    for path in sorted(ROOT.rglob("*"))
    if path.is_file() and not SKIPPED & {*path.relative_to(ROOT).parts} and ".egg-info" not in str(path)
]


def imports(source: str, module: str, package: bool = False) -> Iterator[str]:
    """Dotted names that a source imports, anywhere in it; `from a import b` gives `a.b`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: len(module.split(".")) - node.level + package] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def target(name: str) -> str:
    """The module of rim that an imported name lies in."""
    while name not in MODULES and "." in name:
        name = name.rpartition(".")[0]
    return name


def imports_of_rim(module: str) -> set[str]:
    path = MODULES[module]
    names = imports(path.read_text(encoding="utf-8"), module, path.name == "__init__.py")
    return {target(name) for name in names if name.split(".")[0] == "rim"}


def room(module: str) -> str:
    if any(module == upper or module.startswith(f"{upper}.") for upper in READING):
        return "reading settings"
    parts = module.split(".")[1:]
    inner = ".".join(parts[:2])
    return inner if inner in LEVEL else parts[0] if parts else ""


def allowed(module: str, other: str) -> bool:
    """Whether an arrow points down: `rim` itself holds only the version, and anyone may read it."""
    if other == "rim" or room(module) == room(other):
        return True
    same_verbs = room(module) in VERBS and room(other) in VERBS
    return LEVEL[room(other)] < LEVEL[room(module)] or same_verbs


def ring(graph: dict[str, set[str]]) -> str:
    """A ring of imports, `a -> b -> a`; empty: there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " -> ".join(reversed(error.args[1]))
    return ""


def test_every_module_has_a_room() -> None:
    assert {room(module) for module in MODULES} - {""} <= {*LEVEL}, "a new room needs a level in LEVELS"


def test_a_newcomer_stands_before_few_doors() -> None:
    doors = {path.stem for path in (ROOT / "rim").iterdir() if not path.name.startswith("__")}
    assert len(doors) <= DOORS, f"{len(doors)} rooms: {sorted(doors)}"


@pytest.mark.parametrize("module", [module for module in MODULES if module != "rim"])
def test_arrows_point_down(module: str) -> None:
    wrong = {other for other in imports_of_rim(module) if not allowed(module, other)}
    assert wrong == set(), f"{module} (level {LEVEL[room(module)]}) imports from its own level or above"


def test_no_files_import_each_other() -> None:
    found = ring({module: imports_of_rim(module) - {module, "rim"} for module in MODULES if module != "rim"})
    assert not found, f"{found}: a type lies beside the work done with it, and needs a file of its own"


def test_a_ring_is_told_in_the_order_of_its_imports() -> None:
    assert ring({"a": {"b", "d"}, "b": {"c"}, "c": {"d"}}) == ""
    told = ring({"a": {"b"}, "b": {"c", "d"}, "c": {"b"}})
    assert told in ("b -> c -> b", "c -> b -> c")
    three = ring({"a": {"b"}, "b": {"c"}, "c": {"a"}})
    assert three in ("a -> b -> c -> a", "b -> c -> a -> b", "c -> a -> b -> c")


def test_studies_share_a_level_and_import_none_of_each_other() -> None:
    studies = {room(module) for module in MODULES if module.startswith("rim.studies.")}
    assert studies == {"studies.comparison", "studies.sweeps", "studies.benchmark", "studies.analysis"}
    assert len({LEVEL[name] for name in studies}) == 1 and LEVEL["report"] < LEVEL["evaluation"]
    assert not allowed("rim.studies.sweeps.tables", "rim.studies.comparison.tables")
    for module in MODULES:
        if room(module) in studies:
            found = {other for other in imports_of_rim(module) if room(other) in studies - {room(module)}}
            assert found == set(), f"{module} imports {found}: what both need belongs to rim/report"


def test_no_method_knows_another() -> None:
    for module in MODULES:
        if room(module) == "methods" and module not in {"rim.methods", "rim.methods.registry"}:
            inside = {other for other in imports_of_rim(module) if room(other) == "methods"}
            assert inside <= COMMON, f"{module} imports {inside - COMMON}"


def test_the_reader_of_imports_sees_all_forms() -> None:
    source = "import rim.base.tree as t, os\nfrom rim import settings\nfrom rim.data.example import Task\n"
    source += "def f():\n    from . import cot\nif TYPE_CHECKING:\n    from rim.runs.folder import RunFolder"
    assert {*imports(source, "rim.methods.direct")} == {
        "rim.base.tree", "os", "rim.settings", "rim.data.example.Task", "rim.methods.cot", "rim.runs.folder.RunFolder",
    }  # fmt: skip
    assert [*imports("from .cot import A\nfrom ..base.tree import B", "rim.methods", package=True)] == [
        "rim.methods.cot.A", "rim.base.tree.B",
    ]  # fmt: skip
    assert not allowed("rim.data.files", "rim.methods.cot") and not allowed("rim.data.files", "rim.backbone.load")
    assert not allowed("rim.evaluation.metrics", "rim.training.module") and allowed(
        "rim.training.module", "rim.evaluation"
    )


def test_nothing_imports_experiments_and_they_import_only_rim() -> None:
    for path in FILES:
        if path.suffix != ".py":
            continue
        inside = path.is_relative_to(ROOT / "experiments")
        refused = {"tests"} if inside else {"experiments"}
        found = {name.split(".")[0] for name in imports(path.read_text(encoding="utf-8"), path.stem)}
        assert not found & refused, f"{path.relative_to(ROOT)} imports {found & refused}"


def test_every_library_that_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]["gguf"]
    declared = {re.split(r"[<>=~!; ]", line)[0] for line in [*project["dependencies"], *extras]}
    found = {name.split(".")[0] for m, path in MODULES.items() for name in imports(path.read_text(encoding="utf-8"), m)}
    libraries = {name.replace("_", "-") for name in found - {"rim", *sys.stdlib_module_names}}
    called = {"yaml": "pyyaml", "sklearn": "scikit-learn"}
    assert {called.get(name, name) for name in libraries} - declared == set()


def test_every_declared_library_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in lines if "==" in line}
    installed = ("gguf", "dev")  # by make setup; a user of wandb or mlflow chooses their versions
    extras = [line for name in installed for line in project["optional-dependencies"][name]]
    wanted = {re.split(r"[<>=~!; ]", line)[0] for line in [*project["dependencies"], *extras, "setuptools"]}
    assert wanted - pinned == {"rim[gguf]"}, "an extra of ours within another"
    assert "torch==2.13.0" in lines and not [line for line in lines if "://" in line or "+" in line]


def test_the_package_itself_holds_the_version_and_the_names_of_the_api() -> None:
    assert imports_of_rim("rim") == {"rim.deployment.api"}
    assert sorted(rim.__all__) == sorted(rim.deployment.api.__all__) and len(rim.__all__) <= 10


@pytest.mark.parametrize("module", MODULES)
def test_modules_are_documented_and_short(module: str) -> None:
    source = MODULES[module].read_text(encoding="utf-8")
    tree = ast.parse(source)
    assert ast.get_docstring(tree), f"{module} has no docstring"
    assert len(source.splitlines()) <= 400, f"{module} has more than 400 lines: find the second idea in it"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, f"{module}.{node.name} has more than 60 lines"


def test_no_file_names_a_folder_of_one_machine() -> None:
    pattern = re.compile(r"(?<![\w.~/-])/(?:home|root|work|Users)/\w+")
    assert pattern.search("at /" + "root/x") and not pattern.search("https://host/" + "work/x ../" + "work/x")
    for path in FILES:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture or another binary
        found = pattern.search(text)
        assert found is None, f"{path.relative_to(ROOT)} names {found[0] if found else ''}"
