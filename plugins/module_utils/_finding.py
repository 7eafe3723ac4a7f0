# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every capability's module returns: detections, and the coverage that says how far to trust their absence.

Both are plain dictionaries so that they pass through Ansible as they are. The controller turns a
detection into a finding (plugin_utils/ocsf/events.py) with the texts of the alert catalogue.
"""

from __future__ import annotations

import typing as t

# What a control did about it, in the words of OCSF's disposition.
BLOCKED, ALLOWED, QUARANTINED = DISPOSITIONS = ("blocked", "allowed", "quarantined")
SEVERITIES = ("informational", "low", "medium", "high", "critical")

CHECKED = "checked"
PARTIAL = "partial"
NOT_CHECKED = "not_checked"

# A host with a million unreadable files must not send a million reasons; the count stays exact.
SKIPPED_LIMIT = 50
# Each package that explains anything should be seen by whoever reviews it, up to what a distribution upgrade changes.
EXPLAINED_LIMIT = 1000
EXAMPLES_LIMIT = 3

# Characters that move the cursor, start terminal escapes or reorder what a reader sees (Unicode bidi controls,
# https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters), and the line separators that
# JavaScript and some log shippers split on.
_DECEPTIVE = frozenset(
    [0x061C, 0x200E, 0x200F, 0xFEFF]
    + list(range(0x200B, 0x2010))
    + list(range(0x2028, 0x202F))
    + list(range(0x2066, 0x206A))
)


def printable(name: bytes | str) -> str:
    r"""Return a host's string (a path, a command line) as text that is safe to show and can be turned back.

    Bytes that are no UTF-8, control characters, bidirectional controls and the backslash become
    backslash escapes (``\xff``, ``\n``, ``\u202e``, ``\\``); everything else stays. ``unprintable`` is the inverse.
    """
    text = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    return "".join(_escaped(char) for char in text)


def _escaped(char: str) -> str:
    code = ord(char)
    if char == "\\":
        return "\\\\"
    if 0xDC80 <= code <= 0xDCFF:  # a byte that surrogateescape could not decode
        return "\\x%02x" % (code - 0xDC00)
    if 0xD800 <= code <= 0xDFFF:  # a lone surrogate that came in as text, not as bytes
        return "\\u%04x" % code
    if code < 0x20 or code == 0x7F:
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char, "\\x%02x" % code)
    if 0x80 <= code < 0xA0 or code in _DECEPTIVE:
        return "\\u%04x" % code
    return char


def unprintable(text: str) -> bytes:
    r"""Return the bytes that ``printable`` showed as ``text``; raise ValueError for an escape it never writes."""
    out = bytearray()
    position = 0
    while position < len(text):
        char = text[position]
        if char != "\\":
            out += char.encode("utf-8", "surrogateescape")
            position += 1
            continue
        kind = text[position + 1 : position + 2]
        if kind in ("\\", "n", "r", "t"):
            out += {"\\": b"\\", "n": b"\n", "r": b"\r", "t": b"\t"}[kind]
            position += 2
        elif kind == "x":
            out.append(int(_hex(text, position + 2, 2), 16))
            position += 4
        elif kind == "u":
            out += chr(int(_hex(text, position + 2, 4), 16)).encode("utf-8", "surrogatepass")
            position += 6
        else:
            raise ValueError("'%s' has an unknown escape at character %d; write a backslash as \\\\" % (text, position))
    return bytes(out)


def _hex(text: str, start: int, width: int) -> str:
    digits = text[start : start + width]
    if len(digits) != width or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
        raise ValueError("'%s' has an incomplete escape at character %d; write a backslash as \\\\" % (text, start - 2))
    return digits


def detection(
    alert: str,
    subject: str,
    scope: str,
    evidences: t.Sequence[t.Mapping[str, t.Any]],
    severity: str | None = None,
    first_time: float | None = None,
    last_time: float | None = None,
    count: int = 1,
    message: str | None = None,
    techniques: t.Sequence[str] = (),
    disposition: str | None = None,
    product: t.Mapping[str, t.Any] | None = None,
    simulation: str | None = None,
) -> dict[str, t.Any]:
    """Return one detection.

    alert: id in the alert catalogue. subject: what it is about on this host (a printable path, an account, a
    port); with alert and host it makes the finding's stable identity, so nothing that varies belongs in it.
    scope: the coverage scope that was looked at to find it. evidences: OCSF ``evidences`` objects
    (``file``, ``process``, ``data`` ...). severity: one of ``SEVERITIES`` where it depends on what was seen,
    otherwise the catalogue's. first_time, last_time: seconds since the epoch, when known. message: one
    sentence for this case. techniques: ATT&CK ids that this case adds to the catalogue's. disposition: one of
    ``DISPOSITIONS`` where something on the host decides about what was seen. product: where another security product
    raised the alert: its ``id`` in the content, and where known ``uid`` (the product's own id of the alert), ``title``,
    ``rule``, ``severity`` (its own word), ``outcome``, ``malware``, ``techniques``, ``link`` and ``reporter``
    (``plugin_utils/ocsf/security_product.py``). simulation: the id of the simulation in whose sessions all of it
    happened.
    """
    if severity is not None and severity not in SEVERITIES:
        raise ValueError("severity '%s' is not one of %s" % (severity, ", ".join(SEVERITIES)))
    return {
        "alert": alert,
        "subject": subject,
        "scope": scope,
        "severity": severity,
        "first_time": first_time,
        "last_time": last_time,
        "count": count,
        "message": message,
        "techniques": list(techniques),
        "evidences": [dict(evidence) for evidence in evidences],
        **({"disposition": disposition} if disposition is not None else {}),
        **({"product": dict(product)} if product is not None else {}),
        **({"simulation": simulation} if simulation is not None else {}),
    }


class ScopeCoverage:
    """What one scope (a watch, a log source, a process) covered, filled while the module works.

    ``skip`` notes one thing that could not be looked at; ``fail`` says that the scope was not looked at at all, or that
    what was seen there proves nothing. ``explain`` notes changes that are no findings, and what explains them. note: a
    sentence for people on what the run did there.
    """

    def __init__(self, scope: str) -> None:
        self.scope = scope
        self.examined = 0
        self._skipped: list[dict[str, str]] = []
        self.skipped_count = 0
        self._failure: str | None = None
        self._explained: list[dict[str, t.Any]] = []
        self.note: str | None = None

    def skip(self, subject: str, reason: str) -> None:
        self.skipped_count += 1
        if len(self._skipped) < SKIPPED_LIMIT:
            self._skipped.append({"subject": subject, "reason": reason})

    def fail(self, reason: str) -> None:
        self._failure = reason

    def explain(self, by: str, count: int, examples: t.Sequence[str]) -> None:
        """Note that ``by`` (a package with its version, a rule) explains so many changes; examples: printable paths."""
        self._explained.append({"by": by, "count": count, "examples": list(examples[:EXAMPLES_LIMIT])})

    def entry(self) -> dict[str, t.Any]:
        """Return the coverage entry.

        status: ``checked``, ``partial`` (some subjects skipped) or ``not_checked``. skipped lists at most
        ``SKIPPED_LIMIT`` subjects with reasons; skipped_count is exact. Only when there is something to say there are
        ``note``, and ``explained_count`` with ``explained``: what explains least comes first, as a forged package
        among many upgraded ones would, at most ``EXPLAINED_LIMIT``, the last of which sums up what is left.
        """
        if self._failure is not None:
            status = NOT_CHECKED
        else:
            status = PARTIAL if self.skipped_count else CHECKED
        entry: dict[str, t.Any] = {
            "scope": self.scope,
            "status": status,
            "reason": self._failure,
            "examined": self.examined,
            "skipped": list(self._skipped),
            "skipped_count": self.skipped_count,
        }
        if self._explained:
            entry["explained_count"] = sum(group["count"] for group in self._explained)
            entry["explained"] = _shortened(self._explained)
        if self.note:
            entry["note"] = self.note
        return entry


def _shortened(explained: t.Sequence[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    ordered = sorted(explained, key=lambda group: (group["count"], group["by"]))
    if len(ordered) <= EXPLAINED_LIMIT:
        return ordered
    listed, rest = ordered[: EXPLAINED_LIMIT - 1], ordered[EXPLAINED_LIMIT - 1 :]
    summed_up = {"by": "%d more" % len(rest), "count": sum(group["count"] for group in rest), "examples": []}
    return [*listed, summed_up]


def not_checked(scope: str, reason: str) -> dict[str, t.Any]:
    """Return the coverage entry of a scope that could not be looked at, with one sentence that says why."""
    coverage = ScopeCoverage(scope)
    coverage.fail(reason)
    return coverage.entry()
