"""Which runs of a project are read: those of a sweep, of a group, with values in their config.

RunFilters(sweep="abc123", equal={"size": ["tiny", "xl"]})
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# The job type of what keeps a report: no training, and so no run to read.
REPORT_JOB = "report"
# Fields of a run that W&B filters by; every other key is one of the run's config.
_OWN_KEYS = frozenset({"state", "tags", "group", "sweep", "jobType", "displayName", "name", "createdAt", "username"})


@dataclass(frozen=True)
class RunFilters:
    """Runs of one project; all of them, where nothing is given.

    sweep: its id, or a path that ends with it. equal: values of the config, or of W&B's own fields, by key; of several
    values for one key any will do.
    """

    sweep: str | None = None
    group: str | None = None
    equal: Mapping[str, list[Any]] = field(default_factory=dict)

    @property
    def sweep_id(self) -> str | None:
        return self.sweep.rpartition("/")[2] if self.sweep else None

    def __str__(self) -> str:
        """In words, as a person gave it: sweep abc123, size=tiny or xl."""
        parts = [f"sweep {self.sweep_id}"] if self.sweep else []
        parts += [f"group {self.group}"] if self.group else []
        return ", ".join(parts + [f"{key}={' or '.join(map(str, values))}" for key, values in self.equal.items()])

    @property
    def file_stem(self) -> str:
        """The same as the end of a file's name: sweep-abc123-size=tiny-or-xl."""
        return re.sub(r"[^\w.=]+", "-", str(self)).strip("-")[:100]

    def as_wandb(self) -> dict[str, Any]:
        """The same as W&B's filters, which are Mongo's."""
        filters: dict[str, Any] = {"jobType": {"$ne": REPORT_JOB}}
        if self.sweep_id:
            filters["sweep"] = self.sweep_id
        if self.group:
            filters["group"] = self.group
        for key, values in self.equal.items():
            own = key in _OWN_KEYS or key.partition(".")[0] in ("config", "summary_metrics")
            filters[key if own else f"config.{key}"] = values[0] if len(values) == 1 else {"$in": values}
        return filters


EVERY_RUN = RunFilters()
