// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Owners
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Watch;

    /// <summary>
    /// Says which watch a path belongs to where several cover it: the one with the most specific path, and of equally
    /// specific ones the later. Paths and keys are compared without case, as Windows does.
    /// </summary>
    public sealed class Owners
    {
        private readonly List<Pattern> _patterns = new List<Pattern>();

        public Owners(IEnumerable<Watch> watches)
        {
            foreach (Watch watch in watches)
            {
                foreach (string path in watch.Paths)
                {
                    Add(watch, Environment.ExpandEnvironmentVariables(path).Replace('/', '\\'));
                }
                foreach (string key in watch.Registry)
                {
                    Add(watch, key.Replace("\\\\", "\\"));
                }
            }
        }

        /// <summary>
        /// Return the name of the watch that a path belongs to, null where none covers it. isLeaf: a file or value, of
        /// which a watch can include some names only.
        /// </summary>
        public string Owner(string path, bool isLeaf = true)
        {
            string[] parts = Split(path);
            Pattern best = null;
            foreach (Pattern pattern in _patterns)
            {
                if ((best == null || pattern.Parts.Length >= best.Parts.Length) && pattern.Covers(parts, isLeaf))
                {
                    best = pattern;
                }
            }
            return best == null ? null : best.Watch.Name;
        }

        private void Add(Watch watch, string pattern)
        {
            _patterns.Add(new Pattern(watch, Split(pattern)));
        }

        private static string[] Split(string path)
        {
            if (path.StartsWith("\\\\?\\", StringComparison.Ordinal))
            {
                path = path.Substring(4);
            }
            return path.TrimEnd('\\').Split('\\');
        }

        /// <summary>Say whether a glob with * and ? matches a name.</summary>
        public static bool Matches(string glob, string name)
        {
            int star = -1;
            int retry = 0;
            int position = 0;
            int index = 0;
            while (index < name.Length)
            {
                char wanted = position < glob.Length ? glob[position] : '\0';
                if (position < glob.Length && wanted == '*')
                {
                    star = position++;
                    retry = index;
                }
                else if (position < glob.Length && (wanted == '?' || Folded(wanted) == Folded(name[index])))
                {
                    position++;
                    index++;
                }
                else if (star >= 0)
                {
                    position = star + 1;
                    index = ++retry;
                }
                else
                {
                    return false;
                }
            }
            while (position < glob.Length && glob[position] == '*')
            {
                position++;
            }
            return position == glob.Length;
        }

        private static char Folded(char character)
        {
            return char.ToUpperInvariant(character);
        }

        private sealed class Pattern
        {
            public readonly Watch Watch;
            public readonly string[] Parts;

            public Pattern(Watch watch, string[] parts)
            {
                Watch = watch;
                Parts = parts;
            }

            public bool Covers(string[] parts, bool isLeaf)
            {
                if (parts.Length < Parts.Length || (Watch.Recurse >= 0 && parts.Length > Parts.Length + Watch.Recurse))
                {
                    return false;
                }
                for (int i = 0; i < Parts.Length; i++)
                {
                    if (!Matches(Parts[i], parts[i]))
                    {
                        return false;
                    }
                }
                return !IsExcluded(parts) && (!isLeaf || IsIncluded(parts));
            }

            private bool IsIncluded(string[] parts)
            {
                bool included = Watch.Include.Count == 0;
                foreach (string glob in Watch.Include)
                {
                    included |= Matches(glob, parts[parts.Length - 1]);
                }
                return included;
            }

            private bool IsExcluded(string[] parts)
            {
                foreach (string glob in Watch.Exclude)
                {
                    bool isPath = glob.IndexOf('\\') >= 0;
                    string whole = isPath ? Environment.ExpandEnvironmentVariables(glob) : null;
                    for (int i = Parts.Length - 1; i < parts.Length; i++)
                    {
                        string name = isPath ? string.Join("\\", parts, 0, i + 1) : parts[i];
                        if (Matches(whole ?? glob, name))
                        {
                            return true;
                        }
                    }
                }
                return false;
            }
        }
    }
}
