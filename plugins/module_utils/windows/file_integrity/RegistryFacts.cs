// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryFacts
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Authenticode;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.FileSecurity;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Registry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.FileReader;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.HostPaths;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.SecurityDescriptor;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryKeyReader;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Signatures;

/// <summary>What a judgement of the registry needs beyond the entry. Null means that it is not known.</summary>
public interface IRegistryFacts
{
	/// <summary>The Windows directory, such as C:\Windows.</summary>
	string SystemRoot { get; }

	/// <summary>Replace %NAME% by the machine's variables.</summary>
	string Expand(string text);

	bool? HasKey(string path);

	bool? HasValue(string path, string name);

	/// <summary>The data of a value as it would be shown, null for none.</summary>
	string Data(string path, string name);

	/// <summary>The data of a value as it is, null for none.</summary>
	byte[] Bytes(string path, string name);

	/// <summary>The time of the last write of a key, in 100 ns since 1601.</summary>
	long? LastWrite(string path);

	/// <summary>Of a path on a disk of this host without links on the way, as the following.</summary>
	bool? FileExists(string path);

	/// <summary>Ordinary accounts that may create files in a directory or write a file; empty for none.</summary>
	IList<string> Writers(string path);

	/// <summary>Who signed a program, when its signature holds; null else.</summary>
	string Signer(string path);
}

/// <summary>The facts of this host. No path of the registry leads it to another host.</summary>
public sealed class HostRegistryFacts : IRegistryFacts
{
	// For the signatures of all programs that the registry names: accounts name as many in their keys as they want.
	// Nothing is claimed of the rest.
	private const double SignerSeconds = 120;

	// What GetDriveType returns for a disk of this host.
	private const uint FixedDrive = 3;

	private static readonly Regex Variable = new Regex("%([^%]+)%", RegexOptions.CultureInvariant);

	private readonly IRegistry _registry;
	private readonly IFiles _files;
	private readonly IFileSecurity _security = new NativeFileSecurity();
	private readonly SignatureReader _signatures;
	private readonly HostPaths _paths;
	private readonly string _systemRoot;
	private readonly Stopwatch _signing = new Stopwatch();
	private readonly Dictionary<string, string> _signers =
		new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);

	/// <summary>systemRoot: the Windows directory, without a backslash at its end.</summary>
	public HostRegistryFacts(IRegistry registry, IFiles files, IAuthenticode authenticode, string systemRoot)
	{
		_registry = registry;
		_files = files;
		_signatures = new SignatureReader(authenticode);
		_paths = new HostPaths(registry);
		_systemRoot = systemRoot;
	}

	public string SystemRoot
	{
		get { return _systemRoot; }
	}

	public string Expand(string text)
	{
		return Variable.Replace(text, delegate(Match match)
		{
			return _paths.Variable(match.Groups[1].Value) ?? match.Value;
		});
	}

	public bool? HasKey(string path)
	{
		IRegistryKey key;
		uint status = Open(path, out key);
		if (status == RegistryStatus.Success)
		{
			key.Dispose();
			return true;
		}
		return RegistryStatus.IsAbsent(status) ? (bool?)false : null;
	}

	public bool? HasValue(string path, string name)
	{
		RegistryValue value;
		uint status = Find(path, name, out value);
		if (status == RegistryStatus.Success || status == RegistryStatus.ValueTooLarge)
			return true;
		return RegistryStatus.IsAbsent(status) ? (bool?)false : null;
	}

	public string Data(string path, string name)
	{
		RegistryValue value;
		bool isRead = Find(path, name, out value) == RegistryStatus.Success;
		return isRead ? RegistryData.Show(value.Name, value.Type, value.Data) : null;
	}

	public byte[] Bytes(string path, string name)
	{
		RegistryValue value;
		return Find(path, name, out value) == RegistryStatus.Success ? value.Data : null;
	}

	public long? LastWrite(string path)
	{
		IRegistryKey key;
		if (Open(path, out key) != RegistryStatus.Success)
			return null;
		using (key)
		{
			KeyInformation information;
			bool isRead = key.Query(out information) == RegistryStatus.Success;
			return isRead ? (long?)information.LastWrite : null;
		}
	}

	public bool? FileExists(string path)
	{
		IOpenFile file;
		int error = OpenFile(path, FileUse.Attributes, out file);
		if (error == 0)
		{
			file.Dispose();
			return true;
		}
		return FileErrors.IsAbsent(error) ? (bool?)false : null;
	}

	public IList<string> Writers(string path)
	{
		IOpenFile file;
		byte[] descriptor;
		if (OpenFile(path, FileUse.Attributes, out file) != 0)
			return null;
		using (file)
		{
			if (_security.Read(file, out descriptor) != 0)
				return null;
		}
		try
		{
			SecurityDescriptor parsed = SecurityDescriptor.Parse(descriptor);
			return parsed.HasDacl
				? OrdinaryAccounts.Among(parsed.Allowed, OrdinaryAccounts.FileWrite)
				: new List<string> { "Everyone" };
		}
		catch (FormatException)
		{
			return null;
		}
	}

	public string Signer(string path)
	{
		string signer;
		IOpenFile file;
		if (_signers.TryGetValue(path, out signer) || OpenFile(path, FileUse.Content, out file) != 0)
			return signer;
		using (file)
		{
			Dictionary<string, object> attributes = new Dictionary<string, object>();
			FileFacts facts;
			double left = SignerSeconds - _signing.Elapsed.TotalSeconds;
			// Windows hashes all of it, and a sparse file of a terabyte costs nothing.
			if (left <= 0 || file.Query(out facts) != 0 || facts.Size > FileReader.LargestSigned
				|| FileAttribute.IsRemote(facts.Attributes, 0))
				return null;
			_signing.Start();
			_signatures.Read(file, path, true, new Deadline(left), attributes);
			_signing.Stop();
			Entry entry = new Entry(EntryKinds.File, path, attributes);
			bool isValid = entry.Text("signature") == SignatureWords.Valid;
			signer = isValid ? entry.Text("signer_organisation") ?? entry.Text("signer") : null;
		}
		_signers[path] = signer;
		return signer;
	}

	// Name by name: a link on the way could lead to another host, which would get the account's sign-in.
	private int OpenFile(string path, FileUse use, out IOpenFile file)
	{
		file = null;
		bool isLocal = path.Length > 2 && path[1] == ':' && path[2] == '\\' &&
			_files.DriveType(path.Substring(0, 3)) == FixedDrive;
		if (!isLocal)
			return FileErrors.NotSupported;
		string[] names = path.Substring(3).Split(new[] { '\\' }, StringSplitOptions.RemoveEmptyEntries);
		int error = _files.Open(null, path.Substring(0, 3), FileUse.Attributes, out file);
		for (int index = 0; error == 0 && index < names.Length; index++)
		{
			IOpenFile child;
			FileUse next = index == names.Length - 1 ? use : FileUse.Attributes;
			error = _files.Find(file, names[index], next, out child);
			FileFacts facts;
			// While its directory is open, which is asked for the volume.
			if (error == 0 && (child.Query(out facts) != 0 || (facts.Attributes & FileAttribute.Reparse) != 0))
			{
				child.Dispose();
				error = FileErrors.NotSupported;
			}
			file.Dispose();
			file = child;
		}
		return error;
	}

	private uint Find(string path, string name, out RegistryValue value)
	{
		value = null;
		IRegistryKey key;
		uint status = Open(path, out key);
		if (status != RegistryStatus.Success)
			return status;
		using (key)
			return key.Find(name, out value);
	}

	private uint Open(string path, out IRegistryKey key)
	{
		string[] parts = path.Split(new[] { '\\' }, 2);
		IRegistryKey root;
		uint status = _registry.OpenRoot(parts[0], out root);
		if (status != RegistryStatus.Success || parts.Length < 2)
		{
			key = root;
			return status;
		}
		using (root)
			return root.Open(parts[1], true, out key);
	}
}
}
