// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.IStateFiles
{
	/// <summary>
	/// The calls of Windows that state needs, by absolute paths. <c>windows/api/StateFiles.cs</c> makes them; tests
	/// have plain files. Errors are IOException, UnauthorizedAccessException or Win32Exception.
	/// </summary>
	public interface IStateFiles
	{
		/// <summary>The SID of the account that runs this.</summary>
		string UserSid { get; }

		/// <summary>
		/// Open a directory, or the reparse point of that name, so that nobody can rename or delete it; null when there
		/// is none.
		/// </summary>
		IStateDirectoryHandle OpenDirectory(string path);

		/// <summary>
		/// Make a directory that only SYSTEM and Administrators may use, from its first moment on; false when the name
		/// exists.
		/// </summary>
		bool CreateDirectory(string path);

		/// <summary>
		/// Open a file for reading, or the reparse point of that name. attributes is 0 and the result null when there
		/// is none; the result is null for what is no regular file.
		/// </summary>
		Stream OpenRead(string path, out FileAttributes attributes);

		/// <summary>Make a file for writing; an error when the name exists.</summary>
		FileStream CreateNew(string path);

		/// <summary>Give a file the name of another one, which it replaces as a whole, and wait for the disk.</summary>
		void Replace(string source, string target);

		/// <summary>Delete a file; false when there is none.</summary>
		bool Delete(string path);

		/// <summary>Open a file, made if need be, for this process alone; null while another one has it.</summary>
		IDisposable TryLock(string path);

		/// <summary>Return the files of a directory with their last write times (FILETIME).</summary>
		Dictionary<string, long> List(string path);
	}

	/// <summary>An open directory.</summary>
	public interface IStateDirectoryHandle : IDisposable
	{
		FileAttributes Attributes { get; }

		/// <summary>The path that the handle really leads to, as C:\ProgramData\bulwark.</summary>
		string FinalPath { get; }

		/// <summary>Owner and DACL, self-relative ([MS-DTYP] 2.4.6).</summary>
		byte[] Descriptor { get; }
	}
}
