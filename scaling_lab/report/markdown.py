"""The report as Markdown, for a README, an issue or a terminal: the conclusion first, then why, then the tables.

`scaling-lab report --format md` writes it. Names and texts come from outside: every one is escaped, so that it is text
to whoever renders it, CommonMark or GitHub, and can neither end a cell nor become HTML, a link, a formula or a mention.
"""

import html
import re
from collections.abc import Iterable, Mapping, Sequence

from scaling_lab.laws import CAVEATS
from scaling_lab.report import formats, story, tables
from scaling_lab.report.music import heard, measures_table, music_by_size
from scaling_lab.report.study_page import OUTPUTS
from scaling_lab.report.tables import Column, Table
from scaling_lab.report.unfinished import unfinished_caption, unfinished_table
from scaling_lab.studies.analysis import COUNTS, StudyAnalysis
from scaling_lab.studies.foretelling import Score

_MARKS = re.compile(r"[\\`*_\[\]|~$#]")
# What GitHub makes links and mentions of, whatever stands before it.
_LINKS = re.compile(r"(?i)(?<=www)\.|:(?=//)|@")


def escaped(text: str) -> str:
    """Text from outside as Markdown that says just that, on one line."""
    safe = _MARKS.sub(r"\\\g<0>", html.escape(formats.plain(text), quote=False))
    return _LINKS.sub(lambda found: f"&#{ord(found[0])};", safe)


def render_markdown(
    analysis: StudyAnalysis, scores: Sequence[Score] = (), images: Mapping[str, str] | None = None
) -> str:
    """The report as Markdown; `images` are the addresses of its figures by name, those that are to be shown."""
    blocks = [
        *_conclusion(analysis),
        *_reasons(analysis),
        *_figures(analysis, images or {}),
        *_section("Not finished", unfinished_table(analysis), unfinished_caption(analysis)),
        *_section("Every run", tables.summary_table(analysis)),
        *_section("The law however size is counted", tables.laws_table(analysis), *_law_in_words(analysis)),
        *_section("Without the largest size", tables.forms_table(analysis), story.largest_foretold(analysis)),
        *_section("Alpha when a size is left out", tables.jackknife_table(analysis)),
        *_section("What this study can't show", tables.lints_table(analysis)),
        *_section("Foretold before it was trained", tables.foretold_table(scores)),
        *_section("What to run next", tables.next_runs_table(analysis), story.next_runs(analysis)),
        *_music(analysis),
        *_foundations(analysis),
        *_section("Runs left out", tables.left_out_table(analysis)),
        *_again(analysis),
    ]
    return "\n\n".join(blocks) + "\n"


def _conclusion(analysis: StudyAnalysis) -> list[str]:
    step = story.next_step(analysis)
    said = (analysis.flips(), analysis.other_exponents(), story.meaning(analysis), step and f"Next: {step}")
    return [
        f"# {escaped(story.title(analysis))}",
        f"**{escaped(story.badge(analysis)[0])}.** {escaped(story.sentence(analysis))}",
        *map(escaped, filter(None, said)),
    ]


def _reasons(analysis: StudyAnalysis) -> list[str]:
    if not analysis.law.reasons:
        return []
    items = [
        f"{number}. **{escaped(reason.name.replace('-', ' '))}**: {escaped(reason.detail)}  \n"
        f"   Cure: {escaped(reason.cure)}"
        for number, reason in enumerate(analysis.law.reasons, start=1)
    ]
    return ["## Why no exponent is claimed, and what would change that", "\n".join(items)]


def _figures(analysis: StudyAnalysis, images: Mapping[str, str]) -> list[str]:
    captions = {f"scaling-{count}": story.scaling_caption(analysis, count) for count in COUNTS}
    blocks = []
    for name, address in images.items():
        # `<…>`: an address may have spaces and brackets in it.
        blocks.append(f"![{escaped(name.replace('-', ' ').replace('_', '-'))}](<{address}>)")
        if name in captions:
            blocks.append(escaped(captions[name]))
    return ["## Figures", *blocks] if blocks else []


def _section(title: str, content: Table, *words: str | None) -> list[str]:
    """A table under its title and the words that explain it; nothing where it has no row."""
    return [f"## {title}", *map(escaped, filter(None, words)), _table(content)] if content.rows else []


def _law_in_words(analysis: StudyAnalysis) -> list[str]:
    words = ["L = a·x^-alpha + c, x a count of parameters or of FLOPs."]
    if analysis.flips() is None and analysis.other_exponents() is None:
        words.append("The verdict is the same under every count.")
    if analysis.law.verdict != "identified":
        words.append("Numbers of a law that is not identified describe these points. They foretell nothing.")
    return words


def _music(analysis: StudyAnalysis) -> list[str]:
    """The measures of what each size wrote; the tunes themselves are heard on the page."""
    music = music_by_size(analysis.runs, OUTPUTS)
    if music is None:
        return []
    words = f"What one run of each size wrote freely with its best model, {music.way}, beside as much held-out music."
    spread = "After ±, the standard error. A distance is the Jensen-Shannon divergence to other held-out tunes, 0 to 1."
    return _section("Music by size", measures_table(music), heard(music), words, music.told_without, spread)


def _foundations(analysis: StudyAnalysis) -> list[str]:
    recipe = analysis.runs[0].results.get("config", {}).get("recipe", {}) if analysis.runs else {}
    content = tables.recipe_table(recipe)
    facts = [f"**{fact.term}**: {escaped(fact.text)}" for fact in story.foundations(analysis)]
    shared = ["The same for every size:", _table(content)] if content.rows else []
    return ["## What it rests on", _listed(facts), *shared, _listed(map(escaped, CAVEATS))]


def _again(analysis: StudyAnalysis) -> list[str]:
    # Indented rather than fenced: nothing in a command can end it.
    commands = "\n".join(f"    {command}" for command in story.commands(analysis))
    facts = [f"**{fact.term}**: {escaped(fact.text)}" for fact in story.origins(analysis)] if analysis.runs else []
    return ["## Do it again", "In a checkout of scaling-lab:", commands, *([_listed(facts)] if facts else [])]


def _listed(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _table(content: Table) -> str:
    heads = [escaped(_head(column)) for column in content.columns]
    rules = ["---:" if column.numeric else ":---" for column in content.columns]
    rows = [[escaped(cell.text) for cell in row] for row in content.rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rules, *rows))


def _head(column: Column) -> str:
    """A column's title with what stands over it: Markdown has no second row of heads."""
    return column.title if column.group in ("", column.title) else f"{column.group}: {column.title}"
