// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Runtime.InteropServices;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Registry
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.RegistrySecurity;

	/// <summary>The NTSTATUS values that reading the registry returns ([MS-ERREF] 2.3.1).</summary>
	public static class RegistryStatus
	{
		public const uint Success = 0;
		public const uint BufferOverflow = 0x80000005;
		public const uint NoMoreEntries = 0x8000001A;
		public const uint AccessDenied = 0xC0000022;
		public const uint BufferTooSmall = 0xC0000023;
		public const uint NameNotFound = 0xC0000034;
		public const uint PathNotFound = 0xC000003A;
		public const uint InvalidParameter = 0xC000000D;
		public const uint KeyDeleted = 0xC000017C;
		public const uint RegistryCorrupt = 0xC000014C;

		/// <summary>The key is another name of HKEY_PERFORMANCE_TEXT or the like, which cannot be read as keys are.
		/// </summary>
		public const uint PredefinedHandle = 0x40000016;

		/// <summary>The value is larger than <see cref="NativeRegistry.LargestValue"/>: name, type and size are known.
		/// </summary>
		public const uint ValueTooLarge = 0xE0000001;

		/// <summary>Say whether the status means that there is no such key or value.</summary>
		public static bool IsAbsent(uint status)
		{
			return status == NameNotFound || status == PathNotFound || status == KeyDeleted;
		}
	}

	/// <summary>What NtQueryKey returns of a key.</summary>
	public sealed class KeyInformation
	{
		/// <summary>In 100 ns since 1601, UTC.</summary>
		public long LastWrite;

		public string Class = "";
		public int Subkeys;
		public int Values;
	}

	/// <summary>One value of a key.</summary>
	public sealed class RegistryValue
	{
		/// <summary>As stored: it can hold NUL and lone surrogates, and is empty for the default value.</summary>
		public string Name;

		/// <summary>REG_SZ is 1; any number can be stored.</summary>
		public uint Type;

		/// <summary>Null when it was not read, or only its digest is known.</summary>
		public byte[] Data;

		/// <summary>In lower-case hexadecimal; null unless it stands for data.</summary>
		public string Sha256;

		/// <summary>In bytes.</summary>
		public long Size;
	}

	/// <summary>The registry of a host.</summary>
	public interface IRegistry
	{
		/// <summary>Open HKLM or HKU; returns an NTSTATUS, the key is null unless it is 0.</summary>
		uint OpenRoot(string hive, out IRegistryKey key);
	}

	/// <summary>An open key. Every method returns an NTSTATUS and sets its results to null unless it is 0.</summary>
	public interface IRegistryKey : IDisposable
	{
		/// <summary>
		/// Open a subkey. The name can hold backslashes and every other character. A symbolic link is opened itself
		/// unless followLink; links between this key and the last name are always followed.
		/// </summary>
		uint Open(string name, bool followLink, out IRegistryKey key);

		uint Query(out KeyInformation information);

		/// <summary>Return the name of a subkey by its position; NoMoreEntries after the last.</summary>
		uint Subkey(int index, out string name);

		/// <summary>Return a value by its position; NoMoreEntries after the last, ValueTooLarge without data.</summary>
		uint Value(int index, out RegistryValue value);

		/// <summary>Return a value by its name; ValueTooLarge without data.</summary>
		uint Find(string name, out RegistryValue value);

		/// <summary>Return owner, group and DACL as a self-relative security descriptor.</summary>
		uint Security(out byte[] descriptor);
	}

	/// <summary>
	/// The registry of this host, through ntdll.dll: the Win32 functions cut names at NUL. Always the 64-bit view, also
	/// in a 32-bit process (KEY_WOW64_64KEY). Keys that the DACL denies are opened with SeBackupPrivilege where the
	/// process holds it. Not for use by several threads.
	/// </summary>
	public sealed class NativeRegistry : IRegistry
	{
		/// <summary>The largest data, in bytes, that is read of one value.</summary>
		public const int LargestValue = 16 * 1024 * 1024;

		private const uint BackupPrivilege = 17;

		private readonly bool _hasBackup;

		[DllImport("ntdll.dll")]
		private static extern uint RtlAdjustPrivilege(uint privilege, byte enable, byte thread, out byte wasEnabled);

		/// <summary>Enable SeBackupPrivilege for this process if it holds it.</summary>
		public NativeRegistry()
		{
			byte wasEnabled;
			_hasBackup = RtlAdjustPrivilege(BackupPrivilege, 1, 0, out wasEnabled) == RegistryStatus.Success;
		}

		/// <summary>Say whether a 32-bit process runs on a 64-bit Windows.</summary>
		public static bool IsEmulated
		{
			get { return Environment.Is64BitOperatingSystem && !Environment.Is64BitProcess; }
		}

		/// <summary>Say whether keys are opened with SeBackupPrivilege where their DACL denies it.</summary>
		public bool HasBackupPrivilege
		{
			get { return _hasBackup; }
		}

		public uint OpenRoot(string hive, out IRegistryKey key)
		{
			key = null;
			string name = hive == "HKLM" ? @"\Registry\Machine" : hive == "HKU" ? @"\Registry\User" : null;
			if (name == null)
			{
				return RegistryStatus.PathNotFound;
			}
			return NativeKey.Open(IntPtr.Zero, name, true, new NativeBuffers(_hasBackup), out key);
		}
	}

	/// <summary>The buffers that the keys of one registry share.</summary>
	internal sealed class NativeBuffers
	{
		public readonly bool HasBackup;
		public byte[] Data = new byte[64 * 1024];
		public byte[] Descriptor = new byte[1024];

		public NativeBuffers(bool hasBackup)
		{
			HasBackup = hasBackup;
		}
	}

	internal sealed class NativeKey : IRegistryKey
	{
		// KEY_READ | KEY_WOW64_64KEY; MAXIMUM_ALLOWED takes what a DACL leaves of it.
		private const uint ReadAccess = 0x20019 | 0x100;
		private const uint MaximumAccess = 0x02000000 | 0x100;

		private const uint CaseInsensitive = 0x40;
		private const uint OpenLink = 0x100;
		private const uint BackupRestoreOption = 4;
		private const uint OpenLinkOption = 8;

		private const int KeyBasicInformation = 0;
		private const int KeyFullInformation = 2;
		private const int ValueBasicInformation = 0;
		private const int ValueFullInformation = 1;
		private const int ValuePartialInformation = 2;

		// Offsets in KEY_BASIC_INFORMATION, KEY_FULL_INFORMATION and KEY_VALUE_*_INFORMATION (wdm.h).
		private const int KeyNameLength = 12;
		private const int KeyName = 16;
		private const int ClassOffset = 12;
		private const int ClassLength = 16;
		private const int SubkeyCount = 20;
		private const int ValueCount = 32;
		private const int ValueType = 4;
		private const int FullDataOffset = 8;
		private const int FullDataLength = 12;
		private const int FullNameLength = 16;
		private const int FullName = 20;
		private const int BasicNameLength = 8;
		private const int BasicName = 12;
		private const int PartialDataLength = 8;
		private const int PartialData = 12;

		// A UNICODE_STRING counts bytes with 16 bits.
		private const int LongestName = 32767;

		private readonly NativeBuffers _buffers;
		private IntPtr _handle;

		[StructLayout(LayoutKind.Sequential)]
		internal struct UnicodeString
		{
			public ushort Length;
			public ushort MaximumLength;
			public IntPtr Buffer;
		}

		[StructLayout(LayoutKind.Sequential)]
		internal struct ObjectAttributes
		{
			public int Length;
			public IntPtr RootDirectory;
			public IntPtr ObjectName;
			public uint Attributes;
			public IntPtr SecurityDescriptor;
			public IntPtr SecurityQualityOfService;
		}

		[DllImport("ntdll.dll")]
		private static extern uint NtOpenKeyEx(
			out IntPtr handle, uint access, ref ObjectAttributes attributes, uint options);

		[DllImport("ntdll.dll")]
		private static extern uint NtClose(IntPtr handle);

		[DllImport("ntdll.dll")]
		private static extern uint NtQueryKey(IntPtr handle, int kind, byte[] data, int length, out int needed);

		[DllImport("ntdll.dll")]
		private static extern uint NtEnumerateKey(
			IntPtr handle, int index, int kind, byte[] data, int length, out int needed);

		[DllImport("ntdll.dll")]
		private static extern uint NtEnumerateValueKey(
			IntPtr handle, int index, int kind, byte[] data, int length, out int needed);

		[DllImport("ntdll.dll")]
		private static extern uint NtQueryValueKey(
			IntPtr handle, ref UnicodeString name, int kind, byte[] data, int length, out int needed);

		private NativeKey(IntPtr handle, NativeBuffers buffers)
		{
			_handle = handle;
			_buffers = buffers;
		}

		public static uint Open(
			IntPtr parent, string name, bool followLink, NativeBuffers buffers, out IRegistryKey key)
		{
			key = null;
			IntPtr handle;
			uint options = followLink ? 0 : OpenLinkOption;
			uint status = OpenHandle(parent, name, ReadAccess, followLink, options, out handle);
			if (status == RegistryStatus.AccessDenied && buffers.HasBackup)
			{
				status = OpenHandle(parent, name, ReadAccess, followLink, options | BackupRestoreOption, out handle);
			}
			if (status == RegistryStatus.AccessDenied)
			{
				status = OpenHandle(parent, name, MaximumAccess, followLink, options, out handle);
			}
			if (status == RegistryStatus.Success)
			{
				key = new NativeKey(handle, buffers);
			}
			else if (status == RegistryStatus.PredefinedHandle)
			{
				NtClose(handle);
			}
			return status;
		}

		private static uint OpenHandle(
			IntPtr parent, string name, uint access, bool followLink, uint options, out IntPtr handle)
		{
			handle = IntPtr.Zero;
			if (name.Length > LongestName)
			{
				return RegistryStatus.InvalidParameter;
			}
			GCHandle text = GCHandle.Alloc(name, GCHandleType.Pinned);
			UnicodeString[] counted = new UnicodeString[1];
			GCHandle pinned = GCHandle.Alloc(counted, GCHandleType.Pinned);
			try
			{
				counted[0] = Counted(name, text);
				ObjectAttributes attributes = new ObjectAttributes();
				attributes.Length = Marshal.SizeOf(typeof(ObjectAttributes));
				attributes.RootDirectory = parent;
				attributes.ObjectName = pinned.AddrOfPinnedObject();
				attributes.Attributes = followLink ? CaseInsensitive : CaseInsensitive | OpenLink;
				return NtOpenKeyEx(out handle, access, ref attributes, options);
			}
			finally
			{
				pinned.Free();
				text.Free();
			}
		}

		public uint Open(string name, bool followLink, out IRegistryKey key)
		{
			return Open(_handle, name, followLink, _buffers, out key);
		}

		public uint Query(out KeyInformation information)
		{
			information = null;
			int needed;
			uint status = NtQueryKey(_handle, KeyFullInformation, _buffers.Data, _buffers.Data.Length, out needed);
			if (status != RegistryStatus.Success)
			{
				return status;
			}
			byte[] data = _buffers.Data;
			information = new KeyInformation();
			information.LastWrite = BitConverter.ToInt64(data, 0);
			information.Subkeys = BitConverter.ToInt32(data, SubkeyCount);
			information.Values = BitConverter.ToInt32(data, ValueCount);
			int length = BitConverter.ToInt32(data, ClassLength);
			if (length > 0)
			{
				information.Class = Text(data, BitConverter.ToInt32(data, ClassOffset), length);
			}
			return status;
		}

		public uint Subkey(int index, out string name)
		{
			name = null;
			int needed;
			byte[] data = _buffers.Data;
			uint status = NtEnumerateKey(_handle, index, KeyBasicInformation, data, data.Length, out needed);
			if (status == RegistryStatus.Success)
			{
				name = Text(data, KeyName, BitConverter.ToInt32(data, KeyNameLength));
			}
			return status;
		}

		public uint Value(int index, out RegistryValue value)
		{
			value = null;
			int needed;
			uint status = NtEnumerateValueKey(
				_handle, index, ValueFullInformation, _buffers.Data, _buffers.Data.Length, out needed);
			if (IsShort(status) && Grow(needed))
			{
				status = NtEnumerateValueKey(
					_handle, index, ValueFullInformation, _buffers.Data, _buffers.Data.Length, out needed);
			}
			if (IsShort(status))
			{
				return TooLarge(index, needed, out value);
			}
			if (status != RegistryStatus.Success)
			{
				return status;
			}
			byte[] data = _buffers.Data;
			int offset = BitConverter.ToInt32(data, FullDataOffset);
			int length = BitConverter.ToInt32(data, FullDataLength);
			value = new RegistryValue();
			value.Type = BitConverter.ToUInt32(data, ValueType);
			value.Name = Text(data, FullName, BitConverter.ToInt32(data, FullNameLength));
			value.Size = length;
			value.Data = Bytes(data, offset, length);
			Shrink();
			return status;
		}

		public uint Find(string name, out RegistryValue value)
		{
			value = null;
			if (name.Length > LongestName)
			{
				return RegistryStatus.InvalidParameter;
			}
			GCHandle text = GCHandle.Alloc(name, GCHandleType.Pinned);
			try
			{
				UnicodeString counted = Counted(name, text);
				int needed;
				uint status = NtQueryValueKey(
					_handle, ref counted, ValuePartialInformation, _buffers.Data, _buffers.Data.Length, out needed);
				if (IsShort(status) && Grow(needed))
				{
					status = NtQueryValueKey(
						_handle, ref counted, ValuePartialInformation, _buffers.Data, _buffers.Data.Length, out needed);
				}
				if (status != RegistryStatus.Success && !IsShort(status))
				{
					return status;
				}
				byte[] data = _buffers.Data;
				value = new RegistryValue();
				value.Name = name;
				value.Type = BitConverter.ToUInt32(data, ValueType);
				value.Size = BitConverter.ToInt32(data, PartialDataLength);
				if (IsShort(status))
				{
					return RegistryStatus.ValueTooLarge;
				}
				value.Data = Bytes(data, PartialData, (int)value.Size);
				Shrink();
				return status;
			}
			finally
			{
				text.Free();
			}
		}

		public uint Security(out byte[] descriptor)
		{
			return NativeKeySecurity.Read(_handle, ref _buffers.Descriptor, out descriptor);
		}

		public void Dispose()
		{
			if (_handle != IntPtr.Zero)
			{
				NtClose(_handle);
				_handle = IntPtr.Zero;
			}
		}

		private uint TooLarge(int index, int needed, out RegistryValue value)
		{
			value = null;
			int unused;
			byte[] data = _buffers.Data;
			uint status = NtEnumerateValueKey(_handle, index, ValueBasicInformation, data, data.Length, out unused);
			if (status != RegistryStatus.Success)
			{
				return status;
			}
			int nameLength = BitConverter.ToInt32(data, BasicNameLength);
			value = new RegistryValue();
			value.Type = BitConverter.ToUInt32(data, ValueType);
			value.Name = Text(data, BasicName, nameLength);
			// What is needed beyond the fixed part and the name is data, up to alignment.
			RegistryValue exact;
			uint detail = Find(value.Name, out exact);
			value.Size = detail == RegistryStatus.ValueTooLarge || detail == RegistryStatus.Success
				? exact.Size
				: Math.Max(0, needed - FullName - nameLength);
			return RegistryStatus.ValueTooLarge;
		}

		private bool Grow(int needed)
		{
			if (needed <= _buffers.Data.Length || needed > NativeRegistry.LargestValue + FullName + 65536)
			{
				return false;
			}
			_buffers.Data = new byte[needed];
			return true;
		}

		private void Shrink()
		{
			if (_buffers.Data.Length > 1024 * 1024)
			{
				_buffers.Data = new byte[64 * 1024];
			}
		}

		private static bool IsShort(uint status)
		{
			return status == RegistryStatus.BufferOverflow || status == RegistryStatus.BufferTooSmall;
		}

		private static UnicodeString Counted(string name, GCHandle pinned)
		{
			UnicodeString counted = new UnicodeString();
			counted.Length = checked((ushort)(name.Length * 2));
			counted.MaximumLength = counted.Length;
			counted.Buffer = pinned.AddrOfPinnedObject();
			return counted;
		}

		// Encoding.Unicode would replace lone surrogates.
		private static string Text(byte[] data, int offset, int bytes)
		{
			char[] characters = new char[bytes / 2];
			Buffer.BlockCopy(data, offset, characters, 0, characters.Length * 2);
			return new string(characters);
		}

		private static byte[] Bytes(byte[] data, int offset, int length)
		{
			byte[] copy = new byte[length];
			Buffer.BlockCopy(data, offset, copy, 0, length);
			return copy;
		}
	}
}
