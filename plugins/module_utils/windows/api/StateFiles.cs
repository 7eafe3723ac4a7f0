// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.IO;
using System.Runtime.InteropServices;
using System.Security.Principal;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.StateFiles
{
	/// <summary>
	/// The calls of Windows that state needs, by absolute paths; tests have plain files. Errors are IOException,
	/// UnauthorizedAccessException or Win32Exception.
	/// </summary>
	public interface IStateFiles
	{
		/// <summary>The SID of the account that runs this.</summary>
		string UserSid { get; }

		/// <summary>
		/// Open a directory, or the reparse point of that name, so that nobody can rename or delete it; null when there
		/// is none.
		/// </summary>
		IStateDirectoryHandle OpenDirectory(string path);

		/// <summary>
		/// Make a directory that only SYSTEM and Administrators may use, from its first moment on; false when the name
		/// exists.
		/// </summary>
		bool CreateDirectory(string path);

		/// <summary>
		/// Open a file for reading, or the reparse point of that name. attributes is 0 and the result null when there
		/// is none; the result is null for what is no regular file.
		/// </summary>
		Stream OpenRead(string path, out FileAttributes attributes);

		/// <summary>Make a file for writing; an error when the name exists.</summary>
		FileStream CreateNew(string path);

		/// <summary>Give a file the name of another one, which it replaces as a whole, and wait for the disk.</summary>
		void Replace(string source, string target);

		/// <summary>Delete a file; false when there is none.</summary>
		bool Delete(string path);

		/// <summary>Open a file, made if need be, for this process alone; null while another one has it.</summary>
		IDisposable TryLock(string path);

		/// <summary>Return the files of a directory with their last write times (FILETIME).</summary>
		Dictionary<string, long> List(string path);
	}

	/// <summary>An open directory.</summary>
	public interface IStateDirectoryHandle : IDisposable
	{
		FileAttributes Attributes { get; }

		/// <summary>The path that the handle really leads to, as C:\ProgramData\bulwark.</summary>
		string FinalPath { get; }

		/// <summary>Owner and DACL, self-relative ([MS-DTYP] 2.4.6).</summary>
		byte[] Descriptor { get; }
	}

	/// <summary>
	/// Files and directories of state by the calls of Windows. Paths are absolute; they are given to Windows as they
	/// are (\\?\), so that no name is taken for a device and none is too long.
	/// </summary>
	public sealed class NativeStateFiles : IStateFiles
	{
		private const uint ListDirectory = 0x1;
		private const uint ReadAttributes = 0x80;
		private const uint ReadControl = 0x20000;
		private const uint GenericRead = 0x80000000;
		private const uint GenericWrite = 0x40000000;
		private const uint ShareRead = 1;
		private const uint ShareWrite = 2;
		private const uint ShareDelete = 4;
		private const uint CreateNewFile = 1;
		private const uint OpenExisting = 3;
		private const uint OpenAlways = 4;
		private const uint BackupSemantics = 0x02000000;
		private const uint OpenReparsePoint = 0x00200000;
		private const uint MoveReplaceExisting = 1;
		private const uint MoveWriteThrough = 8;
		private const int FileNotFound = 2;
		private const int PathNotFound = 3;
		private const int SharingViolation = 32;
		private const int AlreadyExists = 183;
		private const int SddlRevision = 1;

		// Owned by Administrators; full control for SYSTEM and Administrators, also of what is made below; nothing is
		// inherited from above.
		private const string PrivateDescriptor = "O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)";

		private string _userSid;

		public string UserSid
		{
			get
			{
				if (_userSid == null)
				{
					using (WindowsIdentity identity = WindowsIdentity.GetCurrent())
						_userSid = identity.User.Value;
				}
				return _userSid;
			}
		}

		public IStateDirectoryHandle OpenDirectory(string path)
		{
			// ListDirectory, as only reading and writing take part in sharing; without ShareDelete nobody renames it.
			SafeFileHandle handle = Open(
				path,
				ListDirectory | ReadAttributes | ReadControl,
				ShareRead | ShareWrite,
				OpenExisting,
				BackupSemantics | OpenReparsePoint);
			return handle == null ? null : new NativeStateDirectory(handle);
		}

		public bool CreateDirectory(string path)
		{
			SecurityAttributes attributes = new SecurityAttributes();
			attributes.Length = Marshal.SizeOf(typeof(SecurityAttributes));
			uint size;
			if (!ConvertStringSecurityDescriptorToSecurityDescriptor(
				PrivateDescriptor, SddlRevision, out attributes.Descriptor, out size))
				throw new Win32Exception();
			try
			{
				if (CreateDirectoryW(Literal(path), ref attributes))
					return true;
				int error = Marshal.GetLastWin32Error();
				if (error == AlreadyExists)
					return false;
				throw new Win32Exception(error);
			}
			finally
			{
				LocalFree(attributes.Descriptor);
			}
		}

		public Stream OpenRead(string path, out FileAttributes attributes)
		{
			attributes = 0;
			// ShareDelete: a writer may replace the name meanwhile.
			SafeFileHandle handle = Open(
				path,
				GenericRead,
				ShareRead | ShareDelete,
				OpenExisting,
				BackupSemantics | OpenReparsePoint);
			if (handle == null)
				return null;
			try
			{
				attributes = NativeStateDirectory.ReadAttributes(handle);
			}
			catch
			{
				handle.Dispose();
				throw;
			}
			if ((attributes & (FileAttributes.Directory | FileAttributes.ReparsePoint | FileAttributes.Device)) == 0)
				return new FileStream(handle, FileAccess.Read);
			handle.Dispose();
			return null;
		}

		public FileStream CreateNew(string path)
		{
			SafeFileHandle handle = Open(path, GenericWrite, 0, CreateNewFile, OpenReparsePoint);
			if (handle == null)
				throw new Win32Exception(PathNotFound);
			return new WholeFileStream(handle);
		}

		public void Replace(string source, string target)
		{
			if (!MoveFileEx(Literal(source), Literal(target), MoveReplaceExisting | MoveWriteThrough))
				throw new Win32Exception();
		}

		public bool Delete(string path)
		{
			if (DeleteFile(Literal(path)))
				return true;
			int error = Marshal.GetLastWin32Error();
			if (error == FileNotFound)
				return false;
			throw new Win32Exception(error);
		}

		/// <summary>Remove an empty directory, or the link if it is one; return false without one. Raises Win32Exception.
		/// </summary>
		public bool RemoveDirectory(string path)
		{
			if (RemoveDirectoryW(Literal(path)))
				return true;
			int error = Marshal.GetLastWin32Error();
			if (error == FileNotFound || error == PathNotFound)
				return false;
			throw new Win32Exception(error);
		}

		public IDisposable TryLock(string path)
		{
			try
			{
				return Open(path, GenericRead | GenericWrite, 0, OpenAlways, OpenReparsePoint);
			}
			catch (Win32Exception error)
			{
				if (error.NativeErrorCode == SharingViolation)
					return null;
				throw;
			}
		}

		public Dictionary<string, long> List(string path)
		{
			Dictionary<string, long> modified = new Dictionary<string, long>();
			FindData data;
			IntPtr search = FindFirstFile(Literal(path) + "\\*", out data);
			if (search == new IntPtr(-1))
				throw new Win32Exception();
			try
			{
				do
				{
					if ((data.Attributes & (uint)FileAttributes.Directory) == 0)
						modified[data.Name] = (long)data.LastWriteHigh << 32 | data.LastWriteLow;
				}
				while (FindNextFile(search, out data));
			}
			finally
			{
				FindClose(search);
			}
			return modified;
		}

		// Null when there is no such file.
		private static SafeFileHandle Open(string path, uint access, uint sharing, uint disposition, uint flags)
		{
			SafeFileHandle handle = CreateFile(
				Literal(path), access, sharing, IntPtr.Zero, disposition, flags, IntPtr.Zero);
			if (!handle.IsInvalid)
				return handle;
			int error = Marshal.GetLastWin32Error();
			handle.Dispose();
			if (error == FileNotFound || error == PathNotFound)
				return null;
			throw new Win32Exception(error);
		}

		private static string Literal(string path)
		{
			return "\\\\?\\" + path;
		}

		[StructLayout(LayoutKind.Sequential)]
		private struct SecurityAttributes
		{
			public int Length;
			public IntPtr Descriptor;
			public int InheritHandle;
		}

		[StructLayout(LayoutKind.Sequential, CharSet = CharSet.Unicode)]
		private struct FindData
		{
			public uint Attributes;
			public uint CreationLow;
			public uint CreationHigh;
			public uint LastAccessLow;
			public uint LastAccessHigh;
			public uint LastWriteLow;
			public uint LastWriteHigh;
			public uint SizeHigh;
			public uint SizeLow;
			public uint Reserved0;
			public uint Reserved1;
			[MarshalAs(UnmanagedType.ByValTStr, SizeConst = 260)]
			public string Name;
			[MarshalAs(UnmanagedType.ByValTStr, SizeConst = 14)]
			public string AlternateName;
		}

		[DllImport("kernel32.dll", EntryPoint = "CreateFileW", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern SafeFileHandle CreateFile(
			string name,
			uint access,
			uint sharing,
			IntPtr security,
			uint disposition,
			uint flags,
			IntPtr template);

		[DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern bool CreateDirectoryW(string name, ref SecurityAttributes security);

		[DllImport("kernel32.dll", EntryPoint = "MoveFileExW", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern bool MoveFileEx(string source, string target, uint flags);

		[DllImport("kernel32.dll", EntryPoint = "DeleteFileW", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern bool DeleteFile(string name);

		[DllImport("kernel32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern bool RemoveDirectoryW(string name);

		[DllImport("kernel32.dll", EntryPoint = "FindFirstFileW", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern IntPtr FindFirstFile(string pattern, out FindData data);

		[DllImport("kernel32.dll", EntryPoint = "FindNextFileW", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern bool FindNextFile(IntPtr search, out FindData data);

		[DllImport("kernel32.dll")]
		private static extern bool FindClose(IntPtr search);

		[DllImport("kernel32.dll")]
		private static extern IntPtr LocalFree(IntPtr memory);

		[DllImport(
			"advapi32.dll",
			EntryPoint = "ConvertStringSecurityDescriptorToSecurityDescriptorW",
			CharSet = CharSet.Unicode,
			SetLastError = true)]
		private static extern bool ConvertStringSecurityDescriptorToSecurityDescriptor(
			string text, int revision, out IntPtr descriptor, out uint size);
	}

	/// <summary>A file whose writes fail when only a part of the bytes fits on the disk.</summary>
	internal sealed class WholeFileStream : FileStream
	{
		// HRESULT_FROM_WIN32(ERROR_DISK_FULL)
		private const int DiskFull = unchecked((int)0x80070070);

		// Without a buffer of its own, so that Position is what was written.
		public WholeFileStream(SafeFileHandle handle)
			: base(handle, FileAccess.Write, 1)
		{
		}

		public override void Write(byte[] buffer, int offset, int count)
		{
			long end = Position + count;
			base.Write(buffer, offset, count);
			if (Position != end)
				throw new IOException("There is not enough space on the disk.", DiskFull);
		}
	}

	internal sealed class NativeStateDirectory : IStateDirectoryHandle
	{
		// SE_FILE_OBJECT; OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION.
		private const int FileObject = 1;
		private const int OwnerAndDacl = 1 | 4;
		private const int BasicInformation = 0;
		private const int BasicInformationSize = 40;
		private const int AttributesOffset = 32;

		private readonly SafeFileHandle _handle;

		public NativeStateDirectory(SafeFileHandle handle)
		{
			_handle = handle;
		}

		public FileAttributes Attributes
		{
			get { return ReadAttributes(_handle); }
		}

		public string FinalPath
		{
			get
			{
				StringBuilder path = new StringBuilder(512);
				uint length = GetFinalPathNameByHandle(_handle, path, (uint)path.Capacity, 0);
				if (length >= path.Capacity)
				{
					path.EnsureCapacity((int)length + 1);
					length = GetFinalPathNameByHandle(_handle, path, (uint)path.Capacity, 0);
				}
				if (length == 0)
					throw new Win32Exception();
				string literal = path.ToString();
				return literal.StartsWith("\\\\?\\", StringComparison.Ordinal) ? literal.Substring(4) : literal;
			}
		}

		public byte[] Descriptor
		{
			get
			{
				IntPtr owner, group, dacl, sacl, descriptor;
				int error = GetSecurityInfo(
					_handle, FileObject, OwnerAndDacl, out owner, out group, out dacl, out sacl, out descriptor);
				if (error != 0)
					throw new Win32Exception(error);
				try
				{
					byte[] bytes = new byte[GetSecurityDescriptorLength(descriptor)];
					Marshal.Copy(descriptor, bytes, 0, bytes.Length);
					return bytes;
				}
				finally
				{
					LocalFree(descriptor);
				}
			}
		}

		/// <summary>Return the attributes of an open file (FILE_BASIC_INFO).</summary>
		public static FileAttributes ReadAttributes(SafeFileHandle handle)
		{
			byte[] information = new byte[BasicInformationSize];
			if (!GetFileInformationByHandleEx(handle, BasicInformation, information, information.Length))
				throw new Win32Exception();
			return (FileAttributes)BitConverter.ToInt32(information, AttributesOffset);
		}

		public void Dispose()
		{
			_handle.Dispose();
		}

		[DllImport("kernel32.dll", SetLastError = true)]
		private static extern bool GetFileInformationByHandleEx(
			SafeFileHandle handle, int kind, byte[] information, int size);

		[DllImport(
			"kernel32.dll", EntryPoint = "GetFinalPathNameByHandleW", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern uint GetFinalPathNameByHandle(
			SafeFileHandle handle, StringBuilder path, uint size, uint flags);

		[DllImport("advapi32.dll")]
		private static extern int GetSecurityInfo(
			SafeFileHandle handle,
			int kind,
			int parts,
			out IntPtr owner,
			out IntPtr group,
			out IntPtr dacl,
			out IntPtr sacl,
			out IntPtr descriptor);

		[DllImport("advapi32.dll")]
		private static extern int GetSecurityDescriptorLength(IntPtr descriptor);

		[DllImport("kernel32.dll")]
		private static extern IntPtr LocalFree(IntPtr memory);
	}
}
