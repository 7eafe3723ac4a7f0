// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.OpenSsh
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Identity;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.SignIn;

/// <summary>
/// Reads the messages of sshd, which are those of other systems (auth.c, auth2.c and packet.c of OpenSSH). The name of
/// an account that does not exist is what the client wrote, blanks and "from 192.0.2.1 port 22" included, but no colon:
/// so what follows it is read from the right end.
/// </summary>
public sealed class OpenSsh
{
	// sshd cuts its messages off at 1,024 bytes: the last address of such a one may be in the client's own text.
	private const int LongestMessage = 1023;
	private const int LongestName = 256;
	private const int MostConnections = 4096;

	// How long a connection may last until somebody is signed in (LoginGraceTime), and some.
	private const long Patience = 1500000000;

	private const RegexOptions Options = RegexOptions.CultureInvariant | RegexOptions.Singleline;
	private const string Origin = " from ([0-9A-Za-z:][\\w.:%-]*) port (\\d{1,5})";
	private const string Key = "(?:: [^ :]+ (?:SHA256|MD5):[^ ]+(?: .*)?)?\\z";

	private static readonly Regex Judged = new Regex(
		@"\A(Accepted|Failed) ([\w@.-]+)(?:/[\w@.,-]+)? for (invalid user )?(.*)" + Origin + " ssh2" + Key, Options);
	// An account that exists has no blank in its name: what a certificate says comes after the address.
	private static readonly Regex JudgedKnown = new Regex(
		@"\A(Accepted|Failed) ([\w@.-]+)(?:/[\w@.,-]+)? for ()([^ ]+)" + Origin + @" ssh2(?:: .*)?\z", Options);
	private static readonly Regex Invalid = new Regex(@"\AInvalid user (.*)" + Origin + @"\z", Options);
	private static readonly Regex NotAllowed = new Regex(
		@"\AUser ([^ ]+) from ([^ ]+) not allowed because (.*)\z", Options);
	private static readonly Regex Ended = new Regex(
		@"\A(?:Connection (?:closed|reset) by|Disconnected from|Disconnecting) (authenticating|invalid) user (.*)" +
		@" ([0-9A-Za-z:][\w.:%-]*) port (\d{1,5})(?:: Too many authentication failures)?\z", Options);
	private static readonly Regex Maximum = new Regex(
		@"\Amaximum authentication attempts exceeded for (invalid user )?(.*)" + Origin + @" ssh2\z", Options);
	private static readonly Regex Probe = new Regex(
		@"\A(?:Connection (?:closed|reset) by|Did not receive identification string from|Unable to negotiate with|" +
		@"banner exchange: Connection from|Bad protocol version identification '.*' from|" +
		@"Timeout before authentication for) ([0-9A-Za-z:][\w.:%-]*)(?: port (\d{1,5}))?(?:\z|: )", Options);

	private sealed class Connection
	{
		public long Time;
		public bool IsJudged;
		public string Known = "";
	}

	private readonly Dictionary<string, Connection> _connections = new Dictionary<string, Connection>();
	private readonly Queue<string> _order = new Queue<string>();
	private long _latest;

	/// <summary>Return what a message says about an attempt; null for nothing.</summary>
	public SignIn Of(string process, string message, long time)
	{
		if (!process.StartsWith("sshd", StringComparison.OrdinalIgnoreCase))
			return null;
		message = message.TrimEnd(' ', '\r', '\n');
		foreach (string level in new[] { "error: ", "fatal: " })
		{
			if (message.StartsWith(level, StringComparison.Ordinal))
				message = message.Substring(level.Length);
		}
		if (message.Length >= LongestMessage)
			return message.StartsWith("Failed ", StringComparison.Ordinal) ? Cut() : null;
		const string before = " [preauth]";
		if (message.EndsWith(before, StringComparison.Ordinal))
			message = message.Substring(0, message.Length - before.Length);
		switch (message.Split(new[] { ' ' }, 2)[0])
		{
			case "Accepted":
			case "Failed":
				return OfJudgement(message, time);
			case "Invalid":
				return OfInvalid(Invalid.Match(message), time);
			case "User":
				return OfNotAllowed(NotAllowed.Match(message));
			case "maximum":
				return OfMaximum(Maximum.Match(message), time);
			default:
				Match ended = Ended.Match(message);
				if (!ended.Success)
					return OfProbe(Probe.Match(message), time);
				return Hint(ended.Groups[2].Value, ended.Groups[3].Value, ended.Groups[4].Value, time, SignIn.Failure,
					ended.Groups[1].Value == "invalid" ? "no" : "yes", "ended before it succeeded");
		}
	}

	private SignIn OfJudgement(string message, long time)
	{
		Match match = JudgedKnown.Match(message);
		if (!match.Success)
			match = Judged.Match(message);
		if (!match.Success)
			return null;
		string method = match.Groups[2].Value;
		bool isInvalid = match.Groups[3].Length > 0;
		bool isFailure = match.Groups[1].Value == "Failed";
		string user = match.Groups[4].Value;
		// Every client asks what it may try ("none"), and tries all its keys.
		if (isFailure && (method == "none" || method == "publickey" || method == "hostbased"))
		{
			SignIn hint = Hint(user, match.Groups[5].Value, match.Groups[6].Value, time, SignIn.Failure,
				isInvalid ? "no" : "yes", method == "none" ? "ended before it succeeded" : "no key was accepted");
			if (hint != null && method != "none")
				hint["Method"] = method;
			return hint;
		}
		SignIn fact = Fact(user, match.Groups[5].Value, match.Groups[6].Value);
		Connection connection = Seen(fact, time);
		connection.IsJudged = true;
		fact.Kinds = Kinds.Ssh;
		fact.Outcome = isFailure ? SignIn.Failure : SignIn.Success;
		fact["Method"] = method;
		fact["UserKnown"] = isInvalid ? "no" : connection.Known.Length > 0 ? connection.Known : "yes";
		return fact;
	}

	private SignIn OfInvalid(Match match, long time)
	{
		return match.Success
			? Hint(match.Groups[1].Value, match.Groups[2].Value, match.Groups[3].Value, time, SignIn.Failure, "no",
				"no such account")
			: null;
	}

	private SignIn OfMaximum(Match match, long time)
	{
		return match.Success
			? Hint(match.Groups[2].Value, match.Groups[3].Value, match.Groups[4].Value, time, SignIn.Failure,
				match.Groups[1].Length > 0 ? "no" : "yes", "too many attempts")
			: null;
	}

	private SignIn OfProbe(Match match, long time)
	{
		return match.Success && Identity.Address(match.Groups[1].Value).Length > 0
			? Hint("", match.Groups[1].Value, match.Groups[2].Value, time, SignIn.Aborted, "", "closed")
			: null;
	}

	private static SignIn OfNotAllowed(Match match)
	{
		if (!match.Success)
			return null;
		SignIn fact = Fact(match.Groups[1].Value, match.Groups[2].Value, "");
		fact.Kinds = Kinds.SshHint;
		fact.Fallback = SignIn.Failure;
		fact["UserKnown"] = "yes";
		fact["Reason"] = match.Groups[3].Value.Length > LongestName ? "not allowed" : match.Groups[3].Value;
		return fact;
	}

	private SignIn Hint(string user, string source, string port, long time, string fallback, string known, string reason)
	{
		SignIn fact = Fact(user, source, port);
		Connection connection = Seen(fact, time);
		if (known == "no")
			connection.Known = known;
		// What happened on the connection says more than its end.
		if (connection.IsJudged)
			return null;
		fact.Kinds = Kinds.SshHint;
		fact.Fallback = fallback;
		fact["UserKnown"] = known;
		fact["Reason"] = reason;
		return fact;
	}

	private static SignIn Cut()
	{
		SignIn fact = Fact("", "", "");
		fact.Kinds = Kinds.Ssh;
		fact.Outcome = SignIn.Failure;
		fact["Reason"] = "the message was cut off";
		return fact;
	}

	private static SignIn Fact(string user, string source, string port)
	{
		if (user.Length > LongestName)
			user = user.Substring(0, LongestName);
		SignIn fact = new SignIn { Account = Identity.AccountName(user), Local = "no" };
		fact["Account"] = user;
		fact["User"] = fact.Account;
		fact["Service"] = "sshd";
		fact["SourceIp"] = Identity.Address(source);
		fact["SourcePort"] = port;
		return fact;
	}

	private Connection Seen(SignIn fact, long time)
	{
		string key = fact["SourceIp"] + " " + fact["SourcePort"];
		_latest = time;
		Connection connection;
		if (_connections.TryGetValue(key, out connection) && Math.Abs(time - connection.Time) <= Patience)
			return connection;
		connection = new Connection { Time = time };
		Remember(key, connection);
		return connection;
	}

	private void Remember(string key, Connection connection)
	{
		if (!_connections.ContainsKey(key))
			_order.Enqueue(key);
		_connections[key] = connection;
		if (_order.Count > MostConnections)
			_connections.Remove(_order.Dequeue());
	}

	/// <summary>Return what the next run has to know, as JSON can hold it.</summary>
	public List<object> Saved()
	{
		List<object> saved = new List<object>();
		foreach (string key in _order)
		{
			Connection connection = _connections[key];
			// JSON's numbers are not exact to 100 ns.
			if (Math.Abs(_latest - connection.Time) <= Patience)
				saved.Add(new List<object> { key, connection.Time.ToString(CultureInfo.InvariantCulture),
					connection.IsJudged, connection.Known });
		}
		return saved;
	}

	/// <param name="saved">What Saved returned.</param>
	public void Restore(List<object> saved)
	{
		foreach (object entry in saved)
		{
			List<object> parts = (List<object>)entry;
			Connection connection = new Connection
			{
				Time = long.Parse((string)parts[1], CultureInfo.InvariantCulture),
				IsJudged = (bool)parts[2],
				Known = (string)parts[3],
			};
			_latest = connection.Time;
			Remember((string)parts[0], connection);
		}
	}
}
}
