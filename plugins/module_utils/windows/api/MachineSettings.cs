// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.MachineSettings
{
	/// <summary>
	/// Values below HKEY_LOCAL_MACHINE, in the 64-bit view. Methods return 0 or a Win32 error: 2 without the key or
	/// value.
	/// </summary>
	public interface IMachineSettings
	{
		/// <summary>
		/// Return the path, in the 64-bit view, of the key that programs mean by a path: 32-bit ones mean one below
		/// WOW6432Node, unless both share it. The key itself need not exist.
		/// </summary>
		int Resolve(string key, bool is32Bit, out string path);

		/// <summary>Return the names of the subkeys; none without the key.</summary>
		int Subkeys(string key, out IList<string> names);

		/// <summary>Return type (REG_SZ is 1) and data of a value, both 0 and null without it; name null asks for the
		/// key alone.</summary>
		int Read(string key, string name, out uint type, out byte[] data);

		/// <summary>Write a value, and make its key if need be.</summary>
		int Write(string key, string name, uint type, byte[] data);

		/// <summary>Delete a value.</summary>
		int DeleteValue(string key, string name);

		/// <summary>Delete a key that has neither values nor subkeys; ERROR_DIR_NOT_EMPTY (145) for others.</summary>
		int DeleteEmptyKey(string key);
	}

	/// <summary>The registry of this host, through advapi32.dll.</summary>
	public sealed class NativeMachineSettings : IMachineSettings
	{
		private const int FileNotFound = 2;
		private const int MoreData = 234;
		private const int NoMoreItems = 259;
		private const int NotEmpty = 145;
		private const uint View64 = 0x100;
		private const uint View32 = 0x200;
		private const uint ReadAccess = 0x20019;
		private const uint WriteAccess = 0x2001F;
		private const int LongestName = 256;
		private const int MostBytes = 1 << 20;

		// KEY_INFORMATION_CLASS (wdm.h). KEY_NAME_INFORMATION is a ULONG, the length of the name in bytes, and the name.
		private const int KeyNameInformation = 3;
		private const string Machine = @"\REGISTRY\MACHINE\";

		private static readonly IntPtr LocalMachine = new IntPtr(unchecked((int)0x80000002));

		[DllImport("advapi32.dll", CharSet = CharSet.Unicode)]
		private static extern int RegOpenKeyExW(IntPtr root, string path, int options, uint access, out IntPtr key);

		[DllImport("advapi32.dll", CharSet = CharSet.Unicode)]
		private static extern int RegCreateKeyExW(
			IntPtr root, string path, int reserved, string name, int options, uint access, IntPtr security,
			out IntPtr key, out uint disposition);

		[DllImport("advapi32.dll", CharSet = CharSet.Unicode)]
		private static extern int RegQueryValueExW(
			IntPtr key, string name, IntPtr reserved, out uint type, byte[] data, ref int size);

		[DllImport("advapi32.dll", CharSet = CharSet.Unicode)]
		private static extern int RegSetValueExW(
			IntPtr key, string name, int reserved, uint type, byte[] data, int size);

		[DllImport("advapi32.dll", CharSet = CharSet.Unicode)]
		private static extern int RegDeleteValueW(IntPtr key, string name);

		[DllImport("advapi32.dll", CharSet = CharSet.Unicode)]
		private static extern int RegDeleteKeyExW(IntPtr root, string path, uint view, int reserved);

		[DllImport("advapi32.dll", CharSet = CharSet.Unicode)]
		private static extern int RegEnumKeyExW(
			IntPtr key, int index, StringBuilder name, ref int length, IntPtr reserved, IntPtr kind, IntPtr kindLength,
			IntPtr written);

		[DllImport("advapi32.dll")]
		private static extern int RegQueryInfoKeyW(
			IntPtr key, IntPtr kind, IntPtr kindLength, IntPtr reserved, out int subkeys, IntPtr longest,
			IntPtr longestKind, out int values, IntPtr longestValue, IntPtr longestData, IntPtr security,
			IntPtr written);

		[DllImport("advapi32.dll")]
		private static extern int RegCloseKey(IntPtr key);

		[DllImport("ntdll.dll")]
		private static extern uint NtQueryKey(IntPtr handle, int kind, byte[] data, int length, out int needed);

		[DllImport("ntdll.dll")]
		private static extern int RtlNtStatusToDosError(uint status);

		public int Resolve(string key, bool is32Bit, out string path)
		{
			path = null;
			string existing = key;
			while (true)
			{
				IntPtr handle;
				uint view = is32Bit ? View32 : View64;
				int error = RegOpenKeyExW(LocalMachine, existing, 0, ReadAccess | view, out handle);
				if (error == 0)
				{
					string name;
					error = FullName(handle, out name);
					RegCloseKey(handle);
					if (error == 0 && name.StartsWith(Machine, StringComparison.OrdinalIgnoreCase))
						path = name.Substring(Machine.Length) + key.Substring(existing.Length);
					return error == 0 && path == null ? FileNotFound : error;
				}
				int parent = existing.LastIndexOf('\\');
				if (error != FileNotFound || parent < 0)
					return error;
				existing = existing.Substring(0, parent);
			}
		}

		public int Subkeys(string key, out IList<string> names)
		{
			List<string> read = new List<string>();
			names = read;
			int error = With(key, ReadAccess, delegate(IntPtr handle)
			{
				for (int index = 0; ; index++)
				{
					StringBuilder name = new StringBuilder(LongestName);
					int length = name.Capacity;
					int failure = RegEnumKeyExW(
						handle, index, name, ref length, IntPtr.Zero, IntPtr.Zero, IntPtr.Zero, IntPtr.Zero);
					if (failure != 0)
						return failure == NoMoreItems ? 0 : failure;
					read.Add(name.ToString());
				}
			});
			return error == FileNotFound ? 0 : error;
		}

		public int Read(string key, string name, out uint type, out byte[] data)
		{
			uint readType = 0;
			byte[] readData = null;
			int error = With(key, ReadAccess, delegate(IntPtr handle)
			{
				if (name == null)
					return 0;
				byte[] buffer = new byte[256];
				while (true)
				{
					int size = buffer.Length;
					int failure = RegQueryValueExW(handle, name, IntPtr.Zero, out readType, buffer, ref size);
					if (failure == MoreData && size > buffer.Length && size <= MostBytes)
					{
						buffer = new byte[size];
						continue;
					}
					if (failure == 0)
					{
						readData = new byte[size];
						Buffer.BlockCopy(buffer, 0, readData, 0, size);
					}
					return failure;
				}
			});
			type = error == 0 ? readType : 0;
			data = error == 0 ? readData : null;
			return error;
		}

		public int Write(string key, string name, uint type, byte[] data)
		{
			IntPtr handle;
			uint made;
			int error = RegCreateKeyExW(
				LocalMachine, key, 0, null, 0, WriteAccess | View64, IntPtr.Zero, out handle, out made);
			if (error != 0)
				return error;
			error = RegSetValueExW(handle, name, 0, type, data, data.Length);
			RegCloseKey(handle);
			return error;
		}

		public int DeleteValue(string key, string name)
		{
			return With(key, WriteAccess, delegate(IntPtr handle) { return RegDeleteValueW(handle, name); });
		}

		public int DeleteEmptyKey(string key)
		{
			int error = With(key, ReadAccess, delegate(IntPtr handle)
			{
				int subkeys;
				int values;
				int failure = RegQueryInfoKeyW(
					handle, IntPtr.Zero, IntPtr.Zero, IntPtr.Zero, out subkeys, IntPtr.Zero, IntPtr.Zero, out values,
					IntPtr.Zero, IntPtr.Zero, IntPtr.Zero, IntPtr.Zero);
				return failure == 0 && subkeys + values > 0 ? NotEmpty : failure;
			});
			return error == 0 ? RegDeleteKeyExW(LocalMachine, key, View64, 0) : error;
		}

		private static int With(string key, uint access, Func<IntPtr, int> action)
		{
			IntPtr handle;
			int error = RegOpenKeyExW(LocalMachine, key, 0, access | View64, out handle);
			if (error != 0)
				return error;
			try
			{
				return action(handle);
			}
			finally
			{
				RegCloseKey(handle);
			}
		}

		private static int FullName(IntPtr handle, out string name)
		{
			byte[] buffer = new byte[2048];
			int needed;
			name = null;
			uint status = NtQueryKey(handle, KeyNameInformation, buffer, buffer.Length, out needed);
			if (status != 0)
				return RtlNtStatusToDosError(status);
			name = Encoding.Unicode.GetString(buffer, sizeof(uint), BitConverter.ToInt32(buffer, 0));
			return 0;
		}
	}
}
