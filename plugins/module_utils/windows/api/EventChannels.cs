// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Runtime.InteropServices;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventChannels
{
	/// <summary>The configuration of a channel of the event log.</summary>
	public sealed class ChannelSettings
	{
		public bool IsEnabled;

		/// <summary>EVT_CHANNEL_TYPE: 0 admin, 1 operational, 2 analytic, 3 debug.</summary>
		public int Type;

		/// <summary>In bytes.</summary>
		public long MaxSize;

		/// <summary>Whether a full log takes no new events.</summary>
		public bool Retention;

		/// <summary>Whether a full log is archived, and another one begun.</summary>
		public bool AutoBackup;

		/// <summary>Its file, with environment variables.</summary>
		public string Path;
	}

	/// <summary>The channels of the event log. Methods return 0 or a Win32 error.</summary>
	public interface IEventChannels
	{
		/// <summary>Read the configuration of a channel; ERROR_EVT_CHANNEL_NOT_FOUND (15007) without one.</summary>
		int Read(string channel, out ChannelSettings settings);

		/// <summary>Enable or disable a channel.</summary>
		int SetEnabled(string channel, bool isEnabled);

		/// <summary>Set the largest size of a channel's log, in bytes.</summary>
		int SetMaxSize(string channel, long size);
	}

	/// <summary>The channels of this host, through wevtapi.dll.</summary>
	public sealed class NativeEventChannels : IEventChannels
	{
		private const int NotImplemented = 120;
		private const int InsufficientBuffer = 122;
		private const int InvalidData = 13;

		// EVT_CHANNEL_CONFIG_PROPERTY_ID and EVT_VARIANT_TYPE (winevt.h)
		private const int EnabledProperty = 0;
		private const int TypeProperty = 2;
		private const int RetentionProperty = 6;
		private const int AutoBackupProperty = 7;
		private const int MaxSizeProperty = 8;
		private const int PathProperty = 9;
		private const int StringType = 1;
		private const int UInt32Type = 8;
		private const int UInt64Type = 10;
		private const int BooleanType = 13;
		private const int MostBytes = 1 << 20;

		/// <summary>EVT_VARIANT</summary>
		[StructLayout(LayoutKind.Sequential)]
		internal struct EventVariant
		{
			internal ulong Value;
			internal uint Count;
			internal uint Type;
		}

		// https://learn.microsoft.com/windows/win32/api/winevt/nf-winevt-evtopenchannelconfig
		[DllImport("wevtapi.dll", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern IntPtr EvtOpenChannelConfig(IntPtr session, string path, int flags);

		[DllImport("wevtapi.dll", SetLastError = true)]
		private static extern bool EvtGetChannelConfigProperty(
			IntPtr channel, int property, int flags, int size, IntPtr buffer, out int used);

		[DllImport("wevtapi.dll", SetLastError = true)]
		private static extern bool EvtSetChannelConfigProperty(
			IntPtr channel, int property, int flags, ref EventVariant value);

		[DllImport("wevtapi.dll", SetLastError = true)]
		private static extern bool EvtSaveChannelConfig(IntPtr channel, int flags);

		[DllImport("wevtapi.dll")]
		private static extern bool EvtClose(IntPtr handle);

		public int Read(string channel, out ChannelSettings settings)
		{
			ChannelSettings read = new ChannelSettings();
			int error = With(channel, delegate(IntPtr handle)
			{
				ulong enabled = 0, type = 0, retention = 0, autoBackup = 0, size = 0;
				int failure = Number(handle, EnabledProperty, BooleanType, out enabled);
				if (failure == 0)
					failure = Number(handle, TypeProperty, UInt32Type, out type);
				if (failure == 0)
					failure = Number(handle, RetentionProperty, BooleanType, out retention);
				if (failure == 0)
					failure = Number(handle, AutoBackupProperty, BooleanType, out autoBackup);
				if (failure == 0)
					failure = Number(handle, MaxSizeProperty, UInt64Type, out size);
				if (failure == 0)
					failure = Get(handle, PathProperty, StringType, delegate(EventVariant value)
					{
						read.Path = Marshal.PtrToStringUni(new IntPtr((long)value.Value));
					});
				read.IsEnabled = (enabled & 0xFFFFFFFF) != 0;
				read.Type = (int)type;
				read.Retention = (retention & 0xFFFFFFFF) != 0;
				read.AutoBackup = (autoBackup & 0xFFFFFFFF) != 0;
				read.MaxSize = (long)size;
				return failure;
			});
			settings = error == 0 ? read : null;
			return error;
		}

		public int SetEnabled(string channel, bool isEnabled)
		{
			return Set(channel, EnabledProperty, BooleanType, isEnabled ? 1UL : 0UL);
		}

		public int SetMaxSize(string channel, long size)
		{
			return Set(channel, MaxSizeProperty, UInt64Type, (ulong)size);
		}

		private static int Set(string channel, int property, int type, ulong number)
		{
			return With(channel, delegate(IntPtr handle)
			{
				EventVariant value = new EventVariant();
				value.Value = number;
				value.Type = (uint)type;
				if (!EvtSetChannelConfigProperty(handle, property, 0, ref value))
					return LastError();
				return EvtSaveChannelConfig(handle, 0) ? 0 : LastError();
			});
		}

		private static int With(string channel, Func<IntPtr, int> action)
		{
			IntPtr handle = IntPtr.Zero;
			try
			{
				handle = EvtOpenChannelConfig(IntPtr.Zero, channel, 0);
				return handle == IntPtr.Zero ? LastError() : action(handle);
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

		private static int Number(IntPtr handle, int property, int type, out ulong number)
		{
			ulong read = 0;
			int error = Get(handle, property, type, delegate(EventVariant value) { read = value.Value; });
			number = read;
			return error;
		}

		private static int Get(IntPtr handle, int property, int type, Action<EventVariant> use)
		{
			int size = 1024;
			while (true)
			{
				IntPtr buffer = Marshal.AllocHGlobal(size);
				try
				{
					int used;
					if (EvtGetChannelConfigProperty(handle, property, 0, size, buffer, out used))
					{
						EventVariant value = (EventVariant)Marshal.PtrToStructure(buffer, typeof(EventVariant));
						if (value.Type != (uint)type)
							return InvalidData;
						use(value);
						return 0;
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

		// A stub fails without an error.
		private static int LastError()
		{
			int error = Marshal.GetLastWin32Error();
			return error == 0 ? NotImplemented : error;
		}
	}
}
