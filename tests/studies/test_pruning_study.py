"""attnlib/studies/pruning.py: rows against what their names say, and a record that goes on."""

import itertools
import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from helpers import unchecked
from scipy.stats import spearmanr
from torch import nn

from attnlib._files import alone, to_bytes
from attnlib.pruning import Pruning, gate_heads, head_scores, task
from attnlib.pruning.task import KINDS, accuracy, draw, losses, norms
from attnlib.studies import pruning as recorded
from attnlib.studies.__main__ import cli
from attnlib.studies.record import RECORDED, read_study

# Every test here trains, or waits for what is trained.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("double_by_default")]


def close(value, expected, atol=1e-11):
    # Values are below 100 here, made by a few hundred roundings.
    torch.testing.assert_close(value, expected, atol=atol, rtol=0)


@pytest.mark.usefixtures("no_shape_checks")
def test_what_a_reversed_batch_rounds_otherwise_is_erased(monkeypatch, small_settings):
    monkeypatch.setattr(recorded, "SETTINGS", replace(small_settings, train_steps=45))
    model = recorded.model_of(0)
    assert recorded.rounding(model) == 0
    grid = torch.cat([p.detach().flatten() for p in model.parameters()]) * 2**16
    assert torch.equal(grid, grid.round())
    steps = []

    def snap(adam, real=task._snap):
        real(adam)
        for state in adam.state.values():
            steps.append(int(state["step"]))
            for mean in (state["exp_avg"], state["exp_avg_sq"]):
                assert torch.equal(mean, mean.bfloat16().double())

    monkeypatch.setattr(task, "_snap", snap)
    recorded.model_of(0)
    assert sorted(set(steps)) == [20, 40, 45]
    monkeypatch.setattr(task, "_snap", lambda adam: None)
    model = recorded.model_of(0)
    assert 0 < recorded.rounding(model) < 1e-6


def test_rank_moves_by_hand():
    scores = [torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
              torch.tensor([[99.0, 2.0, 3.0], [4.0, 6.0, 5.0]]),
              torch.tensor([[-9.0, 50.0, 6.0], [5.0, 4.0, 3.0]]),
              torch.tensor([[0.0, 0.0, 0.0], [4.0, 4.5, 5.0]]),
              torch.tensor([[0.0, 0.0, 0.0], [0.0, 4.5, 5.0]])]  # fmt: skip
    found = Pruning([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)], [0.0] * 5, scores)
    expected = [spearmanr([2, 3, 4, 5, 6], [2, 3, 4, 6, 5]).statistic,
                spearmanr([3, 4, 6, 5], [6, 5, 4, 3]).statistic, -1.0]  # fmt: skip
    assert recorded.rank_moves(found) == pytest.approx(expected)
    assert expected[0] == pytest.approx(0.9)


@pytest.fixture(scope="module")
def small_settings():
    """Three steps of training, 20 questions: what is tested is how a row is put together."""
    patch = pytest.MonkeyPatch()
    patch.setattr(recorded, "SETTINGS", recorded.Settings(
        train_steps=3, batch=16, scored=20, tested=30, tune_steps=1))  # fmt: skip
    yield recorded.SETTINGS
    patch.undo()


@pytest.fixture(scope="module")
def row(small_settings):
    torch.set_default_dtype(torch.float64)
    with unchecked():
        return recorded.row_of(recorded.model_of(1), 1, progress=False)


def test_a_row_holds_every_run_and_is_plain(row):
    assert set(row["runs"]) == set(recorded.RUNS)
    assert set(row["tuned"]) == set(recorded.TUNED)
    for found in (*row["runs"].values(), *row["tuned"].values()):
        assert len(found["accuracy"]) == len(set(found["order"])) == 7
    assert [len(row["subsets"][k]) for k in ("best", "mean", "worst")] == [9] * 3
    assert json.loads(json.dumps(row))["seed"] == 1


def test_subsets_bound_every_run_that_is_not_tuned(row):
    best, worst = row["subsets"]["best"], row["subsets"]["worst"]
    assert best[0] == worst[0]
    for found in row["runs"].values():
        for k, value in enumerate(found["accuracy"], 1):
            assert worst[k] <= value <= best[k]
    for k in range(9):
        assert worst[k] <= row["subsets"]["mean"][k] <= best[k]


def reached(row, order):
    """Accuracy after each removal, by the accuracies of all sets of heads."""
    gone = itertools.accumulate(2 ** (7 - 4 * layer - head) for layer, head in order)
    return [row["subsets"]["all"][which] for which in gone]


def test_accuracies_of_all_sets_by_hand(row, small_settings):
    model = recorded.model_of(1)
    test = draw(30, torch.Generator().manual_seed(recorded.TESTED))
    mask = torch.ones(2, 4)
    mask[0, 1] = mask[1, 2] = mask[1, 3] = 0
    with gate_heads(model, mask):
        assert row["subsets"]["all"][0b0100_0011] == accuracy(model, test)


def test_recorded_runs_and_subsets_are_those_of_all_sets(row):
    """Found by other passes through the models, seed by seed; random factors change nothing."""
    for one in (row, *read_study(RECORDED / "pruning-study.json", recorded.FORM)["rows"]):
        for found in one["runs"].values():
            assert reached(one, found["order"]) == pytest.approx(found["accuracy"], abs=1e-9)
        sizes = np.array([which.bit_count() for which in range(256)])
        every = np.array(one["subsets"]["all"])
        for name, size in (("best", np.max), ("mean", np.mean), ("worst", np.min)):
            found = [size(every[sizes == k]) for k in range(9)]
            assert found == pytest.approx(one["subsets"][name], abs=1e-6)


def test_runs_of_a_row_are_what_their_names_say(row, small_settings):
    model = recorded.model_of(1)
    batches = [draw(20, torch.Generator().manual_seed(recorded.SCORED))]
    test = draw(30, torch.Generator().manual_seed(recorded.TESTED))
    wide = recorded.rescaled(model, 1)
    close(wide(test), model(test))
    assert not torch.allclose(wide.layers[0].attend.W_V, model.layers[0].attend.W_V)
    for name, f, method, of in [("note", norms, "gradient-product", model),
                                ("note, rescaled", norms, "gradient-product", wide),
                                ("note, loss", losses, "gradient-product", model),
                                ("max gradient", norms, "gradient-product-max", model),
                                ("gate", losses, "gate", model),
                                ("leave-one-out", losses, "leave-one-out", model)]:  # fmt: skip
        scores = head_scores(of, batches, method, f)
        close(torch.tensor(row["scores"][name]), scores)
        lowest = divmod(int(scores.argmin()), 4)
        assert row["runs"][name]["order"][0] == lowest
        mask = torch.ones(2, 4)
        mask[lowest] = 0
        with gate_heads(model, mask):
            assert row["runs"][name]["accuracy"][0] == accuracy(model, test)
    entropies = head_scores(model, batches, "entropy", losses)
    first = {name: tuple(row["runs"][name]["order"][0])
             for name in ("high entropy first", "low entropy first")}  # fmt: skip
    assert first["high entropy first"] == divmod(int(entropies.argmax()), 4)
    assert first["low entropy first"] == divmod(int(entropies.argmin()), 4)
    assert row["accuracy"] == [accuracy(model, test, kind) for kind in range(len(KINDS))]
    mask = torch.ones(2, 4)
    mask[1, 2] = 0
    with gate_heads(model, mask):
        assert row["without"][1][2] == [accuracy(model, test, k) for k in range(3)]


def test_the_study_goes_on_where_it_stopped(tmp_path, monkeypatch, row):
    asked = []

    def row_of(model, seed, progress):
        asked.append(seed)
        return {**row, "seed": seed, "accuracy": [1 / 3, 2.0, True]}

    monkeypatch.setattr(recorded, "row_of", row_of)
    monkeypatch.setattr(recorded, "model_of", lambda seed, folder: None)
    monkeypatch.setattr(recorded, "rounding", lambda model: 1e-12)
    path = tmp_path / "new" / "study.json"
    recorded.study(2, path, tmp_path, progress=False)
    assert asked == [0, 1]
    recorded.study(2, path, tmp_path, progress=False)
    assert asked == [0, 1]
    given = ["pruning", "--seeds", "4", "--file", str(path), "--models", str(tmp_path)]
    result = CliRunner().invoke(cli, given)
    assert result.exit_code == 0
    assert f"4 rows in {path}\n" in result.output
    assert asked == [0, 1, 2, 3]
    found = recorded.load_study(path)
    assert [r["seed"] for r in found["rows"]] == [0, 1, 2, 3]
    assert found["rows"][2]["accuracy"] == [0.333333, 2.0, True]
    assert found["command"] == "python -m attnlib.studies pruning --seeds 4"
    assert found["versions"]["torch"] == torch.__version__
    assert found["settings"] == asdict(recorded.SETTINGS)
    assert found["rounding"] == 1e-12
    assert [p.name for p in path.parent.iterdir()] == ["study.json"]


def test_a_study_that_stops_keeps_the_rows_it_has(tmp_path, monkeypatch, row):
    def row_of(model, seed, progress):
        if seed == 1:
            raise KeyboardInterrupt
        return {**row, "seed": seed}

    monkeypatch.setattr(recorded, "row_of", row_of)
    monkeypatch.setattr(recorded, "model_of", lambda seed, folder: None)
    path = tmp_path / "study.json"
    with pytest.raises(KeyboardInterrupt):
        recorded.study(3, path, tmp_path, progress=False)
    assert [r["seed"] for r in recorded.load_study(path)["rows"]] == [0]


def test_trained_parameters_are_kept_and_read_as_weights_only(tmp_path, small_settings):
    first = recorded.model_of(2, tmp_path)
    (file,) = tmp_path.iterdir()
    assert file.name == "seed-2-steps-3-rate-0.005.pt"  # others would be other models
    state = torch.load(file, weights_only=True)
    state["out.bias"] += 1
    torch.save(state, file)
    again = recorded.model_of(2, tmp_path)
    assert not again.training
    close(again.out.bias, nn.Parameter(first.out.bias + 1), atol=0)
    whole = file.read_bytes()
    nan = {name: w * math.nan for name, w in state.items()}
    for data, message in ((to_bytes({"code": print}), "no parameters file"),
                          (whole[:-100], "no parameters file"), (b"", "the file is empty"),
                          (to_bytes({}), "do not fit together: .*delete it, and it is trained"),
                          (to_bytes({"out.bias": 3}), "do not fit together"),
                          (to_bytes(nan), "a weight is not finite; delete it")):  # fmt: skip
        file.write_bytes(data)
        with pytest.raises(ValueError, match=f"^{file}: .*{message}") as error:
            recorded.model_of(2, tmp_path)
        assert "\n" not in str(error.value)
        assert file.read_bytes() == data  # for its owner to look at


def test_a_second_process_on_one_record_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(recorded, "row_of", lambda *_: pytest.fail("worked"))
    another = pytest.raises(ValueError, match=r"a\.json: another process is at work on it")
    with alone(tmp_path / "a.json"), another:
        recorded.study(1, tmp_path / "a.json", tmp_path, progress=False)


@pytest.mark.parametrize("seeds", ["0", "-1", "x"])
def test_seeds_of_the_command(tmp_path, seeds):
    result = CliRunner().invoke(cli, ["pruning", "--seeds", seeds, "--file", str(tmp_path / "a")])
    assert result.exit_code != 0
    assert "seeds" in result.output
    assert list(tmp_path.iterdir()) == []


def test_the_recorded_study_is_what_the_command_writes(tmp_path, monkeypatch):
    """Byte for byte; a study with other settings or other runs is refused."""
    monkeypatch.setattr(recorded, "SETTINGS", recorded.Settings())
    path = RECORDED / "pruning-study.json"
    found = recorded.load_study(path)
    copy = tmp_path / "copy.json"
    copy.write_bytes(path.read_bytes())
    recorded.Recorder(copy, recorded.FORM, found).note({})
    assert copy.read_bytes() == path.read_bytes()
    count = len(found["rows"])
    assert [row["seed"] for row in found["rows"]] == list(range(count))
    assert found["command"] == f"python -m attnlib.studies pruning --seeds {count}"
    for bad, message in ((found | {"settings": {}}, "other settings"),
                         (found | {"rows": [{"seed": 0, "runs": {}}]}, "other runs"),
                         (found | {"rows": [found["rows"][0] | {"subsets": {}}]},
                          "other runs")):  # fmt: skip
        copy.write_text(json.dumps(bad), encoding="utf-8")
        with pytest.raises(ValueError, match=rf"copy\.json holds a study with {message}"):
            recorded.load_study(copy)
        with pytest.raises(ValueError, match=rf"copy\.json holds a study with {message}"):
            recorded.study(1, copy, tmp_path, progress=False)


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize("name", list(asdict(recorded.SETTINGS)))
def test_settings_out_of_range(name):
    with pytest.raises(ValueError, match=f"^{name} must be"):
        recorded.Settings(**{name: 0})
