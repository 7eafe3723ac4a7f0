// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Runtime.InteropServices;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventApi
{
	/// <summary>Handles of wevtapi.dll and their properties. Methods return 0 or a Win32 error.</summary>
	internal static class EventApi
	{
		internal const int NotImplemented = 120;
		internal const int InvalidData = 13;
		private const int InsufficientBuffer = 122;
		private const int FirstBytes = 1024;
		private const int MostBytes = 1 << 20;

		// EVT_CHANNEL_CONFIG_PROPERTY_ID (winevt.h)
		internal const int EnabledProperty = 0;
		internal const int TypeProperty = 2;
		internal const int RetentionProperty = 6;
		internal const int AutoBackupProperty = 7;
		internal const int MaxSizeProperty = 8;
		internal const int PathProperty = 9;

		// EVT_VARIANT and EVT_VARIANT_TYPE
		private const int VariantSize = 16;
		private const int VariantType = 12;
		private const int StringType = 1;
		private const int UInt32Type = 8;
		internal const int UInt64Type = 10;
		internal const int BooleanType = 13;

		internal delegate bool GetProperty(int property, int size, IntPtr buffer, out int used);

		// https://learn.microsoft.com/windows/win32/api/winevt/nf-winevt-evtopenchannelconfig
		[DllImport("wevtapi.dll", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern IntPtr EvtOpenChannelConfig(IntPtr session, string path, int flags);

		[DllImport("wevtapi.dll", SetLastError = true)]
		private static extern bool EvtGetChannelConfigProperty(
			IntPtr channel, int property, int flags, int size, IntPtr buffer, out int used);

		[DllImport("wevtapi.dll")]
		private static extern bool EvtClose(IntPtr handle);

		/// <summary>Use the configuration of a channel.</summary>
		internal static int WithChannel(string channel, Func<IntPtr, int> use)
		{
			return With(() => EvtOpenChannelConfig(IntPtr.Zero, channel, 0), use);
		}

		/// <summary>Use a handle, and close it.</summary>
		internal static int With(Func<IntPtr> open, Func<IntPtr, int> use)
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

		/// <summary>Read properties of a channel's configuration, as Get does.</summary>
		internal static int GetOfChannel(IntPtr channel, out object[] values, params int[] properties)
		{
			GetProperty get = delegate(int property, int size, IntPtr buffer, out int used)
			{
				return EvtGetChannelConfigProperty(channel, property, 0, size, buffer, out used);
			};
			return Get(get, out values, properties);
		}

		/// <summary>Read properties: string, long or bool each; ERROR_INVALID_DATA for others.</summary>
		internal static int Get(GetProperty get, out object[] values, params int[] properties)
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

		/// <summary>Return the error of a call that failed; a stub fails without one.</summary>
		internal static int LastError()
		{
			int error = Marshal.GetLastWin32Error();
			return error == 0 ? NotImplemented : error;
		}

		private static int Get(GetProperty get, int property, out object value)
		{
			value = null;
			int size = FirstBytes;
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
				case UInt32Type:
					return (long)(uint)Marshal.ReadInt32(variant);
				case UInt64Type:
					return Marshal.ReadInt64(variant);
				case BooleanType:
					return Marshal.ReadInt32(variant) != 0;
				default:
					return null;
			}
		}
	}
}
