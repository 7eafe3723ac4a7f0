// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.SignIns
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Events;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.SignIn;

/// <summary>
/// Makes sign-ins of the events of all channels. One attempt writes several events, and each of them at most once: so
/// an event belongs to the nearest attempt that has none of its kind and that it contradicts in nothing. An attempt
/// waits for its events for half a minute of the log's time.
/// </summary>
public sealed class SignIns
{
	private const long Second = 10000000;
	private const long Window = 30 * Second;

	// Failures come quickly one after another, and what judges credentials writes its events at once.
	private const long ShortWindow = 5 * Second;

	// Two logons of one person at the host: the second token of an administrator (UAC), the cached one before the other.
	private const long TwinWindow = 2 * Second;

	private const int MostPending = 4096;
	private const int MostCompared = 256;
	private const int MostOwn = 64;
	// Files that are read at a time; more of one time come one after another.
	private const int MostOpen = 256;
	// Where failed logons over the network are that lack the address, which the event of the protocol has.
	private const string Nowhere = "nowhere";

	private const Kinds Logons = Kinds.Network | Kinds.Interactive;
	private const Kinds Slow = Kinds.Interactive | Kinds.Connection | Kinds.Session | Kinds.Explicit;
	private const Kinds AnySsh = Kinds.Ssh | Kinds.SshHint;

	private readonly Events _events;
	private readonly HashSet<string> _ownLogons = new HashSet<string>();
	private readonly long _ownSince;
	private readonly List<string> _own = new List<string>();
	private readonly Queue<SignIn> _pending = new Queue<SignIn>();
	private readonly Dictionary<string, List<SignIn>> _byKey = new Dictionary<string, List<SignIn>>();

	/// <summary>Events that say more about an attempt that was known.</summary>
	public long Merged { get; private set; }

	/// <summary>Attempts that could not wait, because too many did.</summary>
	public long Hurried { get; private set; }

	/// <param name="saved">What Saved returned; null for nothing. InvalidCastException, KeyNotFoundException or
	/// FormatException for what it never returns.</param>
	/// <param name="ownAddresses">Addresses of the host; null for none known.</param>
	/// <param name="ownLogons">Ids of the logon sessions that the scan runs in, as in "0x3e7"; null for none.</param>
	/// <param name="ownSince">FILETIME before which none of them began.</param>
	public SignIns(IDictionary<string, object> saved = null, IEnumerable<string> ownAddresses = null,
		IEnumerable<string> ownLogons = null, long ownSince = 0)
	{
		_ownSince = ownSince;
		_events = new Events(ownAddresses);
		foreach (string logon in ownLogons ?? new string[0])
			_ownLogons.Add(logon.ToLowerInvariant());
		if (saved == null)
			return;
		foreach (object own in (List<object>)saved["own"])
			_own.Add((string)own);
		_events.Restore((List<object>)saved["ssh"]);
		foreach (object attempt in (List<object>)saved["pending"])
			Remember(Restore((Dictionary<string, object>)attempt));
	}

	/// <summary>
	/// Return the sign-ins that records make up, once no more events are expected for them, in the order in which they
	/// began. records: in the order of time, as InOrder has them.
	/// </summary>
	public IEnumerable<SignIn> Of(IEnumerable<EventRecord> records)
	{
		foreach (EventRecord record in records)
		{
			SignIn fact = _events.Of(record);
			if (fact == null)
				continue;
			foreach (SignIn settled in Settle(record.Time))
				yield return settled;
			SignIn attempt = Find(fact);
			if (attempt == null)
			{
				Remember(fact);
				if (_pending.Count > MostPending)
				{
					Hurried++;
					SignIn oldest = Finished(_pending.Dequeue());
					if (oldest != null)
						yield return oldest;
				}
			}
			else
			{
				Merged++;
				attempt.Add(fact);
				Index(attempt);
			}
		}
	}

	/// <summary>Return the sign-ins that have waited long enough. now: FILETIME, of the log or the clock's.</summary>
	public IEnumerable<SignIn> Settle(long now)
	{
		// A clock that was set is no reason to wait.
		while (_pending.Count > 0 && Math.Abs(now - _pending.Peek().Time) > Window)
		{
			SignIn settled = Finished(_pending.Dequeue());
			if (settled != null)
				yield return settled;
		}
	}

	/// <summary>Return all that wait.</summary>
	public IEnumerable<SignIn> Rest()
	{
		while (_pending.Count > 0)
		{
			SignIn settled = Finished(_pending.Dequeue());
			if (settled != null)
				yield return settled;
		}
	}

	/// <summary>Return what the next run has to know, as JSON can hold it.</summary>
	public Dictionary<string, object> Saved()
	{
		List<object> pending = new List<object>();
		foreach (SignIn attempt in _pending)
			pending.Add(Save(attempt));
		return new Dictionary<string, object>
		{
			{ "own", _own.ConvertAll(delegate(string own) { return (object)own; }) }, { "ssh", _events.Saved() },
			{ "pending", pending },
		};
	}

	/// <summary>Return the records of several logs in the order of time, each log in its own order.</summary>
	/// <param name="logs">Each with a time before which it has no record, ascending: so it is opened when its turn
	/// comes.</param>
	public static IEnumerable<EventRecord> InOrder(IEnumerable<KeyValuePair<long, IEnumerable<EventRecord>>> logs)
	{
		List<IEnumerator<EventRecord>> readers = new List<IEnumerator<EventRecord>>();
		IEnumerator<KeyValuePair<long, IEnumerable<EventRecord>>> waiting = logs.GetEnumerator();
		try
		{
			bool isWaiting = waiting.MoveNext();
			while (isWaiting || readers.Count > 0)
			{
				IEnumerator<EventRecord> next = Earliest(readers);
				if (isWaiting && (next == null || readers.Count < MostOpen && waiting.Current.Key <= next.Current.Time))
				{
					readers.Add(waiting.Current.Value.GetEnumerator());
					isWaiting = waiting.MoveNext();
					next = readers[readers.Count - 1];
				}
				else
					yield return next.Current;
				if (next.MoveNext())
					continue;
				readers.Remove(next);
				next.Dispose();
			}
		}
		finally
		{
			foreach (IEnumerator<EventRecord> reader in readers)
				reader.Dispose();
			waiting.Dispose();
		}
	}

	private static IEnumerator<EventRecord> Earliest(List<IEnumerator<EventRecord>> readers)
	{
		IEnumerator<EventRecord> earliest = null;
		foreach (IEnumerator<EventRecord> reader in readers)
		{
			if (earliest == null || reader.Current.Time < earliest.Current.Time)
				earliest = reader;
		}
		return earliest;
	}

	private SignIn Find(SignIn fact)
	{
		List<string> keys = Keys(fact);
		if (fact.Kinds == Kinds.Protocol)
			keys.Add(Nowhere);
		foreach (string key in keys)
		{
			List<SignIn> attempts;
			if (!_byKey.TryGetValue(key, out attempts))
				continue;
			// The protocol tells failures in the order in which they were.
			bool isOldestFirst = key == Nowhere;
			for (int tried = 0; tried < Math.Min(attempts.Count, MostCompared); tried++)
			{
				SignIn attempt = attempts[isOldestFirst ? tried : attempts.Count - 1 - tried];
				if (IsSame(attempt, fact))
					return attempt;
			}
		}
		return null;
	}

	private static bool IsSame(SignIn attempt, SignIn fact)
	{
		Kinds all = attempt.Kinds | fact.Kinds;
		if (!AreSame(attempt.Account, fact.Account) || !AreSame(attempt.AccountSid, fact.AccountSid))
			return false;
		if (attempt.Outcome == SignIn.Attempt || fact.Outcome == SignIn.Attempt)
			return attempt.Outcome == fact.Outcome && attempt["User"] == fact["User"] &&
				string.Equals(attempt["TargetServer"], fact["TargetServer"], StringComparison.OrdinalIgnoreCase);
		long distance = Math.Abs(fact.Time - attempt.Time);
		bool isFailure = attempt.Outcome == SignIn.Failure && fact.Outcome == SignIn.Failure;
		bool isLong = (all & AnySsh) != 0 || (fact.Kinds & Slow) != 0 && !isFailure;
		if (distance > (isLong ? Window : ShortWindow))
			return false;
		bool isSuperseded = attempt.IsSuperseded(fact) && distance <= TwinWindow;
		if (attempt.Outcome.Length > 0 && fact.Outcome.Length > 0 && attempt.Outcome != fact.Outcome && !isSuperseded)
			return false;
		if (!AreSame(attempt["SourceIp"], fact["SourceIp"]) || !AreSame(attempt["Workstation"], fact["Workstation"]) ||
			!AreSame(attempt.Local, fact.Local))
			return false;
		if ((attempt.Kinds & AnySsh) != 0 && (fact.Kinds & AnySsh) != 0 &&
			!AreSame(attempt["SourcePort"], fact["SourcePort"]))
			return false;
		bool isSuccess = attempt.Outcome == SignIn.Success && fact.Outcome == SignIn.Success;
		if (isSuccess && !AreSamePackage(attempt["Package"], fact["Package"]))
			return false;
		Kinds both = attempt.Kinds & fact.Kinds;
		if (both != 0)
			return both == Kinds.SshHint || both == Kinds.Explicit || isSuccess && AreTwins(attempt, fact);
		// Of logons over the network and with a desktop, only Remote Desktop makes both of one attempt, in this order (NLA).
		return (attempt.Kinds & Logons) == 0 || (fact.Kinds & Logons) == 0 ||
			isSuccess && fact.Kinds == Kinds.Interactive && (attempt["Service"] == "rdp" || fact["Service"] == "rdp");
	}

	private static bool AreTwins(SignIn attempt, SignIn fact)
	{
		if ((attempt.Kinds & fact.Kinds) == Kinds.Interactive)
			return Math.Abs(fact.Time - attempt.Latest) <= TwinWindow;
		string linked = fact["LinkedLogonId"];
		return linked.Length > 0 && linked == attempt["LogonId"] && fact["LogonId"] == attempt["LinkedLogonId"];
	}

	// What is unknown is no contradiction.
	private static bool AreSame(string first, string second)
	{
		return first.Length == 0 || second.Length == 0 || string.Equals(first, second, StringComparison.OrdinalIgnoreCase);
	}

	private static bool AreSamePackage(string first, string second)
	{
		bool isNtlm = first == "ntlm" || second == "ntlm";
		return !isNtlm || first == second || first != "kerberos" && second != "kerberos";
	}

	private void Remember(SignIn attempt)
	{
		_pending.Enqueue(attempt);
		Index(attempt);
	}

	private void Index(SignIn attempt)
	{
		foreach (string key in Keys(attempt))
		{
			if (attempt.Keys.Contains(key))
				continue;
			List<SignIn> attempts;
			if (!_byKey.TryGetValue(key, out attempts))
				_byKey[key] = attempts = new List<SignIn>();
			attempts.Add(attempt);
			attempt.Keys.Add(key);
		}
	}

	// The attempt is no longer pending: return it, or null where it is no sign-in.
	private SignIn Finished(SignIn attempt)
	{
		foreach (string key in attempt.Keys)
		{
			List<SignIn> attempts = _byKey[key];
			attempts.Remove(attempt);
			if (attempts.Count == 0)
				_byKey.Remove(key);
		}
		if (attempt.Outcome.Length == 0)
			attempt.Outcome = attempt.Fallback;
		if (attempt.Outcome.Length == 0)
			return null;
		// A key that was refused before another one was accepted.
		if (attempt.Outcome == SignIn.Success)
			attempt.Fields.Remove("Reason");
		string own = attempt.Account + " " + attempt["SourceIp"];
		bool isOwn = attempt.Time >= _ownSince &&
			(_ownLogons.Contains(attempt["LogonId"]) || _ownLogons.Contains(attempt["LinkedLogonId"]));
		if (isOwn && attempt["SourceIp"].Length > 0 && !_own.Contains(own))
		{
			_own.Add(own);
			if (_own.Count > MostOwn)
				_own.RemoveAt(0);
		}
		attempt.IsAutomation = attempt.Outcome == SignIn.Success && (isOwn || _own.Contains(own));
		return attempt;
	}

	private static List<string> Keys(SignIn attempt)
	{
		List<string> keys = new List<string>(2);
		if (attempt.Account.Length > 0)
			keys.Add("account " + attempt.Account);
		string source = attempt["SourceIp"];
		if (source.Length > 0)
			keys.Add("source " + source);
		else if ((attempt.Kinds & Kinds.Network) != 0 && attempt.Outcome == SignIn.Failure)
			keys.Add(Nowhere);
		if (keys.Count == 0)
			keys.Add("");
		return keys;
	}

	private static Dictionary<string, object> Save(SignIn attempt)
	{
		Dictionary<string, object> fields = new Dictionary<string, object>();
		foreach (KeyValuePair<string, string> field in attempt.Fields)
			fields[field.Key] = field.Value;
		return new Dictionary<string, object>
		{
			// JSON's numbers are not exact to 100 ns.
			{ "time", attempt.Time.ToString(CultureInfo.InvariantCulture) },
			{ "latest", attempt.Latest.ToString(CultureInfo.InvariantCulture) }, { "outcome", attempt.Outcome },
			{ "fallback", attempt.Fallback }, { "kinds", ((int)attempt.Kinds).ToString(CultureInfo.InvariantCulture) },
			{ "account", attempt.Account }, { "sid", attempt.AccountSid }, { "local", attempt.Local },
			{ "refusal", attempt.IsRefusal }, { "fields", fields },
			{ "records", attempt.Records.ConvertAll(delegate(string record) { return (object)record; }) },
		};
	}

	private static SignIn Restore(Dictionary<string, object> saved)
	{
		SignIn attempt = new SignIn
		{
			Time = long.Parse((string)saved["time"], CultureInfo.InvariantCulture),
			Latest = long.Parse((string)saved["latest"], CultureInfo.InvariantCulture),
			Outcome = (string)saved["outcome"],
			Fallback = (string)saved["fallback"],
			Kinds = (Kinds)int.Parse((string)saved["kinds"], CultureInfo.InvariantCulture),
			Account = (string)saved["account"],
			AccountSid = (string)saved["sid"],
			Local = (string)saved["local"],
			IsRefusal = (bool)saved["refusal"],
		};
		foreach (KeyValuePair<string, object> field in (Dictionary<string, object>)saved["fields"])
			attempt.Fields[field.Key] = (string)field.Value;
		foreach (object record in (List<object>)saved["records"])
			attempt.Records.Add((string)record);
		return attempt;
	}
}
}
