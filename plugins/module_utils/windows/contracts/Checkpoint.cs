// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Security.Cryptography;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Checkpoint
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.StateFiles;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Zlib;

	/// <summary>
	/// What a reader of logs remembers, as Python's <c>_checkpoint</c>: the file is on the host, its name, the token,
	/// is in the controller's store.
	/// </summary>
	public sealed class Checkpoint
	{
		public const string DefaultDirectory = "checkpoints";

		private const string LockName = "lock";
		private const double LockSeconds = 60;
		private const int LineageLength = 16;
		private const int DigestLength = 64;

		// Readers bound what they remember to a few MB; more than this is damaged or forged.
		private const int BytesLimit = 64 * 1024 * 1024;

		// Of one lineage, beside the confirmed one: two runs may be reading at once, and either may be recorded.
		private const int FilesLimit = 3;

		// Runs that were cut off before anything was recorded each leave one; controllers are fewer.
		private const int LineagesLimit = 8;

		private readonly IStateFiles _files;
		private readonly string _root;
		private readonly string _directory;
		private readonly string _name;
		private readonly string _token;
		private readonly bool _advance;

		/// <summary>What the reader remembered; empty where nothing was read before.</summary>
		public readonly Dictionary<string, object> State;

		/// <summary>A sentence when the state is not what the controller confirmed, else null.</summary>
		public readonly string Problem;

		private Checkpoint(
			IStateFiles files, string root, string name, string token, bool advance, string directory)
		{
			_files = files;
			_root = root;
			_directory = directory;
			_name = name;
			_token = token;
			_advance = advance;
			State = new Dictionary<string, object>();
			if (token == null)
				return;
			try
			{
				State = Read();
			}
			catch (DamagedException error)
			{
				Problem = error.Message;
			}
		}

		/// <summary>Say whether there is something to go on from.</summary>
		public bool Known
		{
			get { return _token != null && Problem == null; }
		}

		/// <summary>
		/// Return what the reader <paramref name="name"/> remembered when the controller's store got the token.
		/// StateException where the directory cannot be used, HostException for a token that is none.
		/// </summary>
		/// <param name="root">The state directory, null for the default.</param>
		/// <param name="name">Lower case letters and underscores.</param>
		/// <param name="token">Null or empty when the store has none, and reading begins anew.</param>
		/// <param name="advance">Whether Save keeps anything.</param>
		/// <param name="directory">Below root; of a capability whose state is removed without that of others.</param>
		public static Checkpoint Load(
			string root, string name, string token, bool advance, string directory = DefaultDirectory)
		{
			return Load(new NativeStateFiles(), root, name, token, advance, directory);
		}

		/// <summary>Load by way of other files than those of Windows.</summary>
		public static Checkpoint Load(
			IStateFiles files, string root, string name, string token, bool advance, string directory)
		{
			if (!IsName(name))
				throw new ArgumentException(
					"'" + name + "' is not a name of a reader: lower case letters and underscores");
			if (!string.IsNullOrEmpty(token) && !IsToken(token))
				throw new HostException(
					"the store's checkpoint '" + token + "' is invalid; forget this host's results in the store");
			return new Checkpoint(
				files,
				string.IsNullOrEmpty(root) ? StateDirectory.DefaultRoot() : root,
				name,
				string.IsNullOrEmpty(token) ? null : token,
				advance,
				directory);
		}

		/// <summary>
		/// Keep what the next run goes on from, durably; return the <c>checkpoint</c> of the module's result, null
		/// where nothing is to be kept. StateException; everything is as before then.
		/// </summary>
		public Dictionary<string, object> Save(Dictionary<string, object> state)
		{
			if (!_advance)
				return null;
			byte[] content = Pack(state);
			string lineage = _token == null ? DrawLineage() : _token.Substring(0, LineageLength);
			string token = lineage + "-" + Digest(content);
			using (StateDirectory directory = StateDirectory.Open(_files, _root, _directory, true))
			{
				if (directory == null)
					throw new DamagedException(
						_root + " was removed during the run; find out who removed it");
				using (directory.Lock(LockName, LockSeconds))
				{
					directory.Write(FileName(token), content);
					foreach (string obsolete in Obsolete(directory.Modified(), token))
						directory.Remove(obsolete);
				}
			}
			return new Dictionary<string, object> { { "name", _name }, { "token", token }, { "after", _token } };
		}

		private string FileName(string token)
		{
			return _name + "-" + token;
		}

		private byte[] Header()
		{
			return Encoding.ASCII.GetBytes("bulwark checkpoint 1 " + _name + "\n");
		}

		private byte[] Pack(Dictionary<string, object> state)
		{
			byte[] header = Header();
			byte[] packed = Zlib.Compress(Encoding.ASCII.GetBytes(Json.Write(state)));
			byte[] content = new byte[header.Length + packed.Length];
			header.CopyTo(content, 0);
			packed.CopyTo(content, header.Length);
			return content;
		}

		private Dictionary<string, object> Read()
		{
			string path = _root + "\\" + _directory + "\\" + FileName(_token);
			byte[] content = ReadFile(path);
			if (content.Length > BytesLimit || Digest(content) != _token.Substring(LineageLength + 1))
				throw new DamagedException(
					path + " was changed after it was written; find out who changed it");
			try
			{
				return Unpack(content);
			}
			catch (FormatException error)
			{
				throw new DamagedException(path + " cannot be read: " + error.Message, error);
			}
		}

		private byte[] ReadFile(string path)
		{
			using (StateDirectory directory = StateDirectory.Open(_files, _root, _directory, false))
			using (Stream stream = directory == null ? null : directory.OpenRead(FileName(_token)))
			{
				if (stream == null)
					throw new DamagedException(
						path + " is missing, which holds the read positions of this host's logs; somebody removed it, "
						+ "or this is another host");
				// A larger one is refused without being read as a whole.
				byte[] content = new byte[(int)Math.Min(stream.Length, BytesLimit + 1)];
				int length = 0;
				int count;
				while (length < content.Length && (count = stream.Read(content, length, content.Length - length)) > 0)
					length += count;
				Array.Resize(ref content, length);
				return content;
			}
		}

		private Dictionary<string, object> Unpack(byte[] content)
		{
			byte[] header = Header();
			bool hasHeader = content.Length >= header.Length;
			for (int index = 0; hasHeader && index < header.Length; index++)
				hasHeader = content[index] == header[index];
			if (!hasHeader)
				throw new FormatException("it is not a checkpoint of this version");
			byte[] text = Zlib.Decompress(content, header.Length, BytesLimit);
			Dictionary<string, object> state = Json.Parse(Encoding.ASCII.GetString(text)) as Dictionary<string, object>;
			if (state == null)
				throw new FormatException("it does not hold a mapping");
			return state;
		}

		// The files of this reader that nobody can ask for any more: the oldest of each lineage, and old lineages.
		private List<string> Obsolete(Dictionary<string, long> modified, string written)
		{
			Dictionary<string, List<Version>> lineages = new Dictionary<string, List<Version>>();
			foreach (KeyValuePair<string, long> file in modified)
			{
				if (!file.Key.StartsWith(_name + "-", StringComparison.Ordinal))
					continue;
				string token = file.Key.Substring(_name.Length + 1);
				if (!IsToken(token))
					continue;
				string lineage = token.Substring(0, LineageLength);
				if (!lineages.ContainsKey(lineage))
					lineages[lineage] = new List<Version>();
				lineages[lineage].Add(new Version { Modified = file.Value, Token = token });
			}
			List<List<Version>> newest = new List<List<Version>>(lineages.Values);
			foreach (List<Version> versions in newest)
				versions.Sort(Version.NewestFirst);
			newest.Sort(delegate(List<Version> left, List<Version> right)
			{
				return Version.NewestFirst(left[0], right[0]);
			});
			List<string> obsolete = new List<string>();
			for (int index = 0; index < newest.Count; index++)
			{
				for (int age = index < LineagesLimit ? FilesLimit : 0; age < newest[index].Count; age++)
				{
					string token = newest[index][age].Token;
					if (token != _token && token != written)
						obsolete.Add(FileName(token));
				}
			}
			return obsolete;
		}

		private static string Digest(byte[] content)
		{
			using (SHA256 sha256 = SHA256.Create())
				return Hex(sha256.ComputeHash(content));
		}

		private static string DrawLineage()
		{
			byte[] bytes = new byte[LineageLength / 2];
			using (RandomNumberGenerator source = RandomNumberGenerator.Create())
				source.GetBytes(bytes);
			return Hex(bytes);
		}

		private static string Hex(byte[] bytes)
		{
			StringBuilder text = new StringBuilder(bytes.Length * 2);
			foreach (byte single in bytes)
				text.Append(single.ToString("x2", CultureInfo.InvariantCulture));
			return text.ToString();
		}

		private static bool IsName(string name)
		{
			foreach (char unit in name)
			{
				if (unit != '_' && (unit < 'a' || unit > 'z'))
					return false;
			}
			return name.Length > 0;
		}

		private static bool IsToken(string token)
		{
			if (token.Length != LineageLength + 1 + DigestLength)
				return false;
			for (int index = 0; index < token.Length; index++)
			{
				bool isExpected = index == LineageLength
					? token[index] == '-'
					: "0123456789abcdef".IndexOf(token[index]) >= 0;
				if (!isExpected)
					return false;
			}
			return true;
		}

		private sealed class Version
		{
			public long Modified;
			public string Token;

			public static int NewestFirst(Version left, Version right)
			{
				int order = right.Modified.CompareTo(left.Modified);
				return order != 0 ? order : string.CompareOrdinal(right.Token, left.Token);
			}
		}
	}
}
