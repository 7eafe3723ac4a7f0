// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Runtime.InteropServices;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventChannels
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventApi;

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
		/// <summary>EVT_VARIANT</summary>
		[StructLayout(LayoutKind.Sequential)]
		internal struct EventVariant
		{
			internal ulong Value;
			internal uint Count;
			internal uint Type;
		}

		// https://learn.microsoft.com/windows/win32/api/winevt/nf-winevt-evtsetchannelconfigproperty
		[DllImport("wevtapi.dll", SetLastError = true)]
		private static extern bool EvtSetChannelConfigProperty(
			IntPtr channel, int property, int flags, ref EventVariant value);

		[DllImport("wevtapi.dll", SetLastError = true)]
		private static extern bool EvtSaveChannelConfig(IntPtr channel, int flags);

		public int Read(string channel, out ChannelSettings settings)
		{
			ChannelSettings read = new ChannelSettings();
			int error = EventApi.WithChannel(channel, delegate(IntPtr handle)
			{
				object[] values;
				int failure = EventApi.GetOfChannel(handle, out values, EventApi.EnabledProperty, EventApi.TypeProperty,
					EventApi.RetentionProperty, EventApi.AutoBackupProperty, EventApi.MaxSizeProperty, EventApi.PathProperty);
				if (failure != 0)
					return failure;
				if (!(values[0] is bool && values[1] is long && values[2] is bool && values[3] is bool && values[4] is long &&
					values[5] is string))
					return EventApi.InvalidData;
				read.IsEnabled = (bool)values[0];
				read.Type = (int)(long)values[1];
				read.Retention = (bool)values[2];
				read.AutoBackup = (bool)values[3];
				read.MaxSize = (long)values[4];
				read.Path = (string)values[5];
				return 0;
			});
			settings = error == 0 ? read : null;
			return error;
		}

		public int SetEnabled(string channel, bool isEnabled)
		{
			return Set(channel, EventApi.EnabledProperty, EventApi.BooleanType, isEnabled ? 1UL : 0UL);
		}

		public int SetMaxSize(string channel, long size)
		{
			return Set(channel, EventApi.MaxSizeProperty, EventApi.UInt64Type, (ulong)size);
		}

		private static int Set(string channel, int property, int type, ulong number)
		{
			return EventApi.WithChannel(channel, delegate(IntPtr handle)
			{
				EventVariant value = new EventVariant();
				value.Value = number;
				value.Type = (uint)type;
				if (!EvtSetChannelConfigProperty(handle, property, 0, ref value))
					return EventApi.LastError();
				return EvtSaveChannelConfig(handle, 0) ? 0 : EventApi.LastError();
			});
		}
	}
}
