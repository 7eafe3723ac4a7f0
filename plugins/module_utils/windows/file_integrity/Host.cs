// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Security.Principal;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Host
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Authenticode;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.BackgroundMode;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventLog;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.FileLinks;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Registry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Wmi;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.FileCollector;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.HostPaths;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Options;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryCollector;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryFacts;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryJudge;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryPattern;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Updates;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Signatures;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.WmiCollector;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.WmiJudge;

/// <summary>What a run uses of the host: what reads it, what judges it, and what the process may see.</summary>
public sealed class Host : IDisposable
{
	public IList<ICollector> Collectors = new List<ICollector>();

	/// <summary>
	/// Return the judges of a run, asked in order. Called once a run, with its options, the time since which updates
	/// explain changes, in 100 ns since 1601, and what says whether the baseline has entries of the hive HKU\SID.
	/// </summary>
	public Func<Options, long, Func<string, bool>, IList<IJudge>> NewJudges =
		delegate { return new List<IJudge>(); };

	/// <summary>Return what lets this thread give way to others until it is disposed; null for nothing.</summary>
	public Func<IDisposable> Background = delegate { return null; };

	/// <summary>Says whether the watches of the run compare the content of a file; set by each survey.</summary>
	public Func<string, bool> IsCompared = delegate { return false; };

	/// <summary>The log that says who made changes; null for none.</summary>
	public IEventLog EventLog;

	/// <summary>Return the number of the current control set in three digits, null where it is not known.</summary>
	public Func<string> ControlSet = delegate { return null; };

	/// <summary>
	/// Says whether win_audit_policy, whose state is below a directory, lets the host record who changes files and keys.
	/// </summary>
	public Func<string, bool> IsAudited = delegate { return false; };

	private readonly List<IDisposable> _owned = new List<IDisposable>();

	public IPresence Presence;
	public IHostPaths Paths;
	public bool IsAdministrator;

	/// <summary>A 32-bit process on a 64-bit Windows, to which other files are shown.</summary>
	public bool IsEmulated;

	/// <summary>The account that runs the module.</summary>
	public string Account;

	/// <summary>Return the time in seconds since the epoch.</summary>
	public static double Now()
	{
		return (DateTime.UtcNow - new DateTime(1970, 1, 1, 0, 0, 0, DateTimeKind.Utc)).TotalSeconds;
	}

	public static Host Local()
	{
		NativeRegistry registry = new NativeRegistry();
		Host host = new Host();
		FileCollector files = FileCollector.OfHost(registry);
		WmiCollector wmi = new WmiCollector(delegate { return new NativeWmi(); });
		string root = Environment.GetFolderPath(Environment.SpecialFolder.Windows);
		NativeAuthenticode authenticode = new NativeAuthenticode();
		host._owned.Add(authenticode);
		host.NewJudges = delegate(Options options, long since, Func<string, bool> isRecorded)
		{
			files.Likes = new SignedLikes(root);
			IRegistryFacts facts = new HostRegistryFacts(registry, new NativeFiles(), authenticode, root);
			IServicing servicing = new Servicing(registry, new NativeFileLinks(), root);
			return new IJudge[]
			{
				new WmiJudge(facts, wmi.Trigger),
				new SignatureJudge(files.Likes, options.MicrosoftRoots),
				new UpdateJudge(servicing, since, options.MicrosoftRoots, host.Paths),
				new RegistryJudge(facts, since, isRecorded)
			};
		};
		host.Collectors.Add(files);
		RegistryCollector keys = new RegistryCollector(registry);
		keys.IsCompared = delegate(string path) { return host.IsCompared(path); };
		host.Collectors.Add(keys);
		host.Collectors.Add(wmi);
		host.Background = delegate { return new BackgroundMode(); };
		host.Presence = new HostPresence(new NativeFiles(), registry, wmi);
		host.Paths = new HostPaths(registry);
		host.IsEmulated = NativeRegistry.IsEmulated;
		host.EventLog = new NativeEventLog();
		host.ControlSet = delegate { return CurrentControlSet(registry); };
		host.IsAudited = HasAuditedObjects;
		using (WindowsIdentity identity = WindowsIdentity.GetCurrent())
		{
			host.Account = identity.Name;
			host.IsAdministrator = identity.IsSystem
				|| new WindowsPrincipal(identity).IsInRole(WindowsBuiltInRole.Administrator);
		}
		return host;
	}

	private static string CurrentControlSet(IRegistry registry)
	{
		IRegistryKey machine;
		IRegistryKey select;
		if (registry.OpenRoot("HKLM", out machine) != RegistryStatus.Success)
			return null;
		using (machine)
		{
			if (machine.Open(@"SYSTEM\Select", false, out select) != RegistryStatus.Success)
				return null;
			using (select)
			{
				RegistryValue current;
				bool isKnown = select.Find("Current", out current) == RegistryStatus.Success && current.Data != null
					&& current.Data.Length == 4;
				return isKnown
					? BitConverter.ToUInt32(current.Data, 0).ToString("000", CultureInfo.InvariantCulture)
					: null;
			}
		}
	}

	// The ids of settings in the note of a deployment, as audit_policy/Settings.cs makes them.
	private static bool HasAuditedObjects(string root)
	{
		try
		{
			using (StateDirectory audit = StateDirectory.Open(root, "audit", false))
			{
				byte[] note = audit == null ? null : audit.Read("policy.json");
				string text = note == null ? "" : Encoding.UTF8.GetString(note);
				return text.Contains("\"file:") || text.Contains("\"key:");
			}
		}
		catch (StateException)
		{
			return false;
		}
	}

	public void Dispose()
	{
		_owned.ForEach(delegate(IDisposable owned) { owned.Dispose(); });
		foreach (ICollector collector in Collectors)
		{
			IDisposable owned = collector as IDisposable;
			if (owned != null)
				owned.Dispose();
		}
	}
}

/// <summary>Says whether something that a run did not read is still there.</summary>
public interface IPresence
{
	/// <summary>Null where the host does not let this be known, as of an account that is signed out.</summary>
	bool? Exists(Entry entry);
}

/// <summary>Asks the file system, the registry and what was read of WMI.</summary>
public sealed class HostPresence : IPresence
{
	private readonly IFiles _files;
	private readonly IRegistry _registry;
	private readonly WmiCollector _wmi;

	public HostPresence(IFiles files, IRegistry registry, WmiCollector wmi)
	{
		_files = files;
		_registry = registry;
		_wmi = wmi;
	}

	public bool? Exists(Entry entry)
	{
		if (entry.Kind == EntryKinds.Wmi)
			return _wmi.Exists(entry);
		return entry.IsRegistry ? KeyOrValue(entry) : Node(entry);
	}

	private bool? Node(Entry entry)
	{
		IOpenFile file;
		int error = _files.Open(null, entry.Path, FileUse.Attributes, out file);
		using (file)
		{
			if (FileErrors.IsAbsent(error) && IsOnDrive(entry))
				return false;
			return error == 0 ? (bool?)true : null;
		}
	}

	// A volume that is mounted in a directory, as a profile can be, goes with all that is in it.
	private bool IsOnDrive(Entry entry)
	{
		string id = entry.Text("file_id");
		IOpenFile root;
		if (id == null || _files.Open(null, entry.Path.Substring(0, 3), FileUse.Attributes, out root) != 0)
			return true;
		using (root)
		{
			FileFacts facts;
			return root.Query(out facts) != 0 || id.StartsWith(facts.VolumeText, StringComparison.Ordinal);
		}
	}

	private bool? KeyOrValue(Entry entry)
	{
		if (entry.Kind == EntryKinds.Key)
			return Find(entry.Path, null);
		string name = RegistryPattern.ValueName(RegistryPattern.NameOf(entry.Path));
		return Find(RegistryPattern.ParentOf(entry.Path), name);
	}

	private bool? Find(string path, string value)
	{
		string[] names = path.Split(new[] { '\\' }, 3);
		IRegistryKey key;
		uint status = _registry.OpenRoot(names[0], out key);
		for (int index = 1; index < names.Length && status == RegistryStatus.Success; index++)
		{
			using (IRegistryKey parent = key)
				status = parent.Open(names[index], false, out key);
			if (index == 1 && names[0] == "HKU" && status != RegistryStatus.Success)
			{
				// The hive of an account comes with its sign-in and goes with its sign-out.
				return null;
			}
		}
		using (key)
		{
			RegistryValue unused;
			if (status == RegistryStatus.Success && value != null)
				status = key.Find(value, out unused);
		}
		bool exists = status == RegistryStatus.Success || status == RegistryStatus.ValueTooLarge;
		return exists || RegistryStatus.IsAbsent(status) ? (bool?)exists : null;
	}
}
}
