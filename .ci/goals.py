"""What is left to prove at each sentence of a proof, as coqtop tells it: for the book.

For every proofs/FILE.v there is a proofs/goals/FILE.json:

    source   the hash of FILE.v
    lines    every hypothesis and every conclusion, each once
    proofs   of each its name, where in the source it is stated, and its sentences

A sentence is [start, end, given, shown]: where it stands in the source, and the numbers of the
lines that are given where it starts and of those that are to be shown, the first of them from
what is given. The marks that lead from one part of a proof to another have their place alone.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

STORED = "goals"
WIDTH = 72
TIMED = re.compile(r"^Chars (\d+) - (\d+) .*\n", re.MULTILINE)
# "NAME < 7 |NAME| 0 <": what is being proved, if anything is.
PROMPT = re.compile(r"<prompt>.*? < \d+ \|(.*?)\| \d+ < </prompt>")
SAID = re.compile(r"<(infomsg|warning)>.*?</\1>", re.DOTALL)
GOALS = re.compile(r"^\d+ (?:focused )?(?:sub)?goals?\b.*\n((?:.*\n)*)", re.MULTILINE)
NEXT = re.compile(r"^(?:sub)?goal \d+ .*is:\n", re.MULTILINE)
BAR = re.compile(r"^  =+\n", re.MULTILINE)
HYPOTHESIS = re.compile(r"\n(?=  \S)")
MARK = re.compile(r"[-+*]+|(?:\d+:\s*)?\{|\}|Proof\.|Qed\.|Defined\.")
END = re.compile(r"\b(?:Qed|Defined)\.")
COMMENT_OR_SPACE = re.compile(r"(?:\s|\(\*(?:(?!\*\)).)*\*\))*", re.DOTALL)


# -- what Rocq says ----------------------------------------------------------------------------


def ask(source: Path, timed: str, coqtop: list[str], digest: str) -> dict:
    """The proofs of a source whose imports are compiled, with what `coqc -time` said of it.

    Raises:
        ValueError: coqtop does not answer sentence by sentence.
    """
    code = source.read_bytes()
    where = [(int(start), int(end)) for start, end in TIMED.findall(timed)]
    lines = [code[start:end].decode().replace("\n", " ") for start, end in where]
    told = answers([f"Set Printing Width {WIDTH}.", *lines], coqtop, source.parent)[1:]
    if len(told) != len(where):
        raise ValueError(f"{source.name}: {len(where)} sentences and {len(told)} answers")
    found: list[dict] = []
    table: dict[str, int] = {}
    proving, goals = "", ([], [])
    for (start, end), (said, now) in zip(where, told, strict=True):
        place = [len(code[:start].decode()), len(code[:end].decode())]
        if proving:
            marks = MARK.fullmatch(code[start:end].decode())
            numbers = [[table.setdefault(line, len(table)) for line in part] for part in goals]
            found[-1]["steps"].append(place if marks else [*place, *numbers])
        elif now:
            found.append({"name": now, "stated": place, "steps": []})
        # Where nothing changes nothing is said.
        goals = read(said) if said else goals
        proving = now
    return {"source": digest, "lines": list(table), "proofs": found}


def answers(lines: list[str], coqtop: list[str], folder: Path) -> list[tuple[str, str]]:
    """What coqtop says to each line, and what is being proved then."""
    done = subprocess.run(
        [*coqtop, "-emacs"], cwd=folder, input="\n".join(lines) + "\n", text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    # What is said before the first prompt is a welcome; the last prompt waits for more.
    parts = PROMPT.split(SAID.sub("", done.stdout))
    return [(said.strip("\n"), now) for said, now in zip(parts[2::2], parts[3::2], strict=False)]


def read(said: str) -> tuple[list[str], list[str]]:
    """What is given and what is to be shown, in what coqtop prints of goals."""
    goals = GOALS.search(said + "\n")
    if goals is None:
        return [], []
    first, *others = NEXT.split(goals[1])
    *given, conclusion = BAR.split(first)
    hypotheses = HYPOTHESIS.split("".join(given))
    return (
        [line for line in map(plain, hypotheses) if line],
        [text for text in map(plain, [conclusion, *others]) if text],
    )


def plain(text: str) -> str:
    """Lines without the margin that all of them have."""
    lines = text.strip("\n").splitlines()
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[margin:].rstrip() for line in lines).strip()


# -- what is stored ----------------------------------------------------------------------------


def store(folder: Path, found: dict[str, dict]) -> None:
    """Write a file for each source, a line for each sentence; what else lies there goes."""
    for old in folder.glob("*.json"):
        old.unlink()
    folder.mkdir(exist_ok=True)
    for name, told in found.items():
        (folder / f"{name}.json").write_text(written(told), encoding="utf-8")


def written(told: dict) -> str:
    def flat(value: object) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    proofs = [
        f'{{"name":{flat(proof["name"])},"stated":{flat(proof["stated"])},"steps":[\n'
        + ",\n".join(map(flat, proof["steps"]))
        + "]}"
        for proof in told["proofs"]
    ]
    lines = ",\n".join(map(flat, told["lines"]))
    return (
        f'{{"source":{flat(told["source"])},\n"lines":[\n{lines}],\n"proofs":[\n'
        + ",\n".join(proofs)
        + "]}\n"
    )


def strange(folder: Path, texts: dict[str, str], digests: dict[str, str]) -> Iterator[str]:
    """What does not fit between the stored goals and the sources."""
    stored = {path.stem: path for path in sorted(folder.glob("*.json"))}
    for name in sorted(texts.keys() ^ stored.keys()):
        yield f"{name}: a source without stored goals, or goals without their source"
    for name in sorted(texts.keys() & stored.keys()):
        told = json.loads(stored[name].read_text(encoding="utf-8"))
        if told["source"] != digests[f"{name}.v"]:
            yield f"{name}.v was changed after its goals were stored"
        else:
            yield from (f"{name}.json: {what}" for what in misplaced(told, texts[name]))


def misplaced(told: dict, text: str) -> Iterator[str]:
    """Sentences that are none, proofs that were left out, and goals that no line states."""
    past = 0
    for proof in told["proofs"]:
        (start, at), name = proof["stated"], proof["name"]
        if END.search(text, past, start):
            yield f"a proof before {name} has no goals"
        if not re.search(rf"\b{re.escape(name)}(?![\w'])", text[start:at]):
            yield f"{name} is not stated at {start}"
        for start, end, *goals in proof["steps"]:
            sentence = text[start:end]
            ends = sentence.endswith(".") if goals else MARK.fullmatch(sentence)
            if not ends or not COMMENT_OR_SPACE.fullmatch(text, at, start):
                yield f"no sentence of {name} stands at {start}"
            if not all(0 <= n < len(told["lines"]) for part in goals for n in part):
                yield f"{name} has a goal at {start} that no line states"
            at = end
        if not END.search(text, proof["steps"][-1][0], at):
            yield f"the proof of {name} does not end at {at}"
        past = at
    if END.search(text, past):
        yield "the last proof has no goals"
