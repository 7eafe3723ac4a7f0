// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventLog
{
	/// <summary>How a channel's log is at a time.</summary>
	public sealed class LogState
	{
		public bool IsEnabled = true;

		/// <summary>In bytes: what the file may grow to, and what it has.</summary>
		public long MaxSize;
		public long FileSize;

		/// <summary>Whether a full log is archived, and another one begun.</summary>
		public bool IsArchived;

		/// <summary>Whether a full log takes no new events.</summary>
		public bool IsKept;

		/// <summary>How many records there are, and the id of the oldest; -1 where Windows does not say it.</summary>
		public long Count = -1;
		public long Oldest = -1;

		/// <summary>The log's file.</summary>
		public string Path = "";
	}

	/// <summary>The event log of a host.</summary>
	public interface IEventLog
	{
		/// <summary>Read the state of a channel's log; return 0 or a Win32 error.</summary>
		int Read(string channel, out LogState state);

		/// <summary>Write the records that an XPath query selects to a new file; return 0 or a Win32 error.</summary>
		int Export(string channel, string query, string path);

		/// <summary>Return drives by device, as in "\Device\HarddiskVolume3" and "C:".</summary>
		IDictionary<string, string> Volumes();

		/// <summary>Return the names that this host has in its own records.</summary>
		IList<string> Names();
	}

	/// <summary>The event log of this host, through wevtapi.dll.</summary>
	public sealed class NativeEventLog : IEventLog
	{
		private const int NotImplemented = 120;
		private const int InsufficientBuffer = 122;
		private const int InvalidData = 13;
		private const int MostBytes = 1 << 20;

		// EVT_OPEN_LOG_FLAGS and EVT_EXPORTLOG_FLAGS (winevt.h)
		private const int OpenChannelPath = 1;
		private const int ExportChannelPath = 1;

		// EVT_CHANNEL_CONFIG_PROPERTY_ID
		private const int EnabledProperty = 0;
		private const int RetentionProperty = 6;
		private const int AutoBackupProperty = 7;
		private const int MaxSizeProperty = 8;
		private const int PathProperty = 9;

		// EVT_LOG_PROPERTY_ID
		private const int SizeProperty = 3;
		private const int CountProperty = 5;
		private const int OldestProperty = 6;

		// EVT_VARIANT and EVT_VARIANT_TYPE
		private const int VariantSize = 16;
		private const int VariantType = 12;
		private const int StringType = 1;
		private const int UInt64Type = 10;
		private const int BooleanType = 13;

		private const int DnsFullyQualified = 3;
		private const int LongestName = 1024;

		private delegate bool GetProperty(int property, int size, IntPtr buffer, out int used);

		// https://learn.microsoft.com/windows/win32/api/winevt/nf-winevt-evtopenchannelconfig
		[DllImport("wevtapi.dll", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern IntPtr EvtOpenChannelConfig(IntPtr session, string path, int flags);

		[DllImport("wevtapi.dll", SetLastError = true)]
		private static extern bool EvtGetChannelConfigProperty(
			IntPtr channel, int property, int flags, int size, IntPtr buffer, out int used);

		// https://learn.microsoft.com/windows/win32/api/winevt/nf-winevt-evtopenlog
		[DllImport("wevtapi.dll", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern IntPtr EvtOpenLog(IntPtr session, string path, int flags);

		[DllImport("wevtapi.dll", SetLastError = true)]
		private static extern bool EvtGetLogInfo(IntPtr log, int property, int size, IntPtr buffer, out int used);

		// https://learn.microsoft.com/windows/win32/api/winevt/nf-winevt-evtexportlog
		[DllImport("wevtapi.dll", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern bool EvtExportLog(IntPtr session, string path, string query, string target, int flags);

		[DllImport("wevtapi.dll")]
		private static extern bool EvtClose(IntPtr handle);

		[DllImport("kernel32.dll", EntryPoint = "QueryDosDeviceW", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern int QueryDosDevice(string name, [Out] char[] target, int length);

		[DllImport("kernel32.dll", EntryPoint = "GetComputerNameExW", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern bool GetComputerNameEx(int kind, StringBuilder name, ref int size);

		public int Read(string channel, out LogState state)
		{
			LogState read = new LogState();
			state = null;
			int error = With(() => EvtOpenChannelConfig(IntPtr.Zero, channel, 0), delegate(IntPtr handle)
			{
				GetProperty get = delegate(int property, int size, IntPtr buffer, out int used)
				{
					return EvtGetChannelConfigProperty(handle, property, 0, size, buffer, out used);
				};
				object[] values;
				int failure = Get(get, out values,
					EnabledProperty, RetentionProperty, AutoBackupProperty, MaxSizeProperty, PathProperty);
				if (failure != 0)
					return failure;
				read.IsEnabled = true.Equals(values[0]);
				read.IsArchived = true.Equals(values[2]);
				read.IsKept = true.Equals(values[1]) && !read.IsArchived;
				read.MaxSize = values[3] as long? ?? 0;
				read.Path = Environment.ExpandEnvironmentVariables(values[4] as string ?? "");
				return 0;
			});
			if (error != 0)
				return error;
			error = With(() => EvtOpenLog(IntPtr.Zero, channel, OpenChannelPath), delegate(IntPtr handle)
			{
				// Of a log that was never written nothing is known.
				read.FileSize = Math.Max(0, Number(handle, SizeProperty));
				read.Count = Number(handle, CountProperty);
				read.Oldest = Number(handle, OldestProperty);
				return 0;
			});
			state = error == 0 ? read : null;
			return error;
		}

		public int Export(string channel, string query, string path)
		{
			try
			{
				return EvtExportLog(IntPtr.Zero, channel, query, path, ExportChannelPath) ? 0 : LastError();
			}
			catch (EntryPointNotFoundException)
			{
				return NotImplemented;
			}
		}

		public IDictionary<string, string> Volumes()
		{
			Dictionary<string, string> volumes = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
			char[] target = new char[LongestName];
			for (char letter = 'A'; letter <= 'Z'; letter++)
			{
				if (QueryDosDevice(letter + ":", target, target.Length) > 0)
					volumes[new string(target, 0, Array.IndexOf(target, '\0'))] = letter + ":";
			}
			return volumes;
		}

		public IList<string> Names()
		{
			List<string> names = new List<string> { Environment.MachineName };
			StringBuilder name = new StringBuilder(LongestName);
			int size = name.Capacity;
			if (GetComputerNameEx(DnsFullyQualified, name, ref size))
				names.Add(name.ToString());
			return names;
		}

		private static int With(Func<IntPtr> open, Func<IntPtr, int> use)
		{
			IntPtr handle = IntPtr.Zero;
			try
			{
				handle = open();
				return handle == IntPtr.Zero ? LastError() : use(handle);
			}
			catch (EntryPointNotFoundException)
			{
				return NotImplemented;
			}
			finally
			{
				if (handle != IntPtr.Zero)
					EvtClose(handle);
			}
		}

		// -1 for what is not known.
		private static long Number(IntPtr log, int property)
		{
			GetProperty get = delegate(int wanted, int size, IntPtr buffer, out int used)
			{
				return EvtGetLogInfo(log, wanted, size, buffer, out used);
			};
			object[] values;
			return Get(get, out values, property) == 0 ? values[0] as long? ?? -1 : -1;
		}

		// Of variants: text, long and bool; null for others.
		private static int Get(GetProperty get, out object[] values, params int[] properties)
		{
			values = new object[properties.Length];
			for (int index = 0; index < properties.Length; index++)
			{
				int error = Get(get, properties[index], out values[index]);
				if (error != 0)
					return error;
			}
			return 0;
		}

		private static int Get(GetProperty get, int property, out object value)
		{
			value = null;
			int size = LongestName;
			while (true)
			{
				IntPtr buffer = Marshal.AllocHGlobal(size);
				try
				{
					int used;
					if (get(property, size, buffer, out used))
					{
						value = used < VariantSize ? null : Value(buffer);
						return value == null ? InvalidData : 0;
					}
					int error = LastError();
					if (error != InsufficientBuffer || used <= size || used > MostBytes)
						return error;
					size = used;
				}
				finally
				{
					Marshal.FreeHGlobal(buffer);
				}
			}
		}

		private static object Value(IntPtr variant)
		{
			switch (Marshal.ReadInt32(variant, VariantType))
			{
				case StringType:
					return Marshal.PtrToStringUni(Marshal.ReadIntPtr(variant));
				case UInt64Type:
					return Marshal.ReadInt64(variant);
				case BooleanType:
					return Marshal.ReadInt32(variant) != 0;
				default:
					return null;
			}
		}

		// A stub fails without an error.
		private static int LastError()
		{
			int error = Marshal.GetLastWin32Error();
			return error == 0 ? NotImplemented : error;
		}
	}
}
