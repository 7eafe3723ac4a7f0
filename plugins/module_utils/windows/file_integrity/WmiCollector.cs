// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Security.Principal;
using System.Text;
using System.Threading;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.WmiCollector
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Wmi;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryKeyReader;

/// <summary>Reads the event subscriptions of WMI: consumers and their providers, filters and bindings.</summary>
public sealed class WmiCollector : ICollector
{
	public const string Filter = "__EventFilter";
	public const string Binding = "__FilterToConsumerBinding";

	/// <summary>In characters. Of a longer property this much is recorded; the digest has all of it.</summary>
	public const int LongestText = 2048;

	/// <summary>Properties that say what a consumer runs, also one of a class of somebody's own.</summary>
	public static readonly string[] Commands =
	{
		"ExecutablePath", "CommandLineTemplate", "ScriptFileName", "ScriptText"
	};

	private static readonly HashSet<string> CommandNames =
		new HashSet<string>(Commands, StringComparer.OrdinalIgnoreCase);

	// In characters, of all properties beside the commands: findings show them.
	private const int Room = 8192;

	private readonly Func<IWmi> _open;
	private readonly double _seconds;
	private readonly int _limit;
	private readonly List<Reading> _readings = new List<Reading>();
	private readonly Dictionary<string, string> _triggers =
		new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);

	private bool _isUnclear;

	/// <summary>
	/// open: begins a session. seconds: how long one reading may take. limit: how many namespaces are read, how
	/// many instances of a class in one of them, and a tenth of the instances in all.
	/// </summary>
	public WmiCollector(Func<IWmi> open, double seconds = 60, int limit = 2000)
	{
		_open = open;
		_seconds = seconds;
		_limit = limit;
	}

	public void Collect(Watch watch, ScopeCoverage coverage, Deadline deadline, Action<Entry> emit)
	{
		if (watch.Wmi.Count == 0)
			return;
		double left = deadline.Seconds > 0 ? Math.Max(0, deadline.Seconds - deadline.Elapsed) : double.MaxValue;
		Reading reading = new Reading(watch, _limit);
		// A call can block for as long as the service or a provider wants; then its thread is left behind.
		Thread thread = new Thread(delegate() { reading.Run(_open); }) { IsBackground = true };
		thread.Start();
		if (!thread.Join(TimeSpan.FromSeconds(Math.Min(left, _seconds))))
			reading.Stop(left < _seconds ? deadline.Reason : "it was not read within " + _seconds + " s");
		foreach (KeyValuePair<string, string> problem in reading.Problems)
			coverage.Skip(Printable.ShowPath(problem.Key), Printable.ShowPath(problem.Value));
		if (!reading.HasRead && reading.Problems.Count > 0 && watch.Paths.Count + watch.Registry.Count == 0)
			coverage.Fail("WMI could not be asked: " + Printable.ShowPath(reading.Problems[0].Value));
		_readings.Add(reading);
		Bind(reading);
		foreach (KeyValuePair<string, WmiInstance> instance in reading.Instances)
		{
			Entry entry = EntryOf(instance.Key, instance.Value);
			if (WmiWatch.IsExcluded(watch, entry.Path))
				continue;
			coverage.Examined++;
			emit(entry);
		}
	}

	/// <summary>
	/// Return the query that starts a consumer, "" where it is not known, null where nothing starts the consumer.
	/// </summary>
	public string Trigger(Entry consumer)
	{
		string query;
		return _triggers.TryGetValue(consumer.Path, out query) ? query : _isUnclear ? "" : null;
	}

	/// <summary>Say of an entry that was not read whether it is there; null where that is not known.</summary>
	public bool? Exists(Entry entry)
	{
		string path = entry.Text("namespace");
		bool isGone = _readings.Exists(delegate(Reading reading) { return reading.IsGone(path); });
		return isGone ? false : (bool?)null;
	}

	private void Bind(Reading reading)
	{
		Dictionary<string, string> queries = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
		foreach (KeyValuePair<string, WmiInstance> instance in reading.Instances)
			queries[PathOf(instance.Key, instance.Value)] = Shown(Property(instance.Value, "Query"));
		foreach (KeyValuePair<string, WmiInstance> instance in reading.Instances)
		{
			if (instance.Value.Class != Binding)
				continue;
			string consumer = Resolve(Property(instance.Value, "Consumer"), instance.Key);
			string query;
			queries.TryGetValue(Resolve(Property(instance.Value, "Filter"), instance.Key), out query);
			_triggers[consumer] = query ?? "";
			// WMI knows more ways to write a path: one that names nothing that was read can stand for anything.
			_isUnclear |= !queries.ContainsKey(consumer);
		}
		// What was not read can be a binding.
		_isUnclear |= reading.Problems.Count > 0;
	}

	// \\HOST\root\x:CLASS.KEY="y" or, in the binding's own namespace, CLASS.KEY="y".
	private static string Resolve(string reference, string namespacePath)
	{
		int quote = reference.IndexOf('"');
		int colon = reference.LastIndexOf(':', quote < 0 ? Math.Max(0, reference.Length - 1) : quote);
		string before = colon < 0 ? namespacePath : reference.Substring(0, colon);
		int host = before.StartsWith(@"\\", StringComparison.Ordinal) ? before.IndexOf('\\', 2) : -1;
		return @"WMI\" + before.Substring(host + 1) + "\\" + reference.Substring(colon + 1);
	}

	private static string Property(WmiInstance instance, string name)
	{
		object value;
		return instance.Properties.TryGetValue(name, out value) ? value as string ?? "" : "";
	}

	private static string PathOf(string namespacePath, WmiInstance instance)
	{
		string path = @"WMI\" + namespacePath + "\\" + (instance.RelativePath ?? instance.Class);
		return path.Length <= LongestText ? path : path.Substring(0, LongestText) + " " + Digest(Json.Write(path));
	}

	private static Entry EntryOf(string namespacePath, WmiInstance instance)
	{
		Dictionary<string, object> attributes = new Dictionary<string, object>();
		Dictionary<string, object> whole = new Dictionary<string, object>();
		Dictionary<string, object> data = new Dictionary<string, object>();
		int room = Room;
		foreach (KeyValuePair<string, object> property in instance.Properties)
		{
			byte[] bytes = property.Value as byte[];
			object value = bytes == null ? property.Value : BitConverter.ToString(bytes);
			if (property.Key == "CreatorSID" && IsSid(bytes))
				attributes["owner"] = new SecurityIdentifier(bytes, 0).Value;
			else if (value != null)
			{
				string text = Shown(value as string ?? Json.Write(value));
				bool isCommand = CommandNames.Contains(property.Key);
				room -= isCommand ? 0 : property.Key.Length + text.Length;
				whole[property.Key] = value;
				bool isShown = isCommand || room >= 0;
				data[isShown ? property.Key : "..."] = isShown ? text : "more properties";
			}
		}
		string content = Json.Write(whole);
		attributes["namespace"] = namespacePath;
		attributes["class"] = Shown(instance.Class ?? "");
		attributes["sha256"] = Digest(content);
		attributes["size"] = (long)content.Length;
		attributes["data"] = data;
		return new Entry(EntryKinds.Wmi, PathOf(namespacePath, instance), attributes);
	}

	private static bool IsSid(byte[] bytes)
	{
		return bytes != null && bytes.Length >= 8 && bytes[0] == 1 && bytes[1] <= 15
			&& bytes.Length == 8 + 4 * bytes[1];
	}

	private static string Shown(string text)
	{
		return RegistryData.Safe(text.Length <= LongestText ? text : text.Substring(0, LongestText) + "...");
	}

	private static string Digest(string text)
	{
		using (RegistryData digests = new RegistryData())
			return digests.Digest(Encoding.Unicode.GetBytes(text));
	}

	/// <summary>One reading, on a thread of its own until it is stopped. Namespaces are in lower case.</summary>
	private sealed class Reading
	{
		private const int Running = 4;
		private const int LongestNamespace = 1000;
		private const string Below = "__NAMESPACE";

		private static readonly string[] Classes =
		{
			"__EventConsumer", Filter, Binding, "__EventConsumerProviderRegistration", Below
		};

		private readonly Watch _watch;
		private readonly int _limit;
		private readonly HashSet<string> _complete = new HashSet<string>();
		private readonly List<string> _namespaces = new List<string>();
		private readonly bool _isForAll;
		private bool _isListed;
		private bool _isOver;

		public readonly List<KeyValuePair<string, string>> Problems = new List<KeyValuePair<string, string>>();

		/// <summary>What was read, with its namespace.</summary>
		public readonly List<KeyValuePair<string, WmiInstance>> Instances =
			new List<KeyValuePair<string, WmiInstance>>();

		public Reading(Watch watch, int limit)
		{
			_watch = watch;
			_limit = limit;
			List<string> globs = new List<string>(watch.Wmi);
			_isForAll = globs.Exists(Glob.IsGlob);
			// Every Windows has these, and attackers and Microsoft's examples use them: they come first.
			foreach (string usual in new[] { @"root\subscription", @"root\default", @"root\cimv2" })
				Add(usual, WmiWatch.Covers(watch, usual));
			Add("root", _isForAll);
			foreach (string glob in globs)
				Add(glob, !Glob.IsGlob(glob));
		}

		public bool HasRead
		{
			get { return _complete.Count > 0; }
		}

		/// <summary>Change nothing any more.</summary>
		public void Stop(string reason)
		{
			Skip("WMI", reason);
			lock (Problems)
				_isOver = true;
		}

		/// <summary>Say whether what was not read of a namespace is not there.</summary>
		public bool IsGone(string path)
		{
			return !_isOver && WmiWatch.Covers(_watch, path)
				&& (_complete.Contains(path) || (_isListed && !_namespaces.Contains(path)));
		}

		public void Run(Func<IWmi> open)
		{
			try
			{
				using (IWmi wmi = open())
				{
					int state = wmi.ServiceState();
					_isListed = _isForAll && state == Running;
					for (int index = 0; index < _namespaces.Count && state == Running; index++)
						Read(wmi, _namespaces[index]);
					if (state != Running)
						Skip("WMI", state == 0 ? "the state of its service Winmgmt cannot be read"
							: "its service Winmgmt is not running, and a scan does not start it");
				}
			}
			catch (Exception error)
			{
				// Whatever it is, it would end the whole process.
				_isListed = false;
				Skip("WMI", error.Message);
			}
		}

		private void Read(IWmi wmi, string path)
		{
			bool isWatched = WmiWatch.Covers(_watch, path);
			bool isComplete = isWatched;
			foreach (string name in Classes)
			{
				bool isList = name == Below;
				if (_isOver || !(isList ? _isForAll : isWatched))
					continue;
				List<WmiInstance> instances = new List<WmiInstance>();
				int most = isList ? _limit - _namespaces.Count : Math.Min(_limit, 10 * _limit - Instances.Count);
				int status = wmi.Instances(path, name, most, instances);
				bool isFailed = status < 0 && status != WmiStatus.InvalidClass;
				isComplete &= status == 0;
				_isListed &= status == 0 || !(isList || isFailed);
				if (status != 0)
					Skip(path + "\\" + name, WmiStatus.Describe(status));
				if (isFailed)
					break;
				lock (Problems)
					instances.ForEach(delegate(WmiInstance instance) { Take(path, isList, instance); });
			}
			if (isComplete)
				_complete.Add(path);
		}

		private void Take(string path, bool isList, WmiInstance instance)
		{
			string name = Property(instance, "Name");
			if (isList)
			{
				string child = path + "\\" + name;
				Add(child, name.Length > 0 && !WmiWatch.IsExcluded(_watch, @"WMI\" + child));
			}
			else if (!_isOver)
				Instances.Add(new KeyValuePair<string, WmiInstance>(path, instance));
		}

		private void Add(string path, bool isWanted)
		{
			string lower = path.ToLowerInvariant();
			if (isWanted && path.Length > LongestNamespace)
				Skip(path.Substring(0, LongestNamespace), "its path is too long");
			else if (isWanted && !_namespaces.Contains(lower))
				_namespaces.Add(lower);
		}

		private void Skip(string subject, string reason)
		{
			lock (Problems)
			{
				if (!_isOver)
					Problems.Add(new KeyValuePair<string, string>(subject, reason));
			}
		}
	}
}
}
