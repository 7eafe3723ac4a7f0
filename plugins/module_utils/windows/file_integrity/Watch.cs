// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Watch
{
    /// <summary>
    /// One watch as the user or the collection defines it; the options of win_file_integrity say more.
    /// </summary>
    public sealed class Watch
    {
        /// <summary>Also the coverage scope.</summary>
        public string Name;

        /// <summary>Files and directories: globs with environment variables (%SystemRoot%) not yet replaced.</summary>
        public IList<string> Paths = new List<string>();

        /// <summary>Registry keys: globs as Sysmon writes keys (HKLM\KEY, HKU\*\KEY); KEY\\NAME is one value.</summary>
        public IList<string> Registry = new List<string>();

        /// <summary>Globs of paths, keys or bare names that are left out.</summary>
        public IList<string> Exclude = new List<string>();

        /// <summary>Globs of names; when given, only files and values with such a name are part of the watch.</summary>
        public IList<string> Include = new List<string>();

        /// <summary>Levels below each path or key, -1 for all.</summary>
        public int Recurse = -1;

        /// <summary>Names of attributes to record, null for all. "content" stands for sha256 and data.</summary>
        public HashSet<string> Attributes;

        /// <summary>
        /// program, local_program, library, persistence, account, defence, configuration, state, other.
        /// </summary>
        public string Category = "other";

        /// <summary>The alert of the catalogue for unexplained changes; null for the generic ones.</summary>
        public string Alert;

        /// <summary>The severity of <see cref="Alert"/>; null for medium.</summary>
        public string Severity;

        /// <summary>ATT&amp;CK ids that every alert of the watch carries in addition.</summary>
        public IList<string> Techniques = new List<string>();

        /// <summary>Say whether the watch records an attribute; sha256 and data are "content".</summary>
        public bool Records(string attribute)
        {
            if (Attributes == null)
            {
                return true;
            }
            return Attributes.Contains(attribute == "sha256" || attribute == "data" ? "content" : attribute);
        }
    }

    /// <summary>Globs of one name, with * and ? for characters. Case does not matter, as in Windows.</summary>
    public static class Glob
    {
        private static readonly char[] Wildcards = { '*', '?' };

        /// <summary>Say whether a text has characters that stand for others.</summary>
        public static bool IsGlob(string text)
        {
            return text.IndexOfAny(Wildcards) >= 0;
        }

        /// <summary>Say whether a name matches a glob.</summary>
        public static bool Matches(string glob, string name)
        {
            int star = -1;
            int retry = 0;
            int position = 0;
            int index = 0;
            while (index < name.Length)
            {
                if (position < glob.Length && glob[position] == '*')
                {
                    star = position++;
                    retry = index;
                }
                else if (position < glob.Length && (glob[position] == '?' || IsSame(glob[position], name[index])))
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

        /// <summary>Say whether one of the globs matches, or there is none.</summary>
        public static bool IsListed(ICollection<string> globs, string name)
        {
            bool isListed = globs == null || globs.Count == 0;
            foreach (string glob in globs ?? new string[0])
            {
                isListed = isListed || Matches(glob, name);
            }
            return isListed;
        }

        private static bool IsSame(char left, char right)
        {
            return left == right || char.ToUpperInvariant(left) == char.ToUpperInvariant(right);
        }
    }
}
