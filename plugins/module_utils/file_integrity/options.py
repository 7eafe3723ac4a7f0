# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the file integrity modules."""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _argspec, _run, _state
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.model import ATTRIBUTES, Watch
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches import definitions

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify import (
        derived_files,
    )

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

_TEXTS = {"type": "list", "elements": "str", "default": []}
_WATCH = {
    "name": {"type": "str", "required": True},
    "paths": {"type": "list", "elements": "str", "required": True},
    "exclude": _TEXTS,
    "include": _TEXTS,
    "recurse": {"type": "int", "default": -1},
    "attributes": {"type": "list", "elements": "str", "choices": sorted(ATTRIBUTES)},
    "hashes": {"type": "list", "elements": "str", "choices": list(definitions.HASHES), "default": ["sha256"]},
    "filesystems": {"type": "str", "choices": ["local", "all"], "default": "local"},
    "category": {"type": "str", "default": "other"},
    "alert": {"type": "raw"},
    "techniques": {"type": "raw"},
}


def _common_spec() -> dict[str, dict[str, t.Any]]:
    return {
        **_argspec.sealed_spec(),
        **_argspec.scanning_spec(),
        "watches": {"type": "list", "elements": "dict", "options": _WATCH},
        "disabled_watches": {"type": "list", "elements": "str", "default": []},
        "max_changes": {"type": "int", "default": 1000},
        "_default_names": {"type": "list", "elements": "str"},
        "_derived": {"type": "list", "elements": "dict"},
    }


def collect_spec() -> dict[str, dict[str, t.Any]]:
    """Return the argument spec of file_integrity_info."""
    return {
        **_common_spec(),
        "default_watches": {"type": "bool", "default": False},
        "rehash": {"type": "str", "choices": ["always", "changed"], "default": "always"},
    }


def apply_spec() -> dict[str, dict[str, t.Any]]:
    """Return the argument spec of file_integrity.

    ``_phase`` and ``_digest`` are how the action plugin changes baseline and seal together
    (plugin_utils/actions/baseline.py).
    """
    return {
        **_common_spec(),
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "accept": {"type": "list", "elements": "str"},
        "reason": {"type": "str"},
        "accepted_by": {"type": "str"},
        "default_watches": {"type": "bool", "default": True},
        "lock_timeout": {"type": "int", "default": 60},
        "_phase": {"type": "str", "choices": ["stage", "commit", "abort"]},
        "_digest": {"type": "str"},
    }


def check_spec() -> dict[str, dict[str, t.Any]]:
    """Return the argument spec of what a scan asks: both, and whether to compare where there was a baseline before."""
    return {**apply_spec(), "rehash": collect_spec()["rehash"], "_compare": {"type": "bool", "default": False}}


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of either module, checked.

    expected: the seals that the controller holds; None when no controller takes part, empty when it holds none.
    derived: what programs generate when packages change, from the controller's content. default_names: the watches that
    are the collection's own; not every host has what they watch.
    """

    root: str
    baseline: str
    watches: tuple[Watch, ...] | None
    expected: tuple[str, ...] | None
    time_budget: int
    workers: int
    priority: str
    max_changes: int
    derived: tuple[t.Mapping[str, t.Any], ...] = ()
    default_names: frozenset[str] = frozenset()
    rehash: str = "always"
    accept: tuple[str, ...] = ()
    reason: str = ""
    accepted_by: str = ""
    lock_timeout: int = 60
    phase: str | None = None
    digest: str | None = None

    @property
    def unsealed(self) -> bool:
        """Say whether a baseline that is found is one that the controller knows nothing of: anyone can have made it."""
        return self.expected is not None and not self.expected

    def derived_rules(self) -> tuple[derived_files.DerivedRule, ...]:
        """Return the rules of what programs generate; UsageError when the controller's content doesn't fit."""
        if not self.derived:
            return ()
        # Imported late: the workers, which need none of it, are busy by now.
        from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.classify import (
            derived_files,
        )

        try:
            return derived_files.parse_derived(self.derived)
        except (KeyError, ValueError) as error:
            raise UsageError("the content of the controller does not fit this module: %s" % error) from error


def parse(params: t.Mapping[str, t.Any]) -> Options:
    """Return the options of a task, checked; raise UsageError, which names the option."""
    if not _NAME.fullmatch(params["baseline"]):
        raise UsageError(
            "baseline '%s' is not a name: use letters, digits and . _ -, beginning with a letter or digit"
            % params["baseline"]
        )
    if params.get("state_dir") and not os.path.isabs(params["state_dir"]):
        raise UsageError("state_dir '%s' is relative; give an absolute path" % params["state_dir"])
    for name in ("time_budget", "max_changes", "lock_timeout"):
        if params.get(name) is not None and params[name] < 0:
            raise UsageError("%s is %d; use 0 or more" % (name, params[name]))
    if params["workers"] < 1:
        raise UsageError("workers is %d; use 1 or more" % params["workers"])
    accept = tuple(params.get("accept") or ())
    for name in ("reason", "accepted_by"):
        if accept and not (params.get(name) or "").strip():
            raise UsageError("%s is missing; accept needs it for the record in the baseline" % name)
    given = params.get("watches")
    expected = params.get("_expected_digests")
    return Options(
        root=params.get("state_dir") or _state.default_root(os.environ, os.geteuid()),
        baseline=params["baseline"],
        watches=None if given is None else tuple(definitions.from_options(given)),
        expected=None if expected is None else tuple(expected),
        time_budget=params["time_budget"],
        workers=_run.worker_count(params["workers"]),
        priority=params["priority"],
        max_changes=params["max_changes"],
        derived=tuple(params.get("_derived") or ()),
        default_names=frozenset(params.get("_default_names") or ()),
        rehash=params.get("rehash") or "always",
        accept=accept,
        reason=params.get("reason") or "",
        accepted_by=params.get("accepted_by") or "",
        lock_timeout=params.get("lock_timeout") or 0,
        phase=params.get("_phase"),
        digest=params.get("_digest"),
    )
