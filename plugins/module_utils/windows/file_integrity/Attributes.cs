// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Attributes
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Entry;

    /// <summary>Which attributes of two entries differ, and which state a change is about.</summary>
    public static class Attributes
    {
        public const string Content = "content";

        // What follows from a change of the entries below, which are reported themselves.
        private static readonly HashSet<string> NoiseOfContainers = new HashSet<string>
        {
            "mtime", "size", "links", "last_write", "file_id"
        };

        // Of another type in the registry, the data that is shown is another one, too.
        private static readonly HashSet<string> OfContent = new HashSet<string>
        {
            "sha256", "data", "code_sha256"
        };

        // What is only recorded where there is one: without it before, it is new.
        private static readonly string[] Redirections = { "link", "reparse" };

        /// <summary>
        /// Return the names that differ, sorted; "content" stands for digest and data. What one side does not know is
        /// not compared, except for a link or reparse point that appears.
        /// </summary>
        public static string[] Differing(Entry before, Entry after)
        {
            SortedDictionary<string, bool> names = new SortedDictionary<string, bool>(StringComparer.Ordinal);
            foreach (KeyValuePair<string, object> attribute in before.Attributes)
            {
                object now;
                if (IsNoise(after, attribute.Key) || !after.Attributes.TryGetValue(attribute.Key, out now))
                {
                    continue;
                }
                if (!Same(attribute.Value, now))
                {
                    names[Shown(attribute.Key)] = true;
                }
            }
            foreach (string name in Redirections)
            {
                if (after.Attributes.ContainsKey(name) && !before.Attributes.ContainsKey(name))
                {
                    names[name] = true;
                }
            }
            string[] differing = new string[names.Count];
            names.Keys.CopyTo(differing, 0);
            return differing;
        }

        /// <summary>Return the state of an entry as text: equal for equal states. Null for what is gone.</summary>
        public static string State(Entry entry)
        {
            if (entry == null)
            {
                return null;
            }
            Dictionary<string, object> attributes = new Dictionary<string, object>();
            foreach (KeyValuePair<string, object> attribute in entry.Attributes)
            {
                if (!IsNoise(entry, attribute.Key))
                {
                    attributes[attribute.Key] = attribute.Value;
                }
            }
            return entry.Kind + " " + Json.Write(attributes);
        }

        /// <summary>Return what two records of one path know together; what now has wins nothing that before has.
        /// </summary>
        public static Entry Completed(Entry before, Entry now)
        {
            if (before.Kind != now.Kind)
            {
                return before;
            }
            Dictionary<string, object> attributes = new Dictionary<string, object>(now.Attributes);
            foreach (KeyValuePair<string, object> attribute in before.Attributes)
            {
                attributes[attribute.Key] = attribute.Value;
            }
            return new Entry(before.Kind, before.Path, attributes);
        }

        private static bool IsNoise(Entry entry, string name)
        {
            return (entry.Kind == EntryKinds.Directory || entry.Kind == EntryKinds.Key)
                && NoiseOfContainers.Contains(name);
        }

        private static string Shown(string name)
        {
            return OfContent.Contains(name) ? Content : name;
        }

        private static bool Same(object one, object other)
        {
            return Equals(one, other) || Json.Write(one) == Json.Write(other);
        }
    }
}
