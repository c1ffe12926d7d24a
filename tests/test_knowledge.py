"""attnlib/knowledge: the model against slow loops, the corpus against its definition, the files."""

import copy
import json
import math
import re
from collections import Counter
from fractions import Fraction
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from helpers import close, dtypes
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attnlib._files import to_bytes
from attnlib.knowledge import (
    GPT,
    VARIANTS,
    Alphabet,
    Exam,
    Reading,
    Schedule,
    Sizes,
    accuracy,
    alternate,
    answer_batches,
    baseline,
    choose,
    corrupt_name,
    corrupt_place,
    corrupt_span,
    follow,
    generate_corpus,
    greedy_answers,
    guessers,
    hidden_places,
    hints,
    load_params,
    names_seen,
    new_model,
    pair_text,
    read_curve,
    read_pairs,
    read_texts,
    recalled,
    restore_span,
    save_params,
    span_batches,
    stored_and_found,
    train,
)
from attnlib.knowledge.corpus import _order, mixed_seed
from attnlib.knowledge.files import MASK, PAD
from attnlib.knowledge.generate import SENTENCES, TEMPLATES
from attnlib.knowledge.hints import asked_name
from attnlib.knowledge.spans import mentions
from attnlib.positions import rotary
from attnlib.studies.record import RECORDED

variants = pytest.mark.parametrize("attention", VARIANTS)
BATCH, N, BLOCK, LAYERS, HEADS, WIDTH, VOCAB = 2, 5, 9, 3, 3, 12, 13
SIZES = {"vocab_size": VOCAB, "block_size": BLOCK, "n_layer": LAYERS, "n_head": HEADS,
         "n_embd": WIDTH}  # fmt: skip
NO_TEXT = st.characters(codec="utf-8", exclude_characters=[PAD, MASK])
texts = st.text(NO_TEXT, min_size=1, max_size=60)


def make(attention="vanilla", dtype=torch.float64, **sizes):
    """A model all of whose parameters are away from where they start, biases and gains too."""
    model = GPT(**(SIZES | sizes), attention=attention).to(dtype)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return model.eval()


def characters(*shape, vocab=VOCAB):
    return torch.randint(vocab, shape or (BATCH, N))


# -- the model against loops ---------------------------------------------------------------------


def slow_norm(x, gain, shift):
    mean = sum(x) / len(x)
    variance = sum((v - mean) ** 2 for v in x) / len(x)
    return [g * (v - mean) / math.sqrt(variance + 1e-5) + s
            for v, g, s in zip(x, gain, shift, strict=True)]  # fmt: skip


def times(x, W):
    """A row times a matrix."""
    return [sum(a * W[i][j] for i, a in enumerate(x)) for j in range(len(W[0]))]


def plus(x, y):
    return [a + b for a, b in zip(x, y, strict=True)]


def slow_gpt(model, row):
    """The logits of one row of characters, and each layer's weights, from the definition."""
    W = {name: p.detach().tolist() for name, p in model.state_dict().items()}
    d = WIDTH // HEADS
    X = [list(W["characters.weight"][c]) for c in row]
    if model.attention != "rotary":
        X = [plus(x, W["positions"][t]) for t, x in enumerate(X)]
    layers = []
    for k in range(LAYERS):
        w = {name.removeprefix(f"blocks.{k}."): p for name, p in W.items()}
        Z = [slow_norm(x, w["norm_1.weight"], w["norm_1.bias"]) for x in X]
        V = [times(z, w["attend.V" if model.attention == "synthesizer" else "attend.W_V"])
             for z in Z]  # fmt: skip
        mixed, heads = [[0.0] * WIDTH for _ in row], []
        for h in range(HEADS):
            own, A = slice(h * d, h * d + d), []
            for t in range(len(row)):
                if model.attention == "synthesizer":
                    hidden = plus(times(Z[t], w["attend.A"]), w["attend.b_1"])[own]
                    hidden = [max(v, 0.0) for v in hidden]
                    S = plus(times(hidden, w["attend.B"][h]), w["attend.b_2"][h])[: t + 1]
                else:
                    q = times(Z[t], w["attend.W_Q"])[own]
                    keys = [times(Z[s], w["attend.W_K"])[own] for s in range(t + 1)]
                    if model.attention == "rotary":
                        q = turned(q, t)
                        keys = [turned(key, s) for s, key in enumerate(keys)]
                    S = [sum(a * b for a, b in zip(q, key, strict=True)) / math.sqrt(d)
                         for key in keys]  # fmt: skip
                total = sum(math.exp(s) for s in S)
                A.append([math.exp(s) / total for s in S] + [0.0] * (len(row) - t - 1))
                for j in range(h * d, h * d + d):
                    mixed[t][j] = sum(A[t][s] * V[s][j] for s in range(t + 1))
            heads.append(A)
        layers.append(heads)
        X = [plus(x, times(o, w["attend.W_O"])) for x, o in zip(X, mixed, strict=True)]
        if model.attention == "synthesizer":
            X = [plus(x, w["attend.b_O"]) for x in X]
        for t, x in enumerate(X):
            z = slow_norm(x, w["norm_2.weight"], w["norm_2.bias"])
            up = [sum(a * b for a, b in zip(z, r, strict=True)) for r in w["ffn.0.weight"]]
            up = plus(up, w["ffn.0.bias"])
            up = [v * (1 + math.erf(v / math.sqrt(2))) / 2 for v in up]
            down = [sum(a * b for a, b in zip(up, r, strict=True)) for r in w["ffn.2.weight"]]
            X[t] = plus(x, plus(down, w["ffn.2.bias"]))
    X = [slow_norm(x, W["norm.weight"], W["norm.bias"]) for x in X]
    return [[sum(a * b for a, b in zip(x, r, strict=True)) for r in W["head.weight"]]
            for x in X], layers  # fmt: skip


def turned(x, p):
    """Pairs of neighbours as complex numbers, turned by p·10000^(−2i/d)."""
    z = [complex(a, b) * complex(math.cos(f), math.sin(f))
         for i, (a, b) in enumerate(zip(x[::2], x[1::2], strict=True))
         for f in [p * 10000 ** (-2 * i / len(x))]]  # fmt: skip
    return [part for c in z for part in (c.real, c.imag)]


@variants
def test_logits_are_those_of_loops(attention):
    model, idx = make(attention), characters()
    logits, weights = model(idx), model.weights(idx)
    assert logits.shape == (BATCH, N, VOCAB)
    assert [tuple(A.shape) for A in weights] == [(BATCH, HEADS, N, N)] * LAYERS
    for b in range(BATCH):
        expected, layers = slow_gpt(model, idx[b].tolist())
        close(logits[b], torch.tensor(expected, dtype=torch.float64), atol=1e-11, rtol=0)
        for A, heads in zip(weights, layers, strict=True):
            close(A[b], torch.tensor(heads, dtype=torch.float64), atol=1e-12, rtol=0)


@variants
def test_float32_is_float64_rounded(attention):
    model, idx = make(attention), characters()
    expected = model(idx)
    found = model.float()(idx)
    assert found.dtype == torch.float32
    close(found.double(), expected, atol=1e-4, rtol=0)


@variants
def test_every_position_sees_all_earlier_characters_and_no_later_one(attention):
    model, idx = make(attention), characters(1, BLOCK)
    before = model(idx)
    close(model(idx[:, :4]), before[:, :4], atol=1e-12, rtol=0)
    for s in range(BLOCK):
        changed = idx.clone()
        changed[0, s] = (changed[0, s] + 1) % VOCAB
        assert ((model(changed) != before).any(-1)[0] == (torch.arange(BLOCK) >= s)).all()


@variants
def test_every_parameter_gets_a_gradient_from_the_start(attention):
    model = GPT(**SIZES, attention=attention)
    model(torch.arange(BLOCK)[None]).logsumexp(-1).sum().backward()
    for name, p in model.named_parameters():
        assert (p.grad != 0).any(), name


@variants
def test_a_fresh_model_knows_nothing(attention):
    loss = torch.nn.functional.cross_entropy(
        GPT(**SIZES, attention=attention)(characters(40, BLOCK)).flatten(0, 1),
        characters(40, BLOCK).flatten(),
    )
    assert abs(loss.item() - math.log(VOCAB)) < 0.3


@variants
def test_dropout_acts_in_training_only(attention):
    model, idx = GPT(**SIZES, attention=attention, dropout=0.5), characters()
    assert not torch.equal(model(idx), model(idx))
    model.eval()
    assert torch.equal(model(idx), model(idx))
    plain = GPT(**SIZES, attention=attention)
    plain.load_state_dict(model.state_dict())
    assert torch.equal(plain(idx), model(idx))


def test_a_seed_fixes_a_new_model_and_leaves_the_random_stream_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    sizes = Sizes(BLOCK, LAYERS, HEADS, WIDTH)
    first, again, other = (new_model(seed, VOCAB, sizes) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert first.drop.p == 0
    state, same = first.state_dict(), again.state_dict()
    assert all(torch.equal(state[k], same[k]) for k in state)
    assert not torch.equal(state["head.weight"], other.head.weight)


# -- stored parameters and seeds keep their meaning, to the last bit -----------------------------

STORED = RECORDED / "knowledge-study"


def operations(model, idx):
    """The logits by the operations, in the order, with which the stored models were trained."""
    n, x = idx.shape[1], model.characters(idx)
    seen = torch.ones(n, n, dtype=torch.bool).tril()
    x = x if model.attention == "rotary" else x + model.positions[:n]
    for block in model.blocks:
        a, y = block.attend, block.norm_1(x)

        def heads(t):
            return t.unflatten(-1, (model.n_head, -1)).transpose(1, 2)

        if model.attention == "synthesizer":
            S = heads(torch.relu(y @ a.A + a.b_1)) @ a.B[:, :, :n] + a.b_2[:, None, :n]
            A = torch.softmax(S.masked_fill(~seen, -torch.inf), -1)
            x = x + ((A @ heads(y @ a.V)).transpose(1, 2).flatten(-2) @ a.W_O + a.b_O)
        else:
            Q, K, V = heads(y @ a.W_Q), heads(y @ a.W_K), heads(y @ a.W_V)
            if model.attention == "rotary":
                Q, K = (rotary(t, torch.arange(n)) for t in (Q, K))
            O = F.scaled_dot_product_attention(Q, K, V, is_causal=True)  # noqa: E741
            x = x + O.transpose(1, 2).flatten(-2) @ a.W_O
        x = x + block.ffn(block.norm_2(x))
    return model.head(model.norm(x))


@variants
@dtypes
def test_stored_models_give_the_same_logits_bit_for_bit(attention, dtype):
    model, alphabet, _ = load_params(STORED / f"{attention}.params")
    assert model.attention == attention
    model = model.to(dtype).eval()
    text = "Ada Berg was born in Rome. Where was Ada Berg born?⁇"
    known = "".join(c for c in text if c in alphabet.characters)
    idx = torch.tensor([alphabet.encode(known), alphabet.encode(known[::-1])])
    assert idx.shape[1] > 40
    with torch.no_grad():
        assert torch.equal(model(idx), operations(model, idx))


def drawn_by_hand(attention, vocab, block, layers, heads, d):
    """The numbers that a new model takes from the random stream, in their order."""

    def uniform(*shape):
        return torch.empty(shape).uniform_(-(shape[-2] ** -0.5), shape[-2] ** -0.5)

    found = {"characters.weight": torch.nn.Embedding(vocab, d).weight.detach().normal_(std=0.02)}
    if attention != "rotary":
        found["positions"] = 0.02 * torch.randn(block, d)
    for k in range(layers):
        if attention == "synthesizer":
            shapes = {"A": (d, d), "B": (heads, d // heads, block), "V": (d, d), "W_O": (d, d)}
            W = {name: uniform(*shape) for name, shape in shapes.items()}
        else:
            names = ("W_Q", "W_K", "W_V", "W_O")
            W = {name: torch.nn.init.xavier_uniform_(torch.empty(d, d)) for name in names}
        found |= {f"blocks.{k}.attend.{name}": w for name, w in W.items()}
        for i, (rows, columns) in ((0, (d, 4 * d)), (2, (4 * d, d))):
            for name, w in torch.nn.Linear(rows, columns).state_dict().items():
                found[f"blocks.{k}.ffn.{i}.{name}"] = w
    return found | {"head.weight": torch.nn.Linear(d, vocab, bias=False).weight.detach()}


@variants
def test_a_seed_draws_what_it_always_drew(attention):
    torch.manual_seed(3)
    state = GPT(**SIZES, attention=attention).state_dict()
    torch.manual_seed(3)
    drawn = drawn_by_hand(attention, VOCAB, BLOCK, LAYERS, HEADS, WIDTH)
    assert [name for name in drawn if not torch.equal(state.pop(name), drawn[name])] == []
    for name, w in state.items():  # the rest is fixed: gains 1, shifts 0
        norm = name.split(".")[-2].startswith("norm") and name.endswith("weight")
        assert torch.equal(w, torch.ones_like(w) if norm else torch.zeros_like(w)), name


@pytest.mark.usefixtures("no_shape_checks")
class TestBadModels:
    @pytest.mark.parametrize("name", list(SIZES))
    @pytest.mark.parametrize("value", [0, -1, 2.0, True, None, "3"], ids=repr)
    def test_sizes(self, name, value):
        with pytest.raises(ValueError, match=f"^{name} must be an integer"):
            GPT(**(SIZES | {name: value}))

    @pytest.mark.parametrize("value", ["Vanilla", "", None, 0, "rope"], ids=repr)
    def test_attention(self, value):
        with pytest.raises(ValueError, match=r"^attention must be one of vanilla, synth"):
            GPT(**SIZES, attention=value)

    @pytest.mark.parametrize("value", [-0.1, 1, 1.1, math.nan, None, "0"], ids=repr)
    def test_dropout(self, value):
        with pytest.raises(
            ValueError, match=r"^dropout must be a finite number, at least 0 and below 1"
        ):
            GPT(**SIZES, dropout=value)

    def test_the_smallest_model(self):
        assert GPT(1, 1, 1, 1, 1)(torch.tensor([[0]])).shape == (1, 1, 1)

    def test_heads_divide_the_width(self):
        for attention in VARIANTS:
            with pytest.raises(ValueError, match=r"^n_embd must be a multiple of .* 12 and 5"):
                GPT(**(SIZES | {"n_head": 5}), attention=attention)
        with pytest.raises(ValueError, match=r"^n_embd/n_head must be even .* 12 and 4"):
            GPT(**(SIZES | {"n_head": 4}), attention="rotary")
        GPT(**(SIZES | {"n_head": 4}))

    @variants
    @pytest.mark.parametrize("call", ["forward", "weights"])
    def test_idx(self, attention, call):
        f = getattr(make(attention), call)
        f(characters(1, BLOCK))
        with pytest.raises(ValueError, match=r"^idx has n = 10 positions, block_size = 9"):
            f(characters(1, BLOCK + 1))
        for bad in (torch.arange(3), torch.zeros(1, 0, dtype=torch.int64), [[1]], None,
                    characters(2, 3, 4)):  # fmt: skip
            with pytest.raises(ValueError, match=r"^idx must be a tensor \[batch, n\]"):
                f(bad)
        for bad in (torch.ones(1, 2), torch.ones(1, 2, dtype=torch.int32), torch.ones(1, 2) > 0):
            with pytest.raises(ValueError, match=r"^idx must be an int64 tensor"):
                f(bad)
        for value in (-1, VOCAB):
            with pytest.raises(ValueError, match=rf"^idx holds no class from 0 to 12: {value}"):
                f(torch.tensor([[0, value]]))


# -- span corruption -----------------------------------------------------------------------------


@given(texts, st.integers(0, 2**32))
@example("a", 0)
@example("ab", 0)
@example("abc", 0)
def test_a_corrupted_text_can_be_restored(text, seed):
    corrupted = corrupt_span(text, torch.Generator().manual_seed(seed))
    assert len(corrupted) == len(text) + 2
    prefix, suffix, span = corrupted.split(MASK)
    assert prefix + span + suffix == text
    assert restore_span(corrupted) == text
    assert 1 <= len(span) <= max(1, len(text) // 2 - 1)
    assert Counter(corrupted) == Counter(text) + Counter({MASK: 2})


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 9, 24, 25])
def test_share_and_place_of_the_span(n):
    """Every length and start that the definition allows, as often as it says."""
    generator, draws = torch.Generator().manual_seed(0), 4000
    text, found = "".join(chr(97 + i) for i in range(n)), Counter()
    for _ in range(draws):
        prefix, _, span = corrupt_span(text, generator).split(MASK)
        found[len(prefix), len(span)] += 1
    longest = max(1, n // 2 - 1)
    law = {(i, k): 1 / longest / (n - k + 1)
           for k in range(1, longest + 1) for i in range(n - k + 1)}  # fmt: skip
    assert set(found) <= set(law)
    for case, p in law.items():  # 5 standard errors, and 5 more draws for the rare cases
        assert abs(found[case] - draws * p) <= 5 * math.sqrt(draws * p * (1 - p)) + 5, case
    mean = sum(k * count for (_, k), count in found.items()) / draws
    share = n // 2 / 2 if n >= 4 else 1
    assert abs(mean - share) <= 5 * longest / math.sqrt(12 * draws)


def test_the_generator_alone_decides():
    text = "To be, or not to be, that is the question"
    first, again, other = (
        [corrupt_span(text, g) for _ in range(5)]
        for g in (torch.Generator().manual_seed(s) for s in (1, 1, 2))
    )
    assert first == again != other
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    corrupt_span(text, torch.Generator())
    assert torch.equal(torch.rand(2), expected)


def hidden(text, draws=40):
    found = {corrupt_name(text, torch.Generator().manual_seed(seed)) for seed in range(draws)}
    assert all(restore_span(corrupted) == text for corrupted in found)
    return {corrupted.split(MASK)[2] for corrupted in found}


def test_hidden_names():
    text = (
        "Ada Berg. Ada Berg, née Öst, left New York in May for Île d'Or; Berg stayed in New York."
    )
    assert hidden(text) == {"Öst", "New York", "May", "Île", "Or"}
    assert hidden("A B. In New York and York") == {"In New York"}
    assert hidden("of the McRae family in McRae") == {"McRae"}
    # A capital inside a word or behind a digit makes no name. So any span may go.
    assert len(hidden("of iPhones and 3D")) > 9


def test_mentions_are_whole():
    assert mentions("Rome", "Rome, Romeo, McRome, in Rome-Sud of Rome") == [
        (0, 4), (24, 28), (36, 40)]  # fmt: skip
    assert mentions("Ada Berg", "Ada Bergman and Ada Berg.") == [(16, 24)]
    assert mentions("St. Ives (Cornwall)", "in St. Ives (Cornwall), not StX Ives") == [(3, 22)]
    assert mentions("Öst", "Östen Öst") == [(6, 9)]
    assert mentions("Oslo", "Rome") == mentions("", "Rome") == []


def hidden_at(text, places, draws=60):
    found = {corrupt_place(text, torch.Generator().manual_seed(seed), places)
             for seed in range(draws)}  # fmt: skip
    assert all(restore_span(corrupted) == text for corrupted in found)
    return {tuple(corrupted.split(MASK)[::2]) for corrupted in found}


def test_hidden_places_in_a_text():
    places = ["York", "New York", "Rome", "Bonn"]
    text = "Romeo left New York for Rome, York and York again"
    assert hidden_at(text, places) == {
        ("Romeo left ", "New York"), ("Romeo left New York for ", "Rome"),
        ("Romeo left New York for Rome, ", "York")}  # fmt: skip
    assert hidden_at(text, places) == hidden_at(text, places[::-1])
    for seed in range(5):  # none of them: any span
        pair = [torch.Generator().manual_seed(seed) for _ in range(2)]
        assert corrupt_place(text, pair[0], ["Bonn"]) == corrupt_span(text, pair[1])
    with pytest.raises(ValueError, match=r"^text must not be empty nor hold"):
        corrupt_place("a⁇", torch.Generator(), places)


@given(texts, st.integers(0, 2**32))
@example("no name", 0)
@example("Ada", 0)
def test_a_text_with_a_hidden_name_can_be_restored(text, seed):
    corrupted = corrupt_name(text, torch.Generator().manual_seed(seed))
    assert len(corrupted) == len(text) + 2
    assert restore_span(corrupted) == text
    if not any(c.isupper() for c in text[1:]):
        assert corrupted == corrupt_span(text, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("text", ["", "a⁇b", "a□", "⁇"], ids=["empty", "mask", "pad", "one-mask"])
def test_text_that_cannot_be_restored_is_refused(text):
    with pytest.raises(ValueError, match=r"^text must not be empty nor hold"):
        corrupt_span(text, torch.Generator())


@pytest.mark.parametrize("text", ["", "abc", "a⁇b", "a⁇b⁇c⁇d"])
def test_restore_wants_two_marks(text):
    with pytest.raises(ValueError, match=r"^corrupted must hold ⁇ twice"):
        restore_span(text)


# -- alphabet and batches ------------------------------------------------------------------------


@given(texts)
def test_alphabet_round_trip(text):
    alphabet = Alphabet(text)
    assert alphabet.characters == "".join(sorted(set(text)))
    assert len(alphabet) == len(set(text)) + 2
    numbers = alphabet.encode(f"{PAD}{MASK}{text}")
    assert numbers[:2] == [0, 1]
    assert min(numbers[2:]) == 2
    assert max(numbers) == len(alphabet) - 1
    assert alphabet.decode(numbers) == f"{PAD}{MASK}{text}"


@pytest.mark.parametrize("text", ["", "a□", "a⁇"])
def test_reserved_characters_are_in_no_alphabet(text):
    with pytest.raises(ValueError, match=r"^characters must not be empty nor hold"):
        Alphabet(text)


def test_unknown_characters():
    alphabet = Alphabet("abc")
    assert alphabet.unknown("cab⁇□") == ""
    assert alphabet.unknown("zebra") == "erz"
    with pytest.raises(ValueError, match=r"^text holds 'xy'"):
        alphabet.encode("axby")


@given(st.lists(st.text("abcde", min_size=1, max_size=20), min_size=1, max_size=7),
       st.integers(3, 25), st.integers(1, 9), st.integers(0, 99))  # fmt: skip
def test_span_batches(lines, block, size, seed):
    """Targets are the next inputs; all texts occur once an epoch; the longest fills the block."""
    alphabet = Alphabet("abcde")
    batch = span_batches(lines, alphabet, block, size, seed)
    per_epoch = math.ceil(len(lines) / size)
    for epoch in (0, 1):
        found = []
        for step in range(epoch * per_epoch, (epoch + 1) * per_epoch):
            idx, target = batch(step)
            assert idx.shape == target.shape
            assert 1 <= idx.shape[0] <= size
            assert idx.shape[1] <= block
            assert torch.equal(idx[:, 1:], target[:, :-1])
            for x, y in zip(idx.tolist(), target.tolist(), strict=True):
                corrupted = alphabet.decode([*x, y[-1]]).rstrip(PAD)
                found.append(restore_span(corrupted))
        assert sorted(found) == sorted(line[: block - 1] for line in lines)


def test_batches_depend_on_step_and_seed_alone():
    lines, alphabet = [f"{i:02d} and some more text" for i in range(20)], Alphabet(
        "0123456789 adeomnrstx")  # fmt: skip
    one, same, other = (span_batches(lines, alphabet, 40, 4, seed) for seed in (0, 0, 1))
    for step in range(6):
        one(step)
    assert torch.equal(one(7)[0], same(7)[0])
    assert not torch.equal(one(7)[0], other(7)[0])
    orders = []
    for epoch in (0, 1):
        pairs = [zip(*one(5 * epoch + step), strict=True) for step in range(5)]
        rows = [[*x.tolist(), int(y[-1])] for pair in pairs for x, y in pair]
        orders.append([restore_span(alphabet.decode(row).rstrip(PAD)) for row in rows])
    assert sorted(orders[0]) == sorted(orders[1]) == lines
    assert orders[0] != orders[1]
    alone = span_batches(lines[:1], alphabet, 40, 1, 0)  # another span in each epoch
    assert len({alphabet.decode(alone(step)[0][0].tolist()) for step in range(10)}) >= 8


def test_share_of_hidden_names():
    """Of 4000 texts in which a span is rarely the name, about the share has it behind."""
    line = "somebody who was born in Oslo and lived in many other towns of the world"
    alphabet = Alphabet(line)

    def share(names):
        idx, target = span_batches(
            [line] * 4000, alphabet, 96, 4000, 3, Reading(names=names))(0)  # fmt: skip
        rows = [alphabet.decode([*x[:1], *y]) for x, y in zip(
            idx.tolist(), target.tolist(), strict=True)]  # fmt: skip
        return sum(row.endswith(MASK + "Oslo") for row in rows) / 4000

    assert share(0) < 0.01
    assert share(1) == 1
    assert abs(share(0.3) - 0.3) < 0.04  # more than five standard errors
    plain = span_batches([line] * 9, alphabet, 96, 4, 3)
    assert torch.equal(plain(2)[0], span_batches(
        [line] * 9, alphabet, 96, 4, 3, Reading(names=0.0))(2)[0])  # fmt: skip
    for value in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=r"^names must be between 0 and 1"):
            Reading(names=value)


EVERYTHING = Reading(names=0.3, places=0.3, offset=5, cut=(6, 14), bucketed=True)
TOWNS = [f"{a} {b} of {c}{i:02d}" for i, (a, b, c) in enumerate(
    [("Ada", "Rome", "x"), ("Eva", "Oslo", "yz"), ("Ida", "Bonn", "abcdefghij")] * 9)]  # fmt: skip
TOWN_LETTERS = Alphabet("".join(TOWNS))


def read(batch, step):
    """Of each row of a batch, how many □ stand before the text, and the text."""
    idx, target = batch(step)
    assert torch.equal(idx[:, 1:], target[:, :-1])
    rows = [TOWN_LETTERS.decode([*x.tolist(), int(y[-1])]) for x, y in zip(idx, target,
                                                                        strict=True)]  # fmt: skip
    return [(len(row) - len(row.lstrip(PAD)), restore_span(row.strip(PAD))) for row in rows]


def test_texts_begin_late():
    """By every offset equally often, and with room left for it; without one nothing changes."""
    batch = span_batches(TOWNS, TOWN_LETTERS, 16, 9, 0, Reading(offset=3))
    seen, found = Counter(), []
    for step in range(600):
        idx, _ = batch(step)
        assert idx.shape[1] <= 16
        for late, text in read(batch, step):
            seen[late] += 1
            found.append(text)
    assert set(seen) == {0, 1, 2, 3}
    draws = len(found)
    assert all(abs(seen[o] - draws / 4) < 5 * math.sqrt(draws * 3 / 16) for o in seen)
    assert set(found) == {town[:12] for town in TOWNS}
    none = span_batches(TOWNS, TOWN_LETTERS, 16, 9, 0, Reading(offset=0))
    assert torch.equal(none(3)[0], span_batches(TOWNS, TOWN_LETTERS, 16, 9, 0)(3)[0])


def test_texts_are_cut_anew_at_each_visit():
    """To every length of the range equally often; a shorter text stays whole."""
    long, short = "abcdefghijklmnop", "zyx"
    batch = span_batches([long, short], Alphabet(long + short), 40, 1, 0, Reading(cut=(2, 9)))
    seen, alphabet = Counter(), Alphabet(long + short)
    for step in range(4000):
        idx, target = batch(step)
        text = restore_span(alphabet.decode([*idx[0].tolist(), int(target[0, -1])]))
        assert text in (long[: len(text)], short[: len(text)])
        seen[text] += 1
    assert {len(t) for t in seen if t[0] == "a"} == set(range(2, 10))
    assert set(seen) - {long[:n] for n in range(2, 10)} == {"zy", "zyx"}
    for text, share in [(long[:n], 1 / 8) for n in range(2, 10)] + [("zy", 1 / 8), ("zyx", 7 / 8)]:
        assert abs(seen[text] - 2000 * share) < 5 * math.sqrt(2000 * share * (1 - share)), text
    block = span_batches([long], Alphabet(long), 8, 1, 0, Reading(cut=(2, 30)))
    assert max(block(step)[0].shape[1] for step in range(99)) == 8  # the block is the limit


@pytest.mark.parametrize("cut", [(4, 112), (40, 96)], ids=str)
def test_a_cut_keeps_an_answer_as_often_as_it_reaches_it(cut):
    """An answer that ends at e survives with probability P(ℓ ≥ e), over all of a corpus."""
    sentences, train, dev = generate_corpus(60, 5, 0)
    alphabet, born = Alphabet("".join(sentences)), train + dev
    ends, texts = [], []
    for q, place in born:
        for text in sentences:
            if asked_name(q) in text:
                ends.append(text.index(place) + len(place))
                texts.append(text)
    batch = span_batches(texts, alphabet, 128, len(texts), 0, Reading(cut=cut))
    visits, kept = 20, 0
    for step in range(visits):
        order = _order(len(texts), 0, step)
        for i, x, y in zip(order, *(t.tolist() for t in batch(step)), strict=True):
            text = restore_span(alphabet.decode([*x, y[-1]]).rstrip(PAD))
            kept += len(text) >= ends[i]
    least, most = cut
    expected = sum((most + 1 - max(e, least)) / (most + 1 - least) for e in ends) / len(ends)
    assert 0.5 < expected < 1
    assert abs(kept / visits / len(ends) - expected) < 5 * 0.5 / math.sqrt(visits * len(ends))


def test_bucketed_batches_hold_neighbours_in_length():
    """All texts once an epoch, batches of neighbours in length, in an order of their own."""
    batch = span_batches(TOWNS, TOWN_LETTERS, 40, 4, 0, Reading(bucketed=True))
    plain = span_batches(TOWNS, TOWN_LETTERS, 40, 4, 0)
    steps, firsts, sizes = range(7), [], []
    for epoch in range(6):
        batches = [[text for _, text in read(batch, 7 * epoch + step)] for step in steps]
        assert sorted(text for texts in batches for text in texts) == sorted(TOWNS)
        lengths = sorted(sorted(len(text) for text in texts) for texts in batches)
        assert all(a[-1] <= b[0] for a, b in pairwise(lengths))
        firsts.append(tuple(len(texts[0]) for texts in batches))
        assert {len(texts) for texts in batches} == {4, 3}
        sizes.append([sum(b(7 * epoch + step)[0].numel() for step in steps)
                      for b in (batch, plain)])  # fmt: skip
    assert len(set(firsts)) > 3
    assert all(packed < loose for packed, loose in sizes)


def test_share_of_hidden_places():
    line = "somebody who was born in Oslo and lived in Rome or in many towns of the Worlds"
    alphabet = Alphabet(line)
    reading = Reading(names=0.3, places=0.5)
    idx, target = span_batches([line] * 4000, alphabet, 96, 4000, 3, reading, ["Rome", "Bonn"])(0)
    ends = [alphabet.decode([*x[:1], *y]).split(MASK)[-1] for x, y in zip(
        idx.tolist(), target.tolist(), strict=True)]  # fmt: skip
    counts = Counter(ends)
    for word, share in (("Rome", 0.5 + 0.1), ("Oslo", 0.1), ("Worlds", 0.1)):
        assert abs(counts[word] / 4000 - share) < 0.04  # five standard errors, and chance spans
    with pytest.raises(ValueError, match=r"^places must not be empty"):
        span_batches([line], alphabet, 96, 4, 3, Reading(places=0.1))


def test_any_way_of_reading_depends_on_step_and_seed_alone():
    def made(seed):
        return span_batches(TOWNS, TOWN_LETTERS, 24, 4, seed, EVERYTHING, ["Rome", "Oslo"])

    one, same, other = made(0), made(0), made(1)
    for step in range(15):
        one(step)
    for step in (9, 0, 22, 9):
        assert torch.equal(one(step)[0], same(step)[0])
    assert any(one(step)[0].tolist() != other(step)[0].tolist() for step in range(3))
    for epoch in range(3):
        texts = [text for step in range(7) for _, text in read(one, 7 * epoch + step)]
        assert len(texts) == len(TOWNS)
        assert all(any(town.startswith(text) for town in TOWNS) for text in texts)
        assert all(6 <= len(text) <= 14 for text in texts)


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(
    ("given_", "message"),
    [({"names": 2}, "names must be"), ({"places": -1}, "places must be"),
     ({"names": 0.6, "places": 0.5}, "names and places must be at most 1 together"),
     ({"offset": -1}, "offset must be"), ({"offset": 1.5}, "offset must be"),
     ({"cut": (0, 3)}, "cut's least must be"), ({"cut": (4, 3)}, "cut's most must be")],
    ids=str,
)  # fmt: skip
def test_ways_of_reading_out_of_range(given_, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        Reading(**given_)


def test_room_for_a_text():
    assert Reading().room(10) == 9
    assert Reading(offset=8).room(10) == 1
    assert Reading(offset=2, cut=(1, 4)).room(10) == 4
    assert Reading(offset=2, cut=(1, 40)).room(10) == 7
    with pytest.raises(ValueError, match=r"^offset must be below block_size - 1 = 9, got 9"):
        Reading(offset=9).room(10)


@pytest.mark.usefixtures("no_shape_checks")
def test_alternate():
    def numbered(name):
        return lambda step: (torch.tensor([name]), torch.tensor([step]))

    mixed = alternate(numbered(5), numbered(7), 3)
    assert [[t.item() for t in mixed(step)] for step in range(7)] == [
        [5, 0], [5, 1], [7, 0], [5, 2], [5, 3], [7, 1], [5, 4]]  # fmt: skip
    for value in (1, 0, 2.0, True, None):
        with pytest.raises(ValueError, match=r"^every must be an integer"):
            alternate(numbered(5), numbered(7), value)


def test_only_the_answer_is_a_target():
    pairs = [("Who?", "me"), ("Where is it?", "here"), ("?", "x")]
    alphabet = Alphabet("".join(a + b for a, b in pairs))
    idx, target = answer_batches(pairs, alphabet, 40, 3, 0)(0)
    seen = set()
    for x, y in zip(idx.tolist(), target.tolist(), strict=True):
        inputs, targets = alphabet.decode(x), alphabet.decode(y)
        q, a = inputs.rstrip(PAD).split(MASK)[:2]
        assert (q, a) in pairs
        whole = f"{pair_text(q, a)}{PAD * 40}"
        assert inputs == whole[: len(x)]
        assert targets == f"{PAD * len(q)}{a}{MASK}{PAD * 40}"[: len(x)]
        seen.add(q)
    assert len(seen) == 3


def test_a_pair_that_does_not_fit_is_named():
    pairs, alphabet = [("a?", "b"), ("ab?", "aba")], Alphabet("ab?")
    answer_batches(pairs, alphabet, 7, 2, 0)
    with pytest.raises(ValueError, match=r"^line 2: needs a block of 7, block_size is 6: 'ab"):
        answer_batches(pairs, alphabet, 6, 2, 0)
    with pytest.raises(ValueError, match=r"^batch_size must be an integer"):
        answer_batches(pairs, alphabet, 6, 0, 0)
    with pytest.raises(ValueError, match=r"^block_size must be an integer, at least 3"):
        span_batches(["abc"], alphabet, 2, 1, 0)


def test_mixed_seeds_differ():
    seeds = {mixed_seed(a, b, c) for a in range(8) for b in range(8) for c in range(4)}
    assert len(seeds) == 256
    assert all(0 <= seed < 2**63 for seed in seeds)


# -- the generator -------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.integers(4, 60), st.integers(2, 30), st.integers(0, 10**6))
@example(4, 2, 0)
@example(4, 240, 1)
def test_generated_corpus(people, places, seed):
    sentences, train, dev = generate_corpus(people, places, seed)
    assert (len(train), len(dev)) == (people - people // 4, people // 4)
    born = dict(train + dev)
    assert len(born) == people  # names differ, and nobody is in both
    assert len(set(born.values())) <= places
    assert len(sentences) == people * SENTENCES
    for q, place in born.items():
        name = q.removeprefix("Where was ").removesuffix(" born?")
        own = [s for s in sentences if name in s]
        assert len(set(own)) == SENTENCES, "a name inside another, or a sentence twice"
        assert all(place in s for s in own)
        assert all(s.count(name) >= 1 for s in own)
    assert set("".join(born) + "".join(born.values())) <= set("".join(sentences))
    assert not any("Where was" in s for s in sentences)
    assert max(map(len, sentences)) < 120  # fits into the default block
    assert (sentences, train, dev) == generate_corpus(people, places, seed)


def test_another_seed_is_another_corpus():
    one, other = generate_corpus(20, 5, 0), generate_corpus(20, 5, 1)
    assert not {q for q, _ in one[1]} & {q for q, _ in other[1]}
    assert one[0] != other[0]
    assert len({place for _, place in one[1] + other[1]}) > 5  # other places too


def test_all_people_the_names_allow():
    with pytest.raises(ValueError, match=r"^people must be an integer, at most 32400"):
        generate_corpus(32401, 5, 0)
    with pytest.raises(ValueError, match=r"^places must be an integer, at most 240"):
        generate_corpus(20, 241, 0)


@pytest.mark.parametrize(("name", "least"), [("people", 4), ("places", 2), ("seed", 0)])
def test_generator_arguments(name, least):
    for value in (least - 1, -1):
        with pytest.raises(ValueError, match=f"^{name} must be an integer, at least {least}"):
            generate_corpus(**({"people": 8, "places": 3, "seed": 0} | {name: value}))


def test_places_follow_zipf_and_names_are_no_hint():
    people, places = 6000, 6
    _, train, dev = generate_corpus(people, places, 3)
    counts = Counter(place for _, place in train + dev)
    total = sum(1 / r for r in range(1, places + 1))
    for r, (_, count) in enumerate(counts.most_common(), 1):
        p = 1 / r / total
        assert abs(count - people * p) < 5 * math.sqrt(people * p * (1 - p))
    # The most frequent place among those of a name part, learnt on train: no better than always
    # the most frequent one, within 5 standard errors.
    most = baseline(train, dev)
    for part in (2, 3):
        table = {}
        for q, place in train:
            table.setdefault(q.split()[part], Counter())[place] += 1
        right = sum(table[q.split()[part]].most_common(1)[0][0] == place
                    for q, place in dev if q.split()[part] in table)  # fmt: skip
        assert right / len(dev) < most + 5 * math.sqrt(0.25 / len(dev))
    assert abs(most - 1 / total) < 5 * math.sqrt(0.25 / len(dev))


def test_templates_differ_and_name_both():
    assert len(set(TEMPLATES)) == len(TEMPLATES) > SENTENCES
    for template in TEMPLATES:
        assert "{name}" in template
        assert "{place}" in template
    sentences, _, _ = generate_corpus(200, 5, 0)
    bare = Counter(re.sub(r"\b[A-Z]\w+", "X", s.replace(" X", "")) for s in sentences)
    assert len(bare) >= len(TEMPLATES)


def test_baseline():
    pairs = [("a", "Rome"), ("b", "Oslo"), ("c", "Oslo")]
    assert baseline(pairs, [("d", "Oslo"), ("e", "Rome"), ("f", "Bern"), ("g", "Bern")]) == 0.25
    for args in (([], pairs), (pairs, [])):
        with pytest.raises(ValueError, match=r"^train and examined must not be empty"):
            baseline(*args)


# -- guesses from the name -----------------------------------------------------------------------


def born(**places):
    """Pairs from Name_Surname=place."""
    return [(f"Where was {name.replace('_', ' ')} born?", p) for name, p in places.items()]


TRAIN = born(Ada_Berg="Oslo", Ida_Berg="Oslo", Ida_Man="Rome", Eva_Man="Rome", Eva_von_Ott="Bonn",
             Ada_Man="Oslo")  # fmt: skip


def test_guesses_by_lookup():
    guess = guessers(TRAIN)
    assert guess["most frequent"]("Eva Man") == "Oslo"
    assert guess["surname"]("Uwe Man") == "Rome"  # two of three
    assert guess["surname"]("Ida von Ott") == "Bonn"
    assert guess["surname"]("Ida von Neu") == "Oslo"
    assert guess["first name"]("Ada Ott") == "Oslo"
    assert guess["first name"]("Eva Berg") == "Rome"  # the one met first of two as frequent
    assert guess["first name"]("Uwe Man") == "Oslo"


@given(st.lists(st.tuples(st.text("abc", min_size=1, max_size=4), st.sampled_from("PQR")),
                min_size=1, max_size=8), st.text("abcd", min_size=1, max_size=4))  # fmt: skip
def test_guesses_by_characters(rows, name):
    """Against Bayes' rule with the probabilities written out, as fractions."""
    pairs = [(f"Where was {n} born?", place) for n, place in rows]

    def runs(n):
        return ["".join(run) for run in zip(f"^{n}$", f"^{n}$"[1:], f"^{n}$"[2:], strict=False)]

    known = {run for n, _ in rows for run in runs(n)}
    scores = {}
    for place in {p for _, p in rows}:
        here = [run for n, p in rows if p == place for run in runs(n)]
        scores[place] = Fraction(sum(p == place for _, p in rows))
        for run in runs(name):
            scores[place] *= Fraction(here.count(run) + 1, len(here) + len(known))
    # Products that are equal as fractions may differ in the last place as sums of logarithms.
    assert scores[guessers(pairs)["characters"](name)] == max(scores.values())


def test_hints_and_names_seen():
    examined = born(Uwe_Berg="Oslo", Eva_Neu="Rome", Ada_Berg="Rome")
    found = hints(TRAIN, examined)
    assert found["most frequent"] == 1 / 3
    assert found["surname"] == 1 / 3
    assert found["first name"] == 2 / 3
    assert set(found) == set(guessers(TRAIN))
    texts = ["Uwe Berg of Rome", "Ada Berg left Rome", "Eva N. of Rome", "Eva Neumann"]
    assert names_seen(texts, TRAIN, examined) == {
        "in train": 1, "in a text": 2, "with the answer": 1}  # fmt: skip
    texts = ["Ada Berg met Romeo", "Ada Berg left Rome-Sud"]
    assert names_seen(texts[:1], TRAIN, examined)["with the answer"] == 0
    assert names_seen(texts, TRAIN, examined)["with the answer"] == 1


@pytest.mark.parametrize("text", ["", "Where was  born?", "Where was Ada?", "Ada born?"])
def test_questions_of_another_form_are_refused(text):
    with pytest.raises(ValueError, match=r"^question must read"):
        asked_name(text)
    for call in (lambda: hints([(text, "Rome")], TRAIN), lambda: hints(TRAIN, [(text, "Rome")])):
        with pytest.raises(ValueError, match=r"^question must read"):
            call()


def test_no_pairs_no_guesses():
    with pytest.raises(ValueError, match=r"^train must not be empty"):
        guessers([])


# -- answers -------------------------------------------------------------------------------------


@variants
@pytest.mark.slow
def test_greedy_answers_are_those_of_one_at_a_time(attention):
    """Against a loop over single rows and characters, without padding."""
    alphabet, full = Alphabet("abc?"), []
    asked = ["".join("abc"[i] for i in characters(n, vocab=3)) + "?" for n in range(1, 15, 2)]
    for _ in range(4):
        model, expected = make(attention, vocab_size=len(alphabet), block_size=16), []
        for q in asked:
            row, p = alphabet.encode(q + MASK), 1.0
            while row.count(1) < 2 and len(row) < 17:
                law = model(torch.tensor([row]))[0, -1, 1:].softmax(-1)
                p *= law.max().item()
                row.append(int(law.argmax()) + 1)
            expected.append((alphabet.decode(row)[len(q) + 1 :].removesuffix(MASK), p))
            full.append(row.count(1) < 2)
        for size in (3, 64):
            found = greedy_answers(model, alphabet, asked, batch_size=size)
            assert [a for a, _ in found] == [a for a, _ in expected]
            close(torch.tensor([p for _, p in found]), torch.tensor([p for _, p in expected]))
    assert 0 < sum(full) < len(full)  # some answers end with the block, some before
    model.train()
    greedy_answers(model, alphabet, asked[:1])
    assert model.training


@variants
def test_choices_are_those_of_one_at_a_time(attention):
    """Against the probabilities of the characters, one forward pass for each of them."""
    alphabet = Alphabet("abcdefghijk")
    model = make(attention)
    prompts, choices = ["a", "ba", "cab"], ["a", "hij", "fe", "k", "hi"]

    def log_p(prompt, choice):
        total = 0.0
        for n in range(len(choice)):
            idx = torch.tensor([alphabet.encode(prompt + choice[:n])])
            total += model(idx)[0, -1].log_softmax(-1)[alphabet.encode(choice[n])].item()
        return total

    expected = [max(choices, key=lambda choice: log_p(p, choice)) for p in prompts]
    assert choose(model, alphabet, prompts, choices) == expected
    assert choose(model, alphabet, [], choices) == []
    # A tie: the first.
    flat = lambda idx: torch.zeros(*idx.shape, len(alphabet))  # noqa: E731
    assert choose(flat, alphabet, ["a"], ["hi", "ab", "jk"]) == ["hi"]


@pytest.mark.parametrize(
    ("prompts", "choices"), [(["a"], []), (["a"], ["b", ""]), (["a", ""], ["b"])],
    ids=["nothing-to-choose", "empty-choice", "empty-prompt"],
)  # fmt: skip
def test_choices_that_cannot_be_scored(prompts, choices):
    with pytest.raises(ValueError, match=r"^prompts and choices must hold no empty text"):
        choose(make(), Alphabet("abcdefghijk"), prompts, choices)


@pytest.mark.parametrize("ask", [
    lambda model, alphabet, text: choose(model, alphabet, [text] * 20, ["a", "b", "c"]),
    lambda model, alphabet, text: greedy_answers(model, alphabet, [text] * 20),
], ids=["choose", "greedy_answers"])  # fmt: skip
def test_dropout_is_off_for_questions_and_on_again(ask):
    alphabet = Alphabet("abc?")
    model = make(vocab_size=len(alphabet), dropout=0.9)
    expected = ask(model, alphabet, "ab")
    assert len(set(expected)) == 1
    model.train()
    assert ask(model, alphabet, "ab") == expected
    assert model.training
    with pytest.raises(ValueError, match=r"^text holds 'd'"):
        ask(model, alphabet, "d")
    assert model.training


def test_questions_must_leave_room():
    alphabet = Alphabet("ab?")
    model = make(vocab_size=len(alphabet), block_size=4)
    assert len(greedy_answers(model, alphabet, ["ab?"])) == 1
    with pytest.raises(ValueError, match=r"^line 2: needs a block of 5, block_size is 4"):
        greedy_answers(model, alphabet, ["a?", "aab?"], batch_size=1)


def test_accuracy():
    assert accuracy(["a", "b", "", "d"], ["a", "B", "c", "d"]) == 0.5
    for args in ([], []), (["a"], []), (["a"], ["a", "b"]):
        with pytest.raises(ValueError, match=r"^answers and right must be of one length"):
            accuracy(*args)


# -- stored and found ----------------------------------------------------------------------------


def test_places_hidden_in_a_persons_own_text():
    pairs = born(Ada_Berg="Rome", Eva_Neu="Oslo", Jack_London="London", Ida_Ott="Bonn",
                 Uwe_Man="Rome")  # fmt: skip
    texts = ["Ada Bergman of Rome.", "Ada Berg met Romeo.", "Rome: Ada Berg left it, Rome, early.",
             "Eva Neu, born in Oslo.", "Jack London. Jack London of London", "Ida Ott",
             "Uwe Man lived a long and quiet life in Rome"]  # fmt: skip
    found = hidden_places(texts, pairs, 35)
    assert found == ["⁇: Ada Berg left it, ", "Eva Neu, born in ⁇.",
                     "Jack London. Jack London of ⁇", None, None]  # fmt: skip
    assert hidden_places(texts, pairs, 60)[4] == "Uwe Man lived a long and quiet life in ⁇"
    assert hidden_places(texts, pairs, 20)[1] is None  # the place would be seen in part
    with pytest.raises(ValueError, match=r"^question must read"):
        hidden_places(texts, [("Who?", "Rome")], 9)
    with pytest.raises(ValueError, match=r"^shown must be an integer, at least 1"):
        hidden_places(texts, pairs, 0)


PEOPLE = born(Ada_Berg="Rome", Ida_Ott="Bonn", Eva_Neu="Oslo", Uwe_Man="York")
THEIR_TEXTS = [f"{asked_name(q)} came to {p} and left." for q, p in PEOPLE[:3]]
THEIR_LETTERS = Alphabet("".join(q + p for q, p in PEOPLE) + "".join(THEIR_TEXTS))


def answers_of(monkeypatch, told):
    """Models that say what a dictionary tells; what they were asked."""
    asked = []

    def answer(model, alphabet, questions):
        asked.append(questions)
        return [(told.get(question, "?"), 1.0) for question in questions]

    monkeypatch.setattr("attnlib.knowledge.recall.greedy_answers", answer)
    return asked


def test_recalled(monkeypatch):
    """A place counts as soon as it is written; people without a text are neither."""
    model = make(vocab_size=len(THEIR_LETTERS), block_size=60)
    prompts = [f"{name} came to ⁇ and left." for name in ("Ada Berg", "Ida Ott", "Eva Neu")]
    asked = answers_of(monkeypatch, {prompts[0]: "Rome and", prompts[1]: "Bon", prompts[2]: "Oslo"})
    assert recalled(model, THEIR_LETTERS, THEIR_TEXTS, PEOPLE) == [True, False, True, None]
    assert asked == [prompts]
    recalled(model, THEIR_LETTERS, THEIR_TEXTS, PEOPLE, shown=21)
    assert asked[1] == [prompt[:18] for prompt in prompts]  # 21 letters, of which 4 are hidden
    recalled(make(vocab_size=len(THEIR_LETTERS), block_size=22), THEIR_LETTERS, THEIR_TEXTS, PEOPLE)
    assert asked[2] == asked[1]  # what fits the block


def exam(**changes):
    made = {"texts": THEIR_TEXTS, "alphabet": THEIR_LETTERS, "trained": PEOPLE[:2],
            "examined": PEOPLE[1:], "schedule": Schedule(3, 0.01)}  # fmt: skip
    return Exam(**(made | changes))


def test_stored_and_found_are_two_numbers(monkeypatch):
    model = make(dtype=torch.float32, vocab_size=len(THEIR_LETTERS), block_size=60)
    told = {"Ida Ott came to ⁇ and left.": "Bonn", "Eva Neu came to ⁇ and left.": "Rome",
            "Where was Ida Ott born?": "Bonn", "Where was Eva Neu born?": "Oslo"}  # fmt: skip
    answers_of(monkeypatch, told)
    assert stored_and_found(model, exam()) == {
        "own_texts": 2, "stored": 1, "asked": 3, "found": 2, "found_if_stored": 1}  # fmt: skip


def test_a_copy_is_fine_tuned_before_it_is_asked(monkeypatch):
    """As training by hand does it; the model and the random stream stay as they were."""
    model = make(dtype=torch.float32, vocab_size=len(THEIR_LETTERS), block_size=60)
    before = {name: w.clone() for name, w in model.state_dict().items()}
    by_hand = copy.deepcopy(model)
    train(by_hand, answer_batches(PEOPLE[:2], THEIR_LETTERS, 60, 16, 4), Schedule(3, 0.01), seed=4)
    seen = []

    def answer(asked, alphabet, questions):
        seen.append({name: w.clone() for name, w in asked.state_dict().items()})
        return [("?", 1.0)] * len(questions)

    monkeypatch.setattr("attnlib.knowledge.recall.greedy_answers", answer)
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    stored_and_found(model, exam(seed=4))
    assert torch.equal(torch.rand(2), expected)
    asked_of, tuned = seen
    for name, w in model.state_dict().items():
        assert torch.equal(w, before[name])
        assert torch.equal(asked_of[name], before[name])
        assert torch.equal(tuned[name], by_hand.state_dict()[name])


@pytest.mark.slow
def test_what_was_read_often_is_stored():
    """Three texts, read until they are known, then restored; before, none of them is."""
    sizes = Sizes(40, 2, 2, 32)
    model = new_model(0, len(THEIR_LETTERS), sizes)
    assert recalled(model, THEIR_LETTERS, THEIR_TEXTS, PEOPLE) == [False, False, False, None]
    batches = span_batches(THEIR_TEXTS, THEIR_LETTERS, 40, 3, 0, Reading(names=0.5))
    train(model, batches, Schedule(400, 3e-3, warmup=20))
    assert recalled(model, THEIR_LETTERS, THEIR_TEXTS, PEOPLE) == [True, True, True, None]


def test_a_curve_is_recorded_once(tmp_path):
    """Every so many steps and at the end; a resumed run measures what is missing."""
    model, path, measured = make(), tmp_path / "curve.json", []

    def measure(given_model):
        measured.append(1)
        assert given_model is model
        n = len(measured)
        return {"own_texts": 4, "stored": n, "asked": 5, "found": n - 1, "found_if_stored": 0}

    after = follow(path, {"seed": 1}, model, measure, every=3, steps=8)
    assert not path.exists()
    for step in range(1, 7):
        after(step)
    assert read_curve(path) == [(3, 1 / 4, 0), (6, 2 / 4, 1 / 5)]
    assert model.training
    resumed = follow(path, {"seed": 1}, model, measure, every=3, steps=8)
    for step in range(5, 9):
        resumed(step)
    assert len(measured) == 3
    assert [step for step, _, _ in read_curve(path)] == [3, 6, 8]
    with pytest.raises(ValueError, match="holds a study with other settings"):
        follow(path, {"seed": 2}, model, measure, every=3, steps=8)
    with pytest.raises(ValueError, match=r"^every must be an integer"):
        follow(path, {"seed": 1}, model, measure, every=0, steps=8)


def test_a_curve_of_nobody_with_a_text(tmp_path):
    row = {"step": 1, "own_texts": 0, "stored": 0, "asked": 2, "found": 1, "found_if_stored": 0}
    (tmp_path / "c").write_text(json.dumps({"settings": {}, "versions": {}, "rows": [row]}))
    ((step, stored, found),) = read_curve(tmp_path / "c")
    assert (step, found) == (1, 0.5)
    assert math.isnan(stored)
    with pytest.raises(ValueError, match="no recorded study of this kind"):
        read_curve(RECORDED / "pruning-study.json")


# -- files ---------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters=[PAD, MASK, "\n", "\r"]),
                        min_size=1).filter(str.strip), min_size=1))  # fmt: skip
@example(["\u2028 and \x85 are no ends of lines"])
def test_texts_round_trip(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("texts") / "wiki.txt"
    for before, end, last in (("", "\n", "\n"), ("", "\n", ""), ("\ufeff", "\r\n", "\r\n")):
        if not (before == "" and lines[0].startswith("\ufeff")):
            path.write_bytes((before + end.join(lines) + last).encode())
            assert read_texts(path) == lines


def test_pairs_round_trip(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text("Where was Zoë born?\tZürich\nWo?\t北京\n", encoding="utf-8")
    assert read_pairs(path) == [("Where was Zoë born?", "Zürich"), ("Wo?", "北京")]
    assert read_pairs(path, answers=False) == read_pairs(path)
    path.write_text("Where was Zoë born?\nWo?\n", encoding="utf-8")
    assert read_pairs(path, answers=False) == [("Where was Zoë born?", ""), ("Wo?", "")]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "wiki.txt: the file is empty"), (b"a\n\nb\n", "wiki.txt, line 2: the line is empty"),
     (b"a\n \t\n", "wiki.txt, line 2: the line is empty"),
     (b"\n", "wiki.txt, line 1: the line is empty"),
     (b"a\nb\n\xff\n", "wiki.txt, line 3: not UTF-8"),
     ("a\nb\nc\nd□\n".encode(), "wiki.txt, line 4: □ is reserved"),
     ("⁇".encode(), "wiki.txt, line 1: ⁇ is reserved")],
    ids=["empty", "empty-line", "blank-line", "newline-only", "latin-1", "pad", "mask"],
)  # fmt: skip
def test_malformed_texts(tmp_path, content, message):
    path = tmp_path / "wiki.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(message)):
        read_texts(path)


@pytest.mark.parametrize(
    ("content", "line"),
    [("a?\tb\nc?\n", 2), ("a?\tb\nc?\td\ne?\tf\tg\n", 3), ("\tb\n", 1), ("a?\tb\nc?\t \n", 2),
     ("a?\nb?\tc\n", 1)],
    ids=["no-tab", "two-tabs", "no-question", "no-answer", "some-without"],
)  # fmt: skip
def test_malformed_pairs(tmp_path, content, line):
    path = tmp_path / "train.tsv"
    path.write_bytes(content.encode())
    for answers in (True, False):
        with pytest.raises(ValueError, match=rf"train\.tsv, line {line}: expected a question"):
            read_pairs(path, answers=answers)


def test_questions_alone_are_no_training_pairs(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_bytes(b"a?\nb?\n")
    with pytest.raises(ValueError, match=r"line 1: expected a question.*got 0 tabs"):
        read_pairs(path)


def test_missing_files_are_the_systems_error(tmp_path):
    for read in (read_texts, read_pairs, load_params):
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "nothing")


# -- parameters ----------------------------------------------------------------------------------


@variants
@pytest.mark.parametrize("half", [False, True], ids=["f32", "f16"])
def test_parameters_survive_a_file(tmp_path, attention, half):
    alphabet = Alphabet("abcdefgh öß")
    model = make(attention, torch.float32, vocab_size=len(alphabet))
    path = tmp_path / "some.params"
    save_params(path, model, alphabet, "made so", half=half)
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    loaded, letters, made = load_params(path, dropout=0.25)
    assert torch.equal(torch.rand(2), expected)  # reading draws nothing
    assert (letters.characters, made, loaded.attention) == (alphabet.characters, "made so",
                                                            attention)  # fmt: skip
    assert (loaded.block_size, loaded.n_layer, loaded.n_head, loaded.n_embd) == (9, 3, 3, 12)
    assert loaded.drop.p == 0.25
    state = model.state_dict()
    assert list(loaded.state_dict()) == list(state)
    for name, p in loaded.named_parameters():
        assert p.dtype == torch.float32
        assert p.requires_grad
        assert torch.equal(p, state[name].half().float() if half else state[name])
        # Half the spacing of float16, which below 2^-14 is absolute.
        assert ((p - state[name]).abs() <= 2**-11 * state[name].abs() + 2**-25).all()
    idx = characters(2, 9)
    assert torch.equal(loaded.eval()(idx), model(idx)) is not half
    again = tmp_path / "again.params"
    save_params(again, loaded, letters, made, half=half)
    assert again.read_bytes() == path.read_bytes()


def test_float64_parameters_stay(tmp_path):
    alphabet = Alphabet("ab")
    model = make(vocab_size=4)
    save_params(tmp_path / "p", model, alphabet)
    idx = characters(1, 3, vocab=4)
    assert torch.equal(load_params(tmp_path / "p")[0].eval()(idx), model(idx))


def good_file():
    model, alphabet = make(dtype=torch.float32, vocab_size=5), Alphabet("abc")
    return {"format": "attnlib.knowledge parameters 1", "attention": "vanilla", "settings": "",
            "alphabet": alphabet.characters, "block_size": 9, "n_layer": 3, "n_head": 3,
            "n_embd": 12, "weights": dict(model.state_dict())}  # fmt: skip


def without(name):
    return {k: v for k, v in good_file().items() if k != name}


def weights(**changes):
    file = good_file()
    return file | {"weights": file["weights"] | changes}


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "the file is empty"), (b"Where was", "no parameters file"),
     (to_bytes(good_file())[:-500], "no parameters file"),
     (to_bytes(good_file())[:2000], "no parameters file"),
     ([1, 2], "it holds a list"), (torch.ones(2), "it holds a Tensor"), ({}, "format None"),
     (good_file() | {"format": "attnlib.knowledge checkpoint 1"}, "format 'attnlib.knowledge che"),
     (without("alphabet"), "no 'alphabet' in it"), (without("weights"), "no 'weights' in it"),
     (without("n_head"), "no 'n_head' in it"), (without("attention"), "no 'attention' in it"),
     (good_file() | {"attention": "rope"}, "attention must be one of"),
     (good_file() | {"attention": "rotary"}, "Unexpected key"),
     (good_file() | {"attention": "synthesizer"}, "Missing key"),
     (good_file() | {"n_layer": 2}, "Unexpected key"), (good_file() | {"n_layer": 4}, "Missing"),
     (good_file() | {"block_size": 8}, "size mismatch for positions"),
     (good_file() | {"n_embd": 24}, "size mismatch"), (good_file() | {"n_embd": "12"}, "n_embd"),
     (good_file() | {"alphabet": "abcd"}, "size mismatch for characters"),
     (good_file() | {"alphabet": "cba"}, "alphabet is not sorted"),
     (good_file() | {"alphabet": "ab□"}, "characters must not be empty nor hold"),
     (good_file() | {"alphabet": 3}, "do not fit together"),
     (good_file() | {"weights": [1]}, "do not fit together"),
     (weights(positions=torch.full((9, 12), math.nan)), "positions is not finite"),
     (weights(positions="x"), "do not fit together"),
     (weights(extra=torch.ones(1)), "Unexpected key")],
    ids=["empty", "text", "cut", "cut-short", "list", "tensor", "no-format", "checkpoint",
         "no-alphabet", "no-weights", "no-size", "no-variant", "unknown-variant", "other-variant",
         "synthesizer", "fewer-layers", "more-layers", "other-block", "other-width", "text-width",
         "longer-alphabet", "unsorted", "reserved", "number-alphabet", "list-weights", "nan",
         "text-weight", "extra-weight"],
)  # fmt: skip
def test_bad_parameter_files(tmp_path, content, message):
    path = tmp_path / "bad.params"
    path.write_bytes(content if isinstance(content, bytes) else to_bytes(content))
    with pytest.raises(ValueError, match=rf"(?s)bad\.params.*{re.escape(message)}"):
        load_params(path)


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("code of a parameters file was run",))


def test_code_in_a_parameters_file_is_not_run(tmp_path):
    path = tmp_path / "evil.params"
    path.write_bytes(to_bytes(good_file() | {"settings": Trap()}))
    with pytest.raises(ValueError, match=r"evil\.params: no parameters file"):
        load_params(path)


def test_models_that_cannot_be_stored(tmp_path):
    model, path = make(dtype=torch.float32, vocab_size=5), tmp_path / "p"
    with pytest.raises(ValueError, match=r"^alphabet has 4 symbols, model has 5"):
        save_params(path, model, Alphabet("ab"))
    with torch.no_grad():
        model.norm.bias[3] = 7e4
    with pytest.raises(ValueError, match=r"^model has a weight in norm\.bias that is not finite"):
        save_params(path, model, Alphabet("abc"), half=True)
    assert not path.exists()
    save_params(path, model, Alphabet("abc"))
