// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Runtime.InteropServices;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventWriter
{
	/// <summary>Writes events to the log Application.</summary>
	public interface IEventWriter
	{
		/// <summary>
		/// Write an event whose provider is a source that need not be registered; return 0 or a Win32 error.
		/// </summary>
		int Write(string source, int id, string[] texts);
	}

	/// <summary>The log Application of this host.</summary>
	public sealed class NativeEventWriter : IEventWriter
	{
		// EVENTLOG_INFORMATION_TYPE (winnt.h)
		private const int Information = 4;

		// A source that is registered nowhere is one of the log Application:
		// https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-registereventsourcew
		[DllImport("advapi32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern IntPtr RegisterEventSourceW(string server, string source);

		[DllImport("advapi32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern bool ReportEventW(
			IntPtr log, short type, short category, int id, IntPtr sid, short textCount, int dataSize, string[] texts,
			IntPtr data);

		[DllImport("advapi32.dll")]
		private static extern bool DeregisterEventSource(IntPtr log);

		public int Write(string source, int id, string[] texts)
		{
			IntPtr log = RegisterEventSourceW(null, source);
			if (log == IntPtr.Zero)
				return Marshal.GetLastWin32Error();
			int error = ReportEventW(
				log, (short)Information, 0, id, IntPtr.Zero, (short)texts.Length, 0, texts, IntPtr.Zero)
				? 0
				: Marshal.GetLastWin32Error();
			DeregisterEventSource(log);
			return error;
		}
	}
}
