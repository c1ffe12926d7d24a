"""Renew constraints.txt: `make lock`.

pip works out, without installing anything, what a fresh environment with every extra would get
from the ranges of pyproject.toml. A pin with a comment stays as it is; the comment says why.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "constraints.txt"
PIN = re.compile(r"^([\w.-]+)==(\S+)(  #.*)?$")


def renewed(text: str, resolved: dict[str, str]) -> str:
    """The constraints with new versions; the comments above them and the kept pins stay."""
    head = [line for line in text.splitlines() if line.startswith("#")]
    kept = {
        normal(pin[1]): line for line in text.splitlines() if (pin := PIN.match(line)) and pin[3]
    }
    lines = {normal(name): f"{name}=={version}" for name, version in resolved.items()}
    return "\n".join([*head, *(line for _, line in sorted((lines | kept).items()))]) + "\n"


def normal(name: str) -> str:
    """The one spelling of a name that all its spellings have."""
    return re.sub(r"[-_.]+", "-", name).lower()


def resolve(kept: list[str]) -> dict[str, str]:
    """Name and version of what pip would install."""
    with tempfile.TemporaryDirectory() as folder:
        report, constraints = Path(folder, "report.json"), Path(folder, "kept.txt")
        constraints.write_text("\n".join(kept), encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
        pip += ["--dry-run", "--ignore-installed", "--report", str(report), "-c", str(constraints)]
        subprocess.run([*pip, "-e", ".[dev,hf,lab,browser]"], cwd=ROOT, check=True)
        found = [item["metadata"] for item in json.loads(report.read_text())["install"]]
    # 2.13.0+cpu is a build of 2.13.0.
    ours = ("attnlib", "setuptools", "wheel")  # this package, and what installs it
    return {m["name"]: m["version"].partition("+")[0] for m in found if m["name"] not in ours}


def kept_pins(text: str) -> list[str]:
    return [pin[0] for line in text.splitlines() if (pin := PIN.match(line)) and pin[3]]


if __name__ == "__main__":
    before = LOCK.read_text(encoding="utf-8")
    LOCK.write_text(renewed(before, resolve(kept_pins(before))), encoding="utf-8")
    print(f"{LOCK.name} is renewed: see `git diff`, then run `make test`")
