"""Begin a topic: `make new TOPIC=masks`.

Writes all that a chapter needs, with a small example in every place: chapter, module, tests,
claim, and the entries in the lists of chapters and modules. The example is green as it stands,
so adding a chapter is filling it in. Nothing is overwritten, and a run that fails leaves
nothing behind.
"""

import importlib.util
import keyword
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEMPLATES = Path(__file__).with_name("new")
CONTRACT = "tests/test_contract.py"


def new_files(topic: str) -> dict[str, str]:
    """Path and text of each file that does not exist yet."""
    where = {
        "TOPIC.md": f"notebooks/{topic}.md",
        "TOPIC.py": f"attnlib/{topic}.py",
        "TOPIC_page.md": f"book/api/{topic}.md",
        "test_TOPIC.py": f"tests/test_{topic}.py",
    }
    return {path: filled(TEMPLATES / name, topic) for name, path in where.items()}


def filled(template: Path, topic: str) -> str:
    text = template.read_text(encoding="utf-8")
    for word, value in {"TOPIC": topic, "TITLE": title(topic), "CLAIM": claim_id(topic)}.items():
        text = text.replace(word, value)
    return text


def title(topic: str) -> str:
    return topic.replace("_", " ").capitalize()


def claim_id(topic: str) -> str:
    return topic.replace("_", "-") + "-example"


def new_entries(topic: str) -> dict[str, str]:
    """Path and new text of each list that the topic is entered in."""
    claim = f"""
- id: {claim_id(topic)}
  chapter: {topic}
  note: ""
  verdict: holds
  says: null
  statement: A row without its mean sums to 0, and does not change when a constant is added to it.
"""
    card = f"""
[](../notebooks/{topic}.ipynb)
: What the chapter is about, in one sentence that a reader could have asked for.
"""
    texts = {
        "attnlib/claims.yml": read("attnlib/claims.yml").rstrip() + "\n" + claim,
        # The last part with chapters: move the line to where the chapter belongs.
        "_toc.yml": put("_toc.yml", f"      - file: notebooks/{topic}.ipynb\n",
                        before=r"^  - caption: Reference$"),
        "book/index.md": put("book/index.md", card, before=r"^::::$(?![\s\S]*^::::$)"),
        "attnlib/__init__.py": put(
            "attnlib/__init__.py", f"    from attnlib import {topic} as {topic}\n",
            before=r"^else:",
        ),
    }  # fmt: skip
    if (ROOT / CONTRACT).exists():
        why = '"largest": "the largest number less its opposite is beyond it"'
        row = f'        Row({topic}_example, {{"x": real}}, without={{{why}}}),\n'
        text = put(CONTRACT, row, before=r"^    \]\n\}$")
        imported = f"from attnlib.{topic} import {topic}_example\n"
        texts[CONTRACT] = text.replace("\nimport attnlib\n", f"\nimport attnlib\n{imported}", 1)
    return texts


def put(path: str, new: str, before: str) -> str:
    """The text of a file with a piece put before the first match of a pattern."""
    text = read(path)
    found = re.search(before, text, re.MULTILINE)
    if not found:
        sys.exit(f"{path}: no line like {before!r}, before which the topic would be entered")
    return text[: found.start()] + new + text[found.start() :]


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def refuse(topic: str) -> None:
    """Stop where the name cannot be used, before anything is written."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", topic) or keyword.iskeyword(topic):
        sys.exit(
            f"make new TOPIC={topic}: one word is needed that can name a Python module, in lower "
            "case: masks, two_heads"
        )
    # What is imported by that name should be one thing. Not the scripts beside this one.
    sys.path = [folder for folder in sys.path if Path(folder) != TEMPLATES.parent]
    if topic in sys.stdlib_module_names or importlib.util.find_spec(topic):
        sys.exit(f"make new TOPIC={topic}: {topic} is a module already, of Python or installed; "
                 f"take another word than that, say {topic}_topic")  # fmt: skip
    files = [*new_files(topic), f"notebooks/{topic}.ipynb", f"attnlib/{topic}", f"tests/{topic}"]
    if taken := [path for path in files if (ROOT / path).exists()]:
        sys.exit(f"make new TOPIC={topic}: the name is taken by {' '.join(taken)}")
    if re.search(rf"^- id: {claim_id(topic)}$", read("attnlib/claims.yml"), re.MULTILINE):
        sys.exit(f"make new TOPIC={topic}: attnlib/claims.yml has a claim {claim_id(topic)}")


def write(texts: dict[str, str], topic: str) -> None:
    """Write the files and run the chapter; take all of it back if that does not succeed."""
    before = {path: (ROOT / path).read_bytes() if (ROOT / path).exists() else None
              for path in [*texts, f"notebooks/{topic}.ipynb"]}  # fmt: skip
    try:
        for path, text in texts.items():
            (ROOT / path).write_text(text, encoding="utf-8")
        # Names sort differently, and so do imports.
        python = [path for path in texts if path.endswith(".py")]
        call("-m", "ruff", "check", "--quiet", "--fix", "--select=I", *python)
        call("-m", "ruff", "format", "--quiet", *python)
        make = ["make", "--no-print-directory", "-o", ".venv/.installed", f"PY={sys.executable}"]
        subprocess.run([*make, "notebooks", f"TOPIC={topic}"], cwd=ROOT, check=True,
                       env=environment(), stdout=subprocess.DEVNULL)  # fmt: skip
    except BaseException:
        for path, content in before.items():
            if content is None:
                (ROOT / path).unlink(missing_ok=True)
            else:
                (ROOT / path).write_bytes(content)
        raise


def call(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True)


def environment() -> dict[str, str]:
    """Without what make tells its children: this is a run of its own. The package is this one."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    kept = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    return kept | {"PYTHONPATH": path}


def main(topic: str) -> None:
    refuse(topic)
    files, entries = new_files(topic), new_entries(topic)
    write(files | entries, topic)
    for path in [*files, f"notebooks/{topic}.ipynb", *entries]:
        print(path)
    print(f"\nNow fill it in, and run `make check TOPIC={topic}` as often as you like.")


if __name__ == "__main__":
    main(*sys.argv[1:])
