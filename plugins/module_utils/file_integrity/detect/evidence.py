# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes as detections, with OCSF evidence."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.coverage import SEAL_SCOPE
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.detect import attributes

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.packages import databases

# type_id of the OCSF file object.
_TYPE_IDS = {
    model.FILE: 1,
    model.DIRECTORY: 2,
    model.CHAR_DEVICE: 3,
    model.BLOCK_DEVICE: 4,
    model.SOCKET: 5,
    model.FIFO: 6,
    model.LINK: 7,
}
# algorithm_id of the OCSF fingerprint object; 99 is "other".
_ALGORITHMS = {"md5": (1, "MD5"), "sha1": (2, "SHA-1"), "sha256": (3, "SHA-256"), "sha512": (4, "SHA-512")}

_SHOWN_PATHS = 10


def change_detection(
    change: model.FileChange, verdict: model.Verdict, below: t.Mapping[str, t.Any] | None = None
) -> dict[str, t.Any]:
    """Return the detection of a change that its verdict makes an alert. below: what else is new below a directory."""
    entry = change.after or change.before
    evidence: dict[str, t.Any] = {"data": _data(change)}
    message = verdict.message
    if below is not None:
        evidence["data"]["below"] = dict(below)
        message += " Also new below it: files %d, directories %d." % (below["files"], below["directories"])
    if entry is not None:
        evidence["file"] = ocsf_file(entry)
    return _finding.detection(
        str(verdict.alert),
        printable(change.path),
        change.watch,
        [evidence],
        severity=verdict.severity,
        message=message,
        techniques=verdict.techniques,
    )


def mass_detection(
    watch: str, counts: t.Mapping[str, int], listed: int, samples: t.Sequence[bytes]
) -> dict[str, t.Any]:
    """Return the detection of a watch with more changes than are listed. counts: all its changes by kind."""
    total = sum(counts.values())
    shown = [printable(path) for path in samples[:_SHOWN_PATHS]]
    data = {"watch": watch, "changes": total, "listed": listed, "by_kind": dict(sorted(counts.items())), "paths": shown}
    return _finding.detection(
        "fim_mass_change",
        watch,
        watch,
        [{"data": data}],
        count=total,
        message="%d files of watch '%s' changed; the %d most severe changes are listed" % (total, watch, listed),
    )


def seal_detection(
    alert: str, path: str, message: str, expected: t.Sequence[str], digest: str | None
) -> dict[str, t.Any]:
    """Return the detection of a baseline that is not what the controller sealed."""
    data = {"expected_digests": list(expected), "digest": digest}
    return _finding.detection(alert, printable(path), SEAL_SCOPE, [{"data": data}], message=message)


def package_detection(edit: databases.PackageEdit, scope: str) -> dict[str, t.Any]:
    """Return the detection of a package whose metadata was edited on the host."""
    data = {"package": edit.key, "version": edit.version}
    message = "The metadata of package %s %s is not what it was when the baseline was made, yet its version is" % (
        edit.name,
        edit.version,
    )
    return _finding.detection("fim_package_database_edited", edit.key, scope, [{"data": data}], message=message)


def claim_detection(claim: t.Mapping[str, t.Any], scope: str) -> dict[str, t.Any]:
    """Return the detection of what only the host's own files explain. claim: see ``Review.claimed``."""
    package, version = claim["package"], claim["version"]
    subject = claim["message"] if package is None else "%s %s" % (package, version)
    data = {"message": claim["message"], "changes": claim["count"], "paths": claim["paths"]}
    if package is not None:
        data.update(package=package, version=version)
    return _finding.detection(
        "fim_changes_claimed",
        printable(os.fsencode(subject)),
        scope,
        [{"data": data}],
        count=claim["count"],
        message="Changed files: %d; %s." % (claim["count"], claim["message"]),
    )


def ocsf_file(entry: model.Entry) -> dict[str, t.Any]:
    """Return the OCSF file object of an entry: what is known of it, nothing of its content but digests."""
    fields: dict[str, t.Any] = {
        "name": printable(entry.path.rsplit(b"/", 1)[1] or b"/"),
        "path": printable(entry.path),
        "type_id": _TYPE_IDS[entry.type],
    }
    if entry.size is not None:
        fields["size"] = entry.size
    if entry.mtime_ns is not None:
        fields["modified_time"] = entry.mtime_ns // 1_000_000
    if entry.uid is not None:
        fields["owner"] = {"uid": str(entry.uid), "name": attributes.account(entry.uid)}
    if entry.hashes:
        fields["hashes"] = [
            _fingerprint(algorithm, value) for algorithm, value in sorted(entry.hashes.items()) if value
        ]
    return fields


def _fingerprint(algorithm: str, value: str) -> dict[str, t.Any]:
    number, name = _ALGORITHMS.get(algorithm, (99, algorithm.upper()))
    return {"algorithm_id": number, "algorithm": name, "value": value}


def _data(change: model.FileChange) -> dict[str, t.Any]:
    """Return the attributes before and after: those that differ, or all where there is only one side."""
    data: dict[str, t.Any] = {"kind": change.kind, "changed": list(change.attributes), "change_id": change.id}
    if change.before is not None and change.before.path != change.path:
        data["previous_path"] = printable(change.before.path)
    names = change.attributes if change.before and change.after and change.attributes else model.ATTRIBUTES
    for side, entry in (("before", change.before), ("after", change.after)):
        if entry is not None and (change.kind != model.PACKAGE_MISMATCH or side == "after"):
            shown = {name: attributes.attribute(entry, name) for name in names}
            data[side] = {name: value for name, value in shown.items() if value not in (None, [], {})}
    return data
