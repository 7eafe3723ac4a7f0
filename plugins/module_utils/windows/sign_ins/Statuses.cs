// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Statuses
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.SignIn;

/// <summary>What a status of NTLM and of logons (NTSTATUS), or of Kerberos (RFC 4120), says about an attempt.</summary>
public sealed class Status
{
	/// <summary>One of SignIn's; null for what is no attempt, as a request that the client repeats.</summary>
	public readonly string Outcome;

	/// <summary>Whether the account exists: yes, no, or "".</summary>
	public readonly string Known;

	/// <summary>The password was right, and something else was not.</summary>
	public readonly bool IsRefusal;

	public readonly string Reason;

	internal Status(string outcome, string known, bool isRefusal, string reason)
	{
		Outcome = outcome;
		Known = known;
		IsRefusal = isRefusal;
		Reason = reason;
	}
}

/// <summary>The statuses of failed sign-ins. Unknown ones are failures.</summary>
public static class Statuses
{
	// Code, outcome, whether the account exists, reason. F: failure. R: failure though the password was right. A: aborted,
	// because nothing judged the password. I: no attempt.
	private static readonly string[] OfLogons =
	{
		"c0000064 F no no such account",
		"c000006a F yes wrong password",
		"c000006d F - unknown account or wrong password",
		"c000006e F yes account restriction",
		"c000006f R yes outside the allowed hours",
		"c0000070 R yes from a computer that is not allowed",
		"c0000071 R yes password expired",
		"c0000072 F yes account disabled",
		"c0000193 F yes account expired",
		"c0000224 R yes password must be changed",
		"c0000234 F yes account locked",
		"c000015b R yes kind of logon not allowed for the account",
		"c0000413 R yes not allowed by the authentication firewall",
		"c0000022 F - access denied",
		"c0000133 A - clocks differ",
		"c000005e A - no domain controller",
		"c00000dc A - server in the wrong state",
		"c0000192 A - Netlogon not started",
		"c000018a A - no trust secret",
		"c000018b A - no trust account",
		"c000018c A - trust relationship failed",
		"c000018d A - trust relationship failed",
		"c000019b A - duplicate account of a domain",
		"c0000225 A - not supported by the server",
		"c0000380 F yes wrong PIN",
		"c0000388 A - protocol downgrade",
		"c0000418 A - NTLM blocked",
	};

	private static readonly string[] OfKerberos =
	{
		"6 F no no such account",
		"9 F yes account has no key",
		"c R yes not allowed by the rules of the account",
		"12 F yes account disabled, expired or locked",
		"17 R yes password expired",
		"18 F yes wrong password",
		"1f F - wrong password or key",
		"e A - encryption type not supported",
		"10 A - kind of proof not supported",
		"25 A - clocks differ",
		"44 A - wrong realm",
		"19 I - more proof needed",
		"1b I - another protocol needed",
		"20 I - ticket expired",
		"34 I - answer too big",
	};

	private static readonly Dictionary<string, Status> Logons = Table(OfLogons);
	private static readonly Dictionary<string, Status> Kerberos = Table(OfKerberos);

	/// <summary>Return what an NTSTATUS such as 0xc000006a says; null for success.</summary>
	public static Status OfLogon(string code)
	{
		return Of(Logons, code);
	}

	/// <summary>Return what a status of Kerberos events such as 0x18 says; null for success.</summary>
	public static Status OfTicket(string code)
	{
		return Of(Kerberos, code);
	}

	private static Status Of(Dictionary<string, Status> table, string code)
	{
		string digits = code.StartsWith("0x", StringComparison.OrdinalIgnoreCase) ? code.Substring(2) : code;
		digits = digits.TrimStart('0').ToLowerInvariant();
		if (digits.Length == 0)
			return null;
		Status status;
		return table.TryGetValue(digits, out status)
			? status
			: new Status(SignIn.Failure, "", false, "status " + code);
	}

	private static Dictionary<string, Status> Table(string[] rows)
	{
		Dictionary<string, Status> table = new Dictionary<string, Status>();
		foreach (string row in rows)
		{
			string[] words = row.Split(new[] { ' ' }, 4);
			string outcome = words[1] == "A" ? SignIn.Aborted : words[1] == "I" ? null : SignIn.Failure;
			table[words[0]] = new Status(outcome, words[2] == "-" ? "" : words[2], words[1] == "R", words[3]);
		}
		return table;
	}
}
}
