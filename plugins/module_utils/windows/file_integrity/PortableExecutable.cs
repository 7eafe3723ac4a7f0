// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Globalization;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.PortableExecutable
{
/// <summary>Reads bytes of a file from a position; returns fewer than the buffer holds only at the end.</summary>
public delegate int ReadBytes(long position, byte[] buffer);

/// <summary>
/// What a program says of itself (Microsoft's PE Format, VS_VERSIONINFO): only a signature that holds proves it.
/// </summary>
public sealed class PortableExecutable
{
	private const int HeaderSize = 4096;
	private const int LargestVersion = 64 * 1024;
	private const int LargestResources = 1024 * 1024;
	private const int ResourceDirectory = 2;
	private const int SecurityDirectory = 4;
	private const uint VersionType = 16;
	private const uint FixedSignature = 0xFEEF04BD;

	private readonly ReadBytes _read;
	private byte[] _header = new byte[HeaderSize];
	private int _sections;
	private int _sectionCount;
	private int _directories;
	private int _directoryCount;

	/// <summary>The header names a signature, which may be none.</summary>
	public bool HasSignature;

	/// <summary>CompanyName; null where the program has none.</summary>
	public string Company;

	/// <summary>OriginalFilename, by which the program was built; null where it has none.</summary>
	public string OriginalName;

	/// <summary>The version of the file as four numbers; null where the program has none.</summary>
	public string Version;

	private PortableExecutable(ReadBytes read)
	{
		_read = read;
	}

	/// <summary>Read a file; null when it is no PE. Never raises because of what is in it.</summary>
	public static PortableExecutable Parse(ReadBytes read)
	{
		PortableExecutable parsed = new PortableExecutable(read);
		return parsed.ReadHeader() ? parsed : null;
	}

	private bool ReadHeader()
	{
		int length = _read(0, _header);
		if (length < 64 || _header[0] != 'M' || _header[1] != 'Z')
			return false;
		long start = BitConverter.ToUInt32(_header, 60);
		if (start + 300 > length)
		{
			// A long stub before the header.
			length = _read(start, _header);
			start = 0;
		}
		int header = (int)start;
		if (length < header + 120 || BitConverter.ToUInt32(_header, header) != 0x4550)
			return false;
		int optional = header + 24;
		int magic = BitConverter.ToUInt16(_header, optional);
		if (magic != 0x10B && magic != 0x20B)
			return false;
		int count = optional + (magic == 0x10B ? 92 : 108);
		_directories = count + 4;
		_directoryCount = Math.Min(16, (int)Math.Min(16u, BitConverter.ToUInt32(_header, count)));
		_directoryCount = Math.Min(_directoryCount, (length - _directories) / 8);
		_sections = optional + BitConverter.ToUInt16(_header, header + 20);
		int fitting = Math.Max(0, (length - _sections) / 40);
		_sectionCount = Math.Min(BitConverter.ToUInt16(_header, header + 6), fitting);
		HasSignature = Directory(SecurityDirectory, 0) != 0 && Directory(SecurityDirectory, 4) != 0;
		ReadVersion();
		return true;
	}

	private uint Directory(int index, int part)
	{
		return index < _directoryCount ? BitConverter.ToUInt32(_header, _directories + 8 * index + part) : 0;
	}

	/// <summary>Return the position in the file of an address in memory, -1 when no section has it.</summary>
	private long Position(uint address)
	{
		for (int index = 0; index < _sectionCount; index++)
		{
			int section = _sections + 40 * index;
			uint start = BitConverter.ToUInt32(_header, section + 12);
			uint size = BitConverter.ToUInt32(_header, section + 16);
			if (address >= start && address - start < size)
				return (long)BitConverter.ToUInt32(_header, section + 20) + (address - start);
		}
		return -1;
	}

	private void ReadVersion()
	{
		uint address = Directory(ResourceDirectory, 0);
		uint size = Math.Min(Directory(ResourceDirectory, 4), LargestResources);
		long position = address == 0 ? -1 : Position(address);
		if (position < 0 || size < 16)
			return;
		// The directories come first; the data, which may be large, is read by itself.
		byte[] tree = new byte[Math.Min(size, 64 * 1024)];
		int length = _read(position, tree);
		int level = Child(tree, length, 0, VersionType);
		level = level < 0 ? -1 : Child(tree, length, level, null);
		int data = level < 0 ? -1 : Child(tree, length, level, null);
		if (data < 0 || data + 16L > length)
			return;
		long version = Position(BitConverter.ToUInt32(tree, data));
		uint versionSize = BitConverter.ToUInt32(tree, data + 4);
		if (version < 0 || versionSize < 92 || versionSize > LargestVersion)
			return;
		byte[] block = new byte[versionSize];
		int read = _read(version, block);
		ReadFixed(block, read);
		Company = Value(block, read, "CompanyName");
		OriginalName = Value(block, read, "OriginalFilename");
	}

	/// <summary>
	/// Return the offset of an entry of a resource directory, by its id or the first; -1 for none.
	/// </summary>
	private static int Child(byte[] tree, int length, int directory, uint? id)
	{
		// As long: with the highest offset the sum is beyond 31 bits.
		if (directory + 16L > length)
			return -1;
		int count = BitConverter.ToUInt16(tree, directory + 12) + BitConverter.ToUInt16(tree, directory + 14);
		for (int index = 0; index < count; index++)
		{
			int entry = directory + 16 + 8 * index;
			if (entry + 8 > length)
				return -1;
			if (id == null || BitConverter.ToUInt32(tree, entry) == id.Value)
				return (int)(BitConverter.ToUInt32(tree, entry + 4) & 0x7FFFFFFF);
		}
		return -1;
	}

	private void ReadFixed(byte[] block, int length)
	{
		for (int offset = 0; offset + 16 <= length && offset < 128; offset += 4)
		{
			if (BitConverter.ToUInt32(block, offset) == FixedSignature)
			{
				uint high = BitConverter.ToUInt32(block, offset + 8);
				uint low = BitConverter.ToUInt32(block, offset + 12);
				Version = string.Format(
					CultureInfo.InvariantCulture, "{0}.{1}.{2}.{3}", high >> 16, high & 0xFFFF, low >> 16,
					low & 0xFFFF);
				return;
			}
		}
	}

	/// <summary>Return the text of a String structure by its key.</summary>
	private static string Value(byte[] block, int length, string key)
	{
		for (int offset = 6; offset + 2 * key.Length + 2 <= length; offset += 2)
		{
			int index = 0;
			while (index < key.Length && BitConverter.ToChar(block, offset + 2 * index) == key[index])
				index++;
			if (index < key.Length || BitConverter.ToChar(block, offset + 2 * index) != '\0')
				continue;
			// The value begins at the next multiple of four; the length of it, in characters, is before the key.
			int start = (offset + 2 * key.Length + 2 + 3) & ~3;
			int characters = Math.Min((int)BitConverter.ToUInt16(block, offset - 4), (length - start) / 2);
			if (characters <= 0)
				return null;
			char[] text = new char[characters];
			Buffer.BlockCopy(block, start, text, 0, characters * 2);
			string value = new string(text);
			int end = value.IndexOf('\0');
			value = (end < 0 ? value : value.Substring(0, end)).Trim();
			return value.Length == 0 ? null : value;
		}
		return null;
	}
}
}
