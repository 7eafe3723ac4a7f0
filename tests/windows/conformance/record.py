# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records: what the checks saw on one host, as JSON. README.md has the fields."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import pathlib
import re
import typing as t

from tests.windows.conformance import catalogue

SCHEMA = 1
OUTCOMES = ("passed", "failed", "not_possible")

Json = dict[str, t.Any]
_Valid = t.Callable[[t.Any], bool]

# What the phase "change" does.
_CHANGED = ["deleted ends in a dot.", "modified changed", "modified changed.txt", "renamed renamed.txt"]
_NOT_RUN = "the module that makes this check failed: "
_LARGEST = 1_000_000


class RecordError(Exception):
    """The file is no record that counts; the message is one sentence that names it."""


def _matches(pattern: str) -> _Valid:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _is(*kinds: type) -> _Valid:
    return lambda value: type(value) in kinds


_VERSION = _matches(r"\d+(\.[\w-]+)+")
_WORD = _matches(r"\w+")
_DIGEST = _matches("[0-9a-f]{64}")
_RECORD: t.Final[t.Mapping[str, _Valid]] = {
    "schema": _is(int),
    "collection": _VERSION,
    "time": _matches(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    "controller": _is(dict),
    "platform": _is(dict),
    "sources": lambda value: isinstance(value, dict) and all(map(_DIGEST, value.values())),
    "checks": _is(list),
    "digest": _DIGEST,
}
_CONTROLLER: t.Final[t.Mapping[str, _Valid]] = {"core": _VERSION, "connection": _matches(r"[\w.]+")}
_PLATFORM: t.Final[t.Mapping[str, _Valid]] = {
    "build": _matches(r"\d+"),
    "update_revision": _is(int),
    "edition": _WORD,
    "product_type": _matches("workstation|server|domain_controller"),
    "architecture": _matches(r"[\w -]+"),
    "powershell_edition": _matches("Core|Desktop"),
    "powershell_version": _VERSION,
    "language_mode": _WORD,
    "is_32bit_process": _is(bool),
    "is_administrator": _is(bool),
    "is_wine": lambda value: value is False,
}
_CHECK: t.Final[t.Mapping[str, _Valid]] = {
    "id": _WORD,
    "edge": _matches(r"\w+(\.\w+)?"),
    "outcome": lambda value: value in OUTCOMES,
    "reason": _is(str),
    "evidence": _is(list),
}
_EVIDENCE: t.Final[t.Mapping[str, _Valid]] = {
    "name": _is(str),
    "edge": _is(str),
    "second": _is(str),
    "equal": _is(bool),
}


@dataclasses.dataclass(frozen=True)
class Record:
    """A record that was read and counts."""

    content: t.Mapping[str, t.Any]

    @property
    def build(self) -> str:
        """Build and update revision, as in 26100.1742."""
        return "{build}.{update_revision}".format_map(self.content["platform"])

    @property
    def name(self) -> str:
        """The name of its file in Git."""
        known = self.content["platform"]
        core = ".".join(self.content["controller"]["core"].split(".")[:2])
        connection = self.content["controller"]["connection"].rpartition(".")[2]
        shell = f"{known['powershell_edition']}-{known['powershell_version']}".lower()
        return f"{self.build}-{known['edition']}-{shell}-{connection}-core{core}.json"

    def outcome(self, edge: str) -> str:
        """Return how an edge did: the worst outcome of its checks, and ``not_possible`` if one is not in the record."""
        outcomes = {check["id"]: check["outcome"] for check in self.content["checks"] if check["edge"] == edge}
        of_edge = [outcomes.get(check.id, "not_possible") for check in catalogue.checks() if check.edge == edge]
        return next((outcome for outcome in ("failed", "not_possible") if outcome in of_edge), "passed")

    def is_current(self, edge: str) -> bool:
        """Say whether the code behind an edge is still the same."""
        source = catalogue.source_of(edge)
        return bool(self.content["sources"].get(source) == catalogue.sources().get(source))


def read(file: pathlib.Path) -> Record:
    """Read a record; raise RecordError."""
    try:
        if file.stat().st_size > _LARGEST:
            raise RecordError(f"{file} is too large for a record.")
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RecordError(f"{file} cannot be read: {error}.") from error
    problem = _problem(content)
    if problem is not None:
        raise RecordError(f"{file} {problem}.")
    return Record(content)


def _problem(content: t.Any) -> str | None:
    schema = content.get("schema") if isinstance(content, dict) else None
    if type(schema) is not int:
        return "is no record of the conformance kit"
    if schema != SCHEMA:
        age = "an older" if schema < SCHEMA else "a newer"
        return f"has schema {schema} of {age} conformance kit: run the kit of this checkout again"
    platform = content.get("platform")
    if isinstance(platform, dict) and platform.get("is_wine"):
        return "is of Wine, which shows nothing about Windows"
    wrong = _wrong(content)
    if wrong is not None:
        return f"is no whole record: {wrong}"
    if content["digest"] != digest(content):
        return "was changed after it was written: run the kit again"
    return None


def _wrong(content: Json) -> str | None:
    wrong = _wrong_field(content, _RECORD, "")
    wrong = wrong or _wrong_field(content["controller"], _CONTROLLER, "controller.")
    wrong = wrong or _wrong_field(content["platform"], _PLATFORM, "platform.")
    if wrong is not None:
        return wrong
    for number, check in enumerate(content["checks"]):
        path = f"checks[{number}]"
        if not isinstance(check, dict):
            return f"{path} has a wrong value"
        wrong = _wrong_field(check, _CHECK, f"{path}.")
        if wrong is not None:
            return wrong
        if any(not isinstance(item, dict) or _wrong_field(item, _EVIDENCE, "") for item in check["evidence"]):
            return f"{path}.evidence has a wrong value"
        equal = [item["equal"] for item in check["evidence"]]
        if check["outcome"] == "passed" and not (equal and all(equal)):
            return f"{path} passed without evidence"
    identifiers = [check["id"] for check in content["checks"]]
    return "a check is there twice" if len(set(identifiers)) < len(identifiers) else None


def _wrong_field(value: Json, fields: t.Mapping[str, _Valid], path: str) -> str | None:
    if value.keys() != fields.keys():
        name = min(value.keys() ^ fields.keys())
        return f"{path}{name} is {'missing' if name in fields else 'unknown'}"
    return next((f"{path}{name} has a wrong value" for name, valid in fields.items() if not valid(value[name])), None)


def digest(content: t.Mapping[str, t.Any]) -> str:
    """Return the digest of a record's fields. It shows an edit, and is no proof against a forger."""
    fields = {name: value for name, value in content.items() if name != "digest"}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def assemble(results: Json, collection: str, time: dt.datetime) -> Json:
    """Make the record of a host from what the playbook's tasks returned; raise RecordError where no host was seen.

    results: of each task by its name. collection: its version.
    """
    known = results["platform"].get("windows") or {}
    prepared = results["prepared"]
    if not known or "is_wine" not in prepared:
        failed = results["platform"] if not known else prepared
        raise RecordError(f"{results['host']} gives no record: {_message(failed)}.")
    platform = {name: known.get(name) for name in _PLATFORM} | {"is_wine": prepared["is_wine"]}
    content: Json = {
        "schema": SCHEMA,
        "collection": collection,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "controller": results["controller"],
        "platform": platform,
        "sources": dict(catalogue.sources()),
        "checks": [*_module_checks(results), *_edge_checks(results["checked"])],
    }
    return {**content, "digest": digest(content)}


def _edge_checks(result: Json) -> list[Json]:
    returned = result.get("checks")
    if returned is not None:
        return list(returned)
    reason = _NOT_RUN + _message(result)
    checks = [check for check in catalogue.checks() if check not in catalogue.MODULE_CHECKS]
    return [
        {"id": check.id, "edge": check.edge, "outcome": "failed", "reason": reason, "evidence": []} for check in checks
    ]


def _module_checks(results: Json) -> list[Json]:
    # Of each check the tasks that must not fail, and facts by name: what a module returned, and what was made before.
    # Without a baseline nothing is compared, so that nothing changed.
    known: dict[str, tuple[tuple[str, ...], dict[str, tuple[t.Any, t.Any]]]] = {
        "facts_build": (
            ("platform", "prepared"),
            {"build": (results["platform"]["windows"].get("build"), results["prepared"].get("build"))},
        ),
        "baseline_taken": (("taken",), {name: (results["taken"].get(name), True) for name in ("created", "changed")}),
        "baseline_same": (("same",), _compared(results["same"], [])),
        "baseline_changes": (("different",), _compared(results["different"], _CHANGED)),
        "baseline_accepted": (("accept", "accepted"), _compared(results["accepted"], [])),
        "baseline_large": (
            ("large",),
            {
                "changes": (results["large"].get("changes_count"), 1000),
                "most are listed": (len(results["large"].get("changes") or ()) > 500, True),
            },
        ),
        # Names of what a host has are its owner's business.
        "first_look": (
            ("first",),
            {
                "findings": (_codes(results["first"]), []),
                "not checked": (_scopes(results["first"], "status", "not_checked"), []),
            },
        ),
        "first_look_same": (("again",), {"findings": (_codes(results["again"]), [])}),
        "policy_preview": (
            ("preview",),
            {
                "coverage": (_scopes(results["preview"], "status"), ["audit_policy checked"]),
                "most settings exist": (results["preview"].get("settings_count", 0) > 50, True),
            },
        ),
        "policy_deployed": (
            ("deployed", "deployed_again"),
            {
                "changed": (results["deployed"].get("changed"), True),
                "changes": (len(results["deployed"].get("changes") or ()), 2),
                "changed again": (results["deployed_again"].get("changed"), False),
            },
        ),
        "policy_reported": (
            ("reported",),
            {
                "recorded": (_recorded(results["reported"], results["prepared"]), [True, True]),
                "event log": ((results["reported"].get("recording") or {}).get("event_log_running"), True),
            },
        ),
        "policy_removed": (
            ("taken_back", "reported_again"),
            {
                "changed": (results["taken_back"].get("changed"), True),
                "recorded": (_recorded(results["reported_again"], results["prepared"]), [False, False]),
            },
        ),
        "events_read": (
            ("events",),
            {
                "findings": (sorted(set(_codes(results["events"]) or ())), ["audit_sigma_match"]),
                "channels": (
                    sorted(
                        {"Security", "System"} & set((results["events"].get("audit_events") or {}).get("channels", ()))
                    ),
                    ["Security", "System"],
                ),
            },
        ),
        "sign_ins_read": (
            ("signed_in",),
            {
                "not checked": (_scopes(results["signed_in"], "status", "not_checked"), []),
                "somebody signed in": ((results["signed_in"].get("sign_ins") or {}).get("successes", 0) > 0, True),
            },
        ),
        "simulated": (
            ("simulated",),
            {
                "not done": (_simulated(results["simulated"], "done"), []),
                "left": (_simulated(results["simulated"]), []),
                "most alerts are simulated": (len(results["simulated"].get("simulations") or ()) > 60, True),
            },
        ),
        "simulated_alerts": (
            ("recorded", "simulated", "simulated_events"),
            {"not as expected": (results["simulation_outcome"].get("bad"), [])},
        ),
        "scan": (
            ("scanned",),
            {
                "findings": (_codes(results["scanned"]), []),
                "scopes": (_scopes(results["scanned"]), _scopes(results["accepted"])),
            },
        ),
        "baseline_removed": (
            ("removed", "looked"),
            {
                "changed": (results["removed"].get("changed"), True),
                "baseline exists": (results["looked"].get("baseline_exists"), False),
            },
        ),
    }
    checks = []
    for check in catalogue.MODULE_CHECKS:
        tasks, facts = known[check.id]
        evidence = [
            {"name": name, "edge": json.dumps(edge), "second": json.dumps(second), "equal": edge == second}
            for name, (edge, second) in facts.items()
        ]
        reasons = [_message(results[task]) for task in tasks if _is_failed(results[task])]
        outcome = "passed" if not reasons and all(item["equal"] for item in evidence) else "failed"
        reason = "; ".join(reasons)
        checks.append({"id": check.id, "edge": check.edge, "outcome": outcome, "reason": reason, "evidence": evidence})
    return checks


def _compared(result: Json, expected: t.Sequence[str]) -> dict[str, tuple[t.Any, t.Any]]:
    """Return the facts of a comparison with the baseline. expected: kinds and last parts of paths of the changes."""
    changes = result.get("changes")
    names = changes and sorted(change["kind"] + " " + re.split(r"[\\:]+", change["path"])[-1] for change in changes)
    exists = (result.get("baseline") or {}).get("exists")
    return {"baseline exists": (exists, True), "changes": (names, expected)}


def _recorded(result: Json, prepared: Json) -> list[bool | None]:
    """Return whether changes of the directory and the key that were made are recorded."""
    paths = (result.get("recording") or {}).get("paths") or {}
    return [paths.get(f"{prepared.get(name)}\\watched") for name in ("directory", "key")]


def _simulated(result: Json, status: str | None = None) -> list[str] | None:
    """Return the alerts whose simulation has another status or, without one, left something."""
    entries = result.get("simulations")
    return entries and [
        entry["alert"] for entry in entries if (entry["status"] != status if status else entry.get("left"))
    ]


def _codes(result: Json) -> list[str] | None:
    findings = result.get("findings")
    return findings and sorted(finding["metadata"]["event_code"] for finding in findings)


def _scopes(result: Json, name: str = "examined", value: t.Any = None) -> list[str]:
    """Return each scope of the coverage that has a value in a field, with that value; by default each."""
    coverage = result.get("coverage") or []
    return sorted(f"{entry['scope']} {entry[name]}" for entry in coverage if value in (None, entry[name]))


def _is_failed(result: Json) -> bool:
    return bool(result.get("failed") or result.get("skipped") or result.get("unreachable"))


def _message(result: Json) -> str:
    return str(result.get("msg") or result.get("skip_reason") or "a module returned no result").strip().rstrip(".")
