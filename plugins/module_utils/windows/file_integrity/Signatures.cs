// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Signatures
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Authenticode;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.PortableExecutable;

/// <summary>The values of an entry's attribute signature.</summary>
public static class SignatureWords
{
	/// <summary>The signature holds, and its chain ends in a certificate that this host trusts.</summary>
	public const string Valid = "valid";

	/// <summary>There is a signature and it does not verify; signature_status says why.</summary>
	public const string Invalid = "invalid";

	/// <summary>Neither the file nor a catalogue of this host has a signature for it.</summary>
	public const string None = "none";
}

/// <summary>What WinVerifyTrust returns (winerror.h).</summary>
public static class TrustStatus
{
	public const uint Trusted = 0;
	public const uint NoSignature = 0x800B0100;
	public const uint UnknownForm = 0x800B0003;
	public const uint UnknownProvider = 0x800B0001;
	public const uint BadDigest = 0x80096010;
	public const uint Revoked = 0x800B010C;
	public const uint ExplicitDistrust = 0x800B0111;
	public const uint Expired = 0x800B0101;
	public const uint UntrustedRoot = 0x800B0109;
	public const uint NoChain = 0x800B010A;

	/// <summary>Say whether the file has no signature of its own.</summary>
	public static bool IsUnsigned(uint status)
	{
		return status == NoSignature || status == UnknownForm || status == UnknownProvider;
	}

	/// <summary>Say whether a catalogue cannot make a file with this status of its own signature trusted.</summary>
	public static bool IsFinal(uint status)
	{
		return status == Trusted || status == BadDigest || status == Revoked || status == ExplicitDistrust;
	}

	/// <summary>Return a short name of a status.</summary>
	public static string Name(uint status)
	{
		switch (status)
		{
			case BadDigest:
				return "content_changed";
			case Revoked:
				return "revoked";
			case ExplicitDistrust:
				return "distrusted";
			case Expired:
				return "expired";
			case UntrustedRoot:
				return "untrusted_root";
			case NoChain:
				return "incomplete_chain";
			default:
				return "0x" + status.ToString("x8", CultureInfo.InvariantCulture);
		}
	}
}

/// <summary>Reads signature and version information of programs.</summary>
public sealed class SignatureReader
{
	private readonly IAuthenticode _authenticode;

	public SignatureReader(IAuthenticode authenticode)
	{
		_authenticode = authenticode;
	}

	/// <summary>
	/// Add signature, signature_status, signer, signer_organisation, signer_thumbprint, signer_root and catalogue
	/// (bool), of programs also company, original_name and file_version, to attributes. Returns 0 or a Win32 error,
	/// without signature, where this host could not say; Cancelled after the deadline.
	/// </summary>
	public int Read(
		IOpenFile file, string path, bool isExecutable, Deadline deadline, Dictionary<string, object> attributes)
	{
		PortableExecutable program = isExecutable ? PortableExecutable.Parse(delegate(long position, byte[] buffer)
		{
			int count;
			return file.Read(position, buffer, out count) == 0 ? count : 0;
		}) : null;
		if (isExecutable && program == null)
		{
			// A program of DOS, which cannot be signed.
			return 0;
		}
		if (program != null)
		{
			Add(attributes, "company", program.Company);
			Add(attributes, "original_name", program.OriginalName);
			Add(attributes, "file_version", program.Version);
		}
		if (deadline.Passed)
			return FileErrors.Cancelled;
		Verification verification = program == null || program.HasSignature
			? _authenticode.Embedded(file, path)
			: null;
		verification = verification != null && TrustStatus.IsUnsigned(verification.Status) ? null : verification;
		bool isCatalogue = false;
		int error = 0;
		if (verification == null || !TrustStatus.IsFinal(verification.Status))
		{
			// One of both that holds is enough for Windows: drivers keep a catalogue when their own has expired.
			Func<bool> mayGoOn = delegate { return !deadline.Passed; };
			Verification listed = _authenticode.Catalogue(file, path, mayGoOn, out error);
			isCatalogue = listed != null && !TrustStatus.IsUnsigned(listed.Status) &&
				(verification == null || listed.Status == TrustStatus.Trusted);
			verification = isCatalogue ? listed : verification;
		}
		if (verification == null)
		{
			if (error == 0)
				attributes["signature"] = SignatureWords.None;
			return error;
		}
		attributes["catalogue"] = isCatalogue;
		bool isTrusted = verification.Status == TrustStatus.Trusted;
		attributes["signature"] = isTrusted ? SignatureWords.Valid : SignatureWords.Invalid;
		if (!isTrusted)
			attributes["signature_status"] = TrustStatus.Name(verification.Status);
		Add(attributes, "signer", verification.Signer);
		Add(attributes, "signer_organisation", verification.Organisation);
		Add(attributes, "signer_thumbprint", verification.Thumbprint);
		Add(attributes, "signer_root", verification.Root);
		return 0;
	}

	private static void Add(Dictionary<string, object> attributes, string name, string value)
	{
		if (value != null)
			attributes[name] = value;
	}
}

/// <summary>How many programs of a group have a signature that holds, and how many have none that does.</summary>
public sealed class SignedGroup
{
	/// <summary>As people read it.</summary>
	public readonly string Name;

	public int Signed;
	public int Unsigned;

	/// <summary>It is in the coverage already.</summary>
	public bool IsNoted;

	public SignedGroup(string name)
	{
		Name = name;
	}

	/// <summary>Say whether a signature is the rule: at least three, and three for each program without.</summary>
	public bool IsSigned
	{
		get { return Signed >= 3 && Signed >= 3 * Unsigned; }
	}

	/// <summary>Say whether programs without a signature are so many that one more is no sign.</summary>
	public bool IsMixed
	{
		get { return Signed >= 3 && !IsSigned; }
	}
}

/// <summary>
/// Which programs belong together, and how many of each group are signed: those of a company by their version
/// information, those that Windows' installer owns, those of a directory, and those of one name below Windows'
/// directory. What a program says of itself only ever makes a missing signature worse.
/// </summary>
public sealed class SignedLikes
{
	// NT SERVICE\TrustedInstaller, which owns what Windows brings: the same SID on every host.
	private const string Installer = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";

	private readonly Dictionary<string, SignedGroup> _companies =
		new Dictionary<string, SignedGroup>(StringComparer.OrdinalIgnoreCase);

	private readonly Dictionary<string, SignedGroup> _directories =
		new Dictionary<string, SignedGroup>(StringComparer.OrdinalIgnoreCase);

	private readonly Dictionary<string, string> _signedNames =
		new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);

	private readonly SignedGroup _windows = new SignedGroup("Windows' installer");
	private readonly string _systemRoot;

	/// <summary>systemRoot: Windows' directory (C:\Windows).</summary>
	public SignedLikes(string systemRoot)
	{
		_systemRoot = (systemRoot ?? @"C:\Windows").TrimEnd('\\') + "\\";
	}

	/// <summary>Count a program; other entries do nothing. Each is to be given once.</summary>
	public void Observe(Entry entry)
	{
		string signature = entry.Kind == EntryKinds.File ? entry.Text("signature") : null;
		if (signature == null)
			return;
		bool isSigned = signature == SignatureWords.Valid;
		string company = entry.Text("company");
		string organisation = isSigned ? entry.Text("signer_organisation") : null;
		Count(company == null ? null : Group(_companies, company, company), isSigned);
		if (!string.Equals(company, organisation, StringComparison.OrdinalIgnoreCase))
			Count(organisation == null ? null : Group(_companies, organisation, organisation), isSigned);
		string directory = DirectoryOf(entry.Path);
		Count(Group(_directories, directory, directory), isSigned);
		if (entry.Text("owner") == Installer)
			Count(_windows, isSigned);
		if (isSigned && IsOfWindows(entry.Path))
			_signedNames[NameOf(entry.Path)] = entry.Path;
	}

	/// <summary>The programs of the company that an entry names; null where it names none.</summary>
	public SignedGroup Company(Entry entry)
	{
		SignedGroup group;
		string company = entry.Text("company");
		return company != null && _companies.TryGetValue(company, out group) ? group : null;
	}

	/// <summary>The programs in the directory of an entry; null where none was counted.</summary>
	public SignedGroup Directory(Entry entry)
	{
		SignedGroup group;
		return _directories.TryGetValue(DirectoryOf(entry.Path), out group) ? group : null;
	}

	/// <summary>The programs that Windows' installer owns; null where it does not own the entry.</summary>
	public SignedGroup OfWindows(Entry entry)
	{
		return entry.Text("owner") == Installer ? _windows : null;
	}

	/// <summary>The path of a signed program of this name below Windows' directory; null for none.</summary>
	public string SignedNamesake(Entry entry)
	{
		string path;
		return IsOfWindows(entry.Path) && _signedNames.TryGetValue(NameOf(entry.Path), out path) ? path : null;
	}

	/// <summary>Note the groups in which so many have no signature that no single one is reported.</summary>
	public void NoteMixed(ScopeCoverage coverage)
	{
		foreach (SignedGroup group in _companies.Values)
			Note(group, coverage);
		Note(_windows, coverage);
	}

	private static void Note(SignedGroup group, ScopeCoverage coverage)
	{
		if (group.IsMixed && !group.IsNoted)
		{
			group.IsNoted = true;
			coverage.Skip(
				"signatures of " + Printable.Show(group.Name),
				string.Format(
					CultureInfo.InvariantCulture,
					"{0} of its programs are signed and {1} are not, so that a missing signature is no sign",
					group.Signed,
					group.Unsigned));
		}
	}

	internal bool IsOfWindows(string path)
	{
		return path.StartsWith(_systemRoot, StringComparison.OrdinalIgnoreCase);
	}

	private static SignedGroup Group(Dictionary<string, SignedGroup> groups, string key, string name)
	{
		SignedGroup group;
		if (!groups.TryGetValue(key, out group))
		{
			group = new SignedGroup(name);
			groups.Add(key, group);
		}
		return group;
	}

	private static void Count(SignedGroup group, bool isSigned)
	{
		if (group != null && isSigned)
			group.Signed++;
		else if (group != null)
			group.Unsigned++;
	}

	private static string DirectoryOf(string path)
	{
		int end = path.LastIndexOf('\\');
		return end < 0 ? "" : path.Substring(0, end);
	}

	internal static string NameOf(string path)
	{
		return path.Substring(path.LastIndexOf('\\') + 1);
	}
}

/// <summary>
/// Alerts on programs whose signature does not hold although that of their like does, also on the first run.
/// Programs whose like is unsigned as well, as tools of third parties often are, are never reported.
/// </summary>
public sealed class SignatureJudge : IJudge
{
	/// <summary>The alert in the catalogue.</summary>
	public const string Alert = "fim_signature_mismatch";

	private const string Malware = "fim_malware";

	// T1554 Compromise Host Software Binary, T1036.001 Invalid Code Signature, T1036.005 Match Legitimate Name,
	// T1036.003 Rename System Utilities.
	private const string Compromised = "T1554";
	private const string InvalidSignature = "T1036.001";
	private const string Masquerading = "T1036.005";
	private const string RenamedTool = "T1036.003";

	internal const string Microsoft = "Microsoft Corporation";

	// Programs of Windows that run what they are told, by the names in their version information.
	private static readonly HashSet<string> Tools = new HashSet<string>(StringComparer.OrdinalIgnoreCase)
	{
		"cmd.exe", "powershell.exe", "explorer.exe", "taskmgr.exe", "mmc.exe", "regedit.exe", "wscript.exe",
		"cscript.exe", "mshta.exe", "rundll32.exe", "conhost.exe"
	};

	// A directory says little by itself: a vendor's may have free libraries that nobody signed.
	private const int DirectoryAtLeast = 20;

	private readonly SignedLikes _likes;
	private readonly ICollection<string> _roots;

	/// <summary>
	/// likes: has observed the programs of the watch before one of them is judged. roots: SHA-1 thumbprints of
	/// Microsoft's root certificates; empty where they are not known.
	/// </summary>
	public SignatureJudge(SignedLikes likes, ICollection<string> roots)
	{
		_likes = likes;
		_roots = roots;
	}

	public Judgement JudgeChange(Change change, Watch watch)
	{
		if (change.After == null)
			return null;
		string digest = change.After.Text("sha256");
		bool isSame = change.Before != null && digest != null && change.Before.Text("sha256") == digest;
		bool isLost = change.Before != null && change.Before.Text("signature") == SignatureWords.Valid &&
			change.After.Text("signature") != SignatureWords.Valid;
		if (isSame && isLost && !IsWithdrawn(change.After))
		{
			// A catalogue that is gone or not found says nothing of content that was signed.
			return null;
		}
		// Another change of a program that was accepted as it is says nothing of its signature.
		bool isProgram = change.Kind != ChangeKinds.Modified || change.After.Attributes.ContainsKey("malware");
		foreach (string attribute in change.Attributes)
			isProgram |= attribute == "content" || attribute == "sha256" || attribute == "signature";
		return isProgram ? JudgeEntry(change.After, watch) : null;
	}

	public Judgement JudgeEntry(Entry entry, Watch watch)
	{
		if (entry.Attributes.ContainsKey("malware"))
			return Judgement.Raise(
				Malware, "high", Printable.ShowPath(entry.Path) + " is malware for the antivirus program of this " +
				"host, which lets nobody read it", "T1204.002");
		string signature = entry.Kind == EntryKinds.File ? entry.Text("signature") : null;
		string root = entry.Text("signer_root");
		bool isMicrosoft = signature == SignatureWords.Valid &&
			(entry.Text("signer_organisation") ?? entry.Text("signer")) == Microsoft;
		if (isMicrosoft && root != null && _roots.Count > 0 && !_roots.Contains(root))
			return Judgement.Raise(
				Alert, "high", entry.Shown + " is signed in the name of " + Microsoft +
				" by a certificate whose root " + root + " is none of Microsoft's, but is trusted by this host",
				Compromised, InvalidSignature);
		string original = isMicrosoft ? OriginalName(entry) : null;
		if (original != null && Tools.Contains(original) && _likes.IsOfWindows(entry.Path) &&
			!string.Equals(original, SignedLikes.NameOf(entry.Path), StringComparison.OrdinalIgnoreCase))
			return Judgement.Raise(
				watch.Alert ?? Alert, watch.Severity ?? "high", Printable.ShowPath(entry.Path) +
				" is another program of Windows: its signed name is " + original, Compromised, RenamedTool);
		if (signature != SignatureWords.Invalid && signature != SignatureWords.None)
			return null;
		string path = entry.Shown;
		string problem = Problem(entry, signature);
		if (entry.Text("signature_status") == "content_changed")
			return Judgement.Raise(
				Alert, "high", path + " was changed after it was signed", Compromised, InvalidSignature);
		SignedGroup group = _likes.OfWindows(entry);
		if (group != null && group.IsSigned)
		{
			string message = path + " belongs to Windows, whose programs are signed, and " + problem;
			return Judgement.Raise(Alert, "high", message, Compromised);
		}
		group = _likes.Company(entry);
		if (group != null && group.IsSigned)
		{
			string company = Printable.Show(group.Name);
			return Judgement.Raise(
				Alert, "high", path + " says that it is made by " + company + ", whose " + Count(group) +
				" other programs here are signed, and " + problem, Compromised, Masquerading);
		}
		string namesake = _likes.SignedNamesake(entry);
		if (namesake != null)
		{
			string signed = Printable.ShowPath(namesake);
			return Judgement.Raise(
				Alert, "high", path + " has the name of the signed program " + signed + ", and " + problem,
				Compromised, Masquerading);
		}
		group = _likes.Directory(entry);
		if (group != null && group.Signed >= DirectoryAtLeast && group.Signed >= DirectoryAtLeast * group.Unsigned)
		{
			string neighbours = path + " is in a directory whose " + Count(group) + " other programs are signed, and ";
			return Judgement.Raise(Alert, "low", neighbours + problem, Masquerading);
		}
		return null;
	}

	private static string OriginalName(Entry entry)
	{
		string name = entry.Text("original_name") ?? "";
		return name.EndsWith(".mui", StringComparison.OrdinalIgnoreCase) ? name.Substring(0, name.Length - 4) : name;
	}

	/// <summary>Say whether a signature does not hold for a reason that has to do with the program.</summary>
	internal static bool IsWithdrawn(Entry entry)
	{
		string status = entry.Text("signature_status");
		return status == "content_changed" || status == "revoked" || status == "distrusted";
	}

	private static string Problem(Entry entry, string signature)
	{
		if (signature == SignatureWords.None)
			return "it has no signature, neither its own nor in a catalogue";
		string signer = entry.Text("signer");
		string by = signer == null ? "" : " by " + Printable.Show(signer);
		switch (entry.Text("signature_status"))
		{
			case "untrusted_root":
				return "its signature" + by + " ends in a certificate that this host does not trust";
			case "revoked":
			case "distrusted":
				return "its signature" + by + " is revoked";
			case "expired":
				return "its signature" + by + " has expired";
			default:
				return "its signature" + by + " does not verify (" + entry.Text("signature_status") + ")";
		}
	}

	private static string Count(SignedGroup group)
	{
		return group.Signed.ToString(CultureInfo.InvariantCulture);
	}
}
}
