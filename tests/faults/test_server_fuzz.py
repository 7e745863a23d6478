"""Requests that were valid once, harmed: whatever comes, it is answered, refused at worst, and nobody else notices.

Each example starts from the same small store, sends a few harmed requests to its application, and then reads all that
the store holds, by every field and every page.
"""

import asyncio
import base64
import gzip
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import yaml
from hostile import HOSTILE_TEXTS, TEXTS, dumped, harmed
from hypothesis import given, settings
from hypothesis import strategies as st
from served_in_process import Application, application
from server_requests import (
    GRID,
    MANIFEST,
    MUTATIONS,
    POSTS,
    QUERY_RUNS,
    RANDOM,
    READ_ALL,
    REQUESTS,
    SPEC,
    Asked,
    graphql,
    md5_of,
    mutation,
    node,
    prepare,
    stream,
)


@dataclass(frozen=True)
class Prepared:
    """A store with one of everything, twice; what it holds of the project `before`; and a loop for its applications."""

    folder: Path
    before: Any
    loop: asyncio.Runner


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    """The store that every example starts from."""
    folder = tmp_path_factory.mktemp("prepared")
    # Always the same key, so that an example is the same when it is tried again.
    (folder / "key").write_text(f"local-{'0' * 40}\n")
    # One loop, and so one set of threads, for all of them.
    with asyncio.Runner() as loop:
        with application(folder, loop) as server:
            prepare(server)
            before = everything(server)["before"]
        yield Prepared(folder, before, loop)


@st.composite
def harmed_requests(draw: st.DrawFn) -> Asked:
    """A request with something in its body that isn't as it should be."""
    asked = draw(st.sampled_from(REQUESTS))
    return replace(asked, body=draw(harmed(asked.body)))


_PARTS = [
    *("local", "fuzz", "runs", "target", "sweeps", "sweep002", "login", "graphql", "files", "file_stream", "healthz"),
    *("storage", "artifacts", "artifactsV2", "manifests", "1", "2", "gaps", "sdk", "0cc175b9c0f1b6a831c399e269772661"),
]
_HEADERS = [
    b"host",
    b"authorization",
    b"cookie",
    b"content-length",
    b"content-type",
    b"content-encoding",
    b"accept",
    b"range",
]
_HEADER_VALUES = [
    *(b"[localhost", b"[::1", b"localhost:x", b"]:[", b"127.0.0.1:99999999", b"localhost@evil:1", b"localhost/../x"),
    *(b"Basic ", b"Basic =", b"Basic " + base64.b64encode(b"\xff:\xff"), b"Bearer \xff", b"Bearer", "Basic é".encode()),
    *(b"scaling_lab=\xff", b"=;=;;,", b'a="\\777"', b"gzip", b"-1", b"1e9", "٣".encode(), b"9" * 30, b"text/html"),
    *(b"bytes=0-", b"bytes=-99999999999999999999", b"bytes=5-1,a-b", b"bytes=" + b"0-0," * 500),
]
PAGES = [
    *(b"/", b"/local/fuzz", b"/local/fuzz/runs?group=g", b"/local/fuzz/runs/target", b"/local/fuzz/sweeps"),
    *(b"/local/fuzz/sweeps/sweep002", b"/local/before/runs/target", b"/gaps", b"/healthz"),
]


def everything(server: Application) -> dict[str, Any]:
    """All that the store holds, by project, read through every field; every page can be made, too."""
    answer = graphql(READ_ALL, {"spec": SPEC}).sent_to(server)
    assert answer.status == 200, answer.text
    for page in PAGES:
        assert server.ask("GET", page, headers={b"accept": b"text/html"}).status in (200, 404), page
    for filters in ({"config.lr": {"$gte": 0.1}}, {"summary_metrics.loss": 1.5}, {"tags": "a"}):
        found = graphql(QUERY_RUNS, {"project": "fuzz", "entity": "local", "filters": json.dumps(filters)}).sent_to(
            server
        )
        assert found.status == 200, found.text
    return {edge["node"]["name"]: edge["node"] for edge in answer.json["data"]["models"]["edges"]}


def check_served(prepared: Prepared, folder: Path, asked: list[Asked]) -> list[int]:
    """What is asked is answered or refused, what was there is as it was, and others are served; the statuses."""
    statuses = []
    shutil.copytree(prepared.folder, folder / "store")
    with application(folder / "store", prepared.loop) as server:
        for request in asked:
            answer = request.sent_to(server)
            assert answer.status < 500, answer.text
            assert len(answer.body) < 10**6
            statuses.append(answer.status)
        assert everything(server)["before"] == prepared.before
        again = mutation("upsertBucket", MUTATIONS["upsertBucket"] | {"name": "next"}).sent_to(server)
        assert again.status == 200, again.text
        assert stream("next", POSTS["rows"]).sent_to(server).status == 200
    check_nothing_beside(folder)
    return statuses


def check_nothing_beside(folder: Path) -> None:
    """Nothing was written but the store's own files, and content under digests."""
    assert [path.name for path in folder.iterdir()] == ["store"]
    names = {path.relative_to(folder / "store").parts[0] for path in (folder / "store").rglob("*")}
    assert names <= {"store.sqlite", "store.sqlite-wal", "store.sqlite-shm", "key", "lock", "files"}
    for path in (folder / "store" / "files").rglob("*"):
        assert path.is_dir() or len(path.name) == 64, path


_YAML = st.sampled_from(
    [
        *(
            "&a ",
            "*a",
            "<<: *a",
            "!!python/object/apply:os.system [ls]",
            "!!set {a}",
            "!!int ''",
            "!!binary YQ==",
            "---\n",
        ),
        *(
            "2001-01-01",
            "2001-13-45",
            "0x_",
            "0b_",
            ".nan",
            ".inf",
            "-.inf",
            "1e400",
            "9" * 400,
            "9" * 5000,
            "[]",
            "{}",
        ),
        *(
            "? [a]\n: b",
            "'",
            '"\\ud800"',
            '"\\U99999999"',
            "\n",
            "  ",
            ": ",
            "- ",
            "[" * 200,
            "{a: " * 200,
            "null",
            "~",
            "=",
            "-1",
        ),
        *(
            "min: 0, max: 1.0e308",
            "max: 1000000000000",
            "distribution: beta, a: .nan",
            "values: [1]",
            "probabilities: [.nan]",
        ),
        *("distribution: log_normal, sigma: 1.0e9", "distribution: q_uniform, q: 0, min: 0, max: 1", "run_cap: -1\n"),
    ]
)


@st.composite
def sweeps(draw: st.DrawFn) -> Asked:
    """A sweep's configuration with stretches of it replaced, or of any values."""
    text = draw(st.sampled_from([GRID, RANDOM]))
    if draw(st.booleans()):
        for _ in range(draw(st.integers(1, 3))):
            begin = draw(st.integers(0, len(text)))
            text = text[:begin] + draw(_YAML | st.text(max_size=5)) + text[begin + draw(st.integers(0, 9)) :]
    else:
        text = dumped(draw(harmed(yaml.safe_load(text))))
    known = draw(st.sampled_from([{}, {"id": node("Sweep", 2)}]))
    return mutation("upsertSweep", {"entityName": "local", "projectName": "fuzz", "config": text, **known})


@st.composite
def damaged_bytes(draw: st.DrawFn) -> Asked:
    """A request whose body has stretches replaced, is cut, or is packed."""
    asked = draw(st.sampled_from(REQUESTS))
    body = bytearray(dumped(asked.body).encode())
    for _ in range(draw(st.integers(1, 3))):
        begin = draw(st.integers(0, len(body)))
        put = draw(
            st.binary(max_size=4)
            | st.sampled_from(HOSTILE_TEXTS).map(lambda text: text.encode("utf-8", "surrogatepass"))
        )
        body[begin : begin + draw(st.integers(0, 20))] = put
    packed = draw(st.sampled_from([bytes, gzip.compress, lambda body: bytes(body).decode("latin-1").encode("utf-16")]))
    return replace(asked, body=packed(bytes(body)))


@st.composite
def addresses(draw: st.DrawFn) -> Asked:
    """A request of any sort at an address that nobody gave out, with headers and a query that no client would send."""
    parts = [*_PARTS, *(quote(text.encode("utf-8", "surrogatepass")[:2000], safe="") for text in HOSTILE_TEXTS)]
    path = "/" + "/".join(draw(st.lists(st.sampled_from(parts), max_size=6)))
    names = st.sampled_from(["next", "key", "group", "page", "signature", "challenge"])
    query = urlencode(draw(st.lists(st.tuples(names, TEXTS), max_size=3)), errors="surrogatepass")
    headers = draw(
        st.dictionaries(st.sampled_from(_HEADERS), st.sampled_from(_HEADER_VALUES) | st.binary(max_size=20), max_size=3)
    )
    form = st.builds(
        lambda fields: urlencode(fields, errors="surrogatepass").encode(), st.lists(st.tuples(names, TEXTS), max_size=3)
    )
    body = draw(form | st.binary(max_size=50))
    return Asked(
        draw(st.sampled_from(["GET", "POST", "PUT", "HEAD", "DELETE", "X"])),
        path.encode(),
        body,
        query.encode(),
        headers,
    )


@st.composite
def manifests(draw: st.DrawFn) -> list[Asked]:
    """An artifact's list of files, harmed, put where it was announced; then the artifact is committed."""
    content = dumped(draw(harmed(MANIFEST.value))).encode()
    put = Asked("PUT", b"", content, signed=("manifests", "3", md5_of(content)))
    return [put, mutation("commitArtifact", {"artifactID": node("Artifact", 3)})]


# What an agent that waits for a trial says.
WAITS = mutation("agentHeartbeat", {"id": node("Agent", 1), "runState": "{}"})
ASKED = {
    "values": st.lists(harmed_requests(), min_size=1, max_size=3),
    "bytes": st.lists(damaged_bytes(), min_size=1, max_size=3),
    "sweeps": st.lists(sweeps(), min_size=1, max_size=2).map(lambda asked: [*asked, WAITS, WAITS]),
    "manifests": manifests(),
    "addresses": st.lists(addresses(), min_size=3, max_size=6),
}


@pytest.mark.parametrize("kind", ASKED)
@settings(max_examples=25)
@given(data=st.data())
def test_harmed_requests_are_answered_or_refused_and_nobody_else_notices(
    prepared: Prepared, tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    check_served(prepared, tmp_path_factory.mktemp("harmed"), data.draw(ASKED[kind]))


def filtered(filters: Any) -> Asked:
    return graphql(QUERY_RUNS, {"project": "fuzz", "entity": "local", "filters": json.dumps(filters)})


def ordered(order: str) -> Asked:
    return graphql(QUERY_RUNS, {"project": "fuzz", "entity": "local", "order": order})


def sweep(config: str) -> Asked:
    return mutation("upsertSweep", {"entityName": "local", "projectName": "fuzz", "config": config})


def changed(name: str, given: dict[str, Any]) -> Asked:
    """A mutation of a kind that the SDK asks for, with other values."""
    return mutation(name, MUTATIONS[name] | given)


def posted(file: str, *lines: Any) -> Asked:
    return stream("target", {"files": {file: {"offset": 0, "content": list(lines)}}})


def asked_of_run(field: str, **variables: Any) -> Asked:
    """A field of a run, with variables of these names."""
    declared = ", ".join(f"${name}: Any" for name in variables)
    return graphql(f'query ({declared}) {{ project(name: "fuzz") {{ run(name: "target") {{ {field} }} }} }}', variables)


def doubled(line: str) -> str:
    """YAML of 2 to the 60 values: every line, with N for its number and M for the one before, holds that one twice."""
    return "".join(line.replace("N", str(n)).replace("M", str(n - 1)) + "\n" for n in range(1, 60)) + GRID


def nested(depth: int) -> Any:
    """A filter in `depth` negations."""
    return {"$not": nested(depth - 1)} if depth else {"name": "x"}


def page_of(query: bytes) -> Asked:
    return Asked("GET", b"/local/fuzz", query=query)


# Each was a fault of the server, by the status that it has now.
FAULTS: dict[str, tuple[Asked, int]] = {
    "number for text": (mutation("stopRun", {"id": ["a"]}), 400),
    "text for objects": (changed("addAliases", {"aliases": ["best"]}), 400),
    "object without its keys": (changed("addAliases", {"aliases": [{"alias": "a"}]}), 400),
    "artifact that is gone": (
        changed("updateArtifact", {"artifactID": node("Artifact", 99)}),
        404,
    ),
    "half a pair in a tag": (
        changed("updateArtifact", {"tagsToAdd": [{"tagName": "\ud800"}]}),
        400,
    ),
    "half a pair in an unknown argument": (mutation("stopRun", {"id": node("Run", 2), "\ud800": 1}), 200),
    "half a pair in a query": (graphql("{ \ud800 }", {}), 400),
    "undeclared variable": (graphql('{ project(name: "fuzz") { run(name: $name) { id } } }', {}), 400),
    "lists of two lengths under one name": (
        graphql("{ a: models(first: 1) { edges { node { id } } } a: models(first: 2) { edges { node { id } } } }", {}),
        200,
    ),
    "query of megabytes": (graphql("# " + "x" * 2_000_000 + "\n{ viewer { id } }", {}), 400),
    "config nested beyond SQLite": (
        changed("upsertBucket", {"config": '{"lr":' + "[" * 2500 + "]" * 2500 + "}"}),
        400,
    ),
    "config without the SDK's own": (
        changed("upsertBucket", {"config": '{"_wandb": 1}'}),
        200,
    ),
    "summary that is a list": (posted("wandb-summary.json", "[1]"), 400),
    "files that are a list": (stream("target", {"files": [1]}), 400),
    "console of numbers": (posted("output.log", {}), 400),
    "offset that is text": (stream("target", {"files": {"output.log": {"offset": "x", "content": ["a"]}}}), 400),
    "exit code that is text": (stream("target", {"complete": True, "exitcode": "x"}), 400),
    "moment that is none": (
        posted("wandb-events.jsonl", '{"_timestamp": NaN}'),
        400,
    ),
    "many types of one key": (
        posted("wandb-history.jsonl", *(f'{{"a": {{"_type": "k{number}"}}}}' for number in range(20_000))),
        200,
    ),
    "row nested beyond Python": (posted("wandb-history.jsonl", '{"a":' * 900 + "1" + "}" * 900), 400),
    "keys of a spec that are a number": (asked_of_run("sampledHistory(specs: $s)", s='{"keys": 1}'), 400),
    "keys of a spec without end": (
        asked_of_run("sampledHistory(specs: $s)", s=json.dumps({"keys": ["a"] * 5000})),
        400,
    ),
    "pattern of kilobytes": (asked_of_run("files(pattern: $p) { totalCount }", p="%a" * 30_000), 400),
    "agent with 100,000 runs": (
        changed("agentHeartbeat", {"runState": json.dumps({str(number): True for number in range(100_000)})}),
        200,
    ),
    "filter by 100,000 names": (filtered({"name": {"$in": list(map(str, range(100_000)))}}), 400),
    "filter of 2000 conditions": (filtered({"$or": [{"name": "x"}] * 2000}), 400),
    "filter of as many as may be": (filtered({"$or": [{"config.lr": 1}] * 399}), 200),
    "filter nested beyond SQLite": (filtered(nested(30)), 400),
    "filter nested as deep as may be": (filtered(nested(11)), 200),
    "filter with a NUL": (filtered({"config.a\0b": 1}), 400),
    "filter by a key called value": (filtered({"config.value": 1}), 200),
    "filter by one in a number": (filtered({"name": {"$in": 1}}), 400),
    "filter by no pattern": (filtered({"name": {"$regex": "("}}), 400),
    "order by 5000 keys": (ordered("name," * 5000), 400),
    "page of 5000 digits": (page_of(b"page=" + b"1" * 5000), 200),
    "key that is not ASCII": (Asked("GET", b"/", headers={b"authorization": "Basic é".encode()}), 401),
    "signature that is not ASCII": (Asked("GET", b"/storage/runs/1/x", query=b"signature=%C3%A9"), 403),
    "sweep of doubled aliases": (sweep("x0: &x0 [a, a]\n" + doubled("xN: &xN [*xM, *xM]")), 400),
    "sweep inside itself": (sweep("method: grid\nparameters: {a: {value: &a [*a]}}"), 400),
    "sweep of doubled merges": (sweep("x0: &x0 {a: 1}\n" + doubled("xN: &xN {<<: [*xM, *xM]}")), 400),
    "sweep with an alias": (sweep("method: grid\nparameters: {a: {values: &v [1, 2]}, b: {values: *v}}"), 200),
    "sweep over a million million": (sweep("method: grid\nparameters: {a: {min: 0, max: 1000000000000}}"), 400),
    "sweep of 2 to the 3000": (
        sweep("method: grid\nparameters:\n" + "".join(f"  a{n}: {{values: [1, 2]}}\n" for n in range(3000))),
        400,
    ),
    "sweep over a day": (sweep("method: grid\nparameters: {a: {values: [2001-01-01]}}"), 400),
    "sweep over a day that is none": (sweep("method: grid\nparameters: {a: {values: [2001-13-45]}}"), 400),
    "sweep over nothing": (sweep("method: random\nparameters: {a: {values: []}}"), 400),
    "sweep drawn from NaN": (sweep("method: random\nparameters: {a: {distribution: beta, a: .nan, b: 1}}"), 400),
    "sweep in steps of none": (sweep("method: random\nparameters: {a: {distribution: q_normal, q: 0}}"), 400),
    "sweep of a distribution in a list": (sweep("method: random\nparameters: {a: {distribution: [a]}}"), 400),
    "sweep capped by text": (sweep("run_cap: x\n" + RANDOM.replace("run_cap: 5\n", "")), 400),
    "sweep with a number for its metric": (sweep(GRID.replace("{name: loss, goal: minimize}", "3")), 400),
    "sweep described by a day": (sweep("description: [a]\n" + GRID), 400),
}


@pytest.mark.parametrize(("asked", "status"), FAULTS.values(), ids=FAULTS)
def test_what_was_a_fault_once_is_answered_or_refused(
    prepared: Prepared, tmp_path: Path, asked: Asked, status: int
) -> None:
    assert check_served(prepared, tmp_path / "one", [asked]) == [status]


def test_gaps_beyond_a_thousand_are_counted_together(prepared: Prepared, tmp_path: Path) -> None:
    shutil.copytree(prepared.folder, tmp_path / "store")
    with application(tmp_path / "store", prepared.loop) as server:
        for number in range(1100):
            assert graphql(f"{{ unknown{number} }}", {}).sent_to(server).status == 200
        gaps = server.ask("GET", b"/gaps").json
    assert len(gaps) == 1001
    assert gaps["others"] == 100
