# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Log sources of Sigma for Windows: https://sigmahq.io/docs/basics/log-sources.html and Sigma's taxonomy.

A category is a view of its own name: ``module_utils/windows/events/Sources.cs`` has the records that make it, Sysmon's
and Windows' own. A service is one or more channels, and the view of a channel's records has the channel's name.
"""

from __future__ import annotations

# Data of an event whose name System has, too, is under this in the view.
DATA = "EventData"
# The view of all records, for rules with nothing but the product.
EVERY_EVENT = "event"
# How rules also call the parts of Sysmon's field Hashes.
HASHES = {"md5": "MD5", "sha1": "SHA1", "sha256": "SHA256", "imphash": "IMPHASH", "Imphash": "IMPHASH"}
CATEGORIES = (
    "clipboard_capture",
    "create_remote_thread",
    "create_stream_hash",
    "dns_query",
    "driver_load",
    "file_access",
    "file_block_executable",
    "file_block_shredding",
    "file_change",
    "file_delete",
    "file_event",
    "file_executable_detected",
    "file_rename",
    "image_load",
    "network_connection",
    "pipe_created",
    "process_access",
    "process_creation",
    "process_tampering",
    "process_termination",
    "ps_classic_provider_start",
    "ps_classic_script",
    "ps_classic_start",
    "ps_module",
    "ps_script",
    "raw_access_thread",
    "registry_add",
    "registry_delete",
    "registry_event",
    "registry_rename",
    "registry_set",
    "sysmon_error",
    "sysmon_status",
    "wmi_event",
)


def _windows(name: str, *logs: str) -> tuple[str, ...]:
    """Return the channels of one of Windows' own components."""
    return tuple(f"Microsoft-Windows-{name}/{log}" for log in logs or ("Operational",))


# Names of channels as Windows spells them; readers compare them in any case.
SERVICES: dict[str, tuple[str, ...]] = {
    "application": ("Application",),
    "application-experience": _windows(
        "Application-Experience", "Program-Telemetry", "Program-Compatibility-Assistant"
    ),
    "applocker": _windows(
        "AppLocker", "EXE and DLL", "MSI and Script", "Packaged app-Deployment", "Packaged app-Execution"
    ),
    "appmodel-runtime": _windows("AppModel-Runtime", "Admin"),
    "appxdeployment-server": _windows("AppXDeploymentServer"),
    "appxpackaging-om": _windows("AppxPackaging"),
    "bitlocker": _windows("BitLocker", "BitLocker Management"),
    "bits-client": _windows("Bits-Client"),
    "capi2": _windows("CAPI2"),
    "certificateservicesclient-lifecycle-system": _windows("CertificateServicesClient-Lifecycle-System"),
    "codeintegrity-operational": _windows("CodeIntegrity"),
    "dhcp": _windows("Dhcp-Server"),
    "diagnosis-scripted": _windows("Diagnosis-Scripted"),
    "dns-client": _windows("DNS-Client"),
    "dns-server": ("DNS Server",),
    "dns-server-analytic": _windows("DNS-Server", "Analytical"),
    "dns-server-audit": _windows("DNS-Server", "Audit"),
    "driver-framework": _windows("DriverFrameworks-UserMode"),
    "firewall-as": _windows("Windows Firewall With Advanced Security", "Firewall"),
    "hyper-v-worker": ("Microsoft-Windows-Hyper-V-Worker-Admin", "Microsoft-Windows-Hyper-V-Worker-Operational"),
    "iis-configuration": ("Microsoft-IIS-Configuration/Administrative", "Microsoft-IIS-Configuration/Operational"),
    "kernel-event-tracing": _windows("Kernel-EventTracing", "Admin"),
    "kernel-shimengine": _windows("Kernel-ShimEngine", "Operational", "Diagnostic"),
    "ldap": _windows("LDAP-Client", "Debug"),
    "lsa-server": _windows("LSA"),
    "microsoft-servicebus-client": ("Microsoft-ServiceBus-Client/Admin", "Microsoft-ServiceBus-Client/Operational"),
    "msexchange-management": ("MSExchange Management",),
    "ntfs": _windows("Ntfs"),
    "ntlm": _windows("NTLM"),
    "openssh": ("OpenSSH/Operational", "OpenSSH/Admin"),
    "powershell": (*_windows("PowerShell"), "PowerShellCore/Operational"),
    "powershell-classic": ("Windows PowerShell",),
    "printservice-admin": _windows("PrintService", "Admin"),
    "printservice-operational": _windows("PrintService"),
    "security": ("Security",),
    "security-mitigations": _windows("Security-Mitigations", "KernelMode", "UserMode"),
    "sense": _windows("SENSE"),
    "servicebus-client": ("Microsoft-ServiceBus-Client/Admin", "Microsoft-ServiceBus-Client/Operational"),
    "shell-core": _windows("Shell-Core"),
    "smbclient-connectivity": _windows("SmbClient", "Connectivity"),
    "smbclient-security": _windows("SmbClient", "Security"),
    "smbserver-connectivity": _windows("SMBServer", "Connectivity"),
    "smbserver-security": _windows("SMBServer", "Security"),
    "sysmon": _windows("Sysmon"),
    "system": ("System",),
    "taskscheduler": _windows("TaskScheduler"),
    "terminalservices-localsessionmanager": _windows("TerminalServices-LocalSessionManager"),
    "terminalservices-remoteconnectionmanager": _windows("TerminalServices-RemoteConnectionManager"),
    "vhdmp": ("Microsoft-Windows-VHDMP-Operational", *_windows("VHDMP")),
    "windefend": _windows("Windows Defender"),
    "winrm": _windows("WinRM"),
    "wmi": _windows("WMI-Activity"),
}


def channels_of(service: str) -> tuple[str, ...] | None:
    """Return the channels of a service: itself where it is written as a channel; None for an unknown one."""
    return SERVICES.get(service) or ((service,) if "/" in service else None)
