"""Published tables of runs fitted again: their authors' estimates beside ours, under the authors' objective.

    python benchmarks/published.py --chinchilla svg_extracted_data.csv --gemstones wandb_df_for_fitting_cool_end.jsonl \
        --misfitting scaling_results_last_ckpt_only.csv --datablations parametric_fit.ipynb --porian porian.csv

Nothing is downloaded. Each file is one of a public repository, under that repository's licence:

    --chinchilla    epoch-research/analyzing-chinchilla, data/svg_extracted_data.csv; it states no licence
    --gemstones     mcleish7/gemstone-scaling-laws, wandb_dfs/wandb_df_for_fitting_{hot,cool_end}.jsonl; MIT
    --misfitting    hadasah/scaling_laws, data/scaling_results_last_ckpt_only.csv; it states no licence
    --datablations  huggingface/datablations, utils/parametric_fit.ipynb, whose output lists the runs; Apache 2.0
    --porian        formll/resolving-scaling-law-discrepancies, data/summary_df.pickle.xz as CSV; MIT. Unpickling runs
                    what the file says, so look at it first; then, with pandas:

        columns = ["flops", "orig_n", "orig_t", "orig_loss"]
        rows = [row.data[columns].assign(study=f"{row.hparams} {row.warmup} {row.decay} {row.param_count} {row.val}")
                for row in pandas.read_pickle("summary_df.pickle.xz").itertuples()]
        pandas.concat(rows).explode(columns[1:]).dropna().to_csv("porian.csv", index=False)
"""

import argparse
import csv
import json
from collections.abc import Callable, Mapping, Sequence
from math import inf
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from scaling_lab.laws import JointLawFit, fit_isoflop, fit_joint_law, fit_repetition
from scaling_lab.laws.joint.robustness import Objective
from scaling_lab.laws.joint.solver import huber
from scaling_lab.laws.region import Interval
from scaling_lab.laws.repetition import effective_tokens

Array = np.ndarray
NELDER_MEAD = {"xatol": 1e-9, "fatol": 1e-13, "maxiter": 20_000, "maxfev": 20_000, "adaptive": True}
Theta = Sequence[float] | Array  # ln A, ln B, ln E, alpha and beta, as these repositories write them

# data_analysis.ipynb of the repository: cells 16, 18, 24 and, in a comment, 33.
HOFFMANN = {"Hoffmann et al.": (6.0073404, 6.0179186, 0.5267228, 0.33917084, 0.2849083)}
GRID = {"Besiroglu et al., grid": (6.16927953, 7.67036499, 0.59731639, 0.34731266, 0.36718262)}
HEADLINE = {"Besiroglu et al., headline": (6.17795598, 7.64273236, 0.59711196, 0.34781303, 0.36585412)}
OUTLIERS = {"Besiroglu et al., with outliers": (6.13834459, 9.43584213, 0.63412782, 0.3453568, 0.45189211)}
# parameters_delta-{3,4}/approach_3_parameters_grid_search_0_{hot,cool_end}.json.
GEMSTONES = {
    ("hot", 1e-3): (5.3613398367, 15.415994531, 0.7622636901, 0.2928686863, 0.712872206),
    ("hot", 1e-4): (5.4574988414, 14.9719740349, 0.7663168139, 0.2989180518, 0.6928331414),
    ("cool_end", 1e-3): (5.4197160371, 12.5138998709, 0.7297863295, 0.3002728205, 0.580241077),
    ("cool_end", 1e-4): (5.3627962101, 14.9717677508, 0.7458889548, 0.2970133066, 0.6903991635),
}
# analysis_form_misfitting_new_final_C_vs_N.json, "Hoffmann Form".
MISFITTING = {"Li et al.": (3.9388019787, 13.0557637530, 0.5920763932, 0.2001958009, 0.6356967860)}
# utils/parametric_fit.ipynb: five constants of other runs (cell 7), then R_D* and R_N* (cell 29), R_D* alone (cell 36).
C4, BOTH, DATA_ALONE = (6.255414, 7.3049974, 0.6254804, 0.3526596, 0.3526596), (15.387756, 5.309743), 2.9157212
# bs_median_weighted of summary_df.pickle.xz, with the quantiles of bootstrap_weighted that paper_tables.py takes.
PORIAN = {
    "base long kaplan kaplan train": "0.835 (0.824, 0.846)",
    "base long kaplan standard val": "0.706 (0.691, 0.717)",
    "base short kaplan standard val": "0.602 (0.591, 0.617)",
    "base short chinchilla standard val": "0.571 (0.560, 0.589)",
    "tuned short const standard val": "0.497 (0.491, 0.505)",
}


def value(theta: Theta, points: Array, delta: float) -> float:
    """The objective's sum over runs: Huber's at delta, absolute deviations at 0, squares at infinity."""
    (n, d, loss), (a, b, e, alpha, beta) = points, theta
    terms = a - alpha * np.log(n), b - beta * np.log(d), np.full(len(n), e)
    residual = np.asarray(logsumexp(terms, axis=0)) - np.log(loss)
    return float((huber(residual, delta) if delta else abs(residual)).sum())


def gone_on(at: Callable[[Array], float], theta: Theta, free: Sequence[int]) -> Array:
    """theta where `at` is least, its entries `free` moved by the method of Nelder and Mead."""
    begin, x = np.array(theta), np.array(theta)[list(free)]

    def moved(x: Array) -> Array:
        there = begin.copy()
        there[list(free)] = x
        there[:2] += (there[3:5] - begin[3:5]) * (18, 22)  # what A/N^alpha is at e^18, and B/D^beta at e^22, stays
        return there

    for _ in range(6):  # the simplex is made anew where it has collapsed
        x = minimize(lambda x: 1e4 * at(moved(x)), x, method="Nelder-Mead", options=NELDER_MEAD).x
    return moved(x)


def in_logarithms(fit: JointLawFit) -> Theta:
    return (*np.log([fit.a.value, fit.b.value, fit.e.value]), fit.alpha.value, fit.beta.value)


def ranged(interval: Interval) -> str:
    return f"{interval.value:.4g} ({interval.low:.3g}, {interval.high:.3g})"


def row(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


def joint(title: str, points: Array, objective: Objective, delta: float, theirs: Mapping[str, Theta]) -> None:
    """Their fits and ours, each with the objective's value there: the lower is the better."""
    taken = {"huber": delta, "lad": 0.0, "lsq": inf}[objective]
    named = f"{title}, {points.shape[1]} rows, {f'Huber {delta:g}' if objective == 'huber' else objective}"
    for who, theta in theirs.items():
        a, b, e = np.exp(theta[:3])
        row(named, who, f"{value(theta, points, taken):.7g}", *(f"{one:.4g}" for one in (e, a, theta[3], b, theta[4])))
    fit = fit_joint_law(*points, objective=objective, delta=delta)
    told = (ranged(interval) for interval in (fit.e, fit.a, fit.alpha, fit.b, fit.beta))
    row(named, f"ours, {fit.verdict}", f"{value(in_logarithms(fit), points, taken):.7g}", *told)


def chinchilla(path: Path) -> None:
    n, c, loss = columns(read(path), "Model Size", "Training FLOP", "loss")
    points, kept = np.stack((n, c / (6 * n), loss)), loss < np.sort(loss)[-5]  # as in cell 15
    joint("Chinchilla", points[:, kept], "huber", 1e-3, HOFFMANN | GRID)
    joint("Chinchilla", points[:, kept], "lad", 1e-3, HEADLINE)
    joint("Chinchilla", points[:, kept], "lsq", 1e-3, {})
    joint("Chinchilla", points, "lad", 1e-3, OUTLIERS)


def gemstones(path: Path) -> None:
    runs = [json.loads(line) for line in path.read_text().splitlines()]
    points = columns(runs, "params_active_precise", "tokens", "final_loss")
    for (subset, delta), theta in GEMSTONES.items():
        if path.stem.endswith(f"fitting_{subset}"):
            on = gone_on(lambda x, delta=delta: value(x, points, delta), theta, range(5))
            joint(f"Gemstones {subset}", points, "huber", delta, {"McLeish et al.": theta, "gone on with": on})


def misfitting(path: Path) -> None:
    points = columns(read(path), "N", "D", "C4 Eval Loss")
    joint("Misfitting", points, "huber", 1e-3, MISFITTING)
    rising = points[:, np.argsort(points[2])]
    best = np.unique(rising[:2], axis=1, return_index=True)[1]  # of each N and D, over learning rates
    joint("Misfitting, best rates", rising[:, best], "huber", 1e-3, MISFITTING)


def datablations(path: Path) -> None:
    """Muennighoff et al.: parameters beyond what U deserves are worth less too, N' = U_N + U_N·R_N*·(...)."""
    outputs = [output for cell in json.loads(path.read_text())["cells"] for output in cell.get("outputs", ())]
    listed = [[line.split()[1:] for line in output.get("text", ())] for output in outputs]
    runs = next(lines for lines in listed if len(lines) == 182 and all(len(line) == 4 for line in lines))
    n, d, u, loss = np.array(runs, dtype=np.float64).T * np.array([[1e9], [1e9], [1e9], [1]])
    deserved = np.exp((C4[0] - C4[1]) / C4[3]) * u

    def at(theta: Theta) -> float:
        r_d, r_n = np.exp(theta[5:])
        worth = n if np.isinf(r_n) else effective_tokens(n, deserved, r_n)
        return value(theta[:5], np.stack((worth, effective_tokens(d, u, r_d), loss)), 1e-3)

    both, data_alone = (*C4, *np.log(BOTH)), (*C4, np.log(DATA_ALONE), inf)
    for what, theirs, free in (("R_D*, R_N*", both, (5, 6)), ("R_D*", data_alone, (5,)), ("all seven", both, range(7))):
        for who, theta in (("Muennighoff et al.", theirs), ("gone on with", gone_on(at, theirs, free))):
            numbers = (f"{number:.4g}" for number in (*np.exp(theta[5:]), *theta[3:5]))
            row(what, who, f"{at(theta):.7g}", *numbers)
    ours = fit_repetition(n, d, u, loss)
    least = f"{at((*in_logarithms(ours.joint), np.log(ours.r_star.value), inf)):.7g}"
    law = ranged(ours.joint.alpha), ranged(ours.joint.beta)
    row("all but R_N*", f"ours, {ours.verdict}", least, ranged(ours.r_star), "inf", *law)


def porian(path: Path) -> None:
    for study, theirs in PORIAN.items():
        c, n, loss = columns([line for line in read(path) if line["study"] == study], "flops", "orig_n", "orig_loss")
        best = np.array([n[c == budget][np.argmin(loss[c == budget])] for budget in c])
        near = np.abs(np.log(n / best)) < np.log(3)
        fits = [fit_isoflop(c[kept], n[kept], loss[kept]) for kept in (n > 0, near)]
        row(study, theirs, *(f"{ranged(fit.exponent)}, {fit.n_points} rows" for fit in fits))


def read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def columns(rows: list[dict[str, str]], *names: str) -> Array:
    return np.array([[float(line[name]) for line in rows] for name in names])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    heads = {
        "rows and objective | whose | objective | E | A | alpha | B | beta": (chinchilla, gemstones, misfitting),
        "what is fitted | whose | objective | R_D* | R_N* | alpha | beta": (datablations,),
        "study | Porian et al. | ours, all sizes | ours, sizes within 3x of the best": (porian,),
    }
    for told in (chinchilla, gemstones, misfitting, datablations, porian):
        parser.add_argument(f"--{told.__name__}", type=Path, nargs="+", default=[], metavar="FILE")
    given = vars(parser.parse_args())
    for head, tellers in heads.items():
        if files := [(told, path) for told in tellers for path in given[told.__name__]]:
            print(f"\n| {head} |\n|{' --- |' * (head.count('|') + 1)}")
        for told, path in files:
            told(path)


if __name__ == "__main__":
    main()
