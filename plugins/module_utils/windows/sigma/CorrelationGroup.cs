// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.CorrelationGroup
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;

/// <summary>An event: when, for which part of the correlation, its value where values are counted, and for how many.
/// </summary>
public sealed class Entry
{
	public readonly double Time;
	public readonly int Part;
	public readonly string Value;
	public readonly long Events;

	public Entry(double time, int part, string value, long events)
	{
		Time = time;
		Part = part;
		Value = value;
		Events = events;
	}

	public int CompareTo(Entry other)
	{
		int order = Time.CompareTo(other.Time);
		if (order == 0)
			order = Part.CompareTo(other.Part);
		if (order == 0)
			order = Json.CompareText(Value, other.Value);
		return order != 0 ? order : Events.CompareTo(other.Events);
	}
}

/// <summary>When a correlation is true; plugin_utils/sigma/correlate.py says what the members are.</summary>
public sealed class CorrelationCondition
{
	public string Kind;
	public double Span;
	public int Parts;
	public string Operator;
	public long Threshold;

	/// <summary>A node of <c>["part", number]</c>, or null.</summary>
	public List<object> Expression;
}

/// <summary>
/// One group of a correlation: the events of, say, one address, and whether they make up what the correlation is about
/// (module_utils/sigma/windows.py). Only what can still change an answer is kept.
/// </summary>
public static class CorrelationGroup
{
	// For sequences: as many events of one part are remembered.
	private const int PerPart = 16;
	private const int Spare = 16;

	// Distinct values that are remembered beyond those that the condition needs.
	private const int ValuesLimit = 1000;

	/// <summary>
	/// Put an event in, sorted by time, and drop what can't matter any more. Return how many events were dropped for
	/// want of room.
	/// </summary>
	public static int Add(List<Entry> entries, Entry entry, CorrelationCondition condition)
	{
		if (condition.Kind == "value_count" || condition.Kind == "temporal")
			entry = Merge(entries, entry, condition);
		int index = entries.Count;
		while (index > 0 && entries[index - 1].CompareTo(entry) > 0)
			index--;
		entries.Insert(index, entry);
		entries.RemoveRange(0, First(entries, entries[entries.Count - 1].Time - 2 * condition.Span));
		return Shrink(entries, entry.Part, condition);
	}

	/// <summary>
	/// Return the events that make the condition true in a time span with an event at that time; null where none do.
	/// </summary>
	public static List<Entry> Satisfied(List<Entry> entries, double time, CorrelationCondition condition)
	{
		int start = First(entries, time);
		for (int last = entries.Count - 1; last >= start; last--)
		{
			double end = entries[last].Time;
			if (end - time > condition.Span)
				continue;
			int first = First(entries, end - condition.Span);
			List<Entry> window = entries.GetRange(first, last + 1 - first);
			if (IsTrue(window, condition))
				return window;
		}
		return null;
	}

	// The index of the first event at a time or after it.
	private static int First(List<Entry> entries, double time)
	{
		int low = 0;
		int high = entries.Count;
		while (low < high)
		{
			int middle = (low + high) / 2;
			if (entries[middle].Time < time)
				low = middle + 1;
			else
				high = middle;
		}
		return low;
	}

	// The entry together with the one it makes superfluous, which is taken out.
	private static Entry Merge(List<Entry> entries, Entry entry, CorrelationCondition condition)
	{
		for (int index = entries.Count - 1; index >= 0; index--)
		{
			Entry other = entries[index];
			if (other.Part != entry.Part || other.Value != entry.Value)
				continue;
			if (Math.Abs(other.Time - entry.Time) > condition.Span)
				return entry;
			entries.RemoveAt(index);
			return new Entry(
				Math.Max(entry.Time, other.Time), entry.Part, entry.Value, entry.Events + other.Events);
		}
		return entry;
	}

	private static int Shrink(List<Entry> entries, int added, CorrelationCondition condition)
	{
		if (condition.Kind == "temporal_ordered")
			return ShrinkPart(entries, added, condition);
		long most = PerPart * condition.Parts;
		if (condition.Kind == "event_count")
			// More than twice those that make the condition true don't make it any truer.
			most = 2 * condition.Threshold + Spare;
		else if (condition.Kind == "value_count")
			most = Math.Max(ValuesLimit, 2 * condition.Threshold);
		int surplus = (int)Math.Max(0, entries.Count - most);
		entries.RemoveRange(0, surplus);
		return condition.Kind == "event_count" ? 0 : surplus;
	}

	// A flood of failures before a success is what sequences are for: of two parts, only the newest of the first can
	// matter to an event of the second that is still to come.
	private static int ShrinkPart(List<Entry> entries, int part, CorrelationCondition condition)
	{
		int count = 0;
		foreach (Entry entry in entries)
			count += entry.Part == part ? 1 : 0;
		if (count <= PerPart)
			return 0;
		entries.RemoveAt(entries.FindIndex(entry => entry.Part == part));
		return condition.Parts > 2 ? 1 : 0;
	}

	private static bool IsTrue(List<Entry> window, CorrelationCondition condition)
	{
		if (condition.Kind == "event_count")
		{
			long events = 0;
			foreach (Entry entry in window)
				events += entry.Events;
			return Compare(events, condition);
		}
		if (condition.Kind == "value_count")
		{
			HashSet<string> values = new HashSet<string>(StringComparer.Ordinal);
			foreach (Entry entry in window)
				values.Add(entry.Value);
			return Compare(values.Count, condition);
		}
		if (condition.Kind == "temporal_ordered")
			return IsOrdered(window, condition.Parts);
		HashSet<long> parts = new HashSet<long>();
		foreach (Entry entry in window)
			parts.Add(entry.Part);
		return condition.Expression != null
			? Evaluate(condition.Expression, parts)
			: Compare(parts.Count, condition);
	}

	private static bool Compare(long number, CorrelationCondition condition)
	{
		if (condition.Operator == "gt")
			return number > condition.Threshold;
		return condition.Operator == "eq" ? number == condition.Threshold : number >= condition.Threshold;
	}

	// Whether there is an event of each part after one of the part before; times may be equal.
	private static bool IsOrdered(List<Entry> window, int parts)
	{
		List<Entry> pending = new List<Entry>(window);
		for (int wanted = 0; wanted < parts; wanted++)
		{
			Entry next = pending.Find(entry => entry.Part == wanted);
			if (next == null)
				return false;
			pending.RemoveAll(entry => entry == next || entry.Time < next.Time);
		}
		return true;
	}

	private static bool Evaluate(object node, HashSet<long> parts)
	{
		List<object> pair = (List<object>)node;
		string kind = (string)pair[0];
		if (kind == "part")
			return parts.Contains((long)pair[1]);
		if (kind == "not")
			return !Evaluate(pair[1], parts);
		List<object> operands = (List<object>)pair[1];
		return kind == "and"
			? operands.TrueForAll(operand => Evaluate(operand, parts))
			: operands.Exists(operand => Evaluate(operand, parts));
	}
}
}
