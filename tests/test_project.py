"""Projects: folders with [tool.kernel] and single files, read through the `load_project` hook."""

from __future__ import annotations

import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

import kernel_project
from kernel.errors import ConfigError, DatasetError, KernelError
from kernel.hooks import Hooks, Listener
from kernel.project import load, merged
from kernel.specs.markers import hookimpl

if TYPE_CHECKING:
    from pathlib import Path

PIPELINES = """
    from kernel import node, pipeline

    def double(x, k):
        return x * k

    def create():
        return {
            "one": pipeline([node(double, ["raw", "params:k"], "doubled", name="double")]),
            "two": pipeline([node(double, ["doubled", "params:model.trees"], "tripled", name="again")]),
        }
"""


@pytest.fixture(autouse=True)
def own_imports(monkeypatch, tmp_path):
    """Each test imports its own project's modules, and leaves none behind."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def write(folder: Path, **files: str) -> Path:
    """Write files given as path=text; `__` in a name stands for a folder, `_y` at its end for `.yml`."""
    for name, text in files.items():
        path = folder / (name.replace("__", "/").removesuffix("_y") + (".yml" if name.endswith("_y") else ".py"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return folder


def settings(folder: Path, text: str = 'pipelines = "flows:create"') -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(f"[tool.kernel]\n{dedent(text)}\n")
    return folder


def project(folder: Path, text: str = 'pipelines = "flows:create"', **files: str) -> Path:
    write(settings(folder, text), **{"src__flows": PIPELINES, **files})
    return folder


def read(path: Path, *listeners: object, **arguments):
    hooks = Hooks([Listener("kernel_project", kernel_project), *(Listener("test", each) for each in listeners)])
    return load(path, hooks=hooks, **arguments)


def test_a_folder_with_settings_is_read_with_its_pipelines_datasets_and_parameters(tmp_path):
    found = read(
        project(
            tmp_path / "shop",
            conf__parameters_y="k: 3\nmodel: {trees: 10, depth: 2}",
            conf__catalog_y="raw: {type: text, filepath: data/raw.txt}",
        )
    )
    assert found.name == "shop"
    assert sorted(found.pipelines) == ["__default__", "one", "two"]
    assert len(found.pipelines["__default__"].nodes) == 2
    assert found.datasets.is_persistent("raw")
    assert found.datasets.value("params:model.trees") == 10
    assert found.datasets.value("params:model") == {"trees": 10, "depth": 2}
    assert found.datasets.value("parameters") == {"k": 3, "model": {"trees": 10, "depth": 2}}


def test_a_relative_filepath_starts_from_the_project_and_not_from_where_the_command_was_typed(tmp_path):
    folder = project(tmp_path / "p", conf__catalog_y="raw: {type: text, filepath: data/raw.txt}")
    (folder / "data").mkdir()
    (folder / "data/raw.txt").write_text("here")
    assert read(folder).datasets.load("raw") == "here"


def test_the_settings_name_executor_catalog_options_and_other_files(tmp_path):
    found = read(
        project(
            tmp_path,
            """
            name = "renamed"
            pipelines = "flows:create"
            source = ["lib", "src"]
            parameters = "settings/p.yml"
            executor = "threads"
            executor-options = {depth = 2}
            catalog-plugin = "memory"
            catalog-options = {limit = 1}
            """,
            settings__p_y="k: 4",
            lib__other="",
        )
    )
    assert (found.name, found.executor, found.catalog) == ("renamed", "threads", "memory")
    assert (found.executor_options, found.catalog_options) == ({"depth": 2}, {"limit": 1})
    assert found.parameters == {"k": 4}
    assert found.sys_path == [str(tmp_path / "lib"), str(tmp_path / "src")]
    assert sys.path[:2] == found.sys_path


def test_an_environment_replaces_entries_of_the_catalog_and_merges_parameters(tmp_path):
    folder = project(
        tmp_path,
        conf__catalog_y="raw: {type: text, filepath: a.txt}\nkept: {type: text, filepath: k.txt}",
        conf__prod__catalog_y="raw: {type: json, filepath: b.json}",
        conf__parameters_y="k: 1\nmodel: {trees: 10, depth: 2}",
        conf__prod__parameters_y="model: {trees: 500}",
    )
    found = read(folder, env="prod")
    assert found.catalog_config["raw"] == {"type": "json", "filepath": "b.json"}
    assert found.catalog_config["kept"] == {"type": "text", "filepath": "k.txt"}
    assert found.parameters == {"k": 1, "model": {"trees": 500, "depth": 2}}
    assert found.env == "prod"


def test_the_environment_local_is_used_when_it_is_there_and_none_is_named(tmp_path):
    folder = project(tmp_path, conf__parameters_y="k: 1", conf__local__parameters_y="k: 2", conf__prod__parameters_y="")
    assert read(folder).parameters == {"k": 2}
    assert read(folder, env="prod").parameters == {"k": 1}


def test_an_environment_without_a_folder_is_refused_with_a_suggestion(tmp_path):
    folder = project(tmp_path, conf__prod__parameters_y="k: 2")
    with pytest.raises(ConfigError, match=r"no environment 'prd'.*did you mean 'prod'\?"):
        read(folder, env="prd")


@pytest.mark.parametrize("env", ["../conf", "..", ".", "a/b", "/etc", "", "a\nb"])
def test_the_name_of_an_environment_cannot_leave_the_folder_of_configuration(tmp_path, env):
    with pytest.raises(ConfigError, match="no plain name"):
        read(project(tmp_path, conf__parameters_y="k: 2"), env=env)


def test_parameters_of_the_run_outrank_those_of_files_at_every_depth(tmp_path):
    folder = project(tmp_path, conf__parameters_y="k: 1\nmodel: {trees: 10, depth: 2}")
    found = read(folder, params={"model": {"trees": 7}})
    assert found.datasets.value("params:model") == {"trees": 7, "depth": 2}
    assert found.datasets.value("params:k") == 1


def test_a_parameter_that_nobody_knows_is_refused_with_a_suggestion(tmp_path):
    folder = project(tmp_path, conf__parameters_y="k: 1\nmodel: {trees: 10}\nspare: 1")
    with pytest.raises(ConfigError, match=r"'model.tres'; did you mean 'model.trees'\?"):
        read(folder, params={"model": {"tres": 7}})
    assert read(folder, params={"spare": 2}).parameters["spare"] == 2


def test_a_parameter_that_is_new_in_a_group_that_a_node_reads_as_a_whole_is_taken_with_a_warning(tmp_path, caplog):
    path = tmp_path / "flow.py"
    path.write_text(
        "from kernel import node, pipeline\n"
        "parameters = {'k': 1, 'model': {'trees': 10}, 'free': {}}\n"
        "pipeline = pipeline([node(print, ['params:model', 'params:free', 'params:k'], None)])\n"
    )
    assert read(path, params={"model": {"tres": 7}}).parameters["model"] == {"trees": 10, "tres": 7}
    (warning,) = caplog.messages
    assert warning == "the project has no parameter 'model.tres' yet, it is added; did you mean 'model.trees'?"
    caplog.clear()
    read(path, params={"free": {"any": 1}, "model": {"trees": 7}})  # nothing stands beside it that could be meant
    assert not caplog.messages


def test_all_faults_of_settings_are_told_at_once(tmp_path):
    folder = settings(tmp_path, 'pipelnes = "a:b"\nexecutor = 3\nhooks = [1]')
    with pytest.raises(ConfigError) as caught:
        read(folder)
    text = str(caught.value)
    assert "unknown key 'pipelnes'; did you mean 'pipelines'?" in text
    assert "'executor' must be a string, got int" in text
    assert "'hooks' must be a string or a list of strings" in text
    assert "the key 'pipelines' is missing" in text


def test_faults_of_files_and_imports_are_told_together_with_file_and_line(tmp_path):
    folder = project(
        tmp_path,
        'pipelines = "flows:creat"\nhooks = ["nowhere:x"]\nsource = "src"',
        conf__catalog_y="raw: {type: text}\nraw: {type: csv}",
        conf__parameters_y="a: 1\nb: [1\nc: 2",
    )
    with pytest.raises(ConfigError) as caught:
        read(folder)
    text = str(caught.value)
    assert "4 problems" in text
    assert "catalog.yml, line 2: the key 'raw' stands here and in line 1" in text
    assert "parameters.yml, line 3" in text
    assert "'flows' has no 'creat'; did you mean 'create'?" in text
    assert "there is no module 'nowhere'" in text


def test_a_tag_in_yaml_that_would_call_a_function_is_refused_and_nothing_is_called(tmp_path):
    trap = tmp_path / "called"
    folder = project(tmp_path / "p", conf__catalog_y=f'raw: !!python/object/apply:os.system ["touch {trap}"]')
    with pytest.raises(ConfigError, match=r"catalog.yml, line 1.*tags that make objects are refused"):
        read(folder)
    assert not trap.exists()


def test_a_type_is_a_registered_name_and_never_a_module_to_import(tmp_path):
    folder = project(
        tmp_path,
        conf__catalog_y="raw: {type: trap.Dataset, filepath: x}",
        src__trap="raise SystemExit('imported')",
    )
    problems = read(folder).datasets.check(["raw"])
    assert len(problems) == 1
    assert "trap.Dataset" in problems[0]
    assert "trap" not in sys.modules


def test_a_project_registers_dataset_types_of_its_own(tmp_path):
    folder = project(
        tmp_path,
        'pipelines = "flows:create"\ndataset-types = {answer = "own:Answer", broken = "own:number"}',
        conf__catalog_y="raw: {type: answer}\nbad: {type: broken}\nmissing: {type: anwser}",
        src__own="""
            from kernel import Dataset

            class Answer(Dataset):
                def load(self):
                    return 42
                def save(self, data):
                    pass

            number = 1
        """,
    )
    datasets = read(folder).datasets
    assert datasets.load("raw") == 42
    assert "is no subclass of kernel.Dataset" in datasets.check(["bad"])[0]
    assert "This project registers answer, broken" in datasets.check(["missing"])[0]


def test_credentials_reach_the_dataset_and_stay_out_of_messages(tmp_path):
    folder = project(
        tmp_path,
        conf__catalog_y="raw: {type: text, filepath: s3x://b/k, credentials: key, wrong: 1}",
        conf__credentials_y="key: {secret: hunter2}",
    )
    found = read(folder)
    assert found.credentials == {"key": {"secret": "hunter2"}}
    assert "hunter2" not in repr(found)
    assert "hunter2" not in "".join(found.datasets.check(["raw"]))


def test_broken_credentials_are_told_by_line_without_their_text(tmp_path):
    folder = project(tmp_path, conf__credentials_y="key: {secret: hunter2\nother: x")
    with pytest.raises(ConfigError, match=r"credentials.yml, line 2") as caught:
        read(folder)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b", "expected a mapping of names, got list"),
        ("1: a", "the name 1 is read as int; put it in quotes"),
        ("a: &x\n  b: *x", "an alias stands inside of what it stands for"),
        ("a: \x01", "not readable as YAML"),
    ],
)
def test_a_yaml_file_that_is_no_mapping_of_names_is_refused(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        read(project(tmp_path, conf__parameters_y=text))


def test_merge_keys_of_yaml_may_be_overridden(tmp_path):
    folder = project(tmp_path, conf__parameters_y="_base: &base {k: 1, j: 2}\nall: {<<: *base, k: 5}")
    assert read(folder).parameters["all"] == {"k": 5, "j": 2}


def test_a_file_that_the_settings_name_must_be_there(tmp_path):
    folder = project(tmp_path, 'pipelines = "flows:create"\ncatalog = "conf/catlog.yml"\nsource = "lib"')
    with pytest.raises(ConfigError) as caught:
        read(folder)
    assert f"there is no file {folder / 'conf/catlog.yml'}" in str(caught.value)
    assert f"there is no folder {folder / 'lib'}" in str(caught.value)


def test_what_fails_while_a_module_is_imported_is_the_cause(tmp_path):
    with pytest.raises(ConfigError, match=r"importing 'flows' failed: ZeroDivisionError") as caught:
        read(project(tmp_path, src__flows="1 / 0"))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_cycle_is_told_as_it_is(tmp_path):
    cycle = """
        from kernel import node, pipeline
        create = pipeline([node(print, "a", "b", name="x"), node(print, "b", "a", name="y")])
    """
    with pytest.raises(KernelError, match="cycle"):
        read(project(tmp_path, src__flows=cycle))


def test_listeners_of_the_settings_hear_of_the_project_and_may_add_datasets(tmp_path):
    folder = project(
        tmp_path,
        'pipelines = "flows:create"\nhooks = ["ears:listener", "ears:Second"]',
        conf__parameters_y="k: 1",
        src__ears="""
            from kernel import hookimpl

            heard = []

            class Listener:
                @hookimpl
                def after_context_created(self, context):
                    heard.append(context.name)

                @hookimpl
                def after_catalog_created(self, catalog, parameters, load_versions):
                    heard.append((parameters, load_versions))
                    catalog["added"] = 5

            class Second(Listener):
                pass

            listener = Listener()
        """,
    )
    found = read(folder)
    ears = sys.modules["ears"]
    assert ears.heard.count(folder.name) == 2
    assert ({"k": 1}, {}) in ears.heard
    assert found.datasets.value("added") == 5
    assert [each.target for each in found.listeners] == ["ears:listener", "ears:Second"]


def test_a_folder_of_another_kind_is_left_to_other_plugins(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")

    class Other:
        @hookimpl
        def load_project(self, path):
            """Read everything as the project of the folder above."""
            return read(project(path / "inner"))

    assert read(tmp_path, Other()).name == "inner"


def test_a_path_that_nobody_knows_is_refused_with_what_plugins_look_for(tmp_path):
    with pytest.raises(ConfigError, match=r"(?s)is no project.*kernel_project: .*\[tool.kernel\]"):
        read(tmp_path)
    with pytest.raises(ConfigError, match="there is no file or folder"):
        read(tmp_path / "nothing")
    with pytest.raises(ConfigError, match="no installed plugin reads projects"):
        load(tmp_path, hooks=Hooks())


def test_one_file_is_a_project(tmp_path):
    write(
        tmp_path,
        flow_one="""
            from kernel import hookimpl, node
            from kernel import pipeline as make

            class Ears:
                @hookimpl
                def before_pipeline_run(self):
                    pass

            ears = Ears()
            pipeline = make([node(abs, "raw", "size", name="size")])
            datasets = {"raw": -3}
            parameters = {"k": {"deep": 1}}
            hooks = [ears, Ears]
        """,
    )
    found = read(tmp_path / "flow_one.py")
    assert found.name == "flow_one"
    assert found.datasets.value("raw") == -3
    assert found.datasets.value("params:k.deep") == 1
    assert [each.target for each in found.listeners] == ["flow_one:ears", "flow_one:Ears"]
    assert found.pipelines["__default__"].nodes[0].func is abs
    assert sys.modules["flow_one"].__file__ == str(tmp_path / "flow_one.py")


@pytest.mark.parametrize("name", ["pipelines", "register_pipelines"])
def test_one_file_may_define_several_pipelines(tmp_path, name):
    value = "{'a': pipeline([node(abs, 'x', 'y')]), 'b': pipeline([node(abs, 'y', 'z')])}"
    value = f"lambda: {value}" if name == "register_pipelines" else value
    write(tmp_path, **{f"flow_{name}": f"from kernel import node, pipeline\n{name} = {value}"})
    assert sorted(read(tmp_path / f"flow_{name}.py").pipelines) == ["__default__", "a", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("from kernel import node, pipeline", "defines no pipeline"),
        ("pipeline = [1]", r"got list; put the nodes into pipeline\(\[...\]\)"),
        ("pipelines = {'a': 1}", "'a' should be a name and stand for a Pipeline, not int"),
        ("pipelines = {}", "no pipelines in it"),
        ("pipelines = {1: 2}", "1 should be a name"),
        ("def register_pipelines(): 1 / 0", "calling it failed: ZeroDivisionError"),
        ("import sys; sys.exit(3)", "failed: SystemExit: 3"),
        ("def f(:", "failed: SyntaxError"),
        ("import does_not_exist_at_all", "No module named 'does_not_exist_at_all'"),
    ],
)
def test_a_file_without_a_usable_pipeline_is_refused(tmp_path, text, message):
    write(tmp_path, faulty=text)
    with pytest.raises(ConfigError, match=message):
        read(tmp_path / "faulty.py")


@pytest.mark.parametrize(("setting", "kind"), [("datasets = 1", "a mapping"), ("hooks = 1", "a list")])
def test_what_a_file_defines_must_be_of_the_right_type(tmp_path, setting, kind):
    write(tmp_path, wrong=f"from kernel import node, pipeline\nflow = pipeline\npipeline = flow([])\n{setting}")
    with pytest.raises(ConfigError, match=f"must be {kind}, got int"):
        read(tmp_path / "wrong.py")


def test_a_file_must_not_have_the_name_of_another_module(tmp_path):
    write(tmp_path, json="pipeline = 1")
    with pytest.raises(ConfigError, match="name of another module, 'json'"):
        read(tmp_path / "json.py")
    (tmp_path / "my-flow.py").write_text("")
    with pytest.raises(ConfigError, match="letters, digits and '_' only"):
        read(tmp_path / "my-flow.py")


def test_one_file_has_neither_environments_nor_versions(tmp_path):
    write(tmp_path, plain="")
    with pytest.raises(ConfigError, match="no environments"):
        read(tmp_path / "plain.py", env="prod")
    with pytest.raises(ConfigError, match="versions"):
        read(tmp_path / "plain.py", load_versions={"raw": "1"})


def test_a_load_version_reaches_the_datasets(tmp_path):
    folder = project(tmp_path, conf__catalog_y="raw: {type: text, filepath: a.txt, versioned: true}")
    dataset = read(folder, load_versions={"raw": "2001"}).datasets["raw"]
    assert dataset.version is not None
    assert dataset.version.load == "2001"
    with pytest.raises(DatasetError):
        dataset.load()


def test_merging_leaves_what_it_is_given_alone():
    base = {"a": {"b": 1}, "c": [1]}
    assert merged(base, {"a": {"d": 2}, "c": [2]}) == {"a": {"b": 1, "d": 2}, "c": [2]}
    assert base == {"a": {"b": 1}, "c": [1]}
