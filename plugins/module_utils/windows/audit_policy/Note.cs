// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Note
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State;

	/// <summary>What was deployed of one setting.</summary>
	public sealed class NoteEntry
	{
		/// <summary>The value before the first deployment.</summary>
		public string Before;

		/// <summary>The deployed values: several while a deployment is not through, or after one was cut off.
		/// </summary>
		public List<string> Since = new List<string>();

		/// <summary>Whether the deployment is through.</summary>
		public bool IsComplete;
	}

	/// <summary>What deployments changed on a host, so that it can be undone.</summary>
	public sealed class Note
	{
		public const string Capability = "audit";
		public const string File = "policy.json";
		public const string Lock = "policy.lock";
		private const long Version = 1;

		/// <summary>By the ids of settings, whose names Windows reads in any case.</summary>
		public readonly SortedDictionary<string, NoteEntry> Entries =
			new SortedDictionary<string, NoteEntry>(StringComparer.OrdinalIgnoreCase);

		/// <summary>Keys that were made for values, as they are below HKEY_LOCAL_MACHINE.</summary>
		public readonly List<string> Keys = new List<string>();

		/// <summary>
		/// Return the note in a directory; an empty one without it, also for null. StateException for one that cannot
		/// be used.
		/// </summary>
		public static Note Read(StateDirectory directory)
		{
			Note note = new Note();
			byte[] content = directory == null ? null : directory.Read(File);
			if (content == null)
				return note;
			string path = directory.Path + "\\" + File;
			try
			{
				Dictionary<string, object> read =
					(Dictionary<string, object>)Json.Parse(Encoding.UTF8.GetString(content));
				if ((long)read["version"] > Version)
					throw new NewerException(path + " was written by a newer version of the collection; use that one");
				foreach (KeyValuePair<string, object> member in (Dictionary<string, object>)read["entries"])
					note.Entries[member.Key] = ReadEntry((Dictionary<string, object>)member.Value);
				foreach (object key in (List<object>)read["keys"])
					note.Keys.Add((string)key);
				return note;
			}
			catch (Exception error)
			{
				if (!(error is FormatException || error is InvalidCastException || error is KeyNotFoundException
					|| error is NullReferenceException))
					throw;
				throw new DamagedException(
					path + " is damaged, so it is not known what was deployed; find out why, remove it and deploy"
						+ " again",
					error);
			}
		}

		/// <summary>Write the note; without entries and keys there is none.</summary>
		public void Write(StateDirectory directory)
		{
			if (Entries.Count == 0 && Keys.Count == 0)
			{
				directory.Remove(File);
				return;
			}
			Dictionary<string, object> entries = new Dictionary<string, object>();
			foreach (KeyValuePair<string, NoteEntry> entry in Entries)
				entries[entry.Key] = new Dictionary<string, object>
				{
					{ "before", entry.Value.Before }, { "since", entry.Value.Since },
					{ "complete", entry.Value.IsComplete }
				};
			string text = Json.Write(new Dictionary<string, object>
			{
				{ "version", Version }, { "entries", entries }, { "keys", Keys }
			});
			directory.Write(File, Encoding.UTF8.GetBytes(text));
		}

		private static NoteEntry ReadEntry(Dictionary<string, object> content)
		{
			NoteEntry entry = new NoteEntry();
			entry.Before = (string)content["before"];
			entry.IsComplete = (bool)content["complete"];
			foreach (object value in (List<object>)content["since"])
				entry.Since.Add((string)value);
			if (entry.Before == null || entry.Since.Count == 0 || entry.Since.Contains(null))
				throw new FormatException("a value is missing");
			return entry;
		}
	}
}
