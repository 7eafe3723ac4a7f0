// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.BinXmlValues
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.BinXmlData;

/// <summary>Values of BinXml as the text that they have in XML ([MS-EVEN6] 2.2.12, 2.2.17; libevtx, "Value type").
/// </summary>
public static class BinXmlValues
{
	public const int Null = 0x00;
	public const int String = 0x01;
	public const int AnsiString = 0x02;
	public const int Binary = 0x0E;
	public const int FileTime = 0x11;
	public const int Sid = 0x13;
	public const int BinXml = 0x21;
	public const int EvtXml = 0x23;
	public const int Array = 0x80;

	private const int Real32 = 0x0B;
	private const int Real64 = 0x0C;
	private const int Boolean = 0x0D;
	private const int Identifier = 0x0F;
	private const int SystemTime = 0x12;

	private const string HexDigits = "0123456789ABCDEF";
	private static readonly byte[] GuidOrder = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

	// Versions, levels, tasks and the like, which each event has.
	private static readonly string[] SmallNumbers = new string[256];

	private static readonly CultureInfo Invariant = CultureInfo.InvariantCulture;

	// By type, 0 where the size varies.
	private static readonly byte[] Sizes =
		{ 0, 0, 0, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 4, 0, 16, 8, 8, 16, 0, 4, 8 };

	// What windows-1252 has from 0x80 to 0x9F.
	private const string Ansi = "\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d"
		+ "\x8f\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178";

	/// <summary>Return the size in bytes of a value of this type, 0 where it varies.</summary>
	public static int SizeOf(int type)
	{
		return type < Sizes.Length ? Sizes[type] : 0;
	}

	/// <summary>Return the units of work (BinXmlData) of making the text of a value.</summary>
	public static int Cost(int type, int size)
	{
		switch (type)
		{
			case String:
			case EvtXml:
			case AnsiString:
			case Binary:
				return 1 + size / 8;
			case Sid:
				return 1 + size / 2;
			case FileTime:
			case SystemTime:
			case Real32:
			case Real64:
			case Identifier:
				return 20;
			default:
				return 1;
		}
	}

	/// <summary>Return a value as text; null when no value of this type is like that.</summary>
	public static string Text(BinXmlData data, int type, int offset, int size)
	{
		byte[] bytes = data.Bytes;
		switch (type)
		{
			case Null:
				return "";
			case String:
			case EvtXml:
				// A NUL within the text stays: what is behind it was logged, too.
				return data.Text(offset, size / 2).TrimEnd('\0');
			case AnsiString:
				return AnsiText(bytes, offset, size);
			case Binary:
				return Hex(bytes, offset, size);
			case Sid:
				return SidText(bytes, offset, size);
			case SystemTime:
				return size == 16 ? SystemTimeText(data, offset) : null;
			case FileTime:
				return size == 8 ? FileTimeText(BitConverter.ToInt64(bytes, offset)) : null;
			case Identifier:
				return size == 16 ? GuidText(bytes, offset) : null;
			case Boolean:
				return size == 4 || size == 1 ? (Unsigned(bytes, offset, size) != 0 ? "true" : "false") : null;
			case Real32:
				return size != 4 ? null : BitConverter.ToSingle(bytes, offset).ToString("R", Invariant);
			case Real64:
				return size != 8 ? null : BitConverter.ToDouble(bytes, offset).ToString("R", Invariant);
		}
		// Integers, of whatever size: some providers give fewer bytes than their manifest says.
		if (size != 1 && size != 2 && size != 4 && size != 8)
			return null;
		ulong number = Unsigned(bytes, offset, size);
		switch (type)
		{
			case 0x03:
			case 0x05:
			case 0x07:
			case 0x09:
				int shift = 64 - 8 * size;
				return ((long)(number << shift) >> shift).ToString(Invariant);
			case 0x04:
			case 0x06:
			case 0x08:
			case 0x0A:
				if (number >= (ulong)SmallNumbers.Length)
					return number.ToString(Invariant);
				return SmallNumbers[number] ?? (SmallNumbers[number] = number.ToString(Invariant));
			case 0x10:
			case 0x14:
			case 0x15:
			case 0x20:
				return "0x" + number.ToString("x", Invariant);
			default:
				return null;
		}
	}

	/// <summary>Return the elements of an array of this type; null when no array is like that.</summary>
	public static List<string> Items(BinXmlData data, int type, int offset, int size)
	{
		List<string> items = new List<string>();
		int end = offset + size;
		int unit = type == String ? 2 : type == AnsiString ? 1 : 0;
		while (offset < end)
		{
			int length = SizeOf(type);
			if (unit == 2)
				length = 2 * data.Terminated(offset, (end - offset) / 2);
			else if (type == Sid)
				length = 8 + 4 * data.Bytes[offset + 1];
			else if (unit == 1)
				length = System.Array.IndexOf(data.Bytes, (byte)0, offset, end - offset) - offset;
			if (length < 0)
				length = end - offset;
			if ((length == 0 && unit == 0) || length > end - offset || !data.Spend(Cost(type, length)))
				return null;
			string item = Text(data, type, offset, length);
			if (item == null)
				return null;
			items.Add(item);
			offset += length + unit;
		}
		return items;
	}

	/// <summary>Return bytes as hexadecimal digits.</summary>
	public static string Hex(byte[] bytes, int offset, int size)
	{
		char[] digits = new char[2 * size];
		for (int index = 0; index < size; index++)
		{
			digits[2 * index] = HexDigits[bytes[offset + index] >> 4];
			digits[2 * index + 1] = HexDigits[bytes[offset + index] & 15];
		}
		return new string(digits);
	}

	private static string AnsiText(byte[] bytes, int offset, int size)
	{
		char[] text = new char[size];
		for (int index = 0; index < size; index++)
		{
			byte code = bytes[offset + index];
			text[index] = (code & 0xE0) == 0x80 ? Ansi[code - 0x80] : (char)code;
		}
		return new string(text).TrimEnd('\0');
	}

	private static ulong Unsigned(byte[] bytes, int offset, int size)
	{
		ulong number = 0;
		for (int index = size - 1; index >= 0; index--)
			number = (number << 8) | bytes[offset + index];
		return number;
	}

	private static string SidText(byte[] bytes, int offset, int size)
	{
		if (size < 8 || size < 8 + 4 * bytes[offset + 1])
			return null;
		ulong authority = 0;
		for (int index = 2; index < 8; index++)
			authority = (authority << 8) | bytes[offset + index];
		StringBuilder text = new StringBuilder("S-", 48);
		text.Append(bytes[offset]).Append('-').Append(authority);
		for (int index = 0; index < bytes[offset + 1]; index++)
			text.Append('-').Append(BitConverter.ToUInt32(bytes, offset + 8 + 4 * index));
		return text.ToString();
	}

	private static string GuidText(byte[] bytes, int offset)
	{
		char[] text = new char[38];
		text[0] = '{';
		text[37] = '}';
		int at = 1;
		for (int index = 0; index < 16; index++)
		{
			if (index == 4 || index == 6 || index == 8 || index == 10)
				text[at++] = '-';
			byte part = bytes[offset + GuidOrder[index]];
			text[at++] = HexDigits[part >> 4];
			text[at++] = HexDigits[part & 15];
		}
		return new string(text);
	}

	private static string FileTimeText(long time)
	{
		if (time < 0 || time > DateTime.MaxValue.ToFileTimeUtc())
			return null;
		return DateTime.FromFileTimeUtc(time).ToString("yyyy-MM-ddTHH:mm:ss.fffffffZ", Invariant);
	}

	private static string SystemTimeText(BinXmlData data, int offset)
	{
		return string.Format(
			Invariant, "{0:D4}-{1:D2}-{2:D2}T{3:D2}:{4:D2}:{5:D2}.{6:D3}Z", data.UInt16(offset),
			data.UInt16(offset + 2), data.UInt16(offset + 6), data.UInt16(offset + 8), data.UInt16(offset + 10),
			data.UInt16(offset + 12), data.UInt16(offset + 14));
	}
}
}
