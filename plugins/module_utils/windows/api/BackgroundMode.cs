// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Runtime.InteropServices;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.BackgroundMode
{
	/// <summary>
	/// Until it is disposed, this thread gives way to others: low priority of processor, disk and memory. The mode of
	/// the whole process would also keep it in 32 MiB of memory, which makes it slow.
	/// </summary>
	public sealed class BackgroundMode : IDisposable
	{
		// THREAD_MODE_BACKGROUND_BEGIN and _END (winbase.h).
		private const int Begin = 0x00010000;
		private const int End = 0x00020000;

		private readonly bool _isOn;

		[DllImport("kernel32.dll")]
		private static extern IntPtr GetCurrentThread();

		[DllImport("kernel32.dll")]
		private static extern bool SetThreadPriority(IntPtr thread, int priority);

		public BackgroundMode()
		{
			// It fails where it is on already, which then stays so.
			_isOn = SetThreadPriority(GetCurrentThread(), Begin);
		}

		public void Dispose()
		{
			if (_isOn)
			{
				SetThreadPriority(GetCurrentThread(), End);
			}
		}
	}
}
