"""The tables of a report: in each cell text for people, and beside it the full value for code that reads the page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from scaling_lab.history.runs import LeftOut
from scaling_lab.laws import Interval, PowerLawFit
from scaling_lab.laws.comparison import power_forms_of
from scaling_lab.report import formats
from scaling_lab.report.figures import size_names
from scaling_lab.studies.analysis import COUNTS, FLOPS_COUNTS, HEADLINE_COUNT, StudyAnalysis, count_name, run_summary
from scaling_lab.studies.foretelling import Score

Value = str | int | float | None


@dataclass(frozen=True)
class Cell:
    """text: what is read. value: what it stands for, to the last digit."""

    text: str
    value: Value

    @property
    def data_value(self) -> str:
        """The value as text that reads back to it; empty where there is none."""
        if self.value is None:
            return ""
        return formats.plain(self.value) if isinstance(self.value, str) else repr(self.value)


@dataclass(frozen=True)
class Column:
    """key: a name for code. title: the head. group: what stands over it and its neighbours. numeric: aligned right."""

    key: str
    title: str
    group: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Table:
    """Columns, and rows with one cell for each; the first cell names the row."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Neighbouring columns of one group, as (group, number of columns); empty where no column has one."""
        groups: list[tuple[str, int]] = []
        for column in self.columns:
            if groups and groups[-1][0] == column.group:
                groups[-1] = (column.group, groups[-1][1] + 1)
            else:
                groups.append((column.group, 1))
        return groups if any(group for group, _ in groups) else []


@dataclass(frozen=True)
class _Field:
    """A column of the summary: where its value is in run_summary, and how it is written."""

    path: str
    title: str
    group: str
    write: Callable[[Any], str]

    def cell(self, summary: dict[str, Any]) -> Cell:
        value: Any = summary
        for key in self.path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value is None:
            return Cell(formats.ABSENT, None)
        # Results are read from outside: what should be a number may be anything.
        is_expected = isinstance(value, str) == (self.path in _WORDS)
        return Cell(self.write(value) if is_expected else formats.plain(str(value)), value)


def _decimals(places: int) -> Callable[[Any], str]:
    return lambda value: formats.fixed(value, places)


_SUMMARY = (
    _Field("size", "size", "", formats.plain),
    _Field("seed", "seed", "", str),
    _Field("parameters.total", "total", "parameters N", formats.whole),
    _Field("parameters.non_embedding", "non-embedding", "parameters N", formats.whole),
    _Field("parameters.matmul", "matmul", "parameters N", formats.whole),
    _Field("final_train_loss", "train", "loss, nats a token", _decimals(4)),
    _Field("final_val_loss", "validation", "loss, nats a token", _decimals(4)),
    _Field("bits_per_character", "a character", "validation, bits", _decimals(3)),
    _Field("bits_per_byte", "a byte", "validation, bits", _decimals(3)),
    _Field("bits_per_note", "a note", "validation, bits", _decimals(3)),
    _Field("flops_per_token", "FLOPs a token", "budget", formats.count),
    _Field("steps", "steps", "budget", formats.whole),
    _Field("tokens", "tokens", "budget", formats.count),
    _Field("tokens_per_second", "tokens/s", "speed", formats.count),
    _Field("mfu", "MFU", "speed", formats.percent),
    _Field("training_seconds", "time", "speed", formats.duration),
    _Field("state", "state", "", formats.plain),
    _Field("model.d_model", "d_model", "architecture", str),
    _Field("model.n_layers", "layers", "architecture", str),
    _Field("model.n_heads", "heads", "architecture", str),
    _Field("model.d_ff", "d_ff", "architecture", str),
    _Field("name", "run", "", formats.plain),
)
_WORDS = frozenset({"size", "state", "name"})


def summary_table(analysis: StudyAnalysis) -> Table:
    """Architecture, budget, losses and speed of every run that was fitted."""
    columns = tuple(Column(field.path, field.title, field.group, field.path not in _WORDS) for field in _SUMMARY)
    summaries = [run_summary(run) for run in analysis.runs]
    return Table(columns, tuple(tuple(field.cell(summary) for field in _SUMMARY) for summary in summaries))


def laws_table(analysis: StudyAnalysis) -> Table:
    """The law under each count of N and of FLOPs: every parameter with its interval, and the verdict."""
    words = (("count", "size as"), ("counted", "what it counts"), ("verdict", "verdict"))
    columns = (
        *(Column(key, title, numeric=False) for key, title in words),
        *parameter_columns(analysis.law),
        Column("reasons", "why not", numeric=False),
    )
    return Table(columns, tuple(_law_row(count, law) for count, law in analysis.laws.items()))


def _law_row(count: str, law: PowerLawFit) -> tuple[Cell, ...]:
    reasons = ", ".join(reason.name for reason in law.reasons)
    return (
        Cell(count_name(count), count),
        text_cell((COUNTS | FLOPS_COUNTS)[count]),
        Cell(law.verdict, law.verdict),
        *parameter_cells(law),
        Cell(reasons.replace("-", " ") or formats.ABSENT, reasons),
    )


def parameter_columns(law: PowerLawFit) -> tuple[Column, ...]:
    """alpha, a and c, each with its interval."""
    title = f"{formats.percent(law.confidence, 0)} interval"
    pairs = [(Column(name, name, name), Column(f"{name}.interval", title, name)) for name in ("alpha", "a", "c")]
    return tuple(column for pair in pairs for column in pair)


def parameter_cells(law: PowerLawFit) -> tuple[Cell, ...]:
    """What stands under parameter_columns."""
    return tuple(cell for interval in (law.alpha, law.a, law.c) for cell in interval_cells(interval))


def interval_cells(interval: Interval) -> tuple[Cell, Cell]:
    """A value, and its interval."""
    value, ends = formats.estimate(interval.value, interval.low, interval.high)
    return Cell(value, interval.value), Cell(ends, f"{interval.low!r} {interval.high!r}")


def jackknife_table(analysis: StudyAnalysis) -> Table:
    """Alpha without each size in turn, and whether the other sizes rule out the alpha of all."""
    columns = (
        Column("size", "left out", numeric=False),
        Column("n", "N"),
        Column("alpha", "alpha of the others"),
        Column("contradicts", "rules out the alpha of all", numeric=False),
    )
    names = size_names(analysis.runs, HEADLINE_COUNT)
    rows = []
    for left in analysis.law.jackknife:
        name = names.get(left.n, formats.count(left.n))
        answer = "yes" if left.contradicts else "no"
        rows.append(
            (
                Cell(name, name),
                Cell(formats.count(left.n), left.n),
                Cell(formats.fixed(left.alpha, 3), left.alpha),
                Cell(answer, answer),
            )
        )
    return Table(columns, tuple(rows))


def forms_table(analysis: StudyAnalysis) -> Table:
    """Other forms of L(N), each fitted without the largest size and asked for it; the nearest first."""
    columns = (
        Column("form", "form", numeric=False),
        Column("n_parameters", "parameters"),
        Column("relative_error", "foretold / observed − 1"),
    )
    rows = [
        (
            text_cell(one.form),
            Cell(str(one.n_parameters), one.n_parameters),
            Cell(f"{100 * one.relative_error:+.2f} %", one.relative_error),
        )
        for one in power_forms_of(analysis.law.sizes)
    ]
    return Table(columns, tuple(rows))


def foretold_table(scores: Sequence[Score]) -> Table:
    """Predictions that were written down, and how they did."""
    words = (Column("made", "made", numeric=False), Column("size", "of", numeric=False))
    numbers = (Column("n", "N"), Column("loss", "foretold"), Column("interval", "interval"))
    results = (Column("observed", "observed"), Column("error", "error"), Column("held", "held", numeric=False))
    return Table((*words, *numbers, *results), tuple(_foretold_row(score) for score in scores))


def _foretold_row(score: Score) -> tuple[Cell, ...]:
    one, observed = score.foretold, score.observed
    interval = f"{one.low:.4f} to {one.high:.4f}"
    error = None if observed is None else one.loss / observed - 1
    held = {True: "yes", False: "no", None: "not trained yet"}[score.held]
    verdict = held if one.untouched else "changed since it was written"
    return (
        text_cell(one.made),
        text_cell(one.size),
        Cell(formats.count(one.n), one.n),
        Cell(f"{one.loss:.4f}", one.loss),
        Cell(interval, interval),
        Cell(formats.ABSENT if observed is None else f"{observed:.4f}", observed),
        Cell(formats.ABSENT if error is None else f"{100 * error:+.2f} %", error),
        Cell(verdict, verdict),
    )


def next_runs_table(analysis: StudyAnalysis) -> Table:
    """Runs that would narrow the interval of alpha, most per FLOP first: their cost, and what is left of its width."""
    columns = (
        Column("text", "what to train", numeric=False),
        Column("n_runs", "runs"),
        Column("cost", "FLOPs"),
        Column("half_width", "alpha then known to ±"),
    )
    rows = [
        (
            text_cell(runs.text),
            Cell(str(len(runs.n)), len(runs.n)),
            Cell(formats.count(runs.cost), runs.cost),
            Cell(f"{runs.half_width:.2g}", runs.half_width),
        )
        for runs in analysis.next_runs
    ]
    return Table(columns, tuple(rows))


def lints_table(analysis: StudyAnalysis) -> Table:
    """What the study can't show."""
    columns = (Column("name", "what", numeric=False), Column("text", "why, and a way out", numeric=False))
    rows = [(Cell(found.name.replace("-", " "), found.name), text_cell(found.text)) for found in analysis.lints]
    return Table(columns, tuple(rows))


LEFT_OUT_COLUMNS = tuple(
    Column(key, title, numeric=False)
    for key, title in (("name", "run"), ("size", "size"), ("seed", "seed"), ("reason", "reason"))
)


def left_out_table(analysis: StudyAnalysis) -> Table:
    """Every run that was found and not fitted, with the reason."""
    return Table(LEFT_OUT_COLUMNS, tuple(left_out_cells(run) for run in analysis.left_out))


def left_out_cells(run: LeftOut) -> tuple[Cell, ...]:
    """What stands under LEFT_OUT_COLUMNS."""
    seed = Cell(formats.ABSENT if run.seed is None else str(run.seed), run.seed)
    return text_cell(run.name), text_cell(run.size), seed, text_cell(run.reason)


def recipe_table(recipe: dict[str, Any]) -> Table:
    """What was held constant over the ladder."""
    columns = (Column("key", "recipe", numeric=False), Column("value", "value"))
    return Table(columns, tuple(_setting_row(key, value) for key, value in recipe.items() if value is not None))


def _setting_row(key: str, value: str | int | float) -> tuple[Cell, Cell]:
    if isinstance(value, int) and value >= 1000:
        return Cell(formats.plain(key), key), Cell(formats.whole(value), value)
    return Cell(formats.plain(key), key), Cell(formats.plain(str(value)), value)


def text_cell(text: str | None) -> Cell:
    """Words, of ours or from outside."""
    return Cell(formats.ABSENT if text is None else formats.plain(text), text)
