// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Events
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Identity;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.OpenSsh;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.SignIn;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Statuses;

/// <summary>
/// Reads what each event says about an attempt to sign in. Names of accounts and workstations are what a client wrote:
/// they are fields, and nothing is decided by a workstation. Addresses are Windows' own.
/// </summary>
public sealed class Events
{
	public const string Security = "Security";
	public const string Sessions = "Microsoft-Windows-TerminalServices-LocalSessionManager/Operational";
	public const string Connections = "Microsoft-Windows-TerminalServices-RemoteConnectionManager/Operational";
	public const string Protocol = "Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/Operational";
	public const string OpenSsh = "OpenSSH/Operational";
	public const string WinRm = "Microsoft-Windows-WinRM/Operational";

	// As long as a user principal name may be.
	private const int LongestText = 256;
	private const string NoLogon = "0x0";

	// Accounts that nobody has credentials of: anonymous, SYSTEM and the service accounts of Windows, and virtual accounts
	// of services, application pools, virtual machines, desktops (DWM), WinRM, font drivers (UMFD) and sshd's sandbox.
	private static readonly Regex NoPerson = new Regex(@"\AS-1-5-(7|18|19|20|(80|82|83|90|94|96|111)-.*)\z",
		RegexOptions.CultureInvariant | RegexOptions.Singleline);

	// The account of a program that somebody started.
	private static readonly Regex OfPerson = new Regex(@"\AS-1-(5-21|12-1)-", RegexOptions.CultureInvariant);

	/// <summary>The ids that are read, by channel.</summary>
	public static readonly IDictionary<string, int[]> Read = new Dictionary<string, int[]>
	{
		{ Security, new[] { 4624, 4625, 4648, 4740, 4768, 4771, 4776 } },
		{ Sessions, new[] { 21, 25 } },
		{ Connections, new[] { 1149 } },
		{ Protocol, new[] { 140 } },
		{ OpenSsh, new[] { 4 } },
		{ WinRm, new[] { 169 } },
	};

	private readonly HashSet<string> _ownAddresses = new HashSet<string>();
	private readonly OpenSsh _ssh = new OpenSsh();

	/// <param name="ownAddresses">Those of the host, by which it signs in to itself; null for none known.</param>
	public Events(IEnumerable<string> ownAddresses)
	{
		foreach (string address in ownAddresses ?? new string[0])
			_ownAddresses.Add(Identity.Address(address));
	}

	/// <summary>Return what a record says about an attempt; null for nothing.</summary>
	public SignIn Of(EventRecord record)
	{
		SignIn fact = Fact(record);
		if (fact != null)
		{
			fact.Time = fact.Latest = record.Time;
			fact.Records.Add(record.Channel + " " + record.RecordId.ToString(CultureInfo.InvariantCulture));
		}
		return fact;
	}

	/// <summary>Return what the next run has to know, as JSON can hold it.</summary>
	public List<object> Saved()
	{
		return _ssh.Saved();
	}

	/// <param name="saved">What Saved returned.</param>
	public void Restore(List<object> saved)
	{
		_ssh.Restore(saved);
	}

	private SignIn Fact(EventRecord record)
	{
		if (Is(record, Security))
			return OfSecurity(record);
		if (Is(record, Sessions))
			return record.EventId == 21 || record.EventId == 25 ? OfSession(record) : null;
		if (Is(record, Connections))
			return record.EventId == 1149 ? OfConnection(record) : null;
		if (Is(record, Protocol))
			return record.EventId == 140 ? OfProtocol(record) : null;
		if (Is(record, OpenSsh))
			return record.EventId == 4 ? _ssh.Of(Text(record, "process"), record.Text("payload"), record.Time) : null;
		return Is(record, WinRm) && record.EventId == 169 ? OfWinRm(record) : null;
	}

	private SignIn OfSecurity(EventRecord record)
	{
		switch (record.EventId)
		{
			case 4624:
				return OfLogon(record, null);
			case 4625:
				return OfFailedLogon(record);
			case 4648:
				return OfExplicit(record);
			case 4740:
				return OfLockout(record);
			case 4768:
			case 4771:
				return OfTicket(record);
			case 4776:
				return OfValidation(record);
			default:
				return null;
		}
	}

	private SignIn OfFailedLogon(EventRecord record)
	{
		string code = Text(record, "SubStatus");
		Status status = Statuses.OfLogon(code);
		if (status == null)
			status = Statuses.OfLogon(code = Text(record, "Status")) ?? new Status(SignIn.Failure, "", false, "");
		SignIn fact = OfLogon(record, status);
		fact["Status"] = code;
		return fact;
	}

	// status: null for a logon that succeeded. What follows from a sign-in (services, tasks, startup) is none, and type 9
	// takes credentials for other computers that nobody has judged.
	private SignIn OfLogon(EventRecord record, Status status)
	{
		string type = Text(record, "LogonType");
		string sid = Text(record, "TargetUserSid");
		if (status == null && (NoPerson.IsMatch(sid) || type == "0" || type == "4" || type == "5" || type == "9"))
			return null;
		SignIn fact = Judged(status);
		SetUser(fact, Text(record, "TargetUserName"), Text(record, "TargetDomainName"), sid);
		fact["LogonType"] = type;
		SetPackage(fact, Text(record, "AuthenticationPackageName"));
		if (type == "8")
			fact["Method"] = "password";
		bool isNetwork = type == "3" || type == "8";
		fact.Kinds = isNetwork ? Kinds.Network : Kinds.Interactive;
		string process = Text(record, "ProcessName");
		fact["Image"] = process;
		if (status == null)
		{
			fact["LogonId"] = LogonId(Text(record, "TargetLogonId"));
			string linked = LogonId(Text(record, "TargetLinkedLogonId"));
			if (linked != NoLogon)
				fact["LinkedLogonId"] = linked;
		}
		// That of a logon at the host is the host's own.
		if (isNetwork)
			SetWorkstation(fact, Text(record, "WorkstationName"));
		SetOrigin(fact, type, Identity.Address(Text(record, "IpAddress")), Text(record, "IpPort"), process);
		SetService(fact, record, type, process);
		return status == null && IsHost(fact, record) ? null : fact;
	}

	private void SetOrigin(SignIn fact, string type, string address, string port, string process)
	{
		bool isHere = IsHere(address);
		switch (type)
		{
			case "3":
			case "8":
				// A program of the host that asks may do so for somebody whose address it alone knows.
				fact.Local = isHere ? "yes" : address.Length > 0 || process.Length == 0 ? "no" : "";
				break;
			case "10":
			case "12":
				// Its own address is that of a tunnel.
				fact.Local = "no";
				break;
			default:
				if (isHere)
					address = "";
				// Unlocking is also how a remote session is taken up again, by an event that has no address.
				bool isUnlock = type == "7" || type == "13";
				fact.Local = address.Length > 0 ? "no" : isUnlock && !isHere ? "" : "yes";
				break;
		}
		fact["SourceIp"] = address;
		if (address.Length > 0 && port != "0")
			fact["SourcePort"] = port;
	}

	private static void SetService(SignIn fact, EventRecord record, string type, string process)
	{
		string program = process.Substring(process.LastIndexOf('\\') + 1).ToLowerInvariant();
		string asking = Text(record, "SubjectUserSid");
		if (program.StartsWith("sshd", StringComparison.Ordinal))
			fact["Service"] = "sshd";
		else if (program == "w3wp.exe")
			fact["Service"] = "iis";
		else if (type == "4" || type == "5")
			fact["Service"] = type == "4" ? "batch" : "service";
		else if (type == "10" || type == "12" || fact.Kinds == Kinds.Interactive && fact["SourceIp"].Length > 0)
			fact["Service"] = "rdp";
		else if (OfPerson.IsMatch(asking) && process.Length > 0 && fact["SourceIp"].Length == 0 &&
			type != "7" && type != "11" && type != "13")
		{
			// Somebody's program asks, as runas does; one that serves clients knows their addresses.
			fact["Service"] = "runas";
			fact["TargetUser"] = fact["User"];
			foreach (string name in new[] { "User", "UserDomain", "UserSid", "UserType" })
				fact.Fields.Remove(name);
			fact["User"] = Identity.AccountName(Text(record, "SubjectUserName"));
			fact["UserDomain"] = Text(record, "SubjectDomainName");
			fact["UserSid"] = asking;
			fact.Local = "yes";
		}
		else if (fact.Kinds == Kinds.Network)
			fact["Service"] = "network";
		else
			fact["Service"] = type == "7" || type == "13" ? "unlock" : "console";
	}

	// With the host as target, it says who asked for the logon that another event is about.
	private static SignIn OfExplicit(EventRecord record)
	{
		SignIn fact = new SignIn { Kinds = Kinds.Explicit };
		SetUser(fact, Text(record, "TargetUserName"), Text(record, "TargetDomainName"), "");
		fact["Image"] = Text(record, "ProcessName");
		string server = Text(record, "TargetServerName");
		string host = HostName(record);
		bool isHost = server.Length == 0 || string.Equals(server, "localhost", StringComparison.OrdinalIgnoreCase) ||
			string.Equals(server, host, StringComparison.OrdinalIgnoreCase) ||
			string.Equals(server, record.Computer, StringComparison.OrdinalIgnoreCase);
		if (isHost)
			return fact;
		string target = fact["User"];
		fact.Fields.Remove("UserType");
		fact.Outcome = SignIn.Attempt;
		fact.Local = "yes";
		fact["Service"] = "explicit_credentials";
		fact["TargetUser"] = target;
		fact["TargetServer"] = server;
		fact.Fields.Remove("User");
		fact["User"] = Identity.AccountName(Text(record, "SubjectUserName"));
		fact["UserDomain"] = Text(record, "SubjectDomainName");
		fact["UserSid"] = Text(record, "SubjectUserSid");
		return fact;
	}

	// The failure that locked the account is in another event, if that is recorded at all.
	private static SignIn OfLockout(EventRecord record)
	{
		SignIn fact = new SignIn { Kinds = Kinds.Lockout, Outcome = SignIn.Failure };
		SetUser(fact, Text(record, "TargetUserName"), "", Text(record, "TargetSid"));
		SetWorkstation(fact, Text(record, "TargetDomainName"));
		fact["Service"] = "lockout";
		fact["UserKnown"] = "yes";
		fact["AccountLocked"] = "yes";
		fact["Reason"] = "account locked";
		return fact;
	}

	private SignIn OfTicket(EventRecord record)
	{
		string code = Text(record, "Status");
		Status status = Statuses.OfTicket(code);
		if (status != null && status.Outcome == null)
			return null;
		SignIn fact = Judged(status);
		fact.Kinds = Kinds.Ticket;
		if (status != null)
			fact["Status"] = code;
		SetUser(fact, Text(record, "TargetUserName"), Text(record, "TargetDomainName"), Text(record, "TargetSid"));
		fact["Service"] = "kerberos";
		fact["Package"] = "kerberos";
		fact["Method"] = PreAuthentication(Text(record, "PreAuthType"));
		string address = Identity.Address(Text(record, "IpAddress"));
		fact["SourceIp"] = address;
		if (address.Length > 0 && Text(record, "IpPort") != "0")
			fact["SourcePort"] = Text(record, "IpPort");
		fact.Local = address.Length == 0 ? "" : IsHere(address) ? "yes" : "no";
		return status == null && IsHost(fact, record) ? null : fact;
	}

	private SignIn OfValidation(EventRecord record)
	{
		string code = Text(record, "Status");
		Status status = Statuses.OfLogon(code);
		SignIn fact = Judged(status);
		fact.Kinds = Kinds.Validation;
		if (status != null)
			fact["Status"] = code;
		SetUser(fact, Text(record, "TargetUserName"), "", "");
		SetWorkstation(fact, Text(record, "Workstation"));
		fact["Service"] = "ntlm";
		SetPackage(fact, "NTLM");
		return fact;
	}

	private static SignIn OfSession(EventRecord record)
	{
		SignIn fact = new SignIn { Kinds = Kinds.Session, Outcome = SignIn.Success };
		string user = Text(record, "User");
		int backslash = user.IndexOf('\\');
		SetUser(fact, user, backslash > 0 ? user.Substring(0, backslash) : "", "");
		// The console has a word here, in the language of Windows.
		fact["SourceIp"] = Identity.Address(Text(record, "Address"));
		fact.Local = fact["SourceIp"].Length > 0 ? "no" : "yes";
		fact["Service"] = fact["SourceIp"].Length > 0 ? "rdp" : "console";
		fact["UserKnown"] = "yes";
		string session = Text(record, "SessionID");
		if (session.Length > 0)
			fact["Terminal"] = "session " + session;
		return fact;
	}

	// Its text is "User authentication succeeded", but it says that a connection was taken on: some versions write it
	// before the password is judged, and none says whether a session follows. Without the NLA it has no name.
	private static SignIn OfConnection(EventRecord record)
	{
		SignIn fact = new SignIn { Kinds = Kinds.Connection, Fallback = SignIn.Aborted, Local = "no" };
		SetUser(fact, Text(record, "Param1"), Text(record, "Param2"), "");
		fact["SourceIp"] = Identity.Address(Text(record, "Param3"));
		fact["Service"] = "rdp";
		return fact;
	}

	// Where a logon's event has no address (NLA), this one of the same attempt has it.
	private static SignIn OfProtocol(EventRecord record)
	{
		SignIn fact = new SignIn { Kinds = Kinds.Protocol, Outcome = SignIn.Failure, Local = "no" };
		fact["SourceIp"] = Identity.Address(Text(record, "IPString"));
		fact["Service"] = "rdp";
		fact["Reason"] = "unknown account or wrong password";
		return fact;
	}

	private static SignIn OfWinRm(EventRecord record)
	{
		SignIn fact = new SignIn { Kinds = Kinds.WinRm, Outcome = SignIn.Success };
		string user = Text(record, "username");
		int backslash = user.IndexOf('\\');
		SetUser(fact, user, backslash > 0 ? user.Substring(0, backslash) : "", "");
		fact["Service"] = "winrm";
		SetPackage(fact, Text(record, "authenticationMechanism"));
		fact["UserKnown"] = "yes";
		return fact;
	}

	private static SignIn Judged(Status status)
	{
		SignIn fact = new SignIn { Outcome = status == null ? SignIn.Success : status.Outcome };
		fact["UserKnown"] = status == null ? "yes" : status.Known;
		fact["Reason"] = status == null ? "" : status.Reason;
		fact.IsRefusal = status != null && status.IsRefusal;
		return fact;
	}

	private static void SetUser(SignIn fact, string name, string domain, string sid)
	{
		fact.Account = Identity.AccountName(name);
		fact["User"] = fact.Account;
		fact["UserDomain"] = domain;
		fact["Account"] = domain.Length > 0 && name.IndexOf('\\') < 0 ? domain + "\\" + name : name;
		if (sid != "S-1-0-0")
		{
			fact.AccountSid = sid;
			fact["UserSid"] = sid;
		}
		// Also what an intruder calls so: whether there is such a computer only the directory knows.
		if (name.EndsWith("$", StringComparison.Ordinal))
			fact["UserType"] = "machine";
	}

	private static void SetWorkstation(SignIn fact, string name)
	{
		fact["Workstation"] = name.TrimStart('\\');
	}

	// A host signs in to itself all day.
	private bool IsHost(SignIn fact, EventRecord record)
	{
		return fact["UserType"] == "machine" && IsHere(fact["SourceIp"]) &&
			string.Equals(fact.Account, HostName(record) + "$", StringComparison.OrdinalIgnoreCase);
	}

	private bool IsHere(string address)
	{
		IPAddress parsed;
		return address.Length > 0 &&
			(_ownAddresses.Contains(address) || IPAddress.TryParse(address, out parsed) && IPAddress.IsLoopback(parsed));
	}

	private static string HostName(EventRecord record)
	{
		int dot = record.Computer.IndexOf('.');
		return dot < 0 ? record.Computer : record.Computer.Substring(0, dot);
	}

	private static string LogonId(string text)
	{
		return text.ToLowerInvariant();
	}

	// NTLM proves the password, or its hash. A ticket says nothing of how it was got, nor does Negotiate at the console.
	private static void SetPackage(SignIn fact, string package)
	{
		package = package.ToLowerInvariant();
		if (package.StartsWith("microsoft_authentication_package", StringComparison.Ordinal))
			package = "ntlm";
		fact["Package"] = package;
		if (package == "ntlm" || package == "basic" || package == "digest" || package == "wdigest")
			fact["Method"] = "password";
		else if (package == "schannel")
			fact["Method"] = "certificate";
	}

	// RFC 4120, 4556 and 6113.
	private static string PreAuthentication(string type)
	{
		switch (type)
		{
			case "0":
				return "none";
			case "2":
			case "138":
				return "password";
			case "15":
			case "16":
			case "17":
				return "certificate";
			default:
				return "";
		}
	}

	private static bool Is(EventRecord record, string channel)
	{
		return string.Equals(record.Channel, channel, StringComparison.OrdinalIgnoreCase);
	}

	private static string Text(EventRecord record, string name)
	{
		string text = record.Text(name).Trim();
		if (text.Length > LongestText)
			text = text.Substring(0, LongestText);
		return text == "-" ? "" : text;
	}
}
}
