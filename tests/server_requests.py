"""Requests as the SDK makes them, one of each kind, and a store that holds something for each to be about."""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any

from hostile import Text, dumped
from served_in_process import Application
from server_client import Answer, rows_of_a_training

from scaling_lab.localserver import storage


def node(kind: str, row: int) -> str:
    return base64.b64encode(f"{kind}:{row}".encode()).decode()


# The row of what a harmed request may change; row 1 is of what was there before.
MANIFEST = Text({"version": 1, "contents": {"a.txt": {"digest": "DMF1ucDxtqgxw5niaXcmYQ==", "size": 1}}})
CONTENT_MD5 = "DMF1ucDxtqgxw5niaXcmYQ=="  # of b"a"
GRID = """method: grid
program: train.py
metric: {name: loss, goal: minimize}
parameters:
  lr: {values: [0.1, 0.2]}
  depth: {min: 1, max: 2}
"""
RANDOM = """method: random
run_cap: 5
name: drawn
parameters:
  lr: {distribution: log_uniform_values, min: 1.0e-4, max: 0.1}
  size: {values: [1, 2], probabilities: [0.5, 0.5]}
  width: {distribution: q_normal, mu: 5, sigma: 1, q: 2}
"""
ARTIFACT = {"entityName": "local", "projectName": "fuzz"}
RUN = {"entityName": "local", "projectName": "fuzz", "runName": "target"}
ALIAS = {**ARTIFACT, "artifactCollectionName": "data", "alias": "best"}
# What each mutation is given by the SDK.
MUTATIONS: dict[str, dict[str, Any]] = {
    "upsertModel": {"name": "fuzz", "entityName": "local", "description": "d"},
    "upsertBucket": {
        "name": "target",
        "modelName": "fuzz",
        "entityName": "local",
        "groupName": "g",
        "displayName": "Target",
        "notes": "n",
        "commit": "abc",
        "jobType": "train",
        "sweep": "sweep002",
        "host": "here",
        "state": "running",
        "debug": False,
        "tags": ["a", "b"],
        "config": Text(
            {
                "lr": {"value": 0.1},
                "size": {"value": "tiny"},
                "steps": {"value": 10},
                "_wandb": {"value": {"t": {"1": [1]}}},
            }
        ),
        "summaryMetrics": Text({"loss": 1.5, "train/loss": {"min": 1.0}, "nested": {"a": 1}}),
    },
    "stopRun": {"id": node("Run", 2)},
    "deleteRun": {"id": node("Run", 2), "deleteArtifacts": True},
    "updateRunState": {"id": node("Run", 2), "state": "failed"},
    "createRunFiles": {**RUN, "files": ["config.yaml", "media/a.png"]},
    "markRunFilesUploaded": {**RUN, "files": ["config.yaml"]},
    "deleteFiles": {"files": [node("File", 2)], "projectId": 2},
    "upsertView": {**ARTIFACT, "name": "v", "displayName": "V", "type": "runs", "spec": Text({"blocks": []})},
    "deleteView": {"id": node("View", 2)},
    "upsertSweep": {**ARTIFACT, "config": GRID, "description": "d", "displayName": "n", "state": "RUNNING"},
    "createAgent": {**ARTIFACT, "host": "here", "sweep": "sweep002"},
    "agentHeartbeat": {"id": node("Agent", 1), "metrics": Text({}), "runState": Text({"target": True})},
    "createArtifact": {
        **RUN,
        "artifactTypeName": "dataset",
        "artifactCollectionNames": ["data"],
        "digest": "d1",
        "aliases": [{"artifactCollectionName": "data", "alias": "best"}],
        "tags": [{"tagName": "good"}],
        "metadata": Text({"rows": 3}),
        "clientID": "client",
        "ttlDurationSeconds": 60,
        "historyStep": 3,
        "enableDigestDeduplication": True,
    },
    "createArtifactManifest": {
        **RUN,
        "artifactID": node("Artifact", 3),
        "name": "wandb_manifest.json",
        "digest": CONTENT_MD5,
        "baseArtifactID": node("Artifact", 2),
        "type": "INCREMENTAL",
    },
    "updateArtifactManifest": {"artifactManifestID": node("ArtifactManifest", 3), "digest": CONTENT_MD5},
    "createArtifactFiles": {
        "artifactFiles": [{"artifactID": node("Artifact", 3), "name": "a.txt", "md5": CONTENT_MD5}],
        "storageLayout": "V2",
    },
    "commitArtifact": {"artifactID": node("Artifact", 3)},
    "useArtifact": {**RUN, "artifactID": node("Artifact", 2), "usedAs": "a"},
    "updateArtifact": {
        "artifactID": node("Artifact", 2),
        "description": "d",
        "metadata": Text({"rows": 4}),
        "tagsToAdd": [{"tagName": "t"}],
        "tagsToDelete": [{"tagName": "good"}],
        "ttlDurationSeconds": 60,
    },
    "addAliases": {"artifactID": node("Artifact", 2), "aliases": [ALIAS]},
    "deleteAliases": {"artifactID": node("Artifact", 2), "aliases": [ALIAS]},
    "linkArtifact": {
        **ARTIFACT,
        "artifactID": node("Artifact", 2),
        "artifactPortfolioName": "chosen",
        "aliases": [{"alias": "here"}],
    },
    "unlinkArtifact": {"artifactID": node("Artifact", 2), "artifactPortfolioID": node("ArtifactCollection", 3)},
    "deleteArtifact": {"artifactID": node("Artifact", 2), "deleteAliases": True},
    "updateArtifactSequence": {"artifactSequenceID": node("ArtifactCollection", 2), "name": "data", "description": "d"},
    "updateArtifactPortfolio": {"artifactPortfolioID": node("ArtifactCollection", 3), "name": "p", "description": "d"},
    "moveArtifactSequence": {
        "artifactSequenceID": node("ArtifactCollection", 2),
        "destinationArtifactTypeName": "model",
    },
    "createArtifactCollectionTagAssignments": {
        **ARTIFACT,
        "artifactCollectionName": "data",
        "tags": [{"tagName": "t"}],
    },
    "deleteArtifactCollectionTagAssignments": {
        **ARTIFACT,
        "artifactCollectionName": "data",
        "tags": [{"tagName": "t"}],
    },
    "deleteArtifactSequence": {"artifactSequenceID": node("ArtifactCollection", 2)},
    "deleteArtifactPortfolio": {"artifactPortfolioID": node("ArtifactCollection", 3)},
    "notifyScriptableRunAlert": {**RUN, "title": "t", "text": "x", "severity": "INFO", "waitDuration": 60},
}
_RUN_FIELDS = """
  id internalId projectId name displayName state config summaryMetrics systemMetrics group jobType tags notes
  description commit host sweepName createdAt updatedAt heartbeatAt exitcode shouldStop historyLineCount eventsLineCount
  logLineCount historyKeys historyTail eventsTail fileCount project { id name }
  history(samples: 20) events(samples: 20) sampledHistory(specs: [$spec]) parquetHistory(liveKeys: ["loss"])
  wandbConfig(keys: ["t"]) logLines(first: 20) { edges { node { number timestamp level line } } }
  files(first: 20) { edges { node { id name url sizeBytes mimetype md5 } } }"""
_ARTIFACT_FIELDS = """
  id versionIndex description metadata ttlDurationSeconds tags { name } historyStep state size digest fileCount
  artifactSequence { name } artifactType { name } aliases { alias artifactCollection { name } }
  artifactMemberships { edges { node {
    id versionIndex aliases { alias } files { edges { node { name directUrl } } } } } }
  currentManifest { file { directUrl } } createdBy { __typename } usedBy { edges { node { name } } }"""
# Every field of everything.
READ_ALL = f"""query Everything($spec: JSONString) {{
  viewer {{ username teams {{ edges {{ node {{ name }} }} }} }}
  models(entityName: "local", first: 1000) {{ edges {{ node {{
    id name description createdAt runCount
    runs(first: 1000) {{ edges {{ node {{ {_RUN_FIELDS} }} }} }}
    sweeps(first: 1000) {{ edges {{ node {{
      id name displayName method state description config bestLoss runCount runCountExpected
      runs {{ edges {{ node {{ name }} }} }}
      agents {{ edges {{ node {{ id name host state totalRuns }} }} }} }} }} }}
    allViews {{ edges {{ node {{ id name displayName description type spec }} }} }}
    artifactTypes {{ edges {{ node {{ name createdAt artifactCollections {{ edges {{ node {{
      id name description tags {{ edges {{ node {{ name }} }} }} aliases {{ edges {{ node {{ alias }} }} }}
      artifacts {{ edges {{ version node {{ {_ARTIFACT_FIELDS} }} }} }} }} }} }} }} }} }}
  }} }} }} }}"""
QUERY_RUNS = """query Runs($project: String!, $entity: String!, $cursor: String, $perPage: Int = 50, $order: String,
    $filters: JSONString) { project(name: $project, entityName: $entity) { runCount(filters: $filters)
    runs(filters: $filters, after: $cursor, first: $perPage, order: $order) {
      edges { node { ...RunFragment } cursor } pageInfo { endCursor hasNextPage } } } }
  fragment RunFragment on Run { id name config summaryMetrics }"""
QUERY_RUN = """query Run($run: String!, $spec: [JSONString!]!, $samples: Int, $min: Int64, $max: Int64, $first: Int,
    $after: String, $last: Int, $names: [String], $pattern: String, $keys: [String!], $with: Boolean!) {
  project(name: "fuzz", entityName: "local") { run(name: $run) { id sampledHistory(specs: $spec)
    history(samples: $samples, minStep: $min, maxStep: $max) events(samples: $samples)
    logLines(first: $first, after: $after, last: $last) { edges { node { line } } }
    files(names: $names, pattern: $pattern, first: $first, after: $after) @include(if: $with) {
      edges { node { name } } }
    inputArtifacts(first: $first) { edges { node { id } } } outputArtifacts(after: $after) { edges { node { id } } }
    wandbConfig(keys: $keys) } bucket(name: $run) { id } } }"""
QUERY_OTHERS = """query Others($name: String!, $sweep: String!, $artifact: ID!, $client: ID!, $view: ID!, $first: Int,
    $after: String, $alias: String!, $entries: [E!], $agent: String!, $collection: ID!, $type: String!) {
  viewer { id ... on User { flags } } entity(name: $name) { id } organization(name: $name) { id }
  serverInfo { features { name isEnabled } } users(query: $name) { edges { node { id } } } view(id: $view) { id }
  models(entityName: $name, first: $first, after: $after) { edges { node { id } } }
  clientIDMapping(clientID: $client) { serverID } artifactCollection(id: $collection) { id name }
  artifact(id: $artifact) { id filesByManifestEntries(entries: $entries) { edges { node { name } } } }
  project(name: "fuzz", entityName: "local") { artifact(name: $alias) { id } artifactCollection(name: $name) { id }
    artifactType(name: $type) { name artifactCollection(name: $name) { artifactMembership(aliasName: $alias) { id }
      artifacts(first: $first, after: $after) { edges { node { id } } } } }
    artifactCollectionMembership(name: $alias) { files(names: [$name], first: $first, after: $after) { totalCount } }
    allViews(viewType: $type, viewName: $name, first: $first, after: $after) { edges { node { id } } }
    sweep(sweepName: $sweep) {
      id agent(agentName: $agent) { id runs(first: $first, after: $after) { totalCount } } } } }"""
SPEC = Text({"keys": ["_step", "train/loss"], "samples": 5, "minStep": 0, "maxStep": 100})
QUERIES: dict[str, tuple[str, dict[str, Any]]] = {
    "runs": (
        QUERY_RUNS,
        {
            "project": "fuzz",
            "entity": "local",
            "cursor": "0",
            "perPage": 5,
            "order": "-summary_metrics.loss,+created_at",
            "filters": Text(
                {
                    "$and": [
                        {"config.lr": {"$gte": 0.05, "$lt": 1}},
                        {"$or": [{"state": {"$in": ["running", "finished"]}}, {"tags": {"$nin": ["a"]}}]},
                        {"displayName": {"$regex": "^T.*"}, "summary_metrics.nested.a": {"$exists": True}},
                        {"$not": {"group": {"$ne": "g"}}, "createdAt": {"$gt": "2020-01-01T00:00:00"}},
                    ]
                }
            ),
        },
    ),
    "run": (
        QUERY_RUN,
        {
            "run": "target",
            "spec": [SPEC],
            "samples": 5,
            "min": 0,
            "max": 10,
            "first": 5,
            "after": "1",
            "last": 3,
            "names": ["./config.yaml"],
            "pattern": "%.yaml",
            "keys": ["t"],
            "with": True,
        },
    ),
    "others": (
        QUERY_OTHERS,
        {
            "name": "data",
            "sweep": "sweep002",
            "artifact": node("Artifact", 2),
            "client": "client2",
            "first": 5,
            "after": "0",
            "alias": "data:v0",
            "entries": [{"name": "a.txt"}],
            "view": node("View", 2),
            "agent": "a",
            "collection": node("ArtifactCollection", 2),
            "type": "dataset",
        },
    ),
}
POSTS: dict[str, Any] = {
    "rows": {
        "files": {
            "wandb-history.jsonl": {"offset": 0, "content": [Text(row) for row in rows_of_a_training(3)]},
            "wandb-events.jsonl": {
                "offset": 0,
                "content": [Text({"system.cpu": 1.5, "_timestamp": 1.7e9, "_runtime": 3})],
            },
            "wandb-summary.json": {"offset": 0, "content": [Text({"loss": 1.5, "_step": 3, "_wandb": {"runtime": 3}})]},
            "output.log": {"offset": 4, "content": ["ERROR 2026-01-02T03:04:05.678 words", "more"]},
        },
        "dropped": 0,
        "uploaded": ["config.yaml"],
    },
    "nested rows": {
        "files": {
            "wandb-history.jsonl": {
                "offset": 3,
                "content": [
                    Text({"_step": 5, "a": {"b": {"c": 1}}, "image": {"_type": "image-file", "size": 3}, "t": "x"})
                ],
            }
        }
    },
    "end": {"complete": True, "exitcode": 0, "preempting": False},
}


@dataclass(frozen=True)
class Asked:
    """A request: `body` is made JSON of, unless it is bytes."""

    method: str
    path: bytes
    body: Any = b""
    query: bytes = b""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    signed: tuple[str, str, str] | None = None

    def sent_to(self, server: Application) -> Answer:
        body = self.body if isinstance(self.body, bytes) else dumped(self.body).encode()
        target = self.path + (b"?" + self.query if self.query else b"")
        if self.signed is not None:
            target = storage.address(server.store, "", *self.signed).encode()
        return server.ask(self.method, target, body, self.headers)


def graphql(query: str, variables: Any) -> Asked:
    return Asked("POST", b"/graphql", {"query": query, "variables": variables, "operationName": None})


def mutation(name: str, given: Any) -> Asked:
    return graphql(
        f"mutation M($input: Input!) {{ {name}(input: $input) {{ __typename success bucket {{ id }} }} }}",
        {"input": given},
    )


def stream(run: str, body: Any) -> Asked:
    return Asked("POST", f"/files/local/fuzz/{run}/file_stream".encode(), body)


REQUESTS = [
    *(mutation(name, given) for name, given in MUTATIONS.items()),
    *(graphql(query, variables) for query, variables in QUERIES.values()),
    *(stream("target", body) for body in POSTS.values()),
]


def prepare(server: Application) -> None:
    """One of everything, twice: in the project `before`, which is left alone, and in the project `fuzz`."""
    for place, project in enumerate(("before", "fuzz"), start=1):
        fill(server, project, place)
    pending = MUTATIONS["createArtifact"] | {"digest": "pending", "clientID": "client3", "aliases": []}
    assert mutation("createArtifact", pending).sent_to(server).status == 200
    assert mutation("createAgent", MUTATIONS["createAgent"]).sent_to(server).status == 200
    manifest = dumped(MANIFEST.value).encode()
    put(server, "manifests", 3, md5_of(manifest), manifest)


def md5_of(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def put(server: Application, kind: str, row: int, name: str, content: bytes) -> None:
    address = storage.address(server.store, "", kind, str(row), name)
    assert server.ask("PUT", address.encode(), content).status == 200


def fill(server: Application, project: str, row: int) -> None:
    """One of everything in a project."""
    there = {"entityName": "local", "projectName": project}
    run = {**there, "runName": "target"}
    ours: list[tuple[str, dict[str, Any]]] = [
        ("upsertBucket", MUTATIONS["upsertBucket"] | {"modelName": project, "sweep": f"sweep{row:03}"}),
        ("createRunFiles", run | {"files": ["config.yaml"]}),
        ("upsertView", MUTATIONS["upsertView"] | there),
        ("upsertSweep", {**there, "config": RANDOM}),
        ("createArtifact", MUTATIONS["createArtifact"] | run | {"clientID": f"client{row}"}),
    ]
    for name, given in ours:
        answer = mutation(name, given).sent_to(server)
        assert answer.status == 200, answer.text
    with server.store.write() as writer:
        writer.execute("UPDATE sweeps SET name = ? WHERE id = ?", (f"sweep{row:03}", row))
    for body in POSTS.values():
        post = Asked("POST", f"/files/local/{project}/target/file_stream".encode(), body)
        assert post.sent_to(server).status == 200
    put(server, "runs", row, "config.yaml", b"lr: 0.1")
    artifact = row if row == 1 else 2
    put(server, "artifacts", artifact, CONTENT_MD5, b"a")
    manifest = dumped(MANIFEST.value).encode()
    put(server, "manifests", artifact, md5_of(manifest), manifest)
    for name, given in (
        ("commitArtifact", {"artifactID": node("Artifact", artifact)}),
        ("useArtifact", run | {"artifactID": node("Artifact", artifact)}),
    ):
        answer = mutation(name, given).sent_to(server)
        assert answer.status == 200, answer.text
