"""`scaling-lab data …`: music made into a dataset, and a dataset looked at before it is trained on."""

import typer

from scaling_lab.commands.data.fetch import fetch
from scaling_lab.commands.data.inspect import inspect
from scaling_lab.commands.data.prepare import prepare
from scaling_lab.commands.data.validate import validate

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def data() -> None:
    """Datasets in the guide's layout: train/data.json, val/data.json, test/data.json."""


app.command()(prepare)
app.command()(inspect)
app.command()(validate)
app.command()(fetch)
