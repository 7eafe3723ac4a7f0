// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.Globalization;
using System.IO;
using System.Security.AccessControl;
using System.Text;
using Microsoft.Win32;

namespace ansible_collections.bulwark.conformance.plugins.module_utils.PolicyChecks
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.conformance.plugins.module_utils.Evidence;
using ansible_collections.bulwark.conformance.plugins.module_utils.Workspace;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.AuditPolicy;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventChannels;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.MachineSettings;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.SecurityPrivilege;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Services;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.SystemAudit;

    /// <summary>
    /// Checks of AuditPolicy, EventChannels, SystemAudit, SecurityPrivilege, Services and MachineSettings. What the
    /// host has is only set to what it is.
    /// </summary>
    public static class PolicyChecks
    {
        private const string Policies = @"SOFTWARE\Policies";
        private const string Services = @"SYSTEM\CurrentControlSet\Services";
        private const int NotFound = 2;
        private const int NotEmpty = 145;
        private const int Missing = 1060;
        private const int ChannelMissing = 15007;

        // Success of 2 rights by everyone, for a container.
        private static readonly byte[] Acl =
        {
            2, 0, 28, 0, 1, 0, 0, 0, 2, 0x42, 20, 0, 6, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0
        };

        public static Check[] All()
        {
            return new[]
            {
                new Check("privilege_enable", "SecurityPrivilege.Enable", "whoami.exe", Enable),
                new Check("audit_list", "AuditPolicy.List", "a backup by auditpol.exe", List),
                new Check("audit_query", "AuditPolicy.Query", "a backup by auditpol.exe", Query),
                new Check("audit_set", "AuditPolicy.Set", "a backup by auditpol.exe, before and after", Set),
                new Check("channel_read", "EventChannels.Read", "EventLogConfiguration of .NET", ReadChannels),
                new Check("channel_missing", "EventChannels.Read", "a channel that no host has",
                    (workspace, evidence) => evidence.Same(
                        "error", Read(workspace.Id + "/missing", null), ChannelMissing)),
                new Check("channel_state", "EventChannels.SetEnabled", "EventLogConfiguration of .NET", SetEnabled),
                new Check("channel_size", "EventChannels.SetMaxSize", "EventLogConfiguration of .NET", SetMaxSize),
                new Check("sacl_file", "SystemAudit.Read", "DirectorySecurity of .NET", ReadFile),
                new Check("sacl_key", "SystemAudit.Write", "RegistrySecurity of .NET", WriteKey),
                new Check("service_state", "Services.State", "Get-Service of PowerShell", State),
                new Check("settings_resolve", "MachineSettings.Resolve", "keys of both views that were made", Resolve),
                new Check("settings_shared", "MachineSettings.Resolve", "the policies of both views by .NET", Shared),
                new Check("settings_subkeys", "MachineSettings.Subkeys", "RegistryKey of .NET", Subkeys),
                new Check("settings_read", "MachineSettings.Read", "values of .NET that were made", ReadValue),
                new Check("settings_write", "MachineSettings.Write", "RegistryKey of .NET", WriteValue),
                new Check("settings_delete", "MachineSettings.DeleteValue", "RegistryKey of .NET", DeleteValue),
                new Check("settings_delete_key", "MachineSettings.DeleteEmptyKey", "RegistryKey of .NET", DeleteKey)
            };
        }

        private static void Enable(Workspace workspace, Evidence evidence)
        {
            bool isHeld = SecurityPrivilege.Enable();
            string second = SecondWay.Program("whoami.exe", "/priv /fo csv /nh");
            if (second.IndexOf("Se", StringComparison.Ordinal) < 0)
                throw new NotPossibleException("whoami.exe lists no privileges");
            evidence.Same("SeSecurityPrivilege", isHeld, second.Contains("SeSecurityPrivilege"));
        }

        // Numbers, as names and settings are in the language of the host.
        private static SortedDictionary<string, string> Backup(Workspace workspace, string name)
        {
            SecurityPrivilege.Enable();
            string file = workspace.Root + "\\" + name + ".csv";
            SecondWay.Program("auditpol.exe", "/backup /file:\"" + file + "\"");
            if (!File.Exists(file))
                throw new NotPossibleException("auditpol.exe writes no backup");
            SortedDictionary<string, string> settings = new SortedDictionary<string, string>();
            foreach (string line in File.ReadAllLines(file))
            {
                int start = line.IndexOf(",{", StringComparison.Ordinal);
                if (start > 0 && line.Contains(",System,"))
                    settings[line.Substring(start + 1, 38).ToUpperInvariant()] =
                        line.Substring(line.LastIndexOf(',') + 1).Trim();
            }
            return settings;
        }

        private static string Lines(SortedDictionary<string, string> settings)
        {
            List<string> lines = new List<string>();
            foreach (KeyValuePair<string, string> setting in settings)
                lines.Add(setting.Key.Substring(7, 2) + "=" + setting.Value);
            return string.Join(" ", lines.ToArray());
        }

        private static IList<Guid> Known()
        {
            IList<Guid> known;
            Workspace.Check(new NativeAuditPolicy().List(out known), "AuditEnumerateSubCategories");
            return known;
        }

        private static void List(Workspace workspace, Evidence evidence)
        {
            SortedDictionary<string, string> second = Backup(workspace, "audit list");
            List<string> names = new List<string>();
            foreach (Guid subcategory in Known())
                names.Add(subcategory.ToString("B").ToUpperInvariant());
            evidence.Same("subcategories", names, second.Keys);
        }

        private static void Query(Workspace workspace, Evidence evidence)
        {
            SortedDictionary<string, string> second = Backup(workspace, "audit query");
            SortedDictionary<string, string> read = new SortedDictionary<string, string>();
            foreach (Guid subcategory in Known())
            {
                int flags;
                Workspace.Check(new NativeAuditPolicy().Query(subcategory, out flags), "AuditQuerySystemPolicy");
                read[subcategory.ToString("B").ToUpperInvariant()] =
                    (flags & 3).ToString(CultureInfo.InvariantCulture);
            }
            evidence.Same("settings", Lines(read), Lines(second));
            int none;
            evidence.Same("an unknown one fails", new NativeAuditPolicy().Query(Guid.Empty, out none) != 0, true);
        }

        private static void Set(Workspace workspace, Evidence evidence)
        {
            SortedDictionary<string, string> before = Backup(workspace, "audit before");
            foreach (Guid subcategory in Known())
            {
                int flags;
                Workspace.Check(new NativeAuditPolicy().Query(subcategory, out flags), "AuditQuerySystemPolicy");
                Workspace.Check(
                    new NativeAuditPolicy().Set(subcategory, (flags & 3) == 0 ? 4 : flags & 3), "AuditSetSystemPolicy");
            }
            evidence.Same("settings", Lines(Backup(workspace, "audit after")), Lines(before));
        }

        private static int Read(string channel, Action<ChannelSettings> use)
        {
            ChannelSettings settings;
            int error = new NativeEventChannels().Read(channel, out settings);
            if (error == 0 && use != null)
                use(settings);
            return error;
        }

        private static string Configured(string channel)
        {
            return SecondWay.PowerShell(
                "$log = New-Object System.Diagnostics.Eventing.Reader.EventLogConfiguration '" + channel + "';"
                + "[string]$log.IsEnabled + ' ' + $log.MaximumSizeInBytes + ' ' + $log.LogMode + ' '"
                + " + [int]$log.LogType + ' ' + $log.LogFilePath");
        }

        private static string Shown(string channel)
        {
            string shown = null;
            int error = Read(channel, delegate(ChannelSettings settings)
            {
                string mode = !settings.Retention ? "Circular" : settings.AutoBackup ? "AutoBackup" : "Retain";
                shown = string.Format(CultureInfo.InvariantCulture, "{0} {1} {2} {3} {4}",
                    settings.IsEnabled, settings.MaxSize, mode, settings.Type, settings.Path);
            });
            return error == 0 ? shown : "error " + error.ToString(CultureInfo.InvariantCulture);
        }

        private static void ReadChannels(Workspace workspace, Evidence evidence)
        {
            foreach (string channel in new[]
            {
                "Security", "Application", "Microsoft-Windows-TaskScheduler/Operational",
                "Microsoft-Windows-DNS-Client/Operational", "Microsoft-Windows-WMI-Activity/Trace"
            })
                evidence.Same(channel, Shown(channel), Configured(channel));
        }

        private static void SetEnabled(Workspace workspace, Evidence evidence)
        {
            const string Channel = "Microsoft-Windows-DNS-Client/Operational";
            string before = Configured(Channel);
            Read(Channel, delegate(ChannelSettings settings)
            {
                evidence.Same("error", new NativeEventChannels().SetEnabled(Channel, settings.IsEnabled), 0);
            });
            evidence.Same(Channel, Shown(Channel), before);
        }

        private static void SetMaxSize(Workspace workspace, Evidence evidence)
        {
            const string Channel = "Microsoft-Windows-DNS-Client/Operational";
            string before = Configured(Channel);
            Read(Channel, delegate(ChannelSettings settings)
            {
                evidence.Same("error", new NativeEventChannels().SetMaxSize(Channel, settings.MaxSize), 0);
            });
            // Windows may round it up to a multiple of 64 KiB.
            evidence.Same(Channel, Shown(Channel), before);
        }

        private static void ReadFile(Workspace workspace, Evidence evidence)
        {
            SecurityPrivilege.Enable();
            string path = workspace.Root + @"\audited";
            Directory.CreateDirectory(path + @"\below");
            byte[] acl;
            Workspace.Check(new NativeSystemAudit().Write(false, path, Acl), "SetNamedSecurityInfo");
            Workspace.Check(new NativeSystemAudit().Read(false, path, out acl), "GetNamedSecurityInfo");
            evidence.Same("own", Text(acl), Sacl(new DirectoryInfo(path)));
            Workspace.Check(new NativeSystemAudit().Read(false, path + @"\below", out acl), "GetNamedSecurityInfo");
            evidence.Same("inherited", Text(acl), Sacl(new DirectoryInfo(path + @"\below")));
            evidence.Same("has it", Text(acl).Contains("WD"), true);
            Workspace.Check(new NativeSystemAudit().Write(false, path, null), "SetNamedSecurityInfo");
            Workspace.Check(new NativeSystemAudit().Read(false, path + @"\below", out acl), "GetNamedSecurityInfo");
            evidence.Same("afterwards", Text(acl), "");
            evidence.Same("a missing one", new NativeSystemAudit().Read(false, path + "x", out acl), NotFound);
        }

        private static string Sacl(DirectoryInfo directory)
        {
            return Entries(directory.GetAccessControl(AccessControlSections.Audit)
                .GetSecurityDescriptorSddlForm(AccessControlSections.Audit));
        }

        private static void WriteKey(Workspace workspace, Evidence evidence)
        {
            SecurityPrivilege.Enable();
            string path = workspace.Key + @"\audited";
            Workspace.CreateKey(path + @"\below", RegistryView.Registry64).Dispose();
            byte[] acl;
            Workspace.Check(new NativeSystemAudit().Write(true, path, Acl), "SetNamedSecurityInfo");
            Workspace.Check(new NativeSystemAudit().Read(true, path, out acl), "GetNamedSecurityInfo");
            evidence.Same("own", Text(acl), KeySacl(path));
            Workspace.Check(new NativeSystemAudit().Read(true, path + @"\below", out acl), "GetNamedSecurityInfo");
            evidence.Same("inherited", Text(acl), KeySacl(path + @"\below"));
            evidence.Same("has it", Text(acl).Contains("WD"), true);
            Workspace.Check(new NativeSystemAudit().Write(true, path, null), "SetNamedSecurityInfo");
            Workspace.Check(new NativeSystemAudit().Read(true, path + @"\below", out acl), "GetNamedSecurityInfo");
            evidence.Same("afterwards", Text(acl), "");
            evidence.Same("a missing one", new NativeSystemAudit().Read(true, path + "x", out acl), NotFound);
        }

        private static string KeySacl(string path)
        {
            using (RegistryKey machine = RegistryKey.OpenBaseKey(RegistryHive.LocalMachine, RegistryView.Registry64))
            using (RegistryKey key = machine.OpenSubKey(
                path, RegistryKeyPermissionCheck.ReadSubTree, (RegistryRights)0x1020019))
                return Entries(key.GetAccessControl(AccessControlSections.Audit)
                    .GetSecurityDescriptorSddlForm(AccessControlSections.Audit));
        }

        private static string Text(byte[] acl)
        {
            if (acl == null)
                return "";
            RawSecurityDescriptor descriptor = new RawSecurityDescriptor(
                ControlFlags.SystemAclPresent, null, null, new RawAcl(acl, 0), null);
            return Entries(descriptor.GetSddlForm(AccessControlSections.Audit));
        }

        // Without the flags of the whole SACL, which .NET recomputes.
        private static string Entries(string sddl)
        {
            int first = sddl.IndexOf('(');
            return first < 0 ? "" : sddl.Substring(first);
        }

        private static void State(Workspace workspace, Evidence evidence)
        {
            int state;
            evidence.Same("a missing one", new NativeServices().State(workspace.Id, out state), Missing);
            foreach (string name in new[] { "EventLog", "RpcSs" })
            {
                Workspace.Check(new NativeServices().State(name, out state), name);
                evidence.Same(name, state, SecondWay.PowerShell("[int](Get-Service -Name " + name + ").Status"));
            }
        }

        private static void Resolve(Workspace workspace, Evidence evidence)
        {
            string key = workspace.Key + @"\settings\view";
            foreach (bool is32Bit in new[] { false, true })
            {
                RegistryView view = is32Bit ? RegistryView.Registry32 : RegistryView.Registry64;
                using (RegistryKey made = Workspace.CreateKey(key, view))
                    made.SetValue("view", view.ToString());
                string path;
                Workspace.Check(new NativeMachineSettings().Resolve(key + @"\missing", is32Bit, out path), key);
                string above = path == null ? "" : path.Substring(0, path.LastIndexOf('\\'));
                using (RegistryKey machine = RegistryKey.OpenBaseKey(
                    RegistryHive.LocalMachine, RegistryView.Registry64))
                using (RegistryKey opened = machine.OpenSubKey(above))
                    evidence.Same(view.ToString(), opened == null ? null : opened.GetValue("view"), view.ToString());
            }
        }

        // The same key in both views has the same subkeys.
        private static void Shared(Workspace workspace, Evidence evidence)
        {
            string path;
            Workspace.Check(new NativeMachineSettings().Resolve(Policies, true, out path), Policies);
            using (RegistryKey narrow = RegistryKey.OpenBaseKey(RegistryHive.LocalMachine, RegistryView.Registry32))
            using (RegistryKey wide = RegistryKey.OpenBaseKey(RegistryHive.LocalMachine, RegistryView.Registry64))
            using (RegistryKey first = wide.OpenSubKey(path))
            using (RegistryKey second = narrow.OpenSubKey(Policies))
                evidence.Same("policies", first.GetSubKeyNames(), second.GetSubKeyNames());
            evidence.Same("both views share them", path.ToUpperInvariant(), Policies.ToUpperInvariant());
        }

        private static void Subkeys(Workspace workspace, Evidence evidence)
        {
            IList<string> names;
            Workspace.Check(new NativeMachineSettings().Subkeys(Services, out names), "Services");
            using (RegistryKey machine = RegistryKey.OpenBaseKey(RegistryHive.LocalMachine, RegistryView.Registry64))
            using (RegistryKey services = machine.OpenSubKey(Services))
                evidence.Same("services", names, services.GetSubKeyNames());
            evidence.Same("a missing key", new NativeMachineSettings().Subkeys(workspace.Key + @"\none", out names), 0);
            evidence.Same("its subkeys", names.Count, 0);
        }

        private static void ReadValue(Workspace workspace, Evidence evidence)
        {
            string path = workspace.Key + @"\settings\read";
            uint type;
            byte[] data;
            using (RegistryKey key = Workspace.CreateKey(path, RegistryView.Registry64))
            {
                key.SetValue("number", 7, RegistryValueKind.DWord);
                key.SetValue("*", "*", RegistryValueKind.String);
                key.SetValue("long", new byte[100000], RegistryValueKind.Binary);
            }
            NativeMachineSettings settings = new NativeMachineSettings();
            evidence.Same("number", settings.Read(path, "number", out type, out data), 0);
            evidence.Same("type", type, 4);
            evidence.Same("data", data, new byte[] { 7, 0, 0, 0 });
            evidence.Same("text", settings.Read(path, "*", out type, out data), 0);
            evidence.Same("its data", data, Encoding.Unicode.GetBytes("*\0"));
            evidence.Same("long", settings.Read(path, "long", out type, out data), 0);
            evidence.Same("its size", data.Length, 100000);
            evidence.Same("a missing value", settings.Read(path, "none", out type, out data), NotFound);
            evidence.Same("a missing key", settings.Read(path + @"\none", null, out type, out data), NotFound);
            evidence.Same("the key", settings.Read(path, null, out type, out data), 0);
        }

        private static void WriteValue(Workspace workspace, Evidence evidence)
        {
            string path = workspace.Key + @"\settings\write\below";
            NativeMachineSettings settings = new NativeMachineSettings();
            evidence.Same("number", settings.Write(path, "number", 4, BitConverter.GetBytes(7)), 0);
            evidence.Same("text", settings.Write(path, "*", 1, Encoding.Unicode.GetBytes("*\0")), 0);
            using (RegistryKey machine = RegistryKey.OpenBaseKey(RegistryHive.LocalMachine, RegistryView.Registry64))
            using (RegistryKey key = machine.OpenSubKey(path))
            {
                evidence.Same("its data", key.GetValue("number"), 7);
                evidence.Same("its kind", key.GetValueKind("number"), RegistryValueKind.DWord);
                evidence.Same("text data", key.GetValue("*"), "*");
            }
        }

        private static void DeleteValue(Workspace workspace, Evidence evidence)
        {
            string path = workspace.Key + @"\settings\value";
            NativeMachineSettings settings = new NativeMachineSettings();
            using (RegistryKey key = Workspace.CreateKey(path, RegistryView.Registry64))
            {
                key.SetValue("x", 1);
                evidence.Same("deleted", settings.DeleteValue(path, "x"), 0);
                evidence.Same("value", key.GetValue("x"), null);
            }
            evidence.Same("again", settings.DeleteValue(path, "x"), NotFound);
        }

        private static void DeleteKey(Workspace workspace, Evidence evidence)
        {
            string path = workspace.Key + @"\settings\empty";
            NativeMachineSettings settings = new NativeMachineSettings();
            using (RegistryKey key = Workspace.CreateKey(path + @"\below", RegistryView.Registry64))
                key.SetValue("x", 1);
            evidence.Same("with a value", settings.DeleteEmptyKey(path + @"\below"), NotEmpty);
            evidence.Same("with a subkey", settings.DeleteEmptyKey(path), NotEmpty);
            settings.DeleteValue(path + @"\below", "x");
            evidence.Same("empty", settings.DeleteEmptyKey(path + @"\below"), 0);
            using (RegistryKey machine = RegistryKey.OpenBaseKey(RegistryHive.LocalMachine, RegistryView.Registry64))
            using (RegistryKey key = machine.OpenSubKey(path))
                evidence.Same("subkeys", key.GetSubKeyNames().Length, 0);
        }
    }
}
