# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file collector as a real Windows process: real files, links, locks and Authenticode signatures, by Wine.

Wine shows a symbolic link to a file as that file, keeps no creation time and no alternate streams, and refuses to open
a name with control characters: what it lacks is tested with recorded files in tests/unit/windows.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import hashlib
import os
import pathlib
import subprocess
import time
import typing as t

import pytest

from tests.support.windows import compiler, toolchain
from tests.unit.windows.driver import Driver, as_input, call

pytestmark = pytest.mark.requires(*toolchain.WINE)

_HERE = pathlib.Path(__file__).parent
_UTILITIES = (
    "api.BackgroundMode",
    "file_integrity.FileCollector",
    "file_integrity.Host",
    "file_integrity.Signatures",
)

# Seconds that a process may take to start on a machine that is shared; it takes less than one.
_PATIENCE = 120

# 100 ns since 1601.
_YEAR_2002 = 126_564_528_000_000_000


@dataclasses.dataclass(frozen=True)
class Collected:
    """What one collection came to: entries by path, and the coverage entry."""

    entries: dict[str, dict[str, t.Any]]
    coverage: dict[str, t.Any]

    def kinds(self, below: str) -> dict[str, str]:
        """Return the kind of each entry below a directory, by its path from there."""
        start = f"{below}\\"
        return {path[len(start) :]: entry["kind"] for path, entry in self.entries.items() if path.startswith(start)}

    def attributes(self, path: str) -> dict[str, t.Any]:
        attributes: dict[str, t.Any] = self.entries[path]["attributes"]
        return attributes

    def reasons(self) -> dict[str, str]:
        """Return why something was skipped, by subject; that Wine has no streams is left out."""
        skipped = {entry["subject"]: entry["reason"] for entry in self.coverage["skipped"]}
        skipped.pop("alternate data streams", None)
        return skipped


@pytest.fixture(scope="module")
def program() -> Driver:
    return _driver(None)


@functools.cache
def _driver(prefix: pathlib.Path | None) -> Driver:
    return Driver(*_UTILITIES, sources=[_HERE / "FileScenario.cs"], target=compiler.Target.WINDOWS, prefix=prefix)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[pathlib.Path]:
    """Return the system drive of a Wine prefix that this module may change."""
    with toolchain.private_prefix(tmp_path_factory.mktemp("windows") / "prefix") as prefix:
        yield prefix / "drive_c"


def _run(program: Driver, *steps: dict[str, t.Any], prefix: pathlib.Path | None = None) -> list[t.Any]:
    """Return what the steps return; those that only change something return nothing."""
    driver = program if prefix is None else _driver(prefix)
    results = driver.results(*(call("FileScenario.Do", step) for step in steps))
    return [result for result in results if result is not None]


def _collected(result: dict[str, t.Any]) -> Collected:
    entries = {entry["path"]: entry for entry in result["entries"]}
    assert len(entries) == len(result["entries"]), "a path was emitted twice"
    return Collected(entries, result["coverage"])


def _collect(program: Driver, *paths: str, **options: t.Any) -> Collected:
    (result,) = _run(program, {"do": "collect", "paths": list(paths), **options})
    return _collected(result)


def _differing(before: Collected, after: Collected) -> dict[str, set[str]]:
    """Return the attributes that differ by path; those of what is new or gone are {"entry"}."""
    differing = {}
    for path in before.entries.keys() | after.entries.keys():
        earlier, later = (collected.entries.get(path) for collected in (before, after))
        if earlier is None or later is None or earlier["kind"] != later["kind"]:
            differing[path] = {"entry"}
        elif earlier["attributes"] != later["attributes"]:
            names = earlier["attributes"].keys() | later["attributes"].keys()
            differing[path] = {
                name for name in names if earlier["attributes"].get(name) != later["attributes"].get(name)
            }
    return differing


# Where an attacker leaves files so that they run: the path below the drive, and the glob of a watch.
_PERSISTENCE = {
    "ProgramData/Microsoft/Windows/Start Menu/Programs/StartUp/update.lnk": (
        r"%ProgramData%\Microsoft\Windows\Start Menu\Programs\StartUp"
    ),
    "users/{user}/AppData/Roaming/Microsoft/Windows/Start Menu/Programs/StartUp/me.vbs": (
        r"%APPDATA%\Microsoft\Windows\Start Menu\Programs\StartUp"
    ),
    "windows/System32/Tasks/Microsoft/Updater": r"%SystemRoot%\System32\Tasks",
    "windows/System32/GroupPolicy/Machine/Scripts/Startup/run.cmd": r"%SystemRoot%\System32\GroupPolicy",
    "windows/System32/WindowsPowerShell/v1.0/profile.ps1": r"%SystemRoot%\System32\WindowsPowerShell\v1.0\*.ps1",
    "windows/System32/wbem/evil.mof": r"%SystemRoot%\System32\wbem\*.mof",
    "windows/System32/spool/prtprocs/x64/evil.dll": r"%SystemRoot%\System32\spool\prtprocs\**\*.dll",
    "windows/System32/inetsrv/module.dll": r"%SystemRoot%\System32\inetsrv",
    "windows/System32/drivers/rootkit.sys": r"%SystemRoot%\System32\drivers\*.sys",
    "autoexec.bat": r"%SystemDrive%\autoexec.bat",
}


def test_persistence_places(program: Driver, disk: pathlib.Path) -> None:
    """What is dropped where Windows starts things is seen as new; an untouched host shows no difference."""
    prefix = disk.parent
    (user,) = (path.name for path in (disk / "users").iterdir() if path.name != "Public")
    replaced = disk / "windows/system32/sethc.exe"
    hosts = disk / "windows/system32/drivers/etc/hosts"
    planted = {disk / name.format(user=user) for name in _PERSISTENCE}
    hosts.parent.mkdir(parents=True, exist_ok=True)
    # What Wine has there can be a hard link of the shared prefix.
    for file in (replaced, hosts, *planted):
        file.unlink(missing_ok=True)
    replaced.write_bytes(b"MZ the program as it was")
    hosts.write_text("127.0.0.1 localhost\n")
    paths = [*_PERSISTENCE.values(), r"%SystemRoot%\System32\sethc.exe", r"%windir%\system32\drivers\etc\hosts"]
    step = {"do": "collect", "paths": paths}
    first, second = map(_collected, _run(program, step, step, prefix=prefix))
    assert first.entries
    assert _differing(first, second) == {}

    for file in planted:
        _folder(disk, file.parent).mkdir(parents=True, exist_ok=True)
        (_folder(disk, file.parent) / file.name).write_text("evil")
    shell = disk / "shell.exe"
    shell.write_bytes(b"MZ a shell in its place!")
    shell.replace(replaced)
    hosts.write_text("203.0.113.9 update.example.com\n")
    (result,) = _run(program, step, prefix=prefix)
    differing = _differing(second, _collected(result))
    new = {_compared(path) for path, names in differing.items() if names == {"entry"}}
    assert {_compared(f"C:/{file.relative_to(disk)}") for file in planted} <= new
    changed = {_compared(path): names for path, names in differing.items()}
    assert {"sha256", "file_id"} <= changed[r"c:\windows\system32\sethc.exe"]
    assert "size" not in changed[r"c:\windows\system32\sethc.exe"]
    assert {"sha256", "size"} <= changed[r"c:\windows\system32\drivers\etc\hosts"]


def _folder(disk: pathlib.Path, path: pathlib.Path) -> pathlib.Path:
    """Return the folder with the case that it has on the disk; Windows does not tell case apart."""
    folder = disk
    for name in path.relative_to(disk).parts:
        names = {each.name.lower(): each.name for each in folder.iterdir()} if folder.is_dir() else {}
        folder = folder / names.get(name.lower(), name)
    return folder


def _compared(path: str) -> str:
    return path.replace("/", "\\").lower()


def test_changed_metadata(program: Driver, tmp_path: pathlib.Path) -> None:
    """Timestomping, hidden and system attributes and a changed access list are seen, each by its attribute."""
    folder = toolchain.windows_path(tmp_path)
    for name in ("stomped", "hidden", "granted"):
        (tmp_path / name).write_text(name)
    collect = {"do": "collect", "paths": [folder]}
    results = _run(
        program,
        collect,
        {"do": "mtime", "path": rf"{folder}\stomped", "value": _YEAR_2002},
        # Hidden, system and read-only.
        {"do": "attributes", "path": rf"{folder}\hidden", "value": 7},
        {"do": "grant", "path": rf"{folder}\granted", "sid": "S-1-1-0"},
        collect,
    )
    before, after = map(_collected, results)
    differing = _differing(before, after)
    assert {"mtime"} <= differing[rf"{folder}\stomped"]
    assert after.attributes(rf"{folder}\stomped")["mtime"] == _YEAR_2002
    assert {"attributes"} <= differing[rf"{folder}\hidden"]
    assert after.attributes(rf"{folder}\hidden")["attributes"] & 7 == 7
    assert {"dacl"} <= differing[rf"{folder}\granted"]
    assert ";;;WD)" in after.attributes(rf"{folder}\granted")["dacl"]
    assert not any("sha256" in names for names in differing.values())


def test_names_links_and_content(program: Driver, tmp_path: pathlib.Path) -> None:
    """Names that Win32 cannot have, long paths and links are read by handle; links and loops are not followed."""
    outside = tmp_path / "outside"
    watched = tmp_path / "watched"
    deep = watched.joinpath(*["d" * 200] * 5)
    for directory in (outside, watched):
        directory.mkdir()
    (outside / "secret").write_text("secret")
    names = ["plain", "trailing. ", "dot.", "NUL", "COM1.txt", "Case", "case", "\u202egpj.exe", "a" * 250]
    for name in names:
        (watched / name).write_text(name)
    os.link(watched / "plain", watched / "hard")
    (watched / "link").symlink_to("../outside")
    (watched / "loop").symlink_to(".")
    (watched / "\x01control").write_text("")
    for count in range(1, 6):
        watched.joinpath(*["d" * 200] * count).mkdir()
    # Longer than a path that one call can name.
    (deep / "deep").write_text("deep")
    folder = toolchain.windows_path(watched)
    collected = _collect(program, folder)
    kinds = collected.kinds(folder)
    deepest = "\\".join(["d" * 200] * 5)
    assert {name for name, kind in kinds.items() if kind == "link"} == {"link", "loop"}
    assert not [path for path in collected.entries if "secret" in path or path.startswith(rf"{folder}\loop" + "\\")]
    assert {name: kinds.get(name) for name in [*names, "hard", rf"{deepest}\deep"]} == dict.fromkeys(
        [*names, "hard", rf"{deepest}\deep"], "file"
    )
    for name in names:
        digest = collected.attributes(rf"{folder}\{name}")["sha256"]
        assert digest == hashlib.sha256(name.encode()).hexdigest(), name
    plain, hard = (collected.attributes(rf"{folder}\{name}") for name in ("plain", "hard"))
    assert plain == hard
    assert plain["links"] == 2
    # Wine opens no such name; nothing is silently left out.
    assert list(collected.reasons()) == [rf"{folder}\<U+0001>control"]


def test_what_was_not_read_is_there_or_not(program: Driver, tmp_path: pathlib.Path) -> None:
    """Asked without the class library, which knows no \\?\\ in the process of Windows PowerShell 5.1."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("x")
    below = toolchain.windows_path(tmp_path)
    paths = (rf"{below}\there", rf"{below}\THERE\file", rf"{below}\there\other", rf"{below}\gone\file", r"Q:\file")
    steps = [{"do": "exists", "path": path} for path in paths]
    # It is switched off again, also where it was switched on twice.
    steps.append({"do": "background"})
    *results, _thread = _run(program, *steps)
    assert results == [True, True, False, False, False]


def test_a_file_knows_its_volume_without_its_directories(program: Driver, tmp_path: pathlib.Path) -> None:
    """A file does not ask its directories, which may be closed, for the number of the volume."""
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_text("x")
    below = toolchain.windows_path(tmp_path / "below" / "file")
    (volumes,) = _run(program, {"do": "volumes", "path": below})
    assert len(set(volumes)) == 1, volumes


def test_globs_exclusions_and_limits(program: Driver, tmp_path: pathlib.Path) -> None:
    """Globs, levels, exclusions and inclusions choose what is read."""
    for name in ("a/one.exe", "a/two.txt", "a/cache/three.exe", "b/deep/four.exe", "b/.git/five.exe"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    folder = toolchain.windows_path(tmp_path)
    collect: dict[str, t.Any] = {"do": "collect"}
    results = _run(
        program,
        {**collect, "paths": [rf"{folder}\*\*.EXE"]},
        {**collect, "paths": [rf"{folder}\**\*.exe"], "exclude": [".git", rf"{folder}\a\cache"]},
        {**collect, "paths": [folder], "recurse": 1},
        {**collect, "paths": [folder], "include": ["*.txt"]},
        {**collect, "paths": [rf"{folder}\a\missing\file", rf"{folder.upper()}\A\ONE.exe"]},
        {**collect, "paths": [r"\\server\share\x", r"Q:\nothing", "relative", "%NoSuchVariable%\\x"]},
        {**collect, "paths": [folder], "seconds": 0.0000001},
    )
    single, every, shallow, included, named, refused, late = map(_collected, results)
    assert single.kinds(folder) == {r"a\one.exe": "file"}
    assert every.kinds(folder) == {r"a\one.exe": "file", r"b\deep\four.exe": "file"}
    assert shallow.kinds(folder) == {"a": "directory", "b": "directory"}
    assert {path for path, kind in included.kinds(folder).items() if kind == "file"} == {r"a\two.txt"}
    assert list(named.entries) == [rf"{folder}\a\one.exe"]
    assert refused.entries == {}
    assert set(refused.reasons()) == {r"\\server\share\x", "relative", r"%NoSuchVariable%\x"}
    assert not late.entries
    assert list(late.reasons()) == [folder]
    assert "time budget" in late.reasons()[folder]
    assert late.coverage["status"] == "partial"


@pytest.mark.parametrize(
    ("action", "name", "expected"),
    [("grow", "grows", "as it was"), ("rewrite", "rewritten", None), ("unlink", "read", "as it was")],
)
def test_disturbed_while_read(
    program: Driver, tmp_path: pathlib.Path, action: str, name: str, expected: str | None
) -> None:
    """A growing file is recorded as it was; one that changes at each attempt has no digest and is skipped."""
    (tmp_path / name).write_text("as it was")
    path = rf"{toolchain.windows_path(tmp_path)}\{name}"
    collected = _collect(program, toolchain.windows_path(tmp_path), when=name, then=action, **{"with": path})
    attributes = collected.attributes(path)
    if expected is None:
        assert "sha256" not in attributes
        assert "changed" in collected.reasons()[path]
    else:
        assert attributes["sha256"] == hashlib.sha256(expected.encode()).hexdigest()
        assert attributes["size"] == len(expected)
        assert collected.reasons() == {}


def test_replaced_while_walked(program: Driver, tmp_path: pathlib.Path) -> None:
    """A directory that becomes a link after it was listed does not lead out; a file that vanishes is no error."""
    watched = tmp_path / "watched"
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    (watched / "swapped").mkdir(parents=True)
    (watched / "swapped" / "inside").write_text("inside")
    (watched / "vanishing").write_text("")
    folder = toolchain.windows_path(watched)
    marker = tmp_path / "marker"
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        replacing = executor.submit(_replace_when_asked, watched / "swapped", tmp_path / "outside", marker)
        swapped = _collect(program, folder, when="swapped", then="replace", **{"with": toolchain.windows_path(marker)})
        replacing.result(_PATIENCE)
    assert not [path for path in swapped.entries if path.endswith("secret")]
    assert swapped.kinds(folder).get("swapped") in (None, "link")
    assert "replaced" in swapped.reasons()[rf"{folder}\swapped"]
    vanished = _collect(program, folder, when="vanishing", then="delete", **{"with": rf"{folder}\vanishing"})
    assert not (watched / "vanishing").exists()
    assert rf"{folder}\vanishing" not in vanished.entries
    assert vanished.reasons() == {}


def _replace_when_asked(directory: pathlib.Path, target: pathlib.Path, marker: pathlib.Path) -> None:
    """Replace a directory by a link when the program is about to open it, and let the program go on."""
    deadline = time.monotonic() + _PATIENCE
    while not marker.with_name(f"{marker.name}.now").exists():
        assert time.monotonic() < deadline, "the directory was never opened"
        time.sleep(0.01)
    directory.rename(directory.with_name("moved"))
    directory.symlink_to(target)
    marker.with_name(f"{marker.name}.done").touch()


def test_locked_by_another_process(program: Driver, tmp_path: pathlib.Path) -> None:
    """A file that another process holds exclusively keeps its attributes, and its content is noted as skipped."""
    (tmp_path / "locked").write_text("locked")
    (tmp_path / "free").write_text("free")
    stop = tmp_path / "stop"
    folder = toolchain.windows_path(tmp_path)
    request_file = tmp_path / "hold.json"
    request_file.write_text(as_input([call("FileScenario.Hold", rf"{folder}\locked", rf"{folder}\stop")]))
    with (
        request_file.open("rb") as request,
        subprocess.Popen(
            program.program.command(),
            stdin=request,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=toolchain.environment(),
        ) as holder,
    ):
        try:
            deadline = time.monotonic() + _PATIENCE
            while not (tmp_path / "stop.ready").exists():
                assert time.monotonic() < deadline, "the file was not locked in time"
                time.sleep(0.05)
            collected = _collect(program, folder, include=["locked", "free"])
        finally:
            stop.touch()
            holder.wait(_PATIENCE)
    locked, free = (collected.attributes(rf"{folder}\{name}") for name in ("locked", "free"))
    assert "sha256" not in locked
    assert locked["size"] == len("locked")
    assert "exclusively" in collected.reasons()[rf"{folder}\locked"]
    assert free["sha256"] == hashlib.sha256(b"free").hexdigest()


def test_signatures(program: Driver, tmp_path: pathlib.Path, disk: pathlib.Path) -> None:
    """Signed, tampered and unsigned programs are told apart by what they are, whatever their names; only those whose
    like is signed are alerts."""
    assemblies = toolchain.windows_runtime().assemblies
    signed = ["System.Linq.dll", "System.Xml.dll", "clrjit.dll", "System.Console.dll", "System.Net.Http.dll"]
    for name in signed:
        (tmp_path / name).write_bytes((assemblies / name).read_bytes())
    original = bytearray((assemblies / "System.Linq.dll").read_bytes())
    (tmp_path / "disguised.txt").write_bytes(original)
    original[5000] ^= 1
    (tmp_path / "tampered.dll").write_bytes(original)
    # It says that it is Microsoft's.
    (tmp_path / "unsigned.exe").write_bytes((disk / "windows/regedit.exe").read_bytes())
    (tmp_path / "tool.exe").write_bytes(_unsigned_tool())
    (tmp_path / "readme.txt").write_text("MZ is how programs begin")
    folder = toolchain.windows_path(tmp_path)
    collected = _collect(program, folder)
    words = {
        path.rsplit("\\", 1)[1]: entry["attributes"].get("signature")
        for path, entry in collected.entries.items()
        if entry["kind"] == "file"
    }
    assert words == {
        **dict.fromkeys([*signed, "disguised.txt"], "valid"),
        "tampered.dll": "invalid",
        "unsigned.exe": "none",
        "tool.exe": "none",
        "readme.txt": None,
    }
    linq = collected.attributes(rf"{folder}\System.Linq.dll")
    assert linq["signer"] == "Microsoft Corporation"
    assert len(linq["signer_thumbprint"]) == len(linq["signer_root"]) == 40
    assert collected.attributes(rf"{folder}\tampered.dll")["signature_status"] == "content_changed"
    alerts = {path.rsplit("\\", 1)[1]: entry["alert"] for path, entry in collected.entries.items() if entry["alert"]}
    assert set(alerts) == {"tampered.dll", "unsigned.exe"}
    assert alerts["tampered.dll"].startswith("high: ")
    assert "Microsoft Corporation" in alerts["unsigned.exe"]


def _unsigned_tool() -> bytes:
    """Return the smallest program for 64-bit Windows that is well-formed: headers, one section, no version."""
    header = bytearray(1024)
    header[:2] = b"MZ"
    header[60:64] = (128).to_bytes(4, "little")
    header[128:132] = b"PE\0\0"
    header[132:136] = (0x8664).to_bytes(2, "little") + (1).to_bytes(2, "little")
    header[148:150] = (240).to_bytes(2, "little")
    header[152:154] = (0x20B).to_bytes(2, "little")
    header[260:264] = (16).to_bytes(4, "little")
    return bytes(header)


def test_ten_thousand_files(program: Driver, tmp_path: pathlib.Path) -> None:
    """Each of many files is read once, in bounded time."""
    for directory in range(20):
        folder = tmp_path / f"d{directory}"
        folder.mkdir()
        for number in range(500):
            (folder / f"f{number}").write_bytes(b"x" * 100)
    windows = toolchain.windows_path(tmp_path)
    collected = _collect(program, windows, attributes=["content", "size", "mtime", "attributes"])
    assert collected.coverage["examined"] == 10_021
    assert len(collected.entries) == 10_021
    assert collected.reasons() == {}
