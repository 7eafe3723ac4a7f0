# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file collector on recorded answers of Windows: what Wine does not have, and what an intruder or a cloud makes.

A recorded node has ``name``, and ``children`` if it is a directory; optional are ``attributes``, ``listed`` (the
attributes in the listing), ``content``, ``behind`` (the content that a filter driver shows), ``streams``, ``reparse``
and ``descriptor`` (base64), ``size``, and the errors ``error`` (of opening), ``content_error``, ``read_error`` and
``streams_error``.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import pathlib
import random
import struct
import typing as t

import pytest

from tests.support.windows import toolchain
from tests.unit.windows.driver import Driver, call

pytestmark = pytest.mark.requires(*toolchain.MONO)

_SCRIPT = pathlib.Path(__file__).with_name("FileScript.cs")
_UTILITIES = (
    "file_integrity.FileCollector",
    "file_integrity.Host",
    "file_integrity.Signatures",
    "file_integrity.Updates",
)

# Attributes of files ([MS-FSCC] 2.6).
_DIRECTORY = 0x10
_SPARSE = 0x200
_REPARSE = 0x400
_OFFLINE = 0x1000
_ENCRYPTED = 0x4000
_RECALL_ON_OPEN = 0x40000
_RECALL_ON_DATA_ACCESS = 0x400000

_BAD_DIGEST = 0x80096010
_UNTRUSTED_ROOT = 0x800B0109
_EXPIRED = 0x800B0101
_REVOKED = 0x800B010C

_INSTALLER = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"

# What Windows' own folder is on Linux.
_ENVIRONMENT = {"SystemRoot": r"C:\Windows"}

Node = dict[str, t.Any]


@pytest.fixture(scope="module")
def program() -> Driver:
    return Driver(*_UTILITIES, sources=[_SCRIPT], environment=_ENVIRONMENT)


def _run(program: Driver, *cases: dict[str, t.Any]) -> list[t.Any]:
    return program.results(*(call("FileScript.Run", case) for case in cases))


@dataclasses.dataclass(frozen=True)
class Collected:
    """What one collection came to. ``read``: the names whose content was read."""

    entries: dict[str, tuple[str, dict[str, t.Any]]]
    skipped: dict[str, str]
    read: list[str]


def _collect(program: Driver, *nodes: Node, **options: t.Any) -> Collected:
    tree = {"name": "", "children": [{"name": "Watched", "children": list(nodes)}]}
    case = {"do": "collect", "tree": tree, "paths": [r"c:\watched"], **options}
    (result,) = _run(program, case)
    entries = {path: (kind, attributes) for kind, path, attributes in result["entries"]}
    assert len(entries) == len(result["entries"]), "a path was emitted twice"
    skipped = {entry["subject"]: entry["reason"] for entry in result["coverage"]["skipped"]}
    # No node has an access list unless a test gives it one.
    skipped = {subject: reason for subject, reason in skipped.items() if "access list" not in reason}
    return Collected(entries, skipped, result["read"])


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("latin-1")).hexdigest()


def _reparse(tag: int, target: str = "") -> str:
    """Return a REPARSE_DATA_BUFFER in base64."""
    name = target.encode("utf-16-le")
    data = struct.pack("<HHHH", 0, len(name), len(name), 0)
    data += (b"\0\0\0\0" if tag == 0xA000000C else b"") + name
    return base64.b64encode(struct.pack("<IHH", tag, len(data), 0) + data).decode()


@pytest.mark.parametrize("attributes", [_OFFLINE | _REPARSE, _RECALL_ON_DATA_ACCESS])
def test_offline_files_are_never_read(program: Driver, attributes: int) -> None:
    """Content that is elsewhere is not fetched, nor are the names of such a directory; both are in the coverage."""
    collected = _collect(
        program,
        {"name": "cloud", "attributes": attributes, "content": "secret", "reparse": _reparse(0x9000301A)},
        {
            "name": "folder",
            "attributes": _DIRECTORY | attributes,
            "children": [{"name": "below"}],
            "reparse": _reparse(0x9000301A),
        },
        {"name": "here", "content": "here"},
        # The attribute alone, which everybody can set, hides nothing.
        {"name": "marked", "attributes": _OFFLINE, "content": "replaced"},
    )
    assert collected.read == ["here", "marked"]
    assert collected.entries[r"C:\Watched\cloud"][1]["size"] == len("secret")
    assert "sha256" not in collected.entries[r"C:\Watched\cloud"][1]
    assert set(collected.skipped) == {r"C:\Watched\cloud", r"C:\Watched\folder"}
    assert r"C:\Watched\folder\below" not in collected.entries


def test_recall_on_open_is_known_from_the_listing(program: Driver) -> None:
    """RECALL_ON_OPEN is only in the listing: by handle, the same bit means something else."""
    collected = _collect(
        program,
        {"name": "cloud", "listed": 0x20 | _RECALL_ON_OPEN, "content": "elsewhere"},
        {"name": "extended", "listed": 0x20, "attributes": 0x20 | _RECALL_ON_OPEN, "content": "here"},
    )
    assert collected.read == ["extended"]
    assert list(collected.skipped) == [r"C:\Watched\cloud"]


def test_streams(program: Driver) -> None:
    """Each stream has size and digest; a directory without any is no error, and a volume without is noted once."""
    zone = "[ZoneTransfer]\r\nZoneId=3"
    collected = _collect(
        program,
        {"name": "download.exe", "content": "x", "streams": {"Zone.Identifier": zone, "hidden.exe": "payload"}},
        {"name": "plain", "content": "y"},
        {"name": "folder", "children": [], "streams": {"planted": "in a directory"}},
    )
    download, plain, folder = (
        collected.entries[rf"C:\Watched\{name}"][1]["streams"] for name in ("download.exe", "plain", "folder")
    )
    assert sorted(download) == [
        ["Zone.Identifier", len(zone), _sha256(zone)],
        ["hidden.exe", len("payload"), _sha256("payload")],
    ]
    assert plain == []
    assert folder == [["planted", len("in a directory"), _sha256("in a directory")]]
    assert collected.entries[r"C:\Watched"][1]["streams"] == []
    assert collected.skipped == {}

    unsupported = _collect(program, {"name": "one"}, {"name": "two"}, streams_error=87)
    assert list(unsupported.skipped) == ["alternate data streams"]
    # The reason is also shown without its subject.
    assert "does not list alternate data streams" in str(unsupported.skipped["alternate data streams"])
    assert all("streams" not in attributes for _, attributes in unsupported.entries.values())


def test_reparse_points(program: Driver) -> None:
    """Links are recorded with their target and not followed; what a filter driver stores is read by handle."""
    collected = _collect(
        program,
        {
            "name": "junction",
            "attributes": _DIRECTORY | _REPARSE,
            "reparse": _reparse(0xA0000003, r"\??\C:\Users"),
            "children": [{"name": "below"}],
        },
        {"name": "symlink", "attributes": _REPARSE, "reparse": _reparse(0xA000000C, r"..\x"), "content": "not read"},
        {"name": "wsl", "attributes": _REPARSE, "reparse": _reparse(0xA000001D), "content": "not read"},
        {"name": "damaged", "attributes": _REPARSE, "content": "not read"},
        {"name": "alias.exe", "attributes": _REPARSE, "reparse": _reparse(0x8000001B), "content": "not read"},
        {"name": "deduplicated", "attributes": _REPARSE, "reparse": _reparse(0x80000013), "behind": "whole"},
        {"name": "hydrated", "attributes": _REPARSE, "reparse": _reparse(0x9000301A), "behind": "local"},
    )
    kinds = {path.rsplit("\\", 1)[1]: kind for path, (kind, _) in collected.entries.items()}
    assert kinds == {
        "Watched": "directory",
        **dict.fromkeys(["junction", "symlink", "wsl", "damaged"], "link"),
        **dict.fromkeys(["alias.exe", "deduplicated", "hydrated"], "file"),
    }
    assert collected.entries[r"C:\Watched\junction"][1]["reparse"] == [r"\??\C:\Users", "mount_point"]
    assert collected.entries[r"C:\Watched\symlink"][1]["reparse"] == [r"..\x", "symlink"]
    assert sorted(collected.read) == ["deduplicated", "hydrated"]
    assert collected.entries[r"C:\Watched\deduplicated"][1]["sha256"] == _sha256("whole")
    assert list(collected.skipped) == [r"C:\Watched\alias.exe"]


def test_what_windows_changes_by_itself_is_not_recorded(program: Driver) -> None:
    """Attributes of backups, indexing, compression and deduplication; programs that hide that they are compressed."""
    hidden = 0x2
    by_itself = 0x20 | _SPARSE | 0x800 | 0x2000 | 0x80000
    collected = _collect(
        program,
        {"name": "compressed", "content": "\0\0\0\0", "behind": "MZ as run"},
        {"name": "plain", "content": "x", "attributes": hidden},
        {"name": "worked on", "content": "x", "attributes": hidden | by_itself},
        {"name": "deduplicated", "attributes": hidden | _REPARSE, "behind": "x", "reparse": _reparse(0x80000013)},
    )
    assert collected.entries[r"C:\Watched\compressed"][1]["sha256"] == _sha256("MZ as run")
    plain, worked_on, deduplicated = (
        {name: value for name, value in collected.entries[rf"C:\Watched\{name}"][1].items() if name != "file_id"}
        for name in ("plain", "worked on", "deduplicated")
    )
    assert plain == worked_on == deduplicated
    assert plain["attributes"] == hidden


def test_directories_of_filters_are_read(program: Driver) -> None:
    """The root directory of OneDrive is a reparse point and no link."""
    folder: Node = {
        "name": "OneDrive",
        "attributes": _DIRECTORY | _REPARSE,
        "reparse": _reparse(0x9000601A),
        "children": [{"name": "profile.ps1", "content": "x"}],
    }
    collected = _collect(program, folder)
    assert collected.entries[r"C:\Watched\OneDrive\profile.ps1"][1]["sha256"] == _sha256("x")
    assert collected.skipped == {}


def test_malware_that_the_antivirus_program_keeps_is_an_alert(program: Driver) -> None:
    collected = _collect(program, {"name": "evil.exe", "content_error": 225})
    path = r"C:\Watched\evil.exe"
    assert "antivirus" in collected.skipped[path]
    alerts, _ = _alerts(program, {"path": path, **collected.entries[path][1]})
    assert alerts[path].startswith("high: ")


def test_mounted_profiles(program: Driver) -> None:
    """A volume in the place of a profile is part of a watch; other links below a glob end there, and are no entries."""
    volume = "Volume{01234567-89ab-cdef-0123-456789abcdef}\\"
    link = {"attributes": _DIRECTORY | _REPARSE, "children": []}
    mounted = {**link, "name": "mounted", "reparse": _reparse(0xA0000003, rf"\??\{volume}")}
    inside = {**link, "name": "inside", "reparse": _reparse(0xA0000003, rf"\??\{volume}Users")}
    junction = {**link, "name": "junction", "reparse": _reparse(0xA0000003, r"\??\D:\x")}
    plain = {"name": "plain", "children": [{"name": "Startup", "children": [{"name": "a.lnk", "content": "a"}]}]}
    collected = _collect(
        program,
        mounted,
        inside,
        junction,
        plain,
        paths=[r"C:\Watched\*\Startup"],
        volumes={volume: {"name": "", "children": [{"name": "startup", "children": [{"name": "b", "content": "b"}]}]}},
    )
    names = (r"mounted\startup", r"mounted\startup\b", r"plain\Startup", r"plain\Startup\a.lnk")
    assert set(collected.entries) == {rf"C:\Watched\{name}" for name in names}
    assert set(collected.skipped) == {r"C:\Watched\inside", r"C:\Watched\junction"}


def test_what_is_gone_and_what_went_with_its_volume(program: Driver) -> None:
    tree = {"name": "", "children": [{"name": "Users", "children": [{"name": "a", "error": 5}]}]}
    entries = [
        {"path": r"C:\users"},
        {"path": r"C:\Users\b", "file_id": "00000000-0000000000000001"},
        {"path": r"C:\Users\b", "file_id": "00000001-0000000000000001"},
        {"path": r"C:\Users\a"},
    ]
    results = _run(program, *({"do": "exists", "tree": tree, "entry": entry} for entry in entries))
    assert results == [True, False, None, None]


def test_unreadable_content(program: Driver) -> None:
    """What cannot be read keeps its attributes, and the coverage says why."""
    collected = _collect(
        program,
        {"name": "encrypted", "attributes": _ENCRYPTED, "content_error": 5},
        {"name": "locked", "content_error": 32},
        {"name": "region", "read_error": 33, "content": "locked by a region"},
        {"name": "sparse", "attributes": _SPARSE, "size": 1 << 40},
        {"name": "vanished", "content_error": 2, "error": 2},
        {"name": "secret", "content_error": 5, "error": 5},
        {"name": "closed", "children": [{"name": "below"}], "content_error": 5},
    )
    names = {path.rsplit("\\", 1)[1] for path in collected.entries}
    assert names == {"Watched", "encrypted", "locked", "region", "sparse", "closed"}
    assert not [path for path, (_, attributes) in collected.entries.items() if "sha256" in attributes]
    reasons = {subject.rsplit("\\", 1)[1]: reason for subject, reason in collected.skipped.items()}
    assert set(reasons) == {"encrypted", "locked", "region", "sparse", "secret", "closed"}
    assert "exclusively" in reasons["locked"]
    assert "exclusively" in reasons["region"]
    assert "sparse" in reasons["sparse"]
    assert "names" in reasons["closed"]


def test_names_stay_apart(program: Driver) -> None:
    """Lone surrogates, control characters, trailing blanks and names that differ by case are files of their own."""
    names = ["\ud800", "\udfff\ud800", "\x01\x1f", "blank ", "dot.", "Case", "case", "CON", "\u202e", "<U+202E>"]
    collected = _collect(program, *({"name": name, "content": "c"} for name in names))
    assert {path.rsplit("\\", 1)[1] for path in collected.entries} == {"Watched", *names}
    assert collected.skipped == {}


def test_loops_and_limits(program: Driver) -> None:
    """A replaced directory and a name with a separator lead nowhere; too many files end with a reason."""
    swapped = _collect(program, {"name": "swapped", "listed_id": 1 << 40, "children": [{"name": "outside"}]})
    assert set(swapped.entries) == {r"C:\Watched"}
    assert "replaced" in swapped.skipped[r"C:\Watched\swapped"]
    hostile = _collect(program, {"name": r"..\..\Windows"}, {"name": "fine"})
    assert set(hostile.entries) == {r"C:\Watched", r"C:\Watched\fine"}
    many = _collect(program, *({"name": str(number)} for number in range(20)), limit=10)
    assert len(many.entries) == 10
    assert ["too many files" in reason for reason in many.skipped.values()] == [True]
    deep: Node = {"name": "bottom", "children": []}
    for _ in range(90):
        deep = {"name": "d", "children": [deep]}
    assert len(_collect(program, deep).entries) == 92


def test_an_account_that_fills_its_directory_hides_nothing_of_others(program: Driver) -> None:
    children = [{"name": str(number)} for number in range(50)]
    accounts = [{"name": name, "children": children if name == "ann" else [{"name": "f"}]} for name in ("ann", "bob")]
    options = {"paths": [r"C:\Watched\*\*"], "limit": 100}
    collected = _collect(program, *({"name": each["name"], "children": [each]} for each in accounts), **options)
    paths = [path for path in collected.entries if path.count("\\") == 4]
    assert r"C:\Watched\bob\bob\f" in paths
    assert len(paths) < 12
    assert [reason.partition(";")[0] for reason in collected.skipped.values()] == ["there are too many files"]


def test_access_lists(program: Driver) -> None:
    """Owner and access list are canonical SDDL, in which inherited entries have their flag."""
    system = bytes([1, 1, 0, 0, 0, 0, 0, 5]) + struct.pack("<I", 18)
    everyone = bytes([1, 1, 0, 0, 0, 0, 0, 1]) + struct.pack("<I", 0)
    entries = struct.pack("<BBHI", 0, 0, 20, 0x1F01FF) + system + struct.pack("<BBHI", 0, 0x10, 20, 0x1200A9) + everyone
    acl = struct.pack("<BBHHH", 2, 0, 8 + len(entries), 2, 0) + entries
    descriptor = struct.pack("<BBHIIII", 1, 0, 0x8404, 20, 0, 0, 20 + len(system)) + system + acl
    node = {"name": "file", "descriptor": base64.b64encode(descriptor).decode()}
    attributes = _collect(program, node).entries[r"C:\Watched\file"][1]
    assert attributes["owner"] == "S-1-5-18"
    assert attributes["dacl"] == "D:AI(A;;0x1f01ff;;;SY)(A;ID;0x1200a9;;;WD)"


def test_paths_of_profiles(program: Driver) -> None:
    """A variable of accounts stands for the profile of each; one that the host lacks is in the coverage."""
    tree = {
        "name": "",
        "children": [{"name": "Users", "children": [{"name": n, "children": [{"name": "f"}]} for n in ("ann", "bob")]}],
    }
    case = {"do": "collect", "tree": tree, "profiles": [r"C:\Users\ann", r"C:\Users\bob", r"\\server\carol"]}
    (result,) = _run(program, {**case, "paths": [r"%userprofile%\f", r"%NoSuch%\f"]})
    assert [path for _, path, _ in result["entries"]] == [r"C:\Users\ann\f", r"C:\Users\bob\f"]
    subjects = {entry["subject"] for entry in result["coverage"]["skipped"]}
    assert {r"\\server\carol\f", r"%NoSuch%\f"} <= subjects


def test_an_exclusion_that_is_no_path_of_this_host_leaves_out_nothing(program: Driver) -> None:
    """As of an account whose profile is on a server: another exclusion stays one."""
    node: Node = {"name": "a.txt", "content": "a"}
    exclude = ["%UserProfile%\\Temp", "C:\\Watched\\b.txt", "WMI\\root\\x", "HKLM\\X"]
    collected = _collect(program, node, {"name": "b.txt", "content": "b"}, exclude=exclude, profiles=[r"\\server\ann"])
    assert [path for path in collected.entries if path.endswith(".txt")] == [r"C:\Watched\a.txt"]
    assert "is on the network" in collected.skipped["exclude"]


def test_patterns(program: Driver) -> None:
    """Globs cover what they name and all below it; what is no path of a local disk is refused with a sentence."""
    covering = [
        (r"C:\a\*.exe", r"c:\A\x.EXE", True),
        (r"C:\a\*.exe", r"C:\a\b\x.exe", False),
        (r"C:\a\**\x", r"C:\a\x", True),
        (r"C:\a\**\x", r"C:\a\b\c\x\below", True),
        (r"C:\a", r"C:\ab", False),
        (r"C:\a?c", r"C:\abc", True),
        ("C:\\", r"C:\anything", True),
        (r"C:\a", r"D:\a", False),
        (r"C:\[a]", r"C:\[A]", True),
    ]
    cases = [{"do": "covers", "glob": glob, "path": path} for glob, path, _ in covering]
    assert _run(program, *cases) == [expected for _, _, expected in covering]
    parsed = [
        ("c:/windows//x", r"C:\windows\x"),
        ("\\\\?\\C:\\x", r"C:\x"),
        ("C:\\**\\**\\x", r"C:\**\x"),
        ("C:", "C:\\"),
        (r"\\server\x", "refused"),
        (r"C:\..\x", "refused"),
        (r"C:x", "refused"),
        (r"C:\x:stream", "refused"),
        ("x", "refused"),
    ]
    results = _run(program, *({"do": "parse", "glob": glob} for glob, _ in parsed))
    assert [result.split(": ")[0] if result.startswith("refused") else result for result in results] == [
        expected for _, expected in parsed
    ]


def test_damaged_structures(program: Driver) -> None:
    """Reparse data and programs that are cut off or made up are never an exception."""
    draw = random.Random(18)  # noqa: S311 - the same damage in each run, nothing secret
    link = base64.b64decode(_reparse(0xA000000C, r"\??\C:\Windows"))
    executable = _executable("Contoso Ltd.", (1, 2, 3, 4))
    cases = []
    for _ in range(300):
        for kind, whole in (("reparse", link), ("program", executable)):
            damaged = bytearray(whole[: draw.randrange(len(whole) + 1)])
            for _ in range(draw.randrange(8)):
                if damaged:
                    damaged[draw.randrange(min(len(damaged), 1600))] = draw.choice([0, 1, 0x7F, 0x80, 0xFF])
            cases.append({"do": kind, "data": base64.b64encode(damaged).decode()})
    assert len(_run(program, *cases)) == len(cases)


def test_numbers_in_programs_lead_nowhere(program: Driver) -> None:
    """Each number of a program as the highest ones: an account may write such a file where it is watched."""
    whole = _executable("Contoso Ltd.", (1, 2, 3, 4))
    numbers = (0x7FFFFFFF, 0x7FFFFFF0, 0x80000000, 0xFFFFFFFF, 0xFFFFFFF4)
    cases = []
    for offset in range(0, min(len(whole), 1600) - 4, 4):
        for number in numbers:
            data = whole[:offset] + struct.pack("<I", number) + whole[offset + 4 :]
            cases.append({"do": "program", "data": base64.b64encode(data).decode()})
    assert len(_run(program, *cases)) == len(cases)


def test_version_information(program: Driver) -> None:
    """Company and version are read from the resources; what is no program has none."""
    executable = base64.b64encode(_executable("Contoso Ltd.", (10, 0, 19041, 1))).decode()
    text = base64.b64encode(b"MZ is how programs begin" * 40).decode()
    results = _run(program, {"do": "program", "data": executable}, {"do": "program", "data": text})
    assert results == [["Contoso Ltd.", "10.0.19041.1", False], None]


def _executable(company: str, version: tuple[int, int, int, int]) -> bytes:
    """Return a PE32+ file with one section that holds a version resource (PE Format; VS_VERSIONINFO)."""
    fixed = struct.pack("<IIII", 0xFEEF04BD, 0x10000, version[0] << 16 | version[1], version[2] << 16 | version[3])
    value = f"{company}\0".encode("utf-16-le")
    key = "CompanyName\0".encode("utf-16-le")
    block = b"\0" * 40 + fixed + b"\0" * 36
    start = len(block)
    block += struct.pack("<HHH", 0, len(value) // 2, 1) + key
    block += b"\0" * (-len(block) % 4) + value + b"\0" * 16
    assert start % 4 == 0
    tree = b""
    for child, name in ((0x80000000 | 24, 16), (0x80000000 | 48, 1), (72, 0x409)):
        tree += struct.pack("<IIHHHH", 0, 0, 0, 0, 0, 1) + struct.pack("<II", name, child)
    tree += struct.pack("<IIII", 0x1000 + 88, len(block), 0, 0)
    resources = tree + block
    header = bytearray(1024)
    header[:2] = b"MZ"
    header[60:64] = struct.pack("<I", 128)
    header[128:152] = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 240, 0x22)
    header[152:154] = struct.pack("<H", 0x20B)
    header[260:264] = struct.pack("<I", 16)
    header[280:288] = struct.pack("<II", 0x1000, len(resources))
    header[392:432] = b".rsrc\0\0\0" + struct.pack(
        "<IIIIIIHHI", len(resources), 0x1000, len(resources), 1024, 0, 0, 0, 0, 0
    )
    return bytes(header) + resources


def test_signatures(program: Driver) -> None:
    """Programs and signed scripts are told by their content; a signature is valid, invalid, none or unknown."""
    executable = _executable("Contoso Ltd.", (1, 0, 0, 0))
    signed = bytearray(executable)
    signed[296:304] = struct.pack("<II", 4096, 512)
    script = "Get-Date\r\n# SIG # Begin signature block\r\n# SIG # End signature block\r\n"
    plain, named = executable.decode("latin-1"), bytes(signed).decode("latin-1")
    nodes: list[Node] = [
        {"name": "embedded.txt", "content": named, "embedded": 0},
        {"name": "tampered", "content": named, "embedded": _BAD_DIGEST},
        {"name": "own", "content": named, "embedded": _UNTRUSTED_ROOT},
        {"name": "catalogue", "content": plain, "catalogue": 0},
        {"name": "unsigned", "content": plain},
        {"name": "script.ps1", "content": script, "embedded": 0},
        {"name": "wide.ps1", "content": script.encode("utf-16-le").decode("latin-1"), "embedded": _BAD_DIGEST},
        {"name": "plain.ps1", "content": "Get-Date", "embedded": 0},
        {"name": "named.exe", "content": "no program", "embedded": 0},
    ]
    known = _collect(program, *nodes)
    words = {path.rsplit("\\", 1)[1]: attributes.get("signature") for path, (_, attributes) in known.entries.items()}
    assert words == {
        "Watched": None,
        "embedded.txt": "valid",
        "tampered": "invalid",
        "own": "invalid",
        "catalogue": "valid",
        "unsigned": "none",
        "script.ps1": "valid",
        "wide.ps1": "invalid",
        "plain.ps1": None,
        "named.exe": None,
    }
    own = known.entries[r"C:\Watched\own"][1]
    assert (own["signature_status"], own["company"]) == ("untrusted_root", "Contoso Ltd.")
    assert known.entries[r"C:\Watched\catalogue"][1]["catalogue"] is True
    unknown = _collect(program, *nodes, catalogue_error=1722)
    assert "signature" not in unknown.entries[r"C:\Watched\unsigned"][1]
    assert unknown.entries[r"C:\Watched\embedded.txt"][1]["signature"] == "valid"
    assert "error 1722" in unknown.skipped[r"C:\Watched\unsigned"]


def test_one_signature_that_holds_is_enough(program: Driver) -> None:
    """As for Windows; a file that was changed, or a revoked certificate, is no matter of catalogues."""
    signed = bytearray(_executable("Contoso Ltd.", (1, 0, 0, 0)))
    signed[296:304] = struct.pack("<II", 4096, 512)
    content = signed.decode("latin-1")
    collected = _collect(
        program,
        {"name": "expired", "content": content, "embedded": _EXPIRED, "catalogue": 0},
        {"name": "unlisted", "content": content, "embedded": _EXPIRED},
        {"name": "both", "content": content, "embedded": _EXPIRED, "catalogue": _UNTRUSTED_ROOT},
        {"name": "changed", "content": content, "embedded": _BAD_DIGEST, "catalogue": 0},
        {"name": "revoked", "content": content, "embedded": _REVOKED, "catalogue": 0},
        {"name": "huge", "content": content, "size": 2 << 30, "embedded": 0},
    )
    states = {
        path.rsplit("\\", 1)[1]: (attributes.get("signature"), attributes.get("signature_status"))
        for path, (_, attributes) in collected.entries.items()
    }
    assert states == {
        "Watched": (None, None),
        "expired": ("valid", None),
        "unlisted": ("invalid", "expired"),
        "both": ("invalid", "expired"),
        "changed": ("invalid", "content_changed"),
        "revoked": ("invalid", "revoked"),
        "huge": (None, None),
    }
    assert "1 GiB" in collected.skipped[r"C:\Watched\huge"]
    assert "sha256" in collected.entries[r"C:\Watched\huge"][1]


def _signed(path: str, company: str = "Contoso", **attributes: t.Any) -> dict[str, t.Any]:
    return {
        "path": path,
        "signature": "valid",
        "company": company,
        "signer_organisation": company,
        "signer_root": "AB",
        **attributes,
    }


_ROOT = "3B1EFD3A66EA28B16697394703A72CA340A05BD5"
_NEWER_ROOT = "06F1AA330B927B753A40E68CDF22E34BCBEF3352"


def _alerts(
    program: Driver, *entries: dict[str, t.Any], **options: t.Any
) -> tuple[dict[str, str], list[dict[str, str]]]:
    case = {"do": "judge", "entries": list(entries), "roots": [_ROOT, _NEWER_ROOT], **options}
    ((alerts, skipped),) = _run(program, case)
    return alerts, skipped


def test_unsigned_among_signed(program: Driver) -> None:
    """A program without a signature is an alert where its like is signed: its company, Windows, or its namesake."""
    like = [_signed(rf"C:\App\{number}.exe") for number in range(4)]
    windows = [_signed(rf"C:\Windows\System32\{n}.exe", "Microsoft", owner=_INSTALLER) for n in ("a", "b", "sethc")]
    planted = [
        {"path": r"C:\Temp\update.exe", "signature": "none", "company": "CONTOSO"},
        {"path": r"C:\Windows\System32\utilman.exe", "signature": "none", "owner": _INSTALLER},
        {"path": r"C:\Windows\SysWOW64\SETHC.exe", "signature": "none"},
        {"path": r"C:\Temp\sethc.exe", "signature": "none"},
        {"path": r"C:\Temp\broken.exe", "signature": "invalid", "signature_status": "content_changed"},
        {
            "path": r"C:\Temp\own.exe",
            "signature": "invalid",
            "signature_status": "untrusted_root",
            "company": "Contoso",
            "signer": "Contoso",
        },
    ]
    # Two of the company's six are planted: nine more keep the group one in which a signature is the rule.
    more = [_signed(rf"C:\App\more{number}.exe") for number in range(9)]
    alerts, skipped = _alerts(program, *like, *more, *windows, *planted)
    assert set(alerts) == {entry["path"] for entry in planted if entry["path"] != r"C:\Temp\sethc.exe"}
    assert all(alert.startswith("high: ") for alert in alerts.values())
    assert "does not trust" in alerts[r"C:\Temp\own.exe"]
    assert skipped == []


def test_unsigned_tools_page_nobody(program: Driver) -> None:
    """Tools of third parties without signatures are silent: alone, among their own and beside signed ones."""
    tools = [{"path": rf"C:\Tools\{n}.exe", "signature": "none", "company": "Tool"} for n in range(30)]
    vendor = [_signed(rf"C:\Vendor\{number}.dll", "Vendor") for number in range(15)]
    library = {"path": r"C:\Vendor\zlib1.dll", "signature": "none"}
    unknown = {"path": r"C:\Vendor\locked.dll", "signature": "unknown", "company": "Vendor"}
    own = {"path": r"C:\Tools\own.exe", "signature": "invalid", "signature_status": "untrusted_root"}
    alerts, skipped = _alerts(program, *tools, *vendor, library, unknown, own)
    assert alerts == {}
    assert skipped == []


def test_lone_unsigned_in_a_signed_directory(program: Driver) -> None:
    """The directory alone is a weak sign: low, and only where nearly all programs in it are signed."""
    system = [_signed(rf"C:\Windows\System32\{number}.dll", "Microsoft") for number in range(40)]
    stray = {"path": r"C:\Windows\System32\stray.dll", "signature": "none"}
    alerts, _ = _alerts(program, *system, stray)
    assert alerts[stray["path"]].startswith("low: ")


def test_microsofts_name_under_another_root_is_an_alert(program: Driver) -> None:
    """A signature that this host trusts, because its own root was added, does not make a program Microsoft's."""
    forged = _signed(r"C:\Windows\System32\evil.dll", "Microsoft Corporation", signer_root="AB" * 20)
    real = _signed(r"C:\Windows\System32\real.dll", "Microsoft Corporation", signer_root=_ROOT)
    alerts, _ = _alerts(program, forged, real, _signed(r"C:\App\other.exe", signer_root="AB" * 20))
    assert list(alerts) == [forged["path"]]
    assert "none of Microsoft's" in alerts[forged["path"]]
    # Without the controller's list nothing is said of roots.
    assert _alerts(program, forged, roots=[]) == ({}, [])


def test_a_tool_under_another_name_is_an_alert_on_the_first_look(program: Driver) -> None:
    """A command prompt in the place of an accessibility tool has a signature that holds."""

    def microsoft(path: str, original: str) -> dict[str, t.Any]:
        return _signed(path, "Microsoft Corporation", signer_root=_ROOT, original_name=original)

    replaced = microsoft(r"C:\Windows\System32\sethc.exe", "Cmd.Exe.MUI")
    clean = [
        microsoft(r"C:\Windows\System32\cmd.exe", "Cmd.Exe"),
        microsoft(r"C:\Windows\SysWOW64\WindowsPowerShell\v1.0\powershell.exe", "PowerShell.EXE.MUI"),
        microsoft(r"C:\Windows\System32\Narrator.exe", "SR.exe"),
        microsoft(r"C:\Tools\shell.exe", "Cmd.Exe"),
    ]
    alerts, _ = _alerts(program, replaced, *clean, alert=["accessibility_tool_replaced", "critical"])
    assert list(alerts) == [replaced["path"]]
    assert alerts[replaced["path"]].startswith("critical: ")
    assert _alerts(program, replaced)[0][replaced["path"]].startswith("high: ")


def test_planting_many_is_not_silent(program: Driver) -> None:
    """Whoever plants so many that a signature is no longer the rule has that in the coverage."""
    like = [_signed(rf"C:\App\{number}.exe") for number in range(4)]
    planted = [{"path": rf"C:\Temp\{n}.exe", "signature": "none", "company": "Contoso"} for n in range(20)]
    alerts, skipped = _alerts(program, *like, *planted)
    assert alerts == {}
    assert [entry["subject"] for entry in skipped] == ["signatures of Contoso"]
    assert "4 of its programs are signed and 20 are not" in skipped[0]["reason"]


_BEFORE = _signed(r"C:\Windows\System32\x.dll", "Microsoft", sha256="a", file_version="10.0.1.1", original_name="x.dll")
_AFTER = {**_BEFORE, "sha256": "b", "file_version": "10.0.1.2"}
_UPDATE = {
    "do": "update",
    "kind": "modified",
    "before": _BEFORE,
    "after": _AFTER,
    "attributes": ["content", "file_id", "file_version", "mtime", "signer_thumbprint", "size"],
    "in_store": True,
    "updates": [["KB5000001", "1.1", 900], ["KB5000002", "1.2", 1100]],
}


def test_updates_explain(program: Driver) -> None:
    """A change is explained by publisher and installation together; without a record of one it is only claimed."""
    explained, product, claimed = _run(
        program,
        _UPDATE,
        {**_UPDATE, "in_store": False, "product": ["Contoso Suite", "7.1", 1200]},
        {**_UPDATE, "in_store": False, "product": ["Contoso Suite", "7.1", 800]},
    )
    nameless = [{n: v for n, v in each.items() if n != "original_name"} for each in (_BEFORE, _AFTER)]
    (unnamed,) = _run(program, {**_UPDATE, "before": nameless[0], "after": nameless[1]})
    assert unnamed[:2] == [False, "Microsoft"]
    assert explained == [True, "KB5000002", "1.2", "explained by KB5000002, signed by Microsoft"]
    assert product[:3] == [True, "Contoso Suite", "7.1"]
    assert claimed[:2] == [False, "Microsoft"]


@pytest.mark.parametrize(
    "changed",
    [
        {"after": {**_AFTER, "signature": "none"}},
        {"after": {**_AFTER, "signature": "invalid"}},
        {"after": {**_AFTER, "signer_organisation": "Contoso"}},
        {"after": {**_AFTER, "signer_root": "CD"}},
        {"after": {**_AFTER, "file_version": "10.0.0.9"}},
        {"after": {name: value for name, value in _AFTER.items() if name != "file_version"}},
        {"before": {**_BEFORE, "signature": "none"}},
        {"attributes": ["content", "dacl"]},
        {"attributes": ["content", "streams"]},
        {"attributes": ["mtime"]},
        {"kind": "created"},
        # Another program that the same publisher signed, as a command prompt in the place of sethc.exe.
        {"after": {**_AFTER, "original_name": "Cmd.Exe"}},
    ],
)
def test_nothing_else_explains(program: Driver, changed: dict[str, t.Any]) -> None:
    """Neither the records of an update nor names explain what another publisher, root or version signed, or nobody."""
    assert _run(program, {**_UPDATE, **changed}) == [None]


_VALID = {**_BEFORE, "signer_thumbprint": "1", "links": 1}


@pytest.mark.parametrize(
    ("after", "attributes", "is_explained"),
    [
        ({"signer_thumbprint": "2", "catalogue": True}, ["catalogue", "signer_thumbprint"], True),
        ({"links": 2}, ["links"], True),
        ({"file_id": "2", "mtime": 2}, ["file_id", "mtime"], True),
        # Windows judges otherwise, or finds no catalogue: counted, and no alert.
        ({"signature": "none"}, ["signature"], False),
        ({"signature": "invalid", "signature_status": "expired"}, ["signature", "signature_status"], False),
    ],
)
def test_signed_content_that_stays_is_no_alert(
    program: Driver, after: dict[str, t.Any], attributes: list[str], is_explained: bool
) -> None:
    (judgement,) = _run(program, {**_UPDATE, "before": _VALID, "after": {**_VALID, **after}, "attributes": attributes})
    assert judgement[0] is is_explained


@pytest.mark.parametrize(
    ("before", "after", "attributes"),
    [
        ({}, {"dacl": "x"}, ["dacl"]),
        ({}, {"streams": []}, ["streams"]),
        # The times alone: whoever set them wanted that.
        ({}, {"mtime": 2}, ["mtime"]),
        # A root certificate of an intruder makes it valid.
        ({"signature": "none"}, {"signer_root": "CD"}, ["signature", "signer_root"]),
        ({}, {"signer_root": "CD", "signer_organisation": "Contoso"}, ["signer_organisation", "signer_root"]),
    ],
)
def test_but_what_else_changes_of_it_is(
    program: Driver, before: dict[str, t.Any], after: dict[str, t.Any], attributes: list[str]
) -> None:
    case = {**_UPDATE, "before": {**_VALID, **before}, "after": {**_VALID, **after}, "attributes": attributes}
    assert _run(program, case) == [None]


def test_revoked_content_that_stays_is_an_alert(program: Driver) -> None:
    after = {**_VALID, "signature": "invalid", "signature_status": "content_changed"}
    case = {**_UPDATE, "before": _VALID, "after": after, "attributes": ["signature", "signature_status"]}
    assert _run(program, case) == ["fim_signature_mismatch"]


def test_content_that_stays_under_a_forged_signature_is_an_alert(program: Driver) -> None:
    before = {**_VALID, "signer_organisation": "Microsoft Corporation", "signer_root": _ROOT}
    after = {**before, "signer_root": "CD" * 20, "signer_thumbprint": "9"}
    case = {**_UPDATE, "before": before, "after": after, "attributes": ["signature", "signer_root"], "roots": [_ROOT]}
    assert _run(program, case) == ["fim_signature_mismatch"]


def test_another_root_of_microsofts_is_the_same_publisher(program: Driver) -> None:
    before = {**_BEFORE, "signer_root": _ROOT}
    after = {**_AFTER, "signer_root": _NEWER_ROOT}
    case = {**_UPDATE, "before": before, "after": after, "attributes": ["content", "signer_root"]}
    explained, unknown = _run(program, {**case, "roots": [_ROOT, _NEWER_ROOT]}, {**case, "roots": [_ROOT]})
    assert explained[:2] == [True, "KB5000002"]
    assert unknown is None


def test_programs_of_services(program: Driver) -> None:
    """A new one of Microsoft's comes with an update, or is claimed; a deleted one matters while a service names it."""
    path = r"C:\Windows\System32\drivers\new.sys"
    entry = _signed(path, "Microsoft Corporation", signer_root=_ROOT)
    new: dict[str, t.Any] = {"do": "update", "kind": "created", "after": entry, "paths": ["%Services%"]}
    new |= {"roots": [_ROOT], "in_store": True, "updates": [["KB5000002", "1.2", 1100]]}
    updated, claimed, foreign, unsigned, elsewhere = _run(
        program,
        new,
        {**new, "in_store": False},
        {**new, "after": {**entry, "signer_organisation": "Contoso"}},
        {**new, "after": {"path": path}},
        {**new, "paths": [path]},
    )
    assert updated == [True, "KB5000002", "1.2", "explained by KB5000002, signed by Microsoft Corporation"]
    assert claimed[:2] == [False, "Microsoft Corporation"]
    assert (foreign, unsigned, elsewhere) == (None, None, None)
    gone = {**new, "kind": "deleted", "before": entry}
    del gone["after"]
    uninstalled, deleted, unread = (
        _run(program, {**gone, "services": services})[0] for services in ([r"C:\x.exe"], [path], [])
    )
    assert uninstalled[:2] == [True, "services"]
    assert (deleted, unread) == (None, None)


def test_the_name_of_a_startup_folder_is_explained(program: Driver) -> None:
    """desktop.ini as Windows writes it for each account, and no other content, name or stream."""
    name = "[.ShellClassInfo]\r\nLocalizedResourceName=@%SystemRoot%\\system32\\shell32.dll,-21787\r\n"
    content = b"\xff\xfe" + f"\r\n{name}".encode("utf-16-le")
    entry = {"path": r"C:\Users\x\Startup\desktop.ini", "sha256": hashlib.sha256(content).hexdigest(), "streams": []}
    new = {**_UPDATE, "kind": "created", "attributes": []}
    explained, *others = _run(
        program,
        {**new, "after": entry},
        {**new, "after": {**entry, "sha256": "ab"}},
        {**new, "after": {**entry, "path": r"C:\Users\x\Startup\x.lnk"}},
        {**new, "after": {**entry, "streams": [["x", 1, "ab"]]}},
    )
    assert explained[:2] == [True, "Windows"]
    assert others == [None, None, None]


def test_services_name_programs(program: Driver) -> None:
    services = r"SYSTEM\CurrentControlSet\Services"
    registry = {
        rf"{services}\a": {"ImagePath": r'"C:\Program Files\A\a.exe" -x', "Type": 16},
        rf"{services}\b": {"ImagePath": r"%SystemRoot%\System32\svchost.exe -k b", "Type": 32},
        rf"{services}\b\Parameters": {"ServiceDll": r"%SystemRoot%\System32\b.dll"},
        rf"{services}\c": {"ImagePath": r"\SystemRoot\System32\drivers\c.sys", "Type": 1},
        rf"{services}\d": {"Type": 1},
        rf"{services}\e": {"ImagePath": r"\??\C:\E\e.sys", "ServiceDll": r"C:\E\*.dll", "Type": 2},
        rf"{services}\f": {"Type": 16},
    }
    (result,) = _run(program, {"do": "servicing", "registry": registry, "path": r"C:\x"})
    assert sorted(result["services"]) == sorted(
        [
            r"C:\Program Files\A\a.exe",
            r"C:\Windows\System32\svchost.exe",
            r"C:\Windows\System32\b.dll",
            r"C:\Windows\System32\drivers\c.sys",
            r"C:\Windows\System32\drivers\d.sys",
            r"C:\E\e.sys",
        ]
    )


def test_records_of_installations(program: Driver) -> None:
    """Updates, products, the component store and the profiles are read where Windows records them."""
    packages = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages"
    installer = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Installer\UserData\S-1-5-18"
    profiles = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList"

    def package(time: int, state: int = 0x70) -> dict[str, int]:
        return {"CurrentState": state, "InstallTimeHigh": time >> 32, "InstallTimeLow": time & 0xFFFFFFFF}

    late = 5 << 32
    registry = {
        rf"{packages}\Package_for_KB5034123~31bf3856ad364e35~amd64~~19041.1.1.2": package(late),
        rf"{packages}\Package_for_RollupFix~31bf3856ad364e35~amd64~~19041.3930.1.7": package(late + 1),
        rf"{packages}\Package_for_KB5000001~31bf3856ad364e35~amd64~~10.0.1.0": package(10),
        rf"{packages}\Package_for_KB5000002~31bf3856ad364e35~amd64~~10.0.1.0": package(late, state=0x40),
        rf"{installer}\Components\C1": {"P1": r"C:\Program Files\Contoso\contoso.exe"},
        rf"{installer}\Products\P1\InstallProperties": {"DisplayName": "Contoso", "DisplayVersion": "7.1", "*": 2000},
        profiles: {"Default": r"C:\Users\Default"},
        rf"{profiles}\S-1-5-21-1": {"ProfileImagePath": r"C:\Users\ann"},
        rf"{profiles}\S-1-5-21-2": {"State": 1},
    }
    case = {"do": "servicing", "registry": registry, "path": r"C:\Program Files\Contoso\lib.dll"}
    links = [r"\Windows\System32\x.dll", r"\Windows\WinSxS\amd64_x\x.dll"]
    product, stored, plain = _run(
        program,
        case,
        {**case, "path": r"C:\Windows\System32\x.dll", "links": links},
        {**case, "path": r"C:\x.dll", "links": [r"\Windows\WinSxSfake\x.dll"]},
    )
    # A hard link to another program of the store is none of the store's.
    (linked,) = _run(program, {**case, "path": r"C:\Windows\System32\sethc.exe", "links": links})
    assert linked["in_store"] is False
    assert product["updates"] == [
        ["KB5034123", "19041.1.1.2", late],
        ["Package_for_RollupFix", "19041.3930.1.7", late + 1],
    ]
    assert product["product"] == ["Contoso", "7.1"]
    assert product["profiles"] == [r"C:\Users\Default", r"C:\Users\ann"]
    assert [result["in_store"] for result in (product, stored, plain)] == [False, True, False]
    assert plain["product"] is None


def test_digest_can_be_used_again(program: Driver) -> None:
    data = bytes(range(256)) * 5000
    (digest,) = _run(program, {"do": "digest", "data": base64.b64encode(data).decode()})
    assert digest == hashlib.sha256(data).hexdigest()


def test_the_code_in_the_configuration_of_iis_is_told_from_its_sites(program: Driver) -> None:
    def code(text: str) -> str | None:
        config: Node = {"name": "applicationHost.config", "content": text}
        for name in ("config", "inetsrv"):
            config = {"name": name, "attributes": _DIRECTORY, "children": [config]}
        entries = _collect(program, config).entries
        digest = entries[r"C:\Watched\inetsrv\config\applicationHost.config"][1].get("code_sha256")
        assert digest is None or isinstance(digest, str)
        return digest

    modules = '<globalModules>\n<add name="a" image="a.dll" />\n</globalModules>'
    base = code(f"<c>{modules}<sites></sites></c>")
    assert base is not None
    assert code(f'<c>{modules}<sites><site name="new"/></sites></c>') == base
    for other in (
        f"<c>{modules.replace('a.dll', 'b.dll')}<sites></sites></c>",
        f"<c>{modules}<sites></sites><location><modules><add/></modules></location></c>",
        f'<c>{modules}<sites></sites><handlers configSource="x.config"/></c>',
        f'<c>{modules}<sites configSource="x.config"></sites></c>',
        f'<!DOCTYPE c [<!ENTITY x SYSTEM "x">]><c>{modules}<sites></sites></c>',
    ):
        assert code(other) != base, other
    # Nothing is told apart in what would take hours.
    assert code("<modules " * 100_000) is None
