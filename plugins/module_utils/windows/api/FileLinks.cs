// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.FileLinks
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files;

	/// <summary>The names of files.</summary>
	public interface IFileLinks
	{
		/// <summary>Add all names of a file, without the drive; returns 0 or a Win32 error.</summary>
		int List(string path, ICollection<string> names);
	}

	/// <summary>Hard links through FindFirstFileNameW.</summary>
	public sealed class NativeFileLinks : IFileLinks
	{
		private const int Longest = 32768;
		private const int HandleEof = 38;
		private const int NotImplemented = 120;

		private static readonly IntPtr Invalid = new IntPtr(-1);

		[DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern IntPtr FindFirstFileNameW(string path, int flags, ref int length, StringBuilder name);

		[DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern bool FindNextFileNameW(IntPtr find, ref int length, StringBuilder name);

		[DllImport("kernel32.dll")]
		private static extern bool FindClose(IntPtr find);

		public int List(string path, ICollection<string> names)
		{
			StringBuilder name = new StringBuilder(Longest);
			int length = Longest;
			IntPtr find;
			IOpenFile held;
			int problem = NativeFiles.Follow(path, out held);
			if (problem != 0)
			{
				return problem;
			}
			// While it is open, nobody gets an oplock that the next call would wait for.
			using (held)
			{
				try
				{
					find = FindFirstFileNameW(@"\\?\" + path, 0, ref length, name);
				}
				catch (EntryPointNotFoundException)
				{
					return NotImplemented;
				}
				if (find == Invalid)
				{
					return Marshal.GetLastWin32Error();
				}
			}
			try
			{
				do
				{
					names.Add(name.ToString());
					length = Longest;
				}
				while (FindNextFileNameW(find, ref length, name));
				int error = Marshal.GetLastWin32Error();
				return error == HandleEof ? 0 : error;
			}
			finally
			{
				FindClose(find);
			}
		}
	}
}
