"""attnlib/studies/knowledge.py: a study that survives an interruption, and the recorded one."""

import functools
import json
import math
from dataclasses import asdict
from pathlib import Path
from unittest import mock

import helpers
import pytest
import torch
from helpers import names

from attnlib._files import alone
from attnlib.knowledge import (
    VARIANTS,
    Alphabet,
    Schedule,
    Sizes,
    generate_corpus,
    load_params,
    new_model,
    save_params,
    span_batches,
)
from attnlib.studies.__main__ import cli
from attnlib.studies.knowledge import FORM, first_jobs, second_jobs, third_jobs
from attnlib.studies.knowledge_job import OPENINGS, Job, Options, completed, forget, run_job
from attnlib.studies.knowledge_looks import looks_of
from attnlib.studies.record import RECORDED, read_study

call, refused = functools.partial(helpers.call, cli), functools.partial(helpers.error_of, cli)
pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


STUDY = ["--seeds", 1, "--batch_seeds", 0, "--people", 8, "--places", 3, "--block_size", 56,
         "--n_layer", 1, "--n_head", 2, "--n_embd", 8, "--pretrain_steps", 6,
         "--finetune_steps", 2, "--scratch_steps", 3, "--workers", 1]  # fmt: skip


def without_times(path):
    record = json.loads(path.read_text(encoding="utf-8"))
    return [{k: v for k, v in job.items() if k != "seconds"} for job in record["jobs"]]


@pytest.mark.slow
@pytest.mark.usefixtures("no_shape_checks")
def test_study(tmp_path):
    """Stopped in the middle of a job, and finished by two processes: the same record and files."""
    call("knowledge", tmp_path / "whole", *STUDY, "--batch_seeds", 1)
    saved = []

    def dies(*args, real=save_params, **kwargs):
        saved.append(1)
        if len(saved) == 18:  # the third copy for the learning curve of the seventh job
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    with mock.patch("attnlib.studies.knowledge_job.save_params", dies):
        call("knowledge", tmp_path / "twice", *STUDY, code=1)
    done = json.loads((tmp_path / "twice" / "study.json").read_text(encoding="utf-8"))["jobs"]
    assert len(done) == 6
    assert (tmp_path / "twice" / "jobs" / "vanilla-without-one-0.2.params").exists()
    call("knowledge", tmp_path / "twice", *STUDY, "--workers", 2)
    twice = json.loads((tmp_path / "twice" / "study.json").read_text(encoding="utf-8"))
    assert twice["jobs"][:6] == done  # with their times: they were not made again
    for folder, models in (("whole", 6), ("twice", 2)):  # those of vanilla but the first
        left = names(tmp_path / folder / "jobs")
        assert {Path(name).suffix for name in left} == {".params"}
        assert len(left) == models
    for name in ("vanilla.params", "synthesizer.params", "rotary.params"):
        one, two = (tmp_path / folder / name for folder in ("whole", "twice"))
        assert one.read_bytes() == two.read_bytes()
        assert load_params(one)[0].attention == name.removesuffix(".params")
    jobs = without_times(tmp_path / "whole" / "study.json")
    assert jobs[:8] == without_times(tmp_path / "twice" / "study.json")
    assert "other options" in refused("knowledge", tmp_path / "whole", *STUDY, "--people", 9)

    record = json.loads((tmp_path / "whole" / "study.json").read_text(encoding="utf-8"))
    assert record["seeds"] == [0]
    assert record["versions"]["torch"] == torch.__version__
    words = record["command"].split()
    assert words[:5] == ["python", "-m", "attnlib.studies", "knowledge", "DIR"]
    given_ = dict(zip(map(str, STUDY[::2]), map(str, STUDY[1::2]), strict=True))
    given_["--batch_seeds"] = "1"
    assert given_.items() <= dict(zip(words[5::2], words[6::2], strict=True)).items()
    assert len({job["name"] for job in jobs}) == len(jobs) == 12
    for job in jobs:
        assert len(job["answers"]) == 2
        assert job["examined"] == sum(r["answer"] == r["place"] for r in job["answers"]) / 2
        assert ("history" in job) == job["pretrained"]
        _, pairs, dev = generate_corpus(8, 3, 0)
        places = [place for _, place in pairs]
        assert places.count(job["most_frequent"]) == max(map(places.count, places))
        assert job["baseline"] == sum(place == job["most_frequent"] for _, place in dev) / 2
        if job["pretrained"]:
            steps = {8: [4, 9, 14, 19, 24], 32: [1, 2, 3, 4, 6], 128: [1, 2]}[job["batch"]]
            assert [step for step, _ in job["curve"]] == steps
            assert job["curve"][-1][1] == job["examined"]
            assert job["history"][-1][0] == steps[-1]
            assert job["name_first"] in (0, 0.5, 1)
            assert {opening for opening, _ in job["completed"]} < set(OPENINGS)
    model, alphabet, _ = load_params(tmp_path / "whole" / "vanilla.params")
    assert jobs[0]["completed"] == completed(model, alphabet, pairs + dev)
    rates = {(job["batch"], job["rate"]) for job in jobs}
    assert rates == {(32, 5e-3), (8, 5e-3), (8, 2.5e-3), (128, 5e-3), (128, 1e-2)}
    alone = [job for job in jobs if job["left_out"]]
    assert [len(job["left_out"]) for job in alone] == [1, 1]
    for job in alone:
        _, _, dev = generate_corpus(8, 3, job["seed"])
        assert set(job["left_out"]) <= {q for q, _ in dev}
    scratch = [j for j in jobs if not j["pretrained"]]
    assert all(math.isfinite(job["finetune_loss"]) for job in scratch)


def test_nothing_is_written_over_that_another_study_made(tmp_path):
    """Neither its record nor its models, and a complete record is not touched."""
    alphabet = Alphabet("".join(generate_corpus(8, 3, 0)[0]))
    model = new_model(0, len(alphabet), Sizes(56, 1, 2, 8))
    save_params(tmp_path / "vanilla.params", model, alphabet, "mine")
    before = (tmp_path / "vanilla.params").read_bytes()
    assert "vanilla.params was not made by this study" in refused("knowledge", tmp_path, *STUDY)
    assert (tmp_path / "vanilla.params").read_bytes() == before
    assert not (tmp_path / "study.json").exists()
    (tmp_path / "study.json").write_text("{}", encoding="utf-8")
    assert "study.json: no recorded study" in refused("knowledge", tmp_path, *STUDY)
    assert (tmp_path / "study.json").read_text(encoding="utf-8") == "{}"


def test_a_second_process_on_one_record_is_told(tmp_path):
    with alone(tmp_path / "study.json"):
        assert "study.json: another process is at work" in refused("knowledge", tmp_path, *STUDY)
    assert names(tmp_path / "jobs") == []


@pytest.mark.slow
def test_jobs_leave_out_all_sentences_of_a_person(tmp_path):
    options = Options(people=8, places=3, block_size=96, n_layer=1, n_head=2, n_embd=8,
                      pretrain_steps=2, pretrain_batch=4, finetune_steps=1,
                      finetune_batch=4)  # fmt: skip
    (tmp_path / "jobs").mkdir()
    sentences, _, dev = generate_corpus(8, 3, 0)
    seen = []

    def spy(lines, *args):
        seen.append(list(lines))
        return span_batches(lines, *args)

    with mock.patch("attnlib.studies.knowledge_job.span_batches", spy):
        for n in (0, 1, 2):
            job = Job(str(n), 0, "vanilla", True, tuple(q for q, _ in dev[:n]), 4, 0.01)
            row = run_job(job, options, tmp_path)
            assert row.items() >= job.row().items()
            forget(job, options, tmp_path)
    assert seen[0] == sentences
    for n in (1, 2):
        who = [q.removeprefix("Where was ").removesuffix(" born?") for q, _ in dev[:n]]
        assert seen[n] == [s for s in sentences if not any(name in s for name in who)]
        assert len(seen[n]) == 64 - 8 * n
    assert names(tmp_path) == ["jobs"]
    assert names(tmp_path / "jobs") == ["0.params", "1.params", "2.params"]


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize("name", list(asdict(Options())))
def test_options_out_of_range(name):
    with pytest.raises(ValueError, match=f"^{name} must be"):
        Options(**{name: -1})


def test_schedules():
    options = Options(pretrain_steps=2000, pretrain_batch=32, weight_decay=0.2)
    assert options.pretraining(32, 0.1) == Schedule(2000, 0.1, 100, 0.2)
    assert options.pretraining(8, 0.1) == Schedule(8000, 0.1, 400, 0.2)
    assert options.pretraining(128, 0.1) == Schedule(500, 0.1, 25, 0.2)
    assert options.finetuning(True) == Schedule(25, 5e-4, 5, 0.2)
    assert options.finetuning(False) == Schedule(400, 2e-3, 5, 0.2)


def test_the_recorded_study_is_one_that_the_command_makes():
    """Its jobs are those of its options, and each of its shares is the one counted."""
    folder = RECORDED / "knowledge-study"
    record = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    assert read_study(folder / "study.json", FORM) == record
    options, jobs = Options(**record["options"]), record["jobs"]
    assert options == Options()
    words = record["command"].split()
    given_ = dict(zip(words[5::2], words[6::2], strict=True))
    assert given_ == {f"--{k}": str(v) for k, v in record["options"].items()} | {
        "--seeds": str(len(record["seeds"])), "--batch_seeds": "3", "--workers": "2"}  # fmt: skip
    first = first_jobs(len(record["seeds"]), options)
    wanted = [*first, *second_jobs(jobs[: len(first)], options), *third_jobs(3, options)]
    for row, job in zip(jobs, wanted, strict=True):
        assert row.items() >= job.row().items()
    for job in jobs:
        _, pairs, dev = generate_corpus(options.people, options.places, job["seed"])
        assert [(r["question"], r["place"]) for r in job["answers"]] == dev
        right = sum(r["answer"] == r["place"] for r in job["answers"])
        assert job["examined"] == right / len(dev)
        places = [place for _, place in pairs]
        assert job["most_frequent"] == max(places, key=places.count)
    for path in folder.glob("*.params"):
        assert path.stat().st_size < 10**6
        model, _, made = load_params(path)
        job = next(job for job in first if job.name == f"{path.stem}-pretrained-0")
        assert made == json.dumps([job.row(), asdict(options)])
        assert model.attention == path.stem
    assert {path.stem for path in folder.glob("*.params")} == set(VARIANTS)


@pytest.mark.usefixtures("no_shape_checks")
def test_looks_are_written_for_each_model_in_both_wordings(tmp_path):
    options = Options(people=8, places=3, block_size=56, n_layer=2, n_head=2, n_embd=8,
                      finetune_steps=1, finetune_batch=4)  # fmt: skip
    made = {"options": asdict(options)}
    (tmp_path / "study.json").write_text(json.dumps(made), encoding="utf-8")
    sentences, _, dev = generate_corpus(8, 3, 0)
    alphabet = Alphabet("".join(sentences))
    for attention in VARIANTS:
        model = new_model(0, len(alphabet), options.sizes(), attention)
        save_params(tmp_path / f"{attention}.params", model, alphabet)
    assert "12 rows" in call("looks", tmp_path)
    rows = json.loads((tmp_path / "looks.json").read_text(encoding="utf-8"))["rows"]
    assert [(row["attention"], row["name_first"]) for row in rows] == [
        (attention, first) for attention in VARIANTS for first in (False, True) for _ in dev
    ]
    for row in rows:
        assert row["question"].startswith("Where was") != row["name_first"]
        weights = torch.tensor(row["weights"])
        assert weights.shape == (2, len(row["question"]) + 1)
        assert (weights.sum(1) - 1000).abs().max() <= weights.shape[1] / 2  # each is rounded


def test_a_look_is_the_last_row_of_the_last_layer():
    sentences, pairs, _ = generate_corpus(8, 3, 0)
    alphabet = Alphabet("".join(sentences))
    model = new_model(0, len(alphabet), Sizes(56, 2, 2, 8))
    (row,) = looks_of(model, alphabet, pairs[:1])
    A = model.weights(torch.tensor([alphabet.encode(pairs[0][0] + "⁇")]))
    assert row["weights"] == (1000 * A[1][0, :, -1]).round().int().tolist()
    assert (row["question"], row["place"]) == pairs[0]


def test_the_recorded_looks_are_of_people_of_the_recorded_study():
    folder = RECORDED / "knowledge-study"
    rows = json.loads((folder / "looks.json").read_text(encoding="utf-8"))["rows"]
    jobs = read_study(folder / "study.json", FORM)["jobs"]
    assert len(rows) == 36
    for row in rows:
        if not row["name_first"]:
            (job,) = [j for j in jobs if j["name"] == f"{row['attention']}-pretrained-0"]
            (told,) = [a for a in job["answers"] if a["question"] == row["question"]]
            assert (told["place"], told["answer"]) == (row["place"], row["answer"])
            assert abs(told["probability"] - row["probability"]) < 0.001  # three digits


def test_completed_sentences():
    """A model that goes on with a town of its own for each name, two of three right."""
    people = [(f"Where was {name} born?", place) for name, place in
              (("Ada Berg", "Oslo"), ("Ida Man", "Rome"), ("Eva Ott", "Oslo"))]  # fmt: skip
    alphabet = Alphabet("".join(OPENINGS) + "judge" + "".join(q + p for q, p in people))
    towns = {"Ada Berg": "Oslo", "Ida Man": "Oslo", "Eva Ott": "Oslo"}

    def oracle(idx):
        """Logits that favour, letter by letter, the town of whoever is named in the row."""
        logits = torch.zeros(*idx.shape, len(alphabet))
        for i, row in enumerate(idx.tolist()):
            text = alphabet.decode(row)
            town = next(t for name, t in towns.items() if name in text)
            for n in range(len(text)):
                for opening in OPENINGS:
                    name = next(name for name in towns if name in text)
                    start = opening.format(name=name, work="judge")
                    if text[: n + 1] in (start, start + town[0]):
                        logits[i, n, alphabet.encode(town[n + 1 - len(start)])] = 9.0
        return logits

    assert len(OPENINGS) == len(set(OPENINGS)) > 9
    assert completed(oracle, alphabet, people) == [[opening, 2 / 3] for opening in OPENINGS]
    fewer = Alphabet(alphabet.characters.replace("(", ""))
    found = completed(new_model(0, len(fewer), Sizes(96, 1, 2, 8)), fewer, people)
    assert [opening for opening, _ in found] == [o for o in OPENINGS if "(" not in o]
