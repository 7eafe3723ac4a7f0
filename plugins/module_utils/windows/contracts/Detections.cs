// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Detections
{
	/// <summary>Detections: what a module reports of a host, as plain dictionaries.</summary>
	public static class Detections
	{
		private static readonly string[] Severities = { "informational", "low", "medium", "high", "critical" };

		/// <summary>Return one detection. Texts of the host are shown ones (<c>Printable</c>).</summary>
		/// <param name="alert">The id in the alert catalogue.</param>
		/// <param name="subject">
		/// What it is about on this host; with alert and host it makes the finding's stable identity, so that nothing
		/// that varies belongs in it.
		/// </param>
		/// <param name="scope">The coverage scope that was looked at.</param>
		/// <param name="evidences">OCSF <c>evidences</c> objects.</param>
		/// <param name="severity">An OCSF severity where it depends on what was seen; null for the catalogue's.</param>
		/// <param name="firstTime">Seconds since the epoch, null when unknown.</param>
		/// <param name="lastTime">Seconds since the epoch, null when unknown.</param>
		/// <param name="count">How often it was seen.</param>
		/// <param name="message">One sentence for this case, or null.</param>
		/// <param name="techniques">ATT&amp;CK ids that this case adds to the catalogue's, or null.</param>
		/// <param name="disposition">blocked, allowed or quarantined where the host decides; or null.</param>
		/// <param name="product">The security product that raised the alert, as Python has it; or null.</param>
		/// <param name="simulation">The id of the simulation in whose sessions all of it happened, or null.</param>
		public static Dictionary<string, object> Make(
			string alert,
			string subject,
			string scope,
			IEnumerable<Dictionary<string, object>> evidences,
			string severity = null,
			double? firstTime = null,
			double? lastTime = null,
			long count = 1,
			string message = null,
			IEnumerable<string> techniques = null,
			string disposition = null,
			Dictionary<string, object> product = null,
			string simulation = null)
		{
			if (severity != null && Array.IndexOf(Severities, severity) < 0)
				throw new ArgumentException(
					"severity '" + severity + "' is not one of " + string.Join(", ", Severities));
			List<object> copied = new List<object>();
			foreach (Dictionary<string, object> evidence in evidences)
				copied.Add(new Dictionary<string, object>(evidence));
			List<object> ids = new List<object>();
			foreach (string technique in techniques ?? new string[0])
				ids.Add(technique);
			Dictionary<string, object> detection = new Dictionary<string, object>();
			detection["alert"] = alert;
			detection["subject"] = subject;
			detection["scope"] = scope;
			detection["severity"] = severity;
			detection["first_time"] = firstTime;
			detection["last_time"] = lastTime;
			detection["count"] = count;
			detection["message"] = message;
			detection["techniques"] = ids;
			detection["evidences"] = copied;
			if (disposition != null)
				detection["disposition"] = disposition;
			if (product != null)
				detection["product"] = new Dictionary<string, object>(product);
			if (simulation != null)
				detection["simulation"] = simulation;
			return detection;
		}
	}
}
