"""The contract of every public function of tensors, said once: each has a row in ROWS.

A row names what the entries of each tensor are, and good and bad values of the other arguments.
The axes are read from the annotations. What does not apply to a function is named with a reason.
"""

import importlib
import inspect
import math
import pkgutil
import random
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from helpers import close, forward_mode
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_leaves

import attnlib
from attnlib.bilinear import (
    bilinear_gradient,
    low_rank_factors,
    projection_gradients,
    unidentifiable,
)
from attnlib.entropy import entropy, entropy_from_logits, rectified
from attnlib.knowledge.gpt import turned_heads
from attnlib.lookup import averaging_query, sample_keys, subspace_projector
from attnlib.ordering import line_integral, majorizes, safe_eps, segment_integrand
from attnlib.positions import rotary
from attnlib.scaling import score_saturation
from attnlib.smooth_max import boltzmann_max, mellowmax, p_norm_max, smooth_abs, smooth_max
from attnlib.softmax import (
    jacobian_from_weights,
    jacobian_norm_bounds,
    softmax_jacobian,
    softmax_vjp,
)
from attnlib.synthesizer import SynthesizerAttention, tile_factors
from attnlib.transformer import (
    MultiHeadAttention,
    TransformerLayer,
    attention,
    padding_mask,
    smoothed_cross_entropy,
)
from attnlib.two_heads import attention_weights, averaging_condition, weight_gap

nan, inf = math.nan, math.inf

# Lengths of the axes: all different within a function, and a second set for a second compilation.
SIZES = {"n": 5, "m": 4, "d": 6, "d_k": 3, "d_v": 2, "d_model": 6, "a": 2, "c": 3, "K": 4}
LARGER = SIZES | {"n": 7, "m": 5, "d": 8, "d_k": 4, "d_v": 3, "a": 3, "c": 4, "K": 6}


# -- what a tensor may hold ------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """Entries of a tensor: how good ones are made, and what is refused."""

    make: Callable[..., Tensor]
    values: Callable[[Tensor], Iterator[Tensor]]  # good ones with some entries spoilt
    refused_dtypes: tuple[torch.dtype, ...] = (
        torch.int64, torch.bool, torch.half, torch.bfloat16, torch.complex64,
    )  # fmt: skip
    # From any real numbers to such entries: a difference quotient must not leave the simplex.
    free: Callable[[Tensor], Tensor] | None = lambda x: x

    @property
    def is_float(self) -> bool:
        return self.free is not None


def spoilt(x: Tensor, *values: float) -> Iterator[Tensor]:
    """x with its first entry replaced, which no mask hides."""
    for value in values:
        bad = x.clone()
        bad.view(-1)[0] = value
        yield bad


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def some_true(*shape: int) -> Tensor:
    mask = torch.rand(*shape) < 0.7
    mask[..., 0] = True  # else a row may have nothing to attend to
    return mask


def in_turn(*shape: int) -> Tensor:
    return torch.arange(math.prod(shape)).reshape(shape) % SIZES["K"]


real = Kind(normal, lambda x: spoilt(x, nan, inf, -inf))
positive = Kind(lambda *b: 0.1 + torch.rand(b).double(), lambda x: spoilt(x, nan, inf, -1e-300))
logit = Kind(lambda *b: 2 * normal(*b), lambda x: iter([*spoilt(x, nan, inf), 0 * x - inf]))
law = Kind(
    lambda *b: torch.softmax(normal(*b), -1),
    lambda x: iter([*spoilt(x, nan, inf, -inf, -0.1), x * 1.001, x * 0.999, x - 1, 0 * x]),
    free=lambda x: torch.softmax(x, -1),
)
fraction = Kind(
    lambda *b: 0.1 + 0.8 * torch.rand(b).double(), lambda x: spoilt(x, nan, inf, -0.1, 1.1)
)
whole_dtypes = (torch.float64, torch.int32, torch.bool)
sharp = Kind(
    lambda *b: 1 + torch.rand(b).double(), lambda x: spoilt(x, nan, inf, 0, -1),
    (torch.int64, torch.bool, torch.complex64),
)  # fmt: skip
# Of a norm: 1 is the least.
sharp_norm = replace(sharp, values=lambda x: spoilt(x, nan, inf, 0.5))
gap = Kind(lambda *b: 0.1 + torch.rand(b).double(), lambda x: spoilt(x, nan, inf, 0, -1))
length = Kind(
    lambda *b: in_turn(*b) + 1, lambda x: spoilt(x, 0, SIZES["n"] + 1), whole_dtypes, free=None
)
label = Kind(in_turn, lambda x: spoilt(x, -1, SIZES["K"]), whole_dtypes, free=None)
mask = Kind(some_true, lambda x: iter(()), (torch.float32, torch.uint8, torch.int64), free=None)
position = Kind(
    lambda *b: 10 * torch.rand(*b).double(),
    lambda x: spoilt(x, nan, inf, -inf, 2.0**54, -(2.0**54)),
    (torch.half, torch.bfloat16, torch.bool, torch.complex64),
    free=None,
)

# -- good and bad values of the other arguments: the first is good ---------------------------

NO_NUMBERS = (nan, inf, -inf, True, "1", None, [1.0], 1 + 0j, torch.tensor(1.0), 10**400)
NO_INTEGERS = (1.0, 1.5, nan, inf, True, "1", None, [1], torch.tensor(1.0))
FLAG = (0, 1, None, "yes", torch.tensor(True))
POSITIVE = (*NO_NUMBERS, 0, -0.0, -1)
# As float32 the last ones are 0 or infinite.
IN_FLOAT32 = (*POSITIVE, 1e-50, 7e-46, 3.5e38, 1e300)
SIZE = (*NO_INTEGERS, 0, -2)
OPTIONAL = (type(None), Tensor)  # a scale may be left out, or be learnt
INDEX = (*NO_INTEGERS, -1, SIZES["m"])
PRECISION = {"precision": (None, ("bfloat16", 16, torch.int64, torch.complex64, [torch.half]))}


# -- rows ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A function, or a module whose options are those of its constructor."""

    f: Callable[..., Any]
    tensors: dict[str, Kind]
    options: dict[str, tuple[Any, tuple[Any, ...]]] = field(default_factory=dict)
    optional: tuple[str, ...] = ()  # tensors that may be None
    shared: tuple[str, ...] = ()  # tensors given once for a whole batch
    own_dtype: tuple[str, ...] = ()  # tensors whose dtype need not be that of the others
    also_called: dict[str, str] = field(default_factory=dict)  # by messages of what it is made of
    may_be_empty: tuple[str, ...] = ()  # axes
    omitted: tuple[str, ...] = ()  # optional tensors that this row leaves out
    shown: Callable[[Any], Any] = lambda result: result  # what of a result is determined
    without: dict[str, str] = field(default_factory=dict)  # part → why it does not apply
    case: str = ""  # tells the rows of one function apart
    halves: bool = False  # float16 and bfloat16 are taken, and returned in kind
    is_loss: bool = False  # but for a loss, which is float32

    @property
    def name(self) -> str:
        return f"{self.f.__name__}-{self.case}" if self.case else self.f.__name__

    @property
    def call(self) -> Callable[..., Any]:
        return self.f.forward if isinstance(self.f, type) else self.f

    @property
    def has_floats(self) -> bool:
        return any(kind.is_float for kind in self.tensors.values())

    def has(self, part: str) -> bool:
        """Whether a part of the contract applies; two parts are about floats alone."""
        return part not in self.without and (self.has_floats or part not in ("derivatives", "nan"))

    def is_alone(self, name: str) -> bool:
        """Whether no other tensor must have the same dtype."""
        floats = [other for other, kind in self.tensors.items() if kind.is_float]
        return name in self.own_dtype or {*floats} - {*self.own_dtype} <= {name}

    @property
    def has_dim(self) -> bool:
        return "dim" in inspect.signature(self.call).parameters

    def named(self, name: str) -> str:
        return rf"({name}|{self.also_called[name]})\b" if name in self.also_called else rf"{name}\b"

    def axes(self, name: str) -> list[str]:
        """The axes of a tensor as annotated, a lone *b with dim being a row, and *c a result."""
        annotation = str(inspect.signature(self.call).parameters[name].annotation)
        axes = re.search(r"Tensor, ['\"]([^'\"]*)", annotation)[1].split()
        return [*axes, "n"] if self.has_dim and axes in (["*b"], ["*#b"]) else axes

    def trailing(self, name: str) -> list[str]:
        return [axis.lstrip("#") for axis in self.axes(name) if axis[0] != "*" and axis != "batch"]

    def batched(self, name: str) -> bool:
        return name not in self.shared and self.axes(name)[0].startswith(("*", "batch"))

    @property
    def batches(self) -> list[tuple[int, ...]]:
        first = self.axes(next(iter(self.tensors)))[0]
        return {"*": [(), (3,), (2, 3), (0,), (2, 0)], "b": [(1,), (3,), (0,)]}.get(first[0], [()])

    def draw(self, *b: int, sizes: dict[str, int] = SIZES) -> dict[str, Tensor]:
        """Good tensors with the leading axes b, drawn from fixed seeds."""
        torch.manual_seed(1)
        return {
            name: kind.make(
                *(b if self.batched(name) else ()), *map(sizes.get, self.trailing(name))
            )
            for name, kind in self.tensors.items()
        }

    def bind(self, dtype: torch.dtype | None = torch.float64) -> Callable[..., Any]:
        """The function of its tensors alone."""
        f, good = self.built(dtype)
        return lambda *x: self.shown(f(**dict(zip(self.tensors, x, strict=True)), **good))

    def built(
        self, dtype: torch.dtype | None, **changed: Any
    ) -> tuple[Callable[..., Any], dict[str, Any]]:
        """What is called, a module in a dtype, and the options of the call."""
        options = {name: value for name, (value, _) in self.options.items()} | changed
        if not isinstance(self.f, type):
            return self.f, options
        of_call = {name: options.pop(name) for name in ("need_weights",) if name in options}
        torch.manual_seed(2)
        f = self.f(**options)
        return f.to(dtype) if dtype else f, of_call

    def refuse(self, option: str, value: Any) -> None:
        """Call with a bad option, in float32."""
        f, options = self.built(torch.float32, **{option: value})
        f(**{name: lowered(x) for name, x in self.draw(2).items()}, **options)


def lowered(x: Tensor) -> Tensor:
    return x.float() if x.dtype == torch.float64 else x


VARIANTS = ("once", "twice")


def variant(good: str) -> dict[str, tuple[Any, tuple[Any, ...]]]:
    return {"variant": (good, ("Once", "", None, 0, ["once"]))}


EPS = {"eps": (0.01, IN_FLOAT32)}
# A sharpness may be a tensor.
SHARPNESS = tuple(x for x in IN_FLOAT32 if not isinstance(x, Tensor))
MAXIMA = [
    (smooth_abs, real, sharp, SHARPNESS),
    (smooth_max, real, sharp, SHARPNESS),
    (mellowmax, real, sharp, SHARPNESS),
    (boltzmann_max, real, sharp, SHARPNESS),
    (p_norm_max, positive, sharp_norm, (*SHARPNESS, 0.5, 1 - 2**-53)),
]
LAYER = {"d_model": (6, SIZE), "n_heads": (2, SIZE)}


def with_weights(result: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return result


def without_weights(result: tuple[Tensor, None]) -> Tensor:
    output, weights = result
    assert weights is None
    return output


HEADS = LAYER | {
    "n_heads": (3, SIZE),
    "process_heads": (turned_heads, (3, "rotary", torch.ones(2))),
}
VALUES = "its entries decide on the shape or the work, so they must be read"
UNSEEN = "torch's kernel looks at no value"
FUSED = {"refusal": UNSEEN, "largest": UNSEEN}
SOLVER = {"nan": "the solver itself refuses NaN"}
QUADRATURE = "by SciPy, which needs values"
GRAPH = {"compile": VALUES, "vmap": VALUES, "meta": VALUES}

ROWS = {
    row.name: row
    for row in [
        Row(softmax_jacobian, {"z": logit}, halves=True),
        Row(
            softmax_vjp,
            {"y": law, "g": real},
            {"check_values": (True, FLAG)} | PRECISION,
            without={"largest": "to see it overflow would take another pass over the result"},
            halves=True,
        ),
        Row(jacobian_from_weights, {"y": law}, PRECISION, halves=True),
        Row(jacobian_norm_bounds, {"y": law}, PRECISION, halves=True),
        Row(score_saturation, {"S": real}, without=SOLVER, halves=True),
        *[
            Row(f, {"x": x}, {"k": (2.0, k)}, omitted=("mask",), halves=True)
            for f, x, _, k in MAXIMA
        ],
        *[
            Row(f, {"x": x, "mask": mask}, {"k": (2.0, k)}, ("mask",), case="masked", halves=True)
            for f, x, _, k in MAXIMA[1:]
        ],
        Row(
            smooth_abs,
            {"x": real, "k": sharp},
            shared=("k",),
            own_dtype=("k",),
            case="learnt",
            halves=True,
        ),
        *[
            Row(
                f,
                {"x": x, "k": sharpness, "mask": mask},
                {},
                ("mask",),
                own_dtype=("k",),
                case="learnt",
                halves=True,
            )
            for f, x, sharpness, _ in MAXIMA[1:]
        ],
        Row(entropy, {"p": law}, PRECISION, halves=True),
        Row(entropy_from_logits, {"z": logit, "mask": mask}, optional=("mask",), halves=True),
        *[
            Row(rectified, {"p": law}, EPS | variant(word) | PRECISION, case=word, halves=True)
            for word in VARIANTS
        ],
        Row(
            majorizes,
            {"p": law, "q": law},
            without={"derivatives": "the result is a bool", "nan": "the result is a bool"},
        ),
        *[
            Row(
                segment_integrand,
                {"p1": law, "p2": law, "t": fraction},
                {"eps": (0.01, (*NO_NUMBERS, -1, 1e-50, 1e39))} | variant(word),
                case=word,
            )
            for word in VARIANTS
        ],
        Row(
            line_integral,
            {"p1": law, "p2": law},
            {"eps": (0.01, (*NO_NUMBERS, -1))} | variant("once"),
            without={"compile": QUADRATURE, "meta": QUADRATURE},
        ),
        Row(
            safe_eps,
            {"gap": gap},
            {"n": (3, SIZE)} | variant("twice"),
            without=GRAPH | {"derivatives": "the result carries no gradient", "nan": VALUES},
        ),
        Row(subspace_projector, {"basis": real}),
        Row(averaging_query, {"k_a": real, "k_b": real}, {"beta": (1.5, NO_NUMBERS)}, halves=True),
        Row(
            sample_keys,
            {"means": real},
            {
                "alpha": (0, (*NO_NUMBERS, -1, -1e-9)),  # 0: a draw is then its mean
                "heavy": (None, (*(x for x in NO_INTEGERS if x is not None), -1, SIZES["m"])),
            },
            halves=True,
        ),
        Row(attention_weights, {"K": real, "q": real}, halves=True),
        Row(averaging_condition, dict.fromkeys(["k_a", "k_b", "q_1", "q_2"], real), halves=True),
        Row(
            weight_gap,
            {"K": real, "q_1": real, "q_2": real},
            {"a": (0, INDEX), "b": (2, INDEX)},
            halves=True,
        ),
        Row(tile_factors, {"P": real, "R": real}, {"n": (5, (*SIZE, 7))}, halves=True),
        *[
            Row(
                SynthesizerAttention,
                {"x": real},
                LAYER
                | {
                    "block_size": (8, SIZE),
                    "kind": (kind, ("Dense", "", None, 0)),
                    "shared": (False, FLAG),
                    "causal": (True, FLAG),
                    "need_weights": (kind != "random", FLAG),
                },
                shown=without_weights if kind == "random" else with_weights,
                case=kind,
                halves=True,
            )
            for kind in ("dense", "random", "factorized")
        ],
        Row(
            bilinear_gradient,
            {"X": real, "dS": real, "X2": real},
            {"d_k": (4, SIZE)},
            ("X2",),
            halves=True,
        ),
        Row(projection_gradients, {"G": real, "W_Q": real, "W_K": real}, halves=True),
        Row(
            unidentifiable,
            {"W_Q": real, "W_K": real},
            shown=lambda bases: [N @ N.mT for N in bases],  # the bases are free up to rotations
            without=GRAPH | {"derivatives": "the bases carry no gradient", "nan": VALUES},
        ),
        Row(
            low_rank_factors,
            {"W_Q": real, "W_K": real},
            {"rank": (2, (*SIZE, 4))},
            shown=lambda factors: factors[0] @ factors[1].mT,  # signs are free
            without=SOLVER,
            halves=True,
        ),
        *[
            Row(
                rotary,
                {"x": real, "positions": position},
                {"base": (100, (*POSITIVE, 0.5, 1)), "turned": turned},
                shared=shared,
                may_be_empty=("n",),
                case=case,
                halves=True,
            )
            for case, shared, turned in (
                ("", ("positions",), (None, (1, 3, *SIZE[:5], 0, -2, 7))),
                ("each-in-part", (), (4, (1, 3, 0, -2, 7))),
            )
        ],
        *[
            Row(
                attention,
                {"Q": real, "K": real, "V": real, "mask": mask},
                {
                    "scale": (0.7, tuple(x for x in POSITIVE if not isinstance(x, OPTIONAL))),
                    "need_weights": (need_weights, FLAG),
                },
                ("mask",),
                shown=with_weights if need_weights else without_weights,
                case=case,
                halves=True,
            )
            for case, need_weights in (("", True), ("fused", False))
        ],
        Row(
            MultiHeadAttention,
            {"x": real, "memory": real, "mask": mask},
            HEADS | {"causal": (False, FLAG), "need_weights": (True, FLAG)},
            ("memory", "mask"),
            shared=("mask",),
            also_called={"memory": "mask"},
            halves=True,
        ),
        *[
            Row(
                MultiHeadAttention,
                {"x": real},
                HEADS | {"causal": (True, FLAG), "need_weights": (need_weights, FLAG)},
                omitted=("memory", "mask"),
                shown=with_weights if need_weights else without_weights,
                case=case,
                without=without,
                halves=True,
            )
            for case, need_weights, without in (
                ("causal", True, {}),
                ("fused", False, FUSED),
            )
        ],
        Row(
            TransformerLayer,
            {"x": real, "memory": real, "mask": mask, "memory_mask": mask},
            LAYER | {"d_ff": (5, SIZE), "cross": (True, FLAG), "norm_first": (True, FLAG)},
            ("memory", "mask", "memory_mask"),
            shared=("mask", "memory_mask"),
            also_called={"memory": "memory_mask"},
            halves=True,
        ),
        Row(padding_mask, {"lengths": length}, {"n": (SIZES["n"], SIZE)}),
        Row(
            smoothed_cross_entropy,
            {"logits": real, "target": label},
            {
                "smoothing": (0.1, (*NO_NUMBERS, -0.1, 1.1)),
                "convention": ("K-1", ("k", "", None, 1)),
                "ignore_index": (3, tuple(x for x in NO_INTEGERS if x is not None)),
            },
            halves=True,
            is_loss=True,
        ),
    ]
}


# Public functions of tensors without a row, and where they are tested.
ELSEWHERE = {
    "FewerHeads": "test_pruning_layers.py; made of a module, and held against it",
    "Reader": "test_pruning.py; a model of integers",
    "GPT": "test_knowledge.py; a model of integers",
    "pair_miss": "test_two_heads.py; a number by quadrature, of one matrix with orthogonal rows",
}


def rows(part: str = "") -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "row", [pytest.param(row, id=name) for name, row in ROWS.items() if row.has(part)]
    )


# -- every function has a row ----------------------------------------------------------------


def public_functions_of_tensors() -> Iterator[Callable[..., Any]]:
    """Every name in an __all__ that takes a tensor or is a module."""
    for found in pkgutil.walk_packages(attnlib.__path__, "attnlib."):
        if found.name.startswith(("attnlib.evidence", "attnlib._")) or "__main__" in found.name:
            continue
        module = importlib.import_module(found.name)
        for name in getattr(module, "__all__", []):
            f = getattr(module, name)
            is_module = isinstance(f, type) and issubclass(f, nn.Module)
            if is_module or (inspect.isfunction(f) and takes_a_tensor(f)):
                yield f


def is_tensor(parameter: inspect.Parameter) -> bool:
    return bool(re.match(r"\w+\[Tensor|Tensor", str(parameter.annotation)))


def takes_a_tensor(f: Callable[..., Any]) -> bool:
    """Whether an argument is a tensor, and none a model."""
    parameters = inspect.signature(f).parameters.values()
    return any(map(is_tensor, parameters)) and not any(
        "Module" in str(parameter.annotation) for parameter in parameters
    )


def begun(f: Callable[..., Any]) -> str:
    """A row to begin with, in which what the tensors hold and GOOD values are to be put right."""
    row = Row(f, {})
    parameters = {**inspect.signature(row.call).parameters, **inspect.signature(f).parameters}
    tensors = ", ".join(f'"{name}": real' for name, p in parameters.items() if is_tensor(p))
    options = ", ".join(
        f'"{name}": (GOOD, NO_NUMBERS)'
        for name, p in parameters.items()
        if not is_tensor(p) and name not in ("self", "dim", "generator")
    )
    return f"Row({f.__name__}, {{{tensors}}}" + f", {{{options}}}" * bool(options) + ")"


def test_every_public_function_of_tensors_has_a_row():
    public = {f.__name__: f for f in public_functions_of_tensors()}
    named = {row.f.__name__ for row in ROWS.values()} | {*ELSEWHERE}
    wrong = [
        f"add {begun(f)} for {f.__module__}.{name} to ROWS in tests/test_contract.py"
        for name, f in public.items()
        if name not in named
    ]
    wrong += [
        f"{name} has a row, but no __all__ in attnlib names it as a function of tensors"
        for name in sorted(named - public.keys())
    ]
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


@rows()
def test_a_row_names_every_argument(row):
    parameters = {*inspect.signature(row.call).parameters} - {"self", "dim"}
    if isinstance(row.f, type):
        parameters |= {*inspect.signature(row.f).parameters}
    assert parameters - {"generator", *row.omitted} == {*row.tensors, *row.options}


# -- bad arguments ---------------------------------------------------------------------------


@contextmanager
def refused(pattern: str, row: Row, name: str, value: Any) -> Iterator[None]:
    """A ValueError with such a message; a failure says for which value there was none."""
    try:
        with pytest.raises(ValueError, match=pattern):
            yield
    except BaseException as error:
        kind = f"{value.dtype} {tuple(value.shape)} " if isinstance(value, Tensor) else ""
        shown = " ".join(repr(value).split())
        told = f"{row.name} was called with {name} = {kind}{shown[:200]}{'…' * (len(shown) > 200)}"
        error.add_note(f"{told}; wanted: a ValueError like {pattern!r}")
        raise


@rows("refusal")
@pytest.mark.usefixtures("no_shape_checks")
def test_bad_tensors_are_named(row):
    good = row.draw(2) if row.batches != [()] else row.draw()
    f = row.bind()
    for name, kind in row.tensors.items():
        x = good[name]
        bad = [[0.5, 0.5], "x", *([] if name in row.optional else [None])]
        alone = row.halves and row.is_alone(name)
        alone = alone and not isinstance(row.f, type)  # else it differs from the others in dtype
        bad += [x.to(t) for t in kind.refused_dtypes if not (alone and t in HALVES)]
        if kind is not mask:  # masks broadcast
            bad += without_axes(row, name, x)
        pattern = rf"^(dim must be an axis of )?{row.named(name)}"
        for wrong in [*bad, *kind.values(x)]:
            with refused(pattern, row, name, wrong):
                f(*(good | {name: wrong}).values())


def without_axes(row: Row, name: str, x: Tensor) -> Iterator[Tensor]:
    """x with an empty axis, as a single row, and as a number."""
    axes = row.trailing(name)
    for i, axis in enumerate(reversed(axes)):
        if axis not in row.may_be_empty:
            yield x.narrow(-i - 1, 0, 0)
    if len(axes) > 1:
        yield x.reshape(-1)
    if axes:
        yield x.reshape(-1)[0]


@rows()
@pytest.mark.usefixtures("no_shape_checks")
def test_tensors_that_do_not_fit_each_other_are_named(row):
    good = row.draw(3) if row.batches != [()] else row.draw()
    f = row.bind()
    for name, x in list(good.items())[1:]:
        others = [row.trailing(other) for other in good if other != name]
        own = name in row.own_dtype or not row.tensors[name].is_float
        wrong = [] if own else [x.float()]
        for i, axis in enumerate(reversed(row.trailing(name))):
            if any(axis in other for other in others):
                wrong.append(x.narrow(-i - 1, 0, x.shape[-i - 1] - 1))
        if row.batched(name):
            wrong.append(x[:2])
        for bad in wrong:
            with refused(rf"\b{row.named(name)}", row, name, bad):
                f(*(good | {name: bad}).values())


@pytest.mark.parametrize(
    ("row", "option"),
    [pytest.param(row, o, id=f"{name}-{o}") for name, row in ROWS.items() for o in row.options],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_bad_options_are_named(row, option):
    for bad in row.options[option][1]:
        with refused(rf"^{option}\b", row, option, bad):
            row.refuse(option, bad)


# -- hostile values: the quick way and the careful one ----------------------------------------


HOSTILE = (nan, inf, -inf, 0.0, -0.0, 1.0, 2.0, -1.0, -1e-9, 1 + 2e-4, 1e-45, 1e-320, 1e19, -1e30,
           3e38, -3e38, 1e39, 1e308, -1e308)  # fmt: skip


def hostile(row: Row, seed: int) -> list[Tensor]:
    """Good tensors in either dtype, up to two of which got up to two bad entries."""
    choose = random.Random(f"{row.name} {seed}")
    wide = choose.random() < 0.5
    x = row.draw(*choose.choice([b for b in row.batches if math.prod(b)]))
    x = {name: t if wide else lowered(t) for name, t in x.items()}
    for name in choose.choices(list(x), k=choose.choice([0, 1, 1, 2])):
        if row.tensors[name] is mask:
            x[name] = torch.rand(x[name].shape) < choose.choice([0.0, 0.1, 0.5])
        elif choose.random() < 0.2:
            x[name] = x[name] * choose.choice([0, 1.0001, 1e38, 1e308, -1])
        elif x[name].ndim and x[name].shape[-1] > 1 and choose.random() < 0.2:  # the sums stay
            x[name] = x[name] + torch.tensor([-2, 2] + [0] * (x[name].shape[-1] - 2)).to(x[name])
        else:
            bad = [choose.choice(HOSTILE) for _ in range(choose.choice([1, 1, 2]))]
            flat = x[name].reshape(-1).double()
            flat[[choose.randrange(len(flat)) for _ in bad]] = torch.tensor(bad).double()
            x[name] = flat.to(x[name].dtype).reshape(x[name].shape)
    if choose.random() < 0.4:
        for name, t in x.items():
            x[name] = t.requires_grad_(row.tensors[name].is_float)
    return list(x.values())


def outcome(row: Row, x: list[Tensor]) -> tuple[str, list[Tensor]]:
    """The message of an error, or the results and the slopes."""
    try:
        results = tree_leaves(row.bind(x[0].dtype if x[0].is_floating_point() else None)(*x))
    except ValueError as error:
        return str(error), []
    tracked = [t for t in x if t.requires_grad]
    sums = [(out.flatten() * torch.arange(1, 1 + out.numel())).sum()
            for out in results if out.requires_grad]  # fmt: skip
    slopes = torch.autograd.grad(sum(sums), tracked, allow_unused=True) if tracked and sums else ()
    return "", [*results, *(g for g in slopes if g is not None)]


@contextmanager
def careful_only() -> Iterator[None]:
    """No quick answer, and nothing in place: every check in full, then the formula."""
    with pytest.MonkeyPatch.context() as patch:
        for name, module in list(sys.modules.items()):
            if name.startswith("attnlib."):
                for quick in ("eager", "surely_finite", "surely_laws"):
                    if hasattr(module, quick):
                        patch.setattr(module, quick, lambda *x, **k: False)
        yield


def same_outcomes(row: Row, seeds: range) -> None:
    raised = 0
    for seed in seeds:
        x = hostile(row, seed)
        message, results = outcome(row, x)
        with careful_only():
            expected, exact = outcome(row, x)
        assert message == expected, f"seed {seed}: {x}"
        raised += bool(message)
        # Slopes may cancel, so their errors are measured by what goes in as well.
        size = max(t.detach().double().nan_to_num(0, 0, 0).abs().max() for t in (*x, *exact))
        for ours, theirs in zip(results, exact, strict=True):
            eps = torch.finfo(theirs.dtype).eps if theirs.is_floating_point() else 0
            close(ours, theirs, rtol=64 * eps, atol=64 * eps * float(size), equal_nan=True,
                  msg=lambda said, seed=seed: f"seed {seed}: {said}")  # fmt: skip
    assert 0 < raised < len(seeds), "some are refused, and some are not"


@rows("refusal")
@pytest.mark.usefixtures("no_shape_checks")
def test_quick_and_careful_agree_on_hostile_values(row):
    same_outcomes(row, range(16))


@rows("refusal")
@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.slow
def test_quick_and_careful_agree_on_many_hostile_values(row):
    same_outcomes(row, range(16, 500))


# -- axes ------------------------------------------------------------------------------------


def each(f: Callable[..., Any], x: dict[str, Tensor], row: Row, b: tuple[int, ...]) -> list[Any]:
    """The results of every example by itself."""
    flat = [t.flatten(0, len(b) - 1) if row.batched(name) else t for name, t in x.items()]
    alone = () in row.batches

    def example(i: int) -> list[Tensor]:
        return [
            (t[i] if alone else t[i : i + 1]) if row.batched(name) else t
            for name, t in zip(x, flat, strict=True)
        ]

    results = [tree_leaves(f(*example(i))) for i in range(math.prod(b))]
    return results if alone else [[out[0] for out in result] for result in results]


@rows()
def test_leading_axes_are_a_loop_and_arguments_are_left_alone(row):
    f = row.bind()
    small = tree_leaves(f(*row.draw(*row.batches[0]).values()))
    for b in row.batches:
        x = row.draw(*b)
        before = {name: t.clone() for name, t in x.items()}
        result = tree_leaves(f(*x.values()))
        close(x, before, atol=0, rtol=0)
        for out, one in zip(result, small, strict=True):
            assert out.shape == (*b, *one.shape[len(row.batches[0]) :])
            assert out.dtype in (torch.float64 if row.has_floats else torch.int64, torch.bool)
        if b and math.prod(b):
            for i, one in enumerate(each(f, x, row, b)):
                for out, alone in zip(result, one, strict=True):
                    close(out.flatten(0, len(b) - 1)[i], alone)
        # Entries that lie apart in memory, and float32.
        apart = [torch.stack((t, t), -1)[..., 0] for t in x.values()]
        close(tree_leaves(f(*apart)), result)
        single = tree_leaves(row.bind(torch.float32)(*map(lowered, x.values())))
        for out, lower in zip(result, single, strict=True):
            assert lower.dtype == (torch.float32 if out.dtype == torch.float64 else out.dtype)
            close(lower.double(), out.double(), atol=1e-4, rtol=1e-4)


def along(kind: Kind, dim: int, *shape: int) -> Tensor:
    """Entries that are good along an axis."""
    torch.manual_seed(1)
    order = [i for i in range(len(shape)) if i != dim % len(shape)]
    x = kind.make(*(shape[i] for i in order), shape[dim])
    return x.movedim(-1, dim)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.has_dim])
@pytest.mark.usefixtures("no_shape_checks")
def test_dim_names_the_axis(name):
    row = ROWS[name]
    first, kind = next(iter(row.tensors.items()))
    good = {option: value for option, (value, _) in row.options.items()}
    # What else it takes as a single number, which fits every result.
    good |= {n: t.make() for n, t in row.tensors.items() if n not in (first, *row.optional)}
    for dim in (0, 1, 2, -1, -2, -3):
        x = along(kind, dim, 3, 4, 2)
        close(row.f(x, **good, dim=dim), row.f(x.movedim(dim, -1), **good))
    for bad in (3, -4, 1.0, True, None, "0", (0, 1)):
        with pytest.raises(ValueError, match=r"^dim must be an axis of .*\(3, 4, 2\)"):
            row.f(x, **good, dim=bad)
    with pytest.raises(ValueError, match=rf"^{first} must have at least one entry along axis 0"):
        row.f(x[:0], **good, dim=0)


# -- derivatives and transforms --------------------------------------------------------------


def total(f: Callable[..., Any]) -> Callable[..., Tensor]:
    """One number from all results, in which no two entries count alike."""

    def sums(*x: Tensor) -> Tensor:
        results = [out for out in tree_leaves(f(*x)) if out.is_floating_point()]
        return sum(
            (out.flatten().sin() * torch.arange(1, out.numel() + 1)).sum() for out in results
        )

    return sums


@rows("derivatives")
def test_first_and_second_derivatives(row):
    f, x = row.bind(), row.draw(*row.batches[0])
    kinds = list(row.tensors.values())
    moving = [i for i, kind in enumerate(kinds) if kind.is_float]
    fixed = list(x.values())

    def through(*z: Tensor) -> Any:
        x = list(fixed)
        for i, t in zip(moving, z, strict=True):
            x[i] = kinds[i].free(t)
        return total(f)(*x)

    z = [torch.log(fixed[i]) if kinds[i] is law else fixed[i] for i in moving]
    z = [t.detach().requires_grad_() for t in z]
    assert torch.autograd.gradcheck(through, z, fast_mode=True)
    assert torch.autograd.gradgradcheck(through, z, fast_mode=True)


# -- lower precision -------------------------------------------------------------------------

HALVES = (torch.half, torch.bfloat16)
halves = pytest.mark.parametrize("half", HALVES, ids=["float16", "bfloat16"])
rows_of_halves = pytest.mark.parametrize(
    "row", [pytest.param(row, id=name) for name, row in ROWS.items() if row.halves]
)


def lower_and_exact(row: Row, half: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
    """Good tensors of a lower precision, and the same numbers as float32."""
    x = row.draw(*(row.batches[-1] and (2,)))
    lower = [t.to(half) if row.tensors[name].is_float else t for name, t in x.items()]
    return lower, [t.float() if t.dtype == half else t for t in lower]


def results_of(row: Row, dtype: torch.dtype, half: torch.dtype, x: list[Tensor]) -> list[Tensor]:
    """All that a function returns, where laws in float32 are named as those of a lower precision.

    What is free in a result does not matter: the same float32 numbers make it.
    """
    named = {"precision": half} if "precision" in row.options and dtype != half else {}
    f, options = row.built(dtype, **named)
    results = tree_leaves(f(**dict(zip(row.tensors, x, strict=True)), **options))
    return [t for t in results if t is not None]


@halves
@rows_of_halves
def test_lower_precision_is_float32_rounded(row, half):
    """Values, and gradients along numbers that every format has."""
    found, wanted, kinds = [], [], row.tensors.values()
    for dtype, x, results in zip((half, torch.float32), lower_and_exact(row, half),
                                 (found, wanted), strict=True):  # fmt: skip
        moving = [t.requires_grad_() for t, kind in zip(x, kinds, strict=True) if kind.is_float]
        values = results_of(row, dtype, half, x)
        along = [torch.arange(t.numel()).reshape(t.shape).remainder(4).to(t) for t in values]
        slopes = torch.autograd.grad(values, moving, along, allow_unused=True)
        results += [*values, *(t for t in slopes if t is not None)]
    assert len(found) == len(wanted) > len(values)
    # A module rounds between its parts. A slope is a sum, whose terms are rounded.
    few = (32 if isinstance(row.f, type) else 1) * torch.finfo(half).eps
    for i, (out, exact) in enumerate(zip(found, wanted, strict=True)):
        assert out.dtype == (torch.float32 if row.is_loss and i < len(values) else half)
        close(out.float(), exact, rtol=few, atol=few * exact.abs().max().item())


@halves
@pytest.mark.parametrize(
    "row",
    [pytest.param(row, id=name)
     for name, row in ROWS.items() if row.has_floats and not row.halves],
)  # fmt: skip
@pytest.mark.usefixtures("no_shape_checks")
def test_lower_precision_is_taken_or_refused_by_name(row, half):
    lower, _ = lower_and_exact(row, half)
    first = next(name for name, kind in row.tensors.items() if kind.is_float)
    with pytest.raises(ValueError, match=rf"^{first} must be float32 or float64, got {half}$"):
        row.bind(half)(*lower)


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, id=name) for name, row in ROWS.items()
     if row.halves and not isinstance(row.f, type) and row.has("refusal")],
)  # fmt: skip
@halves
@pytest.mark.usefixtures("no_shape_checks")
def test_hostile_values_of_lower_precision_are_those_of_float32(row, half):
    for seed in range(16):
        x = [t.detach().to(half) if kind.is_float else t
             for t, kind in zip(hostile(row, seed), row.tensors.values(), strict=True)]  # fmt: skip
        exact = [t.float() if t.dtype == half else t for t in x]
        (message, wanted), (said, found) = (
            said_or_found(row, dtype, half, t) for dtype, t in ((torch.float32, exact), (half, x))
        )
        assert said == message, f"seed {seed}: {x}"
        for out, other in zip(found, wanted, strict=True):
            close(out.float(), other, rtol=torch.finfo(half).eps, atol=torch.finfo(half).eps)


@pytest.mark.parametrize(
    ("row", "dtype"),
    [pytest.param(row, dtype, id=f"{name}-{dtype}")
     for name, row in ROWS.items() if row.has_floats and row.has("largest")
     for dtype in (*(HALVES if row.halves else ()), torch.float32, torch.float64)],
)  # fmt: skip
@pytest.mark.usefixtures("no_shape_checks")
def test_of_the_largest_numbers_results_are_finite_or_refused(row, dtype):
    x = row.draw(*(row.batches[-1] and (2,)))
    x |= {name: largest(t, dtype) for name, t in x.items() if row.tensors[name] is real}
    given = [t.to(dtype) if row.tensors[name].is_float else t for name, t in x.items()]
    said, found = said_or_found(row, dtype, dtype, given)
    assert "\n" not in said
    assert all(t.isfinite().all() for t in found if t.is_floating_point())


def largest(x: Tensor, dtype: torch.dtype) -> Tensor:
    return (x.sign() * torch.finfo(dtype).max).to(dtype)


def said_or_found(
    row: Row, dtype: torch.dtype, half: torch.dtype, x: list[Tensor]
) -> tuple[str, list[Tensor]]:
    try:
        return "", results_of(row, dtype, half, x)
    except ValueError as error:
        return str(error), []


@rows("autocast")
def test_under_autocast_nothing_complains_of_a_dtype_that_nobody_passed(row):
    """float32 in; where lower precision is taken also that, alone or beside float32."""
    x = [lowered(t) for t in row.draw(*(row.batches[-1] and (2,))).values()]
    floats = [i for i, kind in enumerate(row.tensors.values()) if kind.is_float]
    given = [[], *([[i] for i in floats] if row.halves else []), *([floats] * row.halves)]
    wanted = tree_leaves(row.bind(torch.float32)(*x))
    few = 16 * torch.finfo(torch.bfloat16).eps
    for lower in given:
        mixed = [t.bfloat16() if i in lower else t for i, t in enumerate(x)]
        with torch.autocast("cpu", torch.bfloat16):
            found = tree_leaves(row.bind(torch.float32)(*mixed))
        for out, other in zip(found, wanted, strict=True):
            out, other = out.float(), other.float()
            close(out, other, rtol=few, atol=few * max(1, other.abs().max().item()))


@rows_of_halves
@pytest.mark.usefixtures("no_shape_checks")
def test_lower_precision_has_its_shape_and_dtype_without_values(row):
    lower, _ = lower_and_exact(row, torch.bfloat16)
    results = tree_leaves(row.bind(torch.bfloat16)(*lower))
    with torch.device("meta"):
        empty = [torch.empty(t.shape, dtype=t.dtype) for t in lower]
        found = tree_leaves(row.bind(torch.bfloat16)(*empty))
    assert [(t.shape, t.dtype) for t in found] == [(t.shape, t.dtype) for t in results]


def close_in_half(row: Row, found: list[Tensor], wanted: list[Tensor]) -> None:
    few = (16 if isinstance(row.f, type) else 1) * torch.finfo(torch.bfloat16).eps
    for out, other in zip(found, wanted, strict=True):
        assert out.dtype == other.dtype
        close(out, other, rtol=few, atol=few * other.abs().max().item())


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, id=name)
     for name, row in ROWS.items() if row.halves and row.batches != [()] and row.has("vmap")],
)  # fmt: skip
def test_lower_precision_under_vmap(row):
    x = row.draw(3, *row.batches[0])
    over = tuple(0 if row.batched(name) else None for name in x)
    x = {n: t.bfloat16() if row.tensors[n].is_float else t for n, t in x.items()}
    f = row.bind(torch.bfloat16)
    mapped = torch.func.vmap(f, in_dims=over, randomness="same")(*x.values())
    alone = [torch.stack(each) for each in zip(*each_index(f, x, over), strict=True)]
    close_in_half(row, tree_leaves(mapped), alone)


@rows_of_halves
@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.slow
def test_lower_precision_compiles(row):
    torch._dynamo.reset()
    f = row.bind(torch.bfloat16)
    compiled = torch.compile(f, fullgraph=True, dynamic=True, backend="eager")
    lower, _ = lower_and_exact(row, torch.bfloat16)
    close_in_half(row, tree_leaves(compiled(*lower)), tree_leaves(f(*lower)))


@rows("vmap")
@forward_mode
def test_transforms(row):
    f, inner = row.bind(), row.batches[0]
    x = row.draw(3, *inner)
    over = tuple(0 if row.batched(name) else None for name in x)
    if row.batches == [()]:
        return
    mapped = torch.func.vmap(f, in_dims=over, randomness="same")(*x.values())
    rows_alone = each_index(f, x, over)
    for out, *alone in zip(tree_leaves(mapped), *rows_alone, strict=True):
        close(out, torch.stack(alone))
    if not row.has("derivatives"):
        return
    moving = tuple(i for i, kind in enumerate(row.tensors.values()) if kind.is_float)
    grad = torch.func.grad(total(f), argnums=moving)
    mapped = torch.func.vmap(grad, in_dims=over, randomness="same")(*x.values())
    for out, *alone in zip(mapped, *each_index(grad, x, over), strict=True):
        close(out, torch.stack(alone))
    one = [t[0] if over[i] == 0 else t for i, t in enumerate(x.values())]
    slopes = grad(*one)
    steps = [torch.ones_like(one[i]).cumsum(-1) for i in moving]

    def of_moving(*z: Tensor) -> Tensor:
        x = list(one)
        for i, t in zip(moving, z, strict=True):
            x[i] = t
        return total(f)(*x)

    _, forward = torch.func.jvp(of_moving, tuple(one[i] for i in moving), tuple(steps))
    close(forward, sum((a * b).sum() for a, b in zip(slopes, steps, strict=True)))


def each_index(f: Callable[..., Any], x: dict[str, Tensor], over: tuple) -> list[Any]:
    n = next(iter(x.values())).shape[0]
    return [
        tree_leaves(f(*(t[i] if d == 0 else t for t, d in zip(x.values(), over, strict=True))))
        for i in range(n)
    ]


@rows("nan")
@pytest.mark.usefixtures("no_shape_checks")
def test_inside_a_transform_values_flow_and_dtypes_are_refused(row):
    f, x = row.bind(), row.draw(2, *row.batches[0])
    over = tuple(0 if row.batched(name) else None for name in x)
    first = next(name for name, kind in row.tensors.items() if kind.is_float)
    bad = x | {first: torch.full_like(x[first], nan)}
    mapped = torch.func.vmap(f, in_dims=over, randomness="same")
    assert tree_leaves(mapped(*bad.values()))[0].isnan().any()
    with pytest.raises(ValueError, match=rf"^{first} must be float32 or float64"):
        mapped(*(x | {first: x[first].long()}).values())


@rows("compile")
@pytest.mark.usefixtures("no_shape_checks")  # the compiler cannot trace the shape checker
@pytest.mark.slow
def test_compiles_for_several_lengths_without_graph_breaks(row):
    torch._dynamo.reset()
    f = row.bind()
    compiled = torch.compile(f, fullgraph=True, dynamic=True, backend="eager")
    fixed = {"d_model": SIZES["d_model"]} if isinstance(row.f, type) else {}
    b = row.batches[-1] and (2,)
    for sizes in (SIZES, LARGER | fixed):
        x = row.draw(*b, sizes=sizes).values()
        close(tree_leaves(compiled(*x)), tree_leaves(f(*x)))


@rows("meta")
@pytest.mark.usefixtures("no_shape_checks", "double_by_default")
def test_without_values_shapes_and_dtypes_still_count(row):
    x = row.draw(*(row.batches[-1] and (2,)))
    results = tree_leaves(row.bind()(*x.values()))
    first = next(iter(x))
    for place in ("meta", "fake"):
        with FakeTensorMode() if place == "fake" else torch.device("meta"):
            f = row.bind(dtype=None)
            empty = {n: torch.empty(t.shape, dtype=t.dtype) for n, t in x.items()}
            found = tree_leaves(f(*empty.values()))
            for out, expected in zip(found, results, strict=True):
                assert (out.shape, out.dtype) == (expected.shape, expected.dtype)
            if row.has("refusal") and row.tensors[first].is_float:
                with pytest.raises(ValueError, match=rf"^{first} must be float32 or float64"):
                    f(*(empty | {first: empty[first].long()}).values())
