# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State that hosts and a store had before packages got the names of their capabilities (commit 85ab6f6b).

``host`` has the files of ``/var/lib/bulwark`` as modules of that commit wrote them (``*.b64`` are binary),
``store.sql`` its store. The logs that its checkpoints belong to are in ``logs``, beside what was logged later.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _state
from ansible_collections.bulwark.servers.plugins.module_utils._checkpoint import Checkpoint
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules import state as deployment
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import collect, options
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.sources import Places
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import text
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import lines
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline.header import Header
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline.merkle_tree import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import state as jit_state
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.clock import Now
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import drift
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules import state as rules_state
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic import state as traffic_state
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

from tests.support import paths

_HERE = pathlib.Path(__file__).parent
_BASELINE = "5a2b11de36cf61058bcd8ba9165de2a3ac4c71435380078e86767356fdb68aff"

# Runs a module as Ansible does, with options on its standard input.
_RUN = """
import importlib, sys
from ansible.module_utils import basic
basic._ANSIBLE_ARGS, basic._ANSIBLE_PROFILE = sys.stdin.buffer.read(), "legacy"
sys.path.insert(0, sys.argv[1])
importlib.import_module("ansible_collections.bulwark.servers.plugins.modules." + sys.argv[2]).main()
"""


@pytest.fixture
def host(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return a copy of the former state directory, with the modes that it had."""
    root = tmp_path / "state"
    for source in sorted((_HERE / "host").rglob("*")):
        target = root / source.relative_to(_HERE / "host")
        if source.is_dir():
            target.mkdir(mode=0o700, parents=True)
        elif source.suffix == ".b64":
            target.with_suffix("").write_bytes(base64.b64decode(source.read_bytes()))
            target.with_suffix("").chmod(0o600)
        else:
            shutil.copyfile(source, target)
            target.chmod(0o600)
    root.chmod(0o700)
    return root


def run(module: str, **options: t.Any) -> dict[str, t.Any]:
    """Return a module's result; AssertionError when it fails."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(paths.COLLECTIONS), module],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": options}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return t.cast("dict[str, t.Any]", json.loads(done.stdout))


@contextlib.contextmanager
def directory(host: pathlib.Path, name: str) -> t.Iterator[_state.StateDirectory]:
    found = _state.StateDirectory.open(str(host), name, create=False)
    assert found is not None
    with contextlib.closing(found):
        yield found


def token(host: pathlib.Path, reader: str, directory: pathlib.Path) -> str:
    """Return the token of a reader's checkpoint, after the logs that it is about were moved to a directory."""
    (file,) = (host / "checkpoints").glob(f"{reader}-*")
    former = Checkpoint.load(str(host), reader, file.name.removeprefix(f"{reader}-"), advance=True)
    assert (former.known, former.problem) == (True, None)
    moved = former.save(json.loads(json.dumps(former.state).replace("/srv/logs", str(directory))))
    assert moved is not None
    return str(moved["token"])


def log(tmp_path: pathlib.Path, name: str) -> str:
    """Return the path of a log that went on since the checkpoint."""
    path = tmp_path / f"{name}.log"
    logged = [_HERE / "logs" / f"{name}{part}.log" for part in ("", "_later")]
    path.write_bytes(b"".join(each.read_bytes() for each in logged))
    return str(path)


def compiled(sources: t.Collection[str]) -> str:
    return detections.load([str(_HERE / "logs" / "rules")], own_rules=False, sources=sources).payload


def shown(result: t.Mapping[str, t.Any]) -> list[tuple[str, str, int]]:
    return [(found["alert"], found["severity"], found["count"]) for found in result["detections"]]


def test_a_baseline_matches_its_seal(host: pathlib.Path) -> None:
    result = run("file_integrity_info", state_dir=str(host), _expected_digests=[_BASELINE])

    assert result["baseline"]["digest"] == _BASELINE
    assert (result["baseline"]["watches"], result["baseline"]["entries"]) == (["example"], 6)
    assert "fim_baseline_tampered" not in [found["alert"] for found in result["detections"]]


def test_a_baseline_knows_every_file(host: pathlib.Path) -> None:
    with directory(host, "file_integrity") as where:
        descriptor = where.open_file("default.baseline")
    assert descriptor is not None
    with contextlib.closing(Reader(descriptor, "default.baseline").load()) as reader:
        blocks = [(path, reader.block(indexed)) for path, indexed in reader.index_entries()]
        header = Header.of(reader.header, "default.baseline")
    entries = {
        os.path.join(path, lines.unescape(lines.name_of(line))): lines.parse(line, path, "example")
        for path, block in blocks
        for line in block.splitlines()
    }

    assert {path: entry.type for path, entry in entries.items()} == {
        b"/srv/example": "directory",
        b"/srv/example/app.conf": "file",
        b"/srv/example/bin": "directory",
        b"/srv/example/bin/run": "file",
        b"/srv/example/current": "link",
        b"/srv/example/odd\nname": "file",
    }
    configuration = entries[b"/srv/example/app.conf"]
    assert (configuration.mode, configuration.size) == (0o640, 12)
    assert configuration.hashes == {"sha256": hashlib.sha256(b"port = 8080\n").hexdigest()}
    assert entries[b"/srv/example/current"].link_target == b"app.conf"
    assert [(event.action, event.reason) for event in header.history] == [("created", "Taken.")]


def test_a_baseline_that_was_sealed_otherwise_is_tampered_with(host: pathlib.Path) -> None:
    result = run("file_integrity_info", state_dir=str(host), _expected_digests=["0" * 64])

    assert [found["alert"] for found in result["detections"]] == ["fim_baseline_tampered"]


def test_a_look_at_audit_events_goes_on_at_its_checkpoint(host: pathlib.Path, tmp_path: pathlib.Path) -> None:
    options = {
        "paths": [log(tmp_path, "audit")],
        "_content": compiled(detections.EVENT_SOURCES),
        "state_dir": str(host),
    }

    resumed = run("audit_events_info", _token=token(host, "audit_events", tmp_path), **options)
    anew = run("audit_events_info", **options)

    # The third start of three makes the correlation: two are known by the checkpoint alone.
    assert (resumed["audit_events"]["events"], anew["audit_events"]["events"]) == (1, 3)
    assert shown(resumed) == shown(anew) == [("audit_sigma_match", "high", 3)]


def test_a_look_at_sign_ins_goes_on_at_its_checkpoint(host: pathlib.Path, tmp_path: pathlib.Path) -> None:
    elsewhere = {name: str(tmp_path / name) for name in ("wtmp", "btmp", "lastlog", "wtmpdb", "lastlog2")}
    places = Places([log(tmp_path, "auth")], [], "never", events=list, **elsewhere)
    params = {name: option.get("default") for name, option in options.collect_spec().items()}
    params.update(
        priority="normal",
        state_dir=str(host),
        _content=compiled(detections.SIGN_IN_SOURCES),
        _token=token(host, "sign_ins", tmp_path),
    )

    result = collect.collect(params, False, places)

    # The third failure of three makes the correlation: two are known by the checkpoint alone.
    assert result["sign_ins"]["failures"] == 1
    assert shown(result) == [("audit_sigma_match", "high", 3)]


def test_grants_are_open_or_closed_as_they_were(host: pathlib.Path) -> None:
    boot = json.loads((host / "jit" / "grants.json").read_text())["boot"]
    with directory(host, "jit") as where:
        (opened,) = jit_state.read_book(where, Now(1_795_915_600.0, 29_950.0, boot)).open
        later = jit_state.read_book(where, Now(1_795_999_999.0, 10.0, "another boot"))

    assert (opened.id, opened.request.requested_for, opened.digest) == ("g-open", "alice", "a" * 64)
    assert [str(source) for source in opened.request.sources] == ["192.0.2.7/32", "2001:db8::/64"]
    assert (opened.until - opened.opened, opened.request.reason) == (3600, "CHG-1")
    assert later.open == ()
    assert [(ended["id"], ended["how"], ended["closed_by"]) for ended in later.history] == [
        ("g-closed", "closed", "carol"),
        ("g-open", "rebooted", None),
    ]


def test_the_policy_of_just_in_time_access_locks_what_it_locked(host: pathlib.Path) -> None:
    with directory(host, "jit") as where:
        found = jit_state.read_policy(where)

    assert found is not None
    locks = [(str(lock.ports), lock.protocols, lock.max_duration, lock.close_connections) for lock in found[0].locks]
    assert locks == [("22", ("tcp",), 10_800, False), ("8000-8010", ("tcp", "udp"), 10_800, True)]
    assert found[1]["token"]


def test_network_rules_are_in_force_and_on_trial_as_they_were(host: pathlib.Path) -> None:
    with directory(host, "network_rules") as where:
        force, trial = rules_state.read(where), rules_state.read(where, rules_state.PROPOSED)

    assert force is not None
    assert trial is not None
    enforced, tried = force[0].fields(), trial[0].fields()
    assert (enforced["mode"], enforced["blocked"], enforced["log"]) == ("enforce", ["203.0.113.9"], True)
    assert [(rule["port"], rule["prefixes"]) for rule in enforced["rules"]] == [("23", []), ("443", ["192.0.2.0/24"])]
    assert [(rule["port"], rule["prefixes"]) for rule in tried["rules"]] == [("443", ["192.0.2.0/25"])]
    assert trial[1]["alone"] is False


def test_recorded_traffic_is_what_was_recorded(host: pathlib.Path) -> None:
    with directory(host, "traffic") as where:
        book, recorder = traffic_state.read(where), traffic_state.read_settings(where)

    assert recorder is not None
    assert (list(recorder.directions), recorder.size, recorder.timeout_days) == (["in", "out"], 8192, 7)
    ((key, entry),) = book.entries.items()
    assert key == ("10.9.9.2", 7777, "tcp", "in")
    assert (entry.count, entry.answers, entry.proven, sum(entry.days.values())) == (3, 3, True, 3)
    assert [elements for name, elements in book.counters.items() if "in_tried4" in name] == [
        {"10.9.9.2 tcp 7777": (3, pytest.approx(634_463, abs=1000), 180)}
    ]


def test_the_note_of_audit_rules_names_what_was_deployed(host: pathlib.Path) -> None:
    with directory(host, "audit") as where:
        note = deployment.read_note(where)

    assert note is not None
    assert note.places is not None
    assert [text.show(rule, "x86_64") for rule in note.rules] == [
        "-a always,exit -F path=/etc/passwd -F perm=wa -F key=bulwark",
        "-a always,exit -F arch=b64 -S execve -F key=bulwark",
        "-a always,exit -F arch=b64 -S openat -F dir=/etc/cron.d -F perm=wa -F key=bulwark",
    ]
    assert (note.digest, note.before, note.complete) == ("d" * 64, {"backlog_limit": 64}, True)
    assert note.places.trees == {"/etc/cron.d": (64769, 4711, 3)}
    assert (note.places.awaited, note.places.homes) == (("/etc/ld.so.preload",), ("/home/alice",))


def test_a_memory_scan_knows_what_was_there_before(host: pathlib.Path) -> None:
    with directory(host, "memory_scan") as where:
        seen = drift.read(where)

    assert seen == {
        "process_new_listener": {"tcp/port 22 of /usr/sbin/sshd": 1_795_860_000.0},
        "process_new_privileged": {"/usr/bin/sudo": 1_795_860_000.0},
    }


@pytest.fixture
def store(tmp_path: pathlib.Path) -> t.Iterator[Store]:
    path = tmp_path / "store.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript((_HERE / "store.sql").read_text())
    with contextlib.closing(Store.open(f"sqlite:///{path}")) as opened:
        yield opened


def test_a_store_keeps_findings_coverage_seals_and_checkpoints(store: Store) -> None:
    assert {(found.host, found.subject): found.status for found in store.query(now=200)} == {
        ("web1", "/etc/passwd"): "new",
        ("web1", "/etc/shadow"): "suppressed",
    }
    covered = {(each.host, each.capability): (each.status, each.last_checked) for each in store.coverage()}
    assert covered == {
        ("web1", "audit"): ("checked", 131),
        ("web1", "file_integrity"): ("checked", 110),
        ("web2", "file_integrity"): ("not_checked", None),
    }
    assert [(item.explained_by, item.count) for item in store.explanations()] == [("openssh-server 1:10.0", 31)]
    assert store.expected_digests("web1", "default") == ["a" * 64, "c" * 64]
    assert [entry.action for entry in store.seal_history("web1", "default")] == ["proposed", "confirmed", "proposed"]
    assert store.checkpoint("web1", "audit_events") == "0123456789abcdef-" + "b" * 64
    assert {each.id: each.finished is not None for each in store.runs()} == {"run-1": True, "run-2": False}


def test_a_store_keeps_requests_with_who_did_what(store: Store) -> None:
    requests = {each.host.removeprefix("web-"): each for each in store.jit_requests(now=310)}

    assert {name: each.state for name, each in requests.items()} == {name: name for name in requests}
    assert sorted(requests) == ["approved", "closed", "denied", "open", "opening", "requested"]
    opened, closed = requests["open"], requests["closed"]
    assert (opened.grant, opened.until, opened.ports) == ("g-open", 3820, ("22", "8000-8100"))
    assert opened.sources == ("192.0.2.7", "2001:db8::/48")
    assert (closed.ended_by, closed.ended_login) == ("bob", "carol")
    history = [entry.state for entry in reversed(store.jit_history()) if entry.host == "web-closed"]
    assert history == ["requested", "approved", "opening", "open", "closed"]
