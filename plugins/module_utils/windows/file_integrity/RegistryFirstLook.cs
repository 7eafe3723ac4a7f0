// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryFirstLook
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.CommandLine;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Entry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Judgement;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.OrdinaryAccounts;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryData;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryFacts;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryLinks;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryPattern;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryPlaces;

    /// <summary>Says of keys and values what is wrong whether or not they changed.</summary>
    public sealed class RegistryFirstLook
    {
        public const string Suspicious = "suspicious_registry_entry";
        public const string Hidden = "hidden_registry_entry";
        public const string HiddenTask = "hidden_scheduled_task";
        public const string Hijackable = "hijackable_service";

        private const string Cache = @"\Schedule\TaskCache\";
        private const string Tree = Cache + @"Tree\";
        private const string Tasks = Cache + @"Tasks\";

        private const RegexOptions Options =
            RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.Singleline;

        // T1546.008: what the sign-in screen starts as SYSTEM for whoever sits there.
        private static readonly Regex AccessibilityTool = new Regex(
            @"\\(?:Image File Execution Options|SilentProcessExit)\\" +
            @"(?:sethc|utilman|osk|magnify|narrator|displayswitch|atbroker)\.exe\z", Options);

        private static readonly Regex Winlogon = new Regex(@"\\Windows NT\\CurrentVersion\\Winlogon\z", Options);
        private static readonly Regex ServiceKey = new Regex(@"^HKLM\\SYSTEM\\CCS\\Services\\[^\\]+\z", Options);

        private static readonly Regex ServiceOrParameters = new Regex(
            @"^HKLM\\SYSTEM\\CCS\\Services\\[^\\]+(?:\\Parameters)?\z", Options);

        private static readonly Regex WideExclusion = new Regex(
            @"^(?:[a-z]:\\?|[a-z]:\\(?:users|windows|programdata|temp)(?:\\[^\\]+)?\\?|\*+|" +
            @"\.?(?:exe|dll|ps1|js|vbs|bat))\z", Options);

        private readonly IRegistryFacts _facts;

        public RegistryFirstLook(IRegistryFacts facts)
        {
            _facts = facts;
        }

        /// <summary>Return what is wrong with an entry, null when nothing is known to be.</summary>
        public Judgement Judge(Entry entry)
        {
            if (entry.Kind == EntryKinds.Key)
            {
                return Name(entry) ?? Key(entry);
            }
            if (entry.Kind != EntryKinds.Value)
            {
                return null;
            }
            string key = RegistryPattern.ParentOf(entry.Path);
            string name = RegistryPattern.NameOf(entry.Path);
            return Name(entry) ?? TaskValue(entry, key, name) ?? Program(entry, key, name);
        }

        // Win32 programs cut names at NUL, and most cannot show half a surrogate pair: T1564, T1112.
        private static Judgement Name(Entry entry)
        {
            string name = RegistryPattern.NameOf(entry.Path);
            bool isHidden = name.IndexOf('\0') >= 0;
            for (int index = 0; index < name.Length && !isHidden; index++)
            {
                if (index + 1 < name.Length && char.IsSurrogatePair(name[index], name[index + 1]))
                {
                    index++;
                }
                else
                {
                    isHidden = char.IsSurrogate(name[index]);
                }
            }
            if (!isHidden)
            {
                return null;
            }
            return Judgement.Raise(Hidden, "high", entry.Shown +
                " has a name that the registry editor and most programs cannot open", "T1564", "T1112");
        }

        private Judgement Key(Entry entry)
        {
            string link = entry.Text("link");
            if (link != null && !RegistryLinks.IsKnown(entry.Path, Printable.ParsePath(link)))
            {
                return Judgement.Raise(Suspicious, "high", entry.Shown +
                    " is a symbolic link to " + link + ": programs that read the key get another one", "T1112");
            }
            if (ServiceKey.IsMatch(RegistryPlaces.Normal(entry.Path)))
            {
                List<string> writers = OrdinaryAccounts.KeyWriters(entry.Text("dacl"));
                if (writers.Count > 0)
                {
                    return Judgement.Raise(Hijackable, "high", entry.Shown +
                        " can be changed by " + Join(writers) + ", who can so run programs as the service",
                        "T1574.011");
                }
            }
            return null;
        }

        private Judgement TaskValue(Entry entry, string key, string name)
        {
            if (!Is(name, "Id") && !Is(name, "Index") && !Is(name, "Path"))
            {
                return null;
            }
            int tree = key.IndexOf(Tree, StringComparison.OrdinalIgnoreCase);
            if (tree >= 0 && Is(name, "Id"))
            {
                return TreeTask(key, key.Substring(tree + Tree.Length));
            }
            if (tree >= 0 && Is(name, "Index") && entry.Text("data") == "0")
            {
                return Judgement.Raise(HiddenTask, "high", "the scheduled task " +
                    Shown(key.Substring(tree + Tree.Length)) +
                    " is hidden: its Index in the task cache is 0", "T1053.005", "T1564");
            }
            int tasks = key.IndexOf(Tasks, StringComparison.OrdinalIgnoreCase);
            string path = tasks >= 0 && Is(name, "Path") ? entry.Text("data") : null;
            if (path == null || !path.StartsWith("\\", StringComparison.Ordinal))
            {
                return null;
            }
            string node = key.Substring(0, tasks) + Tree.TrimEnd('\\') + Printable.ParsePath(path);
            if (_facts.HasKey(node) != false)
            {
                return null;
            }
            return Judgement.Raise(HiddenTask, "high", "the scheduled task " + path +
                " is hidden: it is in the task cache and not in its tree", "T1053.005", "T1564");
        }

        // The task scheduler does not list a task whose SD value is gone, and runs it all the same (Tarrask, 2022).
        private Judgement TreeTask(string key, string task)
        {
            if (_facts.HasValue(key, "SD") == false)
            {
                return Judgement.Raise(HiddenTask, "critical", "the scheduled task " + Shown(task) +
                    " is hidden: its security descriptor (SD) in the task cache was removed", "T1053.005", "T1564");
            }
            if (_facts.FileExists(_facts.SystemRoot + @"\System32\Tasks\" + task) == false)
            {
                return Judgement.Raise(HiddenTask, "medium", "the scheduled task " + Shown(task) +
                    " has no file below System32\\Tasks: somebody deleted it, and the task runs all the same",
                    "T1053.005", "T1070");
            }
            return null;
        }

        private Judgement Program(Entry entry, string key, string name)
        {
            string data = entry.Text("data");
            RegistryPlace place = data == "" ? null : RegistryPlaces.Find(key, name);
            if (place == null)
            {
                return null;
            }
            string type = entry.Text("type");
            if (data == null)
            {
                bool isLong = entry.Number("size") > RegistryData.LongestText && place.IsProgram
                    && (type == "REG_SZ" || type == "REG_EXPAND_SZ");
                return !isLong ? null : Judgement.Raise(Suspicious, "high", entry.Shown + " has " +
                    entry.Number("size") + " bytes, which " + place.Effect + ": no command is so long, and what it " +
                    "starts is hidden in it", place.Techniques);
            }
            string text = Printable.ParsePath(data);
            if (place.Alert == RegistryPlaces.Defence)
            {
                return Exclusion(entry, key, name);
            }
            if (!place.IsProgram || (type != "REG_SZ" && type != "REG_EXPAND_SZ" && type != "REG_MULTI_SZ"))
            {
                return null;
            }
            Judgement special = Special(entry, key, name, text);
            if (special != null)
            {
                return special;
            }
            foreach (string part in text.Split(new[] { RegistryData.Separator }, StringSplitOptions.None))
            {
                string suspicion = CommandLine.Parse(part, _facts.SystemRoot, _facts.Expand).Suspicion();
                if (suspicion != null)
                {
                    return Judgement.Raise(Suspicious, "high", entry.Shown + " names '" +
                        Shorten(data) + "', which " + place.Effect + ", and " + suspicion, place.Techniques);
                }
            }
            return null;
        }

        private Judgement Special(Entry entry, string key, string name, string data)
        {
            if (AccessibilityTool.IsMatch(key) && (Is(name, "Debugger") || Is(name, "MonitorProcess")))
            {
                return Raise(entry, "critical", "is run as SYSTEM from the sign-in screen, without signing in",
                    "T1546.008", "T1546.012");
            }
            if (Winlogon.IsMatch(key) && Is(name, "Shell") && !IsUsualShell(data))
            {
                return Raise(entry, "high", "is started at each sign-in instead of or beside explorer.exe",
                    "T1547.004");
            }
            if (Winlogon.IsMatch(key) && Is(name, "Userinit") && !IsOnly(data, "userinit.exe"))
            {
                return Raise(entry, "high", "is started at each sign-in instead of or beside userinit.exe",
                    "T1547.004");
            }
            if (Is(name, "AppInit_DLLs") && _facts.Data(key, "LoadAppInit_DLLs") == "1")
            {
                return Raise(entry, "high", "is loaded into every program that has windows", "T1546.010");
            }
            if (Is(name, "BootExecute") && !IsUsualBoot(data))
            {
                return Raise(entry, "high", "is run before anybody can sign in", "T1547.001");
            }
            bool isProgram = Is(name, "ImagePath") || Is(name, "ServiceDll");
            if (isProgram && ServiceOrParameters.IsMatch(RegistryPlaces.Normal(key)))
            {
                return Service(entry, data);
            }
            return UserClass(entry, key, name, data);
        }

        private Judgement Service(Entry entry, string data)
        {
            CommandLine command = CommandLine.Parse(data, _facts.SystemRoot, _facts.Expand);
            if (command.IsInProfile)
            {
                return Judgement.Raise(Suspicious, "high", entry.Shown + " is '" + Shorten(data) +
                    "': the program of a service lies in the profile of an account", "T1543.003");
            }
            IList<string> writers = _facts.Writers(command.Program);
            if (writers != null && writers.Count > 0)
            {
                return Judgement.Raise(Hijackable, "high", entry.Shown + " is '" + Shorten(data) +
                    "': " + Join(writers) + " can replace this program of a service", "T1574.010");
            }
            foreach (string program in command.Hijacks())
            {
                string directory = RegistryPattern.ParentOf(program);
                writers = _facts.Writers(directory.Length == 2 ? directory + "\\" : directory);
                bool exists = _facts.FileExists(program) == true;
                if (exists || (writers != null && writers.Count > 0))
                {
                    string message = entry.Shown + " is '" + Shorten(data) +
                        "' without quotation marks: Windows runs " + Printable.ShowPath(program) + " instead, which " +
                        (exists ? "exists" : Join(writers) + " can create");
                    return Judgement.Raise(Hijackable, "high", message, "T1574.009");
                }
            }
            return null;
        }

        // A class of the account wins over the machine's, so that programs of the account load another library.
        private Judgement UserClass(Entry entry, string key, string name, string data)
        {
            string normal = RegistryPlaces.Normal(key);
            const string prefix = @"USER_CLASSES\CLSID\";
            bool isClass = normal.StartsWith(prefix, StringComparison.OrdinalIgnoreCase);
            if (!isClass || !Is(name, RegistryPattern.DefaultValue))
            {
                return null;
            }
            string machine = _facts.Data(@"HKLM\SOFTWARE\Classes\CLSID\" + normal.Substring(prefix.Length), "");
            if (machine == null || Is(machine, data))
            {
                return null;
            }
            return Raise(entry, "high", "is loaded in this account instead of the machine's '" + Shorten(machine) + "'",
                "T1546.015");
        }

        private Judgement Exclusion(Entry entry, string key, string name)
        {
            bool isExclusion = key.IndexOf(@"\Exclusions\", StringComparison.OrdinalIgnoreCase) >= 0;
            if (!isExclusion || !WideExclusion.IsMatch(RegistryPattern.ValueName(name)))
            {
                return null;
            }
            return Judgement.Raise(Suspicious, "medium", entry.Shown +
                " excludes so much from Defender's examination that programs of attackers fit in", "T1562.001");
        }

        // Server Core has no explorer.exe, and its shell is what an administrator set.
        private bool IsUsualShell(string data)
        {
            return IsOnly(data, "explorer.exe") ||
                _facts.FileExists(_facts.SystemRoot + @"\explorer.exe") == false;
        }

        private bool IsOnly(string data, string program)
        {
            foreach (string part in data.Split(','))
            {
                string path = _facts.Expand(part.Trim().Trim('"'));
                bool isUsual = path.Length == 0 || Is(path, program) || Is(path, _facts.SystemRoot + "\\" + program) ||
                    Is(path, _facts.SystemRoot + @"\System32\" + program);
                if (!isUsual)
                {
                    return false;
                }
            }
            return true;
        }

        private static bool IsUsualBoot(string data)
        {
            foreach (string part in data.Split(new[] { RegistryData.Separator }, StringSplitOptions.RemoveEmptyEntries))
            {
                if (!part.StartsWith("autocheck autochk ", StringComparison.OrdinalIgnoreCase))
                {
                    return false;
                }
            }
            return true;
        }

        private static Judgement Raise(Entry entry, string severity, string effect, params string[] techniques)
        {
            return Judgement.Raise(Suspicious, severity, entry.Shown + " is '" +
                Shorten(entry.Text("data")) + "', which " + effect, techniques);
        }

        private static string Shown(string task)
        {
            return "\\" + Printable.ShowPath(task);
        }

        private static string Shorten(string text)
        {
            return text.Length <= 200 ? text : text.Substring(0, 200) + "...";
        }

        private static string Join(IEnumerable<string> names)
        {
            return string.Join(" and ", names);
        }

        private static bool Is(string text, string other)
        {
            return string.Equals(text, other, StringComparison.OrdinalIgnoreCase);
        }
    }
}
