"""`scaling-lab fit`: a law of anyone's table, told to people and to programs; or exit 2 where nothing can be said."""

import json
from math import erf
from pathlib import Path

import numpy as np
import pytest
from cli_in_process import CommandLine

LADDER = [0.1e6, 0.4e6, 1.6e6, 6.4e6, 25.6e6]


@pytest.fixture
def ladder(tmp_path: Path) -> Path:
    """Five sizes of two seeds each, on a law but for a little."""
    path = tmp_path / "ladder.csv"
    noise = iter([1, -2, 2, 1, -1, -1, 1, 2, -2, 1])
    rows = [(n, (0.5 * (n / 25.6e6) ** -0.27 + 0.7) * (1 + 1e-3 * next(noise))) for n in LADDER for _ in range(2)]
    path.write_text("params,val_loss\n" + "".join(f"{n:.0f},{loss}\n" for n, loss in rows))
    return path


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    """Six sizes on five amounts of data."""
    path, random = tmp_path / "grid.csv", np.random.default_rng(0)
    places = [(n, d) for n in np.geomspace(1e6, 1e9, 6) for d in np.geomspace(1e8, 1e11, 5)]
    rows = [(n, d, (1.2 + 90 / n**0.3 + 400 / d**0.3) * np.exp(0.002 * random.normal())) for n, d in places]
    path.write_text("N,tokens,loss\n" + "".join(f"{n},{d},{loss}\n" for n, d, loss in rows))
    return path


def test_people_are_told_a_sentence_a_table_and_a_prediction(scaling_lab: CommandLine, ladder: Path) -> None:
    ended = scaling_lab("fit", str(ladder), "--predict", "100M")
    assert ended.code == 0
    sentence, _, heading, alpha, *rest = ended.out.splitlines()
    assert sentence.startswith("Validation loss falls as L(N) = ")
    assert heading.split() == ["value", "low", "high"]
    name, value, low, high = alpha.split()
    assert name == "alpha"
    assert float(low) < float(value) < float(high)
    assert any(line.startswith("loss at 1e+08") for line in rest)
    assert any(line.startswith("The largest size, foretold by the others: ") for line in rest)
    assert "What would narrow alpha's interval, most for its cost first:" in rest


def test_programs_get_every_parameter_with_its_interval(scaling_lab: CommandLine, ladder: Path) -> None:
    ended = scaling_lab("fit", str(ladder), "--predict", "100e6", "--predict", "1B", "--json")
    said = json.loads(ended.out)
    assert (ended.code, ended.err) == (0, "")
    assert (said["law"], said["verdict"], said["reasons"], said["n_points"]) == ("power", "identified", [], 10)
    for name in ("alpha", "a", "c"):
        assert said[name]["low"] < said[name]["value"] < said[name]["high"]
    assert [one["n"] for one in said["predictions"]] == [1e8, 1e9]
    assert len(said["jackknife"]) == 5
    assert said["next_runs"][0]["half_width"] < said["next_runs"][0]["now"]
    assert said["leave_largest_out"]["covered"] is True


@pytest.mark.parametrize("loss", ["huber", "lad", "lsq"])
def test_a_joint_law_of_sizes_and_data(scaling_lab: CommandLine, grid: Path, loss: str) -> None:
    arguments = ("fit", str(grid), "--law", "joint", "--loss", loss, "--predict", "10B,1T", "--bootstrap", "200")
    said = json.loads(scaling_lab(*arguments, "--json").out)
    assert said["verdict"] == "identified"
    assert said["alpha"]["low"] < 0.3 < said["alpha"]["high"]
    assert said["beta"]["low"] < 0.3 < said["beta"]["high"]
    (prediction,) = said["predictions"]
    assert (prediction["n"], prediction["d"]) == (1e10, 1e12)
    assert scaling_lab(*arguments).out.splitlines()[0] == said["sentence"]
    assert json.loads(scaling_lab(*arguments, "--json").out) == said


def test_the_best_size_for_each_budget(scaling_lab: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "isoflop.csv"
    places = [(c, 0.1 * c**0.5 * np.exp(away), away) for c in (1e18, 1e19, 1e20) for away in np.linspace(-1, 1.5, 6)]
    path.write_text("flops,n,loss\n" + "".join(f"{c},{n},{2 + 0.1 * away**2}\n" for c, n, away in places))
    arguments = ("fit", str(path), "--law", "isoflop", "--predict", "1e22")
    said = json.loads(scaling_lab(*arguments, "--json").out)
    assert said["exponent"]["value"] == pytest.approx(0.5)
    assert said["predictions"][0]["n"] == pytest.approx(1e10, rel=1e-4)
    assert "best N for 1e+22 FLOPs" in scaling_lab(*arguments).out
    # Without FLOPs they are those of parameters and tokens.
    path.write_text("n,d,loss\n" + "".join(f"{n},{c / 6 / n},{2 + 0.1 * away**2}\n" for c, n, away in places))
    again = json.loads(scaling_lab(*arguments, "--json").out)
    assert again["exponent"]["value"] == pytest.approx(0.5)


def test_the_best_size_from_whole_curves(scaling_lab: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "curves.csv"
    places = [(n, 20 * n * ratio) for n in np.geomspace(1e6, 256e6, 5) for ratio in np.geomspace(0.1, 100, 40)]
    path.write_text("n,tokens,loss\n" + "".join(f"{n},{d},{1.7 + 406 / n**0.34 + 410 / d**0.28}\n" for n, d in places))
    arguments = ("fit", str(path), "--law", "envelope", "--predict", "1e21")
    said = json.loads(scaling_lab(*arguments, "--json").out)
    assert said["exponent"]["value"] == pytest.approx(0.28 / 0.62, abs=1e-3)
    assert len(said["crossings"]) == 4
    told = scaling_lab(*arguments).out
    assert told.splitlines()[0] == said["sentence"]
    assert "best N for 1e+21 FLOPs" in told
    path.write_text("n,tokens,loss\n1e6,1e6,3\n1e6,2e6,2.5\n")
    ended = scaling_lab(*arguments)
    assert ended.code == 2
    assert "a law of the best size takes 3 crossings" in ended.err


def test_data_that_are_read_again(scaling_lab: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "again.csv"
    places = [(n, p * 1e8, 1e8) for n in np.geomspace(1e7, 1e9, 4) for p in (0.3, 0.6, 1, 2, 4, 8, 16, 32)]
    path.write_text("n,d,unique_tokens,loss\n" + "".join(f"{n},{d},{u},{repeated(n, d, u)}\n" for n, d, u in places))
    arguments = ("fit", str(path), "--law", "repetition", "--predict", "1B,10B,1B", "--bootstrap", "100")
    said = json.loads(scaling_lab(*arguments, "--json").out)
    assert said["R*"]["value"] == pytest.approx(10, rel=0.02)
    assert said["predictions"][0]["loss"] == pytest.approx(repeated(1e9, 1e10, 1e9), rel=1e-3)
    assert scaling_lab(*arguments).out.startswith("Read again, data are worth D'")


def repeated(n: float, d: float, u: float) -> float:
    worth = min(d, u) * (1 + 10 * (1 - np.exp(-max(d / u - 1, 0) / 10)))
    return 1.8 + 480 / n**0.35 + 2000 / worth**0.37


@pytest.fixture
def whole_curves(tmp_path: Path) -> Path:
    """Whole curves of four sizes on three amounts of unique tokens, which rise again."""
    path, d_of_curve = tmp_path / "curves.csv", np.geomspace(6e7, 6e9, 12)
    places = [(n, d, u) for n in (1e6, 7e6, 4e7, 3e8) for u in (1e8, 2e8, 6e8) for d in d_of_curve]
    path.write_text("n,d,unique_tokens,loss\n" + "".join(f"{n},{d},{u},{risen(n, d, u)}\n" for n, d, u in places))
    return path


def risen(n: float, d: float, u: float) -> float:
    worth = u * (1 - 0.85 ** (d / u)) / (1 - 0.85)
    late = 2e-9 * d + 0.15 * np.log(n) - 0.4 * np.log(u) - 6.56
    return 0.9 + 40 / n**0.3 + 100 / worth**0.28 + 2e3 / (n**0.3 * worth**0.28) + late * (1 + erf(late / 2**0.5)) / 2


def test_whole_curves_of_data_that_are_read_again(scaling_lab: CommandLine, whole_curves: Path) -> None:
    arguments = ("fit", str(whole_curves), "--law", "sms", "--predict", "1B,6B,400M", "--bootstrap", "100")
    said = json.loads(scaling_lab(*arguments, "--json").out)
    assert (said["law"], said["verdict"], said["n_points"], said["n_curves"]) == ("sms", "identified", 144, 12)
    assert [said[name]["value"] for name in ("a", "b", "k", "k_d")] == pytest.approx([0.3, 0.28, 0.85, 2e-9], rel=1e-5)
    assert said["predictions"][0]["loss"] == pytest.approx(risen(1e9, 6e9, 4e8), rel=1e-6)
    lines = scaling_lab(*arguments).out.splitlines()
    assert lines[0] == said["sentence"]
    assert [line.split()[0] for line in lines[3:14]] == ["a", "b", "k", "E", "A", "B", "d", "k_d", "k_n", "k_u", "k_in"]
    assert any(line.startswith("loss at 1e+09, 6e+09 tokens, 4e+08 unique") for line in lines)


def test_last_points_alone_are_no_whole_curves(scaling_lab: CommandLine, whole_curves: Path) -> None:
    heading, *rows = whole_curves.read_text().splitlines(keepends=True)
    whole_curves.write_text(heading + "".join(rows[11::12]))
    ended = scaling_lab("fit", str(whole_curves), "--law", "sms", "--bootstrap", "100")
    assert ended.code == 0
    assert "a whole curve has at least 8 points" in ended.out
    whole_curves.write_text(heading + "".join(rows[:11]))
    ended = scaling_lab("fit", str(whole_curves), "--law", "sms")
    assert (ended.code, ended.out) == (2, "")
    assert "eleven parameters take at least 8 whole curves" in ended.err


def test_columns_with_names_of_their_own(scaling_lab: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("width;nats;millions\n" + "".join(f"1;{0.5 * n**-0.3 + 1};{n}\n" for n in (1, 4, 16, 64, 256)))
    ended = scaling_lab("fit", str(path), "--n-column", "millions", "--loss-column", "nats", "--json")
    assert json.loads(ended.out)["alpha"]["value"] == pytest.approx(0.3)
    assert "--n-column NAME" in scaling_lab("fit", str(path)).err


def test_a_law_that_is_not_identified_is_told_with_what_to_run_and_predicts_nothing(
    scaling_lab: CommandLine, tmp_path: Path
) -> None:
    path = tmp_path / "rising.csv"
    path.write_text("n,loss\n1e6,2\n2e6,1.9\n4e6,1.95\n8e6,1.7\n16e6,1.72\n")
    ended = scaling_lab("fit", str(path), "--predict", "1e9")
    assert ended.code == 0
    assert ended.out.startswith("No exponent can be claimed from these 5 runs")
    assert "Nothing is predicted: the law isn't identified." in ended.out
    assert "loss at 1e+09" not in ended.out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("n,loss\n1e6,2\n", "three parameters take at least 4 sizes"),
        ("n,loss\n1e6,2\n4e6,1.8\n", "three parameters take at least 4 sizes"),
        ("n,loss\n1e6,2\n1e6,2.1\n1e6,2.2\n", "three parameters take at least 4 sizes"),
        ("n,loss\n", "three parameters take at least 4 sizes"),
        ("n,loss\n1e6,0\n", "bad.csv:2: loss is '0'"),
        ("n,loss\n1e6,2\n2e6,-1\n", "bad.csv:3: loss is '-1'"),
        ("n,loss\n1e6,2\n2e6,nan\n", "bad.csv:3: loss is 'nan'"),
        ("n,loss\ntiny,2\n", "bad.csv:2: n is 'tiny'"),
        ("", "bad.csv: empty"),
    ],
)
def test_where_nothing_can_be_said_it_ends_with_2(
    scaling_lab: CommandLine, tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    ended = scaling_lab("fit", str(path))
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1
    assert scaling_lab("fit", str(path), "--json").code == 2


def test_it_says_which_columns_it_read(scaling_lab: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "wandb.csv"
    path.write_text("params,loss,val/loss\n" + "".join(f"{n},1,{50 * n**-0.3 + 1 + n % 7 / 1e3}\n" for n in LADDER))
    assert json.loads(scaling_lab("fit", str(path), "--json").out)["columns"] == {"n": "params", "loss": "val/loss"}
    assert "Columns: n is params, loss is val/loss." in scaling_lab("fit", str(path)).out
    ended = scaling_lab("fit", str(path), "--n-column", "loss", "--loss-column", "loss")
    assert ended.code == 2
    assert "column 'loss' is read as two numbers" in ended.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--loss", "lad"), "--loss: --law power has no use for it"),
        (("--delta", "0.1"), "--delta: --law power has no use for it"),
        (("--u-column", "loss"), "--u-column: --law power has no use for it"),
        (("--law", "joint", "--delta", "0"), "--delta: 0.0 is not a positive number"),
    ],
)
def test_an_option_that_does_nothing_is_refused(
    scaling_lab: CommandLine, grid: Path, options: tuple[str, ...], said: str
) -> None:
    ended = scaling_lab("fit", str(grid), *options)
    assert ended.code == 2
    assert said in ended.err


def test_an_exact_law_has_nothing_to_narrow(scaling_lab: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "exact.csv"
    for count in range(4, 9):
        n = np.geomspace(1e6, 1e9, count)
        path.write_text("n,loss\n" + "".join(f"{one!r},{400 * one**-0.34 + 1.7!r}\n" for one in n.tolist()))
        ended = scaling_lab("fit", str(path))
        assert (ended.code, ended.err) == (0, "")
        assert "alpha 0.340000" in ended.out
        assert "What would narrow" not in ended.out


def test_points_of_curves_are_no_sizes(scaling_lab: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("n,loss\n" + "".join(f"{n},{2 + 1 / n}\n" for n in range(1, 1000)))
    ended = scaling_lab("fit", str(path))
    assert ended.code == 2
    assert "999 different sizes" in ended.err


def test_a_prediction_of_no_law_is_null(scaling_lab: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "few.csv"
    path.write_text("n,d,u,loss\n1e6,1e6,1e6,3\n2e6,1e6,1e6,2.9\n")
    for law, place in (("repetition", "1B,1B,1B"), ("joint", "1B,1B"), ("sms", "1B,1B,1B")):
        ended = scaling_lab("fit", str(path), "--law", law, "--predict", place, "--json")
        assert ended.code == 2
        assert json.loads(ended.out)["predictions"][0]["loss"] is None
        assert "claimed from these 2 runs" in scaling_lab("fit", str(path), "--law", law, "--predict", place).err


@pytest.mark.parametrize("number", ["1e300", "1e-300"])
def test_a_number_that_no_run_has_is_named(scaling_lab: CommandLine, tmp_path: Path, number: str) -> None:
    path = tmp_path / "huge.csv"
    for row in (f"{number},2", f"1e8,{number}"):
        path.write_text(f"n,loss\n1e6,2.5\n4e6,2.2\n1.6e7,2\n{row}\n")
        ended = scaling_lab("fit", str(path))
        assert ended.code == 2
        assert "which no run has" in ended.err


def test_a_place_to_predict_that_is_none(scaling_lab: CommandLine, ladder: Path, grid: Path) -> None:
    assert "give one size" in scaling_lab("fit", str(ladder), "--predict", "1e6,2e6").err
    assert (
        "give a size and a number of tokens" in scaling_lab("fit", str(grid), "--law", "joint", "--predict", "1e6").err
    )
    assert scaling_lab("fit", str(ladder), "--predict", "xl").code == 2


def test_a_million_rows_are_an_answer_too(scaling_lab: CommandLine, tmp_path: Path) -> None:
    path, random = tmp_path / "many.csv", np.random.default_rng(0)
    n = np.repeat(np.array(LADDER), 200_000)
    loss = (0.5 * (n / 25.6e6) ** -0.27 + 0.7) * (1 + 0.003 * random.standard_normal(len(n)))
    np.savetxt(path, np.stack((n, loss), axis=1), fmt="%.9g", delimiter=",", header="n,loss", comments="")
    said = json.loads(scaling_lab("fit", str(path), "--json").out)
    assert (said["verdict"], said["n_points"]) == ("identified", 1_000_000)
    assert said["alpha"]["low"] < 0.27 < said["alpha"]["high"]
