// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Net;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.History
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.SignIn;

/// <summary>
/// Who has signed in from where before, so that rules can tell what is new on this host, as
/// module_utils/audit/sign_ins/history.py: accounts with their networks, /24 of IPv4 and /64 of IPv6.
/// </summary>
public sealed class History
{
	// Before so much of a host's life was seen, everything is new and nothing is unusual.
	private const double Learning = 7 * 86400.0;
	private const int MostUsers = 2000;
	private const int MostNetworks = 32;

	private double? _began;
	// A domain controller sees so many computers that people would be forgotten for them.
	private readonly Accounts _people = new Accounts();
	private readonly Accounts _machines = new Accounts();

	/// <param name="saved">What Saved returned; null for nothing. InvalidCastException or KeyNotFoundException for what
	/// it never returns.</param>
	public History(IDictionary<string, object> saved = null)
	{
		if (saved == null)
			return;
		_began = saved["began"] == null ? (double?)null : Convert.ToDouble(saved["began"]);
		_people.Restore((List<object>)saved["users"]);
		_machines.Restore((List<object>)saved["machines"]);
	}

	/// <summary>Return what the next run has to know, as JSON can hold it.</summary>
	public Dictionary<string, object> Saved()
	{
		return new Dictionary<string, object>
		{
			{ "began", _began }, { "users", _people.Saved() }, { "machines", _machines.Saved() },
		};
	}

	/// <summary>
	/// Add to a view what is new about a successful sign-in, and take it in. UserNew: yes when the account was not seen
	/// to sign in before. SourceNew: yes when it was not seen to come from that network before. Neither is there while
	/// the host is being learnt.
	/// </summary>
	public void Learn(SignIn signIn, IDictionary<string, object> view)
	{
		_began = _began == null ? signIn.Seconds : Math.Min(_began.Value, signIn.Seconds);
		string user = signIn["User"];
		if (signIn.Outcome != SignIn.Success || signIn["TargetUser"].Length > 0 || user.Length == 0)
			return;
		string network = Network(signIn["SourceIp"]);
		Accounts accounts = signIn["UserType"] == "machine" ? _machines : _people;
		List<string> known = accounts.Of(user);
		if (signIn.Seconds - _began >= Learning)
		{
			view["UserNew"] = known == null ? "yes" : "no";
			if (network.Length > 0)
				view["SourceNew"] = known != null && known.Contains(network) ? "no" : "yes";
		}
		accounts.Add(user, network);
	}

	private static string Network(string source)
	{
		IPAddress address;
		if (!IPAddress.TryParse(source, out address))
			return "";
		byte[] bytes = address.GetAddressBytes();
		int prefix = bytes.Length == 4 ? 3 : 8;
		Array.Clear(bytes, prefix, bytes.Length - prefix);
		return new IPAddress(bytes) + "/" + prefix * 8;
	}

	/// <summary>Accounts with the networks that they came from, the least recent first, at most so many.</summary>
	private sealed class Accounts
	{
		private readonly LinkedList<KeyValuePair<string, List<string>>> _order =
			new LinkedList<KeyValuePair<string, List<string>>>();
		private readonly Dictionary<string, LinkedListNode<KeyValuePair<string, List<string>>>> _byName =
			new Dictionary<string, LinkedListNode<KeyValuePair<string, List<string>>>>(StringComparer.Ordinal);

		public List<string> Of(string user)
		{
			LinkedListNode<KeyValuePair<string, List<string>>> node;
			return _byName.TryGetValue(user, out node) ? node.Value.Value : null;
		}

		public void Add(string user, string network)
		{
			List<string> networks = Of(user) ?? new List<string>();
			if (network.Length > 0)
			{
				networks.Remove(network);
				networks.Add(network);
				if (networks.Count > MostNetworks)
					networks.RemoveAt(0);
			}
			Put(user, networks);
		}

		public List<object> Saved()
		{
			List<object> saved = new List<object>();
			foreach (KeyValuePair<string, List<string>> account in _order)
				saved.Add(new List<object>
				{
					account.Key, account.Value.ConvertAll(delegate(string network) { return (object)network; }),
				});
			return saved;
		}

		public void Restore(List<object> saved)
		{
			foreach (object entry in saved)
			{
				List<object> account = (List<object>)entry;
				Put((string)account[0],
					((List<object>)account[1]).ConvertAll(delegate(object network) { return (string)network; }));
			}
		}

		private void Put(string user, List<string> networks)
		{
			LinkedListNode<KeyValuePair<string, List<string>>> node;
			if (_byName.TryGetValue(user, out node))
				_order.Remove(node);
			_byName[user] = _order.AddLast(new KeyValuePair<string, List<string>>(user, networks));
			if (_order.Count <= MostUsers)
				return;
			_byName.Remove(_order.First.Value.Key);
			_order.RemoveFirst();
		}
	}
}
}
