# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State of Windows hosts on recorded owners and access lists, and on files that are killed or full at any call.

tests/integration/windows/test_state.py does it with the calls of Windows.
"""

from __future__ import annotations

import base64
import functools
import pathlib
import re
import typing as t

import pytest

from tests.support.windows import toolchain
from tests.unit.windows import driver

pytestmark = pytest.mark.requires(*toolchain.MONO)

HERE = pathlib.Path(__file__).parent
ROOT = "C:\\ProgramData\\bulwark"
ABOVE = "C:\\ProgramData"
PART = f"{ROOT}\\part"
USER = "S-1-5-21-1-2-3-1001"  # that PlainStateFiles runs as

SYSTEM_ONLY = "(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
# Windows Server 2022's own: anybody can make folders, and owns what they make.
PROGRAM_DATA = f"O:SYG:SYD:PAI(A;OICIIO;GA;;;CO){SYSTEM_ONLY}(A;OICI;0x1200a9;;;BU)(A;CI;DCLCRPCR;;;BU)"
TRUSTED_INSTALLER = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
DRIVE = f"O:{TRUSTED_INSTALLER}G:SYD:PAI{SYSTEM_ONLY}(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;AU)(A;OICIIO;SDGXGWGR;;;AU)"
PRIVATE = f"O:BAG:BAD:P{SYSTEM_ONLY}"
HOST: dict[str, dict[str, t.Any]] = {"C:\\": {"descriptor": DRIVE}, ABOVE: {"descriptor": PROGRAM_DATA}}

# Who could forge state, for each descriptor of its directory.
REFUSED_STATE = {
    "made by a user": ("O:S-1-5-21-1-2-3-1002G:BAD:P(A;;FA;;;SY)(A;;FA;;;BA)", "belongs to S-1-5-21-1-2-3-1002"),
    "inherited from ProgramData": (f"{PRIVATE}(A;OICIID;0x1200a9;;;BU)", "can be used by S-1-5-32-545"),
    "everybody may write": (f"{PRIVATE}(A;;0x2;;;WD)", "can be used by S-1-1-0"),
    "a user may use what is made below": (f"{PRIVATE}(A;OICIIO;FR;;;AU)", "can be used by S-1-5-11"),
    "whoever owns what is made below": (f"{PRIVATE}(A;OICIIO;GA;;;CO)", "can be used by S-1-3-0"),
    "no access list": ("O:BAG:BA", "can be changed by everybody (it has no access list)"),
    "no owner": ("D:P(A;;FA;;;SY)", "belongs to nobody"),
    "an administrator who is not this one": (
        f"{PRIVATE}(A;;FA;;;S-1-5-21-1-2-3-500)",
        "can be used by S-1-5-21-1-2-3-500",
    ),
}
ACCEPTED_STATE = {
    "as it is made": PRIVATE,
    "of SYSTEM": "O:SYG:SYD:P(A;OICI;FA;;;SY)",
    "of the account that runs this": f"O:{USER}G:BAD:P(A;OICI;FA;;;{USER})(A;;FA;;;BA)",
    "nobody has access": "O:BAG:BAD:P(D;;FA;;;WD)",
    "others are denied": "O:BAG:BAD:P(D;OICI;FA;;;BG)(D;OICI;FA;;;WD)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)",
}
REFUSED_ABOVE = {
    "made by a user": "O:S-1-5-21-1-2-3-1002G:BAD:(A;;FA;;;SY)",
    "everybody may delete in it": f"{PRIVATE}(A;;DT;;;WD)",
    "everybody may change who may": f"{PRIVATE}(A;;WD;;;BU)",
    "everybody may take it over": f"{PRIVATE}(A;;WO;;;BU)",
    "everybody may do all": f"{PRIVATE}(A;;GA;;;AU)",
    "everybody may rename it": f"{PRIVATE}(A;;SD;;;AU)",
}


NO_PATHS = ["bulwark", "\\bulwark", "C:bulwark", "C:\\", "\\\\server\\share\\bulwark", "C:/bulwark", "C:\\a\\..\\b"]
NO_PATHS += ["C:\\a.\\b", "C:\\a \\b", "C:\\a:b", "C:\\a\\\\b", "C:\\a\nb", "\\\\?\\C:\\bulwark", ""]
NO_NAMES = ["..", ".", "", "a\\b", "a/b", "a:stream", "a ", "a.", "a\0"]
# Of a directory with the mode 0755 under Wine: its user, SYSTEM, and everybody for reading.
RECORDED = (
    "AQAEgBQAAAAAAAAAAAAAADAAAAABBQAAAAAABRUAAAAAAAAAAAAAAAAAAADoAwAAAgBUAAMAAAAAAxQA/wEfAAEBAAAAAAAFEgAAAAADJAD/AR8AAQUAAAAA"
    "AAUVAAAAAAAAAAAAAAAAAAAA6AMAAAADFACpABIAAQEAAAAAAAEAAAAA"
)
RECORDED_USER = "S-1-5-21-0-0-0-1000"


@functools.cache
def program() -> driver.Driver:
    sources = [HERE / "PlainStateFiles.cs", HERE / "StateScript.cs"]
    return driver.Driver("contracts.Checkpoint", "contracts.Errors", "contracts.State", sources=sources)


def opening(
    directory: pathlib.Path,
    host: dict[str, dict[str, t.Any]],
    *steps: list[t.Any],
    root: str = ROOT,
    create: bool = True,
) -> driver.Case:
    """Return the case of state that is opened on a host, with steps that are done there."""
    directory.mkdir()
    return driver.call("StateScript.Open", str(directory), {**HOST, **host}, root, create, list(steps))


def opened(
    directory: pathlib.Path, host: dict[str, dict[str, t.Any]], *steps: list[t.Any], **options: t.Any
) -> driver.Outcome:
    (outcome,) = program().run([opening(directory / "host", host, *steps, **options)])
    return outcome


def test_state_is_made_written_read_and_removed(tmp_path: pathlib.Path) -> None:
    steps: list[list[t.Any]] = [
        ["read", "a"],
        ["write", "a", "1"],
        ["write", "a", "22"],
        ["write", "b", ""],
        ["read", "a"],
    ]
    steps += [["read", "b"], ["names"], ["remove", "a"], ["remove", "a"], ["read", "a"], ["names"]]
    outcome = opened(tmp_path, {}, *steps)
    assert outcome.result == [None, None, None, None, "22", "", ["a", "b"], True, False, None, ["b"]]


def test_state_that_does_not_exist_is_none_and_not_made(tmp_path: pathlib.Path) -> None:
    assert opened(tmp_path, {}, create=False) == driver.Outcome(None)
    assert not (tmp_path / "host" / "C" / "ProgramData" / "bulwark").exists()


def test_who_could_forge_state_is_named_and_nothing_is_read(tmp_path: pathlib.Path) -> None:
    cases, expected = [], []
    for number, (descriptor, problem) in enumerate(REFUSED_STATE.values()):
        for path in (ROOT, PART):
            host = {ROOT: {}, path: {"descriptor": descriptor}}
            for create in (True, False):
                name = f"{number}{len(path)}{create}"
                cases.append(opening(tmp_path / name, host, ["read", "a"], create=create))
                expected.append(
                    f"{path} {problem}, who could forge state: correct the permissions, or set another state_dir"
                )
    outcomes = program().run(cases)
    assert [(outcome.error, outcome.message) for outcome in outcomes] == [("StateException", text) for text in expected]


def test_state_of_system_administrators_and_this_account_is_used(tmp_path: pathlib.Path) -> None:
    states = enumerate(ACCEPTED_STATE.values())
    cases = [
        opening(tmp_path / str(number), {ROOT: {"descriptor": text}, PART: {"descriptor": text}}, ["write", "a", "1"])
        for number, text in states
    ]
    assert [outcome.result for outcome in program().run(cases)] == [[None]] * len(ACCEPTED_STATE)


def test_who_could_exchange_a_directory_above_is_named(tmp_path: pathlib.Path) -> None:
    hosts = [{ABOVE: {"descriptor": text}} for text in REFUSED_ABOVE.values()]
    outcomes = program().run([opening(tmp_path / str(number), host) for number, host in enumerate(hosts)])
    for outcome in outcomes:
        assert outcome.message.startswith(f"{ABOVE} ")
        assert ", who could replace what is in it: correct the permissions" in outcome.message, outcome


def test_nobody_can_delete_the_root_of_a_drive(tmp_path: pathlib.Path) -> None:
    outcome = opened(tmp_path, {"C:\\": {"descriptor": f"{DRIVE}(A;;0x1301bf;;;AU)"}})
    assert outcome.result == []


def test_a_link_in_the_way_is_not_followed(tmp_path: pathlib.Path) -> None:
    paths = (ABOVE, ROOT, PART)
    hosts: list[dict[str, dict[str, t.Any]]] = [{path: {"link": True}} for path in paths]
    hosts[-1] = {ROOT: {}, **hosts[-1]}
    outcomes = program().run([opening(tmp_path / str(number), host) for number, host in enumerate(hosts)])
    assert [outcome.message for outcome in outcomes] == [
        f"{path} is a link or another reparse point, which is not followed; remove it, or set another state_dir"
        for path in paths
    ]


def test_a_file_or_another_name_in_the_way_is_refused(tmp_path: pathlib.Path) -> None:
    file = opening(tmp_path / "file", {ROOT: {"file": True}})
    name = opening(tmp_path / "name", {ABOVE: {"final": "D:\\data", "descriptor": PROGRAM_DATA}})
    messages = [outcome.message for outcome in program().run([file, name])]
    assert messages == [
        f"{ROOT} is not a directory; remove it, or set another state_dir",
        f"{ABOVE} is another name of D:\\data; use that name in state_dir",
    ]


def test_what_is_no_path_on_a_drive_is_refused(tmp_path: pathlib.Path) -> None:
    outcomes = program().run([opening(tmp_path / str(number), {}, root=root) for number, root in enumerate(NO_PATHS)])
    for root, outcome in zip(NO_PATHS, outcomes, strict=True):
        assert outcome.error == "StateException", root
        assert re.search("set state_dir to an absolute one|set another state_dir", outcome.message), outcome.message


def test_a_name_leads_nowhere_else(tmp_path: pathlib.Path) -> None:
    names = enumerate(NO_NAMES)
    outcomes = program().run([opening(tmp_path / str(number), {}, ["write", name, "x"]) for number, name in names])
    assert [outcome.error for outcome in outcomes] == ["ArgumentException"] * len(NO_NAMES)


def test_a_full_disk_leaves_the_former_content(tmp_path: pathlib.Path) -> None:
    steps: list[list[t.Any]] = [["write", "a", "old"], ["write", "a", "x" * 100], ["read", "a"], ["names"]]
    outcome = opened(tmp_path, {"C:\\": {"descriptor": DRIVE, "space": 10}}, *steps)
    message = f"no space left to write {PART}\\a: free some space; the former content is unchanged"
    assert outcome.result == [None, f"StateException: {message}", "old", ["a"]]


def test_a_directory_in_the_place_of_a_file_is_damage(tmp_path: pathlib.Path) -> None:
    outcome = opened(tmp_path, {ROOT: {}, f"{PART}\\a": {}}, ["read", "a"])
    assert outcome.result == [f"DamagedException: {PART}\\a is not a regular file; find out who made it, and remove it"]


def test_a_kill_at_any_call_leaves_one_whole_content(tmp_path: pathlib.Path) -> None:
    results = program().call("StateScript.KillEverywhere", str(tmp_path), "former", "new" * 1000)
    contents, following = results[::2], results[1::2]
    # Opening, making, writing, flushing and renaming are more calls than ten; the last run was not killed.
    assert len(contents) > 10
    assert set(contents[:-1]) == {"former"}
    assert contents[-1] == "new" * 1000
    assert set(following) == {"next 1"}


def test_what_somebody_reads_is_moved_aside_and_never_lost(tmp_path: pathlib.Path) -> None:
    results = program().call("StateScript.ReplaceWhatIsRead", str(tmp_path))
    assert results[::2] == ["new next", "new next", "former next", "former next", "former next"]
    assert set(results[1::2]) == {True}


def test_a_file_that_windows_denies_for_a_moment_is_read(tmp_path: pathlib.Path) -> None:
    """As while another run replaces it, which is no tampering; who denies it for longer is named."""
    assert program().call("StateScript.ReadWhatIsDenied", str(tmp_path), 3) == "content"
    with pytest.raises(driver.CSharpError, match="make it writable"):
        program().call("StateScript.ReadWhatIsDenied", str(tmp_path), 99)


def test_a_second_writer_waits_and_says_so(tmp_path: pathlib.Path) -> None:
    message, after = program().call("StateScript.LockTwice", str(tmp_path))
    assert message == (
        "another run is writing in C:\\state\\part and did not end within 0.2 s; wait for it, or raise lock_timeout"
    )
    assert after == "locked"


def test_a_recorded_descriptor_is_read_and_one_that_is_cut_off_never_accepted() -> None:
    function = "contracts.StateAccess.StateAccess.PrivateProblem"
    descriptor = base64.b64decode(RECORDED)
    assert program().call(function, RECORDED, RECORDED_USER) == "can be used by S-1-1-0"
    above = program().call("contracts.StateAccess.StateAccess.AboveProblem", RECORDED, RECORDED_USER, False)
    assert above is None
    parts = [base64.b64encode(descriptor[:length]).decode() for length in range(len(descriptor))]
    outcomes = program().run([driver.call(function, part, RECORDED_USER) for part in parts])
    assert [outcome.error for outcome in outcomes] == [None] * len(parts)
    assert {outcome.result for outcome in outcomes} == {"has permissions that cannot be read"}
