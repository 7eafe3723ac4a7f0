// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.SignIn
{
/// <summary>Which events say something about an attempt; an attempt has at most one of each kind.</summary>
[Flags]
public enum Kinds
{
	None = 0,

	/// <summary>4624 and 4625 of logons over the network.</summary>
	Network = 1,

	/// <summary>4624 and 4625 of logons with a desktop.</summary>
	Interactive = 2,

	/// <summary>4776: NTLM credentials were judged, perhaps for another computer.</summary>
	Validation = 4,

	/// <summary>4768 and 4771: a domain controller was asked for a ticket.</summary>
	Ticket = 8,

	/// <summary>1149.</summary>
	Connection = 16,

	/// <summary>21 and 25 of LocalSessionManager.</summary>
	Session = 32,

	/// <summary>140 of RdpCoreTS.</summary>
	Protocol = 64,

	Ssh = 128,
	SshHint = 256,
	WinRm = 512,

	/// <summary>4648.</summary>
	Explicit = 1024,

	/// <summary>4740.</summary>
	Lockout = 2048,
}

/// <summary>What one event says about an attempt to sign in, and then what all its events say.</summary>
public sealed class SignIn
{
	public const string Success = "success";
	public const string Failure = "failure";

	/// <summary>Nothing was tried that could have succeeded, or nothing judged it.</summary>
	public const string Aborted = "aborted";

	/// <summary>Credentials were used for another computer, which knows the outcome. Linux has no such outcome.</summary>
	public const string Attempt = "attempt";

	private const int MostRecords = 16;

	// The higher one says more exactly what was signed in to.
	private static readonly string[] Services =
	{
		"", "lockout", "ntlm", "kerberos", "network", "unlock", "console", "batch", "service", "runas", "iis", "winrm",
		"rdp", "sshd",
	};

	private static readonly string[] LocalServices = { "console", "unlock", "batch", "service", "runas" };

	// The fields of Linux's view that are known as they are, then those that only Windows has.
	private static readonly string[] ViewFields =
	{
		"Service", "User", "UserKnown", "SourceIp", "SourcePort", "Method", "Reason", "TargetUser", "Terminal",
		"UserDomain", "UserSid", "UserType", "Workstation", "LogonType", "LogonId", "Image", "Status", "TargetServer",
		"AccountLocked", "Package",
	};

	private static readonly string[] None = { };
	private static readonly string[] OfMethod = { "Method" };
	private static readonly string[] OfSession = { "LogonId", "LinkedLogonId", "LogonType", "Image" };
	private static readonly string[] UserFields = { "User", "UserDomain", "UserSid", "UserType", "Account" };

	// Fields of the view, and what evidence calls them.
	private static readonly string[,] EvidenceFields =
	{
		{ "Service", "service" }, { "Method", "method" }, { "Package", "package" },
		{ "User", "user" }, { "SourceIp", "source" },
		{ "Reason", "reason" }, { "Terminal", "terminal" }, { "TargetUser", "target_user" },
		{ "UserKnown", "account_exists" }, { "Account", "account" }, { "UserSid", "sid" },
		{ "Workstation", "workstation" }, { "LogonType", "logon_type" }, { "LogonId", "logon_id" },
		{ "Image", "process" }, { "Status", "status" }, { "TargetServer", "target_server" },
		{ "AccountLocked", "account_locked" },
	};

	/// <summary>FILETIME of the first event, and of the last.</summary>
	public long Time;
	public long Latest;

	/// <summary>"" while only events were seen that need another one.</summary>
	public string Outcome = "";

	/// <summary>The outcome where no other event comes; "" for none, which is then no sign-in.</summary>
	public string Fallback = "";

	public Kinds Kinds;

	/// <summary>The account whose credentials were judged, in lower case, without domain.</summary>
	public string Account = "";
	public string AccountSid = "";

	/// <summary>Whether somebody came over a network: yes, no, or "" for unknown.</summary>
	public string Local = "";

	/// <summary>A failure though the password was right.</summary>
	public bool IsRefusal;

	/// <summary>The account and source are those by which the scan itself signed in.</summary>
	public bool IsAutomation;

	/// <summary>The fields of the view, and Account as the event writes it; none of them is empty.</summary>
	public readonly Dictionary<string, string> Fields = new Dictionary<string, string>();

	/// <summary>Channel and id of the events, as in "Security 1234"; at most 16.</summary>
	public readonly List<string> Records = new List<string>();

	/// <summary>What it is looked for by while it waits for more events.</summary>
	internal readonly List<string> Keys = new List<string>();

	/// <summary>Seconds since 1970.</summary>
	public double Seconds
	{
		get { return EventRecord.UnixSeconds(Time); }
	}

	/// <summary>Return a field, "" where it is unknown.</summary>
	public string this[string name]
	{
		get
		{
			string value;
			return Fields.TryGetValue(name, out value) ? value : "";
		}
		set
		{
			if (value.Length > 0)
				Fields[name] = value;
		}
	}

	/// <summary>Take in what another event says about the same attempt.</summary>
	public void Add(SignIn other)
	{
		if (Outcome.Length == 0 || IsSuperseded(other))
		{
			Outcome = other.Outcome;
			IsRefusal = other.IsRefusal;
		}
		if (Fallback.Length == 0 || other.Fallback == Failure)
			Fallback = other.Fallback;
		if (Array.IndexOf(Services, other["Service"]) > Array.IndexOf(Services, this["Service"]))
			this["Service"] = other["Service"];
		// Which method sshd accepted only sshd says; a session with a desktop is what the logon before it was for.
		foreach (string name in other.Kinds == Kinds.Ssh ? OfMethod : other.Kinds == Kinds.Interactive ? OfSession : None)
		{
			if (other[name].Length > 0)
				this[name] = other[name];
		}
		if (this["Account"].IndexOf('\\') < 0 && other["Account"].IndexOf('\\') > 0 && this["TargetUser"].Length == 0)
			this["Account"] = other["Account"];
		// Whoever asked for the other account's logon is who signs in, as with su.
		bool hasTarget = this["TargetUser"].Length > 0;
		if (other["TargetUser"].Length > 0 && !hasTarget)
		{
			foreach (string name in UserFields)
				Fields.Remove(name);
		}
		foreach (KeyValuePair<string, string> field in other.Fields)
		{
			if (!Fields.ContainsKey(field.Key) && !(hasTarget && Array.IndexOf(UserFields, field.Key) >= 0))
				Fields[field.Key] = field.Value;
		}
		Kinds |= other.Kinds;
		Latest = Math.Max(Latest, other.Latest);
		if (Account.Length == 0)
			Account = other.Account;
		if (AccountSid.Length == 0)
			AccountSid = other.AccountSid;
		if (Local.Length == 0)
			Local = other.Local;
		foreach (string record in other.Records)
		{
			if (Records.Count < MostRecords)
				Records.Add(record);
		}
	}

	/// <summary>Say whether a logon was refused whose NTLM credentials were right.</summary>
	public bool IsSuperseded(SignIn other)
	{
		return Outcome == Success && Kinds == Kinds.Validation && other.IsRefusal;
	}

	/// <summary>Return what rules see: the view that Linux has, and more. What is unknown has no key.</summary>
	public Dictionary<string, object> View()
	{
		Dictionary<string, object> view = new Dictionary<string, object>();
		view["Outcome"] = Outcome;
		foreach (string name in ViewFields)
		{
			string value = this[name];
			if (value.Length > 0)
				view[name] = value;
		}
		view["SourceLocal"] = SourceLocal();
		if (IsAutomation)
			view["Automation"] = "yes";
		return view;
	}

	/// <summary>Return what a finding shows, as OCSF evidence.</summary>
	public Dictionary<string, object> Evidence()
	{
		Dictionary<string, object> data = new Dictionary<string, object>();
		data["time"] = Stamp(Time);
		data["outcome"] = Outcome;
		for (int row = 0; row < EvidenceFields.GetLength(0); row++)
		{
			string name = EvidenceFields[row, 0];
			if (this[name].Length > 0)
				data[EvidenceFields[row, 1]] = name == "Image" ? Printable.ShowPath(this[name]) : Printable.Show(this[name]);
		}
		data["records"] = string.Join(", ", Records);
		Dictionary<string, object> evidence = new Dictionary<string, object>();
		evidence["data"] = data;
		if (this["User"].Length > 0)
		{
			Dictionary<string, object> user = Named("name", this["User"]);
			if (this["UserSid"].Length > 0)
				user["uid"] = this["UserSid"];
			evidence["actor"] = new Dictionary<string, object> { { "user", user } };
		}
		if (this["TargetUser"].Length > 0)
			evidence["user"] = Named("name", this["TargetUser"]);
		int port;
		if (this["SourceIp"].Length > 0)
		{
			Dictionary<string, object> endpoint = Named("ip", this["SourceIp"]);
			if (int.TryParse(this["SourcePort"], NumberStyles.None, CultureInfo.InvariantCulture, out port) && port < 65536)
				endpoint["port"] = port;
			evidence["src_endpoint"] = endpoint;
		}
		return evidence;
	}

	/// <summary>Return a FILETIME as 2026-01-31T13:59:59Z.</summary>
	public static string Stamp(long time)
	{
		return DateTime.FromFileTimeUtc(Math.Max(0, Math.Min(time, DateTime.MaxValue.ToFileTimeUtc())))
			.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
	}

	private static Dictionary<string, object> Named(string name, string value)
	{
		return new Dictionary<string, object> { { name, Printable.Show(value) } };
	}

	private string SourceLocal()
	{
		if (Local.Length > 0)
			return Local;
		return this["SourceIp"].Length > 0 || Array.IndexOf(LocalServices, this["Service"]) < 0 ? "no" : "yes";
	}
}
}
