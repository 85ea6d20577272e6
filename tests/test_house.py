"""The rules of the house, held by tests: sizes, imports, words, and documentation that names every hook."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

from kernel import Runner, node, pipeline
from kernel.hooks import HOOKS
from kernel.specs.catalog import DatasetHooks
from kernel.specs.executor import WorkerHooks
from kernel.specs.runner import NodeHooks, ProjectHooks, RunHooks

ROOT = Path(__file__).parents[1]
KERNEL = sorted((ROOT / "kernel").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))
SOURCES = [*KERNEL, *PLUGINS]
TEXTS = {".py", ".md", ".toml", ".yml", ".yaml", ".cfg", ".txt", ".html", ".svg", ""}

FILE_LINES = 300
FUNCTION_LINES = 40
#: Lines of code of the kernel without its kit, by part; docstrings, comments and blank lines are not counted.
#: What a fork, a signal or a module's import may do to a run is known here, for every executor: 200 lines.
#: That executors begin while a project loads, and plugins are found without what takes long to load, took 120.
#: Values are copied, pickled and told apart in every process, whatever runs and keeps them: no plugin's business.
CEILINGS = {"values": 950, "all else": 7_380}

#: What a process does not pay for before a run asks for it.
HEAVY = {
    "asyncio",
    "click",
    "cloudpickle",
    "concurrent.futures",
    "fsspec",
    "importlib.metadata",
    "logging",
    "multiprocessing",
    "numpy",
    "pandas",
    "pyarrow",
    "stevedore",
    "subprocess",
    "yaml",
}
#: What only the runner's side needs.
NOT_IN_WORKERS = {"click", "stevedore", "importlib.metadata"}


def named(path):
    return str(path.relative_to(ROOT))


def code_lines(path):
    """Count the lines of a file that are neither blank, nor comment, nor docstring."""
    with path.open("rb") as file:
        ignored = {
            tokenize.COMMENT,
            tokenize.NL,
            tokenize.NEWLINE,
            tokenize.INDENT,
            tokenize.DEDENT,
            tokenize.ENCODING,
            tokenize.ENDMARKER,
        }
        lines = {
            line
            for token in tokenize.tokenize(file.readline)
            if token.type not in ignored
            for line in range(token.start[0], token.end[0] + 1)
        }
    for found in ast.walk(ast.parse(path.read_text())):
        if isinstance(found, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(found) is not None:
            lines -= set(range(found.body[0].lineno, found.body[0].end_lineno + 1))
    return len(lines)


# ---- sizes


def test_no_file_grows_long():
    lines = {named(path): path.read_text().count("\n") for path in SOURCES}
    assert {name: count for name, count in lines.items() if count >= FILE_LINES} == {}


def test_no_function_grows_long():
    long = {}
    for path in SOURCES:
        for found in ast.walk(ast.parse(path.read_text())):
            if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = found.end_lineno - found.lineno + 1
                if lines >= FUNCTION_LINES:
                    long[f"{named(path)}:{found.lineno} {found.name}"] = lines
    assert long == {}


@pytest.mark.parametrize("part", CEILINGS)
def test_the_kernel_stays_small(part):
    files = [path for path in KERNEL if "testing" not in path.parts and ("values" in path.parts) == (part == "values")]
    lines = {named(path): code_lines(path) for path in files}
    assert sum(lines.values()) < CEILINGS[part], sorted(lines.items(), key=lambda line: -line[1])[:10]


# ---- imports; `.importlinter` has the layers


def imports(path):
    """Yield every module that a file imports, wherever in it, but for the type checker."""
    tree = ast.parse(path.read_text())
    for found in ast.walk(tree):
        if isinstance(found, ast.If) and ast.unparse(found.test) == "TYPE_CHECKING":
            found.body = []
    for found in ast.walk(tree):
        if isinstance(found, ast.Import):
            yield from (alias.name for alias in found.names)
        elif isinstance(found, ast.ImportFrom):
            yield found.module or ""


def importers(*modules):
    """Say which files import any of these modules or what is in them."""
    inside = tuple(f"{module}." for module in modules)
    return {
        named(path) for path in SOURCES if any(name in modules or name.startswith(inside) for name in imports(path))
    }


def test_only_the_command_line_imports_click():
    assert {name for name in importers("click") if not name.startswith("kernel/cli/")} == set()


def test_only_one_file_imports_stevedore():
    assert importers("stevedore") == {"kernel/plugins/driver.py"}


def test_only_the_kernels_own_search_for_plugins_looks_at_distributions():
    found = importers("importlib.metadata")
    assert {name for name in found if not name.startswith(("kernel/plugins/", "kernel/cli/"))} == set()


def test_the_kernel_imports_no_plugin():
    plugins = {path.name for path in ROOT.glob("plugins/*/kernel_*")}
    wrong = {named(path): sorted({name.partition(".")[0] for name in imports(path)} & plugins) for path in KERNEL}
    assert {name: found for name, found in wrong.items() if found} == {}


@pytest.mark.parametrize("statement", ["import kernel", "from kernel import node, pipeline, run"])
def test_importing_the_kernel_loads_nothing_heavy(statement):
    script = f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "kernel" in loaded
    assert loaded & HEAVY == set()


def loaded_modules():
    return sorted(sys.modules)


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_a_worker_knows_neither_the_command_line_nor_the_search_for_plugins(start_method, tmp_path, monkeypatch):
    # A function of a module of its own: this one imports what no worker shall.
    (tmp_path / "of_a_worker.py").write_text(inspect.getsource(loaded_modules).replace("def", "import sys\ndef", 1))
    monkeypatch.syspath_prepend(tmp_path)
    import of_a_worker

    flow = pipeline([node(of_a_worker.loaded_modules, None, "modules")])
    modules = Runner("process_pool", workers=1, start_method=start_method).run(flow)["modules"]
    assert "kernel.worker" in modules
    assert set(modules) & NOT_IN_WORKERS == set()


# ---- words


def texts():
    """Yield every text file that belongs to the project, but this one: it has to say what is not to be said."""
    folders = ["kernel", "plugins", "tests", "docs", "examples", "benchmarks", ".ci"]
    files = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    for path in sorted([*files, *ROOT.glob("*.md"), *ROOT.glob("*.toml"), ROOT / ".importlinter"]):
        made = {"__pycache__", "data", "results", "build"} & set(path.relative_to(ROOT).parts)
        if path.is_file() and not made and path.suffix in TEXTS and path != Path(__file__):
            yield path, path.read_text(errors="replace")


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?<![\w.:])/(home|root|Users)/\w",
        r"\b(TODO|FIXME|XXX|HACK)\b",
    ],
)
def test_no_file_speaks_of_the_place_where_it_was_written(pattern):
    found = [
        f"{named(path)}:{number}: {line.strip()[:100]}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(pattern, line)
    ]
    assert found == []


def test_modules_are_named_by_what_they_do():
    vague = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}
    assert [named(path) for path in SOURCES if {path.stem, path.parent.name} & vague] == []


def test_every_exemption_from_a_rule_says_why():
    bare = re.compile(r"# (noqa|type: ignore|pyright: ignore)(: ?[A-Z0-9, ]+|\[[\w, -]+\])?\s*$")
    found = [
        f"{named(path)}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if bare.search(line) and line.count(" # ") < 2
    ]
    assert found == []


# ---- documentation


ARGUMENTS = {
    name: [argument for argument in inspect.signature(function).parameters if argument != "self"]
    for specs in (ProjectHooks, RunHooks, NodeHooks, DatasetHooks, WorkerHooks)
    for name, function in vars(specs).items()
    if name in HOOKS
}


def sections(name):
    """Return what the documentation says under headings with this name, and in rows of tables that start with it."""
    found = []
    for path in sorted((ROOT / "docs").rglob("*.md")):
        text = path.read_text()
        parts = re.split(r"^(?=#{2,6} )", text, flags=re.MULTILINE)
        found += [part for part in parts if re.search(rf"\b{name}\b", part.partition("\n")[0])]
        found += re.findall(rf"^\| *`{name}.*$", text, flags=re.MULTILINE)
    return found


@pytest.mark.parametrize("hook", sorted(HOOKS))
def test_the_documentation_explains_every_hook_with_its_arguments(hook):
    said = sections(hook)
    assert said, f"no section of docs/*.md is about {hook}"
    missing = [name for name in ARGUMENTS[hook] if not any(re.search(rf"\b{name}\b", part) for part in said)]
    assert missing == []


def test_every_hook_is_one_that_this_file_knows():
    assert ARGUMENTS.keys() == HOOKS


def test_the_version_is_the_same_everywhere():
    import tomllib

    import kernel

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert kernel.__version__ == project["version"]
    assert f"## [{kernel.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
