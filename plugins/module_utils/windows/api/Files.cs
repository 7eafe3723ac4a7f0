// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Threading;
using Microsoft.Win32.SafeHandles;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files
{
	/// <summary>Error codes that reading files returns (System Error Codes, winerror.h).</summary>
	public static class FileErrors
	{
		public const int FileNotFound = 2;
		public const int PathNotFound = 3;
		public const int AccessDenied = 5;
		public const int NoMoreFiles = 18;
		public const int SharingViolation = 32;
		public const int LockViolation = 33;
		public const int HandleEof = 38;
		public const int NotSupported = 50;
		public const int InvalidParameter = 87;
		public const int CallNotImplemented = 120;
		public const int InvalidName = 123;
		public const int VirusInfected = 225;
		public const int VirusDeleted = 226;
		public const int DeletePending = 303;
		public const int OplockBreak = 742;
		public const int Cancelled = 1223;
		public const int FileEncrypted = 6002;

		/// <summary>Say whether the error means that there is no such file, or none any more.</summary>
		public static bool IsAbsent(int error)
		{
			return error == FileNotFound || error == PathNotFound || error == DeletePending;
		}
	}

	/// <summary>What a handle is opened for.</summary>
	public enum FileUse
	{
		/// <summary>
		/// Attributes and the security descriptor. Share modes of other programs do not prevent that.
		/// </summary>
		Attributes,

		/// <summary>That, and the content of a file or the names in a directory.</summary>
		Content
	}

	/// <summary>What Windows records of an open file; times are in 100 ns since 1601, UTC.</summary>
	public sealed class FileFacts
	{
		public uint Attributes;
		public long Created;
		public long Written;
		public long Size;
		public long Links;
		public uint Volume;
		public ulong Id;

		/// <summary>How ids of this volume begin.</summary>
		public string VolumeText
		{
			get { return Volume.ToString("x8", CultureInfo.InvariantCulture) + "-"; }
		}
	}

	/// <summary>One name in a directory, as FILE_ID_BOTH_DIR_INFO has it.</summary>
	public sealed class DirectoryItem
	{
		/// <summary>As stored: it can hold lone surrogates and end in a blank or dot.</summary>
		public string Name;
		public uint Attributes;

		/// <summary>As <see cref="FileFacts.Id"/>; 0 where the file system has none.</summary>
		public ulong Id;
	}

	/// <summary>The files of a host. Methods return 0 or a Win32 error, with null results.</summary>
	public interface IFiles
	{
		/// <summary>
		/// Open a name in a directory, or, without a directory, a path (C:\NAME) as it is. A reparse point is opened
		/// itself. An empty name opens what the directory's handle is, with the data that a reparse point stands for.
		/// </summary>
		int Open(IOpenFile directory, string name, FileUse use, out IOpenFile file);

		/// <summary>The same for a name as a person wrote it: its case does not matter.</summary>
		int Find(IOpenFile directory, string name, FileUse use, out IOpenFile file);

		/// <summary>Return what GetDriveType returns for a root (C:\): 3 is a fixed disk of this host.</summary>
		uint DriveType(string root);
	}

	/// <summary>An open file or directory. Methods return 0 or a Win32 error.</summary>
	public interface IOpenFile : IDisposable
	{
		/// <summary>For the other edges; null in recorded ones.</summary>
		SafeFileHandle Handle { get; }

		int Query(out FileFacts facts);

		/// <summary>Return the path as the file system has it, without links (\\?\C:\Windows).</summary>
		int FinalPath(out string path);

		/// <summary>
		/// Add the next names of a directory, or the first ones again, without . and ..; NoMoreFiles after the last.
		/// </summary>
		int List(ICollection<DirectoryItem> items, bool isFirst);

		/// <summary>Return the REPARSE_DATA_BUFFER of a reparse point.</summary>
		int Reparse(out byte[] data);

		/// <summary>Read from a position into the beginning of a buffer; count is 0 at the end.</summary>
		int Read(long position, byte[] buffer, out int count);
	}

	/// <summary>
	/// The files of this host through NtOpenFile, which opens names relative to a directory's handle: what replaces a
	/// directory meanwhile cannot lead elsewhere, and names and paths have no limits of Win32.
	/// </summary>
	public sealed class NativeFiles : IFiles
	{
		private const uint Synchronize = 0x00100000;
		private const uint ReadControl = 0x00020000;
		private const uint ReadAttributes = 0x80;
		private const uint ReadData = 1;
		private const uint ShareAll = 7;

		// FILE_SYNCHRONOUS_IO_NONALERT, FILE_COMPLETE_IF_OPLOCKED, FILE_OPEN_FOR_BACKUP_INTENT and FILE_OPEN_NO_RECALL.
		private const uint Options = 0x20 | 0x100 | 0x4000 | 0x400000;
		private const uint OpenReparsePoint = 0x200000;
		private const uint CaseInsensitive = 0x40;

		private const uint StatusDeletePending = 0xC0000056;
		private const int BadPathName = 161;
		private const string MachineDevices = @"\GLOBAL??\";

		// Who honours oplocks gives them up within milliseconds; who does not may delay a run by this time in all.
		private const int OplockMilliseconds = 2000;
		private const int AllOplocksMilliseconds = 10000;
		private const int PauseMilliseconds = 20;

		[ThreadStatic]
		private static int _waited;

		[StructLayout(LayoutKind.Sequential)]
		internal struct UNICODE_STRING
		{
			public ushort Length;
			public ushort MaximumLength;
			public IntPtr Buffer;
		}

		[StructLayout(LayoutKind.Sequential)]
		internal struct OBJECT_ATTRIBUTES
		{
			public int Length;
			public IntPtr RootDirectory;
			public IntPtr ObjectName;
			public uint Attributes;
			public IntPtr SecurityDescriptor;
			public IntPtr SecurityQualityOfService;
		}

		[StructLayout(LayoutKind.Sequential)]
		internal struct IO_STATUS_BLOCK
		{
			public IntPtr Status;
			public IntPtr Information;
		}

		[DllImport("ntdll.dll")]
		private static extern uint NtOpenFile(
			out IntPtr handle, uint access, ref OBJECT_ATTRIBUTES attributes, out IO_STATUS_BLOCK status, uint share,
			uint options);

		[DllImport("ntdll.dll")]
		internal static extern int RtlNtStatusToDosError(uint status);

		[DllImport("kernel32.dll", CharSet = CharSet.Unicode)]
		private static extern uint GetDriveTypeW(string root);

		[DllImport("kernel32.dll", CharSet = CharSet.Unicode)]
		private static extern int GetFullPathNameW(string path, int length, [Out] char[] full, IntPtr name);

		public NativeFiles()
		{
			// A run begins: by psrp, a process has several.
			_waited = 0;
		}

		public int Open(IOpenFile directory, string name, FileUse use, out IOpenFile file)
		{
			// Names are opened as they are listed: in case-sensitive directories, case tells files apart.
			return Open(directory, name, use, directory == null ? CaseInsensitive : 0, out file);
		}

		public int Find(IOpenFile directory, string name, FileUse use, out IOpenFile file)
		{
			return Open(directory, name, use, CaseInsensitive, out file);
		}

		public uint DriveType(string root)
		{
			return GetDriveTypeW(root);
		}

		/// <summary>
		/// Open a path (C:\NAME, as Win32 reads it) for its attributes and follow links; waits for nobody's oplock.
		/// </summary>
		internal static int Follow(string path, out IOpenFile file)
		{
			file = null;
			char[] full = new char[32768];
			int length = GetFullPathNameW(path, full.Length, full, IntPtr.Zero);
			path = length > 0 && length < full.Length ? new string(full, 0, length) : "";
			if (path.Length < 3 || path[1] != ':' || path[2] != '\\')
			{
				return FileErrors.InvalidName;
			}
			return OpenPatiently(
				null, path, Synchronize | ReadAttributes | ReadControl, CaseInsensitive, Options, out file);
		}

		private static int Open(IOpenFile directory, string name, FileUse use, uint flags, out IOpenFile file)
		{
			uint options = name.Length == 0 ? Options : Options | OpenReparsePoint;
			uint wanted = Synchronize | ReadAttributes | (use == FileUse.Content ? ReadData : 0);
			int error = OpenPatiently(directory, name, wanted | ReadControl, flags, options, out file);
			if (error == FileErrors.AccessDenied || (error == FileErrors.OplockBreak && use == FileUse.Attributes))
			{
				// The owner's DACL can deny READ_CONTROL alone. Without it, no oplock is in the way.
				error = OpenPatiently(directory, name, wanted, flags, options, out file);
			}
			return error;
		}

		private static int OpenPatiently(
			IOpenFile directory, string name, uint access, uint flags, uint options, out IOpenFile file)
		{
			int limit = Math.Min(AllOplocksMilliseconds, _waited + OplockMilliseconds);
			while (true)
			{
				int error;
				if (directory != null)
				{
					error = OpenHandle(directory, name, access, flags, options, out file);
				}
				else
				{
					// Drives of the machine: one that only this sign-in has, by SUBST, must not hide them.
					error = OpenHandle(null, MachineDevices + name, access, flags, options, out file);
					if (FileErrors.IsAbsent(error) || error == FileErrors.InvalidName || error == BadPathName)
					{
						error = OpenHandle(null, @"\??\" + name, access, flags, options, out file);
					}
				}
				if (error != FileErrors.OplockBreak || _waited >= limit)
				{
					return error;
				}
				Thread.Sleep(PauseMilliseconds);
				_waited += PauseMilliseconds;
			}
		}

		private static int OpenHandle(
			IOpenFile directory, string full, uint access, uint flags, uint options, out IOpenFile file)
		{
			file = null;
			SafeFileHandle root = directory == null ? null : directory.Handle;
			if (full.Length > 32766)
			{
				return FileErrors.InvalidName;
			}
			GCHandle text = GCHandle.Alloc(full, GCHandleType.Pinned);
			UNICODE_STRING[] counted = new UNICODE_STRING[1];
			GCHandle pinned = GCHandle.Alloc(counted, GCHandleType.Pinned);
			try
			{
				counted[0].Length = (ushort)(full.Length * 2);
				counted[0].MaximumLength = counted[0].Length;
				counted[0].Buffer = text.AddrOfPinnedObject();
				OBJECT_ATTRIBUTES attributes = new OBJECT_ATTRIBUTES();
				attributes.Length = Marshal.SizeOf(typeof(OBJECT_ATTRIBUTES));
				attributes.RootDirectory = root == null ? IntPtr.Zero : root.DangerousGetHandle();
				attributes.ObjectName = pinned.AddrOfPinnedObject();
				attributes.Attributes = flags;
				attributes.SecurityDescriptor = IntPtr.Zero;
				attributes.SecurityQualityOfService = IntPtr.Zero;
				IntPtr handle;
				IO_STATUS_BLOCK block;
				uint status = NtOpenFile(out handle, access, ref attributes, out block, ShareAll, options);
				GC.KeepAlive(root);
				if (status != 0)
				{
					if ((int)status > 0)
					{
						// STATUS_OPLOCK_BREAK_IN_PROGRESS: reading the open file would wait for the oplock's owner.
						new SafeFileHandle(handle, true).Dispose();
						return FileErrors.OplockBreak;
					}
					return status == StatusDeletePending
						? FileErrors.DeletePending
						: RtlNtStatusToDosError(status);
				}
				// A reparse point may stand for a file of another volume.
				file = new NativeFile(new SafeFileHandle(handle, true), full.Length == 0 ? null : directory);
				return 0;
			}
			finally
			{
				pinned.Free();
				text.Free();
			}
		}
	}

	internal sealed class NativeFile : IOpenFile
	{
		private const int IdBothDirectoryInfo = 10;
		private const int IdBothDirectoryRestartInfo = 11;
		private const uint GetReparsePoint = 0x000900A8;

		// MAXIMUM_REPARSE_DATA_BUFFER_SIZE.
		private const int ReparseSize = 16 * 1024;
		private const int ListingSize = 64 * 1024;

		// One thread walks, and a listing is taken apart before the next is read.
		[ThreadStatic]
		private static byte[] _listing;

		private readonly SafeFileHandle _handle;

		// Classes of NtQueryInformationFile and NtQueryVolumeInformationFile, and offsets in what they return (wdm.h).
		// They ask neither for the path nor each time for the volume, as GetFileInformationByHandle does.
		private const int BasicInformation = 4;
		private const int StandardInformation = 5;
		private const int InternalInformation = 6;
		private const int VolumeInformation = 1;
		internal const int WrittenOffset = 16;
		internal const int BasicAttributesOffset = 32;
		internal const int SizeOffset = 8;
		internal const int LinksOffset = 16;
		internal const int SerialOffset = 8;
		private const int BufferOverflow = unchecked((int)0x80000005);

		[ThreadStatic]
		private static byte[] _information;

		// Of the volume; null until this file was asked for it.
		private uint? _serial;

		// Offsets in FILE_ID_BOTH_DIR_INFO (winbase.h).
		internal const int AttributesOffset = 56;
		internal const int NameLengthOffset = 60;
		internal const int IdOffset = 96;
		internal const int NameOffset = 104;

		[DllImport("ntdll.dll")]
		private static extern int NtQueryInformationFile(
			SafeFileHandle handle, out NativeFiles.IO_STATUS_BLOCK block, byte[] data, int length, int kind);

		[DllImport("ntdll.dll")]
		private static extern int NtQueryVolumeInformationFile(
			SafeFileHandle handle, out NativeFiles.IO_STATUS_BLOCK block, byte[] data, int length, int kind);

		[DllImport("kernel32.dll", SetLastError = true)]
		private static extern bool GetFileInformationByHandleEx(
			SafeFileHandle handle, int kind, byte[] data, int length);

		[DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern int GetFinalPathNameByHandleW(
			SafeFileHandle handle, [Out] char[] path, int length, int flags);

		[DllImport("kernel32.dll", SetLastError = true)]
		private static extern bool DeviceIoControl(
			SafeFileHandle handle, uint code, IntPtr input, int inputLength, byte[] output, int outputLength,
			out int returned, IntPtr overlapped);

		[DllImport("kernel32.dll", SetLastError = true)]
		private static extern bool ReadFile(
			SafeFileHandle handle, byte[] buffer, int length, out int count, ref NativeOverlapped position);

		/// <summary>directory: of the same volume, whose number it takes over if known; or null.</summary>
		public NativeFile(SafeFileHandle handle, IOpenFile directory)
		{
			NativeFile above = directory as NativeFile;
			_handle = handle;
			_serial = above == null ? null : above._serial;
		}

		public SafeFileHandle Handle
		{
			get { return _handle; }
		}

		public int Query(out FileFacts facts)
		{
			facts = null;
			byte[] data = _information ?? (_information = new byte[1024]);
			NativeFiles.IO_STATUS_BLOCK block;
			FileFacts read = new FileFacts();
			int status = NtQueryInformationFile(_handle, out block, data, data.Length, BasicInformation);
			if (status == 0)
			{
				read.Created = BitConverter.ToInt64(data, 0);
				read.Written = BitConverter.ToInt64(data, WrittenOffset);
				read.Attributes = BitConverter.ToUInt32(data, BasicAttributesOffset);
				status = NtQueryInformationFile(_handle, out block, data, data.Length, StandardInformation);
			}
			if (status == 0)
			{
				read.Size = BitConverter.ToInt64(data, SizeOffset);
				read.Links = BitConverter.ToUInt32(data, LinksOffset);
				status = NtQueryInformationFile(_handle, out block, data, data.Length, InternalInformation);
			}
			if (status == 0)
			{
				read.Id = BitConverter.ToUInt64(data, 0);
				status = _serial.HasValue ? 0 : ReadSerial(data);
			}
			if (status == 0)
			{
				read.Volume = _serial.Value;
			}
			facts = status == 0 ? read : null;
			return status == 0 ? 0 : NativeFiles.RtlNtStatusToDosError((uint)status);
		}

		private int ReadSerial(byte[] data)
		{
			NativeFiles.IO_STATUS_BLOCK block;
			int status = NtQueryVolumeInformationFile(_handle, out block, data, data.Length, VolumeInformation);
			if (status == 0 || status == BufferOverflow)
			{
				_serial = BitConverter.ToUInt32(data, SerialOffset);
				return 0;
			}
			return status;
		}

		public int FinalPath(out string path)
		{
			path = null;
			char[] buffer = new char[1024];
			int length = GetFinalPathNameByHandleW(_handle, buffer, buffer.Length, 0);
			if (length > buffer.Length)
			{
				buffer = new char[length];
				length = GetFinalPathNameByHandleW(_handle, buffer, buffer.Length, 0);
			}
			if (length <= 0 || length > buffer.Length)
			{
				return length == 0 ? Marshal.GetLastWin32Error() : FileErrors.InvalidName;
			}
			path = new string(buffer, 0, length);
			return 0;
		}

		public int List(ICollection<DirectoryItem> items, bool isFirst)
		{
			byte[] data = _listing ?? (_listing = new byte[ListingSize]);
			int kind = isFirst ? IdBothDirectoryRestartInfo : IdBothDirectoryInfo;
			if (!GetFileInformationByHandleEx(_handle, kind, data, data.Length))
			{
				return Marshal.GetLastWin32Error();
			}
			int position = 0;
			while (true)
			{
				DirectoryItem item = new DirectoryItem();
				item.Attributes = BitConverter.ToUInt32(data, position + AttributesOffset);
				item.Id = BitConverter.ToUInt64(data, position + IdOffset);
				item.Name = Text(data, position + NameOffset, BitConverter.ToInt32(data, position + NameLengthOffset));
				if (item.Name != "." && item.Name != "..")
				{
					items.Add(item);
				}
				int next = BitConverter.ToInt32(data, position);
				if (next == 0)
				{
					return 0;
				}
				position += next;
			}
		}

		public int Reparse(out byte[] data)
		{
			data = null;
			byte[] buffer = new byte[ReparseSize];
			int count;
			if (!DeviceIoControl(
				_handle, GetReparsePoint, IntPtr.Zero, 0, buffer, buffer.Length, out count, IntPtr.Zero))
			{
				return Marshal.GetLastWin32Error();
			}
			data = new byte[count];
			Buffer.BlockCopy(buffer, 0, data, 0, count);
			return 0;
		}

		public int Read(long position, byte[] buffer, out int count)
		{
			NativeOverlapped overlapped = new NativeOverlapped();
			overlapped.OffsetLow = (int)position;
			overlapped.OffsetHigh = (int)(position >> 32);
			if (ReadFile(_handle, buffer, buffer.Length, out count, ref overlapped))
			{
				return 0;
			}
			count = 0;
			int error = Marshal.GetLastWin32Error();
			return error == FileErrors.HandleEof ? 0 : error;
		}

		public void Dispose()
		{
			_handle.Dispose();
		}

		// Encoding.Unicode would replace lone surrogates.
		private static string Text(byte[] data, int offset, int bytes)
		{
			char[] characters = new char[bytes / 2];
			Buffer.BlockCopy(data, offset, characters, 0, characters.Length * 2);
			return new string(characters);
		}
	}
}
