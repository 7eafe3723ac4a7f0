// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State
{
    /// <summary>
    /// One capability's directory of state: private to SYSTEM and Administrators, locked, and each file replaced as a
    /// whole or not at all. Every method raises StateException.
    /// </summary>
    public sealed class StateDirectory : IDisposable
    {
        public readonly string Path;

        private StateDirectory(string path)
        {
            Path = path;
        }

        /// <summary>Return where state is when state_dir is not set: %ProgramData%\bulwark.</summary>
        public static string DefaultRoot()
        {
            return Environment.GetFolderPath(Environment.SpecialFolder.CommonApplicationData) + "\\bulwark";
        }

        /// <summary>
        /// Open ROOT\CAPABILITY, after verifying owner, DACL and the directories above; null when it does not exist
        /// and <paramref name="create"/> is false.
        /// </summary>
        public static StateDirectory Open(string root, string capability, bool create)
        {
            throw new NotSupportedException(root + capability + create);
        }

        /// <summary>Return the content of a file, null when there is none.</summary>
        public byte[] Read(string name)
        {
            throw new NotSupportedException(name);
        }

        /// <summary>Open a file for reading, null when there is none.</summary>
        public Stream OpenRead(string name)
        {
            throw new NotSupportedException(name);
        }

        /// <summary>Write a file durably; the former content stays when that fails. Needs the lock.</summary>
        public void Write(string name, byte[] content)
        {
            throw new NotSupportedException(name + content.Length);
        }

        /// <summary>
        /// Let <paramref name="write"/> fill what becomes the file, durably, when it returns. Needs the lock.
        /// </summary>
        public void Replace(string name, Action<Stream> write)
        {
            throw new NotSupportedException(name + write);
        }

        /// <summary>Remove a file; return whether it was there.</summary>
        public bool Remove(string name)
        {
            throw new NotSupportedException(name);
        }

        /// <summary>Return the names of the files.</summary>
        public IList<string> Names()
        {
            throw new NotSupportedException();
        }

        /// <summary>Return the names of the files with their last write times (FILETIME).</summary>
        public Dictionary<string, long> Modified()
        {
            throw new NotSupportedException();
        }

        /// <summary>Keep other writers out until the result is disposed; StateException after seconds.</summary>
        public IDisposable Lock(string name, double seconds)
        {
            throw new NotSupportedException(name + seconds);
        }

        public void Dispose()
        {
        }
    }
}
