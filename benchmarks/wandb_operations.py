"""What the installed W&B SDK may ask that the local server has no answer for.

    python benchmarks/wandb_operations.py

The SDK's operations are read as text out of its `wandb-core` binary and its Python sources. Each is then asked, with
made-up variables, of a server (without a network) whose store holds one of everything; what it asks for and doesn't get
is printed by operation. So a new release shows what is new in it: run this before widening the range of `wandb` in
pyproject.toml. The exit code is 1 if anything is missing.

An operation that the server refuses as made up here is named too, for its answer was not looked into.
"""

import ast
import importlib.metadata
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphql import GraphQLError, OperationDefinitionNode, parse, print_ast

from scaling_lab.localserver import storage
from scaling_lab.localserver.artifacts import Artifacts
from scaling_lab.localserver.file_stream import take_in
from scaling_lab.localserver.graphql import Fault, Gaps, execute
from scaling_lab.localserver.nodes import node_id, row_of
from scaling_lab.localserver.roots import roots
from scaling_lab.localserver.runs import Runs
from scaling_lab.localserver.store import Store
from scaling_lab.localserver.sweeps import Sweeps

# What a server for one person, without an account, doesn't do; by the words in an operation's name or its file.
OUT_OF_SCOPE = {
    "launch": r"RunQueue|ResourceConfig|LaunchAgent|launch/|jobs\.py|EnqueueSweepRun|RunInfo$",
    "registries": r"Registr|registries/|FetchOrg",
    "automations": r"Automation|Integration|Slack|automations/",
    "teams": r"Team|Invite|ServiceAccount|CreateUser|ApiKey|OrgFeatureFlags",
    "custom charts": r"CreateCustomChart",
    "rewinding runs": r"RewindRun",
    "uploads without wandb-core": r"RunUploadUrls|CreateArtifactType",
    "uploads in parts": r"CompleteMultipartUploadArtifact",
}
# What the SDK's types could hold, and no call of its own on a person's runs puts there.
NOT_SENT = {
    r"Mutation\.upsertModel\(\w+:\)": "settings of registries and of W&B's own pages",
    r"Mutation\.updateArtifact\((aliases|labels):\)": "changed by addAliases, and by nobody",
}
_BEGINS = re.compile(r"\b(?:query|mutation) [A-Za-z_]\w*\s*[({]")
_LARGEST_OPERATION = 20_000


@dataclass(frozen=True)
class Operation:
    """An operation's name, its text with the fragments it needs, and where it is written."""

    name: str
    text: str
    place: str

    @property
    def area(self) -> str | None:
        """What it belongs to that is out of scope, or None."""
        found = (area for area, words in OUT_OF_SCOPE.items() if re.search(words, f"{self.place} {self.name}"))
        return next(found, None)


def operations(package: Path) -> tuple[list[Operation], list[str]]:
    """All operations of an installed SDK, and places of those that it puts together as it runs."""
    found: dict[str, Operation] = {}
    unread = []
    for place, text in (*_in_binary(package / "bin" / "wandb-core"), *_in_sources(package)):
        try:
            document = parse(text)
        except GraphQLError:
            unread.append(place)
            continue
        for part in document.definitions:
            if isinstance(part, OperationDefinitionNode) and part.name:
                found.setdefault(print_ast(document), Operation(part.name.value, text, place))
    return sorted(found.values(), key=lambda operation: operation.name), sorted(set(unread))


def _in_binary(path: Path) -> Iterator[tuple[str, str]]:
    """Go keeps string constants as they are, one after another: each ends where its braces and fragments do."""
    text = path.read_bytes().decode("latin-1")
    for begin in _BEGINS.finditer(text):
        end = _end_of_braces(text, begin.start())
        while end and re.match(r"\s*fragment \w+ on \w+\s*\{", text[end : end + 200]):
            end = _end_of_braces(text, end)
        if end:
            yield path.name, text[begin.start() : end]


def _end_of_braces(text: str, begin: int) -> int | None:
    depth = 0
    for place in range(begin, min(begin + _LARGEST_OPERATION, len(text))):
        sign = text[place]
        if sign not in "\n\t\r" and not " " <= sign <= "~":
            return None
        depth += (sign == "{") - (sign == "}")
        if sign == "}" and depth == 0:
            return place + 1
    return None


def _in_sources(package: Path) -> Iterator[tuple[str, str]]:
    """Texts that begin as operations do, whole or put together from the module's own constants."""
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            part.targets[0].id: part.value.value
            for part in tree.body
            if isinstance(part, ast.Assign)
            and isinstance(part.targets[0], ast.Name)
            and isinstance(part.value, ast.Constant)
        }
        pieces = {id(piece) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for piece in node.values}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Constant | ast.JoinedStr) or id(node) in pieces:
                continue
            text = _text(node, constants)
            if re.match(r"\s*(#graphql\s*)?(query|mutation)\b[^.]*\{", text):
                # A mark that the SDK itself replaces.
                text = text.replace("_PROJECT_QUERY_", "project { id name entity { name } }")
                yield f"{path.relative_to(package).as_posix()}:{node.lineno}", text


def _text(node: ast.expr, constants: Mapping[str, Any]) -> str:
    """A string as it is when the SDK runs, but for what only then is known: that is empty."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(piece, constants) for piece in node.values)
    if isinstance(node, ast.FormattedValue):
        return str(constants.get(node.value.id, "")) if isinstance(node.value, ast.Name) else ""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


# Objects that wandb-core makes up itself, as it was seen to.
_OF_CORE = {
    "CreateArtifactInput": "entityName: str, projectName: str, runName: str, artifactTypeName: str, digest: str, "
    "artifactCollectionNames: list[str], aliases: list[ArtifactAliasInput], tags: list[TagInput], metadata: str, "
    "description: str, clientID: str, sequenceClientID: str, ttlDurationSeconds: int, historyStep: int, "
    "enableDigestDeduplication: bool",
    "CreateArtifactFilesInput": "artifactFiles: list[CreateArtifactFileSpecInput], storageLayout: str",
    "CreateArtifactFileSpecInput": "artifactID: GQLId, name: str, md5: str",
    "ArtifactManifestEntryInput": "name: str, digest: str, birthArtifactID: str",
    "UseArtifactInput": "entityName: str, projectName: str, runName: str, artifactID: GQLId, usedAs: str",
    "UpdateRunStateInput": "id: GQLId, state: str",
}


class Inputs:
    """The kinds of objects that operations take, read from the SDK's sources: each field's name and type."""

    def __init__(self, package: Path) -> None:
        self._fields: dict[str, dict[str, str]] = {}
        for name, fields in _OF_CORE.items():
            self._fields[name] = dict(re.findall(r"(\w+): ([\w\[\]]+)", fields))
        for path in package.rglob("_generated/input_types.py"):
            for kind in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(kind, ast.ClassDef):
                    self._fields[kind.name] = dict(
                        _field(part) for part in kind.body if isinstance(part, ast.AnnAssign)
                    )

    def made_up(self, name: str, kind: str) -> Any:
        """A value of a type, as GraphQL or Python writes it, for what has a name."""
        kind = kind.removesuffix(" | None").removesuffix("!")
        if kind.startswith(("[", "list[")):
            return [self.made_up(name, kind[kind.index("[") + 1 : -1])]
        if kind in self._fields:
            return {field: self.made_up(field, inner) for field, inner in self._fields[kind].items()}
        if name in _VALUES:
            return _VALUES[name]
        if kind in ("ID", "GQLId") or name == "id":
            # Which of the ids is wanted, the server says when it refuses this one.
            return node_id("Unknown", 0, name)
        return _OF_TYPE.get(kind, "x")


# Whatever has a name is called x, so that any name finds it.
_SEARCH = '{"method": "grid", "parameters": {"x": {"values": [1, 2]}}}'
_OF_TYPE = {"Int": 1, "Int64": 1, "int": 1, "Float": 1.0, "Boolean": True, "bool": True, "JSONString": "{}"}
_VALUES: dict[str, Any] = {
    **dict.fromkeys(("entity", "entityName", "username"), "local"),
    **dict.fromkeys(("after", "cursor", "fileCursor", "reportCursor"), "0"),
    **dict.fromkeys(("spec", "specs", "historySpecs"), '{"keys": ["loss"]}'),
    **dict.fromkeys(("type", "manifestType"), "FULL"),
    "artifactPortfolioID": node_id("ArtifactCollection", 2),
    "artifactPortfolioName": "linked",
    "before": None,
    "clientID": "x",
    "config": _SEARCH,
    "digestAlgorithm": "MANIFEST_MD5",
    "metadata": "{}",
    "minStep": 0,
    "order": "+created_at",
    "state": "RUNNING",
    "tags": ["x"],
}


class Bench:
    """A server's nodes over a new store that holds one of everything."""

    def __init__(self, folder: Path, inputs: Inputs) -> None:
        self.store, self._inputs = Store(folder), inputs
        self._runs = Runs(self.store, "http://127.0.0.1:0", 90.0)
        self._artifacts = Artifacts(self.store, self._runs)
        self._nodes = roots(self.store, self._runs, Sweeps(self.store, self._runs, 90.0), self._artifacts)
        self._ids = self._fill()

    def ask(self, operation: Operation, gaps: Gaps) -> str | None:
        """Ask for an operation; why the server refused it, or None."""
        parts = [part for part in parse(operation.text).definitions if isinstance(part, OperationDefinitionNode)]
        text = json.dumps(
            {
                declared.variable.name.value: self._inputs.made_up(
                    declared.variable.name.value, print_ast(declared.type)
                )
                for declared in parts[0].variable_definitions or ()
            }
        )
        for _ in range(10):
            try:
                execute(self._nodes, gaps, {"query": operation.text, "variables": json.loads(text)})
                return None
            except Fault as fault:
                wanted = re.fullmatch(r"'(\S+)' is not the id of a (\w+)", str(fault))
                if wanted is None or wanted[2] not in self._ids:
                    return str(fault)
                text = text.replace(wanted[1], self._ids[wanted[2]])
        return "asks for ever more ids"

    def _fill(self) -> dict[str, str]:
        """Make one project, run, file, sweep, agent and artifact; their ids."""
        place = {"entityName": "local", "projectName": "x"}
        made = self._change("upsertBucket", "bucket { id }", {"entityName": "local", "modelName": "x", "name": "x"})
        row = self._runs.run("local", "x", "x")
        assert row is not None
        rows = {"offset": 0, "content": ['{"_step": 0, "loss": 1.0}']}
        logs = {"offset": 0, "content": ["said"]}
        take_in(self.store, row, {"files": {"wandb-history.jsonl": rows, "output.log": logs}})
        self._runs.files.came(row["id"], "x", storage.Received(1, "x"))
        sweep = self._change("upsertSweep", "sweep { id name }", {**place, "config": _SEARCH})["sweep"]
        agent = self._change("createAgent", "agent { id }", {**place, "sweep": sweep["name"], "host": "x"})
        with self.store.write() as writer:
            writer.execute("UPDATE sweeps SET name = 'x'")
            writer.execute("UPDATE agents SET name = 'x'")
        artifact = self._log_artifact(place)
        return {
            "Run": made["bucket"]["id"],
            "File": node_id("File", 1),
            "Sweep": sweep["id"],
            "Agent": agent["agent"]["id"],
            "Artifact": artifact,
            "ArtifactManifest": node_id("ArtifactManifest", 1),
            "ArtifactCollection": node_id("ArtifactCollection", 1),
        }

    def _log_artifact(self, place: dict[str, str]) -> str:
        wanted = {"artifactTypeName": "x", "artifactCollectionNames": ["x"], "digest": "x", "clientID": "x"}
        used = {**place, "runName": "x"}
        aliases = [{"alias": "x"}]
        made = self._change("createArtifact", "artifact { id }", {**used, **wanted, "aliases": aliases})
        id_ = made["artifact"]["id"]
        announced = {"artifactID": id_, "name": "wandb_manifest.json", "digest": "x"}
        self._change("createArtifactManifest", "artifactManifest { id }", announced)
        path = storage.artifact_blob(self.store, "x")
        path.parent.mkdir(parents=True)
        path.write_text('{"version": 1, "contents": {"x": {"ref": "file:///x", "digest": "x"}}}')
        self._artifacts.manifest_came(row_of("Artifact", id_), "x")
        self._change("commitArtifact", "artifact { id }", {"artifactID": id_})
        self._change("useArtifact", "artifact { id }", {**used, "artifactID": id_})
        self._change("linkArtifact", "versionIndex", {**place, "artifactID": id_, "artifactPortfolioName": "linked"})
        return id_

    def _change(self, field: str, wanted: str, values: dict[str, Any]) -> Any:
        query = f"mutation Fill($input: Input!) {{ {field}(input: $input) {{ {wanted} }} }}"
        return execute(self._nodes, Gaps(), {"query": query, "variables": {"input": values}})["data"][field]


def _field(part: ast.AnnAssign) -> tuple[str, str]:
    name = part.target.id if isinstance(part.target, ast.Name) else ""
    keywords = part.value.keywords if isinstance(part.value, ast.Call) else []
    aliases = [word.value.value for word in keywords if word.arg == "alias" and isinstance(word.value, ast.Constant)]
    return str(aliases[0]) if aliases else name, ast.unparse(part.annotation)


def main() -> int:
    """Print what is missing; how many operations lack something."""
    package = Path(str(importlib.metadata.distribution("wandb").locate_file("wandb")))
    found, unread = operations(package)
    inputs = Inputs(package)
    missing: list[str] = []
    refused: list[str] = []
    apart: dict[str, list[str]] = {area: [] for area in OUT_OF_SCOPE}
    for operation in found:
        if operation.area:
            apart[operation.area].append(operation.name)
            continue
        gaps = Gaps()
        # A store of its own for each: it may remove what is there.
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(Path(folder), inputs)
            reason = bench.ask(operation, gaps)
            bench.store.close()
        names = [name for name in gaps.counts() if not any(re.fullmatch(known, name) for known in NOT_SENT)]
        missing += [f"{operation.name} ({operation.place}): {name}" for name in names]
        refused += [f"{operation.name} ({operation.place}): {reason}"] if reason else []
    checked = len(found) - sum(map(len, apart.values()))
    print(f"wandb {importlib.metadata.version('wandb')}: {checked} operations asked")
    _print("without an answer", missing)
    _print("refused as made up here, their answers not looked into", refused)
    _print("put together as the SDK runs, not looked into", unread)
    _print("out of scope", [f"{area}: {', '.join(sorted(set(names)))}" for area, names in apart.items() if names])
    return len(missing)


def _print(title: str, lines: list[str]) -> None:
    print(f"\n{title}: {len(lines) or 'none'}")
    for line in lines:
        print(f"  {line}")


if __name__ == "__main__":
    sys.exit(min(main(), 1))
