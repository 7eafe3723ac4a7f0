// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Streams
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files;

	/// <summary>One data stream of a file, as FILE_STREAM_INFO has it.</summary>
	public sealed class StreamItem
	{
		/// <summary>:NAME:$DATA; the file's own content is ::$DATA.</summary>
		public string Name;

		/// <summary>In bytes.</summary>
		public long Size;
	}

	/// <summary>The alternate data streams of open files. Methods return 0 or a Win32 error.</summary>
	public interface IStreams
	{
		/// <summary>List the streams of a file or directory, the content's own among them.</summary>
		int List(IOpenFile file, ICollection<StreamItem> streams);

		/// <summary>Open a stream for reading by its name from the list.</summary>
		int Open(IOpenFile file, string name, out IOpenFile stream);
	}

	/// <summary>Streams by handle: GetFileInformationByHandleEx lists them, a relative NtOpenFile opens one.</summary>
	public sealed class NativeStreams : IStreams
	{
		private const int StreamInfo = 7;
		private const int MoreData = 234;
		private const int LargestListing = 1024 * 1024;

		// Offsets in FILE_STREAM_INFO (winbase.h).
		internal const int NameLengthOffset = 4;
		internal const int SizeOffset = 8;
		internal const int NameOffset = 24;

		private readonly IFiles _files;
		private byte[] _buffer = new byte[4096];

		[DllImport("kernel32.dll", SetLastError = true)]
		private static extern bool GetFileInformationByHandleEx(
			SafeFileHandle handle, int kind, byte[] data, int length);

		public NativeStreams(IFiles files)
		{
			_files = files;
		}

		public int List(IOpenFile file, ICollection<StreamItem> streams)
		{
			while (!GetFileInformationByHandleEx(file.Handle, StreamInfo, _buffer, _buffer.Length))
			{
				int error = Marshal.GetLastWin32Error();
				if (error != MoreData || _buffer.Length >= LargestListing)
				{
					return error;
				}
				_buffer = new byte[_buffer.Length * 4];
			}
			int position = 0;
			while (true)
			{
				char[] name = new char[BitConverter.ToInt32(_buffer, position + NameLengthOffset) / 2];
				Buffer.BlockCopy(_buffer, position + NameOffset, name, 0, name.Length * 2);
				StreamItem item = new StreamItem();
				item.Name = new string(name);
				item.Size = BitConverter.ToInt64(_buffer, position + SizeOffset);
				streams.Add(item);
				int next = BitConverter.ToInt32(_buffer, position);
				if (next == 0)
				{
					return 0;
				}
				position += next;
			}
		}

		public int Open(IOpenFile file, string name, out IOpenFile stream)
		{
			return _files.Open(file, name, FileUse.Content, out stream);
		}
	}
}
