// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.AuditPolicy;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventChannels;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.MachineSettings;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Services;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.SystemAudit;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Deployment;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.AuditAcl;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Recording;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Note;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.PolicyHost;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.PolicyParser;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Settings;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Subcategories;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State;

/// <summary>What test_audit_policy.py needs in C#: hosts whose Windows API returns recorded values.</summary>
public static class PolicyScript
{
    /// <summary>
    /// Do steps on one host, and return the result of each. ["apply", OPTIONS, CHECK_MODE], ["look", OPTIONS],
    /// ["set", OPTION OF THE HOST, VALUE], ["host"], ["note"].
    /// </summary>
    public static List<object> Run(string directory, Dictionary<string, object> recorded, List<object> steps)
    {
        RecordedPolicyHost host = new RecordedPolicyHost(recorded);
        List<object> results = new List<object>();
        Directory.CreateDirectory(directory + "/C");
        foreach (List<object> step in steps)
            results.Add(Do(directory, host, step));
        return results;
    }

    private static object Do(string directory, RecordedPolicyHost host, List<object> step)
    {
        switch ((string)step[0])
        {
            case "set":
                host.Recorded[(string)step[1]] = step[2];
                host.Writes = 0;
                return null;
            case "host":
                // As it is now: later steps change it.
                return Json.Parse(Json.Write(host.Recorded));
            case "note":
                return Note(directory);
            case "look":
                return Outcome((Dictionary<string, object>)step[1], false, delegate(ModuleCall call)
                {
                    return Recording.Of(call, host.Host());
                });
            default:
                return Outcome((Dictionary<string, object>)step[1], (bool)step[2], delegate(ModuleCall call)
                {
                    bool create = !call.CheckMode && call.Text("state") == "present";
                    using (StateDirectory state = StateDirectory.Open(
                        new PlainStateFiles(directory), @"C:\state", "audit", create))
                        return Deployment.Of(call, host.Host(), state);
                });
        }
    }

    private static object Note(string directory)
    {
        string file = directory + "/C/state/audit/policy.json";
        return File.Exists(file) ? File.ReadAllText(file) : null;
    }

    private static object Outcome(
        Dictionary<string, object> options, bool checkMode, Func<ModuleCall, Dictionary<string, object>> action)
    {
        Exception unexpected;
        Dictionary<string, object> result =
            ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome.Outcome.Of(
                new ModuleCall(options, checkMode, true), action, out unexpected);
        if (unexpected is KilledException)
            return "killed";
        if (unexpected != null)
            throw unexpected;
        return result;
    }

    /// <summary>Return what a file of group policy sets, and the error that ended it.</summary>
    public static List<object> Parse(string kind, byte[] file)
    {
        List<object> rules = new List<object>();
        List<object> categories = new List<object>();
        string problem = null;
        Action<string, string> rule = delegate(string id, string value) { rules.Add(id + " = " + value); };
        try
        {
            if (kind == "registry")
                PolicyParser.ReadRegistry(file, rule);
            else if (kind == "audit")
                PolicyParser.ReadAudit(file, rule);
            else
                PolicyParser.ReadTemplate(file, rule, categories.Add, delegate(ObjectRule found)
                {
                    rule((found.ReplacesBelow ? "below " : "") + found.Path, found.Acl);
                });
        }
        catch (FormatException error)
        {
            problem = error.Message;
        }
        return new List<object> { rules, problem, categories };
    }

    /// <summary>Return whether each damaged copy of a file is read without any other exception.</summary>
    public static int Damage(string kind, byte[] file, int copies)
    {
        Random random = new Random(7);
        int read = 0;
        for (int copy = 0; copy < copies; copy++)
        {
            byte[] damaged = (byte[])file.Clone();
            for (int change = 0; change < 1 + copy % 4; change++)
                damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            if (copy % 3 == 0)
                Array.Resize(ref damaged, random.Next(damaged.Length));
            Parse(kind, damaged);
            read++;
        }
        return read;
    }

    /// <summary>Return whether an ACL covers our entry, the ACL with it, and that without it again.</summary>
    public static List<object> Acl(byte[] acl, bool isKey, bool isContainer)
    {
        byte[] entry = AuditAcl.Entry(isKey, isContainer);
        AuditAcl parsed = new AuditAcl(acl);
        bool covers = parsed.Covers(entry);
        parsed.Add(entry);
        byte[] added = parsed.ToBytes();
        AuditAcl second = new AuditAcl(added);
        second.Remove(entry);
        return new List<object> { covers, added, second.ToBytes(), new AuditAcl(added).Covers(entry) };
    }

    /// <summary>Return all known subcategories: GUID, name, category.</summary>
    public static List<object> Subcategory()
    {
        List<object> all = new List<object>();
        foreach (Guid subcategory in Subcategories.All.Keys)
            all.Add(new List<object>
            {
                Subcategories.Text(subcategory), Subcategories.Name(subcategory), Subcategories.Category(subcategory)
            });
        return all;
    }

    private sealed class RecordedPolicyHost
        : IAuditPolicy, IEventChannels, ISystemAudit, IMachineSettings, IServices, IPolicyFiles
    {
        private const int Killed = -1;

        public readonly Dictionary<string, object> Recorded;
        public int Writes;

        public RecordedPolicyHost(Dictionary<string, object> recorded)
        {
            Recorded = recorded;
        }

        public PolicyHost Host()
        {
            return new PolicyHost(this, this, this, this, this, this, Flag("is_domain_controller"));
        }

        private Dictionary<string, object> Part(string name)
        {
            object part;
            if (!Recorded.TryGetValue(name, out part))
                Recorded[name] = part = new Dictionary<string, object>();
            return (Dictionary<string, object>)part;
        }

        private bool Flag(string name)
        {
            object flag;
            return Recorded.TryGetValue(name, out flag) && true.Equals(flag);
        }

        private int Error(string id)
        {
            object error;
            return Part("errors").TryGetValue(id, out error) ? Convert.ToInt32(error) : 0;
        }

        // A write has an effect unless it fails, something else rules the setting, or the process was killed before it.
        private int Write(string id, Action effect)
        {
            object limit;
            int most = Recorded.TryGetValue("killed_after", out limit) ? Convert.ToInt32(limit) : Int32.MaxValue;
            if (Writes == most && !Flag("killed_late"))
                throw new KilledException();
            Writes++;
            int error = Error("write " + id);
            if (error == 0 && !Part("ruled").ContainsKey(id))
                effect();
            if (Writes > most)
                throw new KilledException();
            return error;
        }

        int IAuditPolicy.Query(Guid subcategory, out int flags)
        {
            flags = 0;
            object current;
            if (Error("audit") != 0)
                return Error("audit");
            if (!Part("audit").TryGetValue(Subcategories.Name(subcategory), out current))
                return 87;
            flags = Convert.ToInt32(current);
            return 0;
        }

        int IAuditPolicy.Set(Guid subcategory, int flags)
        {
            string name = Subcategories.Name(subcategory);
            return Write(name, delegate
            {
                int before = Convert.ToInt32(Part("audit")[name]);
                bool adds = Flag("adds") && (flags & 4) == 0;
                Part("audit")[name] = (long)((adds ? before | flags : flags) & 3);
            });
        }

        int IAuditPolicy.List(out IList<Guid> subcategories)
        {
            subcategories = new List<Guid>();
            foreach (string name in Part("audit").Keys)
                subcategories.Add(Subcategories.Find(name).Value);
            return Error("audit");
        }

        int IEventChannels.Read(string channel, out ChannelSettings settings)
        {
            settings = null;
            if (Error("channels") != 0)
                return Error("channels");
            Dictionary<string, object> read = Channel(channel);
            if (read == null)
                return 15007;
            settings = new ChannelSettings
            {
                IsEnabled = (bool)read["enabled"],
                Type = read.ContainsKey("type") ? Convert.ToInt32(read["type"]) : 1,
                MaxSize = (long)read["max_size"],
                Retention = read.ContainsKey("retention") && (bool)read["retention"],
                AutoBackup = read.ContainsKey("auto_backup") && (bool)read["auto_backup"],
                Path = @"%SystemRoot%\" + channel + ".evtx"
            };
            return 0;
        }

        private Dictionary<string, object> Channel(string channel)
        {
            foreach (KeyValuePair<string, object> known in Part("channels"))
            {
                if (known.Key.Equals(channel, StringComparison.OrdinalIgnoreCase))
                    return (Dictionary<string, object>)known.Value;
            }
            return null;
        }

        int IEventChannels.SetEnabled(string channel, bool isEnabled)
        {
            return Write(channel, delegate
            {
                Channel(channel)["enabled"] = isEnabled;
            });
        }

        int IEventChannels.SetMaxSize(string channel, long size)
        {
            // As Windows does, whose own default is no multiple of it.
            long rounded = (size + 65535) / 65536 * 65536;
            return Write(channel, delegate
            {
                Channel(channel)["max_size"] = rounded;
            });
        }

        int ISystemAudit.Read(bool isKey, string path, out byte[] acl)
        {
            acl = null;
            object recorded;
            if (Error("objects") != 0)
                return Error("objects");
            if (!Part("objects").TryGetValue(path, out recorded))
                return 2;
            acl = recorded == null ? null : Convert.FromBase64String((string)recorded);
            return 0;
        }

        int ISystemAudit.Write(bool isKey, string path, byte[] acl)
        {
            return Write(path, delegate
            {
                Part("objects")[path] = acl == null ? null : Convert.ToBase64String(acl);
            });
        }

        int IMachineSettings.Resolve(string key, bool is32Bit, out string path)
        {
            bool isShared = !is32Bit || Flag("is_shared");
            path = isShared ? key : @"SOFTWARE\WOW6432Node\" + key.Substring(@"SOFTWARE\".Length);
            return Error("resolve");
        }

        int IMachineSettings.Subkeys(string key, out IList<string> names)
        {
            SortedSet<string> all = new SortedSet<string>(StringComparer.OrdinalIgnoreCase);
            foreach (string value in Part("values").Keys)
            {
                if (value.StartsWith(key + "\\", StringComparison.OrdinalIgnoreCase))
                {
                    string rest = value.Substring(key.Length + 1);
                    if (rest.Length > 0 && rest[0] != '\\')
                        all.Add(rest.Substring(0, rest.IndexOf('\\')));
                }
            }
            names = new List<string>(all);
            return 0;
        }

        private bool HasKey(string key)
        {
            foreach (string name in Part("values").Keys)
            {
                if (name.StartsWith(key + "\\", StringComparison.OrdinalIgnoreCase))
                    return true;
            }
            return Part("keys").ContainsKey(key);
        }

        int IMachineSettings.Read(string key, string name, out uint type, out byte[] data)
        {
            type = 0;
            data = null;
            if (Error("values") != 0)
                return Error("values");
            if (name == null)
                return HasKey(key) ? 0 : 2;
            foreach (KeyValuePair<string, object> value in Part("values"))
            {
                if (value.Key.Equals(key + @"\\" + name, StringComparison.OrdinalIgnoreCase))
                {
                    string[] parts = ((string)value.Value).Split(':');
                    type = UInt32.Parse(parts[0]);
                    data = new byte[parts[1].Length / 2];
                    for (int index = 0; index < data.Length; index++)
                        data[index] = Convert.ToByte(parts[1].Substring(index * 2, 2), 16);
                    return 0;
                }
            }
            return 2;
        }

        int IMachineSettings.Write(string key, string name, uint type, byte[] data)
        {
            return Write(key + @"\\" + name, delegate
            {
                for (string above = key; above.IndexOf('\\') > 0; above = above.Substring(0, above.LastIndexOf('\\')))
                {
                    if (!HasKey(above))
                        Part("keys")[above] = true;
                }
                Part("values")[key + @"\\" + name] = ValueSetting.Encode(type, data);
            });
        }

        int IMachineSettings.DeleteValue(string key, string name)
        {
            bool exists = Part("values").ContainsKey(key + @"\\" + name);
            return exists ? Write(key + @"\\" + name, delegate { Part("values").Remove(key + @"\\" + name); }) : 2;
        }

        int IMachineSettings.DeleteEmptyKey(string key)
        {
            List<string> inside = new List<string>(Part("values").Keys);
            inside.AddRange(Part("keys").Keys);
            if (inside.Exists(delegate(string name) { return name.StartsWith(key + "\\"); }))
                return 145;
            return Part("keys").Remove(key) ? 0 : 2;
        }

        int IServices.State(string name, out int state)
        {
            object recorded;
            bool exists = Part("services").TryGetValue(name, out recorded);
            state = exists ? Convert.ToInt32(recorded) : 0;
            return exists ? 0 : 1060;
        }

        string IPolicyFiles.Folder(string name)
        {
            return name == "SystemRoot" ? @"C:\Windows"
                : name == "ProgramData" ? @"C:\ProgramData" : name == "SystemDrive" ? "C:" : null;
        }

        byte[] IPolicyFiles.Read(string path)
        {
            if (Error(path) != 0)
                throw new UnauthorizedAccessException("Access to the path is denied.");
            object content;
            return Part("files").TryGetValue(path, out content) ? Convert.FromBase64String((string)content) : null;
        }

        IList<string> IPolicyFiles.Directories(string path)
        {
            SortedSet<string> names = new SortedSet<string>();
            foreach (string file in Part("files").Keys)
            {
                if (file.StartsWith(path + "\\", StringComparison.Ordinal))
                    names.Add(file.Substring(path.Length + 1).Split('\\')[0]);
            }
            return new List<string>(names);
        }

        int IPolicyFiles.Kind(string path)
        {
            return !Part("objects").ContainsKey(path) ? 0 : path.EndsWith(".txt", StringComparison.Ordinal) ? 1 : 2;
        }
    }
}
