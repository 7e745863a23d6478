"""Runs, rows, files and projects by the real SDK: what was put in comes out, and once."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import RunningServer, wait_until

pytestmark = pytest.mark.slow

Script = Callable[..., Any]

VALUES = """
import math, random
def value(step):
    special = {97: math.nan, 101: math.inf, 103: -math.inf}
    return next((special[n] for n in special if step % n == 0), random.Random(step).uniform(-1e300, 1e300))
"""
FIVE_RUNS = """
for number in range(5):
    config = {"lr": number / 10, "model": {"size": number}}
    names = {"id": f"run-{number}", "name": f"name-{number}", "group": f"group-{number % 2}"}
    with wandb.init(project="p", config=config, tags=[f"tag-{number}"], **names) as run:
        for step in range(3):
            run.log({"loss": 10 * number + step})
"""


@pytest.fixture
def script(server: RunningServer, tmp_path: Path) -> Script:
    """`script(source, *arguments)` runs Python that has `wandb` and prints one value, as JSON; the value."""

    def run(source: str, *arguments: object) -> Any:
        said = server.python("import json, pathlib, sys, wandb\n" + source, *map(str, arguments), cwd=tmp_path)
        return json.loads(said.splitlines()[-1]) if said.strip() else None

    return run


def test_ten_thousand_steps_come_back_exactly_nan_and_infinities_too(script: Script) -> None:
    script(f"""{VALUES}
with wandb.init(project="p", id="exact") as run:
    for step in range(10_000):
        run.log({{"train/loss": value(step), "train/step": step}})
""")
    read = script(f"""{VALUES}
rows = list(wandb.Api().run("local/p/exact").scan_history(use_cache=False))
wrong = [row["_step"] for row in rows if repr(float(row["train/loss"])) != repr(value(row["train/step"]))]
print(json.dumps([[row["_step"] for row in rows], wrong]))
""")
    assert read == [list(range(10_000)), []]


def test_an_offline_run_synced_three_times_has_every_row_and_line_once(
    server: RunningServer, script: Script, tmp_path: Path
) -> None:
    script("""
with wandb.init(project="p", id="late", mode="offline") as run:
    pathlib.Path("kept.txt").write_text("kept")
    run.save("kept.txt")
    for step in range(500):
        print("line", step)
        run.log({"loss": step / 3})
print("null")
""")
    for _ in range(3):
        (folder,) = (tmp_path / "wandb").glob("offline-run-*")
        command = [sys.executable, "-m", "wandb", "sync", "--include-synced", str(folder)]
        subprocess.run(command, cwd=tmp_path, env=server.environment(), check=True, capture_output=True, timeout=120)
    read = script("""
run = wandb.Api().run("local/p/late")
rows = [(row["_step"], row["loss"]) for row in run.scan_history(use_cache=False)]
log = run.file("output.log").download(replace=True).read().splitlines()
print(json.dumps([rows, run.state, run.summary["loss"], log, run.file("kept.txt").download(replace=True).read()]))
""")
    assert read[0] == [[step, step / 3] for step in range(500)]
    assert read[1:3] == ["finished", 499 / 3]
    assert [line for line in read[3] if line.startswith("line")] == [f"line {step}" for step in range(500)]
    assert read[4] == "kept"


def test_a_run_is_gone_on_with_only_as_asked(script: Script) -> None:
    begin = """
mode = sys.argv[1]
try:
    with wandb.init(project="p", id="again", resume=mode) as run:
        begun_at = run.starting_step
        for _ in range(3):
            run.log({"loss": 1})
    print(json.dumps(begun_at))
except wandb.errors.UsageError as error:
    print(json.dumps(type(error).__name__))
"""
    assert script(begin, "must") == "UsageError"
    assert script(begin, "never") == 0
    assert script(begin, "allow") == 3
    assert script(begin, "must") == 6
    assert script(begin, "never") == "UsageError"
    steps = script("""
rows = wandb.Api().run("local/p/again").scan_history(use_cache=False)
print(json.dumps([row["_step"] for row in rows]))
""")
    assert steps == list(range(9))


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ({"config.lr": 0.2}, [2]),
        ({"config.model.size": {"$gte": 3}}, [3, 4]),
        ({"tags": {"$in": ["tag-1", "tag-4"]}}, [1, 4]),
        ({"group": "group-1", "state": "finished"}, [1, 3]),
        ({"display_name": {"$regex": "name-[12]"}}, [1, 2]),
        ({"$or": [{"name": "run-0"}, {"summary_metrics.loss": {"$gt": 40}}]}, [0, 4]),
        ({"$not": {"group": "group-0"}}, [1, 3]),
        ({"created_at": {"$lt": "2020-01-01"}}, []),
        ({"jobType": None, "username": "local"}, [0, 1, 2, 3, 4]),
    ],
)
def test_filters_find_the_runs_that_they_are_true_of(
    five_runs: RunningServer, tmp_path: Path, filters: dict[str, Any], numbers: list[int]
) -> None:
    query = """
query Runs($filters: JSONString) { project(name: "p", entityName: "local") {
    runCount(filters: $filters)
    runs(filters: $filters, order: "+created_at") { edges { node { name } } }
} }
"""
    project = five_runs.graphql(query, filters=json.dumps(filters))["project"]
    assert [edge["node"]["name"] for edge in project["runs"]["edges"]] == [f"run-{number}" for number in numbers]
    assert project["runCount"] == len(numbers)


@pytest.fixture(scope="module")
def five_runs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server with five runs, for tests that change nothing."""
    folder = tmp_path_factory.mktemp("five")
    (folder / "home").mkdir()
    server = RunningServer(folder / "store", folder / "home").start()
    server.python("import wandb\n" + FIVE_RUNS, cwd=folder)
    yield server
    assert server.gaps() == {}
    server.stop()


def test_runs_are_ordered_paged_and_read_lazily_or_whole(five_runs: RunningServer, tmp_path: Path) -> None:
    said = five_runs.python(
        """
import json, wandb
api = wandb.Api()
found = api.runs("local/p", order="-summary_metrics.loss", per_page=2)
whole = [(run.id, run.config["lr"], run.summary["loss"]) for run in api.runs("local/p", lazy=False)]
rest = [run.id for run in api.runs("local/p", {"group": "group-0"}, per_page=1)[1:3]]
print(json.dumps([len(found), [run.id for run in found], whole, rest]))
""",
        cwd=tmp_path,
    )
    length, ordered, whole, rest = json.loads(said)
    assert length == 5
    assert ordered == [f"run-{number}" for number in (4, 3, 2, 1, 0)]
    assert whole == [[f"run-{number}", number / 10, 10 * number + 2] for number in range(5)]
    assert rest == ["run-2", "run-4"]


def test_a_run_is_renamed_tagged_summarised_stopped_and_deleted(script: Script) -> None:
    script(FIVE_RUNS)
    assert script("""
run = wandb.Api().run("local/p/run-0")
run.name, run.notes, run.group = "renamed", "seen", "mine"
run.tags.append("good"); run.config["added"] = 1
run.summary["best"] = 0.5
run.update()
run.summary.update({"deep": {"inner": 1}})
again = wandb.Api().run("local/p/run-0")
again.load_full_data(force=True)
facts = [again.name, again.notes, again.group, again.tags, again.config["added"], again.summary["best"]]
wandb.Api().run("local/p/run-1").delete()
print(json.dumps([*facts, again.summary["deep"]["inner"], sorted(run.id for run in wandb.Api().runs("local/p"))]))
""") == [
        "renamed",
        "seen",
        "mine",
        ["tag-0", "good"],
        1,
        0.5,
        1,
        ["run-0", "run-2", "run-3", "run-4"],
    ]


def test_files_of_a_run_are_listed_fetched_added_and_removed(script: Script) -> None:
    assert script("""
names = ["a b.txt", "sub/ünï.txt", "#?&%41.txt", "quote'.txt"]
with wandb.init(project="p", id="files") as run:
    for name in names:
        pathlib.Path(run.dir, name).parent.mkdir(exist_ok=True)
        pathlib.Path(run.dir, name).write_text(name)
    run.save(str(pathlib.Path(run.dir, "*.txt")), base_path=run.dir)
    run.save(str(pathlib.Path(run.dir, "sub/*")), base_path=run.dir)
run = wandb.Api().run("local/p/files")
back = [run.file(name).download(root="back", replace=True).read() == name for name in names]
pathlib.Path("new.txt").write_text("new")
run.upload_file("new.txt")
run.file("a b.txt").delete()
run = wandb.Api().run("local/p/files")
texts = sorted(file.name for file in run.files(pattern="%.txt") if file.name != "requirements.txt")
print(json.dumps([back, texts, run.file("./new.txt").size]))
""") == [[True] * 4, ["#?&%41.txt", "new.txt", "quote'.txt", "sub/ünï.txt"], 3]


def test_projects_users_and_runs_that_were_only_made_are_found(script: Script) -> None:
    assert script("""
api = wandb.Api()
api.create_project("first", "local")
made = api.create_run(run_id="made", project="second")
project = api.project("first", "local")
names = sorted(project.name for project in api.projects("local"))
who = [api.viewer.username, api.viewer.entity, api.user("local").username, api.default_entity, project.owner.username]
print(json.dumps([names, made.id, who, [len(list(api.reports("local/first"))), len(list(project.sweeps()))]]))
""") == [["first", "second"], "made", ["local"] * 5, [0, 0]]


def test_a_run_is_asked_to_stop_and_hears_of_it(server: RunningServer, tmp_path: Path) -> None:
    source = """
import signal, time, wandb
# A suite that runs in the background hands on that Ctrl-C is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
settings = {"silent": True, "x_file_stream_transmit_interval": 0.5}
with wandb.init(project="p", id="stops", settings=settings) as run:
    try:
        while True:
            run.log({"loss": 1})
            time.sleep(1)
    except KeyboardInterrupt:
        print("heard", flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", source], cwd=tmp_path, env=server.environment(), stdout=subprocess.PIPE, text=True
    )
    wait = 'project(name: "p", entityName: "local") { run(name: "stops") { id historyLineCount } }'

    def logging() -> dict[str, Any] | None:
        run = (server.graphql(f"query Q {{ {wait} }}")["project"] or {}).get("run")
        return run if run and run["historyLineCount"] else None

    # Asked to stop before that, it would be interrupted in the SDK's own beginning.
    run = wait_until(logging, what="rows")
    server.graphql("mutation StopRun($id: ID!) { stopRun(input: {id: $id}) { success } }", id=run["id"])
    assert "heard" in process.communicate(timeout=90)[0]
