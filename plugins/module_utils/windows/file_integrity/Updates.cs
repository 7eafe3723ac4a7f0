// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Updates
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.FileLinks;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Registry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.HostPaths;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Signatures;

/// <summary>An update of Windows or a product that was installed or updated.</summary>
public sealed class Installation
{
	/// <summary>KB5034123, or the product's name.</summary>
	public string Name;

	/// <summary>Empty where there is none.</summary>
	public string Version = "";

	/// <summary>In 100 ns since 1601, UTC.</summary>
	public long Time;
}

/// <summary>
/// What the host records of installations. An administrator can forge it: it never explains alone.
/// </summary>
public interface IServicing
{
	/// <summary>Say whether a file is a hard link of one with its name in the component store.</summary>
	bool IsInStore(string path);

	/// <summary>The updates of Windows that were installed after a time, the oldest first.</summary>
	IList<Installation> UpdatesSince(long time);

	/// <summary>
	/// The product that Windows Installer installed to a file's directory after a time; null for none.
	/// </summary>
	Installation ProductSince(string path, long time);
}

/// <summary>
/// The records of Component Based Servicing and Windows Installer in the registry, and hard links into WinSxS.
/// </summary>
public sealed class Servicing : IServicing
{
	private const string Packages = @"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages";
	private const string Installer = @"SOFTWARE\Microsoft\Windows\CurrentVersion\Installer\UserData\S-1-5-18";

	// CbsPackageState: 0x70 is installed.
	private const long Installed = 0x70;

	private static readonly Regex Knowledge = new Regex("KB[0-9]{6,8}", RegexOptions.CultureInvariant);

	private readonly IRegistry _registry;
	private readonly IFileLinks _links;
	private readonly string _store;
	private List<Installation> _updates;
	private Dictionary<string, List<string>> _products;

	public Servicing(IRegistry registry, IFileLinks links, string systemRoot)
	{
		_registry = registry;
		_links = links;
		string root = (systemRoot ?? @"C:\Windows").TrimEnd('\\');
		// Names of links have no drive.
		_store = (root.Length > 2 && root[1] == ':' ? root.Substring(2) : root) + @"\WinSxS\";
	}

	public bool IsInStore(string path)
	{
		List<string> names = new List<string>();
		if (_links.List(path, names) != 0)
			return false;
		foreach (string name in names)
		{
			if (name.StartsWith(_store, StringComparison.OrdinalIgnoreCase)
				&& string.Equals(FileOf(name), FileOf(path), StringComparison.OrdinalIgnoreCase))
				return true;
		}
		return false;
	}

	public IList<Installation> UpdatesSince(long time)
	{
		if (_updates == null)
			_updates = ReadUpdates();
		return _updates.FindAll(delegate(Installation update) { return update.Time > time; });
	}

	public Installation ProductSince(string path, long time)
	{
		if (_products == null)
			_products = ReadProducts();
		List<string> codes;
		if (!_products.TryGetValue(DirectoryOf(path), out codes))
			return null;
		foreach (string code in codes)
		{
			IRegistryKey key = Open(Installer + @"\Products\" + code + @"\InstallProperties");
			if (key == null)
				continue;
			using (key)
			{
				KeyInformation information;
				if (key.Query(out information) == RegistryStatus.Success && information.LastWrite > time)
				{
					Installation product = new Installation();
					product.Name = Text(key, "DisplayName");
					product.Version = Text(key, "DisplayVersion");
					product.Time = information.LastWrite;
					if (product.Name.Length > 0)
						return product;
				}
			}
		}
		return null;
	}

	private List<Installation> ReadUpdates()
	{
		Dictionary<string, Installation> updates = new Dictionary<string, Installation>(StringComparer.Ordinal);
		EachSubkey(Packages, delegate(string name, IRegistryKey key)
		{
			if (Number(key, "CurrentState") != Installed)
				return;
			Installation update = new Installation();
			// The time may be that of staging; the restart that exchanges the files writes to the key again.
			KeyInformation information;
			update.Time = (Number(key, "InstallTimeHigh") << 32) | Number(key, "InstallTimeLow");
			if (key.Query(out information) == RegistryStatus.Success)
				update.Time = Math.Max(update.Time, information.LastWrite);
			Match match = Knowledge.Match(name);
			update.Name = match.Success ? match.Value : name.Split('~')[0];
			update.Version = name.Substring(name.LastIndexOf('~') + 1);
			Installation known;
			if (!updates.TryGetValue(update.Name, out known) || known.Time < update.Time)
				updates[update.Name] = update;
		});
		List<Installation> sorted = new List<Installation>(updates.Values);
		sorted.Sort(delegate(Installation left, Installation right) { return left.Time.CompareTo(right.Time); });
		return sorted;
	}

	/// <summary>Return the codes of the products by the directories of their components' key files.</summary>
	private Dictionary<string, List<string>> ReadProducts()
	{
		Dictionary<string, List<string>> products =
			new Dictionary<string, List<string>>(StringComparer.OrdinalIgnoreCase);
		EachSubkey(Installer + @"\Components", delegate(string name, IRegistryKey key)
		{
			RegistryValue value;
			for (int index = 0; key.Value(index, out value) == RegistryStatus.Success; index++)
			{
				string directory = DirectoryOf(TextOf(value).Replace("?", ""));
				List<string> codes;
				if (!products.TryGetValue(directory, out codes))
				{
					codes = new List<string>();
					products.Add(directory, codes);
				}
				if (!codes.Contains(value.Name))
					codes.Add(value.Name);
			}
		});
		return products;
	}

	private void EachSubkey(string path, Action<string, IRegistryKey> act)
	{
		IRegistryKey parent = Open(path);
		if (parent == null)
			return;
		using (parent)
		{
			string name;
			for (int index = 0; parent.Subkey(index, out name) == RegistryStatus.Success; index++)
			{
				IRegistryKey key;
				if (parent.Open(name, false, out key) == RegistryStatus.Success)
				{
					using (key)
						act(name, key);
				}
			}
		}
	}

	private IRegistryKey Open(string path)
	{
		IRegistryKey machine;
		if (_registry.OpenRoot("HKLM", out machine) != RegistryStatus.Success)
			return null;
		using (machine)
		{
			IRegistryKey key;
			return machine.Open(path, true, out key) == RegistryStatus.Success ? key : null;
		}
	}

	private static long Number(IRegistryKey key, string name)
	{
		RegistryValue value;
		bool isNumber = key.Find(name, out value) == RegistryStatus.Success && value.Data != null &&
			value.Data.Length == 4;
		return isNumber ? BitConverter.ToUInt32(value.Data, 0) : 0;
	}

	private static string Text(IRegistryKey key, string name)
	{
		RegistryValue value;
		return key.Find(name, out value) == RegistryStatus.Success ? TextOf(value) : "";
	}

	private static string TextOf(RegistryValue value)
	{
		if (value.Data == null)
			return "";
		char[] text = new char[value.Data.Length / 2];
		Buffer.BlockCopy(value.Data, 0, text, 0, text.Length * 2);
		string read = new string(text);
		int end = read.IndexOf('\0');
		return end < 0 ? read : read.Substring(0, end);
	}

	private static string FileOf(string path)
	{
		return path.Substring(path.LastIndexOf('\\') + 1);
	}

	private static string DirectoryOf(string path)
	{
		int end = path.LastIndexOf('\\');
		return end < 0 ? "" : path.Substring(0, end);
	}
}

/// <summary>
/// Explains changed programs: signed now as before by one publisher, whose chain ends in the same certificate, not
/// older than before, and installed since by an update or a product. Without a record of an installation the change
/// is only claimed. Names and versions count as the signature covers them: another program of the publisher, put
/// in the place of this one, is not explained.
/// </summary>
public sealed class UpdateJudge : IJudge
{
	// What an update changes of a file. Owner, access list and streams of a replaced file stay what they were.
	private static readonly HashSet<string> Replaced = new HashSet<string>(StringComparer.Ordinal)
	{
		"content", "sha256", "size", "mtime", "created", "file_id", "links", "attributes", "signature", "signer",
		"signer_thumbprint", "signer_root", "catalogue", "company", "file_version"
	};

	// How Windows judges a signature, which changes without the file.
	private static readonly HashSet<string> Judged = new HashSet<string>(StringComparer.Ordinal)
	{
		"signature", "signature_status", "signer", "signer_organisation", "signer_thumbprint", "signer_root",
		"catalogue", "links"
	};

	// What follows where the same content is installed again, as another file.
	private static readonly HashSet<string> Again = new HashSet<string>(StringComparer.Ordinal)
	{
		"file_id", "mtime", "created"
	};

	// desktop.ini of every startup folder, which only names it in the language of who looks.
	private const string StartupName = "cdb11958506a5ba5478e22ed472fa3ae422fe9916d674f290207e1fc29ae5a76";

	private readonly IServicing _servicing;
	private readonly long _since;
	private readonly ICollection<string> _roots;
	private readonly IHostPaths _paths;

	/// <summary>
	/// since: when the baseline was made, in 100 ns since 1601, UTC. roots: as SignatureJudge has them.
	/// </summary>
	public UpdateJudge(IServicing servicing, long since, ICollection<string> roots, IHostPaths paths)
	{
		_servicing = servicing;
		_since = since;
		_roots = roots;
		_paths = paths;
	}

	public Judgement JudgeEntry(Entry entry, Watch watch)
	{
		return null;
	}

	public Judgement JudgeChange(Change change, Watch watch)
	{
		bool isOfService = watch.Paths.Contains(PathVariables.Services);
		switch (change.Kind)
		{
			case ChangeKinds.Created:
				return StartupFolder(change.After) ?? (isOfService ? OfService(change.After) : null);
			case ChangeKinds.Deleted:
				ICollection<string> services = _paths.Services;
				return isOfService && services.Count > 0 && !services.Contains(change.Path)
					? Judgement.Explain("services", "", "explained by the services, of which none names it now")
					: null;
			case ChangeKinds.Modified:
				return SameContent(change) ?? Replacement(change);
			default:
				return null;
		}
	}

	private Judgement Replacement(Change change)
	{
		string original = change.After.Text("original_name");
		if (!IsReplaced(change) || !IsSamePublisher(change) || IsOlder(change) ||
			original != change.Before.Text("original_name"))
			return null;
		// Without a name that is signed, another file of the publisher could have taken its place.
		return Installed(original == null ? null : Find(change.Path), change.After) ??
			Claim(change.After, "it signed the program before and now, but this host records no installation of it");
	}

	private static Judgement StartupFolder(Entry entry)
	{
		object streams;
		bool isPlain = !entry.Attributes.TryGetValue("streams", out streams) || ((IList<object>)streams).Count == 0;
		return isPlain && entry.Text("sha256") == StartupName &&
			entry.Path.EndsWith(@"\desktop.ini", StringComparison.OrdinalIgnoreCase)
			? Judgement.Explain("Windows", "", "explained by Windows: every startup folder has this file")
			: null;
	}

	/// <summary>
	/// Judge a program that a service newly names. That service is a change of its own; here only Microsoft's.
	/// </summary>
	private Judgement OfService(Entry entry)
	{
		string root = entry.Text("signer_root");
		if (entry.Text("signature") != SignatureWords.Valid || root == null || !_roots.Contains(root) ||
			entry.Text("signer_organisation") != SignatureJudge.Microsoft)
			return null;
		return Installed(Update(entry.Path), entry) ??
			Claim(entry, "it signed the program, but this host records no installation of it");
	}

	/// <summary>Judge a file that only Windows' judgement of its signature changed of.</summary>
	private Judgement SameContent(Change change)
	{
		Entry before = change.Before;
		Entry after = change.After;
		string digest = after.Text("sha256");
		if (digest == null || digest != before.Text("sha256") || before.Text("signature") == null ||
			after.Text("signature") == null || SignatureJudge.IsWithdrawn(after))
			return null;
		bool isAnother = Array.IndexOf(change.Attributes, "file_id") >= 0;
		foreach (string attribute in change.Attributes)
		{
			if (!Judged.Contains(attribute) && !(isAnother && Again.Contains(attribute)))
				return null;
		}
		string publisher = Publisher(after) ?? Publisher(before) ?? "Windows";
		if (IsSamePublisher(change))
			return Judgement.Explain(
				Printable.Show(publisher), "", "explained by its content, which is the same, signed by the same");
		// A certificate that was added could have made it valid.
		return after.Text("signature") == SignatureWords.Valid
			? null
			: Claim(after, "its content is the same, but Windows finds no signature that holds for it any more");
	}

	private static Judgement Installed(Installation installation, Entry entry)
	{
		if (installation == null)
			return null;
		string name = Printable.Show(installation.Name);
		string message = "explained by " + name + ", signed by " + Printable.Show(Publisher(entry));
		return Judgement.Explain(name, Printable.Show(installation.Version), message);
	}

	private static Judgement Claim(Entry entry, string reason)
	{
		string publisher = Printable.Show(Publisher(entry) ?? "Windows");
		string version = entry.Text("file_version") ?? "";
		Judgement claim = Judgement.Explain(publisher, version, "claimed by " + publisher + ": " + reason);
		claim.Claimed = true;
		return claim;
	}

	private Installation Find(string path)
	{
		return Update(path) ?? _servicing.ProductSince(path, _since);
	}

	private Installation Update(string path)
	{
		IList<Installation> updates = _servicing.UpdatesSince(_since);
		// The last one is cumulative.
		return updates.Count > 0 && _servicing.IsInStore(path) ? updates[updates.Count - 1] : null;
	}

	private static bool IsReplaced(Change change)
	{
		bool hasContent = false;
		foreach (string attribute in change.Attributes)
		{
			if (!Replaced.Contains(attribute))
				return false;
			hasContent |= attribute == "content" || attribute == "sha256";
		}
		return hasContent;
	}

	private bool IsSamePublisher(Change change)
	{
		Entry before = change.Before;
		Entry after = change.After;
		return before.Text("signature") == SignatureWords.Valid &&
			after.Text("signature") == SignatureWords.Valid &&
			Publisher(before) != null && Publisher(before) == Publisher(after) &&
			IsSameRoot(before.Text("signer_root"), after.Text("signer_root"));
	}

	private bool IsSameRoot(string before, string after)
	{
		return before != null && after != null &&
			(before == after || (_roots.Contains(before) && _roots.Contains(after)));
	}

	private static string Publisher(Entry entry)
	{
		return entry.Text("signer_organisation") ?? entry.Text("signer");
	}

	/// <summary>
	/// Say whether the version went back, as when a program with a known weakness is brought back.
	/// </summary>
	private static bool IsOlder(Change change)
	{
		Version before;
		Version after;
		return Version.TryParse(change.Before.Text("file_version") ?? "", out before) &&
			(!Version.TryParse(change.After.Text("file_version") ?? "", out after) || after < before);
	}
}
}
