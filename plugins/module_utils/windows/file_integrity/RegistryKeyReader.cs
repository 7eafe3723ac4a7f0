// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryKeyReader
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Registry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.SecurityDescriptor;

/// <summary>One key as it was read: all of it in one consistent look, or why that was not possible.</summary>
public sealed class KeyContent
{
	/// <summary>The key was deleted while it was read.</summary>
	public bool IsGone;

	/// <summary>Null when the key allows nobody to query it.</summary>
	public KeyInformation Information;

	/// <summary>Null when the descriptor cannot be read.</summary>
	public SecurityDescriptor Security;

	/// <summary>The target of a symbolic link key, null for others.</summary>
	public string Link;

	public readonly List<RegistryValue> Values = new List<RegistryValue>();
	public readonly List<string> Subkeys = new List<string>();

	/// <summary>Sentences for the coverage about what could not be read.</summary>
	public readonly List<string> Problems = new List<string>();
}

/// <summary>Reads keys, and again when one changes meanwhile. Not for use by several threads.</summary>
public sealed class RegistryKeyReader : IDisposable
{
	private const int Attempts = 3;

	// Bytes of the names and data of one key, so that accounts which fill theirs do not use up the memory.
	private const long Room = 64 << 20;

	private const int MostSubkeys = 500000;

	// Of longer data only the digest is kept.
	private const int LongestData = 64 * 1024;

	// Descriptors repeat: a machine has a few hundred different ones for some hundred thousand keys.
	private const int LargestCache = 10000;

	private readonly Dictionary<string, SecurityDescriptor> _descriptors =
		new Dictionary<string, SecurityDescriptor>(StringComparer.Ordinal);
	private readonly RegistryData _data = new RegistryData();

	/// <summary>
	/// Read a key, its values unless not wanted, and the names of its subkeys likewise. most: of the values.
	/// </summary>
	public KeyContent Read(IRegistryKey key, bool withSecurity, bool withValues, bool withSubkeys, long most)
	{
		KeyContent content = null;
		for (int attempt = 0; attempt < Attempts; attempt++)
		{
			content = new KeyContent();
			if (ReadOnce(key, content, withSecurity, withValues, withSubkeys, most) || content.IsGone)
				return content;
		}
		content.Problems.Add("it changed in each of " + Attempts + " attempts to read it; a value may be missing");
		return content;
	}

	private bool ReadOnce(
		IRegistryKey key, KeyContent content, bool security, bool values, bool subkeys, long most)
	{
		uint status = key.Query(out content.Information);
		if (!Succeeded(status, content, "its values and subkeys"))
		{
			values = false;
			// Enumerating subkeys is a right of its own (KEY_ENUMERATE_SUB_KEYS).
			subkeys = subkeys && status == RegistryStatus.AccessDenied;
		}
		if (content.IsGone)
			return false;
		if (security)
			ReadSecurity(key, content);
		bool consistent = (!values || ReadValues(key, content, most)) &&
			(!subkeys || ReadSubkeys(key, content));
		return consistent && !content.IsGone;
	}

	public void Dispose()
	{
		_data.Dispose();
	}

	private bool ReadValues(IRegistryKey key, KeyContent content, long most)
	{
		RegistryValue link;
		long room = Room;
		// What is added after the count was read belongs to the next run.
		for (int index = 0; index < content.Information.Values; index++)
		{
			RegistryValue value;
			if (index >= most || room <= 0)
			{
				content.Problems.Add("only " + index + " of its " + content.Information.Values + " values were read, " +
					"because they are so many or so large; find out who made them, or give the watch fewer keys");
				if (key.Find(RegistryLinks.ValueName, out link) == RegistryStatus.Success &&
					link.Type == RegistryLinks.ValueType)
					content.Link = RegistryData.Text(link.Data, link.Data.Length);
				return true;
			}
			uint status = key.Value(index, out value);
			if (status == RegistryStatus.NoMoreEntries)
				return false;
			if (status != RegistryStatus.ValueTooLarge && !Succeeded(status, content, "its values"))
				return true;
			if (value.Type == RegistryLinks.ValueType && value.Data != null &&
				string.Equals(value.Name, RegistryLinks.ValueName, StringComparison.OrdinalIgnoreCase))
				content.Link = RegistryData.Text(value.Data, value.Data.Length);
			else
				content.Values.Add(value);
			if (value.Data != null && value.Data.Length > LongestData)
			{
				value.Sha256 = _data.Digest(value.Data);
				value.Data = null;
			}
			room -= 2 * value.Name.Length + (value.Data == null ? 0 : value.Data.Length);
		}
		return true;
	}

	private static bool ReadSubkeys(IRegistryKey key, KeyContent content)
	{
		for (int index = 0; content.Information == null || index < content.Information.Subkeys; index++)
		{
			string name;
			if (index == MostSubkeys)
			{
				content.Problems.Add("it has more than " + index + " subkeys, and the rest was not read");
				return true;
			}
			uint status = key.Subkey(index, out name);
			if (status == RegistryStatus.NoMoreEntries)
				return content.Information == null;
			if (!Succeeded(status, content, "its subkeys"))
				return true;
			content.Subkeys.Add(name);
		}
		return true;
	}

	private void ReadSecurity(IRegistryKey key, KeyContent content)
	{
		byte[] descriptor;
		if (!Succeeded(key.Security(out descriptor), content, "its owner and DACL"))
			return;
		string identity = Convert.ToBase64String(descriptor);
		if (_descriptors.TryGetValue(identity, out content.Security))
			return;
		try
		{
			content.Security = SecurityDescriptor.Parse(descriptor);
		}
		catch (FormatException error)
		{
			content.Problems.Add("its owner and DACL cannot be read: " + error.Message);
			return;
		}
		if (_descriptors.Count < LargestCache)
			_descriptors[identity] = content.Security;
	}

	private static bool Succeeded(uint status, KeyContent content, string part)
	{
		if (status == RegistryStatus.Success)
			return true;
		if (RegistryStatus.IsAbsent(status))
			content.IsGone = true;
		else
			content.Problems.Add(part + " cannot be read: " + Describe(status));
		return false;
	}

	/// <summary>Return an NTSTATUS as a clause for people.</summary>
	public static string Describe(uint status)
	{
		switch (status)
		{
			case RegistryStatus.AccessDenied:
				return "access is denied";
			case RegistryStatus.RegistryCorrupt:
				return "the registry is damaged there";
			case RegistryStatus.PredefinedHandle:
				return "it stands for performance counters, which are no keys";
			default:
				return "Windows returns the status 0x" + status.ToString("X8", CultureInfo.InvariantCulture);
		}
	}
}

/// <summary>The symbolic links of the registry that Windows itself makes.</summary>
public static class RegistryLinks
{
	/// <summary>The name of the value that holds the target of a symbolic link key, of the type REG_LINK.</summary>
	public const string ValueName = "SymbolicLinkValue";

	/// <summary>REG_LINK.</summary>
	public const uint ValueType = 6;

	private const RegexOptions Options =
		RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.Singleline;

	// Path and target: the control set in use, the classes of a user and their view for 32-bit programs.
	private static readonly Regex[] Known =
	{
		new Regex(
			@"^HKLM\\SYSTEM\\CurrentControlSet\0\\Registry\\Machine\\System\\ControlSet\d{3}\z", Options),
		new Regex(
			@"^HKLM\\SYSTEM\\(?:CurrentControlSet|ControlSet\d{3})\\Hardware Profiles\\Current\0" +
			@"\\Registry\\Machine\\System\\(?:CurrentControlSet|ControlSet\d{3})\\Hardware Profiles\\\d{4}\z",
			Options),
		new Regex(
			@"^HKU\\([^\\\0]+)\\SOFTWARE\\Classes\0\\Registry\\User\\\1_Classes\z", Options),
		new Regex(
			@"^HKLM\\SOFTWARE\\WOW6432Node\\Classes\0\\Registry\\Machine\\Software\\Classes\\WOW6432Node\z",
			Options),
		new Regex(
			@"^HKLM\\SOFTWARE\\Classes\\WOW6432Node\0\\Registry\\Machine\\Software\\WOW6432Node\\Classes\z",
			Options),
		// Keys that both views share (Microsoft Learn, "Registry Keys Affected by WOW64").
		new Regex(@"^HKLM\\SOFTWARE\\WOW6432Node\\(.+)\0\\Registry\\Machine\\Software\\\1\z", Options),
		new Regex(
			@"^HKLM\\SOFTWARE\\Classes\\WOW6432Node\\(.+)\0\\Registry\\Machine\\Software\\Classes\\\1\z",
			Options),
		new Regex(@"^HKU\\S-1-5-18\0\\Registry\\User\\\.Default\z", Options)
	};

	/// <summary>Say whether a link is Windows' own, so that a watch may name keys below it.</summary>
	public static bool IsKnown(string path, string target)
	{
		string text = path + "\0" + target.TrimEnd('\0');
		foreach (Regex pattern in Known)
		{
			if (pattern.IsMatch(text))
				return true;
		}
		return false;
	}
}

/// <summary>The type, digest and text of the data of registry values. Not for use by several threads.</summary>
public sealed class RegistryData : IDisposable
{
	/// <summary>What stands between the strings of a REG_MULTI_SZ; no file name can hold it.</summary>
	public const string Separator = " | ";

	/// <summary>In bytes. Longer text is known by its digest only.</summary>
	public const int LongestText = 4096;

	// Longer binary data is known by its digest only.
	private const int LongestBinary = 64;

	private static readonly string[] Types =
	{
		"REG_NONE", "REG_SZ", "REG_EXPAND_SZ", "REG_BINARY", "REG_DWORD", "REG_DWORD_BIG_ENDIAN", "REG_LINK",
		"REG_MULTI_SZ", "REG_RESOURCE_LIST", "REG_FULL_RESOURCE_DESCRIPTOR", "REG_RESOURCE_REQUIREMENTS_LIST",
		"REG_QWORD"
	};

	private static readonly Regex SecretName = new Regex(
		"pass(word|wd|phrase)|pwd|secret|token|credential|api[-_ ]?key|private[-_ ]?key|access[-_ ]?key",
		RegexOptions.IgnoreCase | RegexOptions.CultureInvariant);

	// A path, a program, or options.
	private static readonly Regex Command = new Regex(
		@"\\|\.(?:exe|dll|com|bat|cmd|vbs|js|ps1|scr|sys|hta)\b|\s[-/]\w",
		RegexOptions.IgnoreCase | RegexOptions.CultureInvariant);

	private const string SecretWords = "(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[-_]?key|access[-_]?key)";

	// One of them is in all that SecretOption matches.
	private static readonly string[] SecretHints = { "pass", "pwd", "secret", "token", "key" };

	// --password X, /password:X; pwd=X. Not a path or address: whoever names its option "token" must not hide it.
	private static readonly Regex SecretOption = new Regex(
		@"((?:(?<=^|\s)(?:--?|/)[\w-]{0,40}?" + SecretWords + @"(?:[=:]|\s+)|\b\w{0,40}?" + SecretWords +
		@"\s?[=:]\s?)[""']?)(?![^\s""'|]*(?::[\\/]|\\\\))[^\s""'|]+",
		RegexOptions.IgnoreCase | RegexOptions.CultureInvariant);

	private static readonly Regex SecretInAddress = new Regex(
		@"(\w://[^\s/:@]{1,100}:)[^\s/@]+(?=@)", RegexOptions.CultureInvariant);

	private const string Mask = "$1***";

	private readonly HashAlgorithm _sha256 = SHA256.Create();

	/// <summary>Return the name of a type, and TYPE_0xN for one that Windows does not define.</summary>
	public static string TypeName(uint type)
	{
		if (type < Types.Length)
			return Types[type];
		return "TYPE_0x" + type.ToString("x", CultureInfo.InvariantCulture);
	}

	/// <summary>Return the SHA-256 in lower-case hexadecimal.</summary>
	public string Digest(byte[] data)
	{
		byte[] digest = _sha256.ComputeHash(data);
		char[] text = new char[digest.Length * 2];
		for (int index = 0; index < digest.Length; index++)
		{
			text[2 * index] = Digit(digest[index] >> 4);
			text[2 * index + 1] = Digit(digest[index] & 15);
		}
		return new string(text);
	}

	/// <summary>
	/// Return short data as text that can be shown; null for long data and for values whose name says that they
	/// hold a secret. Passwords in command lines are masked.
	/// </summary>
	public static string Show(string name, uint type, byte[] data)
	{
		if (data == null || data.Length > LongestText || IsSecret(name, type, data))
			return null;
		switch (type)
		{
			case 1:
			case 2:
				return Safe(Text(data, data.Length));
			case 7:
				return Safe(string.Join(Separator, Strings(data)));
			case 4:
				if (data.Length == 4)
					return BitConverter.ToUInt32(data, 0).ToString(CultureInfo.InvariantCulture);
				break;
			case 11:
				if (data.Length == 8)
					return BitConverter.ToUInt64(data, 0).ToString(CultureInfo.InvariantCulture);
				break;
		}
		return data.Length <= LongestBinary ? Hex(data) : null;
	}

	/// <summary>Return UTF-16 text as it is, without the NUL at its end.</summary>
	public static string Text(byte[] data, int length)
	{
		char[] characters = new char[length / 2];
		Buffer.BlockCopy(data, 0, characters, 0, characters.Length * 2);
		int end = characters.Length;
		if (end > 0 && characters[end - 1] == '\0')
			end--;
		return new string(characters, 0, end);
	}

	/// <summary>Return the strings of a REG_MULTI_SZ.</summary>
	public static string[] Strings(byte[] data)
	{
		string text = Text(data, data.Length);
		if (text.EndsWith("\0", StringComparison.Ordinal))
			text = text.Substring(0, text.Length - 1);
		return text.Length == 0 ? new string[0] : text.Split('\0');
	}

	public void Dispose()
	{
		((IDisposable)_sha256).Dispose();
	}

	// Whoever names a command "token" must not hide it so.
	private static bool IsSecret(string name, uint type, byte[] data)
	{
		if (!SecretName.IsMatch(name))
			return false;
		bool isText = type == 1 || type == 2 || type == 7;
		return !isText || !Command.IsMatch(Text(data, data.Length));
	}

	/// <summary>Return a text with its passwords masked, escaped so that it can be shown.</summary>
	public static string Safe(string text)
	{
		string masked = text;
		if (Array.Exists(SecretHints, delegate(string hint) { return Has(masked, hint); }))
			masked = SecretOption.Replace(masked, Mask);
		return Printable.ShowPath(Has(masked, "://") ? SecretInAddress.Replace(masked, Mask) : masked);
	}

	private static bool Has(string text, string part)
	{
		return text.IndexOf(part, StringComparison.OrdinalIgnoreCase) >= 0;
	}

	private static string Hex(byte[] data)
	{
		char[] text = new char[data.Length * 2];
		for (int index = 0; index < data.Length; index++)
		{
			text[2 * index] = Digit(data[index] >> 4);
			text[2 * index + 1] = Digit(data[index] & 15);
		}
		return new string(text);
	}

	private static char Digit(int value)
	{
		return (char)(value < 10 ? '0' + value : 'a' + value - 10);
	}
}
}
