// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Globalization;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Addresses
{
/// <summary>
/// An IP address as Python's <c>ipaddress</c> reads it; IPAddress.Parse of .NET also takes 1, 0x7f.1 and [::1].
/// </summary>
public sealed class Address
{
	private const string HexDigits = "0123456789abcdefABCDEF";

	public readonly int Bits;
	public readonly ulong High;
	public readonly ulong Low;

	private Address(int bits, ulong high, ulong low)
	{
		Bits = bits;
		High = high;
		Low = low;
	}

	/// <summary>
	/// Return the address that a text is, an IPv4 address for one that IPv6 only wraps; null for what is no address.
	/// </summary>
	public static Address Parse(string text)
	{
		int zone = text.IndexOf('%');
		Address address = Read(zone < 0 ? text : text.Substring(0, zone));
		bool isWrapped = address != null && address.Bits == 128 && address.High == 0 && address.Low >> 32 == 0xFFFF;
		return isWrapped ? new Address(32, 0, address.Low & 0xFFFFFFFF) : address;
	}

	/// <summary>Return the very address that a text is, without a zone; null for what is none.</summary>
	public static Address Read(string text)
	{
		if (text.IndexOf(':') >= 0)
			return ParseLong(text);
		ulong number;
		return ParseShort(text, out number) ? new Address(32, 0, number) : null;
	}

	/// <summary>Return the address without the bits after a prefix of so many.</summary>
	public Address Network(int prefix)
	{
		int rest = Bits - prefix;
		ulong low = rest >= 64 ? 0 : Low >> rest << rest;
		ulong high = rest <= 64 ? High : rest == 128 ? 0 : High >> (rest - 64) << (rest - 64);
		return new Address(Bits, high, low);
	}

	public override bool Equals(object other)
	{
		Address address = other as Address;
		return address != null && address.Bits == Bits && address.High == High && address.Low == Low;
	}

	public override int GetHashCode()
	{
		return High.GetHashCode() * 31 ^ Low.GetHashCode();
	}

	private static bool ParseShort(string text, out ulong number)
	{
		number = 0;
		string[] parts = text.Split('.');
		if (parts.Length != 4)
			return false;
		foreach (string part in parts)
		{
			if (part.Length == 0 || part.Length > 3 || (part.Length > 1 && part[0] == '0'))
				return false;
			uint octet = 0;
			foreach (char digit in part)
			{
				if (digit < '0' || digit > '9')
					return false;
				octet = octet * 10 + digit - '0';
			}
			if (octet > 255)
				return false;
			number = number << 8 | octet;
		}
		return true;
	}

	private static Address ParseLong(string text)
	{
		int last = text.LastIndexOf(':') + 1;
		if (text.IndexOf('.', last) >= 0)
		{
			ulong number;
			if (!ParseShort(text.Substring(last), out number))
				return null;
			text = text.Substring(0, last) + (number >> 16).ToString("x", CultureInfo.InvariantCulture) + ":"
				+ (number & 0xFFFF).ToString("x", CultureInfo.InvariantCulture);
		}
		string[] parts = text.Split(':');
		if (parts.Length < 3 || parts.Length > 9)
			return null;
		int gap = -1;
		for (int index = 1; index < parts.Length - 1; index++)
		{
			if (parts[index].Length > 0)
				continue;
			if (gap >= 0)
				return null;
			gap = index;
		}
		bool opens = parts[0].Length == 0;
		bool closes = parts[parts.Length - 1].Length == 0;
		if ((opens && gap != 1) || (closes && gap != parts.Length - 2) || (gap < 0 && parts.Length != 8))
			return null;
		int present = parts.Length - (gap >= 0 ? 1 : 0) - (opens ? 1 : 0) - (closes ? 1 : 0);
		if (gap >= 0 && present > 7)
			return null;
		ulong high = 0;
		ulong low = 0;
		for (int index = opens ? 2 : 0; index < parts.Length - (closes ? 1 : 0); index++)
		{
			ulong group = 0;
			if (index == gap)
			{
				for (int skipped = present; skipped < 8; skipped++)
					Shift(ref high, ref low, 0);
				continue;
			}
			if (parts[index].Length > 4)
				return null;
			foreach (char digit in parts[index])
			{
				int value = HexDigits.IndexOf(digit);
				if (value < 0)
					return null;
				group = group << 4 | (uint)(value < 16 ? value : value - 6);
			}
			Shift(ref high, ref low, group);
		}
		return new Address(128, high, low);
	}

	private static void Shift(ref ulong high, ref ulong low, ulong group)
	{
		high = high << 16 | low >> 48;
		low = low << 16 | group;
	}
}

/// <summary>A network: 10.0.0.0/8.</summary>
public sealed class Network
{
	public readonly Address Base;
	public readonly int Prefix;

	/// <summary>FormatException for what is none, also one with bits after its prefix.</summary>
	public Network(string cidr)
	{
		int slash = cidr.IndexOf('/');
		Address address = Address.Read(slash < 0 ? cidr : cidr.Substring(0, slash));
		if (address == null)
			throw new FormatException("'" + cidr + "' is no network");
		Prefix = slash < 0 ? address.Bits : int.Parse(cidr.Substring(slash + 1), CultureInfo.InvariantCulture);
		if (Prefix < 0 || Prefix > address.Bits || !address.Network(Prefix).Equals(address))
			throw new FormatException("'" + cidr + "' is no network");
		Base = address;
	}

	/// <summary>Say whether it is an address of this network; of the other IP version it is none.</summary>
	public bool Contains(Address address)
	{
		return address.Bits == Base.Bits && address.Network(Prefix).Equals(Base);
	}
}
}
