"""The two nodes that every operation starts from: what can be asked, and what can be changed."""

from typing import Any

from scaling_lab.localserver.artifacts import Artifacts
from scaling_lab.localserver.graphql import Node
from scaling_lab.localserver.nodes import node_id, paged
from scaling_lab.localserver.runs import ENTITY, Runs, named, project_node, user_node
from scaling_lab.localserver.store import Row, Store
from scaling_lab.localserver.sweeps import Sweeps
from scaling_lab.localserver.views import Views

# What the SDK may use of a server; all else it then does without.
FEATURES = ("TOTAL_COUNT_IN_FILE_CONNECTION", "ARTIFACT_MEMBERSHIP_IN_LINK_ARTIFACT_RESPONSE")


def roots(store: Store, runs: Runs, sweeps: Sweeps, artifacts: Artifacts) -> dict[str, Node]:
    """The nodes of a store's server."""
    views = Views(store, runs)

    def run_node(row: Row) -> Node:
        return {**runs.run_node(row), **artifacts.nodes.run_fields(row)}

    def project(row: Row | None) -> Node | None:
        if row is None:
            return None

        def runs_of(
            filters: Any = None, order: str | None = None, first: int | None = None, after: str | None = None
        ) -> Node:
            return runs.runs_of(row, filters, order, first, after)

        return {
            **project_node(row),
            **artifacts.nodes.project_fields(row),
            "run": lambda name, desc=None: _optional(run_node, runs.run(row["entity"], row["name"], name)),
            "runs": runs_of,
            # As SDKs up to 0.28 call them.
            "buckets": runs_of,
            "runCount": lambda filters=None: runs.count(row, filters),
            "sweep": lambda sweep_name: _optional(sweeps.sweep_node, sweeps.sweep(row, sweep_name)),
            "sweeps": lambda first=None, after=None, filters=None: sweeps.sweeps_of(row, first, after),
            "totalSweeps": lambda: sweeps.sweeps_of(row)["totalCount"],
            "bucket": lambda name, missing_ok=False: runs.resume_bucket(row, name),
            "allViews": lambda view_type=None, view_name=None, first=None, after=None: views.views_of(
                row, view_type, view_name, first, after
            ),
        }

    def project_or_any(name: str | None = None, entity_name: str | None = None) -> Node | None:
        # `wandb agent ID` names no project. A sweep's id is the store's own, so it is found without.
        found = project(runs.project(entity_name, name))
        if name is not None:
            return found
        anywhere = {"sweep": lambda sweep_name: _optional(sweeps.sweep_node, sweeps.sweep(None, sweep_name))}
        return {"__typename": "Project", **(found or {}), **anywhere}

    def projects(entity_name: str | None = None, first: int | None = None, after: str | None = None) -> Node:
        rows = store.rows("SELECT * FROM projects WHERE entity = ? ORDER BY id DESC", (entity_name or ENTITY,))
        return paged(rows, lambda row: project(row) or {}, first, after)

    def upsert_project(*, name: str, entity_name: str | None = None, description: str | None = None) -> Node:
        with store.write() as writer:
            row = runs.ensure_project(writer, entity_name, named(name))
            if description is not None:
                writer.execute("UPDATE projects SET description = ? WHERE id = ?", (description, row["id"]))
        return {"project": project(row), "model": project(row), "inserted": True}

    def delete_run(*, id: str, delete_artifacts: bool = False) -> Node:
        with store.write():
            if delete_artifacts:
                artifacts.edits.delete_logged_by(runs.run_by_id(id))
            return runs.delete(id)

    query: Node = {
        "__typename": "Query",
        "viewer": user_node,
        "view": views.view,
        "serverInfo": {
            "__typename": "ServerInfo",
            "features": [{"name": name, "isEnabled": True} for name in FEATURES],
            "cliVersionInfo": {"min_cli_version": "0.28.0", "max_cli_version": "0.32.0"},
            "latestLocalVersionInfo": None,
        },
        "entity": lambda name=None: _entity(name or ENTITY),
        "organization": lambda name=None: None,
        "project": project_or_any,
        # A run may ask for its project before it makes it.
        "model": lambda name=None, entity_name=None: project(runs.project(entity_name, name)),
        "models": projects,
        "artifact": artifacts.by_id,
        "artifactCollection": artifacts.nodes.collection_by_id,
        "clientIDMapping": artifacts.client_mapping,
        "users": lambda query=None: paged([user_node()], lambda user: user, None, None),
    }
    mutation: Node = {
        "__typename": "Mutation",
        "upsertModel": upsert_project,
        "upsertBucket": runs.upsert,
        "deleteRun": delete_run,
        "stopRun": runs.stop,
        "updateRunState": runs.update_state,
        "createRunFiles": runs.create_files,
        "markRunFilesUploaded": runs.mark_uploaded,
        "deleteFiles": runs.files.delete,
        "upsertView": views.upsert,
        "deleteView": views.delete,
        "upsertSweep": sweeps.upsert,
        "createAgent": sweeps.create_agent,
        "agentHeartbeat": sweeps.heartbeat,
        "notifyScriptableRunAlert": _alert,
        **_artifact_mutations(artifacts),
    }
    return {"query": query, "mutation": mutation}


def _artifact_mutations(artifacts: Artifacts) -> Node:
    edits = artifacts.edits
    return {
        "createArtifact": artifacts.create,
        "createArtifactManifest": artifacts.create_manifest,
        "updateArtifactManifest": artifacts.update_manifest,
        "createArtifactFiles": artifacts.create_files,
        "commitArtifact": artifacts.commit,
        "useArtifact": edits.use,
        "updateArtifact": edits.update,
        "addAliases": edits.add_aliases,
        "deleteAliases": edits.delete_aliases,
        "linkArtifact": edits.link,
        "unlinkArtifact": edits.unlink,
        "deleteArtifact": edits.delete,
        "updateArtifactSequence": edits.update_sequence,
        "updateArtifactPortfolio": edits.update_portfolio,
        "moveArtifactSequence": edits.move_sequence,
        "createArtifactCollectionTagAssignments": edits.tag_collection,
        "deleteArtifactCollectionTagAssignments": edits.untag_collection,
        "deleteArtifactSequence": edits.delete_sequence,
        "deleteArtifactPortfolio": edits.delete_portfolio,
    }


def _optional(node: Any, row: Row | None) -> Node | None:
    return node(row) if row is not None else None


def _alert(
    *,
    entity_name: str,
    project_name: str,
    run_name: str,
    title: str,
    text: str,
    severity: str = "INFO",
    wait_duration: Any = None,
) -> Node:
    """An alert is in the run's console output already; there is nobody to send it to."""
    return {"success": True}


def _entity(name: str) -> Node:
    return {
        "__typename": "Entity",
        "id": node_id("Entity", name),
        "name": name,
        "isTeam": False,
        "organization": None,
        "user": None,
        "xxhashDigestsEnabled": False,
    }
