// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;
using System.Runtime.InteropServices;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventLog
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventChannels;

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

		/// <summary>The log's file, as Windows expands it.</summary>
		public string Path = "";

		/// <summary>The id of the newest record: they are numbered without a gap. -1 where it is not known.</summary>
		public long Newest
		{
			get { return Count > 0 && Oldest >= 0 ? Oldest + Count - 1 : -1; }
		}
	}

	/// <summary>The event log of a host. Methods that return a number return 0 or a Win32 error.</summary>
	public interface IEventLog
	{
		int Read(string channel, out LogState state);

		/// <summary>Write the records that an XPath query selects to a new file.</summary>
		int Export(string channel, string query, string path);

		/// <summary>Return the archived logs beside a channel's log, the oldest first; IOException.</summary>
		IList<string> Archives(string logPath);

		/// <summary>
		/// Return the .evtx files of a directory and below it, or the path itself if it is a file; IOException.
		/// </summary>
		IList<string> Files(string path);

		/// <summary>Open a log file that others may write; IOException.</summary>
		Stream Open(string path);

		/// <summary>Drives by device, as in "\Device\HarddiskVolume3" and "C:".</summary>
		IDictionary<string, string> Volumes();

		/// <summary>The names that this host has in its own records.</summary>
		IList<string> Names();
	}

	/// <summary>The event log of this host, through wevtapi.dll.</summary>
	public sealed class NativeEventLog : IEventLog
	{
		private const int NotImplemented = 120;
		private const int InvalidData = 13;
		private const int OpenChannelPath = 1;
		private const int ExportChannelPath = 1;

		// EVT_LOG_PROPERTY_ID and EVT_VARIANT_TYPE (winevt.h)
		private const int SizeProperty = 3;
		private const int CountProperty = 5;
		private const int OldestProperty = 6;
		private const uint UInt64Type = 10;
		private const int MostFiles = 10000;
		private const int DnsFullyQualified = 3;

		// https://learn.microsoft.com/windows/win32/api/winevt/nf-winevt-evtopenlog
		[DllImport("wevtapi.dll", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern IntPtr EvtOpenLog(IntPtr session, string path, int flags);

		[DllImport("wevtapi.dll", SetLastError = true)]
		private static extern bool EvtGetLogInfo(
			IntPtr log, int property, int size, out NativeEventChannels.EventVariant value, out int used);

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
			state = null;
			ChannelSettings settings;
			int error = new NativeEventChannels().Read(channel, out settings);
			if (error != 0)
				return error;
			LogState read = new LogState
			{
				IsEnabled = settings.IsEnabled,
				MaxSize = settings.MaxSize,
				IsArchived = settings.AutoBackup,
				IsKept = settings.Retention && !settings.AutoBackup,
				Path = Environment.ExpandEnvironmentVariables(settings.Path ?? ""),
			};
			IntPtr log = EvtOpenLog(IntPtr.Zero, channel, OpenChannelPath);
			if (log == IntPtr.Zero)
				return LastError();
			try
			{
				// Of a log that was never written nothing is known.
				read.FileSize = Math.Max(0, Number(log, SizeProperty));
				read.Count = Number(log, CountProperty);
				read.Oldest = Number(log, OldestProperty);
			}
			finally
			{
				EvtClose(log);
			}
			state = read;
			return 0;
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

		public IList<string> Archives(string logPath)
		{
			string directory = Path.GetDirectoryName(logPath);
			string name = Path.GetFileNameWithoutExtension(logPath);
			List<string> files = new List<string>();
			if (string.IsNullOrEmpty(directory) || !Directory.Exists(directory))
				return files;
			// "Archive-Security-2026-01-31-13-59-59-999.evtx": the order of the names is that of time.
			files.AddRange(Directory.GetFiles(directory, "Archive-" + name + "-*.evtx"));
			files.Sort(StringComparer.OrdinalIgnoreCase);
			return files;
		}

		public IList<string> Files(string path)
		{
			List<string> files = new List<string>();
			if (!Directory.Exists(path))
			{
				files.Add(path);
				return files;
			}
			Stack<string> waiting = new Stack<string>();
			waiting.Push(path);
			while (waiting.Count > 0 && files.Count < MostFiles)
			{
				string directory = waiting.Pop();
				files.AddRange(Directory.GetFiles(directory, "*.evtx"));
				foreach (string below in Directory.GetDirectories(directory))
				{
					// A junction may lead back up.
					if ((File.GetAttributes(below) & FileAttributes.ReparsePoint) == 0)
						waiting.Push(below);
				}
			}
			files.Sort(StringComparer.OrdinalIgnoreCase);
			return files;
		}

		public Stream Open(string path)
		{
			return new FileStream(
				path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1 << 16);
		}

		public IDictionary<string, string> Volumes()
		{
			Dictionary<string, string> volumes = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
			char[] target = new char[1024];
			for (char letter = 'A'; letter <= 'Z'; letter++)
			{
				if (QueryDosDevice(letter + ":", target, target.Length) == 0)
					continue;
				volumes[new string(target, 0, Array.IndexOf(target, '\0'))] = letter + ":";
			}
			return volumes;
		}

		public IList<string> Names()
		{
			List<string> names = new List<string> { Environment.MachineName };
			StringBuilder name = new StringBuilder(1024);
			int size = name.Capacity;
			if (GetComputerNameEx(DnsFullyQualified, name, ref size))
				names.Add(name.ToString());
			return names;
		}

		// -1 for what is not known.
		private static long Number(IntPtr log, int property)
		{
			NativeEventChannels.EventVariant value;
			int used;
			bool isRead = EvtGetLogInfo(
				log, property, Marshal.SizeOf(typeof(NativeEventChannels.EventVariant)), out value, out used);
			return isRead && value.Type == UInt64Type ? (long)value.Value : -1;
		}

		// A stub fails without an error.
		private static int LastError()
		{
			int error = Marshal.GetLastWin32Error();
			return error == 0 ? NotImplemented : error;
		}
	}

	/// <summary>Errors of the event log as sentences.</summary>
	public static class EventLogErrors
	{
		private const int AccessDenied = 5;
		private const int ChannelNotFound = 15007;
		private const int InvalidQuery = 15001;
		private const int FilterTooComplex = 15026;
		private const int ServiceNotActive = 1062;
		private const int ServerUnavailable = 1722;
		private const int CallFailed = 1726;
		private const int CallFailedNotExecuted = 1727;
		private const int EndpointNotRegistered = 1753;

		/// <summary>Say whether the host has no such channel.</summary>
		public static bool IsNotFound(int error)
		{
			return error == ChannelNotFound;
		}

		/// <summary>Say whether the service of the event log does not run.</summary>
		public static bool IsStopped(int error)
		{
			return error == ServiceNotActive || error == ServerUnavailable || error == CallFailed ||
				error == CallFailedNotExecuted || error == EndpointNotRegistered;
		}

		/// <summary>Say whether Windows refuses a query, as one with many conditions.</summary>
		public static bool IsTooComplex(int error)
		{
			return error == InvalidQuery || error == FilterTooComplex;
		}

		public static string Describe(int error)
		{
			if (IsNotFound(error))
				return "the host has no such channel";
			if (IsStopped(error))
				return "the service Windows Event Log (EventLog) does not run";
			if (error == AccessDenied)
				return "access is denied: connect as an administrator";
			return new System.ComponentModel.Win32Exception(error).Message.TrimEnd('.', ' ') + " (error " + error + ")";
		}
	}
}
