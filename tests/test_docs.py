"""README and docs: their code runs, their commands exist, their links lead somewhere, and they leave nothing out.

A comment on the line before a fenced block says what is done with it:

    <!-- file: flow.py -->       it is put into the page's folder under this name; tests are run, other files are not
    <!-- continues -->           it goes on where the page's last Python block ended
    <!-- prints -->              it is what the block or the commands before it print
    <!-- run -->                 its commands are run, not only parsed
    <!-- not run: the reason --> it is left alone
    <!-- help: kernel run -->    it is the help of this command

Every other Python block is run by itself, in the page's folder. Numbers that differ from run to run (times, sizes, run
ids, worker numbers) are not compared.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from attrs import fields_dict, frozen

import kernel.errors
from kernel import Policy, Runner
from kernel.cli.commands import kernel as command_line
from kernel.hooks import HOOKS
from kernel.hooks.check import _SPECS
from kernel.plugins.installed import GROUPS, scan
from kernel_project.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*?) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
DOTTED = re.compile(r"(kernel(?:_\w+)?(?:\.[A-Za-z_]\w*)+)(?:\(.*\))?")
REPOSITORY_PATH = re.compile(r"(?:kernel|plugins|examples|tests|benchmarks|docs|\.ci)/[\w./-]*")
#: What differs from run to run, and what stands in its place when output is compared.
VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\dT[\d.]+Z"), "<version>"),
    (re.compile(r"\d+\.\d+x on (\d+) workers?"), r"<speed> on \1"),
    (re.compile(r"\d+\.\d+s\b"), "<time>"),
    (re.compile(r"\d+\.\d+ [kMG]?B\b"), "<size>"),
    (re.compile(r"\b(worker |w)\d+\b"), r"\1<number>"),
    (re.compile(r"\b(process|pid) \d+"), r"\1 <pid>"),
    (re.compile(r"^\d\d:\d\d:\d\d ", re.MULTILINE), "<now> "),
    (re.compile(r"[ \t]+"), " "),
)


@frozen
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    mark: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks_of(page):
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(page, line, found["mark"] or "", found["language"], found["text"])


def prose_of(page):
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def name_of(page):
    return page.stem


def commands_of(block):
    """Return the commands of a console block, each as words, with what it prints according to the page."""
    found = []
    for line in block.text.replace("\\\n", " ").splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
        elif found:
            found[-1][1].append(line)
    return [(command, "\n".join(output)) for command, output in found]


def steady(text):
    for pattern, instead in VARYING:
        text = pattern.sub(instead, text)
    return [line.strip() for line in text.strip().splitlines()]


def run(command, folder, **options):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KERNEL_")}
    environment |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}", "COLUMNS": "100"}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        timeout=240,
        check=False,
        **{"stderr": subprocess.STDOUT, **options},
    )


class Reader:
    """Does what a page says, block by block, in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.program = ""
        self.printed = None

    def read(self, block):
        kind, _, argument = block.mark.partition(": ")
        if kind == "file":
            file = self.folder / argument
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
            if file.name.startswith("test_"):
                self.test(block, file)
        elif kind == "prints":
            assert self.printed is not None, f"{block}: there is nothing before it that prints"
            assert steady(self.printed) == steady(block.text), f"{block} is not what is printed:\n{self.printed}"
        elif kind == "run":
            self.follow(block)
        elif kind not in {"not run", "help"} and block.language == "python":
            self.run_python(block)

    def run_python(self, block):
        self.program = self.program + block.text if block.mark == "continues" else block.text
        file = self.folder / f"example_{block.line}.py"
        file.write_text(self.program, encoding="utf-8")
        # Apart from warnings of what takes long, which an engine on a busy machine may have reason for.
        done = run([sys.executable, "-W", "error", file.name], self.folder, stderr=subprocess.PIPE)
        assert done.returncode == 0, f"{block} fails:\n{done.stdout}\n{done.stderr}"
        self.printed = done.stdout

    def test(self, block, file):
        done = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", file.name], self.folder)
        assert done.returncode == 0, f"{block} fails:\n{done.stdout}"

    def follow(self, block):
        for command, expected in commands_of(block):
            done = run(command, self.folder, shell=True, executable="/bin/bash")
            assert steady(done.stdout) == steady(expected), f"{block}: {command}\nprints:\n{done.stdout}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_code_of_a_page_runs_as_it_is_written(page, tmp_path):
    reader = Reader(tmp_path)
    for block in blocks_of(page):
        reader.read(block)


def test_a_block_that_is_not_run_says_why():
    silent = [str(block) for page in PAGES for block in blocks_of(page) if re.fullmatch(r"not run:?\s*", block.mark)]
    assert not silent


def test_every_mark_of_a_block_is_known():
    known = re.compile(r"|file: [\w./-]+|continues|prints|run|not run: .+|help: kernel( \w+)?")
    unknown = [
        f"{block}: {block.mark}" for page in PAGES for block in blocks_of(page) if not known.fullmatch(block.mark)
    ]
    assert not unknown


def words_of(command):
    """Return the words of a shell's command, up to the first operator after `kernel`."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(lexer)
    start = words.index("kernel") if "kernel" in words else 0
    return [*words[:start], *itertools.takewhile(lambda word: word.strip("();<>|&"), words[start:])]


def parse(words):
    """Parse the words of a `kernel` command without running it; raises click's error for what is wrong."""
    try:
        with command_line.make_context("kernel", list(words)) as context:
            # click 8.2 took the plain name away from what is between a group and its command.
            between = context._protected_args if hasattr(context, "_protected_args") else context.protected_args
            rest = [*between, *context.args]
            name, command, arguments = command_line.resolve_command(context, rest)
            command.make_context(name, arguments, parent=context)
    except click.exceptions.Exit:
        return  # --help and --version end there


def test_every_command_of_the_pages_has_options_that_exist():
    seen = 0
    for page in PAGES:
        for block in blocks_of(page):
            if block.language != "console":
                continue
            assert commands_of(block), f"{block} has no line that starts with '$ '"
            for command, _ in commands_of(block):
                words = words_of(command)
                if "kernel" not in words:
                    continue
                seen += 1
                try:
                    parse(words[words.index("kernel") + 1 :])
                except click.ClickException as error:
                    pytest.fail(f"{block}: {command}: {error.format_message()}")
    assert seen


def test_the_help_in_the_pages_is_what_the_program_says():
    told = {
        block.mark.removeprefix("help: "): block
        for page in PAGES
        for block in blocks_of(page)
        if "help: " in block.mark
    }
    assert sorted(told) == [
        "kernel",
        *(f"kernel {name}" for name in command_line.list_commands(click.Context(command_line))),
    ]
    for command, block in told.items():
        done = run([sys.executable, "-m", *command.split(), "--help"], ROOT)
        help_text = done.stdout.replace("python -m kernel", "kernel")
        # Line breaks are left to click, whose releases differ in them.
        assert block.text.split() == help_text.split(), f"{block} should be:\n{help_text}"


def anchors_of(page):
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_inside_of_the_project_leads_somewhere(page):
    dead = []
    for target in LINK.findall(prose_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        if not linked.exists() or (anchor and anchor not in anchors_of(linked)):
            dead.append(target)
    assert not dead


def test_every_page_can_be_reached_from_the_map_of_the_docs():
    linked = {target.partition("#")[0] for target in LINK.findall(prose_of(ROOT / "docs" / "index.md"))}
    assert {page.name for page in PAGES[1:]} - {"index.md"} <= linked


def resolves(dotted):
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                return part in getattr(found, "__annotations__", ())
            found = getattr(found, part)
        return True
    return False


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_dotted_name_and_path_in_a_page_exists(page):
    wrong = []
    for code in CODE.findall(prose_of(page)):
        dotted = DOTTED.fullmatch(code)
        if dotted and dotted[1] not in GROUPS.values() and not resolves(dotted[1]):
            wrong.append(code)
        if REPOSITORY_PATH.fullmatch(code) and not (ROOT / code).exists():
            wrong.append(code)
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_test_that_a_page_names_exists(page):
    wrong = []
    for path, name in re.findall(r"`(tests/\w+\.py)::(\w+)`", prose_of(page)):
        file = ROOT / path
        if not file.exists() or f"def {name}(" not in file.read_text(encoding="utf-8"):
            wrong.append(f"{path}::{name}")
    assert not wrong


def test_every_module_of_the_kernel_has_its_place_in_the_architecture():
    modules = [path for path in (ROOT / "kernel").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    names = {f"kernel/{path.name}{'/' if path.is_dir() else ''}" for path in modules} - {"kernel/__init__.py"}
    assert names - described("docs/architecture.md") == set()


def section(page, heading):
    """Return the text from the heading that has this name in backticks to the next heading; '' without one."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.search(rf"^#+ `{re.escape(heading)}`[^\n]*\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


@pytest.mark.parametrize("hook", sorted(HOOKS))
def test_a_hook_is_described_with_each_of_its_arguments(hook):
    spec = next(spec for spec in _SPECS if hasattr(spec, hook))
    text = section("listeners.md", hook)
    assert text, f"docs/listeners.md has no section '### `{hook}`'"
    arguments = [name for name in inspect.signature(getattr(spec, hook)).parameters if name != "self"]
    assert [name for name in arguments if f"`{name}`" not in text] == []


def described(page):
    return set(CODE.findall((ROOT / page).read_text(encoding="utf-8")))


def test_every_shipped_plugin_is_named_in_the_readme():
    shipped = {entry.name for kind in GROUPS for entry in scan()[kind] if entry.dist.name == "kernel-pipelines"}
    assert shipped - described("README.md") == set()


def test_every_dataset_type_has_a_section():
    shipped = {entry.name for entry in scan()["dataset"] if entry.dist.name == "kernel-pipelines"}
    assert {name for name in shipped if not section("datasets.md", name)} == set()


def test_every_setting_of_a_project_is_described():
    keys = {name.replace("_", "-") for name, each in fields_dict(Settings).items() if "kind" in each.metadata}
    assert keys - described("docs/projects.md") == set()


def test_every_option_of_a_runner_and_of_a_nodes_policy_is_described():
    options = {name for name in inspect.signature(Runner).parameters if name != "self"}
    assert (options | set(fields_dict(Policy))) - described("docs/python-api.md") == set()


def test_every_public_name_and_every_error_is_described():
    names = {*kernel.__all__, *kernel.errors.__all__}
    told = {
        re.sub(r"\W.*", "", code.removeprefix("kernel.errors.").removeprefix("kernel."))
        for code in described("docs/python-api.md")
    }
    assert names - told == set()
