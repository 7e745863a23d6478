"""Artifacts by the real SDK: in and out byte for byte, each content kept once, and never half of one seen."""

import base64
import hashlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from servers import RunningServer

from scaling_lab.localserver.graphql import Fault
from scaling_lab.localserver.storage import plain_name

pytestmark = pytest.mark.slow

NAMES = [
    "with space.txt",
    "ünï.txt",
    "#?&%41.txt",
    "quote'\".txt",
    "sub/.hidden",
    "-dash",
    "a..b",
    "CON",
    "%2e%2e",
    "+",
]

Script = Callable[..., Any]

# What is downloaded from here on comes from the server. Not by the SDK's skip_cache, which is for one file at a time:
# it notes where that file goes in an object that all threads share, and now and then another lands there.
EMPTY_CACHE = """
os.environ["WANDB_CACHE_DIR"] = str(pathlib.Path("empty-cache").resolve())
"""


@pytest.fixture
def script(server: RunningServer, tmp_path: Path) -> Script:
    """`script(source, *arguments)` runs Python that has `wandb` and prints one value, as JSON; the value."""

    def run(source: str, *arguments: object) -> Any:
        opening = "import json, os, pathlib, sys, wandb\n"
        said = server.python(opening + source, *map(str, arguments), cwd=tmp_path)
        return json.loads(said.splitlines()[-1]) if said.strip() else None

    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def log(collection: str, aliases: list[str] | None = None, run: str = "logs", **files: str) -> str:
    """A script that logs files to a collection, and prints version and aliases."""
    return f"""
artifact = wandb.Artifact({collection!r}, type="dataset")
for name, text in {files!r}.items():
    with artifact.new_file(name) as stream:
        stream.write(text)
with wandb.init(project="p", id={run!r}, resume="allow") as run:
    run.log_artifact(artifact, aliases={aliases!r}).wait()
print(json.dumps([artifact.version, sorted(artifact.aliases)]))
"""


def test_thirty_megabytes_come_back_byte_for_byte_whatever_their_files_are_called(
    script: Script, tmp_path: Path
) -> None:
    given = tmp_path / "given"
    for place, name in enumerate(NAMES + [f"part-{number:02}.bin" for number in range(21)]):
        (given / name).parent.mkdir(parents=True, exist_ok=True)
        size = 30 * 2**20 // 21 if name.endswith(".bin") else 1 + place
        (given / name).write_bytes(hashlib.shake_128(name.encode()).digest(size))
    script("""
artifact = wandb.Artifact("data", type="dataset", metadata={"rows": 3}, description="as given")
artifact.add_dir("given")
with wandb.init(project="p", id="logs") as run:
    run.log_artifact(artifact)
""")
    script(
        EMPTY_CACHE
        + """
with wandb.init(project="p", id="uses") as run:
    used = run.use_artifact("data:latest")
    used.download("whole")
    used.verify("whole")
"""
    )
    assert contents(tmp_path / "whole") == contents(given)
    # One file at a time goes by another address, which the SDK makes up itself; a folder alone by yet another.
    facts = script("""
os.environ["WANDB_CACHE_DIR"] = str(pathlib.Path("other-cache").resolve())
artifact = wandb.Api().artifact("local/p/data:v0")
artifact.download("part", path_prefix="sub/")
for name in artifact.manifest.entries:
    artifact.get_entry(name).download("single", skip_cache=True)
files = artifact.files(per_page=7)
print(json.dumps([len(files), [file.name for file in files], artifact.size, artifact.metadata, artifact.description]))
""")
    assert contents(tmp_path / "single") == contents(given)
    assert list(contents(tmp_path / "part")) == ["sub/.hidden"]
    size = sum(len(content) for content in contents(given).values())
    assert facts == [31, sorted(contents(given)), size, {"rows": 3}, "as given"]


def test_content_is_kept_once_and_a_version_logged_again_is_that_version(server: RunningServer, script: Script) -> None:
    kept = server.store / "files" / "artifacts"
    assert script(log("first", a="same", b="same", c="other")) == ["v0", ["latest"]]
    # Two contents and a manifest.
    assert len(contents(kept)) == 3
    assert script(log("first", d="new")) == ["v1", ["latest"]]
    assert script(log("first", ["best"], a="same", b="same", c="other")) == ["v0", ["best", "latest"]]
    assert script(log("second", ["best"], e="same")) == ["v0", ["best", "latest"]]
    assert len(contents(kept)) == 6


def test_many_who_log_the_same_at_once_get_one_version(server: RunningServer, tmp_path: Path) -> None:
    source = "import json, wandb\n"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", source + log("same", [f"by-{number}"], f"run-{number}", a="one", b="two")],
            cwd=tmp_path,
            env=server.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number in range(4)
    ]
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    assert [json.loads(text.splitlines()[-1])[0] for text in said] == ["v0"] * 4
    names = server.python(
        "import wandb\nprint(sorted(wandb.Api().artifact('local/p/same:by-2').aliases))", cwd=tmp_path
    )
    assert names.strip() == "['by-0', 'by-1', 'by-2', 'by-3', 'latest']"


CREATE = """
mutation CreateArtifact($input: CreateArtifactInput!) { createArtifact(input: $input) { artifact { id state } } }
"""
FILES = """
mutation CreateArtifactFiles($input: CreateArtifactFilesInput!) {
    createArtifactFiles(input: $input) { files { edges { node { uploadUrl } } } }
}
"""
MANIFEST = """
mutation CreateArtifactManifest($id: ID!, $digest: String!) {
    createArtifactManifest(input: {artifactID: $id, name: "wandb_manifest.json", digest: $digest, type: FULL}) {
        artifactManifest { file { uploadUrl } }
    }
}
"""
COMMIT = "mutation CommitArtifact($id: ID!) { commitArtifact(input: {artifactID: $id}) { artifact { id } } }"
SEEN = """
query Seen { project(name: "p", entityName: "local") {
    artifactCollectionMembership(name: "half:latest") { id }
    artifactCollections { totalCount }
} }
"""


def md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content).digest()).decode()


def put(url: str, content: bytes) -> int:
    with urllib.request.urlopen(urllib.request.Request(url, data=content, method="PUT"), timeout=30) as answer:
        return answer.status


def wanted_of(collection: str, *aliases: str) -> dict[str, object]:
    """What the SDK asks for when it begins to log to a collection."""
    return {
        "artifactTypeName": "dataset",
        "artifactCollectionNames": [collection],
        "entityName": "local",
        "projectName": "p",
        "digest": "d" * 32,
        "aliases": [{"artifactCollectionName": collection, "alias": alias} for alias in aliases],
        "enableDigestDeduplication": True,
    }


def test_half_an_artifact_is_never_committed_nor_seen(server: RunningServer) -> None:
    wanted = wanted_of("half")
    artifact = server.graphql(CREATE, input=wanted)["createArtifact"]["artifact"]
    assert artifact["state"] == "PENDING"
    spec = {"artifactID": artifact["id"], "name": "a.txt", "md5": md5(b"whole")}
    answer = server.graphql(FILES, input={"artifactFiles": [spec], "storageLayout": "V2"})
    url = answer["createArtifactFiles"]["files"]["edges"][0]["node"]["uploadUrl"]
    manifest = json.dumps({"version": 1, "contents": {"a.txt": {"digest": md5(b"whole"), "size": 5}}}).encode()

    def refused(status: int, ask: Callable[[], object]) -> None:
        with pytest.raises(HTTPError) as found:
            ask()
        assert found.value.code == status
        found.value.close()

    refused(409, lambda: server.graphql(COMMIT, id=artifact["id"]))
    announced = server.graphql(MANIFEST, id=artifact["id"], digest=md5(manifest))
    put(announced["createArtifactManifest"]["artifactManifest"]["file"]["uploadUrl"], manifest)
    refused(409, lambda: server.graphql(COMMIT, id=artifact["id"]))
    refused(422, lambda: put(url, b"half"))
    refused(403, lambda: put(url.replace("artifacts/1/", "artifacts/2/"), b"whole"))
    project = server.graphql(SEEN)["project"]
    assert project == {"artifactCollectionMembership": None, "artifactCollections": {"totalCount": 0}}

    assert put(url, b"whole") == 200
    server.graphql(COMMIT, id=artifact["id"])
    assert server.graphql(SEEN)["project"]["artifactCollectionMembership"] is not None
    # What is committed stays as it is, whatever is put to addresses given out before.
    refused(422, lambda: put(url, b"other"))
    # Logged again, it is there already.
    assert server.graphql(CREATE, input=wanted)["createArtifact"]["artifact"] == {**artifact, "state": "COMMITTED"}


@pytest.mark.parametrize("in_time", [1, 2])
def test_who_logs_the_same_at_the_same_moment_never_sees_the_other(server: RunningServer, in_time: int) -> None:
    content = b"whole"
    manifests = [
        json.dumps({"version": 1, "by": by, "contents": {"a.txt": {"digest": md5(content), "size": 5}}}).encode()
        for by in range(3)
    ]

    def create(alias: str) -> str:
        return server.graphql(CREATE, input=wanted_of("same", alias))["createArtifact"]["artifact"]["id"]

    def announce(manifest: bytes) -> str:
        answer = server.graphql(MANIFEST, id=id_, digest=md5(manifest))
        return answer["createArtifactManifest"]["artifactManifest"]["file"]["uploadUrl"]

    id_ = create("first")
    assert create("second") == id_
    spec = {"artifactID": id_, "name": "a.txt", "md5": md5(content)}
    answer = server.graphql(FILES, input={"artifactFiles": [spec], "storageLayout": "V2"})
    put(answer["createArtifactFiles"]["files"]["edges"][0]["node"]["uploadUrl"], content)
    addresses = [announce(manifest) for manifest in manifests[:2]]
    brought = list(zip(addresses, manifests[:2], strict=True))
    for address, manifest in brought[:in_time]:
        put(address, manifest)
    server.graphql(COMMIT, id=id_)
    # The second may bring what it announced only now, and a third comes when all is done.
    for address, manifest in brought[in_time:]:
        put(address, manifest)
    put(announce(manifests[2]), manifests[2])
    server.graphql(COMMIT, id=id_)
    kept = contents(server.store / "files" / "artifacts")
    assert sorted(kept.values()) == sorted([content, manifests[in_time - 1]])
    query = """
    query Aliases { project(name: "p", entityName: "local") {
        artifactCollectionMembership(name: "same:v0") { aliases { alias } }
    } }
    """
    membership = server.graphql(query)["project"]["artifactCollectionMembership"]
    assert {alias["alias"] for alias in membership["aliases"]} == {"latest", "first", "second"}


def test_a_name_that_could_lead_elsewhere_is_refused() -> None:
    for name in ("../up", "/root", "a/../b", "a//b", "", ".", "back\\slash", "new\nline", "nul\0", "x" * 1025):
        with pytest.raises(Fault, match="can't be a file's name"):
            plain_name(name)


def test_aliases_tags_and_descriptions_change_and_versions_go_without_their_numbers_coming_back(
    server: RunningServer, script: Script
) -> None:
    for text in ("one", "two", "three"):
        script(log("data", a=text))
    found = script("""
artifact = wandb.Api().artifact("local/p/data:v0")
artifact.aliases.append("gold"); artifact.tags = ["kept"]; artifact.description = "first"
artifact.metadata["rows"] = 3
artifact.save()
again = wandb.Api().artifact("local/p/data:gold")
facts = [again.version, list(again.aliases), again.tags, again.description, again.metadata]
again.aliases.remove("gold"); again.save()
print(json.dumps([*facts, wandb.Api().artifact_exists("local/p/data:gold")]))
""")
    assert found == ["v0", ["gold"], ["kept"], "first", {"rows": 3}, False]
    before = len(contents(server.store / "files" / "artifacts"))
    refusal = script("""
newest = wandb.Api().artifact("local/p/data:latest")
try:
    newest.delete()
except wandb.errors.CommError as error:
    print(json.dumps(str(error)))
newest.delete(delete_aliases=True)
""")
    assert refusal == "the artifact has aliases (latest); remove them, or delete it with delete_aliases=True"
    assert len(contents(server.store / "files" / "artifacts")) == before - 2
    assert script('print(json.dumps(wandb.Api().artifact("local/p/data:latest").version))') == "v1"
    assert script(log("data", a="four")) == ["v3", ["latest"]]


def test_collections_are_listed_renamed_tagged_moved_to_a_type_and_removed(script: Script) -> None:
    for number in range(3):
        script(log(f"data-{number}", a="same"))
    assert script("""
api = wandb.Api()
found = api.artifact_collections("local/p", "dataset", per_page=2)
types = [kind.name for kind in api.artifact_types("local/p")]
print(json.dumps([len(found), [one.name for one in found], types, api.artifact_collection_exists("p/none", "dataset")]))
""") == [3, ["data-0", "data-1", "data-2"], ["dataset"], False]
    assert script("""
one = wandb.Api().artifact_collection("dataset", "local/p/data-1")
one.name, one.description, one.tags = "renamed", "of two kinds", ["x", "y"]
one.save()
one.tags = ["y"]; one.type = "corpus"
one.save()
one = wandb.Api().artifact_collection("corpus", "local/p/renamed")
facts = [one.description, one.tags, one.aliases, wandb.Api().artifact("local/p/renamed:v0").type]
one.delete()
print(json.dumps([*facts, wandb.Api().artifact_exists("local/p/renamed:v0")]))
""") == ["of two kinds", ["y"], ["latest"], "corpus", False]


def test_a_linked_artifact_is_a_version_of_its_portfolio_too(script: Script) -> None:
    script(log("data", a="one"))
    script(log("data", a="two"))
    assert script("""
artifact = wandb.Api().artifact("local/p/data:v1")
link = artifact.link("local/p/released", aliases=["prod"])
facts = [link.name, link.version, sorted(link.aliases), link.is_link, link.source_name]
facts.append([one.name for one in artifact.linked_artifacts])
found = wandb.Api().artifact("local/p/released:prod")
found.unlink()
api = wandb.Api()
print(json.dumps([*facts, api.artifact_exists("local/p/released:prod"), api.artifact_exists("local/p/data:v1")]))
""") == ["released:v0", "v0", ["latest", "prod"], True, "data:v1", ["released:v0"], False, True]


def test_drafts_increments_and_references_hold_what_they_were_made_of(script: Script, tmp_path: Path) -> None:
    (tmp_path / "far.bin").write_bytes(b"far")
    script("""
first = wandb.Artifact("data", type="dataset")
for name in ("a", "b"):
    with first.new_file(name) as stream:
        stream.write(name)
first.add_reference(pathlib.Path("far.bin").resolve().as_uri())
with wandb.init(project="p") as run:
    run.log_artifact(first).wait()
    draft = first.new_draft()
    draft.remove("a")
    with draft.new_file("c") as stream:
        stream.write("c")
    run.log_artifact(draft).wait()
    more = wandb.Artifact("data", type="dataset", incremental=True)
    with more.new_file("d") as stream:
        stream.write("d")
    run.log_artifact(more).wait()
""")
    assert script(
        EMPTY_CACHE
        + """
names = []
for version in ("v0", "v1", "v2"):
    artifact = wandb.Api().artifact(f"local/p/data:{version}")
    folder = pathlib.Path(artifact.download(version))
    names.append({path.name: path.read_text() for path in sorted(folder.iterdir())})
print(json.dumps([names, artifact.manifest.entries["far.bin"].ref]))
"""
    ) == [
        [
            {"a": "a", "b": "b", "far.bin": "far"},
            {"b": "b", "c": "c", "far.bin": "far"},
            {"b": "b", "c": "c", "d": "d", "far.bin": "far"},
        ],
        (tmp_path / "far.bin").resolve().as_uri(),
    ]


def test_who_logged_and_who_used_an_artifact_is_known(script: Script) -> None:
    script(log("data", run="maker", a="one"))
    script(log("data", run="again", a="one"))
    assert script("""
with wandb.init(project="p", id="user") as run:
    run.use_artifact("data:latest")
api = wandb.Api()
artifact = api.artifact("local/p/data:v0")
run = api.run("local/p/user")
logged = [one.name for one in api.run("local/p/again").logged_artifacts()]
used = [one.name for one in run.used_artifacts()]
print(json.dumps([artifact.logged_by().id, [one.id for one in artifact.used_by()], logged, used]))
""") == ["maker", ["user"], ["data:v0"], ["data:v0"]]
    assert (
        script("""
wandb.Api().run("local/p/maker").delete(delete_artifacts=True)
print(json.dumps(wandb.Api().artifact_exists("local/p/data:v0")))
""")
        is False
    )


def test_a_table_and_what_it_refers_to_come_back(script: Script) -> None:
    assert script("""
table = wandb.Table(columns=["size", "loss"], data=[["tiny", 1.5], ["small", 1.25]])
with wandb.init(project="p", id="tables") as run:
    run.log({"table": table})
    artifact = wandb.Artifact("tables", type="dataset")
    artifact.add(table, "results")
    run.log_artifact(artifact)
print(json.dumps(wandb.Api().artifact("local/p/tables:latest").get("results").data))
""") == [["tiny", 1.5], ["small", 1.25]]
