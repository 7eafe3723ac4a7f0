# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who made a change of a Windows host's files and registry, by the Security log; and when nobody is named."""

from __future__ import annotations

import datetime as dt
import itertools
import pathlib
import typing as t

import pytest

from tests.support import paths
from tests.support.windows import evtx_writer, toolchain
from tests.support.windows.evtx_writer import Record, hex32, hex64, text
from tests.unit.windows.driver import Driver

pytestmark = pytest.mark.requires(*toolchain.MONO)

_HERE = pathlib.Path(__file__).parent
# When the baseline was taken.
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
EPOCH = START.timestamp()
FILE = r"C:\x\hosts"
RUN = r"HKLM\SOFTWARE\Run"
RUN_OBJECT = r"\REGISTRY\MACHINE\SOFTWARE\Run"
WRITE, DELETE, WRITE_DAC = 0x2, 0x10000, 0x40000
EVE, BOB = ("eve", 1001), ("bob", 1002)

Entry = dict[str, t.Any]
_numbers = itertools.count(1000)


def entry(kind: str, path: str, **attributes: t.Any) -> Entry:
    return {"kind": kind, "path": path, "attributes": attributes}


def file(path: str = FILE, content: str = "a", **attributes: t.Any) -> Entry:
    return entry("file", path, sha256=content * 64, size=1, **attributes)


def value(name: str, data: str = "x") -> Entry:
    return entry("value", f"{RUN}\\{name}", type="REG_SZ", data=data, size=len(data))


def record(
    event_id: int,
    *,
    who: tuple[str, int] = EVE,
    handle: int = 0x50,
    program: str = r"C:\Windows\notepad.exe",
    process: int = 0x1A4,
    seconds: float = 10,
    server: str | None = "Security",
    keywords: int = 0x8020000000000000,
    provider: str = "Microsoft-Windows-Security-Auditing",
    **fields: str | int,
) -> Record:
    """Return a record of object access; a field that is a number is a mask."""
    data = [
        ("SubjectUserSid", evtx_writer.sid(f"S-1-5-21-1-2-3-{who[1]}")),
        ("SubjectUserName", text(who[0])),
        ("SubjectDomainName", text("SHOP")),
        ("SubjectLogonId", hex64(0x3E7F)),
        *([("ObjectServer", text(server))] if server else []),
        *((name, text(field) if isinstance(field, str) else hex32(field)) for name, field in fields.items()),
        ("HandleId", hex64(handle)),
        ("ProcessId", hex64(process)),
        ("ProcessName", text(program)),
    ]
    time = START + dt.timedelta(seconds=seconds)
    return evtx_writer.event(
        next(_numbers), event_id=event_id, data=data, time=time, keywords=keywords, provider=provider
    )


def access(
    mask: int = WRITE, path: str = FILE, *, event_id: int = 4663, kind: str = "File", **members: t.Any
) -> Record:
    return record(event_id, ObjectType=kind, ObjectName=path, AccessMask=mask, **members)


def setting(name: str, operation: int = 1905, key: str = RUN_OBJECT, **members: t.Any) -> Record:
    return record(4657, server=None, ObjectName=key, ObjectValueName=name, OperationType=f"%%{operation}", **members)


class Host:
    """Looks at a host, each with the state of its own."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        self._looks = itertools.count()
        names = ("ActorsScript", "ListedEntries", "RecordedEventLog", "PlainStateFiles")
        self._driver = Driver("file_integrity.Comparison", sources=[_HERE / f"{name}.cs" for name in names])

    def look(
        self,
        records: t.Sequence[Record],
        before: t.Sequence[Entry] = (file(),),
        now: t.Sequence[Entry] = (file(content="b"),),
        *,
        history: t.Sequence[t.Any] = (),
        audited: bool = False,
        **members: t.Any,
    ) -> dict[str, t.Any]:
        directory = self._directory / str(next(self._looks))
        directory.mkdir()
        log = directory / "security.evtx"
        log.write_bytes(evtx_writer.log(records))
        channel = {"file": str(log), "Oldest": 1, "Count": 5000, **members}
        events = [[EPOCH, "created", 0, []], *history]
        result: dict[str, t.Any] = self._driver.call(
            "ActorsScript.Compare", str(directory), {"Security": channel}, events, list(before), list(now), audited
        )
        return result

    def actors(self, *arguments: t.Any, **members: t.Any) -> dict[str, str]:
        """Return the account of each change, by path, as far as it is known."""
        result = self.look(*arguments, **members)
        assert result["changes_count"] > 0
        evidences = [evidence for detection in result["detections"] for evidence in detection["evidences"]]
        named = {each["data"]["change_id"]: each["actor"]["user"]["name"] for each in evidences if "actor" in each}
        changes = {change["path"]: change for change in result["changes"]}
        assert {path for path, change in changes.items() if "actor" in change} == {
            path for path, change in changes.items() if change["id"] in named
        }
        return {path: named[change["id"]] for path, change in changes.items() if change["id"] in named}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    return Host(tmp_path_factory.mktemp("host"))


def test_evidence_has_account_program_time_and_record(host: Host) -> None:
    written = access()
    result = host.look([written])
    (detection,) = result["detections"]
    (evidence,) = detection["evidences"]
    user = {"name": "SHOP\\eve", "uid": "S-1-5-21-1-2-3-1001"}
    assert evidence["actor"] == {"user": user}
    path = r"C:\Windows\notepad.exe"
    assert evidence["process"] == {
        "pid": 0x1A4,
        "name": "notepad.exe",
        "path": path,
        "file": {"name": "notepad.exe", "path": path, "type_id": 0},
        "session": {"uid": "0x3e7f"},
        "user": user,
    }
    seen = evidence["data"]["record"]
    assert (seen["Channel"], seen["EventID"], seen["other_actors"]) == ("Security", "4663", 0)
    assert seen["logged_time"] == (EPOCH + 10) * 1000
    words = f"SHOP\\eve with {path} (process 420) at 2026-01-01T00:00:10Z"
    assert detection["message"].endswith(f"; by the Security log: {words}")
    assert [change["actor"] for change in result["changes"]] == [words]
    assert evidence["file"]["path"] == FILE
    assert result["coverage"][0].get("note") is None
    assert result["files"] == ["default.baseline"]


def test_the_last_is_shown_and_the_others_are_counted(host: Host) -> None:
    records = [
        access(who=BOB, seconds=1),
        access(who=BOB, seconds=2, program=r"C:\a.exe"),
        access(who=BOB, seconds=3, program=r"c:\A.EXE", process=0x999),
        access(seconds=4),
    ]
    (detection,) = host.look(records)["detections"]
    assert detection["evidences"][0]["data"]["record"]["other_actors"] == 2
    assert detection["message"].endswith(
        "SHOP\\eve with C:\\Windows\\notepad.exe (process 420) at 2026-01-01T00:00:04Z, after others: 2"
    )


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(access(path=r"C:\x\hosts2"), id="another file"),
        pytest.param(access(path=r"C:\x"), id="its directory"),
        pytest.param(access(path=r"C:\y\hosts"), id="another directory"),
        pytest.param(access(path=r"\Device\HarddiskVolume9\x\hosts"), id="a volume without a drive"),
        pytest.param(access(path=FILE + ":stream"), id="its stream"),
        pytest.param(access(path=FILE + "\u202e"), id="a name that looks alike"),
        pytest.param(access(path=FILE + "\0x"), id="a longer name"),
        pytest.param(access(path=""), id="no name"),
        pytest.param(access(0x1), id="read"),
        pytest.param(access(WRITE_DAC), id="permissions only"),
        pytest.param(access(event_id=4656), id="a handle that was not used"),
        pytest.param(access(kind="Key"), id="no file"),
        pytest.param(access(seconds=-1), id="before the baseline"),
        pytest.param(access(keywords=0x8010000000000000), id="denied"),
        pytest.param(access(server="Shop"), id="another subsystem"),
        pytest.param(access(provider="Shop"), id="another provider"),
    ],
)
def test_what_does_not_prove_it_names_nobody(host: Host, other: Record) -> None:
    assert host.actors([other]) == {}
    assert host.actors([access(who=BOB), other]) == {FILE: "SHOP\\bob"}


@pytest.mark.parametrize("path", [FILE.upper(), r"\Device\HarddiskVolume3\x\hosts"])
def test_other_forms_of_a_path_are_the_same_file(host: Host, path: str) -> None:
    assert host.actors([access(path=path)]) == {FILE: "SHOP\\eve"}


def test_the_kind_of_access_has_to_fit_the_change(host: Host) -> None:
    descriptors = [file(dacl="D:(A;;FA;;;BA)"), file(dacl="D:(A;;FA;;;WD)")]
    written, permitted = access(), record(4670, who=BOB, ObjectType="File", ObjectName=FILE, OldSd="a", NewSd="b")
    assert host.actors([permitted, written], descriptors[:1], descriptors[1:]) == {FILE: "SHOP\\bob"}
    assert host.actors([access(WRITE_DAC)], descriptors[:1], descriptors[1:]) == {FILE: "SHOP\\eve"}
    assert host.actors([written], descriptors[:1], descriptors[1:]) == {}
    streams = [file(streams=[]), file(streams=["evil"])]
    assert host.actors([access(path=f"{FILE}:evil")], streams[:1], streams[1:]) == {FILE: "SHOP\\eve"}
    assert host.actors([access()], [], [file()]) == {FILE: "SHOP\\eve"}
    # What is written in a directory does not make it.
    made = entry("directory", r"C:\x\y", owner="S-1-5-18")
    assert host.actors([access(path=r"C:\x\y")], [], [made]) == {}


def test_a_deletion_is_known_by_name_or_by_handle(host: Host) -> None:
    gone: dict[str, t.Any] = {"before": [file()], "now": []}
    deleted = record(4660)
    assert host.actors([access(DELETE)], **gone) == {FILE: "SHOP\\eve"}
    assert host.actors([access(DELETE, event_id=4659)], **gone) == {FILE: "SHOP\\eve"}
    assert host.actors([access(DELETE, event_id=4656), deleted], **gone) == {FILE: "SHOP\\eve"}
    assert host.actors([access(WRITE)], **gone) == {}
    assert host.actors([deleted], **gone) == {}
    assert host.actors([access(DELETE, event_id=4656)], **gone) == {}
    assert host.actors([access(WRITE, event_id=4656), deleted], **gone) == {}
    assert host.actors([access(DELETE, event_id=4656), record(4660, handle=0x54)], **gone) == {}
    assert host.actors([access(DELETE, event_id=4656), record(4660, process=0x1A8)], **gone) == {}
    assert host.actors([access(DELETE, event_id=4656), record(4660, program=r"C:\a.exe")], **gone) == {}


def test_a_handle_that_is_used_again_stands_for_something_else(host: Host) -> None:
    gone: dict[str, t.Any] = {"before": [file()], "now": []}
    opened, deleted = access(DELETE, event_id=4656), record(4660)
    assert host.actors([opened, record(4658), deleted], **gone) == {}
    assert host.actors([opened, access(DELETE, r"C:\x\other", event_id=4656), deleted], **gone) == {}
    assert host.actors([opened, access(1, "other", kind="Process"), deleted], **gone) == {}
    assert host.actors([opened, access(1), deleted], **gone) == {FILE: "SHOP\\eve"}
    (detection,) = host.look([opened, deleted, record(4660, who=BOB)], **gone)["detections"]
    assert detection["evidences"][0]["actor"]["user"]["name"] == "SHOP\\eve"


def test_what_was_done_to_a_former_entry_of_the_name_does_not_count(host: Host) -> None:
    # Somebody without a record made it again, or removed it again.
    assert host.actors([access(), access(DELETE, who=BOB)]) == {}
    assert host.actors([access(), access(DELETE), access(who=BOB)]) == {FILE: "SHOP\\bob"}
    assert host.actors([access(DELETE), access(who=BOB)], [file()], []) == {}
    assert host.actors([access(WRITE | DELETE)], [file()], []) == {FILE: "SHOP\\eve"}
    values: dict[str, t.Any] = {"before": [value("a")], "now": [value("a", "y")]}
    assert host.actors([setting("a"), setting("a", 1906, who=BOB)], **values) == {}


def test_a_renaming_is_by_who_took_the_old_name_away(host: Host) -> None:
    moved: dict[str, t.Any] = {"before": [file(r"C:\x\a", file_id="1")], "now": [file(r"C:\x\b", file_id="1")]}
    assert host.actors([access(DELETE, r"C:\x\a")], **moved) == {r"C:\x\b": "SHOP\\eve"}
    assert host.actors([access(DELETE, r"C:\x\b")], **moved) == {}


def test_a_value_is_known_by_its_key_and_name(host: Host) -> None:
    names = ["a", "-", "(Default)", "b<U+005C>c"]
    before, now = [value(name) for name in sorted(names)], [value(name, "y") for name in names]
    assert host.actors([setting("a")], before, now) == {f"{RUN}\\a": "SHOP\\eve"}
    assert host.actors([setting("A", 1904)], before, now) == {f"{RUN}\\a": "SHOP\\eve"}
    assert host.actors([setting("b\\c")], before, now) == {f"{RUN}\\b<U+005C>c": "SHOP\\eve"}
    assert host.actors([setting("")], before, now) == {f"{RUN}\\(Default)": "SHOP\\eve"}
    assert host.actors([setting("c", key=f"{RUN_OBJECT}\\b")], before, now) == {}
    assert host.actors([setting("a", 1906)], before, now) == {}
    assert host.actors([access(0x2, RUN_OBJECT, kind="Key")], before, now) == {}
    assert host.actors([setting("a", key=r"\REGISTRY\USER\S-1-5-18\SOFTWARE\Run")], before, now) == {}


def test_a_value_goes_by_itself_or_with_its_key(host: Host) -> None:
    gone: dict[str, t.Any] = {"before": [value("a")], "now": []}
    assert host.actors([setting("a", 1906)], **gone) == {f"{RUN}\\a": "SHOP\\eve"}
    assert host.actors([setting("a")], **gone) == {}
    assert host.actors([access(DELETE, RUN_OBJECT, kind="Key")], **gone) == {f"{RUN}\\a": "SHOP\\eve"}
    both = [access(DELETE, RUN_OBJECT, kind="Key", who=BOB), setting("a", 1906)]
    assert host.actors(both, **gone) == {f"{RUN}\\a": "SHOP\\eve"}
    assert host.actors(both[::-1], **gone) == {f"{RUN}\\a": "SHOP\\eve"}
    assert host.actors([*both[::-1], access(2, RUN_OBJECT, kind="Key")], **gone) == {f"{RUN}\\a": "SHOP\\eve"}
    assert host.actors([setting("a", 1906), setting("a", 1904), both[0]], **gone) == {f"{RUN}\\a": "SHOP\\bob"}


def test_only_the_control_set_of_this_boot_is_the_current_one(host: Host) -> None:
    path = r"HKLM\SYSTEM\CurrentControlSet\Lsa\x"
    changed: dict[str, t.Any] = {
        "before": [entry("value", path, type="REG_SZ", data="x")],
        "now": [entry("value", path, type="REG_SZ", data="y")],
    }
    known = {path: "SHOP\\eve"}
    assert host.actors([setting("x", key=r"\REGISTRY\MACHINE\SYSTEM\ControlSet001\Lsa")], **changed) == known
    assert host.actors([setting("x", key=r"\REGISTRY\MACHINE\SYSTEM\ControlSet002\Lsa")], **changed) == {}
    assert host.actors([setting("x", key=r"\REGISTRY\MACHINE\SYSTEM\ControlSet0012\Lsa")], **changed) == {}


def test_a_key_is_made_by_nobody_that_its_records_name(host: Host) -> None:
    made = entry("key", f"{RUN}\\new", owner="S-1-5-18")
    assert host.actors([access(0x6, f"{RUN_OBJECT}\\new", kind="Key")], [], [made]) == {}
    gone = access(DELETE, f"{RUN_OBJECT}\\new", kind="Key", who=BOB)
    assert host.actors([gone], [made], []) == {f"{RUN}\\new": "SHOP\\bob"}


def test_names_that_differ_in_case_only_are_not_told_apart(host: Host) -> None:
    before, now = [file(r"C:\x\A"), file(r"C:\x\a")], [file(r"C:\x\A", "b"), file(r"C:\x\a", "b")]
    assert host.actors([access(path=r"C:\x\a")], before, now) == {}


def test_what_was_accepted_since_needs_a_later_record(host: Host) -> None:
    accepted = [EPOCH + 60, "accepted", 1, [FILE]]
    assert host.actors([access()], history=[accepted]) == {}
    assert host.actors([access(seconds=61)], history=[accepted]) == {FILE: "SHOP\\eve"}
    assert host.actors([access()], history=[[EPOCH + 60, "accepted", 1, [r"C:\x\other"]]]) == {FILE: "SHOP\\eve"}
    # More than is listed.
    assert host.actors([access()], history=[[EPOCH + 60, "accepted", 2, [r"C:\x\other"]]]) == {}
    assert host.actors([access()], history=[[EPOCH + 60, "extended", 0, []]]) == {}


def test_times_of_nowhere_name_nobody(host: Host) -> None:
    assert host.actors([access()], history=[[1e300, "accepted", 1, [FILE]]]) == {}
    distant = evtx_writer.event(1, event_id=4663, time=2**62, data=[("ObjectServer", text("Security"))])
    assert host.actors([access(), distant]) == {FILE: "SHOP\\eve"}
    late = access(seconds=365.25 * 86400 * 7900)
    assert host.actors([late]) == {FILE: "SHOP\\eve"}


def test_settings_of_the_audit_policy_are_known_by_their_names() -> None:
    utilities = paths.ROOT / "plugins" / "module_utils" / "windows"
    policy = (utilities / "audit_policy" / "ObjectSetting.cs").read_text(encoding="utf-8")
    note = (utilities / "audit_policy" / "Note.cs").read_text(encoding="utf-8")
    reader = (utilities / "file_integrity" / "Host.cs").read_text(encoding="utf-8")
    for kind in ("Key", "File"):
        assert f'public const string {kind}Kind = "{kind.lower()}";' in policy
        assert f'"\\"{kind.lower()}:"' in reader
    assert 'Capability = "audit";' in note
    assert 'File = "policy.json";' in note
    assert 'StateDirectory.Open(root, "audit", false)' in reader
    assert 'Read("policy.json")' in reader


def test_hostile_texts_are_shown_safely(host: Host) -> None:
    path = "C:\\x\\a\n\u202e\ud800"
    hostile = access(path=path, who=("e\u202eve\x1b[2J", 1001), program="C:\\\u202e" + "p" * 30000)
    result = host.look([hostile], [file(path)], [file(path, "b")])
    (evidence,) = result["detections"][0]["evidences"]
    assert evidence["actor"]["user"]["name"] == "SHOP\\e<U+202E>ve<U+001B>[2J"
    assert evidence["process"]["path"].startswith("C:\\<U+202E>ppp")
    assert len(evidence["process"]["path"]) < 600
    assert not {"\u202e", "\x1b"} & set(str(result))


def test_who_works_over_the_network_has_no_program(host: Host) -> None:
    result = host.look([access(program="", process=4)])
    assert [change["actor"] for change in result["changes"]] == ["SHOP\\eve (process 4) at 2026-01-01T00:00:10Z"]
    assert "path" not in result["detections"][0]["evidences"][0]["process"]


def test_the_system_has_no_name_of_a_machine(host: Host) -> None:
    data = [("SubjectUserSid", evtx_writer.sid("S-1-5-18")), ("SubjectUserName", text("HOST$"))]
    fields = [("ObjectServer", "Security"), ("ObjectType", "File"), ("ObjectName", FILE), ("AccessMask", "0x2")]
    data += [(name, text(field)) for name, field in fields]
    records = [evtx_writer.event(5, event_id=4663, data=data, time=START + dt.timedelta(seconds=1))]
    assert host.actors(records) == {FILE: "NT AUTHORITY\\SYSTEM"}


def test_the_log_is_only_read_for_changes(host: Host) -> None:
    same = host.look([access()], [file()], [file()])
    assert same["queries"] == []
    ((channel, query),) = host.look([access()])["queries"]
    assert channel == "Security"
    assert query == (
        "*[System[EventRecordID >= 1 and TimeCreated[@SystemTime >= '2026-01-01T00:00:00.000Z'] and "
        "((EventID >= 4656 and EventID <= 4660) or EventID = 4663 or EventID = 4670)]]"
    )
    # The conformance kit asks Windows the same.
    checks = paths.ROOT / "tests" / "windows" / "conformance" / "csharp" / "EventChecks.cs"
    assert query.partition("and ((")[2] in checks.read_text(encoding="utf-8")


def test_a_large_log_is_read_from_its_newest_records_on(host: Host) -> None:
    result = host.look([access()], Count=10_000_000, audited=True)
    firsts = [int(query.split(">= ")[1].split(" ")[0]) for _, query in result["queries"]]
    assert firsts == [10_000_001 - (1 << bits) for bits in (14, 16, 18, 20, 22)]
    assert result["files"] == ["default.baseline"]
    assert result["changes"][0]["actor"].startswith("SHOP\\eve")
    note = host.look([access(1)], Count=10_000_000, audited=True)["coverage"][0]["note"]
    assert note == (
        "Changes without a record of who made them: 1; only the newest records of the Security log were read"
    )


def test_what_is_not_recorded_is_only_said_where_it_was_asked_for(host: Host) -> None:
    (asked,) = host.look([], audited=True)["coverage"]
    assert asked["status"] == "checked"
    assert asked["note"] == "Changes without a record of who made them: 1"
    (unasked,) = host.look([])["coverage"]
    assert (unasked["status"], unasked.get("note")) == ("checked", None)
    empty = host.look([], Count=0)
    assert (empty["queries"], empty["coverage"][0].get("note")) == ([], None)


@pytest.mark.parametrize("problem", [{"error": 5}, {"export_error": 1722}])
def test_a_log_that_cannot_be_read_is_no_gap_but_said(host: Host, problem: dict[str, t.Any]) -> None:
    result = host.look([access()], **problem)
    (coverage,) = result["coverage"]
    assert coverage["status"] == "checked"
    assert coverage["note"].startswith("Who made the changes is not known, since the Security log cannot be read: ")
    assert "actor" not in result["changes"][0]
    assert result["files"] == ["default.baseline"]


def test_a_damaged_export_names_nobody(host: Host, tmp_path: pathlib.Path) -> None:
    # The records after the damage may have a later one.
    whole = evtx_writer.log([access() for _ in range(400)], most=100)
    damaged = tmp_path / "damaged.evtx"
    damaged.write_bytes(whole[: 4096 + 65536] + bytes(65536) + whole[4096 + 2 * 65536 :])
    result = host.look([], file=str(damaged))
    assert "actor" not in result["changes"][0]
    assert "damaged" in result["coverage"][0]["note"]


def test_a_system_without_an_event_log_is_one_without_records(host: Host) -> None:
    assert host.look([access()], error=120)["coverage"][0].get("note") is None
    assert "without a record" in host.look([access()], error=120, audited=True)["coverage"][0]["note"]
