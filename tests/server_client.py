"""The server as anybody on the network sees it: plain requests, with the key, with a cookie, or with neither."""

import base64
import http.client
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from servers import RunningServer

UPSERT = """mutation ($name: String, $project: String, $display: String, $group: String, $config: JSONString,
    $summary: JSONString, $tags: [String!], $notes: String, $sweep: String) {
  upsertBucket(input: {name: $name, modelName: $project, displayName: $display, groupName: $group, config: $config,
    summaryMetrics: $summary, tags: $tags, notes: $notes, sweep: $sweep, host: "here"}) { bucket { id name } } }"""
FILES = """mutation ($name: String!, $project: String!, $files: [String!]!) {
  createRunFiles(input: {entityName: "local", projectName: $project, runName: $name, files: $files}) {
    files { name uploadUrl } } }"""


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Client:
    """Asks a server. `headers` go with every request: by default those of one who has the key."""

    server: RunningServer
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.address = self.server.url.removeprefix("http://")
        if not self.headers:
            credentials = base64.b64encode(f"api:{self.server.api_key}".encode()).decode()
            self.headers = {"Authorization": f"Basic {credentials}"}

    def ask(
        self, method: str, path: str, body: bytes | Iterable[bytes] | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """One request, as it is: nothing in the path is tidied up."""
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            connection.request(method, path, body, self.headers | (headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def page(self, path: str) -> Answer:
        """A page as a browser asks for it."""
        return self.ask("GET", path, headers={"Accept": "text/html"})

    def graphql(self, query: str, **variables: Any) -> Answer:
        return self.ask("POST", "/graphql", json.dumps({"query": query, "variables": variables}).encode())

    def run(self, name: str, project: str = "music", **values: Any) -> None:
        """Make a run. config and summary are given as objects."""
        wrapped = {key: {"value": value} for key, value in values.pop("config", {}).items()}
        summary = json.dumps(values.pop("summary", {}))
        answer = self.graphql(UPSERT, name=name, project=project, config=json.dumps(wrapped), summary=summary, **values)
        assert answer.status == 200, answer.text

    def log(self, name: str, rows: list[dict[str, Any]], project: str = "music", **more: Any) -> None:
        """Send rows of a run, as the SDK does; `more` is the rest of the post."""
        files: dict[str, Any] = {"wandb-history.jsonl": {"offset": 0, "content": [json.dumps(row) for row in rows]}}
        if console := more.pop("console", None):
            files["output.log"] = {"offset": 0, "content": console}
        answer = self.stream(name, {"files": files, **more}, project)
        assert answer.status == 200, answer.text

    def stream(self, name: str, body: Any, project: str = "music") -> Answer:
        path = f"/files/local/{quote(project, safe='')}/{quote(name, safe='')}/file_stream"
        return self.ask("POST", path, json.dumps(body).encode())

    def upload(self, name: str, file: str, content: bytes, project: str = "music") -> str:
        """Put a file of a run; the address it was put to, without the host."""
        answer = self.graphql(FILES, name=name, project=project, files=[file])
        assert answer.status == 200, answer.text
        url = answer.json["data"]["createRunFiles"]["files"][0]["uploadUrl"].removeprefix(self.server.url)
        assert self.ask("PUT", url, content).status == 200
        return url


def rows_of_a_training(n_steps: int, loss: float = 5.0) -> list[dict[str, Any]]:
    """Rows as a training logs them, with an evaluation every ten steps."""
    return [
        {
            "_step": step,
            "train/step": step,
            "train/tokens": 4096 * step,
            "train/loss": loss / step**0.2,
            "perf/tokens_per_second": 1000.0,
            **({"val/loss": loss / step**0.2 + 0.1} if step % 10 == 0 else {}),
        }
        for step in range(1, n_steps + 1)
    ]
