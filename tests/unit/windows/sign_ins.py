# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The events that Windows writes for an attempt to sign in, as tests want them."""

from __future__ import annotations

import typing as t

RDP = "Microsoft-Windows-TerminalServices-"
SESSIONS, CONNECTIONS = f"{RDP}LocalSessionManager/Operational", f"{RDP}RemoteConnectionManager/Operational"
PROTOCOL = "Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/Operational"
SSH, WINRM = "OpenSSH/Operational", "Microsoft-Windows-WinRM/Operational"

WRONG, UNKNOWN, LOCKED, SKEW = "0xc000006a", "0xc0000064", "0xc0000234", "0xc0000133"
DOMAIN_SID = "S-1-5-21-1-2-3-"
SYSTEM = {"SubjectUserSid": "S-1-5-18", "SubjectUserName": "SRV1$", "SubjectDomainName": "CORP"}
WINLOGON = r"C:\Windows\System32\winlogon.exe"

Event = dict[str, t.Any]


def event(channel: str, id: int, at: float, **fields: str) -> Event:  # noqa: A002 - as in events
    return {"channel": channel, "id": id, "at": at, "fields": fields}


def security(id: int, at: float, **fields: str) -> Event:  # noqa: A002 - as in events
    return event("Security", id, at, **fields)


def logon(at: float, user: str, type: str, source: str = "-", **fields: str) -> Event:  # noqa: A002 - as in events
    """Return 4624. fields: others, or other values."""
    return security(
        4624,
        at,
        **{
            "TargetUserName": user,
            "TargetDomainName": "CORP",
            "TargetUserSid": f"{DOMAIN_SID}{sum(user.lower().encode('utf-8', 'surrogatepass')) + 1000}",
            "TargetLogonId": f"0x{int(at * 1000) % 0xFFFFFF + int(type):x}",
            "LogonType": type,
            "AuthenticationPackageName": "NTLM" if type == "3" else "Negotiate",
            "ProcessName": "-" if type == "3" else WINLOGON,
            "IpAddress": source,
            "IpPort": "-" if source == "-" else "50000",
            "WorkstationName": "SRV1" if type != "3" else "CLIENT1",
            **SYSTEM,
            **fields,
        },
    )


def failed_logon(at: float, user: str, type: str, source: str = "-", status: str = WRONG, **fields: str) -> Event:  # noqa: A002 - as in events
    """Return 4625. fields: others, or other values."""
    return security(
        4625,
        at,
        **{
            "TargetUserName": user,
            "TargetDomainName": "CORP",
            "TargetUserSid": "S-1-0-0",
            "LogonType": type,
            "Status": "0xc000006d" if status in (WRONG, UNKNOWN) else status,
            "SubStatus": status if status in (WRONG, UNKNOWN) else "0x0",
            "AuthenticationPackageName": "NTLM",
            "ProcessName": "-" if type == "3" else WINLOGON,
            "IpAddress": source,
            "IpPort": "-" if source == "-" else "0",
            "WorkstationName": "SRV1" if type != "3" else "CLIENT1",
            **SYSTEM,
            **fields,
        },
    )


def validation(at: float, user: str, status: str = "0x0", workstation: str = "CLIENT1") -> Event:
    return security(4776, at, TargetUserName=user, Workstation=workstation, Status=status)


def ticket(at: float, user: str, status: str = "0x0", source: str = "::ffff:10.0.0.5", preauth: str = "2") -> Event:
    """Return 4768, or 4771 where the password was wrong."""
    return security(
        4771 if status == "0x18" else 4768,
        at,
        TargetUserName=user,
        TargetDomainName="CORP.EXAMPLE",
        TargetSid=f"{DOMAIN_SID}{sum(user.lower().encode('utf-8', 'surrogatepass')) + 1000}",
        ServiceName="krbtgt",
        Status=status,
        PreAuthType=preauth,
        IpAddress=source,
        IpPort="50001",
    )


def connection(at: float, user: str, source: str) -> Event:
    return event(CONNECTIONS, 1149, at, Param1=user, Param2="CORP", Param3=source)


def session(at: float, user: str, source: str, id: int = 21) -> Event:  # noqa: A002 - as in events
    return event(SESSIONS, id, at, User=f"CORP\\{user}", SessionID="2", Address=source)


def explicit(at: float, user: str, server: str = "localhost", **fields: str) -> Event:
    return security(
        4648,
        at,
        TargetUserName=user,
        TargetDomainName="CORP",
        TargetServerName=server,
        ProcessName=WINLOGON,
        **{**SYSTEM, **fields},
    )


def sshd(at: float, message: str) -> Event:
    return event(SSH, 4, at, process="sshd", payload=message)


def rdp_failure(at: float, user: str, source: str, status: str = WRONG) -> list[Event]:
    """Return what a wrong password for Remote Desktop writes with NLA."""
    return [
        validation(at, user, status),
        failed_logon(at + 0.01, user, "3", status=status),
        event(PROTOCOL, 140, at + 0.2, IPString=source),
    ]


def rdp_success(at: float, user: str, source: str) -> list[Event]:
    """Return what a sign-in of an administrator with Remote Desktop writes with NLA and UAC."""
    elevated, limited = "0xabc01", "0xabc02"
    return [
        validation(at, user),
        logon(at + 0.01, user, "3"),
        connection(at + 0.02, user, source),
        explicit(at + 1.5, user, IpAddress=source, IpPort="0"),
        logon(at + 6, user, "10", source, TargetLogonId=elevated, TargetLinkedLogonId=limited),
        logon(at + 6, user, "10", source, TargetLogonId=limited, TargetLinkedLogonId=elevated),
        session(at + 7, user, source),
    ]


def ssh_failure(at: float, user: str, source: str, port: int = 50002) -> list[Event]:
    """Return what a wrong password for OpenSSH writes."""
    return [
        validation(at, user, WRONG, "SRV1"),
        failed_logon(at + 0.01, user, "8", ProcessName=r"C:\Windows\System32\OpenSSH\sshd.exe"),
        sshd(at + 0.02, f"Failed password for {user} from {source} port {port} ssh2"),
    ]


def ssh_success(at: float, user: str, source: str, port: int = 50002) -> list[Event]:
    return [
        logon(at, user, "8", ProcessName=r"C:\Windows\System32\OpenSSH\sshd.exe"),
        sshd(at + 0.02, f"Accepted password for {user} from {source} port {port} ssh2"),
    ]
