// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.Reading
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventLog;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;

/// <summary>How far a channel was read, and how its log was then.</summary>
public sealed class ChannelMark
{
	/// <summary>System/EventRecordID of the newest record that was read, 0 for none, and its time (FILETIME).</summary>
	public long RecordId;
	public long Time;
	public long MaxSize;
	public bool IsEnabled = true;
	public bool IsEmpty;

	/// <summary>FormatException for what State did not make.</summary>
	public static ChannelMark Restore(object state)
	{
		List<object> parts = state as List<object>;
		if (parts == null || parts.Count != 5 || !(parts[3] is bool) || !(parts[4] is bool))
			throw new FormatException("the position of a channel is damaged");
		try
		{
			return new ChannelMark
			{
				RecordId = (long)parts[0], Time = (long)parts[1], MaxSize = (long)parts[2],
				IsEnabled = (bool)parts[3], IsEmpty = (bool)parts[4],
			};
		}
		catch (InvalidCastException error)
		{
			throw new FormatException("the position of a channel is damaged", error);
		}
	}

	/// <summary>Return it as JSON, for Restore.</summary>
	public List<object> State()
	{
		return new List<object> { RecordId, Time, MaxSize, IsEnabled, IsEmpty };
	}
}

/// <summary>What is wrong with a channel. Alert: in the catalogue, "" for what is only said in the coverage.</summary>
public sealed class ChannelProblem
{
	public const string Missing = "event_log_records_missing";
	public const string Replaced = "event_log_replaced";
	public const string Reduced = "event_log_reduced";

	public string Alert = "";

	/// <summary>A sentence without a full stop.</summary>
	public string Reason;

	/// <summary>How many records are missing, 1 where that is not the question.</summary>
	public long Count = 1;
}

/// <summary>
/// Reads a channel exactly once: decides which records of its log, of archived ones and of an export are new, what is
/// missing between them, and from where the next run goes on. Without Windows.
/// </summary>
/// <remarks>
/// Ids go on when a log is cleared or begins anew after it was archived. Whatever is not in order is said, and where
/// it is doubtful a record is read again rather than not at all.
/// </remarks>
public sealed class Reading
{
	/// <summary>What clears the Security log is recorded in it, of other logs it is recorded in System.</summary>
	public const int SecurityCleared = 1102;
	public const int OtherCleared = 104;
	public const string Eventlog = "Microsoft-Windows-Eventlog";
	private const string Security = "Security";

	// A log grows by some chunks of 64 KiB at a time.
	private const long Slack = 2 * 65536;

	// Windows refuses queries with more than about 20 comparisons, and the ids of records need some.
	private const int MostComparisons = 14;

	private readonly string _channel;
	private readonly ChannelMark _mark;
	private readonly LogState _state;
	private readonly bool _isKnown;
	private long _last;
	private long _lastTime;
	// Before the records of the export, and between them.
	private long _missing;
	private long _holes;
	private long _firstHole;
	private bool _isInside;
	private bool _isWhole;
	private bool _hasMark;
	private bool _hasNewest;
	private bool _isCleared;
	private string _clearer = "";

	/// <summary>What was found out; complete after Finish.</summary>
	public readonly List<ChannelProblem> Problems = new List<ChannelProblem>();

	/// <summary>How many new records there were.</summary>
	public long Records { get; private set; }

	/// <param name="mark">How far it was read; null for a first look.</param>
	/// <param name="isWhole">Whether the export has all records, not only those with some event ids.</param>
	public Reading(string channel, ChannelMark mark, LogState state, bool isWhole)
	{
		_channel = channel;
		_mark = mark ?? new ChannelMark();
		_state = state;
		_isWhole = isWhole;
		_isKnown = mark != null && mark.RecordId > 0;
		_last = _mark.RecordId;
		_lastTime = _mark.Time;
		if (mark != null)
			Compare();
		if (!_isKnown && _state.Oldest > 0)
			_last = _state.Oldest - 1;
	}

	/// <summary>The id after which records are read.</summary>
	public long After
	{
		get { return IsReplaced || !_isKnown ? 0 : _mark.RecordId; }
	}

	/// <summary>Whether the log is another one, so that it is read from its beginning.</summary>
	public bool IsReplaced { get; private set; }

	/// <summary>Whether records that were not read yet are not in the log any more; archived logs may have them.</summary>
	public bool HasGap
	{
		get { return !IsReplaced && _state.Oldest > After + 1; }
	}

	/// <summary>The query that an export is made with: what is new, and the records that prove the ids.</summary>
	/// <param name="ids">The event ids that rules ask for, null for all.</param>
	public string Query(ICollection<int> ids)
	{
		string after = After.ToString(CultureInfo.InvariantCulture);
		string all = "EventRecordID >= " + after;
		if (ids == null)
			return "*[System[" + all + "]]";
		StringBuilder query = new StringBuilder("*[System[(EventRecordID = ").Append(after).Append(')');
		if (Newest > After)
			query.Append(" or (EventRecordID = ").Append(Newest.ToString(CultureInfo.InvariantCulture)).Append(')');
		if (ids.Count > 0)
		{
			query.Append(" or (EventRecordID > ").Append(after).Append(" and (");
			query.Append(string.Join(" or ", Ranges(ids).ToArray())).Append("))");
		}
		return query.Append("]]").ToString();
	}

	/// <summary>Note that the export has all records after all.</summary>
	public void ExportWhole()
	{
		_isWhole = true;
	}

	/// <summary>
	/// Begin again for a log that is another one, after Take of the record that proves it: the export does not have
	/// the records before it.
	/// </summary>
	public void Restart()
	{
		_last = Math.Max(0, _state.Oldest - 1);
		_lastTime = 0;
		_missing = 0;
		_holes = 0;
		_isInside = false;
		Records = 0;
	}

	/// <summary>Whether a record is one of this channel that an earlier run has read; null for none.</summary>
	public bool WasRead(EventRecord record)
	{
		return record != null && IsOurs(record) && record.RecordId <= After;
	}

	/// <summary>Take a record of an archived log; return whether it is a new one.</summary>
	public bool TakeArchived(EventRecord record)
	{
		if (!IsOurs(record) || record.RecordId <= (Records == 0 ? After : _last) || record.RecordId >= _state.Oldest)
			return false;
		if (Records == 0)
			_last = After;
		// What lies before the first archive of a first look is nothing that was ever there for us.
		if (_isKnown || Records > 0)
			Skip(record.RecordId);
		Advance(record);
		return true;
	}

	/// <summary>Note that there are no more archived logs.</summary>
	public void EndArchives()
	{
		if (!HasGap || _state.Count == 0)
			return;
		if (_isKnown || Records > 0)
			Skip(_state.Oldest);
		_last = _state.Oldest - 1;
	}

	/// <summary>Take a record of the export; return whether it is a new one.</summary>
	public bool Take(EventRecord record)
	{
		if (!IsOurs(record))
			return false;
		if (_isKnown && !IsReplaced && record.RecordId == _mark.RecordId)
		{
			_hasMark = true;
			IsReplaced = record.Time != _mark.Time;
			return false;
		}
		if (record.RecordId <= _last)
			return false;
		_hasNewest |= record.RecordId == Newest;
		if (record.EventId == SecurityCleared && record.Provider == Eventlog && Is(_channel, Security))
			Clear(record.Text("SubjectDomainName") + "\\" + record.Text("SubjectUserName"));
		if (_isWhole)
			Skip(record.RecordId);
		_isInside = true;
		Advance(record);
		return true;
	}

	/// <summary>Note that a record of the System log says that this log was cleared since the last run.</summary>
	public void Clear(string by)
	{
		_isCleared = true;
		_clearer = by.Trim('\\');
	}

	/// <summary>Say what is missing. isCutOff: whether there was no time for all records.</summary>
	public void Finish(bool isCutOff)
	{
		if (IsReplaced)
			Add(ChannelProblem.Replaced, "the log of channel " + Shown + " is another one than at the last run, when its "
				+ "newest record was " + Name(_mark.RecordId, _mark.Time) + "; it was read from its beginning");
		// It may have been overwritten since the log's state was read, or it is the newest and nothing is new.
		bool isExpected = _isKnown && !IsReplaced && _state.Oldest >= 0 && _state.Oldest <= _mark.RecordId &&
			Newest >= _mark.RecordId;
		if (isExpected && !_hasMark && !isCutOff && _missing == 0)
			AddMissing("the record that was read last, " + Name(_mark.RecordId, _mark.Time) + ", is not in the log of channel "
				+ Shown + "; others may be missing", 1, true);
		if (_missing > 0)
			AddMissing(string.Format(CultureInfo.InvariantCulture,
				"{0} records of channel {1} after {2} are not in its log", _missing, Shown,
				Name(_mark.RecordId, _mark.Time)), _missing, true);
		if (_holes > 0)
			AddMissing(string.Format(CultureInfo.InvariantCulture,
				"{0} records of channel {1} are missing between others, the first with the id {2}",
				_holes, Shown, _firstHole), _holes, false);
		if (IsFull && _state.IsKept)
			Add(ChannelProblem.Reduced, "the log of channel " + Shown + " is full and keeps its old records: nothing new is "
				+ "recorded in it");
		if (isCutOff || Newest <= _last)
			return;
		if (_hasNewest || Newest < 0)
			return;
		Add("", "the newest record of channel " + Shown + " should have the id " +
			Newest.ToString(CultureInfo.InvariantCulture) + " and was not exported; the next run looks again");
	}

	/// <summary>What the next run goes on from.</summary>
	public ChannelMark Next()
	{
		bool isEmpty = _state.Count == 0;
		bool isAnew = IsReplaced && Records == 0;
		return new ChannelMark
		{
			// Where nothing was read, the record that was read last stays the proof.
			RecordId = isAnew ? 0 : Records > 0 ? _last : _mark.RecordId,
			Time = isAnew ? 0 : Records > 0 ? _lastTime : _mark.Time,
			MaxSize = _state.MaxSize,
			IsEnabled = _state.IsEnabled,
			IsEmpty = isEmpty,
		};
	}

	// Records are numbered without a gap. -1 where it is not known.
	private long Newest
	{
		get { return _state.Count > 0 && _state.Oldest >= 0 ? _state.Oldest + _state.Count - 1 : -1; }
	}

	private string Shown
	{
		get { return Printable.ShowPath(_channel); }
	}

	private void Compare()
	{
		if (_mark.IsEnabled && !_state.IsEnabled)
			Add(ChannelProblem.Reduced, "channel " + Shown + " was disabled since the last run: nothing is recorded in it");
		if (_state.MaxSize > 0 && _state.MaxSize < _mark.MaxSize)
			Add(ChannelProblem.Reduced, string.Format(CultureInfo.InvariantCulture,
				"the log of channel {0} was made smaller since the last run: from {1} to {2} bytes",
				Shown, _mark.MaxSize, _state.MaxSize));
		if (!_isKnown)
			return;
		if (_state.Count == 0)
		{
			if (!_mark.IsEmpty)
				Add(ChannelProblem.Missing, "the log of channel " + Shown + " is empty, and had records up to "
					+ Name(_mark.RecordId, _mark.Time) + ": it was cleared, or its file was deleted");
		}
		else
			IsReplaced = Newest >= 0 && Newest < _mark.RecordId;
		if (IsReplaced)
			Restart();
	}

	private bool IsOurs(EventRecord record)
	{
		return Is(record.Channel, _channel);
	}

	private void Skip(long recordId)
	{
		if (recordId <= _last + 1)
			return;
		if (_isInside)
		{
			_firstHole = _holes == 0 ? _last + 1 : _firstHole;
			_holes += recordId - _last - 1;
		}
		else
			_missing += recordId - _last - 1;
	}

	private void Advance(EventRecord record)
	{
		_last = record.RecordId;
		_lastTime = record.Time;
		Records++;
	}

	private bool IsFull
	{
		get { return _state.MaxSize > 0 && _state.FileSize + Slack >= _state.MaxSize; }
	}

	private void AddMissing(string reason, long count, bool isBefore)
	{
		// A log that was made smaller has dropped records, too, and that is nothing that explains them.
		bool isRolledOver = isBefore && !_isCleared && IsFull && !_state.IsKept && _state.MaxSize >= _mark.MaxSize;
		string why = "";
		if (_isCleared && isBefore)
			why = ": it was cleared" + (_clearer.Length > 0 ? " by " + Printable.ShowPath(_clearer) : "");
		else if (isRolledOver)
			why = _state.IsArchived
				? ", and not in archived logs"
				: ": newer ones overwrote them; make the log larger, or run more often";
		else if (isBefore && !IsFull)
			why = ": it has room for them, so it was cleared or changed";
		Problems.Add(new ChannelProblem
		{
			Alert = isRolledOver && !_state.IsArchived ? "" : ChannelProblem.Missing,
			Reason = reason + why,
			Count = count,
		});
	}

	private void Add(string alert, string reason)
	{
		Problems.Add(new ChannelProblem { Alert = alert, Reason = reason });
	}

	// At most so many comparisons that Windows takes them; what lies between is exported, too.
	private static List<string> Ranges(ICollection<int> ids)
	{
		List<int> sorted = new List<int>(ids);
		sorted.Sort();
		List<int[]> ranges = new List<int[]>();
		foreach (int id in sorted)
		{
			if (ranges.Count > 0 && ranges[ranges.Count - 1][1] == id - 1)
				ranges[ranges.Count - 1][1] = id;
			else
				ranges.Add(new[] { id, id });
		}
		while (Comparisons(ranges) > MostComparisons)
		{
			int nearest = 1;
			for (int index = 2; index < ranges.Count; index++)
			{
				if (ranges[index][0] - ranges[index - 1][1] < ranges[nearest][0] - ranges[nearest - 1][1])
					nearest = index;
			}
			ranges[nearest - 1][1] = ranges[nearest][1];
			ranges.RemoveAt(nearest);
		}
		return ranges.ConvertAll(delegate(int[] range)
		{
			return string.Format(CultureInfo.InvariantCulture,
				range[0] == range[1] ? "EventID = {0}" : "(EventID >= {0} and EventID <= {1})", range[0], range[1]);
		});
	}

	private static int Comparisons(List<int[]> ranges)
	{
		int count = 0;
		foreach (int[] range in ranges)
			count += range[0] == range[1] ? 1 : 2;
		return count;
	}

	private static string Name(long recordId, long time)
	{
		return "id " + recordId.ToString(CultureInfo.InvariantCulture) + " of " + DateTime.FromFileTimeUtc(
			Math.Max(0, Math.Min(time, DateTime.MaxValue.ToFileTimeUtc()))).ToString("s", CultureInfo.InvariantCulture) + "Z";
	}

	private static bool Is(string left, string right)
	{
		return string.Equals(left, right, StringComparison.OrdinalIgnoreCase);
	}
}
}
