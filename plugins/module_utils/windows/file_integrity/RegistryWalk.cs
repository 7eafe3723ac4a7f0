// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryWalk
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Registry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Deadline;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Entry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryData;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryKeyReader;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryLinks;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryPattern;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.TaskData;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Watch;

    /// <summary>Makes entries of keys and values.</summary>
    public sealed class KeyEntries : IDisposable
    {
        private readonly RegistryData _data = new RegistryData();

        public Entry OfKey(string path, KeyContent content, Watch watch)
        {
            Dictionary<string, object> attributes = new Dictionary<string, object>();
            if (content.Information != null)
            {
                Add(attributes, watch, "last_write", content.Information.LastWrite);
                Add(attributes, watch, "class", Printable.Show(content.Information.Class));
            }
            if (content.Security != null)
            {
                if (content.Security.Owner != null)
                {
                    Add(attributes, watch, "owner", content.Security.Owner);
                }
                Add(attributes, watch, "dacl", content.Security.Dacl);
            }
            if (content.Link != null)
            {
                Add(attributes, watch, "link", Printable.ShowPath(content.Link));
            }
            return new Entry(EntryKinds.Key, path, attributes);
        }

        public Entry OfValue(string path, RegistryValue value, Watch watch)
        {
            Dictionary<string, object> attributes = new Dictionary<string, object>();
            Add(attributes, watch, "type", RegistryData.TypeName(value.Type));
            bool isOfTask = value.Data != null && watch.Records("data") &&
                path.IndexOf(@"\Schedule\TaskCache\Tasks\", StringComparison.OrdinalIgnoreCase) >= 0;
            if (isOfTask && value.Name.Equals("Triggers", StringComparison.OrdinalIgnoreCase))
            {
                // The triggers change daily. Only the principal is compared.
                string principal = TaskData.Principal(value.Data) ?? "who runs the task cannot be read";
                attributes["data"] = Printable.ShowPath(principal);
                attributes["sha256"] = _data.Digest(Encoding.UTF8.GetBytes(Printable.ShowPath(principal)));
                return new Entry(EntryKinds.Value, path, attributes);
            }
            Add(attributes, watch, "size", value.Size);
            if (value.Data != null && watch.Records("sha256"))
            {
                attributes["sha256"] = _data.Digest(value.Data);
                string text = RegistryData.Show(value.Name, value.Type, value.Data);
                if (isOfTask && value.Name.Equals("Actions", StringComparison.OrdinalIgnoreCase))
                {
                    string actions = TaskData.Actions(value.Data, RegistryData.Separator);
                    text = actions == null || actions.Length > RegistryData.LongestText / 2
                        ? null
                        : RegistryData.Safe(actions);
                }
                if (text != null)
                {
                    attributes["data"] = text;
                }
            }
            return new Entry(EntryKinds.Value, path, attributes);
        }

        public void Dispose()
        {
            _data.Dispose();
        }

        private static void Add(Dictionary<string, object> attributes, Watch watch, string name, object value)
        {
            if (watch.Records(name))
            {
                attributes[name] = value;
            }
        }
    }

    /// <summary>One run over the keys of one watch: its limits, exclusions, and what was emitted already.</summary>
    public sealed class RegistryWalk
    {
        // The largest part of the limit that one of them gets.
        private const int Hives = 10;

        private readonly RegistryKeyReader _reader;
        private readonly KeyEntries _entries;
        private readonly Watch _watch;
        private readonly ScopeCoverage _coverage;
        private readonly Deadline _deadline;
        private readonly Action<Entry> _emit;
        private readonly int _limit;
        private readonly RegistryExclusions _exclusions;
        private readonly bool _withSecurity;
        // By case: what .NET takes for the same name can be two names to the registry.
        private readonly HashSet<string> _emitted = new HashSet<string>(StringComparer.Ordinal);
        private bool _hasLeft;
        private int _most;

        public RegistryWalk(
            RegistryKeyReader reader, KeyEntries entries, Watch watch, ScopeCoverage coverage, Deadline deadline,
            Action<Entry> emit, int limit)
        {
            _reader = reader;
            _entries = entries;
            _watch = watch;
            _coverage = coverage;
            _deadline = deadline;
            _emit = emit;
            _limit = limit;
            _most = limit;
            _exclusions = new RegistryExclusions(watch.Exclude);
            _withSecurity = watch.Records("owner") || watch.Records("dacl");
        }

        /// <summary>Say whether the time or the number of entries of this watch is used up.</summary>
        public bool IsOver
        {
            get { return _deadline.Passed || _emitted.Count >= _most; }
        }

        /// <summary>
        /// Allow the hive that is read next a part of the limit only, so that an account which fills its own does not
        /// keep the others from being read. false: the limit counts again.
        /// </summary>
        public void Share(bool isHive)
        {
            _most = isHive ? Math.Min(_limit, _emitted.Count + Math.Max(1, _limit / Hives)) : _limit;
        }

        /// <summary>Name in the coverage what is left out because the walk is over.</summary>
        public void Leave(string path)
        {
            Skip(path, _deadline.Passed
                ? _deadline.Reason
                : _emitted.Count < _limit
                ? "the account has more than " + _limit / Hives + " keys and values there, and the rest was not read"
                : "the watch has more than " + _limit + " keys and values; give it fewer paths or more exclusions");
        }

        public void Skip(string path, string reason)
        {
            _coverage.Skip(Printable.ShowPath(path), reason);
        }

        public bool IsExcluded(string path, string name)
        {
            return _exclusions.Key(path, name);
        }

        /// <summary>Read a key that a pattern stands for, and below it as deep as the watch says.</summary>
        public void Start(IRegistryKey key, string path, RegistryPattern pattern)
        {
            _hasLeft = false;
            if (pattern.Value == null)
            {
                Walk(key, path, _watch.Recurse);
                return;
            }
            KeyContent content = _reader.Read(key, false, true, false);
            Report(content, path);
            foreach (RegistryValue value in content.Values)
            {
                if (Glob.Matches(pattern.Value, RegistryPattern.Shown(value.Name)))
                {
                    EmitValue(path, value);
                }
            }
        }

        /// <summary>Return the names of the subkeys of a key; what cannot be read is a skip.</summary>
        public IList<string> Subkeys(IRegistryKey key, string path)
        {
            KeyContent content = _reader.Read(key, false, false, true);
            Report(content, path);
            return content.Subkeys;
        }

        /// <summary>Return the target of a link, null when the key is none.</summary>
        public string LinkTarget(IRegistryKey key)
        {
            return _reader.Read(key, false, true, false).Link;
        }

        /// <summary>Record a link that is in the way of a watched path.</summary>
        public void Link(IRegistryKey key, string path)
        {
            Emit(_entries.OfKey(path, _reader.Read(key, _withSecurity, true, false), _watch), EntryKinds.Key);
        }

        private void Walk(IRegistryKey key, string path, int levels)
        {
            if (IsOver)
            {
                LeaveOnce(path);
                return;
            }
            KeyContent content = _reader.Read(key, _withSecurity, true, levels != 0);
            if (content.IsGone)
            {
                return;
            }
            Report(content, path);
            Emit(_entries.OfKey(path, content, _watch), EntryKinds.Key);
            foreach (RegistryValue value in content.Values)
            {
                EmitValue(path, value);
            }
            foreach (string name in content.Subkeys)
            {
                string childPath = path + "\\" + name;
                if (!IsExcluded(childPath, name))
                {
                    Descend(key, name, childPath, levels < 0 ? levels : levels - 1);
                }
            }
        }

        // Of all keys that are left out below a path, the first is named.
        private void LeaveOnce(string path)
        {
            if (!_hasLeft)
            {
                _hasLeft = true;
                Leave(path);
            }
        }

        private void Descend(IRegistryKey key, string name, string path, int levels)
        {
            IRegistryKey child;
            uint status = key.Open(name, false, out child);
            if (status == RegistryStatus.Success)
            {
                using (child)
                {
                    Walk(child, path, levels);
                }
            }
            else if (!RegistryStatus.IsAbsent(status))
            {
                Skip(path, "the key cannot be opened: " + RegistryKeyReader.Describe(status));
            }
        }

        private void EmitValue(string key, RegistryValue value)
        {
            if (!Glob.IsListed(_watch.Include, RegistryPattern.Shown(value.Name)) || _exclusions.Value(key, value.Name))
            {
                return;
            }
            Entry entry = _entries.OfValue(RegistryPattern.ValuePath(key, value.Name), value, _watch);
            if (value.Data == null)
            {
                _coverage.Skip(entry.Shown, "its " + value.Size + " bytes are more than the " +
                    NativeRegistry.LargestValue + " that are read; only its type and size are compared");
            }
            Emit(entry, EntryKinds.Value);
        }

        private void Report(KeyContent content, string path)
        {
            foreach (string problem in content.Problems)
            {
                Skip(path, problem);
            }
        }

        private void Emit(Entry entry, string kind)
        {
            if (_emitted.Add(kind + "\0" + entry.Path))
            {
                _coverage.Examined++;
                _emit(entry);
            }
        }
    }
}
