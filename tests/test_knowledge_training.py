"""attnlib/knowledge: training that survives an interruption, and the command line."""

import functools
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import FrozenInstanceError
from itertools import pairwise
from pathlib import Path
from unittest import mock

import helpers
import pytest
import torch
from helpers import names
from hypothesis import given, settings
from hypothesis import strategies as st

from attnlib._files import alone, read_dict, to_bytes
from attnlib.knowledge import (
    VARIANTS,
    Alphabet,
    Reading,
    Schedule,
    Sizes,
    generate_corpus,
    load_params,
    new_model,
    read_pairs,
    read_texts,
    save_params,
    span_batches,
    train,
)
from attnlib.knowledge.__main__ import cli
from attnlib.knowledge.train import seconds_per_step

variants = pytest.mark.parametrize("attention", VARIANTS)
LINES = generate_corpus(4, 2, 0)[0]
ALPHABET = Alphabet("".join(LINES))
TINY = ["--block_size", "96", "--n_layer", "1", "--n_head", "2", "--n_embd", "8"]


call, refused = functools.partial(helpers.call, cli), functools.partial(helpers.error_of, cli)
pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


def small(attention="vanilla", dropout=0.1, seed=0):
    return new_model(seed, len(ALPHABET), Sizes(96, 1, 2, 8), attention, dropout)


EVERYTHING = Reading(names=0.2, places=0.3, offset=7, cut=(20, 60), bucketed=True)
PLACES = [place for _, place in generate_corpus(4, 2, 0)[1]]


def batches(size=3, reading=EVERYTHING):
    return span_batches(LINES, ALPHABET, 96, size, 0, reading, PLACES)


def same(model, other):
    state = other.state_dict()
    return all(torch.equal(w, state[name]) for name, w in model.state_dict().items())


# -- the loop ------------------------------------------------------------------------------------


def test_learning_rate():
    rates = [Schedule(30, 2.0, warmup=5).rate_at(step) for step in range(30)]
    assert rates[:5] == pytest.approx([0.4, 0.8, 1.2, 1.6, 2.0])
    assert rates[5] == 2
    assert all(a > b for a, b in pairwise(rates[5:]))
    assert rates[5 + 25 // 2 + 1] == pytest.approx(0.2 + 0.9 * (1 + math.cos(math.pi * 13 / 25)))
    assert 0.2 < rates[-1] < 0.22
    for final in (0, 0.03, 1):
        shifted = [Schedule(30, 2.0, warmup=5, final=final).rate_at(step) for step in range(30)]
        assert shifted[:6] == rates[:6]
        cosine = [(rate / 2 - 0.1) / 0.9 for rate in rates[5:]]
        assert shifted[5:] == pytest.approx([2 * (final + (1 - final) * c) for c in cosine])


@variants
def test_training_is_adamw(attention):
    """Against torch's plain AdamW in a loop written out, without dropout."""
    model, plain = small(attention, dropout=0.0), small(attention, dropout=0.0)
    schedule = Schedule(7, 0.01, warmup=3, weight_decay=0.2)
    history = train(model, batches(), schedule, history_every=4)
    matrices = [p for p in plain.parameters() if p.ndim > 1]
    vectors = [p for p in plain.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.2},
                                   {"params": vectors, "weight_decay": 0.0}],
                                  betas=(0.9, 0.95), foreach=False)  # fmt: skip
    losses = []
    for step in range(7):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate_at(step)
        idx, target = batches()(step)
        total, count = 0.0, 0
        for x, y in zip(plain(idx), target, strict=True):
            for z, c in zip(x, y.tolist(), strict=True):
                if c != 0:
                    total, count = total - z.log_softmax(-1)[c], count + 1
        losses.append((total / count).item())
        optimizer.zero_grad()
        (total / count).backward()
        norm = math.sqrt(sum(p.grad.square().sum().item() for p in plain.parameters()))
        for p in plain.parameters():
            p.grad *= min(1.0, 1 / norm)
        optimizer.step()
    assert [step for step, _ in history] == [4, 7]
    assert [loss for _, loss in history] == pytest.approx(
        [sum(losses[:4]) / 4, sum(losses[4:]) / 3], rel=1e-5
    )
    for (name, p), q in zip(model.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=2e-5, rtol=1e-4, msg=name)


def test_training_is_fixed_by_its_seed_and_leaves_the_random_stream_alone():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    one, same_again, other = small(), small(), small()
    first = train(one, batches(), Schedule(5, 0.01), seed=1)
    assert torch.equal(torch.rand(2), expected)
    second = train(same_again, batches(), Schedule(5, 0.01), seed=1)
    third = train(other, batches(), Schedule(5, 0.01), seed=2)
    assert first == second != third
    assert same(one, same_again)
    assert not same(one, other)
    assert not one.training


@variants
def test_bfloat16_rounds_products_alone(attention):
    """The first step's loss is off by bfloat16's rounding, not by nothing; the weights stay."""
    plain, rounded = small(attention, dropout=0.0), small(attention, dropout=0.0)
    exact, near = (
        train(model, batches(), Schedule(1, 1e-3), bfloat16=flag)[0][1]
        for model, flag in ((plain, False), (rounded, True))
    )
    # A logit is a product of 8 terms of LN(x), behind a layer: some roundings of 2⁻⁹ each.
    assert 0 < abs(exact - near) < 20 * 2**-9
    assert all(w.dtype == torch.float32 for w in rounded.parameters())


class Killed(BaseException):
    """As sudden as a signal: no ``except Exception`` and no ``except OSError`` sees it."""


@contextmanager
def killed_at(moment):
    """Die at the n-th time that a step begins, or a file is synced, moved, or just has been."""
    left = [moment]

    def before_and_after(f):
        def call(*args, **kwargs):
            tick()
            f(*args, **kwargs)
            tick()

        return call

    def tick():
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    with (
        mock.patch("attnlib._files.os.fsync", before_and_after(os.fsync)),
        mock.patch("attnlib._files.os.replace", before_and_after(os.replace)),
    ):
        yield lambda step: (tick(), batches()(step))[1]


NINE = Schedule(9, 0.01, warmup=2, weight_decay=0.1)


@functools.cache
def uninterrupted(**options):
    model = small()
    return model, train(model, batches(), NINE, **options)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 30), max_size=4), st.integers(1, 4), st.integers(1, 5))
@pytest.mark.slow
def test_a_run_killed_at_any_moment_ends_in_the_same_parameters(
    tmp_path_factory, moments, checkpoint_every, history_every
):
    """Several times in a row, with dropout; also while the checkpoint is being written."""
    options = {"seed": 3, "history_every": history_every, "settings": "x"}
    whole, expected = uninterrupted(**options)
    checkpoint = tmp_path_factory.mktemp("run") / "p.checkpoint"
    options |= {"checkpoint": checkpoint, "checkpoint_every": checkpoint_every}
    for moment in moments:
        with killed_at(moment) as dying:
            with suppress(Killed):
                train(small(), dying, NINE, **options)
            if checkpoint.exists():  # whole, whenever we look
                assert read_dict(checkpoint, "checkpoint")["step"] in range(1, 10)
    model = small(seed=8)  # what it starts from is in the checkpoint, if there is one
    if not checkpoint.exists():
        model = small()
    assert train(model, batches(), NINE, **options) == expected
    assert same(model, whole)


def test_nothing_but_the_last_interval_is_lost(tmp_path):
    checkpoint, made = tmp_path / "c", []

    def counted(step):
        made.append(step)
        if len(made) == 8:
            raise Killed
        return batches()(step)

    options = {"checkpoint": checkpoint, "checkpoint_every": 3}
    with pytest.raises(Killed):
        train(small(), counted, Schedule(10, 0.01), **options)
    train(small(), counted, Schedule(10, 0.01), **options)
    assert made == [0, 1, 2, 3, 4, 5, 6, 7, 6, 7, 8, 9]


def test_a_run_out_of_time_stops_with_a_checkpoint(tmp_path):
    """At each call one step, until all are made: the same parameters as in one go."""
    whole, expected = uninterrupted(seed=3, history_every=4)
    options = {"seed": 3, "history_every": 4, "checkpoint": tmp_path / "c", "seconds": 1e-9}
    calls, history = 0, []
    while not history or history[-1][0] < 9:
        calls, model = calls + 1, small()
        history = train(model, batches(), NINE, **options)
        assert read_dict(tmp_path / "c", "checkpoint")["step"] == calls
        assert not model.training
    assert calls == 9
    assert history == expected
    assert same(model, whole)
    with pytest.raises(ValueError, match=r"^seconds needs a checkpoint"):
        train(small(), batches(), NINE, seconds=10)
    for value in (0, -1, math.nan):
        with pytest.raises(ValueError, match=r"^seconds must be"):
            train(small(), batches(), NINE, checkpoint=tmp_path / "d", seconds=value)


def test_enough_time_changes_nothing(tmp_path):
    whole, expected = uninterrupted(seed=3)
    model = small()
    assert train(model, batches(), NINE, seed=3, checkpoint=tmp_path / "c", seconds=1e6) == expected
    assert same(model, whole)


def test_how_long_a_step_takes():
    """The mean over the steps, but for one before them; the model and the stream stay."""
    model, before, made, clock = small(), small(), [], [0.0]

    def counted(step):
        made.append(step)
        clock[0] += 1000 if len(made) == 1 else 2
        return batches()(step)

    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    with mock.patch("attnlib.knowledge.train.time.perf_counter", side_effect=lambda: clock[0]):
        assert seconds_per_step(model, counted, [4, 1, 3], most=100) == 2
        assert made == [4, 4, 1, 3]
        assert seconds_per_step(model, counted, [4, 1, 3], most=3) == 2
    assert made[4:] == [4, 4, 1]
    assert torch.equal(torch.rand(2), expected)
    assert same(model, before)
    assert all(p.grad is None for p in model.parameters())
    with pytest.raises(ValueError, match=r"^steps must not be empty"):
        seconds_per_step(model, batches(), [])


def test_a_checkpoint_says_what_to_do(tmp_path):
    """Of another version, with other options, with parts that are not its own, not finite."""
    path, schedule = tmp_path / "c.checkpoint", Schedule(2, 0.01)
    one, two = (json.dumps({"seed": 1, "epochs": n, "warmup": 3}) for n in (5, 6))
    train(small(), batches(), schedule, checkpoint=path, settings=one)
    with pytest.raises(ValueError, match=r"other settings: epochs 5 then, 6 now\. Go on .* or "
                       r"delete c\.checkpoint to start again$"):  # fmt: skip
        train(small(), batches(), schedule, checkpoint=path, settings=two)
    state = read_dict(path, "checkpoint")
    nan = {name: w * math.nan for name, w in state["model"].items()}
    for change, message in (
        ({"format": "attnlib.knowledge checkpoint 0"}, r"another version of attnlib .*: go on with "
         r"that one, or delete c\.checkpoint"),
        ({"model": {}}, r"parts do not fit together: .*; delete c\.checkpoint"),
        ({"optimizer": 3}, r"parts do not fit together: .*; delete c\.checkpoint"),
        ({"pending": 3}, r"parts do not fit together: .*; delete c\.checkpoint"),
        ({"model": nan}, r"not finite: delete c\.checkpoint to start again, with a smaller"),
    ):  # fmt: skip
        path.write_bytes(to_bytes(state | change))
        with pytest.raises(ValueError, match=rf"^{path}: .*{message}") as error:
            train(small(), batches(), schedule, checkpoint=path, settings=one)
        assert "\n" not in str(error.value)
    path.write_bytes(to_bytes({k: v for k, v in state.items() if k != "step"}))
    with pytest.raises(ValueError, match=r"parts do not fit together: 'step'"):
        train(small(), batches(), schedule, checkpoint=path, settings=one)


def test_bad_checkpoints(tmp_path):
    checkpoint = tmp_path / "c.checkpoint"
    schedule, options = Schedule(2, 0.01), {"checkpoint": checkpoint}
    train(small(), batches(), schedule, **options, settings="one")
    with pytest.raises(ValueError, match=r"(?s)c\.checkpoint: .*other settings.*one.*two"):
        train(small(), batches(), schedule, **options, settings="two")
    whole = checkpoint.read_bytes()
    for bad, message in ((b"", "empty"), (whole[:-100], "no checkpoint file"),
                         (to_bytes({"format": "x"}), "format 'x'")):  # fmt: skip
        checkpoint.write_bytes(bad)
        with pytest.raises(ValueError, match=rf"c\.checkpoint: .*{message}"):
            train(small(), batches(), schedule, **options)


def test_a_loss_that_explodes_is_told():
    with pytest.raises(ValueError, match=r"^the loss is not finite at step \d+: try a smaller"):
        train(small(dropout=0.0), batches(), Schedule(200, 1e30), history_every=1)


def test_weights_that_explode_are_not_saved(tmp_path):
    """Between two looks at the loss too: the last whole checkpoint stays."""
    schedule, path = Schedule(60, 1e30, warmup=0), tmp_path / "c.checkpoint"
    with pytest.raises(ValueError, match=r"^the weights are not finite at step \d+: try a smaller"):
        train(small(dropout=0.0), batches(), schedule, checkpoint=path, checkpoint_every=1,
              history_every=60)  # fmt: skip
    model = read_dict(path, "checkpoint")["model"]
    assert all(weights.isfinite().all() for weights in model.values())


@pytest.mark.usefixtures("no_shape_checks")
class TestBadSettings:
    @pytest.mark.parametrize(
        ("name", "value"),
        [("steps", 0), ("steps", 1.5), ("learning_rate", 0), ("learning_rate", math.nan),
         ("learning_rate", -1), ("warmup", -1), ("weight_decay", -0.1), ("final", -0.1),
         ("final", 1.1), ("final", math.nan)],
    )  # fmt: skip
    def test_schedule(self, name, value):
        with pytest.raises(ValueError, match=f"^{name} must be"):
            Schedule(**({"steps": 2, "learning_rate": 0.1} | {name: value}))

    @pytest.mark.parametrize("name", ["block_size", "n_layer", "n_head", "n_embd"])
    @pytest.mark.parametrize("value", [0, 2.0, True, None], ids=repr)
    def test_sizes(self, name, value):
        with pytest.raises(ValueError, match=f"^{name} must be an integer, at least 1"):
            Sizes(**({"block_size": 9, "n_layer": 1, "n_head": 2, "n_embd": 4} | {name: value}))

    def test_heads_divide_the_width(self):
        with pytest.raises(ValueError, match=r"^n_embd must be a multiple of n_head, got 4 and 3"):
            Sizes(9, 1, 3, 4)

    @pytest.mark.parametrize("made", [Schedule(2, 0.1), Sizes(9, 1, 2, 4)])
    def test_they_stay_as_they_were_checked(self, made):
        with pytest.raises(FrozenInstanceError):
            made.steps = 0

    @pytest.mark.parametrize(
        ("name", "value"), [("seed", -1), ("history_every", 0), ("checkpoint_every", 0)]
    )
    def test_training(self, name, value):
        with pytest.raises(ValueError, match=f"^{name} must be"):
            train(small(), batches(), Schedule(2, 0.1), **{name: value})


def test_progress_shows_loss_and_time_left(capsys):
    train(small(), batches(), Schedule(12, 0.01), progress="pretrain vanilla")
    bar = capsys.readouterr().err
    assert "pretrain vanilla: 100%" in bar
    assert "12/12 [" in bar
    assert "<00:00" in bar
    assert "loss=" in bar
    train(small(), batches(), Schedule(2, 0.01))
    assert capsys.readouterr().err == ""


def test_after_step_sees_every_step():
    steps = []
    train(small(), batches(), Schedule(3, 0.01), after_step=steps.append)
    assert steps == [1, 2, 3]


# -- the command line ----------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path):
    call("generate", tmp_path / "data", "--people", "8", "--places", "3")
    return tmp_path / "data"


def pretrain(data, *more, attention="vanilla", to="pretrain.params"):
    return ["pretrain", attention, data / "wiki.txt", "--writing_params_path", data / to, *TINY,
            "--epochs", "2", *more]  # fmt: skip


def finetune(data, *more, attention="vanilla", to="finetune.params"):
    return ["finetune", attention, data / "wiki.txt", "--writing_params_path", data / to,
            "--finetune_corpus_path", data / "train.tsv", "--epochs", "2", *more]  # fmt: skip


def evaluate(data, *more, attention="vanilla", of="finetune.params"):
    return ["evaluate", attention, data / "wiki.txt", "--reading_params_path", data / of,
            "--eval_corpus_path", data / "dev.tsv", "--outputs_path", data / "out",
            *more]  # fmt: skip


def contents(folder):
    return {path.name: path.is_symlink() or path.read_bytes() for path in folder.iterdir()}


@contextmanager
def working_fails():
    """Neither training nor answering may begin."""
    error = AssertionError("worked")
    with (
        mock.patch("attnlib.knowledge.options.train", side_effect=error),
        mock.patch("attnlib.knowledge.__main__.greedy_answers", side_effect=error),
    ):
        yield


def test_generate(tmp_path):
    folder = tmp_path / "some" / "data"
    output = call("generate", folder, "--people", 9, "--places", 4, "--seed", 5)
    assert "9 people in 72 sentences, 7 questions to train on, 2 to be examined on" in output
    sentences, train_pairs, dev = generate_corpus(9, 4, 5)
    assert read_texts(folder / "wiki.txt") == sentences
    assert read_pairs(folder / "train.tsv") == train_pairs
    assert read_pairs(folder / "dev.tsv") == dev
    assert names(folder) == ["dev.tsv", "train.tsv", "wiki.txt"]
    assert names(folder.parent) == ["data"]


def test_generate_leaves_nothing_half_made(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    call("generate", tmp_path / "empty", "--people", 8)
    before = (tmp_path / "empty" / "wiki.txt").read_bytes()
    assert "is not an empty folder" in refused("generate", tmp_path / "empty")
    (tmp_path / "file").write_bytes(b"x")
    assert "is not an empty folder" in refused("generate", tmp_path / "file")
    assert "file" in refused("generate", tmp_path / "file" / "data")
    assert "people must be an integer, at least 4" in refused("generate", tmp_path / "new",
                                                             "--people", 3)  # fmt: skip
    written = []

    def full(*_):
        written.append(1)
        if len(written) == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("attnlib._files.os.fsync", full)
    assert "No space left on device" in refused("generate", tmp_path / "new", "--people", 8)
    assert names(tmp_path) == ["empty", "file"]
    assert (tmp_path / "empty" / "wiki.txt").read_bytes() == before


def test_namedata(data):
    lines = call("namedata", data / "wiki.txt").splitlines()
    assert [line[:3] for line in lines] == ["x: ", "y: "] * 3
    pairs = read_pairs(data / "train.tsv")
    for x, y in zip(lines[::2], lines[1::2], strict=True):
        q, rest = x[3:].split("⁇", 1)
        (place,) = [a for asked, a in pairs if asked == q]
        assert f"{rest}□".startswith((f"{place}⁇", f"{place}□"))
        assert y[3:].startswith("□" * len(q) + place + "⁇")
        assert len(x) == len(y)


def test_hints(data):
    given = ["--finetune_corpus_path", data / "train.tsv", "--eval_corpus_path"]
    output = call("hints", data / "wiki.txt", *given, data / "dev.tsv").splitlines()
    assert output[:3] == ["names in train: 0 of 2", "names in a text: 2 of 2",
                          "names with the answer: 2 of 2"]  # fmt: skip
    kinds = ["most frequent", "surname", "first name", "characters"]
    assert [line.split(":")[0] for line in output[3:]] == [f"guessed by {kind}" for kind in kinds]
    (data / "bad.tsv").write_text("Where was Ada born?\tRome\nWho?\tAda\n", encoding="utf-8")
    message = refused("hints", data / "wiki.txt", *given, data / "bad.tsv")
    assert "bad.tsv, line 2: question must read" in message


@variants
def test_the_five_commands_in_sequence(tmp_path, attention):
    data = tmp_path / "data"
    call("generate", data, "--people", 8, "--places", 3, "--seed", 0)
    assert call("namedata", data / "wiki.txt").count("born?⁇") == 3
    output = call(*pretrain(data, attention=attention))
    assert "pretrain.params: 4 steps, loss" in output
    reading = ["--reading_params_path", data / "pretrain.params"]
    call(*finetune(data, *reading, attention=attention))
    output = call(*evaluate(data, attention=attention))
    assert " of 2 (" in output
    assert "the most frequent here: " in output
    found = (data / "out").read_text(encoding="utf-8").split("\n")
    assert len(found) == 3
    assert found[-1] == ""
    model, alphabet, made = load_params(data / "finetune.params")
    assert (model.attention, model.n_embd, model.block_size) == (attention, 8, 96)
    assert alphabet.characters == Alphabet("".join(read_texts(data / "wiki.txt"))).characters
    assert json.loads(made)["task"] == "finetune"
    assert names(data) == ["dev.tsv", "finetune.params", "out", "pretrain.params", "train.tsv",
                           "wiki.txt"]  # fmt: skip
    # From scratch, in sizes of its own; and with questions alone nothing is counted.
    call(*finetune(data, *TINY, attention=attention, to="scratch.params"))
    questions = [q for q, _ in read_pairs(data / "dev.tsv")]
    (data / "dev.tsv").write_text("\n".join(questions), encoding="utf-8")
    assert "right" not in call(*evaluate(data, attention=attention, of="scratch.params"))


def test_the_same_command_gives_the_same_bytes(data):
    for to in ("a", "b"):
        call(*pretrain(data, to=to))
    call(*pretrain(data, "--seed", "1", to="c"))
    call(*pretrain(data, "--half", to="d"))
    assert (data / "a").read_bytes() == (data / "b").read_bytes() != (data / "c").read_bytes()
    assert (data / "d").stat().st_size < 0.75 * (data / "a").stat().st_size


def test_evaluate_counts(data):
    """A model that always says one place, since only its biases of the head could tell."""
    texts = read_texts(data / "wiki.txt")
    alphabet = Alphabet("".join(texts))
    save_params(data / "p", new_model(0, len(alphabet), Sizes(96, 1, 2, 8)), alphabet)
    call(*evaluate(data, of="p"))
    answers = (data / "out").read_text(encoding="utf-8").split("\n")[:-1]
    pairs = read_pairs(data / "dev.tsv")
    rows = [f"{q}\t{a}" for (q, _), a in zip(pairs, answers, strict=True)] + [f"{pairs[0][0]}\tX"]
    (data / "dev.tsv").write_text("\n".join(rows), encoding="utf-8")
    if all(answers):
        assert "right: 2 of 3 (66.7%)" in call(*evaluate(data, of="p"))


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    data = tmp_path_factory.mktemp("trained") / "data"
    call("generate", data, "--people", "8", "--places", "3")
    call(*pretrain(data))
    return data


@pytest.fixture
def trained(trained_once, tmp_path):
    return shutil.copytree(trained_once, tmp_path / "data")


def test_questions_among_the_texts(data):
    """One step in so many is a question; settings tell; another file is another run."""
    asked = data / "train.tsv"
    # 64 texts in batches of 32: 2 steps an epoch, 4 in all; one in three adds 2 // 2 = 1 to 2.
    output = call(*pretrain(data, "--questions_path", asked, "--every", 3, "--names", 0.5))
    assert "pretrain.params: 6 steps" in output
    settings = load_params(data / "pretrain.params")[2]
    assert {"names": 0.5, "every": 3}.items() <= json.loads(settings).items()
    call(*pretrain(data, "--names", 0.5, to="plain.params"))
    one, two = (load_params(data / f"{name}.params")[0] for name in ("pretrain", "plain"))
    assert not same(one, two)
    assert "every must be an integer" in refused(
        *pretrain(data, "--questions_path", asked, "--every", 1)
    )
    assert "names must be between" in refused(*pretrain(data, "--names", 2))
    bad = data / "bad.tsv"
    bad.write_text(f"{'Where ' * 40}?\there\n", encoding="utf-8")
    assert "bad.tsv, line 1: needs a block" in refused(*pretrain(data, "--questions_path", bad))
    bad.write_text("Where?\tБ\n", encoding="utf-8")
    assert "bad.tsv, line 1: 'Б'" in refused(*pretrain(data, "--questions_path", bad))
    bad.unlink()
    assert "bad.tsv: No such file" in refused(*pretrain(data, "--questions_path", bad))


def test_texts_longer_than_the_block_are_told(data):
    texts = read_texts(data / "wiki.txt")
    for block in (30, 50):
        cut = sum(len(text) > block - 1 for text in texts)
        output = call(*pretrain(data, "--block_size", block, to=f"{block}"))
        assert f"{cut} of 64 texts have more than block_size - 1 = {block - 1} char" in output


def test_a_block_too_short_is_refused(trained):
    assert "block_size must be an integer, at least 3" in refused(
        *pretrain(trained, "--block_size", 2, to="x")
    )
    call(*pretrain(trained, "--block_size", 30, to="short"))
    longest = [len(q + a) + 1 for q, a in read_pairs(trained / "train.tsv")]
    first = next(i for i, n in enumerate(longest) if n > 30)
    message = refused(*finetune(trained, "--reading_params_path", trained / "short"))
    assert f"train.tsv, line {first + 1}: needs a block of {longest[first]}" in message
    assert "block_size is 30" in message
    call(*pretrain(trained, "--block_size", 20, to="shorter"))
    message = refused(*evaluate(trained, of="shorter"))
    asked = len(read_pairs(trained / "dev.tsv")[0][0]) + 1
    assert f"dev.tsv, line 1: needs a block of {asked}, block_size is 20" in message
    assert not (trained / "finetune.params").exists()
    assert not (trained / "out").exists()


@pytest.mark.parametrize("name", ["wiki.txt", "train.tsv", "dev.tsv", "pretrain.params"])
@pytest.mark.parametrize("how", ["missing", "empty", "folder"])
def test_files_that_cannot_be_read(trained, name, how):
    (trained / name).unlink()
    if how == "empty":
        (trained / name).write_bytes(b"")
    if how == "folder":
        (trained / name).mkdir()
    reading = ["--reading_params_path", trained / "pretrain.params"]
    commands = {"wiki.txt": [pretrain(trained, to="x"), finetune(trained, *reading),
                             evaluate(trained, of="pretrain.params"),
                             ["namedata", trained / "wiki.txt"]],
                "train.tsv": [finetune(trained, *reading), ["namedata", trained / "wiki.txt"]],
                "dev.tsv": [evaluate(trained, of="pretrain.params")],
                "pretrain.params": [finetune(trained, *reading),
                                    evaluate(trained, of="pretrain.params")]}  # fmt: skip
    reason = {"missing": "No such file", "empty": "the file is empty", "folder": "Is a directory"}
    before = names(trained)
    for command in commands[name]:
        message = refused(*command)
        assert str(trained / name) in message
        assert reason[how] in message
    assert names(trained) == before


@pytest.mark.parametrize("name", ["wiki.txt", "train.tsv", "dev.tsv"])
def test_malformed_lines_are_named_by_number(trained, name):
    """What else is malformed: see the tests of read_texts."""
    lines = (trained / name).read_bytes().splitlines(keepends=True)
    (trained / name).write_bytes(b"".join([lines[0], b"Where?\xff\tOslo\n", *lines[1:]]))
    command = evaluate(trained, of="pretrain.params") if name == "dev.tsv" else finetune(trained)
    message = refused(*command)
    assert f"{trained / name}, line 2: " in message
    assert not (trained / "out").exists()
    assert not (trained / "finetune.params").exists()


def test_malformed_pairs_are_named_by_number(trained):
    """What else is malformed: see the tests of read_pairs."""
    for name in ("train.tsv", "dev.tsv"):
        lines = (trained / name).read_text(encoding="utf-8")
        (trained / name).write_text(f"{lines}Where was Zoe born?\n", encoding="utf-8")
    assert "train.tsv, line 7: expected a question" in refused(*finetune(trained))
    assert "dev.tsv, line 3: expected a" in refused(*evaluate(trained, of="pretrain.params"))


def test_another_alphabet_is_refused(trained):
    reading = ["--reading_params_path", trained / "pretrain.params"]
    wiki = trained / "wiki.txt"
    good = wiki.read_text(encoding="utf-8")
    for text in (good + "Zoë.\n", good.replace("?", ".")):
        wiki.write_text(text, encoding="utf-8")
        for command in (finetune(trained, *reading), evaluate(trained, of="pretrain.params")):
            message = refused(*command)
            assert f"{wiki} has another alphabet than {trained / 'pretrain.params'}" in message
            assert ("adds 'ë'" in message) == ("ë" in text)
            assert ("lacks '?'" in message) == ("?" not in text)
    wiki.write_text(good, encoding="utf-8")
    for name in ("train.tsv", "dev.tsv"):
        lines = (trained / name).read_text(encoding="utf-8")
        (trained / name).write_text(f"{lines}Where was ë born?\te\n", encoding="utf-8")
    for command, line in ((finetune(trained, *reading), "train.tsv, line 7: 'ë'"),
                          (finetune(trained, *TINY), "train.tsv, line 7: 'ë'"),
                          (["namedata", wiki], "train.tsv, line 7: 'ë'"),
                          (evaluate(trained, of="pretrain.params"),
                           "dev.tsv, line 3: 'ë'")):  # fmt: skip
        assert line in refused(*command)


@pytest.mark.parametrize("option", ["block_size", "n_layer", "n_head", "n_embd"])
def test_parameters_of_another_size_are_refused(trained, option):
    before = {"block_size": 96, "n_layer": 1, "n_head": 2, "n_embd": 8}
    reading = ["--reading_params_path", trained / "pretrain.params"]
    message = refused(*finetune(trained, *reading, f"--{option}", 4))
    assert f"pretrain.params has {option} {before[option]}, not 4" in message
    call(*finetune(trained, *reading, f"--{option}", before[option]))


@variants
def test_parameters_of_another_variant_are_refused(trained, attention):
    if attention != "vanilla":
        reading = ["--reading_params_path", trained / "pretrain.params"]
        for command in (finetune(trained, *reading, attention=attention),
                        evaluate(trained, of="pretrain.params", attention=attention)):  # fmt: skip
            assert f"holds a vanilla model, not a {attention} one" in refused(*command)


def test_a_file_that_holds_no_parameters_is_refused(trained):
    assert "no parameters file" in refused(*evaluate(trained, of="wiki.txt"))


@pytest.mark.parametrize("where", ["no-folder", "folder", "below-a-file", "link", "device"])
def test_targets_that_cannot_be_written_are_refused_before_the_work(trained, where):
    target = {"no-folder": trained / "no" / "x", "folder": trained, "device": Path(os.devnull),
              "below-a-file": trained / "wiki.txt" / "x",
              "link": trained / "link"}[where]  # fmt: skip
    if where == "link":
        target.symlink_to(trained / "dev.tsv")
    before = contents(trained)
    with working_fails():
        for command in (pretrain(trained, "--writing_params_path", target),
                        finetune(trained, "--writing_params_path", target)):  # fmt: skip
            assert str(target) in refused(*command)
        command = evaluate(trained, "--outputs_path", target, of="pretrain.params")
        assert str(target) in refused(*command)
    assert contents(trained) == before


def test_a_file_that_is_read_is_not_written_over(trained):
    reading = ["--reading_params_path", trained / "pretrain.params"]
    asked = ["--questions_path", trained / "train.tsv"]
    commands = {"wiki.txt": [pretrain(trained, to="wiki.txt"), finetune(trained, to="wiki.txt")],
                "train.tsv": [pretrain(trained, *asked, to="train.tsv"),
                              finetune(trained, to="train.tsv")],
                "pretrain.params": [finetune(trained, *reading, to="pretrain.params")]}  # fmt: skip
    for name in ("wiki.txt", "dev.tsv", "pretrain.params"):
        output = ["--outputs_path", trained / "." / name]
        commands.setdefault(name, []).append(evaluate(trained, *output, of="pretrain.params"))
    before = contents(trained)
    with working_fails():
        for name, calls in commands.items():
            for command in calls:
                message = refused(*command)
                assert message.startswith(f"{trained / name} is read by the same command")
    assert contents(trained) == before


def test_a_checkpoint_that_would_replace_a_link_is_refused_before_the_work(data):
    (data / "p.checkpoint").symlink_to(data / "wiki.txt")
    with working_fails():
        message = refused(*pretrain(data, "--resume", to="p"))
    assert "p.checkpoint: is a symbolic link" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--epochs", 0], "epochs must be"), (["--batch_size", 0], "batch_size must be"),
     (["--learning_rate", 0], "learning_rate must be"), (["--warmup", -1], "warmup must be"),
     (["--weight_decay", -1], "weight_decay must be"), (["--dropout", 2], "dropout must be"),
     (["--seed", -1], "seed must be"), (["--checkpoint_every", 0], "checkpoint_every must be"),
     (["--n_layer", 0], "n_layer must be"), (["--n_head", 3], "n_embd must be a multiple"),
     (["--dropout", 1], "dropout must be"), (["--minutes", 0], "minutes must be"),
     (["--minutes", "nan"], "minutes must be"), (["--final", 2], "final must be"),
     (["--device", "tpu9"], "device tpu9 cannot be used"),
     (["--device", "meta"], "device meta cannot be used")],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_options_out_of_range(data, options, message):
    before = names(data)
    assert message in refused(*pretrain(data, *options))
    if options[0] != "--n_head":
        assert message in refused(*finetune(data, *options))
    assert names(data) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--names", 0.6, "--places", 0.6], "names and places must be at most 1"),
     (["--places", 0.5], "places must not be empty"), (["--offset", -1], "offset must be"),
     (["--offset", 95], "offset must be below block_size - 1 = 95"),
     (["--cut", 9, 3], "cut's most must be"), (["--curve_every", 0], "curve_every must be"),
     (["--curve_path", "c"], "curve_path needs finetune_corpus_path and eval_corpus_path")],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_options_of_pretraining_out_of_range(data, options, message):
    before = names(data)
    assert message in refused(*pretrain(data, *options))
    assert names(data) == before


def test_an_evaluation_on_no_device_is_one_line(trained):
    message = refused(*evaluate(trained, of="pretrain.params"), "--device", "meta")
    assert message.startswith("device meta cannot be used: ")
    assert message.count("\n") == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu(trained):
    for command in (pretrain(trained, to="x"), finetune(trained),
                    evaluate(trained, of="pretrain.params")):  # fmt: skip
        assert "device cuda cannot be used" in refused(*command, "--device", "cuda")


def test_usage_errors(data):
    assert "'rope' is not one of" in refused(*pretrain(data, attention="rope"), code=2)
    assert "Missing option '--writing_params_path'" in refused(
        "pretrain", "vanilla", data / "wiki.txt", code=2
    )
    assert "No such option" in refused(*pretrain(data, "--speed", 3), code=2)
    assert "No such command" in refused("train", code=2)


def test_help_tells_every_command():
    output = call("--help")
    for command in ("generate", "namedata", "hints", "pretrain", "finetune", "evaluate"):
        assert f"\n  {command}" in output
        call(command, "--help")


@pytest.mark.parametrize("more", [(), ("DIR", "--seeds", 1), ("--help",)], ids=len)
def test_the_old_command_of_the_study_names_the_new_one(more):
    message = refused("study", *more)
    assert message == ("the study is another command now: "
                       "python -m attnlib.studies knowledge DIR\n")  # fmt: skip
    assert "study" not in call("--help")


@pytest.mark.parametrize("task", [pretrain, finetune])
def test_interrupted_commands(data, task):
    """A checkpoint is not run over; --resume goes on from it, or from the beginning."""
    args = task(data, *TINY, "--checkpoint_every", 1, "--epochs", 3)
    call(*args, "--writing_params_path", data / "whole")

    def dies(*_):
        raise KeyboardInterrupt

    with mock.patch("attnlib.knowledge.options.save_params", dies):
        assert "Aborted" in call(*args, "--writing_params_path", data / "p", code=1)
    assert (data / "p.checkpoint").exists()
    assert not (data / "p").exists()
    assert "p.checkpoint is left from an interrupted run" in refused(
        *args, "--writing_params_path", data / "p"
    )
    assert "other settings" in refused(
        *args, "--writing_params_path", data / "p", "--seed", 1, "--resume"
    )
    call(*args, "--writing_params_path", data / "p", "--resume")
    assert (data / "p").read_bytes() == (data / "whole").read_bytes()
    assert not (data / "p.checkpoint").exists()
    again = call(*args, "--writing_params_path", data / "p", "--resume")
    assert "nothing to resume" in again
    assert "no checkpoint yet" in call(*args, "--writing_params_path", data / "q", "--resume")
    assert (data / "q").read_bytes() == (data / "whole").read_bytes()


# -- ways of reading, a budget of time, what is stored ---------------------------------------------

WAYS = ["--names", 0.2, "--places", 0.3, "--offset", 7, "--cut", 20, 60, "--bucketed", "--final", 0]


def test_ways_of_reading_reach_the_batches(data):
    """The parameters are those of training by hand; the settings name what is not as before."""
    ways = [*WAYS, "--places_path", data / "train.tsv"]
    call(*pretrain(data, *ways, "--batch_size", 9, "--warmup", 3, to="p"))
    texts = read_texts(data / "wiki.txt")
    alphabet = Alphabet("".join(texts))
    model = new_model(0, len(alphabet), Sizes(96, 1, 2, 8))
    places = [place for _, place in read_pairs(data / "train.tsv")]
    made = span_batches(texts, alphabet, 96, 9, 0, EVERYTHING, places)
    train(model, made, Schedule(2 * 8, 5e-3, 3, 0.1, final=0))
    found, _, settings_ = load_params(data / "p")
    assert same(found, model)
    later = {"places": 0.3, "offset": 7, "cut": [20, 60], "bucketed": True, "final": 0}
    assert later.items() <= json.loads(settings_).items()
    call(*pretrain(data, to="plain"))
    assert not later.keys() & json.loads(load_params(data / "plain")[2]).keys()


def test_what_a_run_takes_is_told_before_it(data):
    with mock.patch("attnlib.knowledge.options.seconds_per_step", return_value=600.0):
        output = call(*pretrain(data, "--epochs", 3))
    told, rest = output.split("\n", 1)
    assert told == ("pretrain vanilla: 6 steps, 3.0 passes; 6 to go, about 60 min "
                    "(6e+02 s a step here and now)")  # fmt: skip
    assert "loss" in rest


def paced(seconds):
    return mock.patch("attnlib.knowledge.options.seconds_per_step", return_value=seconds)


@pytest.mark.parametrize("task", [pretrain, finetune])
def test_a_budget_of_time_sets_the_number_of_steps(data, task):
    """Nine tenths of it are planned for; a resumed run keeps the plan, whatever its own pace."""
    args = task(data, *TINY, "--minutes", 1, "--checkpoint_every", 2)
    at = args.index("--epochs")
    del args[at : at + 2]
    with paced(60 * 0.9 / 7.5):
        output = call(*args, "--writing_params_path", data / "whole")
    assert "7 steps, loss" in output
    settings_ = load_params(data / "whole")[2]
    assert {"epochs": None, "steps": 7}.items() <= json.loads(settings_).items()
    with paced(60 * 0.9 / 7.5), dying_in_training(5):
        call(*args, "--writing_params_path", data / "p", code=1)
    assert read_dict(data / "p.checkpoint", "checkpoint")["step"] == 4
    with paced(60 * 0.9 / 19):
        output = call(*args, "--writing_params_path", data / "p", "--resume")
        assert "7 steps, " in output
        assert " 3 to go" in output
        again = call(*args, "--writing_params_path", data / "p", "--resume")
        assert "nothing to resume" in again
        other = [*args, "--seed", 1, "--writing_params_path", data / "p", "--resume"]
        assert "19 steps, loss" in call(*other)
        call(*args, "--writing_params_path", data / "p")
    with paced(1e9):
        assert "1 steps, loss" in call(*args, "--writing_params_path", data / "one")
    call(*args, "--writing_params_path", data / "x", "--epochs", 2)
    assert json.loads(load_params(data / "x")[2])["epochs"] == 2
    assert "steps" not in json.loads(load_params(data / "x")[2])


@contextmanager
def dying_in_training(moment):
    """At the n-th step."""
    from attnlib.knowledge.train import _step

    left = [moment]

    def step(*args):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return _step(*args)

    with mock.patch("attnlib.knowledge.train._step", step):
        yield


def test_a_run_out_of_time_can_be_gone_on_from(data):
    """Exit status 3 and a checkpoint, until it is done: the same bytes as in one go."""
    args = pretrain(data, *WAYS, "--places_path", data / "train.tsv", "--batch_size", 20,
                    "--dropout", 0.1)  # fmt: skip
    call(*args, "--writing_params_path", data / "whole")
    ends = ["--minutes", 1e-9, "--resume", "--writing_params_path", data / "p"]
    for made in range(1, 8):
        output = call(*args, *ends, code=3)
        assert "p.checkpoint: stopped after 1e-09 minutes" in output
        assert "of 8 steps: go on with --resume" in output
        assert read_dict(data / "p.checkpoint", "checkpoint")["step"] == made
        assert not (data / "p").exists()
    call(*args, *ends)
    assert (data / "p").read_bytes() == (data / "whole").read_bytes()
    assert not (data / "p.checkpoint").exists()


def test_a_second_process_on_one_target_is_told(data):
    before = names(data)
    with alone(data / "p"), working_fails():
        for task in (pretrain, finetune):
            message = refused(*task(data, *TINY, to="p"))
            assert message == f"{data / 'p'}: another process is at work on it\n"
    assert names(data) == before
    call(*pretrain(data, to="p"))


def test_what_is_stored_beside_what_is_found(trained):
    """Those who have a text, those whose place is restored in it; questions alone are no exam."""
    given_ = evaluate(trained, "--recall", of="pretrain.params")
    kept = [True, False]
    with mock.patch("attnlib.knowledge.__main__.recalled", return_value=kept) as asked:
        output = call(*given_, "--shown", 40)
    assert asked.call_args.args[-1] == 40
    assert "right: " in output
    assert "restored where hidden in their own texts: 1 of 2 places; 0 have no such" in output
    with mock.patch("attnlib.knowledge.__main__.recalled", return_value=[None, True]):
        assert "1 of 1 places; 1 have no such text" in call(*given_)
    assert " of 2 places; 0 have no" in call(*given_)
    assert "own texts" not in call(*evaluate(trained, of="pretrain.params"))
    assert "shown must be" in refused(*given_, "--shown", 0)
    (trained / "dev.tsv").write_text("Where was Ada born?\n", encoding="utf-8")
    assert "dev.tsv, line 1: expected a question, one tab and" in refused(*given_)


def curved(data, *more, to="p"):
    return pretrain(data, "--curve_path", data / f"{to}.json", "--finetune_corpus_path",
                    data / "train.tsv", "--eval_corpus_path", data / "dev.tsv", "--curve_every",
                    2, "--epochs", 3, *more, to=to)  # fmt: skip


def test_a_curve_while_training(data):
    """It changes nothing in the parameters; killed and resumed it is the same, byte for byte."""
    call(*curved(data))
    call(*pretrain(data, "--epochs", 3, to="plain"))
    assert same(load_params(data / "p")[0], load_params(data / "plain")[0])
    record = json.loads((data / "p.json").read_text(encoding="utf-8"))
    assert [row["step"] for row in record["rows"]] == [2, 4, 6]
    assert all(row["own_texts"] == row["asked"] == 2 for row in record["rows"])
    assert record["settings"] == json.loads(load_params(data / "p")[2])
    args = curved(data, "--checkpoint_every", 3, to="q")
    with dying_in_training(5 + 5):  # five of pretraining, and five for the row of step 2
        call(*args, code=1)
    call(*args, "--resume")
    assert (data / "q.json").read_bytes() == (data / "p.json").read_bytes()
    assert (data / "q").read_bytes() == (data / "p").read_bytes()
    assert "holds a study with other settings" in refused(*args, "--seed", 1)


def test_a_curve_replaces_no_file_of_the_run(data):
    before = contents(data)
    with working_fails():
        for name in ("wiki.txt", "train.tsv", "dev.tsv"):
            message = refused(*curved(data, "--curve_path", data / name))
            assert f"{data / name} is read by the same command" in message
            message = refused(*curved(data, to=name))
            assert f"{data / name} is read by the same command" in message
        for name in ("p", "p.checkpoint"):
            message = refused(*curved(data, "--curve_path", data / name))
            assert f"{data / name} is written by the same command" in message
        (data / "bad.tsv").write_text("Where was Ю born?\tRome\n", encoding="utf-8")
        for option in ("--finetune_corpus_path", "--eval_corpus_path"):
            message = refused(*curved(data, option, data / "bad.tsv"))
            assert "bad.tsv, line 1: 'Ю'" in message
    (data / "bad.tsv").unlink()
    assert contents(data) == before


# -- a kill, a full disk, a platform that is not UTF-8 -------------------------------------------


def process(*args, **more):
    # -I would hide attnlib; the environment is otherwise what a user has.
    command = [sys.executable, "-m", "attnlib.knowledge", *map(str, args)]
    root = str(Path(__file__).parents[1])
    env = os.environ | {"PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=env | more)  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
@pytest.mark.slow
def test_a_process_killed_at_a_random_moment_can_be_resumed(data):
    args = pretrain(data, "--checkpoint_every", 1, "--epochs", 12, "--batch_size", 16,
                    "--dropout", 0.1, *WAYS, "--places_path", data / "train.tsv")  # fmt: skip
    checkpoint, moment = data / "p.checkpoint", random.SystemRandom().uniform(0, 0.4)
    returncode = 0
    while returncode == 0:  # on a fast machine it may have ended: kill it sooner
        (data / "p").unlink(missing_ok=True)
        with process(*args, "--writing_params_path", data / "p") as running:
            while not checkpoint.exists() and running.poll() is None:
                time.sleep(0.002)
            time.sleep(moment)
            running.send_signal(signal.SIGKILL)
            running.communicate(timeout=60)
        returncode, moment = running.returncode, moment / 2
    assert returncode == -signal.SIGKILL
    assert not (data / "p").exists()
    step = read_dict(checkpoint, "checkpoint")["step"]
    call(*args, "--writing_params_path", data / "p", "--resume")
    call(*args, "--writing_params_path", data / "whole")
    assert (data / "p").read_bytes() == (data / "whole").read_bytes(), f"killed after step {step}"
    assert not checkpoint.exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a limit on file sizes")
def test_no_space_leaves_nothing_half_written(data):
    import resource

    (data / "p").write_bytes(b"what was there")
    before = names(data)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, limits[1]))
    try:
        message = refused(*pretrain(data, to="p"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "File too large" in message
    assert names(data) == before
    assert (data / "p").read_bytes() == b"what was there"


@pytest.mark.slow
def test_utf_8_whatever_the_platform_says(tmp_path):
    wiki = tmp_path / "wiki.txt"
    wiki.write_text("Zoë ist in Zürich geboren. Where was she born?\n", encoding="utf-8")
    (tmp_path / "train.tsv").write_text("Where was Zoë born?\tZürich\n", encoding="utf-8")
    platform = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
                  "PYTHONIOENCODING": "ascii"}  # fmt: skip
    with process("namedata", wiki, **platform) as running:
        output, errors = running.communicate(timeout=60)
    assert running.returncode == 0, errors
    assert output.decode("utf-8").splitlines() == [
        "x: Where was Zoë born?⁇Zürich", "y: □□□□□□□□□□□□□□□□□□□Zürich⁇"
    ]  # fmt: skip
