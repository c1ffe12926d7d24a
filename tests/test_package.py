"""The package as a whole: what an import loads, what is missing, and what it is called."""

import os
import re
import shutil
import subprocess
import sys
from pkgutil import iter_modules

import pytest
from helpers import ROOT, cells_of

import attnlib

CHAPTERS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.md"))
MODULES = {m.name for m in iter_modules(attnlib.__path__) if not m.name.startswith("_")}


def python(code):
    """What a fresh interpreter says."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)


def test_the_package_alone_loads_no_other():
    heavy = "{'torch', 'numpy', 'scipy', 'sympy', 'jaxtyping', 'IPython', 'attnlib.softmax'}"
    said = python(f"import sys, attnlib; print(sorted({heavy} & sys.modules.keys()))")
    assert said.stdout == "[]\n", said.stderr


def test_what_is_small_loads_no_more_than_torch_does():
    """Not even jaxtyping, which a checker of annotations asks for, and then gets."""
    said = python("""
import sys, typing, torch
before = {name.partition(".")[0] for name in sys.modules} | sys.stdlib_module_names
for module in ("softmax", "smooth_max", "evidence"):
    __import__(f"attnlib.{module}")
    print(module, {name.partition(".")[0] for name in sys.modules} - before)
print(typing.get_type_hints(sys.modules["attnlib.softmax"].softmax_vjp)["y"].dim_str)
""")
    expected = ["softmax {'attnlib'}", "smooth_max {'attnlib'}", "evidence {'attnlib'}", "*b n"]
    assert said.stdout.splitlines() == expected, said.stderr


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


def without_page(modules, folder):
    """The modules that no page of the folder documents."""
    text = "".join(page.read_text(encoding="utf-8") for page in folder.glob("*.md"))
    documented = re.findall(r"^\.\. automodule:: attnlib\.(\w+)$", text, re.MULTILINE)
    return sorted(modules - set(documented))


def test_every_public_module_has_a_page():
    assert without_page(MODULES, ROOT / "book" / "api") == []


def test_a_module_without_a_page_is_found(tmp_path):
    (tmp_path / "a.md").write_text("# a\n\n.. automodule:: attnlib.a\n   :members:\n")
    (tmp_path / "b.md").write_text("# b\n\nautomodule:: attnlib.b, in words\n")
    assert without_page({"a", "b"}, tmp_path) == ["b"]


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


# -- a chapter that was downloaded ---------------------------------------------------------------


def files(folder):
    """What belongs to a package: neither what Python makes, nor the jobs of a study under way."""
    made = {"__pycache__", "jobs"}
    return {
        p.relative_to(folder) for p in folder.rglob("*") if p.is_file() and not made & {*p.parts}
    }


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with what an installation brings."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    shutil.copytree(ROOT / "attnlib", tree / "attnlib")
    build = [sys.executable, "-c", "import setuptools; setuptools.setup()", "-q", "build_py"]
    subprocess.run([*build, "--build-lib", "lib"], cwd=tree, check=True, capture_output=True)
    return tree / "lib"


def test_every_file_of_the_package_is_installed(installed):
    assert files(installed / "attnlib") == files(ROOT / "attnlib")


LOOKUP = re.compile(r"""\b(?:Path|open|loadtxt|read_csv|load)\(\s*["']""")


def lookups(chapter_cells):
    """Lines of a chapter that name a file which would have to lie beside it."""
    lines = [line for cell in chapter_cells for line in cell.code.splitlines()]
    return [line for line in lines if LOOKUP.search(line) or "__file__" in line]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_looks_for_no_file_beside_it(chapter):
    assert lookups(cells_of(chapter)) == []


def test_a_lookup_beside_a_chapter_is_found():
    old = cells_of("softmax")[0]._replace(code='p = next(p for p in (Path("a-study"),\n))')
    assert lookups([old]) == ['p = next(p for p in (Path("a-study"),']


READ_STUDIES = """
import attnlib
from attnlib.studies.record import RECORDED
attnlib.studies.pruning.load_study(RECORDED / "pruning-study.json")
for path in sorted((RECORDED / "knowledge-study").glob("*.params")):
    attnlib.knowledge.load_params(path)
print(attnlib.__file__)
"""


@pytest.mark.slow
def test_what_a_chapter_reads_is_found_from_anywhere(installed, tmp_path):
    """The first cell of each, with imports, style and records, where nothing else lies."""
    first = "".join(f"exec({cells_of(chapter)[0].code!r}, {{}})\n" for chapter in CHAPTERS)
    said = subprocess.run(
        [sys.executable, "-c", first + READ_STUDIES], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(installed), "MPLBACKEND": "agg"},
    )  # fmt: skip
    assert said.stdout.endswith(f"{installed}/attnlib/__init__.py\n"), said.stderr


def test_the_changelog_begins_with_this_version():
    latest = re.search(r"^## (\d+\.\d+\.\d+)", source("CHANGELOG.md"), re.MULTILINE)
    assert attnlib.__version__.removesuffix(".dev0") == latest[1]


def source(path):
    return (ROOT / path).read_text(encoding="utf-8")
