// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.SecurityDescriptor
{
/// <summary>
/// Owner and DACL of a self-relative security descriptor as text that is equal on every host ([MS-DTYP] 2.4.6).
/// </summary>
/// <remarks>
/// Windows' own conversion writes LA, DA and the like for accounts that differ by machine and domain, so that the
/// text is made here: aliases stand only for constant SIDs, rights are aliases or hexadecimal. The order of the
/// entries is kept, because it decides; inherited ones have the flag ID.
/// </remarks>
public sealed class SecurityDescriptor
{
	private const int OwnerOffset = 4;
	private const int DaclOffset = 16;
	private const int HeaderSize = 20;
	private const ushort DaclPresent = 0x0004;
	private const ushort DaclAutoInherited = 0x0400;
	private const ushort DaclProtected = 0x1000;
	private const int InheritedFlag = 0x10;

	private static readonly string[] AceFlags = { "OI", "CI", "NP", "IO", "ID" };

	private static readonly Dictionary<string, string> Aliases = new Dictionary<string, string>
	{
		{ "S-1-1-0", "WD" }, { "S-1-3-0", "CO" }, { "S-1-3-1", "CG" }, { "S-1-3-4", "OW" }, { "S-1-5-2", "NU" },
		{ "S-1-5-4", "IU" }, { "S-1-5-6", "SU" }, { "S-1-5-7", "AN" }, { "S-1-5-10", "PS" }, { "S-1-5-11", "AU" },
		{ "S-1-5-12", "RC" }, { "S-1-5-18", "SY" }, { "S-1-5-19", "LS" }, { "S-1-5-20", "NS" },
		{ "S-1-5-32-544", "BA" }, { "S-1-5-32-545", "BU" }, { "S-1-5-32-546", "BG" }, { "S-1-5-32-547", "PU" },
		{ "S-1-5-32-551", "BO" }, { "S-1-15-2-1", "AC" }
	};

	// KEY_ALL_ACCESS, KEY_READ, KEY_WRITE and the generic rights of entries that are only inherited.
	private static readonly Dictionary<uint, string> KeyRights = new Dictionary<uint, string>
	{
		{ 0xF003F, "KA" }, { 0x20019, "KR" }, { 0x20006, "KW" },
		{ 0x10000000, "GA" }, { 0x80000000, "GR" }, { 0x40000000, "GW" }, { 0x20000000, "GX" }
	};

	/// <summary>The owner's SID, null when the descriptor has none.</summary>
	public string Owner;

	/// <summary>D:FLAGS(entries); D:NO_ACCESS_CONTROL without a DACL, which allows everybody everything.
	/// </summary>
	public string Dacl;

	/// <summary>Say whether there is a DACL: without one, everybody is allowed everything.</summary>
	public bool HasDacl = true;

	/// <summary>How many entries of the DACL are inherited.</summary>
	public int Inherited;

	/// <summary>The entries that allow: account by SID, and the mask of its rights.</summary>
	public readonly List<KeyValuePair<string, uint>> Allowed = new List<KeyValuePair<string, uint>>();

	/// <summary>Read a descriptor of a registry key; raise FormatException when it is none.</summary>
	public static SecurityDescriptor Parse(byte[] descriptor)
	{
		if (descriptor == null || descriptor.Length < HeaderSize || descriptor[0] != 1)
			throw new FormatException("this is no security descriptor of revision 1");
		SecurityDescriptor parsed = new SecurityDescriptor();
		ushort control = BitConverter.ToUInt16(descriptor, 2);
		int owner = BitConverter.ToInt32(descriptor, OwnerOffset);
		int size;
		parsed.Owner = owner == 0 ? null : Sid(descriptor, owner, out size);
		int dacl = BitConverter.ToInt32(descriptor, DaclOffset);
		if ((control & DaclPresent) == 0 || dacl == 0)
		{
			parsed.Dacl = "D:NO_ACCESS_CONTROL";
			parsed.HasDacl = false;
			return parsed;
		}
		StringBuilder text = new StringBuilder("D:");
		text.Append((control & DaclProtected) != 0 ? "P" : "");
		text.Append((control & DaclAutoInherited) != 0 ? "AI" : "");
		parsed.ReadEntries(descriptor, dacl, text);
		parsed.Dacl = text.ToString();
		return parsed;
	}

	private void ReadEntries(byte[] data, int acl, StringBuilder text)
	{
		Need(data, acl, 8);
		int count = BitConverter.ToUInt16(data, acl + 4);
		int position = acl + 8;
		for (int index = 0; index < count; index++)
		{
			Need(data, position, 4);
			int size = BitConverter.ToUInt16(data, position + 2);
			if (size < 4)
				throw new FormatException("an entry of the DACL has no size");
			Need(data, position, size);
			Append(data, position, size, text);
			position += size;
		}
	}

	private void Append(byte[] data, int position, int size, StringBuilder text)
	{
		int type = data[position];
		int flags = data[position + 1];
		if ((flags & InheritedFlag) != 0)
			Inherited++;
		if (type > 1 || size < 16)
		{
			// Object, callback and unknown entries: exact, if not readable.
			text.Append("(#").Append(Hex(data, position, size)).Append(')');
			return;
		}
		uint mask = BitConverter.ToUInt32(data, position + 4);
		int length;
		string sid = Sid(data, position + 8, out length);
		text.Append('(').Append(type == 0 ? "A" : "D").Append(';').Append(FlagText(flags)).Append(';');
		string alias;
		string number = "0x" + mask.ToString("x", CultureInfo.InvariantCulture);
		text.Append(KeyRights.TryGetValue(mask, out alias) ? alias : number);
		text.Append(";;;").Append(Aliases.TryGetValue(sid, out alias) ? alias : sid).Append(')');
		// 0x08: an entry that is only inherited does not apply to this key.
		if (type == 0 && (flags & 0x08) == 0)
			Allowed.Add(new KeyValuePair<string, uint>(sid, mask));
	}

	private static string FlagText(int flags)
	{
		if (flags == 0)
			return "";
		StringBuilder text = new StringBuilder();
		for (int bit = 0; bit < AceFlags.Length; bit++)
		{
			if ((flags & (1 << bit)) != 0)
				text.Append(AceFlags[bit]);
		}
		return text.ToString();
	}

	private static string Sid(byte[] data, int offset, out int size)
	{
		Need(data, offset, 8);
		int count = data[offset + 1];
		size = 8 + 4 * count;
		Need(data, offset, size);
		long authority = 0;
		for (int index = 2; index < 8; index++)
			authority = (authority << 8) | data[offset + index];
		StringBuilder text = new StringBuilder("S-");
		text.Append(data[offset].ToString(CultureInfo.InvariantCulture)).Append('-');
		text.Append(authority.ToString(CultureInfo.InvariantCulture));
		for (int index = 0; index < count; index++)
		{
			uint part = BitConverter.ToUInt32(data, offset + 8 + 4 * index);
			text.Append('-').Append(part.ToString(CultureInfo.InvariantCulture));
		}
		return text.ToString();
	}

	private static void Need(byte[] data, int offset, int size)
	{
		if (offset < 0 || size < 0 || offset > data.Length - size)
			throw new FormatException("the security descriptor is cut off");
	}

	private static string Hex(byte[] data, int offset, int size)
	{
		StringBuilder text = new StringBuilder(size * 2);
		for (int index = offset; index < offset + size; index++)
			text.Append(data[index].ToString("x2", CultureInfo.InvariantCulture));
		return text.ToString();
	}
}

/// <summary>Which accounts that are no administrators may write, by a DACL.</summary>
public static class OrdinaryAccounts
{
	/// <summary>KEY_SET_VALUE, KEY_CREATE_SUB_KEY, KEY_CREATE_LINK, WRITE_DAC, WRITE_OWNER, GENERIC_WRITE and _ALL.
	/// </summary>
	public const uint KeyWrite = 0x2 | 0x4 | 0x20 | 0x40000 | 0x80000 | 0x40000000 | 0x10000000;

	/// <summary>FILE_WRITE_DATA (FILE_ADD_FILE), WRITE_DAC, WRITE_OWNER, GENERIC_WRITE and _ALL.</summary>
	public const uint FileWrite = 0x2 | 0x40000 | 0x80000 | 0x40000000 | 0x10000000;

	private static readonly Dictionary<string, string> Names = new Dictionary<string, string>
	{
		{ "S-1-1-0", "Everyone" }, { "WD", "Everyone" },
		{ "S-1-5-7", "anonymous users" }, { "AN", "anonymous users" },
		{ "S-1-5-11", "authenticated users" }, { "AU", "authenticated users" },
		{ "S-1-5-4", "interactive users" }, { "IU", "interactive users" },
		{ "S-1-5-2", "network users" }, { "NU", "network users" },
		{ "S-1-5-32-545", "Users" }, { "BU", "Users" }, { "S-1-5-32-546", "Guests" }, { "BG", "Guests" }
	};

	// Groups that administrators fill or that few programs are in.
	private static readonly Dictionary<string, string> Small = new Dictionary<string, string>
	{
		{ "S-1-5-32-555", "Remote Desktop Users" }, { "S-1-5-32-556", "Network Configuration Operators" },
		{ "S-1-5-3", "batch jobs" }, { "S-1-5-6", "services" }, { "SU", "services" },
		{ "S-1-5-113", "local accounts" }, { "S-1-15-2-1", "all app packages" }, { "AC", "all app packages" }
	};

	// Administrator, and the groups that administrate domains.
	private static readonly Regex Administrators = new Regex("-(?:500|512|516|518|519)$");

	private const string Account = "the account ";

	public static bool IsAccount(string name)
	{
		return name.StartsWith(Account, StringComparison.Ordinal);
	}

	/// <summary>Say whether one of the names stands for all accounts or nearly so.</summary>
	public static bool AreMany(ICollection<string> names)
	{
		bool areMany = false;
		foreach (string name in names)
			areMany |= name == "Domain Users" || Names.ContainsValue(name);
		return areMany;
	}

	/// <summary>Return the name of a group of ordinary accounts or such an account, null for any other.</summary>
	public static string Name(string sid)
	{
		string name;
		if (Names.TryGetValue(sid, out name) || Small.TryGetValue(sid, out name))
			return name;
		if (!sid.StartsWith("S-1-5-21-", StringComparison.Ordinal) || Administrators.IsMatch(sid))
			return null;
		return sid.EndsWith("-513", StringComparison.Ordinal) ? "Domain Users" : Account + sid;
	}

	/// <summary>Return which groups of ordinary accounts have any of the rights, each once.</summary>
	public static List<string> Among(IEnumerable<KeyValuePair<string, uint>> allowed, uint rights)
	{
		List<string> names = new List<string>();
		foreach (KeyValuePair<string, uint> entry in allowed)
		{
			string name = Name(entry.Key);
			if (name != null && (entry.Value & rights) != 0 && !names.Contains(name))
				names.Add(name);
		}
		return names;
	}

	/// <summary>Return who may change a key, by its DACL as SecurityDescriptor writes it.</summary>
	public static List<string> KeyWriters(string dacl)
	{
		if (dacl == null)
			return new List<string>();
		if (dacl == "D:NO_ACCESS_CONTROL")
			return new List<string> { "Everyone" };
		List<KeyValuePair<string, uint>> allowed = new List<KeyValuePair<string, uint>>();
		foreach (string entry in dacl.Split('('))
		{
			string[] fields = entry.TrimEnd(')').Split(';');
			if (fields.Length == 6 && fields[0] == "A" && fields[1].IndexOf("IO", StringComparison.Ordinal) < 0)
				allowed.Add(new KeyValuePair<string, uint>(fields[5], Mask(fields[2])));
		}
		return Among(allowed, KeyWrite);
	}

	private static uint Mask(string rights)
	{
		switch (rights)
		{
			case "KA":
				return 0xF003F;
			case "KW":
				return 0x20006;
			case "GA":
				return 0x10000000;
			case "GW":
				return 0x40000000;
			default:
				uint mask;
				bool isNumber = rights.StartsWith("0x", StringComparison.Ordinal) && uint.TryParse(
					rights.Substring(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out mask);
				return isNumber ? Convert.ToUInt32(rights, 16) : 0;
		}
	}
}
}
