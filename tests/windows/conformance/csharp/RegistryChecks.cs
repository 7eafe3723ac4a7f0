// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Security;
using System.Security.AccessControl;
using System.Security.Principal;
using System.Text;
using Microsoft.Win32;

namespace ansible_collections.bulwark.conformance.plugins.module_utils.RegistryChecks
{
using ansible_collections.bulwark.conformance.plugins.module_utils.Evidence;
using ansible_collections.bulwark.conformance.plugins.module_utils.Workspace;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Privileges;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Registry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.RegistrySecurity;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryKeyReader;

    /// <summary>Checks of Registry and RegistrySecurity.</summary>
    public static class RegistryChecks
    {
        private const int LargeSize = 300000;
        private const long Minute = 600000000;

        // There are some 500,000 keys, and each takes some microseconds.
        private const int LinkSeconds = 120;

        [DllImport("kernel32.dll")]
        private static extern bool IsWow64Process(IntPtr process, out bool isEmulated);

        [DllImport("kernel32.dll")]
        private static extern IntPtr GetCurrentProcess();

        public static Check[] All()
        {
            return new[]
            {
                new Check("registry_open_root", "Registry.OpenRoot", "RegistryKey of .NET", OpenRoot),
                new Check("registry_open_views", "Registry.Open", "keys of both views that were made", OpenViews),
                new Check("registry_open_link", "Registry.Open", "a symbolic link that was made", OpenLink),
                new Check("registry_links", "Registry.Open", "the links that Windows is known to make", Links),
                new Check("registry_open_denied", "Registry.Open", "a key whose DACL denies it to .NET", OpenDenied),
                new Check("registry_query", "Registry.Query", "RegistryKey of .NET, a class, the clock", Query),
                new Check("registry_subkey", "Registry.Subkey", "RegistryKey of .NET", Subkey),
                new Check("registry_value", "Registry.Value", "values of every type that were made", Value),
                new Check("registry_value_nul", "Registry.Value", "a name with NUL that was made", ValueWithNul),
                new Check("registry_find", "Registry.Find", "a large value that was made", Find),
                new Check("registry_security", "Registry.Security", "RegistrySecurity of .NET", Security),
                new Check("registry_is_absent", "Registry.IsAbsent", "RegistryKey of .NET", IsAbsent),
                new Check("registry_is_emulated", "Registry.IsEmulated", "IsWow64Process", IsEmulated),
                new Check("registry_backup", "Registry.HasBackupPrivilege", "the privileges of the token",
                    (workspace, evidence) => evidence.Same(
                        "SeBackupPrivilege", new NativeRegistry().HasBackupPrivilege,
                        new Privileges().Names().Contains("SeBackupPrivilege"))),
                new Check("registry_security_read", "RegistrySecurity.Read", "RegistrySecurity of .NET", SecurityRead)
            };
        }

        private static RegistryKey CreateKey(Workspace workspace, string name)
        {
            return Workspace.CreateKey(workspace.Key + "\\" + name, RegistryView.Registry64);
        }

        private static IRegistryKey Open(string path, bool followLink)
        {
            IRegistryKey root;
            Status(new NativeRegistry().OpenRoot("HKLM", out root));
            using (root)
            {
                IRegistryKey key;
                Status(root.Open(path, followLink, out key));
                return key;
            }
        }

        private static void Status(uint status)
        {
            if (status != RegistryStatus.Success)
                throw new InvalidOperationException("NTSTATUS 0x" + status.ToString("X8"));
        }

        private static string TextOf(IRegistryKey key, string name)
        {
            RegistryValue value;
            Status(key.Find(name, out value));
            return Encoding.Unicode.GetString(value.Data).TrimEnd('\0');
        }

        private static IList<string> Subkeys(IRegistryKey key)
        {
            List<string> names = new List<string>();
            string name;
            uint status;
            while ((status = key.Subkey(names.Count, out name)) == RegistryStatus.Success)
                names.Add(name);
            names.Add("0x" + status.ToString("X8"));
            return names;
        }

        private static void OpenRoot(Workspace workspace, Evidence evidence)
        {
            foreach (KeyValuePair<string, RegistryHive> hive in new Dictionary<string, RegistryHive>
            {
                { "HKLM", RegistryHive.LocalMachine }, { "HKU", RegistryHive.Users }
            })
            {
                IRegistryKey key;
                Status(new NativeRegistry().OpenRoot(hive.Key, out key));
                using (key)
                using (RegistryKey root = RegistryKey.OpenBaseKey(hive.Value, RegistryView.Registry64))
                {
                    List<string> names = new List<string>(root.GetSubKeyNames());
                    names.Add("0x8000001A");
                    evidence.Same(hive.Key, Subkeys(key), names);
                }
            }
        }

        private static void OpenViews(Workspace workspace, Evidence evidence)
        {
            if (!Environment.Is64BitOperatingSystem)
                throw new NotPossibleException("this Windows has one view");
            using (RegistryKey wide = Workspace.CreateKey(workspace.Key, RegistryView.Registry64))
            using (RegistryKey narrow = Workspace.CreateKey(workspace.Key, RegistryView.Registry32))
            {
                wide.SetValue("view", "64");
                narrow.SetValue("view", "32");
            }
            using (IRegistryKey key = Open(workspace.Key, true))
                evidence.Same("SOFTWARE", TextOf(key, "view"), "64");
            using (IRegistryKey key = Open(workspace.Key.Replace(@"SOFTWARE\", @"SOFTWARE\WOW6432Node\"), true))
                evidence.Same(@"SOFTWARE\WOW6432Node", TextOf(key, "view"), "32");
        }

        private static void OpenLink(Workspace workspace, Evidence evidence)
        {
            using (RegistryKey target = CreateKey(workspace, "target"))
                target.SetValue("name", "target");
            string link = workspace.Key + @"\link";
            string native = @"\Registry\Machine\" + workspace.Key + @"\target";
            Workspace.WithKeyLink(link, native, delegate
            {
                using (IRegistryKey key = Open(link, false))
                    evidence.Same("the link itself", TextOf(key, "SymbolicLinkValue"), native);
                using (IRegistryKey key = Open(link, true))
                    evidence.Same("its target", TextOf(key, "name"), "target");
            });
        }

        private static void Links(Workspace workspace, Evidence evidence)
        {
            List<string> unknown = new List<string>();
            List<string> known = new List<string>();
            Stopwatch time = Stopwatch.StartNew();
            foreach (string name in new[] { "HKLM", "HKU" })
            {
                IRegistryKey root;
                Status(new NativeRegistry().OpenRoot(name, out root));
                using (root)
                    AddLinks(root, name, time, known, unknown);
            }
            evidence.Same("unknown links", unknown, new string[0]);
            bool hasControlSet = known.Exists(
                path => path.Equals(@"HKLM\SYSTEM\CurrentControlSet", StringComparison.OrdinalIgnoreCase));
            evidence.Same("CurrentControlSet is one", hasControlSet, true);
        }

        private static void AddLinks(
            IRegistryKey parent, string parentPath, Stopwatch time, List<string> known, List<string> unknown)
        {
            if (time.Elapsed.TotalSeconds > LinkSeconds)
                throw new NotPossibleException("the registry has too many keys");
            string name;
            for (int index = 0; parent.Subkey(index, out name) == RegistryStatus.Success; index++)
            {
                IRegistryKey key;
                if (parent.Open(name, false, out key) != RegistryStatus.Success)
                    continue;
                using (key)
                {
                    string path = parentPath + "\\" + name;
                    RegistryValue value;
                    if (key.Find(RegistryLinks.ValueName, out value) != RegistryStatus.Success ||
                        value.Type != RegistryLinks.ValueType)
                        AddLinks(key, path, time, known, unknown);
                    else if (RegistryLinks.IsKnown(path, Encoding.Unicode.GetString(value.Data)))
                        known.Add(path);
                    else
                        unknown.Add(path);
                }
            }
        }

        private static void OpenDenied(Workspace workspace, Evidence evidence)
        {
            if (!new NativeRegistry().HasBackupPrivilege)
                throw new NotPossibleException("the account lacks SeBackupPrivilege");
            string path = workspace.Key + @"\denied";
            RegistrySecurity allowed;
            CreateKey(workspace, "denied").Dispose();
            using (RegistryKey machine = RegistryKey.OpenBaseKey(RegistryHive.LocalMachine, RegistryView.Registry64))
            using (RegistryKey key = machine.OpenSubKey(
                path, RegistryKeyPermissionCheck.ReadWriteSubTree, RegistryRights.FullControl))
            {
                key.SetValue("name", "denied");
                allowed = key.GetAccessControl(AccessControlSections.Access);
                RegistrySecurity denied = new RegistrySecurity();
                denied.SetAccessRuleProtection(true, false);
                denied.AddAccessRule(new RegistryAccessRule(
                    new SecurityIdentifier(WellKnownSidType.NullSid, null), RegistryRights.ReadKey,
                    AccessControlType.Allow));
                key.SetAccessControl(denied);
                try
                {
                    evidence.Same(".NET may not", IsDenied(path), true);
                    using (IRegistryKey opened = Open(path, true))
                        evidence.Same("value", TextOf(opened, "name"), "denied");
                }
                finally
                {
                    allowed.SetAccessRuleProtection(false, false);
                    key.SetAccessControl(allowed);
                }
            }
        }

        private static bool IsDenied(string path)
        {
            using (RegistryKey machine = RegistryKey.OpenBaseKey(RegistryHive.LocalMachine, RegistryView.Registry64))
            {
                try
                {
                    using (machine.OpenSubKey(path))
                        return false;
                }
                catch (SecurityException)
                {
                    return true;
                }
            }
        }

        private static void Query(Workspace workspace, Evidence evidence)
        {
            string path = workspace.Key + @"\query";
            Workspace.CreateKeyWithClass(path, "a class");
            long written;
            using (RegistryKey key = CreateKey(workspace, "query"))
            {
                key.CreateSubKey("a").Dispose();
                key.CreateSubKey("b").Dispose();
                key.SetValue("a", 1);
                written = DateTime.UtcNow.ToFileTimeUtc();
                using (IRegistryKey opened = Open(path, true))
                {
                    KeyInformation information;
                    Status(opened.Query(out information));
                    evidence.Same("subkeys", information.Subkeys, key.SubKeyCount);
                    evidence.Same("values", information.Values, key.ValueCount);
                    evidence.Same("class", information.Class, "a class");
                    evidence.Same("written now", Math.Abs(information.LastWrite - written) < Minute, true);
                }
            }
        }

        private static void Subkey(Workspace workspace, Evidence evidence)
        {
            using (RegistryKey key = CreateKey(workspace, "subkeys"))
            {
                foreach (string name in new[] { "a", "ends in a blank ", "\u00fc\u0457", new string('x', 255) })
                    key.CreateSubKey(name).Dispose();
                List<string> names = new List<string>(key.GetSubKeyNames());
                names.Add("0x8000001A");
                using (IRegistryKey opened = Open(workspace.Key + @"\subkeys", true))
                    evidence.Same("names", Subkeys(opened), names);
            }
        }

        private static void Value(Workspace workspace, Evidence evidence)
        {
            Dictionary<string, string> expected = new Dictionary<string, string>();
            using (RegistryKey key = CreateKey(workspace, "values"))
            {
                Set(key, expected, "", "default", RegistryValueKind.String, 1, Unicode("default\0"));
                Set(key, expected, "text", "t\u00ebxt", RegistryValueKind.String, 1, Unicode("t\u00ebxt\0"));
                Set(key, expected, "expand", "%x%", RegistryValueKind.ExpandString, 2, Unicode("%x%\0"));
                Set(key, expected, "binary", new byte[] { 1, 0 }, RegistryValueKind.Binary, 3, new byte[] { 1, 0 });
                Set(key, expected, "number", 258, RegistryValueKind.DWord, 4, new byte[] { 2, 1, 0, 0 });
                Set(key, expected, "list", new[] { "a", "b" }, RegistryValueKind.MultiString, 7, Unicode("a\0b\0\0"));
                Set(key, expected, "long", 258L, RegistryValueKind.QWord, 11, new byte[] { 2, 1, 0, 0, 0, 0, 0, 0 });
                Set(key, expected, "none", new byte[] { 5 }, RegistryValueKind.None, 0, new byte[] { 5 });
            }
            int count = 0;
            using (IRegistryKey opened = Open(workspace.Key + @"\values", true))
            {
                RegistryValue value;
                while (opened.Value(count, out value) == RegistryStatus.Success)
                {
                    string second;
                    expected.TryGetValue(value.Name, out second);
                    evidence.Same("value '" + value.Name + "'", Shown(value.Type, value.Data), second);
                    count++;
                }
            }
            evidence.Same("count", count, expected.Count);
        }

        private static void Set(
            RegistryKey key, Dictionary<string, string> expected, string name, object data, RegistryValueKind kind,
            uint type, byte[] bytes)
        {
            key.SetValue(name, data, kind);
            expected[name] = Shown(type, bytes);
        }

        private static string Shown(uint type, byte[] data)
        {
            return type + " " + BitConverter.ToString(data);
        }

        private static byte[] Unicode(string text)
        {
            return Encoding.Unicode.GetBytes(text);
        }

        private static void ValueWithNul(Workspace workspace, Evidence evidence)
        {
            const string Name = "hid\0den";
            using (RegistryKey key = CreateKey(workspace, "nul"))
            {
                Workspace.SetCountedValue(key, Name, "data");
                using (IRegistryKey opened = Open(workspace.Key + @"\nul", true))
                {
                    RegistryValue value;
                    Status(opened.Value(0, out value));
                    evidence.Same("name", value.Name, Name);
                    evidence.Same("data", TextOf(opened, Name), "data");
                }
            }
        }

        private static void Find(Workspace workspace, Evidence evidence)
        {
            byte[] data = new byte[LargeSize];
            new Random(1).NextBytes(data);
            using (RegistryKey key = CreateKey(workspace, "find"))
                key.SetValue("large", data, RegistryValueKind.Binary);
            using (IRegistryKey opened = Open(workspace.Key + @"\find", true))
            {
                RegistryValue value;
                Status(opened.Find("LARGE", out value));
                evidence.Same("size", value.Size, LargeSize);
                evidence.Same("data", Convert.ToBase64String(value.Data) == Convert.ToBase64String(data), true);
                evidence.Same("missing", opened.Find("missing", out value), RegistryStatus.NameNotFound);
            }
        }

        private static void Security(Workspace workspace, Evidence evidence)
        {
            using (RegistryKey key = CreateKey(workspace, "security"))
            using (IRegistryKey opened = Open(workspace.Key + @"\security", true))
            {
                byte[] descriptor;
                Status(opened.Security(out descriptor));
                evidence.SameAccess(descriptor, key.GetAccessControl());
            }
        }

        private static void SecurityRead(Workspace workspace, Evidence evidence)
        {
            using (RegistryKey key = CreateKey(workspace, "security"))
            {
                // Too small on purpose: the edge has to ask again with a larger one.
                byte[] buffer = new byte[20];
                byte[] descriptor;
                Status(NativeKeySecurity.Read(key.Handle.DangerousGetHandle(), ref buffer, out descriptor));
                evidence.SameAccess(descriptor, key.GetAccessControl());
            }
        }

        private static void IsAbsent(Workspace workspace, Evidence evidence)
        {
            using (RegistryKey parent = CreateKey(workspace, "absent"))
            using (IRegistryKey opened = Open(workspace.Key + @"\absent", true))
            using (RegistryKey second = parent.OpenSubKey("missing"))
            {
                IRegistryKey key;
                uint status = opened.Open("missing", true, out key);
                evidence.Same("0x" + status.ToString("X8"), RegistryStatus.IsAbsent(status), second == null);
                status = opened.Open(@"missing\name", true, out key);
                evidence.Same("parent, 0x" + status.ToString("X8"), RegistryStatus.IsAbsent(status), true);
            }
            CreateKey(workspace, "deleted").Dispose();
            using (IRegistryKey opened = Open(workspace.Key + @"\deleted", true))
            using (RegistryKey machine = RegistryKey.OpenBaseKey(RegistryHive.LocalMachine, RegistryView.Registry64))
            {
                machine.DeleteSubKey(workspace.Key + @"\deleted");
                KeyInformation information;
                uint status = opened.Query(out information);
                evidence.Same("deleted, 0x" + status.ToString("X8"), RegistryStatus.IsAbsent(status), true);
            }
        }

        private static void IsEmulated(Workspace workspace, Evidence evidence)
        {
            bool second;
            IsWow64Process(GetCurrentProcess(), out second);
            evidence.Same("emulated", NativeRegistry.IsEmulated, second);
        }
    }
}
