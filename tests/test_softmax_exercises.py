"""The checkers of the exercises of notebooks/softmax.md: what they accept and what they refuse."""

import math

import torch
from exercises import Checkers
from helpers import cells_of

from attnlib.softmax import softmax_jacobian, softmax_vjp

CELLS = cells_of("softmax")
FIRST = next(i for i, cell in enumerate(CELLS) if "@check_answer" in cell.code)
LAST = max(i for i, cell in enumerate(CELLS) if "hide-cell" in cell.tags)
EXERCISES = CELLS[FIRST : LAST + 1]
inf = math.inf
RUN = [CELLS[0], *EXERCISES]


def by_a_loop(z):
    top = max(z.tolist())
    powers = [math.exp(x - top) for x in z.tolist()]
    return torch.tensor([p / sum(powers) for p in powers])


def by_differences(z):
    """Each weight is one over the sum of its own ratios."""
    y = torch.zeros(len(z))
    for i in range(len(z)):
        if z[i].isfinite():
            y[i] = 1 / torch.exp(z - z[i]).sum()
    return y


def by_matrix(z, g):
    eye = torch.eye(len(z))
    return (eye - torch.ones(len(z), 1) * torch.softmax(z, 0)).T @ g


def by_autograd(z, g):
    z = z.requires_grad_()
    return torch.autograd.grad(torch.log_softmax(z, 0) @ g, z)[0]


def temperature_by_autograd(z, tau):
    return torch.autograd.functional.jacobian(lambda t: torch.softmax(z / t, 0), torch.tensor(tau))


def temperature_by_matrix(z, tau):
    return -softmax_jacobian(z / tau) @ z / tau**2


def temperature_by_mean(z, tau):
    y = torch.softmax(z / tau, 0)
    return y * ((y * z).sum() - z) / tau**2


RIGHT = {
    "check_softmax": [
        lambda z: torch.softmax(z, 0),
        lambda z: torch.exp(z - z.max()) / torch.exp(z - z.max()).sum(),
        lambda z: torch.exp(z - torch.logsumexp(z, 0)),
        by_a_loop,
        by_differences,
    ],
    "check_log_vjp": [
        lambda z, g: g - g.sum() * torch.softmax(z, 0),
        by_matrix,
        by_autograd,
    ],
    "check_temperature": [
        temperature_by_mean,
        temperature_by_matrix,
        temperature_by_autograd,
        lambda z, tau: softmax_vjp(torch.softmax(z / tau, 0), -z / tau**2),
    ],
    "check_rank": [
        lambda z: len(z) - int((z == -inf).sum()) - 1,
        lambda z: (z > -inf).sum() - 1,
        lambda z: sum(math.isfinite(x) for x in z.tolist()) - 1.0,
        lambda z: torch.count_nonzero(torch.softmax(z, 0)) - 1,
    ],
    "check_pair": [
        lambda eps: (torch.zeros(2), torch.tensor([eps, -eps])),
        lambda eps: ([3 + eps / 2, 3 - eps / 2], [3 - eps / 2, 3 + eps / 2]),
        lambda eps: (torch.tensor([0, 0, -40.0]), torch.tensor([eps, -eps, -40.0])),
        lambda eps: torch.tensor([[0.0, 0.0, 0.0, 0.0], [eps, eps, -eps, -eps]]),
    ],
}


def flickering():
    """Right, but for one call."""
    calls = 0

    def answer(z):
        nonlocal calls
        calls += 1
        return torch.softmax(z, 0) * (2 if calls == 20 else 1)

    return answer


WRONG = {
    "check_softmax": [
        (lambda z: z.exp() / z.exp().sum(), "finite"),
        (lambda z: (z - z.max()).exp(), "sum to 1"),
        (lambda z: torch.exp(z - z.mean()) / torch.exp(z - z.mean()).sum(), ""),
        (lambda z: torch.exp(z - z[0]) / torch.exp(z - z[0]).sum(), "finite"),
        (lambda z: torch.exp(z - z.abs().max()) / torch.exp(z - z.abs().max()).sum(), ""),
        (lambda z: torch.softmax(z.clamp(-50, 50), 0), ""),
        (lambda z: torch.softmax(z.nan_to_num(neginf=0), 0), "masked"),
        (lambda z: 2 ** (z - z.max()) / (2 ** (z - z.max())).sum(), "exp(gap)"),
        (lambda z: torch.softmax(z, 0)[:-1], "one weight for each"),
        (flickering(), "not at every call"),
        (lambda z: torch.softmax(z, 0).tolist(), "a list"),
        (lambda z: 1.0, "a float"),
    ],
    "check_log_vjp": [
        (lambda z, g: g - g @ torch.softmax(z, 0), "slope"),
        (lambda z, g: softmax_vjp(torch.softmax(z, 0), g), "slope"),
        (lambda z, g: g - torch.softmax(z, 0), "slope"),
        (lambda z, g: g - g.mean() * torch.softmax(z, 0), "slope"),
        (lambda z, g: g.sum() * torch.softmax(z, 0) - g, "slope"),
        (lambda z, g: (g - g.sum() * torch.softmax(z, 0)).sum(), "one entry for each"),
        (lambda z, g: (g - g.sum() * torch.softmax(z, 0)).tolist(), "a list"),
        (lambda z, g: 0.0, "a float"),
    ],
    "check_temperature": [
        (lambda z, tau: -softmax_vjp(torch.softmax(z / tau, 0), z), "slope"),
        (lambda z, tau: softmax_vjp(torch.softmax(z / tau, 0), z) / tau**2, "slope"),
        (lambda z, tau: -softmax_vjp(torch.softmax(z, 0), z) / tau**2, "slope"),
        (lambda z, tau: -softmax_vjp(torch.softmax(z / tau, 0), z) / tau, "slope"),
        (lambda z, tau: -torch.softmax(z / tau, 0) * z / tau**2, "slope"),
        (lambda z, tau: 0 * z / 0, "finite"),
        (lambda z, tau: temperature_by_mean(z, tau).tolist(), "a list"),
        (lambda z, tau: 0.0, "a float"),
    ],
    "check_rank": [
        (lambda z: len(z) - 1, "J has rank"),
        (lambda z: int(z.isfinite().sum()), "J has rank"),
        (lambda z: int((z == -inf).sum()), "J has rank"),
        (lambda z: max(1, int(z.isfinite().sum()) - 1), "J has rank"),
        (lambda z: int(torch.linalg.matrix_rank(torch.diag(torch.softmax(z, 0)))), "J has rank"),
        (lambda z: [int(z.isfinite().sum()) - 1], "J has rank"),
        (lambda z: 0.5, "J has rank"),
    ],
    "check_pair": [
        (lambda eps: (torch.zeros(2), torch.tensor([eps, 0.0])), "eps in sum"),
        (lambda eps: (torch.zeros(2), torch.tensor([2 * eps, 0.0])), "an entry differs"),
        (lambda eps: (torch.zeros(3), torch.tensor([eps, -eps, 0.0])), "eps in sum"),
        (lambda eps: (torch.zeros(2), torch.tensor([eps, eps])), "eps in sum"),
        (lambda eps: (torch.tensor([1.0, 0]), torch.tensor([1 + eps, -eps])), "eps in sum"),
        (lambda eps: (torch.zeros(2), torch.zeros(3)), "same length"),
        (lambda eps: (0.0, eps), "a pair of rows"),
        (lambda eps: torch.tensor([eps, -eps]), "a pair of rows"),
        (lambda eps: eps, "a float"),
    ],
}


class TestCheckers(Checkers):
    NAMES_THE_CASE = True
