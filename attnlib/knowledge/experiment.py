"""One model of the study: pretrained or not, with or without some people, fine-tuned, examined."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attnlib.knowledge.answer import accuracy, choose, greedy_answers
from attnlib.knowledge.corpus import Alphabet, answer_batches, span_batches
from attnlib.knowledge.files import write_atomically
from attnlib.knowledge.generate import TEMPLATES, baseline, generate_corpus
from attnlib.knowledge.gpt import GPT
from attnlib.knowledge.hints import asked_name
from attnlib.knowledge.params import SIZES, load_params, save_params
from attnlib.knowledge.train import new_model, train

__all__ = ["OPENINGS", "completed", "fine_tune", "name_first", "run_job"]

# What is said of a person before the place is: what a model that has read it should go on with.
OPENINGS = list(dict.fromkeys(
    start for start, _, _ in (template.partition("{place}") for template in TEMPLATES)
    if start.count("{name}") == 1 and "{other}" not in start
))  # fmt: skip
POINTS = 5  # of the learning curve: so many times in pretraining a copy is fine-tuned and asked


def fine_tune(
    model: GPT, corpus: tuple, alphabet: Alphabet, options: dict, seed: int, task: str = "finetune"
) -> dict:
    """Train a model in place on questions, by the schedule of a task; then ask about everybody."""
    _, pairs, examined = corpus
    batches = answer_batches(pairs, alphabet, model.block_size, options["finetune_batch"], seed)
    history = train(
        model, batches, options[f"{task}_steps"], learning_rate=options[f"{task}_rate"],
        warmup=5, weight_decay=options["weight_decay"], seed=seed,
    )  # fmt: skip
    trained = greedy_answers(model, alphabet, [q for q, _ in pairs])
    found = greedy_answers(model, alphabet, [q for q, _ in examined])
    return {
        "finetune_loss": round(history[-1][1], 5),
        "trained": accuracy([a for a, _ in trained], [place for _, place in pairs]),
        "examined": accuracy([a for a, _ in found], [place for _, place in examined]),
        "answers": [
            {"question": q, "place": place, "answer": a, "probability": round(p, 6)}
            for (q, place), (a, p) in zip(examined, found, strict=True)
        ],
    }


def completed(
    model: Callable[[Tensor], Tensor], alphabet: Alphabet, people: list[tuple[str, str]]
) -> list:
    """For each opening of a sentence, the share of (question, place) whose place goes on with it.

    The trade, where there is one, is the same for all: it need not be theirs. An opening with a
    letter that the alphabet does not have, which happens in tiny corpora, is left out.
    """
    places, shares = sorted({place for _, place in people}), []
    for opening in OPENINGS:
        prompts = [opening.format(name=asked_name(q), work="judge") for q, _ in people]
        if alphabet.unknown("".join(prompts)):
            continue
        found = choose(model, alphabet, prompts, places)
        shares.append([opening, accuracy(found, [place for _, place in people])])
    return shares


def name_first(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The same questions in other words: the name now begins them, as it begins most sentences.

    >>> name_first([("Where was Ada Corlund born?", "Oslo")])
    [('Ada Corlund was born where?', 'Oslo')]
    """
    return [(f"{asked_name(question)} was born where?", place) for question, place in pairs]


def run_job(job: dict[str, Any], options: dict[str, Any], folder: str) -> str:
    """One model: pretrained (or not), fine-tuned, examined. Writes jobs/NAME.json at the end.

    Interrupted at any moment it goes on from its checkpoint. The corpus, the start and the order
    of the batches are all fixed by the job's seed. Without pretraining there is a longer schedule
    of its own: that of fine-tuning would not even get the training pairs right. Returns a line
    for the progress bar.
    """
    torch.set_num_threads(1)  # two jobs side by side are faster than one on two threads
    jobs, name, seed = Path(folder) / "jobs", job["name"], job["seed"]
    corpus = generate_corpus(options["people"], options["places"], seed)
    sentences, pairs, examined = corpus
    # Of all sentences: whoever is left out, the alphabet and so the start stay the same.
    alphabet = Alphabet("".join(sentences))
    left_out = [asked_name(question) for question in job["left_out"]]
    sentences = [s for s in sentences if not any(person in s for person in left_out)]
    sizes = {size: options[size] for size in SIZES}
    model = new_model(seed, len(alphabet), **sizes, attention=job["attention"])
    result: dict[str, Any] = {**job, "baseline": baseline(pairs, examined)}
    result["most_frequent"] = Counter(place for _, place in pairs).most_common(1)[0][0]
    start = time.perf_counter()
    if job["pretrained"]:
        # With another batch as many texts are read: in more steps or in fewer, warmup included.
        share = options["pretrain_batch"] / job["batch"]
        steps, warmup = round(options["pretrain_steps"] * share), round(100 * share)
        batches = span_batches(sentences, alphabet, model.block_size, job["batch"], seed)
        points = sorted({max(1, steps * i // POINTS) for i in range(1, POINTS)})
        snapshots = {step: jobs / f"{name}.{step}.params" for step in points}

        def keep(step: int) -> None:
            if step in snapshots:
                save_params(snapshots[step], model, alphabet)

        checkpoint = jobs / f"{name}.checkpoint"
        history = train(
            model, batches, steps, learning_rate=job["rate"], warmup=warmup, seed=seed,
            weight_decay=options["weight_decay"], checkpoint=checkpoint, after_step=keep,
            settings=json.dumps([job, options]),
        )  # fmt: skip
        result["history"] = [(step, round(loss, 5)) for step, loss in history]
        # What is fine-tuned is what the reader will have: the weights as they are stored.
        stored = Path(folder) / f"{job['attention']}.params"
        stored = stored if name.endswith("-pretrained-0") else jobs / f"{name}.params"
        save_params(stored, model, alphabet, json.dumps([job, options]), half=True)
        model = load_params(stored)[0]
        result["completed"] = completed(model, alphabet, pairs + examined)
        reworded = (sentences, name_first(pairs), name_first(examined))
        asked = fine_tune(load_params(stored)[0], reworded, alphabet, options, seed)
        result["name_first"] = asked["examined"]
        result["curve"] = []
        for step, path in snapshots.items():
            asked = fine_tune(load_params(path)[0], corpus, alphabet, options, seed)
            result["curve"].append([step, asked["examined"]])
    task = "finetune" if job["pretrained"] else "scratch"
    result |= fine_tune(model, corpus, alphabet, options, seed, task)
    if job["pretrained"]:
        result["curve"].append([steps, result["examined"]])
    result["seconds"] = round(time.perf_counter() - start, 1)  # since the last interruption
    write_atomically(jobs / f"{name}.json", json.dumps(result, ensure_ascii=False))
    if job["pretrained"]:
        for path in (checkpoint, *snapshots.values()):
            path.unlink(missing_ok=True)
    return f"{name} {result['examined']:.0%}"
