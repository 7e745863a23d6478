"""A project of W&B, or of our local server, open for reading through the real `wandb.Api()`.

Whatever goes wrong there is told as one of ours: the place, what is wrong, what to do; never a traceback of the SDK's.
"""

import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from scaling_lab.config.fields import nearest
from scaling_lab.errors import RemoteError, ScalingLabError, UsageError
from scaling_lab.history.filters import EVERY_RUN, RunFilters
from scaling_lab.tracking.wandb_run import base_url, has_api_key

ReadingMode = Literal["auto", "online", "local"]

DEFAULT_PROJECT = "music-scaling"
DEFAULT_STORE = Path("outputs/local-wandb")
# Runs in one answer. Each comes with its config and summary, some 6 KB.
RUNS_A_PAGE = 100
# As W&B has it.
LONGEST_PROJECT_NAME = 128
# Names that a message lists.
MOST_NAMED = 10


@dataclass(frozen=True)
class Source:
    """A project, open for reading.

    server: what names the server for good: its address, or the folder of a local one, whose port changes.
    """

    server: str
    entity: str
    project: str
    api: Any = field(repr=False)

    @property
    def place(self) -> str:
        return f"{self.server}: {self.entity}/{self.project}"


@dataclass(frozen=True)
class RemoteRun:
    """What a server says of a run, its rows aside.

    last_step: the last `_step` it holds, -1 where it holds none. n_rows: how many rows. keys: `historyKeys.keys`, which
    says of every metric that was logged how often and as what.
    """

    id: str
    name: str
    state: str
    created_at: str
    heartbeat_at: str
    url: str
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    last_step: int
    n_rows: int
    keys: Mapping[str, Any]
    handle: Any = field(repr=False, compare=False)


@contextmanager
def opened(
    project: str, entity: str | None = None, mode: ReadingMode = "auto", store: Path | None = None
) -> Iterator[Source]:
    """The project on W&B, or on the local server of `store`, which is started for the block where none is running.

    `auto` is W&B where an API key for it is at hand, else the local server.

    Raises:
        UsageError: if there is no such local store, or no project can have that name.
        RemoteError: if the server can't be reached, or refuses the key.
    """
    _require_project_name(project)
    local = mode == "local" or (mode == "auto" and not has_api_key())
    store = store or DEFAULT_STORE
    if local:
        require_store(store)
    from scaling_lab.localserver import find_server, serving

    if not local:
        require_key()
        check_answers(base_url())
        running = find_server(store)
        # Reached by its address, the store's own server is still that store: its runs are cached under one name.
        named = str(store.resolve()) if running and running.url == base_url() else None
        yield _source(named or "W&B", project, entity, is_named=named is not None)
        return

    with serving(store) as server:
        yield _source(str(store.resolve()), project, entity, server.url, server.api_key, is_named=True)


def _require_project_name(name: str) -> None:
    """Refuse what is no project's name, and could lead elsewhere in an address or a path. Raises UsageError."""
    if name in ("", ".", "..") or len(name) > LONGEST_PROJECT_NAME or re.search(r"[/\\#?%:\x00-\x1f\x7f]", name):
        raise UsageError(
            f"command line --project: {name[:80]!r} can't be a project's name; give 1 to {LONGEST_PROJECT_NAME} "
            "characters without / \\ # ? % :, and --entity for its owner"
        )


def require_key() -> None:
    """Refuse to ask W&B without a key: on a terminal the SDK would wait for one to be typed. Raises RemoteError."""
    if not has_api_key():
        raise RemoteError("W&B: no API key at hand; log in with `wandb login`, or give --tracking local")


def require_store(store: Path) -> None:
    """Refuse a local store that isn't there: a server would begin it anew, in any folder. Raises UsageError."""
    from scaling_lab.localserver.store import STORE_FILE

    if not (store / STORE_FILE).exists():
        raise UsageError(
            f"{store}: no local store of runs, and no API key of W&B's at hand; give the --store that runs were logged "
            "to, or log in to W&B (`wandb login`)"
        )


def _source(
    server: str,
    project: str,
    entity: str | None,
    url: str | None = None,
    key: str | None = None,
    *,
    is_named: bool,
) -> Source:
    """`is_named`: `server` is its name for good; else that is its address."""
    import wandb

    with told_as_ours(server):
        api = wandb.Api(overrides={"base_url": url} if url else None, api_key=key)
        entity = entity or api.default_entity
    if not entity:
        raise UsageError(f"{server}: this key has no entity of its own; give --entity")
    return Source(server if is_named else str(api.settings["base_url"]), entity, project, api)


def check_answers(url: str) -> None:
    """Raises RemoteError at once where an address of this machine has no server: the SDK would ask for minutes."""
    parts = urlsplit(url)
    if parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        return
    try:
        socket.create_connection((parts.hostname, parts.port or 80), timeout=5).close()
    except OSError as error:
        raise RemoteError(
            f"{url}: no server answers there ({error.strerror or error}); start it with `scaling-lab server`, and "
            "paste the lines it prints, or unset WANDB_BASE_URL and WANDB_API_KEY"
        ) from None


def list_runs(source: Source, filters: RunFilters = EVERY_RUN) -> list[RemoteRun]:
    """Every run of the project that is selected, in order of creation.

    Raises:
        UsageError: if there is no such project, or this key may not see it.
        RemoteError: if the server fails.
    """
    path = f"{source.entity}/{source.project}"
    with told_as_ours(source.place):
        # Else one Api would give the same list again, whatever was logged since.
        source.api.flush()
        try:
            found = source.api.runs(
                path, filters=filters.as_wandb(), order="+created_at", per_page=RUNS_A_PAGE, lazy=False
            )
            return [_remote_run(run) for run in found]
        except ValueError as error:  # the SDK's own way to say that the answer holds no project
            if "Could not find project" not in str(error):
                raise
    raise UsageError(f"{source.place}: no such project, or this key may not see it; check --project and --entity")


def why_none(source: Source, filters: RunFilters) -> str:
    """Why no run of the project is selected, and what there is instead. Raises RemoteError."""
    runs = list_runs(source)
    if not runs:
        return "holds no run yet; train some, `scaling-lab study` say"
    if filters.sweep_id and find_sweep(source, filters.sweep_id) is None:
        return f"no sweep {filters.sweep_id}; give the id that `scaling-lab sweep create` printed"
    groups = [run.handle.group for run in runs]
    if filters.group and filters.group not in groups:
        return f"no run of group {filters.group}; {_there_are(filters.group, groups)}"
    for key, values in filters.equal.items():
        held = [run.config.get(key, getattr(run.handle, key, None)) for run in runs]
        if not any(value in held for value in values):
            wanted = " or ".join(map(str, values))
            return f"no run has {key}={wanted}; {_there_are(wanted, held)}"
    return f"no run is of {filters} at once; leave one of them out"


def _there_are(wanted: str, held: list[Any]) -> str:
    """What a misspelt word may have meant, or what else could have been given."""
    names = sorted({str(value) for value in held if value is not None})
    if near := nearest(wanted, names):
        return f"did you mean {near}?"
    if not names:
        return "no run has any"
    return f"there are {', '.join(names[:MOST_NAMED])}" + (" and others" if len(names) > MOST_NAMED else "")


def find_sweep(source: Source, sweep_id: str) -> Any | None:
    """A sweep of the project as the SDK has it now, or None if there is no such sweep. Raises RemoteError."""
    path = f"{source.entity}/{source.project}/{sweep_id}"
    try:
        with told_as_ours(source.place):
            sweep = source.api.sweep(path)
            # Else one Api would give the same state again, whatever was changed since.
            sweep.load(force=True)
            return sweep
    except (RemoteError, ValueError) as error:  # the SDK's own way to say that the answer holds no sweep
        if "Could not find sweep" in str(error):
            return None
        raise


def require_sweep(source: Source, sweep_id: str) -> Any:
    """A sweep of the project. Raises UsageError if there is no such sweep; RemoteError."""
    sweep = find_sweep(source, sweep_id)
    if sweep is None:
        raise UsageError(f"{source.place}: no sweep {sweep_id}; give ID, PROJECT/ID or ENTITY/PROJECT/ID")
    return sweep


def _remote_run(run: Any) -> RemoteRun:
    keys = getattr(run, "history_keys", None) or {}
    return RemoteRun(
        id=str(run.id),
        name=str(run.name),
        state=str(run.state),
        created_at=str(run.created_at),
        heartbeat_at=str(run.heartbeat_at or ""),
        url=str(run.url),
        config=run.config,
        summary=run.summary_metrics,
        last_step=int(keys.get("lastStep", -1)),
        n_rows=int(getattr(run, "history_line_count", None) or 0),
        keys=keys.get("keys") or {},
        handle=run,
    )


@contextmanager
def told_as_ours(place: str) -> Iterator[None]:
    """Turns what the SDK raises into a UsageError or RemoteError that says what to do."""
    import wandb.errors

    failed = _failed_request()
    try:
        yield
    except ScalingLabError:
        raise
    except wandb.errors.AuthenticationError as error:
        raise RemoteError(
            f"{place}: {_words(error)}; check the address (WANDB_BASE_URL) and the key (`wandb login`, or "
            "WANDB_API_KEY), or do without W&B by --tracking local"
        ) from None
    except wandb.errors.UsageError as error:
        raise UsageError(f"{place}: {_words(error)}; log in with `wandb login`, or give --tracking local") from None
    except (wandb.errors.Error, failed) as error:
        raise RemoteError(f"{place}: {_words(error)}; {_cure(http_status(error))}") from None
    except (ConnectionError, TimeoutError) as error:  # its service process died, or answers no more
        raise RemoteError(f"{place}: {type(error).__name__}: {error}; {_cure(0)}") from None


def http_status(error: BaseException | None) -> int:
    """The HTTP status that made a request of the SDK's fail, 0 where none is known."""
    while error is not None:
        response = getattr(error, "response", None)
        if status := getattr(response, "http_status", 0):
            return int(status)
        error = getattr(error, "exc", None) or error.__cause__
    return 0


def is_request_failure(error: BaseException) -> bool:
    """Whether the SDK raised it for a request that failed."""
    import wandb.errors

    return isinstance(error, (wandb.errors.CommError, _failed_request()))


def _failed_request() -> type[Exception]:
    """What the SDK raises for a request, where it doesn't make a CommError of it."""
    from wandb.sdk.lib.service.service_connection import WandbApiFailedError

    return WandbApiFailedError


def _cure(status: int) -> str:
    if status in (401, 403):
        return "this key may not read it: give another (WANDB_API_KEY), or ask the project's owner for access"
    if status == 404:
        return "check --entity, --project and WANDB_BASE_URL"
    if status == 429:
        return "the server is asked too often: wait some minutes; what was done is kept"
    return "check that the server can be reached, and try again; what was done is kept"


def _words(error: BaseException) -> str:
    """An SDK's message on one line, without the body of a page that it may carry."""
    return re.sub(r"\s+", " ", str(error)).strip()[:300].rstrip(".;") or type(error).__name__
