// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.events.ScriptBlocks
{
/// <summary>
/// Joins the parts of script blocks that PowerShell logged with several records (4104). A block that is not complete
/// in time is returned as far as it is there.
/// </summary>
public sealed class ScriptBlocks
{
	public const int EventId = 4104;
	private const string TextField = "ScriptBlockText";
	private const int MostBlocks = 256;
	// They may be empty, and a block may say that it has billions.
	private const int MostParts = 1 << 15;

	private readonly int _most;
	private readonly Dictionary<string, LinkedListNode<Block>> _blocks = new Dictionary<string, LinkedListNode<Block>>();
	// The oldest is the first.
	private readonly LinkedList<Block> _order = new LinkedList<Block>();
	private int _characters;
	private int _parts;

	/// <param name="most">How many characters of unfinished blocks are held.</param>
	public ScriptBlocks(int most = 1 << 21)
	{
		_most = most;
	}

	/// <summary>
	/// How often a block was returned that lacks parts, or in pieces because it is too long. Two pieces overlap by a
	/// part.
	/// </summary>
	public long Incomplete { get; private set; }

	/// <summary>
	/// Take a record of 4104; return what is finished: this record, or the first one of its block with the whole text,
	/// and others that there is no more room for.
	/// </summary>
	public List<EventRecord> Add(EventRecord record)
	{
		List<EventRecord> finished = new List<EventRecord>();
		int number = Number(record, "MessageNumber");
		int total = Number(record, "MessageTotal");
		string id = record.Text("ScriptBlockId");
		if (total < 2 || number < 1 || number > total || id == "")
		{
			finished.Add(record);
			return finished;
		}
		// Any process can write an event of PowerShell's, but not with the process id of another.
		string key = record.Computer + "\0" + record.Channel + "\0" + record.ProcessId + "\0" + id;
		LinkedListNode<Block> node;
		if (_blocks.TryGetValue(key, out node) &&
			(node.Value.Total != total || number < node.Value.Start || node.Value.Parts.ContainsKey(number)))
		{
			Finish(node, finished);
			node = null;
		}
		if (node == null)
			node = Begin(key, record, total, 1);
		Hold(node.Value, number, record);
		if (node.Value.IsComplete)
			Finish(node, finished);
		while (_characters > _most || _blocks.Count > MostBlocks || _parts > MostParts)
		{
			LinkedListNode<Block> oldest = _order.First;
			bool isCurrent = oldest == node && node.Value.Parts.Count > 1;
			Finish(oldest, finished);
			// What is on both sides of the border of two pieces must be seen.
			if (isCurrent && number < total)
			{
				node = Begin(key, record, total, number);
				Hold(node.Value, number, record);
			}
		}
		return finished;
	}

	/// <summary>Return the blocks that are not complete, at the end of what is read.</summary>
	public List<EventRecord> Rest()
	{
		List<EventRecord> finished = new List<EventRecord>();
		while (_order.Count > 0)
			Finish(_order.First, finished);
		return finished;
	}

	private LinkedListNode<Block> Begin(string key, EventRecord record, int total, int start)
	{
		return _blocks[key] = _order.AddLast(new Block { Key = key, First = record, Total = total, Start = start });
	}

	private void Hold(Block block, int number, EventRecord record)
	{
		string text = record.Text(TextField);
		block.Parts[number] = text;
		_characters += text.Length;
		_parts++;
	}

	private void Finish(LinkedListNode<Block> node, List<EventRecord> finished)
	{
		Block block = node.Value;
		_order.Remove(node);
		_blocks.Remove(block.Key);
		if (!block.IsComplete)
			Incomplete++;
		StringBuilder text = new StringBuilder();
		int last = 0;
		foreach (KeyValuePair<int, string> part in block.Parts)
		{
			_characters -= part.Value.Length;
			_parts--;
			if (last > 0 && part.Key != last + 1)
				text.Append('\n');
			text.Append(part.Value);
			last = part.Key;
		}
		List<KeyValuePair<string, object>> fields = block.First.Fields;
		for (int index = 0; index < fields.Count; index++)
		{
			if (fields[index].Key == TextField)
				fields[index] = new KeyValuePair<string, object>(TextField, text.ToString());
		}
		finished.Add(block.First);
	}

	private static int Number(EventRecord record, string name)
	{
		int number;
		return int.TryParse(record.Text(name), NumberStyles.None, CultureInfo.InvariantCulture, out number)
			? number
			: 0;
	}

	private sealed class Block
	{
		public readonly SortedDictionary<int, string> Parts = new SortedDictionary<int, string>();
		public string Key;
		public EventRecord First;
		public int Total;
		public int Start;

		public bool IsComplete
		{
			get { return Parts.Count == Total - Start + 1; }
		}
	}
}
}
