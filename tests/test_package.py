"""The package as a whole: what an import loads, what is missing, and what it is called."""

import re
import subprocess
import sys
from pathlib import Path
from pkgutil import iter_modules

import pytest

import attnlib

ROOT = Path(__file__).parents[1]
MODULES = {m.name for m in iter_modules(attnlib.__path__) if not m.name.startswith("_")}


def python(code):
    """What a fresh interpreter says."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)


def test_the_package_alone_loads_no_other():
    heavy = "{'torch', 'numpy', 'scipy', 'sympy', 'jaxtyping', 'IPython', 'attnlib.softmax'}"
    said = python(f"import sys, attnlib; print(sorted({heavy} & sys.modules.keys()))")
    assert said.stdout == "[]\n", said.stderr


@pytest.mark.slow
def test_a_topic_is_imported_when_it_is_used():
    said = python("import attnlib; print(attnlib.softmax.softmax_vjp.__name__)")
    assert said.stdout == "softmax_vjp\n", said.stderr


def test_a_wrong_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'attnlib' has no attribute 'sofmax'"):
        attnlib.sofmax  # noqa: B018
    with pytest.raises(ImportError):
        from attnlib import sofmax  # noqa: F401
    assert not hasattr(attnlib, "__wrapped__")


def test_every_module_is_listed_for_people_and_for_type_checkers():
    assert set(dir(attnlib)) >= MODULES | {"__version__"}
    named = re.findall(
        r"^    from attnlib import (\w+) as \1$", source("attnlib/__init__.py"), re.M
    )
    assert set(named) == MODULES
    assert named == sorted(named)


@pytest.mark.parametrize(
    ("module", "package"),
    [("attnlib.knowledge", "click"), ("attnlib.knowledge", "tqdm"), ("attnlib.pruning", "tqdm"),
     ("attnlib.studies", "click"), ("attnlib.studies", "tqdm")],
)  # fmt: skip
def test_a_missing_extra_is_named(module, package):
    said = python(f"import sys; sys.modules[{package!r}] = None; import {module}")
    message = f"{module} needs {package}: pip install 'attnlib[studies]'"
    assert said.stderr.endswith(f"ModuleNotFoundError: {message}\n")


@pytest.mark.slow
def test_the_functions_need_no_extra():
    extras = ["IPython", "click", "hypothesis", "matplotlib", "mpmath", "sympy", "tqdm", "yaml"]
    topics = sorted(MODULES - {"knowledge", "pruning", "studies"})
    said = python(
        f"import sys; sys.modules.update(dict.fromkeys({extras}))\n"
        f"import attnlib\nfor name in {topics}: getattr(attnlib, name)"
    )
    assert said.returncode == 0, said.stderr


def test_the_changelog_begins_with_this_version():
    latest = re.search(r"^## (\d+\.\d+\.\d+)", source("CHANGELOG.md"), re.MULTILINE)
    assert attnlib.__version__.removesuffix(".dev0") == latest[1]


def source(path):
    return (ROOT / path).read_text(encoding="utf-8")
