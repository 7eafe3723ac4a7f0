// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Net.NetworkInformation;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.Win32;

namespace ansible_collections.bulwark.conformance.plugins.module_utils.HostChecks
{
using ansible_collections.bulwark.conformance.plugins.module_utils.Evidence;
using ansible_collections.bulwark.conformance.plugins.module_utils.Workspace;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.BackgroundMode;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Machine;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.PowerShellHost;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Privileges;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Registry;

    /// <summary>Checks of Machine, Privileges, BackgroundMode and PowerShellHost.</summary>
    public static class HostChecks
    {
        private const string CurrentVersion = @"SOFTWARE\Microsoft\Windows NT\CurrentVersion";
        private const string Control = @"SYSTEM\CurrentControlSet\Control\";
        private const string Policy = "System.Management.Automation.Security.SystemPolicy";
        private const string Tcpip = @"SYSTEM\CurrentControlSet\Services\Tcpip\Parameters";

        // THREADINFOCLASS
        private const int InputOutputPriority = 22;
        private const int MemoryPriority = 24;

        [DllImport("kernel32.dll")]
        private static extern IntPtr GetCurrentThread();

        [DllImport("ntdll.dll")]
        private static extern uint NtQueryInformationThread(
            IntPtr thread, int kind, out int value, int length, IntPtr returned);

        [DllImport("shell32.dll")]
        private static extern bool IsUserAnAdmin();

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode)]
        private static extern IntPtr GetModuleHandleW(string name);

        [DllImport("kernel32.dll", CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
        private static extern IntPtr GetProcAddress(IntPtr module, string name);

        public static Check[] All()
        {
            return new[]
            {
                new Check("machine_version", "Machine.Version", "build and product type of the registry", Version),
                new Check("machine_value", "Machine.LocalMachineValue", "the registry by NtQueryValueKey", Value),
                new Check("machine_architecture", "Machine.Architecture", "a variable of the machine", Architecture),
                new Check("machine_32bit", "Machine.Is32BitProcess", "Environment of .NET",
                    (workspace, evidence) => evidence.Same(
                        "32-bit process", new Machine().Is32BitProcess(), !Environment.Is64BitProcess)),
                new Check("machine_domain", "Machine.Domain", "the registry",
                    (workspace, evidence) => evidence.SamePrivate(
                        "domain", new Machine().Domain(), Text(Tcpip, "Domain") ?? "")),
                new Check("machine_source_4", "Machine.SourceAddress", "the addresses of the interfaces",
                    (workspace, evidence) => Source(false, evidence)),
                new Check("machine_source_6", "Machine.SourceAddress", "the addresses of the interfaces",
                    (workspace, evidence) => Source(true, evidence)),
                new Check("privileges_administrator", "Privileges.IsAdministrator", "IsUserAnAdmin",
                    (workspace, evidence) => evidence.Same(
                        "administrator", new Privileges().IsAdministrator(), IsUserAnAdmin())),
                new Check("privileges_names", "Privileges.Names", "whoami.exe", Names),
                new Check("privileges_session", "Privileges.LogonSession", "klist.exe",
                    (workspace, evidence) => evidence.SamePrivate("session", new Privileges().LogonSession(),
                        Regex.Match(SecondWay.Program("klist.exe", ""), "0:(0x[0-9a-f]+)").Groups[1].Value)),
                new Check("background_mode", "BackgroundMode.BackgroundMode", "NtQueryInformationThread", Background),
                new Check("log_silent", "win_file_integrity", "the event log, which has no arguments",
                    (workspace, evidence) => evidence.Same(
                        "events of modules, with arguments", Logged(workspace), "True 0")),
                new Check("powershell_edition", "PowerShellHost.Edition", "PSVersionTable of PowerShell",
                    (workspace, evidence) => evidence.Same(
                        "edition", new PowerShellHost().Edition(),
                        SecondWay.PowerShell("[string]$PSVersionTable.PSEdition"))),
                new Check("powershell_version", "PowerShellHost.Version", "PSVersionTable of PowerShell",
                    (workspace, evidence) => evidence.Same(
                        "version", new PowerShellHost().Version(),
                        SecondWay.PowerShell("$PSVersionTable.PSVersion.ToString()"))),
                new Check("powershell_language", "PowerShellHost.LanguageMode", "the session of PowerShell",
                    (workspace, evidence) => evidence.Same(
                        "language mode", new PowerShellHost().LanguageMode(),
                        SecondWay.PowerShell("$ExecutionContext.SessionState.LanguageMode.ToString()"))),
                new Check("powershell_lockdown", "PowerShellHost.LockdownPolicy", "PowerShell's own call",
                    (workspace, evidence) => evidence.Same(
                        "policy", new PowerShellHost().LockdownPolicy(),
                        SecondWay.PowerShell("[string][" + Policy + "]::GetSystemLockdownPolicy()")))
            };
        }

        /// <summary>Say whether Wine takes the place of Windows.</summary>
        public static bool IsWine()
        {
            return GetProcAddress(GetModuleHandleW("ntdll.dll"), "wine_get_version") != IntPtr.Zero;
        }

        /// <summary>The build as the registry has it.</summary>
        public static string Build()
        {
            return Text(CurrentVersion, "CurrentBuildNumber");
        }

        private static string Text(string path, string name)
        {
            using (RegistryKey machine = RegistryKey.OpenBaseKey(RegistryHive.LocalMachine, RegistryView.Registry64))
            using (RegistryKey key = machine.OpenSubKey(path))
                return key == null ? null : key.GetValue(name) as string;
        }

        private static void Version(Workspace workspace, Evidence evidence)
        {
            int[] version = new Machine().Version();
            evidence.Same("build", version[2], Build());
            // VER_NT_WORKSTATION, VER_NT_DOMAIN_CONTROLLER, VER_NT_SERVER
            int product = Array.IndexOf(
                new[] { "", "WinNT", "LanmanNT", "ServerNT" }, Text(Control + "ProductOptions", "ProductType"));
            evidence.Same("product type", version[3], product);
        }

        private static void Value(Workspace workspace, Evidence evidence)
        {
            IRegistryKey root;
            IRegistryKey key;
            RegistryValue value = null;
            if (new NativeRegistry().OpenRoot("HKLM", out root) == 0 && root.Open(CurrentVersion, true, out key) == 0)
            {
                key.Find("ProductName", out value);
                key.Dispose();
                root.Dispose();
            }
            string second = value == null ? null : Encoding.Unicode.GetString(value.Data).TrimEnd('\0');
            evidence.Same("ProductName", new Machine().LocalMachineValue(CurrentVersion, "ProductName"), second);
            evidence.Same("a missing one", new Machine().LocalMachineValue(CurrentVersion, "missing"), null);
        }

        private static void Architecture(Workspace workspace, Evidence evidence)
        {
            string second = Text(Control + @"Session Manager\Environment", "PROCESSOR_ARCHITECTURE");
            // PROCESSOR_ARCHITECTURE_*
            int number = second == "AMD64" ? 9 : second == "ARM64" ? 12 : second == "x86" ? 0 : -1;
            evidence.Same(second ?? "unknown", new Machine().Architecture(), number);
        }

        private static void Source(bool isVersion6, Evidence evidence)
        {
            string address = new Machine().SourceAddress(isVersion6);
            string second = null;
            bool hasGateway = false;
            foreach (NetworkInterface card in NetworkInterface.GetAllNetworkInterfaces())
            {
                IPInterfaceProperties properties = card.GetIPProperties();
                foreach (UnicastIPAddressInformation own in properties.UnicastAddresses)
                    second = own.Address.ToString() == address ? address : second;
                foreach (GatewayIPAddressInformation gateway in properties.GatewayAddresses)
                    hasGateway |= gateway.Address.ToString().Contains(":") == isVersion6;
            }
            if (address == null && !hasGateway)
                throw new NotPossibleException("this host has no route");
            evidence.SamePrivate("address", address, second);
        }

        private static void Background(Workspace workspace, Evidence evidence)
        {
            int[] before = Priorities();
            using (new BackgroundMode())
            {
                int[] during = Priorities();
                evidence.Same("input and output", during[0], 0);
                evidence.Same("memory", during[1], 1);
            }
            int[] after = Priorities();
            evidence.Same("input and output afterwards", after[0], before[0]);
            evidence.Same("memory afterwards", after[1], before[1]);
        }

        private static int[] Priorities()
        {
            int[] priorities = new int[2];
            uint status = NtQueryInformationThread(
                GetCurrentThread(), InputOutputPriority, out priorities[0], 4, IntPtr.Zero);
            if (status == 0)
                status = NtQueryInformationThread(
                    GetCurrentThread(), MemoryPriority, out priorities[1], 4, IntPtr.Zero);
            if (status != 0)
                throw new NotPossibleException("NtQueryInformationThread returns 0x" + status.ToString("X8"));
            return priorities;
        }

        // win_platform_facts, which has no arguments, made an event of this hour.
        private static string Logged(Workspace workspace)
        {
            const string Recent =
                "*[System[Provider[@Name=''Ansible''] and TimeCreated[timediff(@SystemTime) <= 3600000]]]";
            return SecondWay.PowerShell(
                "$events = @(Get-WinEvent -LogName Application -FilterXPath '" + Recent + "' -ErrorAction" +
                " SilentlyContinue); $ours = @($events | Where-Object { ($_.Properties.Value -join ' ') -like '*" +
                workspace.Id + "*' }); [string]($events.Count -gt 0) + ' ' + $ours.Count");
        }

        private static void Names(Workspace workspace, Evidence evidence)
        {
            List<string> second = new List<string>();
            foreach (string line in SecondWay.Program("whoami.exe", "/priv /fo csv /nh").Split('\n'))
            {
                string[] fields = line.Split('"');
                if (fields.Length > 1)
                    second.Add(fields[1]);
            }
            if (second.Count == 0)
                throw new NotPossibleException("whoami.exe lists no privileges");
            evidence.Same("privileges", new Privileges().Names(), second);
        }
    }
}
