# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts in an attacker's hands, scanned by the real playbook: their text is only text, and their lies their own."""

from __future__ import annotations

import base64
import dataclasses
import html.parser
import json
import pathlib
import re
import subprocess
import typing as t
import zlib

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _finding

from tests.fleet.engine import Engine
from tests.fleet.fleet import Fleet
from tests.fleet.hosts import Host
from tests.integration import _keep, _scans
from tests.integration.scan._forgery import answer, baseline, detection
from tests.support import require
from tests.support.controllers import Controller

# What is made once for all of them is made in one worker.
pytestmark = pytest.mark.xdist_group("hostile_host")

_AS_MAKE_DOES = {"ANSIBLE_STDOUT_CALLBACK": "bulwark.servers.progress"}
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")

# Before and after values knew where they came from, which ansible-core 2.19 brought. Both cores read answers like these
# in test_forged_protocol.py.
_OLDEST, _NEWEST = "2.18", "2.21"

# What no host may make: environment variables reach a template's shell, and file names have no slash.
_MARKER = "BULWARK_TEST_MARKER"
_TEMPLATE = "{{ lookup('pipe','touch $%s') }}" % _MARKER
_ESCAPES = "\x1b[31mred\x1b[0m\x1b]0;title\x07"

_NAMES = [
    _TEMPLATE.encode(),
    b"{% raw %}{#",
    b"<script>alert(1)<script>",
    b"<img src=x onerror=alert(1)>",
    b"\"'><b>&lt;",
    b"]]>-->",
    _ESCAPES.encode(),
    b"\xc2\x9b31m",
    b"new\nline\r\tand more",
    b"not \xff\xfe UTF-8 \xed\xa0\x80",
    "turned \u202eround\u2066".encode(),
    "\ufeff\u200b\u2028\u00ad".encode(),
    b"back\\slash\\x41\\",
    b"$(touch $" + _MARKER.encode() + b")`id`",
    b"%s%n{0}{x}",
    b"=cmd|' calc'!A0",
    b"-rf",
    b" ",
    b"~",
    b"*",
    b"all",
    b"n" * 255,
    b"\xf0\x9f\x98\x80" * 63,
]

# Answers the scan from the file of its own name, where there is one.
_PYTHON = """#!/bin/sh
case $1 in
*host_scan*)
    [ -x "$0.forged" ] && exec "$0.forged"
    [ -e "$0.forged" ] && exec cat "$0.forged"
esac
exec /usr/bin/python3 "$@"
"""


@dataclasses.dataclass(frozen=True)
class Forgery:
    """What a host answers instead of what the scan's module would; None for the truth.

    reason: of those that the releases of ansible-core give, one must be in the coverage of the host, which is not
    checked; none when its answer can't be told from a true one. found: subjects of its findings.
    """

    name: str
    answer: str | None
    reason: tuple[str, ...] = ()
    found: t.Sequence[str] = ()


def _looked(result: t.Any) -> str:
    return answer({"file_integrity": result})


def _baseline(**fields: t.Any) -> str:
    return _looked(baseline(**fields))


def _detected(*detections: t.Any) -> str:
    return _baseline(detections=list(detections))


def _variables(directory: pathlib.Path) -> dict[str, t.Any]:
    """Return what a host would like to decide for the playbook; the directory is where nothing may appear."""
    return {
        "bulwark_store": f"sqlite:///{directory}/theirs.db",
        "bulwark_report_path": f"{directory}/theirs.html",
        "bulwark_run_id": "theirs",
        "bulwark_fail_on": _TEMPLATE,
        "bulwark_strict": True,
        "bulwark_capabilities": [_TEMPLATE],
        "file_integrity_state": "absent",
        "file_integrity_baseline": "../theirs",
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_play_hosts_all": [],
        "inventory_hostname": "other",
        "ansible_distribution": _TEMPLATE,
        "ansible_kernel": _ESCAPES,
        "ansible_system": "Linux",
    }


def _forgeries(directory: pathlib.Path) -> list[Forgery]:
    """directory: where nothing may appear."""
    variables = _variables(directory)
    orders = {
        "ansible_facts": variables,
        "add_host": {"host_name": "added", "groups": ["all"]},
        "_ansible_delegated_vars": {"ansible_host": "other"},
        "_ansible_no_log": True,
        "_ansible_item_result": True,
        "results": [1],
        "skipped": True,
        "unreachable": True,
        "invocation": {"module_args": _TEMPLATE},
    }
    shown = {
        "msg": _TEMPLATE + _ESCAPES,
        "diff": {"before": _ESCAPES, "after": [1]},
        "warnings": [_ESCAPES, {"a": 1}, 7],
        "deprecations": [{"msg": _ESCAPES}],
        "exception": _ESCAPES,
        "notices": [_ESCAPES, {"a": 1}],
    }
    no_module = ("No start of json char found",)
    no_result = ("the host returned no result for this look",)
    unreadable = "the module returned a coverage entry that cannot be read"
    true = {"file_integrity": baseline()}
    return [
        Forgery("a program in place of ls", None, found=["/usr/bin/ls"]),  # this one tells the truth
        Forgery("variables", answer(true, platform=variables, ansible_facts=variables)),
        Forgery("facts: a list", answer(true, platform=[1])),
        Forgery("a system: a list", answer(true, platform={"ansible_system": [1]})),
        Forgery("another system", answer(true, platform={"ansible_system": _TEMPLATE}), (_TEMPLATE,)),
        Forgery("nothing", "", no_module),
        Forgery("a web page", "<script>alert(1)</script>", no_module),
        Forgery("a look: a web page", _looked("<script>alert(1)</script>"), no_result),
        Forgery("a look: a list", _looked([1, 2]), no_result),
        Forgery("deep", '{"x": %s%s}' % ("[" * 50_000, "]" * 50_000), ("maximum recursion depth",)),
        Forgery("a long number", '{"x": %s}' % ("9" * 5000), ("Exceeds the limit (4300 digits)",)),
        Forgery("a large count", _detected(detection(count=10**300)), ("a whole number of 32 bits is needed",)),
        Forgery("infinity", _detected(detection(first_time=float("inf"))), ("is not a time in seconds",)),
        Forgery("half a character", _detected(detection(subject="\ud800")), found=["\\ud800"]),
        Forgery("a null byte", _detected(detection(subject="a\0b", message="a\0b")), found=["a\\u0000b"]),
        Forgery("a large text", _baseline(msg="x" * 5_000_000)),
        Forgery("many", _detected(*[detection(subject=str(n)) for n in range(100_001)]), ("100001 detections",)),
        Forgery(
            "another kind", _baseline(detections="x", baseline=[], created="yes"), ("'detections' are not a list",)
        ),
        Forgery("a detection: a text", _detected("x"), ("a detection is not a mapping",)),
        Forgery("a bad coverage", _baseline(coverage=[{"scope": 1}, "x"]), (unreadable,)),
        Forgery("no coverage", _baseline(coverage=7), ("the module returned no coverage",)),
        Forgery(
            "an unknown alert",
            _detected(detection(alert="evil")),
            ("the host returned an invalid result, which was discarded; check the host: a detection",),
        ),
        Forgery("for another", _detected(detection(host="trixie-1", device={"name": "trixie-1"})), found=["/x"]),
        Forgery("as another", _baseline(capability="audit", findings=[{}], detections=[detection()]), found=["/x"]),
        Forgery("orders to Ansible", _baseline(**orders)),
        Forgery("texts to show", _baseline(**shown)),
        Forgery("a failure", _looked({"failed": True, **shown}), (_TEMPLATE,)),
        Forgery(
            "a failure: a list",
            _looked({"failed": ["x"], "msg": {"a": _ESCAPES}}),
            ("The files could not be checked.",),
        ),
        Forgery("a bad seal", _baseline(staged_digest={"a": 1}), ("a staged digest that is not a SHA-256",)),
    ]


@dataclasses.dataclass(frozen=True)
class Forgers:
    """Hosts that have been taken over: the first is a container of its own, the others share one.

    Each of those has a name and an interpreter of its own, which returns what is in a file of the container.
    """

    inventory: pathlib.Path
    names: t.Sequence[str]
    shared: Host

    def forge(self, name: str, answered: str, mode: int = 0o644) -> None:
        self.shared.write(f"{_interpreter(name)}.forged", answered, mode=mode)


def _interpreter(name: str) -> str:
    return f"/usr/local/bin/python-{name}"


@pytest.fixture(scope="module")
def forgers(docker_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Forgers]:
    require("fleet")
    fleet = Fleet(docker_engine, tmp_path_factory.mktemp("forgers"))
    try:
        first, shared = fleet.start("trixie", "trixie")
        first.shell(r"printf '\220\220' | dd of=/usr/bin/ls bs=1 seek=4096 conv=notrunc status=none")
        others = [f"forger-{number}" for number in range(1, len(_forgeries(pathlib.Path("/"))))]
        shared.write("/usr/local/bin/python-", _PYTHON, mode=0o755)
        shared.shell(f"cd /usr/local/bin; for name in {' '.join(others)}; do cp python- python-$name; done")
        content = json.loads(fleet.inventory.read_text(encoding="utf-8"))["all"]
        variables = content["hosts"].pop(shared.name)
        options = content["vars"]["ansible_ssh_common_args"].replace("{{ inventory_hostname }}", shared.name)
        for name in others:
            own = {"ansible_ssh_common_args": options, "ansible_python_interpreter": _interpreter(name)}
            content["hosts"][name] = {**variables, **own}
        inventory = fleet.directory / "forgers.json"
        inventory.write_text(json.dumps({"all": content}), encoding="utf-8")
        yield Forgers(inventory, [first.name, *others], shared)
    finally:
        fleet.remove()


def test_a_forged_answer_harms_nobody(
    forgers: Forgers, controller: t.Callable[[str], Controller], tmp_path: pathlib.Path
) -> None:
    # The controller's side, where a host must not write, and where it would if it could.
    side, target = tmp_path / "side", tmp_path / "target"
    side.mkdir()
    target.mkdir()
    forgeries = dict(zip(forgers.names, _forgeries(target), strict=True))
    for name, forgery in forgeries.items():
        if forgery.answer is not None:
            forgers.forge(name, forgery.answer)
    scanner = _scans.Scanner(controller(_OLDEST), forgers.inventory, side)
    done = scanner.controller.run_playbook(
        "bulwark.servers.scan",
        *("--forks", "8", "--diff"),
        inventory=forgers.inventory,
        environment={
            **_AS_MAKE_DOES,
            # A busy machine is slow to become root.
            "ANSIBLE_TIMEOUT": "60",
            "BULWARK_STORE": scanner.store_url,
            _MARKER: str(target / "marker"),
        },
        extra_vars={"bulwark_report_path": str(scanner.report), "bulwark_capabilities": "file_integrity"},
    )
    assert sorted(path.name for path in side.iterdir()) == ["findings.db", "report.html"]
    assert list(target.iterdir()) == []
    coverage = scanner.coverage()
    assert set(coverage) == {found.host for found in scanner.findings()} | set(forgeries) == set(forgeries)
    wrong = {forgery.name: _differences(scanner, name, forgery) for name, forgery in forgeries.items()}
    assert {name: found for name, found in wrong.items() if found} == {}
    _check_what_is_shown(done, scanner)


def _differences(scanner: _scans.Scanner, name: str, forgery: Forgery) -> list[t.Any]:
    """Return what the store has of a host and should not have."""
    status, reasons = scanner.coverage()[name].status, scanner.reasons(name)
    subjects = [subject for _alert, subject in scanner.open(name)]
    differences: list[t.Any] = []
    if status != ("not_checked" if forgery.reason else "checked"):
        differences.append((status, reasons))
    if forgery.reason and not any(reason in reasons for reason in forgery.reason):
        differences.append(reasons)
    if subjects != list(forgery.found):
        differences.append(subjects)
    if not {found.capability for found in scanner.findings(name)} <= {"file_integrity"}:
        differences.append("findings of another capability")
    return differences


def test_a_host_that_never_answers_holds_nobody_up_for_ever(
    forgers: Forgers, controller: t.Callable[[str], Controller], tmp_path: pathlib.Path
) -> None:
    good, evil = forgers.names[1:3]
    forgers.forge(good, _baseline())
    forgers.forge(evil, "#!/bin/sh\nexec sleep 600\n", mode=0o755)
    scanner = _scans.Scanner(controller(_NEWEST), forgers.inventory, tmp_path)
    scanner.scan("--limit", f"{good},{evil}", environment={"ANSIBLE_TASK_TIMEOUT": "20"})
    assert scanner.coverage()[good].status == "checked"
    assert scanner.coverage()[evil].status == "not_checked"
    assert "Timed out after 20 second(s)" in scanner.reasons(evil)


# The directories of the names, as the default watches have them.
_WATCHES = {
    "file_integrity_default_watches": False,
    "file_integrity_watches": [
        {"name": "cron", "paths": ["/etc/cron.d"], "category": "persistence", "alert": "persistence_cron"},
        {"name": "programs", "paths": ["/usr/local/bin"], "category": "local_program"},
    ],
}


def test_what_files_are_called_is_only_text(
    fleet: Fleet, controller: t.Callable[[str], Controller], tmp_path: pathlib.Path
) -> None:
    marker = tmp_path / "marker"
    (host,) = fleet.start("trixie")
    scanner = _scans.Scanner(controller(_NEWEST), fleet.inventory, tmp_path)
    environment = {**_AS_MAKE_DOES, _MARKER: str(marker)}
    _write(host, [b"/etc/cron.d/" + name for name in _NAMES], b"# wanted\n")
    scanner.scan(environment=environment, **_WATCHES)
    assert scanner.open() == {}

    changed = [b"/etc/cron.d/" + name for name in _NAMES]
    created = [b"/usr/local/bin/" + name for name in _NAMES]
    _write(host, changed, b"# not wanted\n")
    _write(host, created, b"#!/bin/sh\n")
    link = b"/usr/local/bin/link"
    host.run("ln", "-s", f"/{_TEMPLATE}{_ESCAPES}", link.decode())
    done = scanner.scan("--diff", "-v", environment=environment, **_WATCHES)
    assert _subjects(subject for _alert, subject in scanner.open()) == {*changed, *created, link}
    assert scanner.coverage()[host.name].status == "checked"
    _check_what_is_shown(done, scanner)

    # The review of the guide, in Ansible's own callback.
    done = scanner.play(_review(scanner), "--diff", "-v", environment={_MARKER: str(marker), **_keep.ENVIRONMENT})
    _check_what_is_shown(done, scanner)
    told = json.loads((tmp_path / "told.json").read_text(encoding="utf-8"))
    assert _subjects(found["subject"] for found in told["findings"]) == {*changed, *created, link}
    scanner.scan(environment=environment, **_WATCHES)
    assert scanner.open() == {}
    assert not marker.exists()


def _review(scanner: _scans.Scanner) -> pathlib.Path:
    """Return a playbook that shows what changed, asks the store for it, and accepts it, one change by its path."""
    watches = {name.removeprefix("file_integrity_"): value for name, value in _WATCHES.items()}
    integrity = {"bulwark.servers.file_integrity_info": watches, "register": "integrity"}
    table = "{{ integrity.findings | bulwark.servers.findings_table(integrity.coverage, host=inventory_hostname) }}"
    ask = {"bulwark.servers.findings_info": {}, "register": "told"}
    keep = _keep.task("told", f"{scanner.directory}/told.json")
    accept = "{{ [integrity.changes[0].path] + integrity.changes[1:] | map(attribute='id') }}"
    options = {**watches, "accept": accept, "reason": "{{ integrity.changes[0].path }}"}
    accepting = {"bulwark.servers.file_integrity": options}
    store = {"store": scanner.store_url}
    play = {
        "hosts": "all",
        "become": True,
        "gather_facts": False,
        "module_defaults": {"group/bulwark.servers.servers": store, "group/bulwark.servers.findings": store},
        "tasks": [integrity, {"ansible.builtin.debug": {"msg": table}}, ask, keep, accepting],
    }
    playbook = scanner.directory / "review.yml"
    playbook.write_text(json.dumps([play]), encoding="utf-8")
    return playbook


def _write(host: Host, paths: t.Sequence[bytes], content: bytes) -> None:
    """Write files whose names no shell would take."""
    script = "import json, sys\nfor path in json.load(sys.stdin):\n    open(bytes.fromhex(path), 'wb').write({!r})"
    names = json.dumps([path.hex() for path in paths]).encode()
    host.run("/usr/bin/python3", "-c", script.format(content), stdin=names)


def _subjects(shown: t.Iterable[str]) -> set[bytes]:
    return {_finding.unprintable(subject) for subject in shown}


def _check_what_is_shown(done: subprocess.CompletedProcess[str], scanner: _scans.Scanner) -> None:
    """Check that nothing of a host's runs or hides where people read what was found."""
    assert "\x1b" not in done.stdout
    # From 2.20 on ansible-core itself prints the warnings of a module; the callback lets colours pass, and no more.
    assert "\x1b" not in _COLOUR.sub("", done.stderr)
    assert "callback plugin" not in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    page = _Page()
    page.feed(scanner.report.read_text(encoding="utf-8"))
    assert page.data
    for text in page.data:
        json.loads(zlib.decompress(base64.b64decode(text)))
    assert "alert(1)" not in "".join(page.code)
    assert "img" not in page.tags


class _Page(html.parser.HTMLParser):
    """What a browser would make of a report: its elements, the data in it, and the code that would run."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.data: list[str] = []
        self.code: list[str] = []
        self._text: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.code += [value or "" for name, value in attrs if name.startswith("on")]
        if tag == "script":
            self._text = self.data if ("type", "application/octet-stream") in attrs else self.code

    def handle_endtag(self, tag: str) -> None:
        self._text = None

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)
