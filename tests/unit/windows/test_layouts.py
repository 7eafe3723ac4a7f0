# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Size and offsets of every struct that C# gives to Windows, compared with mingw-w64's headers for 64-bit Windows.

A struct that a new edge declares has to be added to ``_STRUCTS``, and an offset that it reads by hand to ``_OFFSETS``.
"""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import typing as t

import pytest

from tests.support.windows import compiler, toolchain, utilities

_COMPILER = "x86_64-w64-mingw32-gcc"
# One second of a processor; more only on a machine that is shared.
_SECONDS = 600

pytestmark = pytest.mark.requires(*toolchain.MONO, f"command:{_COMPILER}")

_WIN32 = """
#include <winsock2.h>
#include <windows.h>
#include <winternl.h>
#include <wintrust.h>
#include <mscat.h>
#include <winevt.h>
"""
# What it declares is in winternl.h, too.
_POLICY = "#include <windows.h>\n#include <ntsecapi.h>\n"
_KERNEL = "#include <ntifs.h>\n"
_COM = "#include <windows.h>\n#include <wbemcli.h>\n"

_SECURITY_ATTRIBUTES = {"Length": "nLength", "Descriptor": "lpSecurityDescriptor", "InheritHandle": "bInheritHandle"}
_FIND_DATA = {
    "Attributes": "dwFileAttributes",
    "CreationLow": "ftCreationTime.dwLowDateTime",
    "CreationHigh": "ftCreationTime.dwHighDateTime",
    "LastAccessLow": "ftLastAccessTime.dwLowDateTime",
    "LastAccessHigh": "ftLastAccessTime.dwHighDateTime",
    "LastWriteLow": "ftLastWriteTime.dwLowDateTime",
    "LastWriteHigh": "ftLastWriteTime.dwHighDateTime",
    "SizeHigh": "nFileSizeHigh",
    "SizeLow": "nFileSizeLow",
    "Reserved0": "dwReserved0",
    "Reserved1": "dwReserved1",
    "Name": "cFileName",
    "AlternateName": "cAlternateFileName",
}
_VERSION = {
    "Size": "dwOSVersionInfoSize",
    "Major": "dwMajorVersion",
    "Minor": "dwMinorVersion",
    "Build": "dwBuildNumber",
    "PlatformId": "dwPlatformId",
    "ServicePack": "szCSDVersion",
    "ServicePackMajor": "wServicePackMajor",
    "ServicePackMinor": "wServicePackMinor",
    "SuiteMask": "wSuiteMask",
    "ProductType": "wProductType",
    "Reserved": "wReserved",
}
_SYSTEM = {
    "ProcessorArchitecture": "wProcessorArchitecture",
    "Reserved": "wReserved",
    "PageSize": "dwPageSize",
    "MinimumApplicationAddress": "lpMinimumApplicationAddress",
    "MaximumApplicationAddress": "lpMaximumApplicationAddress",
    "ActiveProcessorMask": "dwActiveProcessorMask",
    "NumberOfProcessors": "dwNumberOfProcessors",
    "ProcessorType": "dwProcessorType",
    "AllocationGranularity": "dwAllocationGranularity",
    "ProcessorLevel": "wProcessorLevel",
    "ProcessorRevision": "wProcessorRevision",
}
_SERVICE_STATUS = {
    "Type": "dwServiceType",
    "State": "dwCurrentState",
    "Accepted": "dwControlsAccepted",
    "ExitCode": "dwWin32ExitCode",
    "SpecificExitCode": "dwServiceSpecificExitCode",
    "CheckPoint": "dwCheckPoint",
    "WaitHint": "dwWaitHint",
}
_AUDIT_POLICY = {
    "Subcategory": "AuditSubCategoryGuid",
    "Flags": "AuditingInformation",
    "Category": "AuditCategoryGuid",
}
_STARTUP_PARTS = {
    "Size": "cb",
    "Reserved": "lpReserved",
    "Desktop": "lpDesktop",
    "Title": "lpTitle",
    "X": "dwX",
    "Y": "dwY",
    "Width": "dwXSize",
    "Height": "dwYSize",
    "CharsX": "dwXCountChars",
    "CharsY": "dwYCountChars",
    "FillAttribute": "dwFillAttribute",
    "Flags": "dwFlags",
    "ShowWindow": "wShowWindow",
    "Reserved2Size": "cbReserved2",
    "Reserved2": "lpReserved2",
    "Input": "hStdInput",
    "Output": "hStdOutput",
    "Error": "hStdError",
}
_STARTUP = {name: f"StartupInfo.{field}" for name, field in _STARTUP_PARTS.items()} | {"Attributes": "lpAttributeList"}
_PROCESS = {"Process": "hProcess", "Thread": "hThread", "ProcessId": "dwProcessId", "ThreadId": "dwThreadId"}
_LIMITS = {
    "ProcessTime": "BasicLimitInformation.PerProcessUserTimeLimit",
    "JobTime": "BasicLimitInformation.PerJobUserTimeLimit",
    "LimitFlags": "BasicLimitInformation.LimitFlags",
    "LeastWorkingSet": "BasicLimitInformation.MinimumWorkingSetSize",
    "MostWorkingSet": "BasicLimitInformation.MaximumWorkingSetSize",
    "ActiveProcesses": "BasicLimitInformation.ActiveProcessLimit",
    "Affinity": "BasicLimitInformation.Affinity",
    "PriorityClass": "BasicLimitInformation.PriorityClass",
    "SchedulingClass": "BasicLimitInformation.SchedulingClass",
    "ReadOperations": "IoInfo.ReadOperationCount",
    "WriteOperations": "IoInfo.WriteOperationCount",
    "OtherOperations": "IoInfo.OtherOperationCount",
    "ReadBytes": "IoInfo.ReadTransferCount",
    "WriteBytes": "IoInfo.WriteTransferCount",
    "OtherBytes": "IoInfo.OtherTransferCount",
    "ProcessMemory": "ProcessMemoryLimit",
    "JobMemory": "JobMemoryLimit",
    "PeakProcessMemory": "PeakProcessMemoryUsed",
    "PeakJobMemory": "PeakJobMemoryUsed",
}
_SIGNER = {
    "sftVerifyAsOfLow": "sftVerifyAsOf.dwLowDateTime",
    "sftVerifyAsOfHigh": "sftVerifyAsOf.dwHighDateTime",
}

# FILE.STRUCT: the struct of the header, and the names of fields that are not the header's own.
_STRUCTS: dict[str, tuple[str, dict[str, str]]] = {
    "AuditPolicy.PolicyInformation": ("AUDIT_POLICY_INFORMATION", _AUDIT_POLICY),
    "Authenticode.CATALOG_INFO": ("CATALOG_INFO", {}),
    "Authenticode.CRYPT_PROVIDER_CERT": ("CRYPT_PROVIDER_CERT", {}),
    "Authenticode.CRYPT_PROVIDER_SGNR": ("CRYPT_PROVIDER_SGNR", _SIGNER),
    "Authenticode.WINTRUST_CATALOG_INFO": ("WINTRUST_CATALOG_INFO", {}),
    "Authenticode.WINTRUST_DATA": ("WINTRUST_DATA", {}),
    "Authenticode.WINTRUST_FILE_INFO": ("WINTRUST_FILE_INFO", {}),
    "EventChannels.EventVariant": ("EVT_VARIANT", {"Value": "UInt64Val"}),
    "Files.IO_STATUS_BLOCK": ("IO_STATUS_BLOCK", {}),
    "Files.OBJECT_ATTRIBUTES": ("OBJECT_ATTRIBUTES", {}),
    "Files.UNICODE_STRING": ("UNICODE_STRING", {}),
    "Machine.SystemInformation": ("SYSTEM_INFO", _SYSTEM),
    "Machine.VersionInformation": ("OSVERSIONINFOEXW", _VERSION),
    "Registry.ObjectAttributes": ("OBJECT_ATTRIBUTES", {}),
    "Registry.UnicodeString": ("UNICODE_STRING", {}),
    "Services.ServiceStatus": ("SERVICE_STATUS", _SERVICE_STATUS),
    "StateFiles.FindData": ("WIN32_FIND_DATAW", _FIND_DATA),
    "StateFiles.SecurityAttributes": ("SECURITY_ATTRIBUTES", _SECURITY_ATTRIBUTES),
    "SuspendedPrograms.ExtendedLimits": ("JOBOBJECT_EXTENDED_LIMIT_INFORMATION", _LIMITS),
    "SuspendedPrograms.ProcessInformation": ("PROCESS_INFORMATION", _PROCESS),
    "SuspendedPrograms.StartupInfoEx": ("STARTUPINFOEXW", _STARTUP),
}

# Only the beginning is declared: Windows makes them, so that their size says nothing.
_BEGINNINGS = {"Authenticode.CRYPT_PROVIDER_CERT", "Authenticode.CRYPT_PROVIDER_SGNR"}

# FILE.CLASS.CONSTANT: the struct and field whose offset it is; without a field, the size of the struct.
_OFFSETS = {
    "Files.NativeFile.WrittenOffset": ("FILE_BASIC_INFO", "LastWriteTime"),
    "Files.NativeFile.BasicAttributesOffset": ("FILE_BASIC_INFO", "FileAttributes"),
    "Files.NativeFile.SizeOffset": ("FILE_STANDARD_INFO", "EndOfFile"),
    "Files.NativeFile.LinksOffset": ("FILE_STANDARD_INFO", "NumberOfLinks"),
    "Files.NativeFile.AttributesOffset": ("FILE_ID_BOTH_DIR_INFO", "FileAttributes"),
    "Files.NativeFile.IdOffset": ("FILE_ID_BOTH_DIR_INFO", "FileId"),
    "Files.NativeFile.NameLengthOffset": ("FILE_ID_BOTH_DIR_INFO", "FileNameLength"),
    "Files.NativeFile.NameOffset": ("FILE_ID_BOTH_DIR_INFO", "FileName"),
    "StateFiles.NativeStateDirectory.AttributesOffset": ("FILE_BASIC_INFO", "FileAttributes"),
    "StateFiles.NativeStateDirectory.BasicInformationSize": ("FILE_BASIC_INFO", None),
    "Streams.NativeStreams.NameLengthOffset": ("FILE_STREAM_INFO", "StreamNameLength"),
    "Streams.NativeStreams.NameOffset": ("FILE_STREAM_INFO", "StreamName"),
    "Streams.NativeStreams.SizeOffset": ("FILE_STREAM_INFO", "StreamSize"),
    "Privileges.Privileges.LuidAndAttributesSize": ("LUID_AND_ATTRIBUTES", None),
    "AuditPolicy.NativeAuditPolicy.GuidSize": ("GUID", None),
    "SystemAudit.NativeSystemAudit.AclSizeOffset": ("ACL", "AclSize"),
    "EventApi.EventApi.VariantSize": ("EVT_VARIANT", None),
    "EventApi.EventApi.VariantType": ("EVT_VARIANT", "Type"),
}
_KERNEL_OFFSETS = {
    "Files.NativeFile.SerialOffset": ("FILE_FS_VOLUME_INFORMATION", "VolumeSerialNumber"),
    "Registry.NativeKey.KeyName": ("KEY_BASIC_INFORMATION", "Name"),
    "Registry.NativeKey.KeyNameLength": ("KEY_BASIC_INFORMATION", "NameLength"),
    "Registry.NativeKey.ClassOffset": ("KEY_FULL_INFORMATION", "ClassOffset"),
    "Registry.NativeKey.ClassLength": ("KEY_FULL_INFORMATION", "ClassLength"),
    "Registry.NativeKey.SubkeyCount": ("KEY_FULL_INFORMATION", "SubKeys"),
    "Registry.NativeKey.ValueCount": ("KEY_FULL_INFORMATION", "Values"),
    "Registry.NativeKey.ValueType": ("KEY_VALUE_FULL_INFORMATION", "Type"),
    "Registry.NativeKey.FullDataOffset": ("KEY_VALUE_FULL_INFORMATION", "DataOffset"),
    "Registry.NativeKey.FullDataLength": ("KEY_VALUE_FULL_INFORMATION", "DataLength"),
    "Registry.NativeKey.FullNameLength": ("KEY_VALUE_FULL_INFORMATION", "NameLength"),
    "Registry.NativeKey.FullName": ("KEY_VALUE_FULL_INFORMATION", "Name"),
    "Registry.NativeKey.BasicNameLength": ("KEY_VALUE_BASIC_INFORMATION", "NameLength"),
    "Registry.NativeKey.BasicName": ("KEY_VALUE_BASIC_INFORMATION", "Name"),
    "Registry.NativeKey.PartialDataLength": ("KEY_VALUE_PARTIAL_INFORMATION", "DataLength"),
    "Registry.NativeKey.PartialData": ("KEY_VALUE_PARTIAL_INFORMATION", "Data"),
}

# FILE.CLASS.CONSTANT: the number of the header that it is.
_NUMBERS = {
    "EventApi.EventApi.EnabledProperty": "EvtChannelConfigEnabled",
    "EventApi.EventApi.TypeProperty": "EvtChannelConfigType",
    "EventApi.EventApi.RetentionProperty": "EvtChannelLoggingConfigRetention",
    "EventApi.EventApi.AutoBackupProperty": "EvtChannelLoggingConfigAutoBackup",
    "EventApi.EventApi.MaxSizeProperty": "EvtChannelLoggingConfigMaxSize",
    "EventApi.EventApi.PathProperty": "EvtChannelLoggingConfigLogFilePath",
    "EventApi.EventApi.StringType": "EvtVarTypeString",
    "EventApi.EventApi.UInt32Type": "EvtVarTypeUInt32",
    "EventApi.EventApi.UInt64Type": "EvtVarTypeUInt64",
    "EventApi.EventApi.BooleanType": "EvtVarTypeBoolean",
    "EventLog.NativeEventLog.SizeProperty": "EvtLogFileSize",
    "EventLog.NativeEventLog.CountProperty": "EvtLogNumberOfLogRecords",
    "EventLog.NativeEventLog.OldestProperty": "EvtLogOldestRecordNumber",
    "EventLog.NativeEventLog.OpenChannelPath": "EvtOpenChannelPath",
    "EventLog.NativeEventLog.ExportChannelPath": "EvtExportLogChannelPath",
    "SystemAudit.NativeSystemAudit.FileObject": "SE_FILE_OBJECT",
    "SystemAudit.NativeSystemAudit.RegistryKey": "SE_REGISTRY_KEY",
    "SystemAudit.NativeSystemAudit.SaclInformation": "SACL_SECURITY_INFORMATION",
    "Services.NativeServices.Connect": "SC_MANAGER_CONNECT",
    "Services.NativeServices.QueryStatus": "SERVICE_QUERY_STATUS",
    "EventWriter.NativeEventWriter.Information": "EVENTLOG_INFORMATION_TYPE",
}
_NUMBERS.update(
    {
        f"SuspendedPrograms.NativeSuspendedPrograms.{name}": number
        for name, number in {
            "CreateSuspended": "CREATE_SUSPENDED",
            "CreateNoWindow": "CREATE_NO_WINDOW",
            "ExtendedStartupInfoPresent": "EXTENDED_STARTUPINFO_PRESENT",
            "ProcThreadAttributeParentProcess": "PROC_THREAD_ATTRIBUTE_PARENT_PROCESS",
            "JobObjectExtendedLimitInformation": "JobObjectExtendedLimitInformation",
            "JobObjectLimitKillOnJobClose": "JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE",
            "ProcessTerminate": "PROCESS_TERMINATE",
            "ProcessQueryLimitedInformation": "PROCESS_QUERY_LIMITED_INFORMATION",
            "Synchronize": "SYNCHRONIZE",
        }.items()
    }
)

# FILE.CLASS.CONSTANT: the table of methods of a COM interface, and the method whose position in it this is.
_SLOTS = {
    "Wmi.NativeWmi.ConnectServerSlot": ("IWbemLocatorVtbl", "ConnectServer"),
    "Wmi.NativeWmi.ExecQuerySlot": ("IWbemServicesVtbl", "ExecQuery"),
    "Wmi.NativeWmi.EnumNextSlot": ("IEnumWbemClassObjectVtbl", "Next"),
    "Wmi.NativeWmi.GetSlot": ("IWbemClassObjectVtbl", "Get"),
    "Wmi.NativeWmi.BeginEnumerationSlot": ("IWbemClassObjectVtbl", "BeginEnumeration"),
    "Wmi.NativeWmi.NextSlot": ("IWbemClassObjectVtbl", "Next"),
}

Member = tuple[str, str | None]


@pytest.fixture(scope="module")
def declared() -> dict[str, dict[str, t.Any]]:
    """Return what the C# declares: structs and constants."""
    names = [f"api.{file.stem}" for file in sorted((utilities.DIRECTORY / "api").glob("*.cs"))]
    script = pathlib.Path(__file__).with_name("LayoutScript.cs")
    sources = [*utilities.sources("contracts.Json", *names), script]
    output = compiler.compile_program(sources, compiler.Target.MONO).run().stdout
    result: dict[str, dict[str, t.Any]] = json.loads(output)
    return result


def _kernel_headers() -> str:
    """Return the directory of the headers for drivers, which include each other without it."""
    (directory,) = re.findall(r"(\S+)/wdmguid\.h", _compile("-M", source="#include <ddk/wdmguid.h>\n"))[:1]
    return str(directory)


def _compile(*options: str, source: str) -> str:
    ended = subprocess.run(
        [_COMPILER, "-x", "c", *options, "-o", "-", "-"],
        input=source,
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def _measured(headers: str, members: t.Collection[Member]) -> dict[Member, int]:
    """Return sizes and offsets as the compiler for 64-bit Windows has them."""
    ordered = sorted(members, key=str)
    values = (f"sizeof({struct})" if field is None else f"offsetof({struct}, {field})" for struct, field in ordered)
    # One more than each: the assembly abbreviates zeros.
    numbers = ", ".join(f"{value} + 1" for value in values)
    source = f"{headers}#include <stddef.h>\nconst unsigned long long measured[] = {{ {numbers} }};\n"
    options = ("-isystem", _kernel_headers()) if headers == _KERNEL else ()
    assembly = _compile("-S", "-w", "-fms-extensions", "-D_WIN32_WINNT=0x0A00", *options, source=source)
    quads = re.findall(r"^\s*\.quad\s+(\d+)", assembly, re.MULTILINE)
    return {member: int(number) - 1 for member, number in zip(ordered, quads, strict=True)}


def test_every_struct_is_laid_out_as_in_the_headers(declared: dict[str, dict[str, t.Any]]) -> None:
    structs = declared["structs"]
    assert set(structs) == set(_STRUCTS), "add these to _STRUCTS, or remove them from it"
    expected: dict[tuple[str, str], Member] = {}
    for name, fields in structs.items():
        struct, renamed = _STRUCTS[name]
        for field in fields:
            if field or name not in _BEGINNINGS:
                expected[name, field] = (struct, renamed.get(field, field) if field else None)
    policy = {member for member in expected.values() if member[0] == "AUDIT_POLICY_INFORMATION"}
    measured = {**_measured(_WIN32, set(expected.values()) - policy), **_measured(_POLICY, policy)}
    differing = {
        f"{name}.{field}": (structs[name][field], measured[member])
        for (name, field), member in expected.items()
        if structs[name][field] != measured[member]
    }
    assert differing == {}
    assert len(expected) > 60


@pytest.mark.parametrize(("headers", "offsets"), [(_WIN32, _OFFSETS), (_KERNEL, _KERNEL_OFFSETS)])
def test_offsets_are_those_of_the_headers(
    declared: dict[str, dict[str, t.Any]], headers: str, offsets: dict[str, Member]
) -> None:
    constants = {name: value for name, value in declared["constants"].items() if name in offsets}
    measured = _measured(headers, set(offsets.values()))
    assert constants == {name: measured[member] for name, member in offsets.items()}


def test_every_offset_of_the_code_is_compared(declared: dict[str, dict[str, t.Any]]) -> None:
    named = {name for name in declared["constants"] if name.endswith("Offset")}
    assert named - _OFFSETS.keys() - _KERNEL_OFFSETS.keys() == set(), "add these to _OFFSETS"


def test_numbers_are_those_of_the_headers(declared: dict[str, dict[str, t.Any]]) -> None:
    names = sorted(_NUMBERS.values())
    numbers = ", ".join(f"(unsigned long long){name} + 1" for name in names)
    headers = f"{_WIN32}#include <accctrl.h>\n"
    source = f"{headers}const unsigned long long measured[] = {{ {numbers} }};\n"
    assembly = _compile("-S", "-w", "-D_WIN32_WINNT=0x0A00", source=source)
    found = re.findall(r"^\s*\.quad\s+(\d+)", assembly, re.MULTILINE)
    known = {name: int(number) - 1 for name, number in zip(names, found, strict=True)}
    assert {name: declared["constants"][name] for name in _NUMBERS} == {
        name: known[number] for name, number in _NUMBERS.items()
    }


def test_methods_of_com_interfaces_are_where_the_headers_have_them(declared: dict[str, dict[str, t.Any]]) -> None:
    constants = {name: value for name, value in declared["constants"].items() if name.endswith("Slot")}
    assert set(constants) == set(_SLOTS), "add these to _SLOTS"
    measured = _measured(_COM, set(_SLOTS.values()))
    pointer = 8
    assert constants == {name: measured[member] // pointer for name, member in _SLOTS.items()}
