"""The process that makes workers starts while a project is imported, and loads the libraries that it uses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from kernel.cli import main
from watching import is_alive, started_by, wait_until

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("no_leftovers")]

#: Notes who imports it, in which world.
LIBRARY = """
import json, os
with open(os.environ["NOTES"], "a") as file:
    here = {"what": __name__, "pid": os.getpid(), "told": os.environ.get("TOLD"), "folder": os.getcwd()}
    print(json.dumps(here), file=file)
def tool(x):
    return x
"""
FLOW = """
import os
from kernel import node, pipeline as make
{}
def use(x):
    tool(x)
    return [os.getpid(), os.getppid()]

def keep(found):
    import json
    with open(os.environ["FOUND"], "w") as file:
        json.dump(found, file)

pipeline = make([node(use, "x", "found", name="use"), node(keep, "found", None, name="keep")])
datasets = {{"x": 1}}
"""


@pytest.fixture
def place(tmp_path):
    """Libraries that are installed, and how to run a project that uses them."""
    installed = tmp_path / "site-packages"
    installed.mkdir()
    for name in ("first_library", "second_library"):
        (installed / f"{name}.py").write_text(LIBRARY)
    return Place(tmp_path, installed)


class Place:
    def __init__(self, folder, installed):
        self.folder, self.installed = folder, installed
        self.notes, self.found = folder / "notes", folder / "found"

    @property
    def environment(self):
        return {
            **os.environ,
            "NOTES": str(self.notes),
            "FOUND": str(self.found),
            "PYTHONPATH": str(self.installed),
        }

    def write(self, name, code):
        file = self.folder / name
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(textwrap.dedent(code))
        return file

    def start(self, *words):
        return subprocess.Popen(
            [sys.executable, "-m", "kernel", "run", *words],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words):
        process = self.start(*words)
        said = process.communicate(timeout=60)[0]
        return process.returncode, said, process.pid

    def noted(self):
        return [json.loads(line) for line in self.notes.read_text().splitlines()] if self.notes.exists() else []

    def loaded_by(self, name):
        return [each["pid"] for each in self.noted() if each["what"] == name]


def test_the_libraries_of_a_project_are_loaded_twice_by_the_runner_and_for_all_workers(place):
    place.write("flow.py", FLOW.format("from first_library import tool\nimport second_library"))
    code, said, runner = place.run("flow.py", "-x", "process_pool")
    assert code == 0, said
    _, server = json.loads(place.found.read_text())
    assert set(place.loaded_by("first_library")) == {runner, server}
    assert set(place.loaded_by("second_library")) == {runner, server}
    assert len(place.noted()) == 4


def test_it_starts_before_the_first_module_of_the_project_is_imported(place):
    place.write(
        "flow.py",
        FLOW.format(
            """
            import subprocess
            if os.environ.get("RUNNER", str(os.getpid())) == str(os.getpid()):
                os.environ["RUNNER"] = str(os.getpid())
                from pathlib import Path
                children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
                assert len(children) == 1, children
                os.environ["SERVER"] = children[0]
            from first_library import tool
            """
        ).replace("\n            ", "\n"),
    )
    code, said, _ = place.run("flow.py", "-x", "process_pool")
    assert code == 0, said


def test_it_starts_for_an_executor_that_only_the_settings_name(place):
    place.write(
        "pyproject.toml", '[tool.kernel]\npipelines = "flow:pipeline"\nexecutor = "process_pool"\nsource = "src"\n'
    )
    place.write("conf/catalog.yml", "x:\n  type: memory\n")
    flow = FLOW.replace('datasets = {{"x": 1}}', "").replace('"x", "found"', 'None, "found"').replace("use(x)", "use()")
    flow = flow.replace("tool(x)", "tool(1)")
    place.write("src/flow.py", flow.format("from first_library import tool"))
    code, said, runner = place.run()
    assert code == 0, said
    _, server = json.loads(place.found.read_text())
    assert set(place.loaded_by("first_library")) == {runner, server}


def test_what_only_another_pipeline_uses_is_not_in_the_process_that_workers_come_from(place):
    place.write("other.py", "import second_library\ndef other():\n    return second_library.tool(1)\n")
    place.write("first.py", FLOW.format("from first_library import tool"))
    both = 'pipelines = {"one": first.pipeline, "other": make([node(other.other, None, "o", name="o")])}'
    head = "import first, other\nfrom kernel import node, pipeline as make\n"
    place.write("flow.py", f"{head}{both}\ndatasets = first.datasets\n")
    code, said, _ = place.run("flow.py", "-x", "process_pool", "--pipeline", "one")
    assert code == 0, said
    _, server = json.loads(place.found.read_text())
    assert server in place.loaded_by("first_library")
    assert server not in place.loaded_by("second_library")


def test_a_project_that_is_installed_is_loaded_by_the_worker_alone(place):
    (place.installed / "product.py").write_text("import second_library\n" + LIBRARY)
    code = FLOW.format("from first_library import tool\nfrom product import tool as mine")
    place.write("flow.py", code.replace('node(use, "x"', 'node(mine, "x", "z", name="m"), node(use, "x"'))
    code, said, _ = place.run("flow.py", "-x", "process_pool")
    assert code == 0, said
    _, server = json.loads(place.found.read_text())
    assert server not in place.loaded_by("product")


def test_a_library_is_loaded_in_the_world_in_which_the_project_imports_it(place):
    (place.folder / "elsewhere").mkdir()
    head = 'os.environ["TOLD"] = "once"\nos.chdir("elsewhere")\nfrom first_library import tool\n'
    place.write("flow.py", FLOW.format(head + 'os.environ["TOLD"] = "twice"\nos.chdir("..")\nimport second_library'))
    code, said, _ = place.run("flow.py", "-x", "process_pool")
    assert code == 0, said
    worlds = {(each["what"], each["told"], each["folder"]) for each in place.noted()}
    assert worlds == {
        ("first_library", "once", str(place.folder / "elsewhere")),
        ("second_library", "twice", str(place.folder)),
    }


@pytest.mark.parametrize(
    "head",
    ["raise ValueError('no')", "import no_such_module", "from kernel import nothing"],
    ids=["raises", "lacks", "errs"],
)
def test_where_the_project_cannot_be_loaded_nothing_is_left_and_the_error_is_as_ever(head, place):
    place.write("flow.py", FLOW.format(f"from first_library import tool\n{head}"))
    code, said, _ = place.run("flow.py", "-x", "process_pool")
    plain, said_plainly, _ = place.run("flow.py", "-x", "sequential")
    assert code == plain != 0
    assert said.replace("-x process_pool", "") == said_plainly.replace("-x sequential", "")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_runner_that_is_ended_while_it_imports_leaves_nothing(number, place):
    head = 'from first_library import tool\nimport time\nopen("imports", "w").close()\ntime.sleep(60)'
    place.write("flow.py", FLOW.format(head))
    process = place.start("flow.py", "-x", "process_pool")
    wait_until((place.folder / "imports").exists, "the project is imported")
    children = started_by(process.pid)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode != 0
    wait_until(lambda: not any(map(is_alive, children)), "what it started has ended")


def test_a_child_that_a_module_forks_while_it_is_imported_imports_what_it_likes(place):
    head = """
from first_library import tool
pid = os.fork()
if pid == 0:
    import second_library
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
"""
    place.write("flow.py", FLOW.format(head))
    code, said, runner = place.run("flow.py", "-x", "process_pool")
    assert code == 0, said
    _, server = json.loads(place.found.read_text())
    assert runner in place.loaded_by("first_library")
    assert not {runner, server} & set(place.loaded_by("second_library"))


CHANGES = {
    "umask": "os.umask(0o027)",
    "priority": "os.nice(3)",
    "limits": "import resource\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))",
    "output": "os.dup2(os.open('log', os.O_WRONLY | os.O_CREAT), 1)",
    "signals": "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)",
    "scheduler": "os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))",
    "groups": "os.getuid() or os.setgroups([12345])",
    "rights": "os.getuid() or os.setegid(12345)",
}
SEES = """
def seen():
    import resource, signal
    umask = os.umask(0)
    os.umask(umask)
    limits = list(resource.getrlimit(resource.RLIMIT_CORE))
    priority = os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)
    rights = os.getgroups(), os.getegid()
    return [[umask, limits, *priority, os.fstat(1).st_ino, signal.getsignal(signal.SIGHUP), *rights]]
"""


@pytest.mark.parametrize("changed", CHANGES)
def test_what_only_a_parent_hands_down_is_as_it_is_when_the_run_begins(changed, place):
    place.write(
        "first.py", FLOW.format("from first_library import tool\n" + SEES).replace("return [os", "return seen() + [os")
    )
    code = f"import os\n{CHANGES[changed]}\nimport first\npipeline, datasets = first.pipeline, first.datasets\n"
    code += "import json\nif 'SEEN' not in os.environ:\n    os.environ['SEEN'] = 'yes'\n"
    place.write("flow.py", code + "    open('here', 'w').write(json.dumps(first.seen()[0]))\n")
    code, said, _ = place.run("flow.py", "-x", "process_pool")
    assert code == 0, said
    assert json.loads(place.found.read_text())[0] == json.loads((place.folder / "here").read_text())


def test_variables_that_only_count_at_a_programs_start_are_in_force(place):
    place.write(
        "flow.py",
        FLOW.format('os.environ["PYTHONHASHSEED"] = "7"\nfrom first_library import tool').replace(
            "return [os", "return [hash('a text')] + [os"
        ),
    )
    code, said, _ = place.run("flow.py", "-x", "process_pool")
    assert code == 0, said
    hashed, *_ = json.loads(place.found.read_text())
    there = subprocess.run(
        [sys.executable, "-c", "print(hash('a text'))"],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert hashed == int(there.stdout)


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"])
def test_a_number_of_threads_that_the_project_sets_is_the_one_that_its_libraries_find(name, place):
    told = f'os.environ["TOLD"] = str([os.environ.get("{name}"), os.environ.get("MKL_NUM_THREADS")])'
    (place.installed / "first_library.py").write_text(f"import os\n{told}\n" + LIBRARY)
    place.write("flow.py", FLOW.format(f'os.environ["{name}"] = "7"\nfrom first_library import tool'))
    code, said, runner = place.run("flow.py", "-x", "process_pool")
    assert code == 0, said
    worlds = {each["pid"]: each["told"] for each in place.noted()}
    server = next(pid for pid in worlds if pid != runner)
    assert worlds[server].startswith("['7', ")
    if name == "OMP_NUM_THREADS":
        assert worlds[server] == "['7', None]"


def test_what_a_library_starts_is_ended_where_the_project_cannot_be_loaded(place):
    starts = "import os, subprocess\nif os.getpid() != int(os.environ.get('RUNNER', 0)):\n"
    starts += "    subprocess.Popen(['sleep', '321'], start_new_session=True)\n    open('started', 'w').close()\n"
    (place.installed / "second_library.py").write_text(starts)
    head = "os.environ['RUNNER'] = str(os.getpid())\nimport second_library, time\n"
    head += "while not os.path.exists('started'):\n    time.sleep(0.01)\nraise ValueError('no')"
    place.write("flow.py", FLOW.format(head))
    code, said, _ = place.run("flow.py", "-x", "process_pool")
    assert code != 0
    assert "no" in said


def test_options_of_the_settings_hold_for_the_executor_that_the_command_names_too(place):
    place.write(
        "pyproject.toml",
        '[tool.kernel]\npipelines = "flow:pipeline"\nexecutor = "process_pool"\nsource = "src"\n'
        "[tool.kernel.executor-options]\nmax_nodes_per_worker = 5\n",
    )
    place.write("conf/catalog.yml", "x:\n  type: memory\n")
    flow = FLOW.replace('datasets = {{"x": 1}}', "").replace('"x", "found"', 'None, "found"').replace("use(x)", "use()")
    place.write("src/flow.py", flow.replace("tool(x)", "tool(1)").format("from first_library import tool"))
    code, said, runner = place.run("-x", "process_pool")
    assert code == 0, said
    _, server = json.loads(place.found.read_text())
    assert sorted(place.loaded_by("first_library")) == sorted([runner, server]), "there was one server"


@pytest.mark.parametrize("end", ["import sys; sys.exit(0)", "raise ValueError", "pass"])
def test_a_child_that_the_project_forks_and_that_comes_back_leaves_the_runners_server_alone(end, place):
    head = f"""
from first_library import tool
pid = os.fork()
if pid == 0:
    {end}
else:
    os.waitpid(pid, 0)
"""
    place.write("flow.py", FLOW.format(head))
    code, said, _ = place.run("flow.py", "-x", "process_pool")
    assert code == 0, said
    assert "LOST" not in said


def test_it_can_be_told_to_start_with_the_run(place):
    head = """
from first_library import tool
try:
    while True:
        os.wait()
except ChildProcessError:
    pass
"""
    place.write("flow.py", FLOW.format(head))
    code, said, _ = place.run("flow.py", "-x", "process_pool", "--executor-option", "starts_ahead=false")
    assert code == 0, said


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_with_other_start_methods_all_is_as_ever(method, place):
    place.write("flow.py", FLOW.format("from first_library import tool"))
    code, said, runner = place.run("flow.py", "-x", "process_pool", "--start-method", method)
    assert code == 0, said
    worker, _ = json.loads(place.found.read_text())
    assert set(place.loaded_by("first_library")) == {runner, *([worker] if method == "spawn" else [])}


def test_finders_are_as_they_were_when_the_command_is_over(place, capsys):
    before = list(sys.meta_path)
    file = place.write("flow_in_process.py", FLOW.format("raise ValueError('no')"))
    assert main(["run", str(file), "-x", "process_pool"]) != 0
    assert sys.meta_path == before
    assert "no" in capsys.readouterr().err
