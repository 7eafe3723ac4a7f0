# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events of Windows as sign-ins: what each says, which are of one attempt, and what correlations make of them."""

from __future__ import annotations

import functools
import itertools
import json
import pathlib
import random
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.correlator import Correlator
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma import documents
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.compiler import compile_rules
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.facts import Known
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.sources import WINDOWS

from tests.support.windows import toolchain
from tests.unit.windows.driver import Driver, call
from tests.unit.windows.sign_ins import (
    CONNECTIONS,
    DOMAIN_SID,
    LOCKED,
    PROTOCOL,
    SESSIONS,
    SKEW,
    UNKNOWN,
    WINRM,
    WRONG,
    Event,
    connection,
    event,
    explicit,
    failed_logon,
    logon,
    rdp_failure,
    rdp_success,
    security,
    session,
    ssh_failure,
    ssh_success,
    sshd,
    ticket,
    validation,
)

pytestmark = pytest.mark.requires(*toolchain.MONO)

START = 12_000_000_000.0
CASES = yaml.safe_load(pathlib.Path(__file__).with_name("sign_in_views.yml").read_text(encoding="utf-8"))
CHANNELS = {"security": "Security", "sshd": "OpenSSH/Operational", "winrm": WINRM}
W3WP, RUNAS = r"C:\Windows\System32\inetsrv\w3wp.exe", {"ProcessName": r"C:\Windows\System32\svchost.exe"}
ALICE = {"SubjectUserSid": f"{DOMAIN_SID}1001", "SubjectUserName": "Alice", "SubjectDomainName": "CORP"}


@pytest.fixture(scope="module")
def driver() -> Driver:
    script = pathlib.Path(__file__).with_name("SignInsScript.cs")
    return Driver("sign_ins.SignIns", "sign_ins.Needs", sources=[script])


class Sign(t.NamedTuple):
    """A sign-in: seconds since 1601, its view and evidence, and how many records it is made of."""

    time: float
    view: dict[str, t.Any]
    evidence: dict[str, t.Any]
    records: int


def every(
    driver: Driver, streams: t.Sequence[t.Sequence[Event]], own: t.Sequence[str] = (), logons: t.Sequence[str] = ()
) -> list[list[Sign]]:
    """Return the sign-ins of each of several streams."""
    outcomes = driver.run([call("SignInsScript.Of", list(stream), list(own), list(logons)) for stream in streams])
    assert [outcome.message for outcome in outcomes if outcome.error is not None] == []
    return [[Sign(**sign) for sign in outcome.result] for outcome in outcomes]


def of(driver: Driver, *events: Event) -> list[Sign]:
    (signs,) = every(driver, [events])
    return signs


def outcomes_of(signs: t.Iterable[Sign]) -> list[tuple[str, str, str]]:
    return [(sign.view["Outcome"], sign.view.get("Service", ""), sign.view.get("SourceIp", "")) for sign in signs]


def test_a_view_has_the_fields_that_the_case_says(driver: Driver) -> None:
    streams = [
        [
            {**entry, "channel": CHANNELS.get(entry["channel"], entry["channel"]), "at": entry.get("at", 0) + START}
            for entry in case["events"]
        ]
        for case in CASES
    ]
    for case, signs in zip(CASES, every(driver, streams, own=["10.0.0.1", "fe80::1"]), strict=True):
        assert len(signs) == len(case["sign_ins"]), case["name"]
        for sign, expected in zip(signs, case["sign_ins"], strict=True):
            lacks = expected.get("lacks", [])
            has = {name: value for name, value in expected.items() if name != "lacks"}
            assert {name: sign.view.get(name) for name in has} == has, case["name"]
            assert not set(lacks) & sign.view.keys(), case["name"]


# One attempt, several events

ONE = {
    "rdp wrong password": (rdp_failure(START, "alice", "10.0.0.5"), ("failure", "rdp", "10.0.0.5")),
    "rdp success": (rdp_success(START, "alice", "10.0.0.5"), ("success", "rdp", "10.0.0.5")),
    "rdp without NLA": (
        [connection(START, "", "10.0.0.5"), failed_logon(START + 9, "alice", "10", "10.0.0.5")],
        ("failure", "rdp", "10.0.0.5"),
    ),
    "rdp taken up again": (
        [
            logon(START, "alice", "3", "10.0.0.5"),
            connection(START + 0.1, "alice", "10.0.0.5"),
            logon(START + 1, "alice", "7", ProcessName=r"C:\Windows\System32\lsass.exe"),
            session(START + 1.2, "alice", "10.0.0.5", 25),
        ],
        ("success", "rdp", "10.0.0.5"),
    ),
    "rdp through a tunnel": (
        [
            logon(START, "alice", "3"),
            connection(START + 0.1, "alice", "127.0.0.1"),
            logon(START + 1, "alice", "10", "127.0.0.1"),
            session(START + 1.2, "alice", "127.0.0.1"),
        ],
        ("success", "rdp", "127.0.0.1"),
    ),
    "smb wrong password": (
        [validation(START, "alice", WRONG), failed_logon(START, "ALICE", "3", "10.0.0.5")],
        ("failure", "network", "10.0.0.5"),
    ),
    "kerberos, then ntlm, then locked": (
        [
            ticket(START, "alice", "0x18"),
            validation(START + 0.2, "alice", WRONG),
            failed_logon(START + 0.3, "alice@corp.example", "3", "10.0.0.5"),
            security(4740, START + 0.4, TargetUserName="alice", TargetDomainName="CLIENT1", TargetSid="S-1-0-0"),
        ],
        ("failure", "network", "10.0.0.5"),
    ),
    "kerberos success on the domain controller": (
        [
            ticket(START, "alice"),
            logon(START + 1, "alice", "3", "10.0.0.5", AuthenticationPackageName="Kerberos"),
        ],
        ("success", "network", "10.0.0.5"),
    ),
    "ssh wrong password": (ssh_failure(START, "alice", "10.0.0.5"), ("failure", "sshd", "10.0.0.5")),
    "ssh unknown account": (
        [
            sshd(START, "Invalid user bob from 10.0.0.5 port 50002"),
            sshd(START + 1, "Failed none for invalid user bob from 10.0.0.5 port 50002 ssh2"),
            sshd(START + 3, "Failed password for invalid user bob from 10.0.0.5 port 50002 ssh2"),
            sshd(START + 4, "Connection reset by invalid user bob 10.0.0.5 port 50002 [preauth]"),
        ],
        ("failure", "sshd", "10.0.0.5"),
    ),
    "ssh success with the second key": (
        [
            sshd(START, "Failed publickey for alice from 10.0.0.5 port 50002 ssh2: RSA SHA256:abc"),
            sshd(START + 1, "Accepted publickey for alice from 10.0.0.5 port 50002 ssh2: ED25519 SHA256:def"),
            logon(START + 1, "alice", "3", ProcessName=r"C:\Windows\System32\OpenSSH\sshd.exe"),
        ],
        ("success", "sshd", "10.0.0.5"),
    ),
    "winrm": (
        [
            logon(START, "alice", "3", "10.0.0.5", AuthenticationPackageName="Kerberos"),
            event(WINRM, 169, START, username="CORP\\Alice", authenticationMechanism="Kerberos"),
        ],
        ("success", "winrm", "10.0.0.5"),
    ),
    "console, both tokens of an administrator": (
        [
            explicit(START, "alice"),
            logon(START, "alice", "2", "127.0.0.1", TargetLogonId="0x1", TargetLinkedLogonId="0x2", IpPort="0"),
            logon(START, "alice", "2", "127.0.0.1", TargetLogonId="0x2", TargetLinkedLogonId="0x1", IpPort="0"),
            session(START + 2, "alice", "LOCAL"),
        ],
        ("success", "console", ""),
    ),
    "console by cached credentials": (
        [
            explicit(START, "alice"),
            logon(START, "alice", "11", "127.0.0.1", IpPort="0"),
            explicit(START + 0.1, "alice"),
            logon(START + 0.1, "alice", "7"),
        ],
        ("success", "console", ""),
    ),
    "runas": (
        [explicit(START, "bob", **ALICE), logon(START, "bob", "2", "::1", **{**RUNAS, **ALICE})],
        ("success", "runas", ""),
    ),
    "right password, kind of logon not allowed": (
        [validation(START, "alice"), failed_logon(START, "alice", "3", "10.0.0.5", "0xc000015b")],
        ("failure", "network", "10.0.0.5"),
    ),
}


@pytest.mark.parametrize("name", ONE)
def test_events_of_one_attempt_count_once(named: Named, name: str) -> None:
    _events, expected = ONE[name]
    assert outcomes_of(named[name]) == [expected]
    assert ("Reason" in named[name][0].view) is (expected[0] == "failure")


def test_events_of_one_attempt_may_come_in_any_order(driver: Driver) -> None:
    # Channels are written by different services: within a second, their order says little.
    streams = []
    for name in ("rdp wrong password", "smb wrong password", "kerberos, then ntlm, then locked", "ssh wrong password"):
        for order in itertools.permutations(ONE[name][0]):
            if order[0]["id"] == 140 or order[1]["id"] == 140:
                continue  # the protocol ends after the logon failed
            streams.append([{**each, "at": START + place / 10} for place, each in enumerate(order)])
    for stream, signs in zip(streams, every(driver, streams), strict=True):
        assert [sign.view["Outcome"] for sign in signs] == ["failure"], stream


MANY = {
    "two wrong passwords": [*rdp_failure(START, "alice", "10.0.0.5"), *rdp_failure(START + 3, "alice", "10.0.0.5")],
    "two accounts": [*rdp_failure(START, "alice", "10.0.0.5"), *rdp_failure(START, "bob", "10.0.0.6")],
    "two sources": [
        failed_logon(START, "alice", "3", "10.0.0.5"),
        ticket(START, "alice", "0x18", "10.0.0.6"),
    ],
    "two workstations": [
        validation(START, "alice", WRONG, "CLIENT1"),
        failed_logon(START, "alice", "3", "10.0.0.6", WorkstationName="CLIENT2"),
    ],
    "a failure, then a success": [
        failed_logon(START, "alice", "3", "10.0.0.5"),
        logon(START + 1, "alice", "3", "10.0.0.5"),
    ],
    "a success elsewhere and a wrong password here": [
        validation(START, "alice"),
        failed_logon(START + 1, "alice", "3", "10.0.0.5", WorkstationName="-"),
    ],
    "two accounts of one name": [
        logon(START, "admin", "3", "10.0.0.5", TargetUserSid="S-1-5-21-9-9-9-500"),
        logon(START, "admin", "10", "10.0.0.5", TargetUserSid=f"{DOMAIN_SID}500"),
    ],
    "at the console and over the network": [
        logon(START, "alice", "2", "127.0.0.1"),
        logon(START, "alice", "3", "10.0.0.5"),
    ],
    "much later": [validation(START, "alice", WRONG), failed_logon(START + 20, "alice", "3", "10.0.0.5")],
    "by Kerberos here, by NTLM elsewhere": [
        validation(START, "alice"),
        logon(START, "alice", "3", "10.0.0.5", AuthenticationPackageName="Kerberos", WorkstationName="-"),
    ],
    "two connections of one client": [
        sshd(START, "Connection closed by authenticating user alice 10.0.0.5 port 1 [preauth]"),
        sshd(START, "Connection closed by authenticating user alice 10.0.0.5 port 2 [preauth]"),
    ],
    "an intruder while somebody sits at the console": [
        session(START, "alice", "LOCAL"),
        logon(START + 1, "alice", "3", WorkstationName="EVIL"),
    ],
    "an intruder during somebody's session": [
        logon(START, "alice", "10", "10.0.0.5"),
        logon(START + 1, "alice", "3", WorkstationName="EVIL"),
    ],
    "an intruder elsewhere during somebody's session": [
        logon(START, "alice", "10", "10.0.0.5"),
        validation(START + 9, "alice", workstation="EVIL"),
    ],
    "credentials for two servers": [explicit(START, "bob", "FS1", **ALICE), explicit(START, "bob", "FS2", **ALICE)],
}  # fmt: skip


@pytest.mark.parametrize("name", MANY)
def test_events_of_two_attempts_count_twice(named: Named, name: str) -> None:
    assert len(named[name]) == 2


def test_guesses_at_full_speed_are_all_counted(driver: Driver) -> None:
    events = []
    for number in range(300):
        events += [
            validation(START + number / 100, "alice", WRONG),
            failed_logon(START + number / 100, "alice", "3", "10.0.0.5"),
        ]
    assert len(of(driver, *events)) == 300


@pytest.mark.parametrize("seed", range(3))
def test_no_failure_is_lost(driver: Driver, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - the same events in each run, nothing secret
    events: list[Event] = []
    for number in range(400):
        at, user = START + number / 2, draw.choice(("alice", "bob", "carol"))
        source = draw.choice(("10.0.0.5", "10.0.0.6", "-"))
        events.append(
            draw.choice(
                (
                    failed_logon(at, user, "3", source),
                    failed_logon(at, user, "2"),
                    validation(at, user, WRONG),
                    ticket(at, user, "0x18", "10.0.0.5"),
                    event(PROTOCOL, 140, at, IPString="10.0.0.5"),
                )
            )
        )
    (signs,) = every(driver, [events])
    assert {sign.view["Outcome"] for sign in signs} == {"failure"}
    assert sum(sign.records for sign in signs) == 400
    assert len(signs) >= sum(each["id"] == 4625 for each in events)


def test_a_connection_to_remote_desktop_is_no_success(driver: Driver) -> None:
    (sign,) = of(driver, connection(START, "alice", "10.0.0.5"))
    assert outcomes_of([sign]) == [("aborted", "rdp", "10.0.0.5")]


def test_a_connection_adds_the_source_that_the_logon_lacks(driver: Driver) -> None:
    (sign,) = of(driver, logon(START, "alice", "3"), connection(START + 0.1, "alice", "198.51.100.7"))
    assert outcomes_of([sign]) == [("success", "rdp", "198.51.100.7")]


NOTHING = [
    logon(START, "SYSTEM", "5", TargetUserSid="S-1-5-18"),
    logon(START, "svc_backup", "5"),
    logon(START, "svc_backup", "4"),
    logon(START, "alice", "9", "::1"),
    logon(START, "ANONYMOUS LOGON", "3", "10.0.0.5", TargetUserSid="S-1-5-7"),
    logon(START, "DWM-1", "2", TargetUserSid="S-1-5-90-0-1"),
    logon(START, "UMFD-0", "2", TargetUserSid="S-1-5-96-0-0"),
    logon(START, "sshd_5432", "5", TargetUserSid="S-1-5-111-1-2-3"),
    logon(START, "WinRM VA_1", "3", TargetUserSid="S-1-5-94-1"),
    logon(START, "SRV1$", "3", "::1"),
    ticket(START, "SRV1$", source="::1"),
    explicit(START, "alice"),
    security(4769, START, TargetUserName="alice@CORP.EXAMPLE", Status="0x0"),
    security(4634, START, TargetUserName="alice", LogonType="3"),
    ticket(START, "alice", "0x19"),
    session(START, "alice", "10.0.0.5", 24),
    event(SESSIONS, 22, START, User="CORP\\alice"),
    sshd(START, "Server listening on 0.0.0.0 port 22."),
    event("Application", 4625, START, TargetUserName="alice", LogonType="3"),
]


def test_what_is_no_sign_in_counts_as_none(driver: Driver) -> None:
    assert [signs for signs in every(driver, [[each] for each in NOTHING]) if signs] == []


COUNTED = [
    # What an intruder may call an account hides nothing: only Windows gives SIDs, and only the host is itself.
    logon(START, "SYSTEM", "3", "10.0.0.5"),
    logon(START, "ANONYMOUS LOGON", "3", "10.0.0.5"),
    logon(START, "DWM-1", "10", "10.0.0.5"),
    logon(START, "evil$", "3", "10.0.0.5"),
    logon(START, "SRV1$", "3", "10.0.0.5"),
    logon(START, "-", "3", "10.0.0.5"),
    failed_logon(START, "SRV1$", "3", "::1"),
    failed_logon(START, "ANONYMOUS LOGON", "3", "10.0.0.5"),
    failed_logon(START, "svc_backup", "5"),
    failed_logon(START, "", "3", "10.0.0.5", "0xc000dead"),
    validation(START, "alice", WRONG, "SRV1"),
    validation(START, "alice", WRONG, "127.0.0.1"),
    security(4625, START),
]


def test_no_name_hides_a_sign_in(driver: Driver) -> None:
    assert [len(signs) for signs in every(driver, [[each] for each in COUNTED])] == [1] * len(COUNTED)


NAMES = [
    "x from 192.0.2.1 port 22 ssh2",
    "x from 192.0.2.1 port 22 ssh2: RSA SHA256:abc",
    "a\nb",
    "a\r\n4624\x00\x1b[0m",
    'a"}],{"',
    "CORP\\",
    "@",
    "@corp",
    "\\\\\\",
    "\ud800",
    "x" * 5000,
    "%%1833",
    " ",
]


def test_a_name_is_text_and_nothing_else(driver: Driver) -> None:
    streams = [[failed_logon(START, name, "3", "10.0.0.5", UNKNOWN, WorkstationName=name)] for name in NAMES]
    streams += [[validation(START, name, UNKNOWN, name)] for name in NAMES]
    streams += [[logon(START, name, "3", "10.0.0.5", WorkstationName=name)] for name in NAMES]
    streams += [[connection(START, name, "10.0.0.5"), failed_logon(START, name, "3", "10.0.0.5")] for name in NAMES]
    for stream, signs in zip(streams, every(driver, streams), strict=True):
        (sign,) = signs
        assert sign.view.get("SourceIp", "10.0.0.5") == "10.0.0.5", stream
        assert sign.view["SourceLocal"] == "no", stream
        for value in sign.evidence["data"].values():
            assert value.isprintable(), stream


ODD = ("", "-", "0x", "0xffffffffffffffffffff", "%", ":", "::ffff:", "1.2.3.4.5", "999.1.1.1", "\\", ["a", "b"], [])
NAMES_OF_FIELDS = (
    *("TargetUserName", "TargetDomainName", "TargetUserSid", "TargetSid", "SubjectUserName", "SubjectUserSid"),
    *("Status", "SubStatus", "LogonType", "IpAddress", "IpPort", "WorkstationName", "Workstation", "ProcessName"),
    *("TargetLogonId", "TargetLinkedLogonId", "AuthenticationPackageName", "PreAuthType", "TargetServerName"),
    *("User", "Address", "SessionID", "Param1", "Param2", "Param3", "IPString", "username", "authenticationMechanism"),
)


def test_odd_values_are_failures_too(driver: Driver) -> None:
    ids = [("Security", 4624), ("Security", 4648), ("Security", 4740), ("Security", 4768), ("Security", 4771)]
    ids += [("Security", 4776), (SESSIONS, 21), (CONNECTIONS, 1149), (PROTOCOL, 140), (WINRM, 169)]
    streams = [
        [{"channel": channel, "id": number, "at": START, "fields": dict.fromkeys(NAMES_OF_FIELDS, value)}]
        for value in ODD
        for channel, number in ids
    ]
    every(driver, streams)
    failed = [
        [{"channel": "Security", "id": 4625, "at": START, "fields": {name: value}}]
        for name in NAMES_OF_FIELDS
        for value in ODD
    ]
    outcomes = [[sign.view["Outcome"] for sign in signs] for signs in every(driver, failed)]
    assert outcomes == [["failure"]] * len(failed)


@pytest.mark.parametrize(
    "message",
    [
        "Failed password for" + " from 1 port 1 ssh2: a SHA256:b" * 30,
        "Accepted publickey for" + " from 1 port 1" * 60,
        "Connection closed by invalid user" + " 1 port 1" * 90,
        "Bad protocol version identification '" + "' from 1 port" * 70,
        "Failed password for x " * 40,
    ],
)
def test_no_message_of_sshd_takes_long(driver: Driver, message: str) -> None:
    # The driver waits for a minute, which is 300 times as long as it takes.
    of(driver, *(sshd(START + number, message) for number in range(500)))


def test_the_source_of_an_ssh_sign_in_is_the_one_that_sshd_wrote(driver: Driver) -> None:
    names = [name for name in NAMES if ":" not in name and len(name) < 900 and "\ud800" not in name]
    streams = [[sshd(START, f"Failed password for invalid user {name} from 203.0.113.9 port 7 ssh2")] for name in names]
    streams += [[sshd(START, f"Invalid user {name} from 203.0.113.9 port 7")] for name in names]
    streams += [
        [sshd(START, f"Connection closed by invalid user {name} 203.0.113.9 port 7 [preauth]")] for name in names
    ]
    streams.append([sshd(START, f"Failed password for invalid user {'x' * 990} from 192.0.2.1 port 22 ssh2")])
    *signs, (cut,) = every(driver, streams)
    for stream, each in zip(streams, signs, strict=False):
        assert outcomes_of(each) == [("failure", "sshd", "203.0.113.9")], stream
    assert cut.view["Outcome"] == "failure"
    assert "SourceIp" not in cut.view


def test_memory_is_bounded_and_nothing_is_lost(driver: Driver) -> None:
    signs, hurried, waiting = driver.call("SignInsScript.Flood", 20_000)
    assert (signs, hurried, waiting) == (20_000, 20_000 - 4096, 4096)


def test_a_run_goes_on_where_the_last_one_ended(driver: Driver) -> None:
    events = [
        *rdp_failure(START, "alice", "10.0.0.5"),
        *rdp_success(START + 3, "alice", "10.0.0.5"),
        *ssh_failure(START + 20, "bob", "10.0.0.6"),
        sshd(START + 70, "Connection closed by authenticating user bob 10.0.0.6 port 50002 [preauth]"),
        connection(START + 71, "carol", "10.0.0.7"),
    ]
    (whole,) = every(driver, [events])
    assert len(whole) == 4
    cuts = [[events[:place], events[place:]] for place in range(1, len(events))]
    for cut, outcome in zip(cuts, driver.run([call("SignInsScript.InParts", cut) for cut in cuts]), strict=True):
        assert outcome.error is None, outcome.message
        signs = [Sign(**sign) for sign in outcome.result]
        assert [sign.view for sign in signs] == [sign.view for sign in whole], len(cut[0])


def test_attempts_wait_for_half_a_minute(driver: Driver) -> None:
    events = [failed_logon(START, "alice", "3"), failed_logon(START + 20, "bob", "3")]
    cases = [call("SignInsScript.Settled", events, int(START) + seconds) for seconds in (25, 35, 60, -3600)]
    assert [outcome.result for outcome in driver.run(cases)] == [[0, 0, 2], [0, 1, 1], [0, 2, 0], [0, 2, 0]]


def test_a_clock_that_was_set_holds_nothing_back(driver: Driver) -> None:
    for moved in (-86_400, 86_400):
        events = [
            failed_logon(START, "alice", "3", "10.0.0.5"),
            failed_logon(START + moved, "alice", "3", "10.0.0.5"),
            failed_logon(START + 40, "alice", "3", "10.0.0.5"),
        ]
        (early, _settled, rest) = driver.call("SignInsScript.Settled", events, int(START) + 41)
        assert (early, rest) == (2, 1)


def test_channels_are_read_in_the_order_of_time(driver: Driver) -> None:
    def at(*moments: tuple[int, float]) -> list[Event]:
        return [event("x", number, moment) for number, moment in moments]

    channels = [at((1, 10.0), (4, 40.0)), at((2, 20.0), (3, 30.0), (5, 50.0)), []]
    assert driver.call("SignInsScript.InOrder", channels) == [1, 2, 3, 4, 5]


def test_the_scans_own_sign_ins_are_told_apart(driver: Driver) -> None:
    events = [
        logon(START, "ansible", "3", "10.0.0.9", TargetLogonId="0xAAA"),
        logon(START + 60, "ansible", "3", "10.0.0.9"),
        logon(START + 60, "ansible", "3", "10.0.0.10"),
        logon(START + 60, "alice", "3", "10.0.0.9"),
        failed_logon(START + 120, "ansible", "3", "10.0.0.9"),
    ]
    (signs,) = every(driver, [events], logons=["0xaaa"])
    assert [sign.view.get("Automation") for sign in signs] == ["yes", "yes", None, None, None]


def test_evidence_says_who_from_where_and_which_records(driver: Driver) -> None:
    (sign,) = of(driver, *rdp_success(START, "Alice", "198.51.100.7"))
    evidence = sign.evidence
    assert evidence["actor"] == {"user": {"name": "alice", "uid": f"{DOMAIN_SID}{sum(b'alice') + 1000}"}}
    assert evidence["src_endpoint"] == {"ip": "198.51.100.7", "port": 50000}
    assert {
        name: evidence["data"][name] for name in ("outcome", "service", "account", "logon_type", "workstation")
    } == {
        "outcome": "success",
        "service": "rdp",
        "account": "CORP\\\\Alice",
        "logon_type": "10",
        "workstation": "CLIENT1",
    }
    assert evidence["data"]["records"].startswith("Security 1, Security 2, Microsoft-Windows-TerminalServices-Remote")


# Coverage


def subcategory(digits: str, outcome: str) -> str:
    return f"0CCE{digits}-69AE-11D9-BED3-505054503030/{outcome}"


def test_what_is_not_recorded_is_said(driver: Driver) -> None:
    channels = ["Security", SESSIONS, CONNECTIONS, WINRM]
    member = [*channels, subcategory("9215", "success"), subcategory("9217", "failure"), subcategory("9235", "success")]
    cases = [
        call("SignInsScript.Missing", member, False, False),
        call("SignInsScript.Missing", member, False, True),
        call("SignInsScript.Missing", member, True, False),
        call("SignInsScript.Missing", channels, False, False),
    ]
    found = [outcome.result for outcome in driver.run(cases)]
    assert found[0] == []
    assert ["OpenSSH/Operational" in line for line in found[1]] == [True]
    assert ["Kerberos" in line for line in found[2]] == [True, True, False, False]
    assert found[3][1] == (
        "not recorded: failed sign-ins; set the audit subcategory Logon (failure) with win_audit_policy"
    )


# Correlations


@functools.lru_cache(maxsize=4)
def rules(services: str = "sshd, dropbear") -> dict[str, t.Any]:
    """Return the collection's detections of sign-ins for Windows. services: those that the rules on SSH are about."""
    parsed = []
    for path in sorted((catalogue.CONTENT / "audit" / "detections" / "sign_ins").glob("*.yml")):
        text = path.read_text(encoding="utf-8")
        if "category: sign_in" in text or ("correlation:" in text and "ssh_grace_step" not in text):
            text = text.replace("product: linux", "product: windows")
            text = text.replace("Service: [sshd, dropbear]", f"Service: [{services}]")
            parsed += documents.parse(text, str(path), True)[0]
    everything = catalogue.load()
    alerts = {alert.id: alert for alert in everything if alert.capability == detections.CAPABILITY}
    known = Known(alerts, everything.techniques, lambda _source: None)
    lists = {"service_accounts": ["postgres"]}
    compilation = compile_rules(parsed, known, lists, platform=WINDOWS)
    assert [str(problem) for problem in compilation.problems] == []
    return t.cast("dict[str, t.Any]", json.loads(json.dumps(compilation.payload)))


NETWORK = "rdp, network, winrm, iis, kerberos, ntlm, lockout"


def alerts(signs: t.Iterable[Sign], services: str = NETWORK) -> set[str]:
    """Return the alerts that sign-ins raise."""
    payload = rules(services)
    engine, correlator = RuleSet(payload), Correlator(payload)
    raised = set()
    for sign in signs:
        for number in engine.match("sign_in", sign.view):
            matches = [number, *(match.rule for match in correlator.feed(number, sign.time, sign.view))]
            raised |= {engine.rule(each).alert for each in matches if not engine.rule(each).component}
    return raised


def failures(count: int, every_seconds: float, user: str = "alice", source: str = "198.51.100.7") -> list[Event]:
    """Return wrong passwords for Remote Desktop; ``{n}`` in the names is the number."""
    return [
        each
        for number in range(count)
        for each in rdp_failure(START + number * every_seconds, user.format(n=number), source.format(n=number))
    ]


FAILED, GUESSED, SPRAYED, SPREAD = (
    "ssh_brute_force_failed",
    "ssh_brute_force_succeeded",
    "ssh_password_spraying",
    "ssh_brute_force_distributed",
)
ATTACKS = {
    "fast": (failures(12, 5), {FAILED}),
    "slow": (failures(31, 7200), {FAILED}),
    "sprayed": (failures(8, 400, "user{n}"), {SPRAYED}),
    "spread": (failures(10, 300, source="198.51.100.{n}"), {SPREAD}),
    "a domain controller's: sprayed by Kerberos": (
        [ticket(START + number, f"user{number}", "0x6") for number in range(8)],
        {SPRAYED, FAILED},
    ),
    "a domain controller's: fast by NTLM": (
        [validation(START + number, "alice", WRONG, f"W{number}") for number in range(12)],
        {FAILED},
    ),
    "fast, then success": (
        [*failures(12, 5), *rdp_success(START + 90, "alice", "198.51.100.7")],
        {FAILED, GUESSED, "password_sign_in_from_internet"},
    ),
    "sprayed, then success": (
        [*failures(8, 60, "user{n}"), *rdp_success(START + 600, "user3", "198.51.100.7")],
        {SPRAYED, GUESSED, "password_sign_in_from_internet"},
    ),
}
BENIGN = {
    "one mistyped password": [*failures(1, 1), *rdp_success(START + 9, "alice", "10.0.0.5")],
    "nine wrong passwords, each in three events": failures(9, 30, source="10.0.0.5"),
    "twenty-nine over three days": failures(29, 7200, source="10.0.0.5"),
    "seven accounts of one gateway": failures(7, 400, "user{n}", "10.0.0.5"),
    "clocks that differ": [ticket(START + number, "alice", "0x25") for number in range(100)]
    + [failed_logon(START + 200 + number, "alice", "3", "10.0.0.5", SKEW) for number in range(100)],
    "connections of a scanner": [connection(START + number, "", "198.51.100.7") for number in range(100)],
    "a locked account, four tries": [
        each for number in range(4) for each in rdp_failure(START + number * 20, "alice", "10.0.0.5", LOCKED)
    ],
    "a busy file server": [logon(START + number, f"user{number % 5}", "3", "10.0.0.5") for number in range(200)],
}


SSH = [each for number in range(12) for each in ssh_failure(START + number * 5, "alice", "10.0.0.5", 100 + number)]
SSH_IN = ssh_success(START + 90, "alice", "10.0.0.5")
NAMED: dict[str, list[Event]] = {
    **{name: events for name, (events, _expected) in [*ONE.items(), *ATTACKS.items()]},
    **MANY,
    **BENIGN,
    "ssh": SSH,
    "ssh guessed": [*SSH, *SSH_IN],
    "ssh mistyped": [*SSH[:27], *SSH_IN],
}
Named = t.Mapping[str, list[Sign]]


@pytest.fixture(scope="module")
def named(driver: Driver) -> Named:
    """Return the sign-ins of all streams of events that have a name."""
    ordered = [sorted(events, key=lambda each: float(each["at"])) for events in NAMED.values()]
    return dict(zip(NAMED, every(driver, ordered), strict=True))


@pytest.mark.parametrize("name", ATTACKS)
def test_correlations_see_an_attack(named: Named, name: str) -> None:
    _events, expected = ATTACKS[name]
    assert alerts(named[name]) - {"service_brute_force"} == expected


@pytest.mark.parametrize("name", BENIGN)
def test_correlations_see_no_attack(named: Named, name: str) -> None:
    assert alerts(named[name]) == set()


def test_the_rules_on_ssh_judge_openssh_of_windows_as_they_are(named: Named) -> None:
    found = [alerts(named[name], "sshd, dropbear") for name in ("ssh", "ssh guessed", "ssh mistyped")]
    assert found == [{FAILED}, {FAILED, GUESSED}, set()]
