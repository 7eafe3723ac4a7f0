// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventLog
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventApi;

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
		// EVT_OPEN_LOG_FLAGS and EVT_EXPORTLOG_FLAGS (winevt.h)
		private const int OpenChannelPath = 1;
		private const int ExportChannelPath = 1;

		// EVT_LOG_PROPERTY_ID
		private const int SizeProperty = 3;
		private const int CountProperty = 5;
		private const int OldestProperty = 6;

		private const int DnsFullyQualified = 3;
		private const int LongestName = 1024;

		// https://learn.microsoft.com/windows/win32/api/winevt/nf-winevt-evtopenlog
		[DllImport("wevtapi.dll", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern IntPtr EvtOpenLog(IntPtr session, string path, int flags);

		[DllImport("wevtapi.dll", SetLastError = true)]
		private static extern bool EvtGetLogInfo(IntPtr log, int property, int size, IntPtr buffer, out int used);

		// https://learn.microsoft.com/windows/win32/api/winevt/nf-winevt-evtexportlog
		[DllImport("wevtapi.dll", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern bool EvtExportLog(IntPtr session, string path, string query, string target, int flags);

		[DllImport("kernel32.dll", EntryPoint = "QueryDosDeviceW", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern int QueryDosDevice(string name, [Out] char[] target, int length);

		[DllImport("kernel32.dll", EntryPoint = "GetComputerNameExW", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern bool GetComputerNameEx(int kind, StringBuilder name, ref int size);

		public int Read(string channel, out LogState state)
		{
			LogState read = new LogState();
			state = null;
			int error = EventApi.WithChannel(channel, delegate(IntPtr handle)
			{
				object[] values;
				int failure = EventApi.GetOfChannel(handle, out values, EventApi.EnabledProperty, EventApi.RetentionProperty,
					EventApi.AutoBackupProperty, EventApi.MaxSizeProperty, EventApi.PathProperty);
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
			error = EventApi.With(() => EvtOpenLog(IntPtr.Zero, channel, OpenChannelPath), delegate(IntPtr handle)
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
				return EvtExportLog(IntPtr.Zero, channel, query, path, ExportChannelPath) ? 0 : EventApi.LastError();
			}
			catch (EntryPointNotFoundException)
			{
				return EventApi.NotImplemented;
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

		// -1 for what is not known.
		private static long Number(IntPtr log, int property)
		{
			EventApi.GetProperty get = delegate(int wanted, int size, IntPtr buffer, out int used)
			{
				return EvtGetLogInfo(log, wanted, size, buffer, out used);
			};
			object[] values;
			return EventApi.Get(get, out values, property) == 0 ? values[0] as long? ?? -1 : -1;
		}
	}
}
