// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Entry
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;

    /// <summary>The kinds that an <see cref="Entry"/> can have.</summary>
    public static class EntryKinds
    {
        public const string File = "file";
        public const string Directory = "directory";

        /// <summary>A reparse point that names another path: a symbolic link, a junction or a mount point.</summary>
        public const string Link = "link";
        public const string Key = "key";
        public const string Value = "value";
    }

    /// <summary>One file, directory, registry key or value as it was recorded or is now.</summary>
    public sealed class Entry
    {
        public readonly string Kind;

        /// <summary>The raw path. Registry paths are as Sysmon writes them: HKLM\KEY, HKU\SID\KEY, KEY\VALUE.</summary>
        public readonly string Path;

        /// <summary>JSON values by name. An attribute that is not known is missing and is never compared.</summary>
        public readonly Dictionary<string, object> Attributes;

        public Entry(string kind, string path, Dictionary<string, object> attributes)
        {
            Kind = kind;
            Path = path;
            Attributes = attributes;
        }

        /// <summary>Return a text attribute, null where it is not known.</summary>
        public string Text(string name)
        {
            object value;
            return Attributes.TryGetValue(name, out value) ? value as string : null;
        }

        /// <summary>Return a number, null where it is not known.</summary>
        public long? Number(string name)
        {
            object value;
            return Attributes.TryGetValue(name, out value) && value is long ? (long?)(long)value : null;
        }

        /// <summary>The path for people and findings; what a value's name has escaped stays as it is.</summary>
        public string Shown
        {
            get
            {
                int end = Kind == EntryKinds.Value ? Path.LastIndexOf('\\') + 1 : Path.Length;
                return Printable.ShowPath(Path.Substring(0, end)) + Again(Path.Substring(end));
            }
        }

        /// <summary>Escape what is not escaped yet.</summary>
        public static string Again(string shown)
        {
            return Printable.ShowPath(shown).Replace("<U+003C>U+", "<U+");
        }

        /// <summary>Say whether this is a key or a value of the registry.</summary>
        public bool IsRegistry
        {
            get { return Kind == EntryKinds.Key || Kind == EntryKinds.Value; }
        }
    }
}
