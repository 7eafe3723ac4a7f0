// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Needs;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.SignIn;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.SignIns;

/// <summary>Sign-ins of events that a test writes down as JSON: channel, id, seconds since 1601, and fields.</summary>
public static class SignInsScript
{
    public static object Of(List<object> events, List<object> ownAddresses, List<object> ownLogons)
    {
        SignIns signIns = new SignIns(null, Texts(ownAddresses), Texts(ownLogons));
        List<object> shown = new List<object>();
        Add(shown, signIns.Of(Records(events)));
        Add(shown, signIns.Rest());
        return shown;
    }

    /// <summary>Return the same as Of, with a new run, that has what the last one saved, for each part.</summary>
    public static object InParts(List<object> parts)
    {
        List<object> shown = new List<object>();
        string saved = null;
        foreach (object part in parts)
        {
            IDictionary<string, object> state = saved == null ? null : (IDictionary<string, object>)Json.Parse(saved);
            SignIns signIns = new SignIns(state);
            Add(shown, signIns.Of(Records((List<object>)part)));
            saved = Json.Write(signIns.Saved());
        }
        Add(shown, new SignIns((IDictionary<string, object>)Json.Parse(saved)).Rest());
        return shown;
    }

    /// <summary>Return what the clock settles, in seconds since 1601, then what still waits.</summary>
    public static object Settled(List<object> events, long now)
    {
        SignIns signIns = new SignIns();
        List<object> early = new List<object>();
        Add(early, signIns.Of(Records(events)));
        List<object> settled = new List<object>();
        Add(settled, signIns.Settle(now * 10000000));
        List<object> rest = new List<object>();
        Add(rest, signIns.Rest());
        return new List<object> { early.Count, settled.Count, rest.Count };
    }

    /// <summary>Return the channels and ids of records in the order of time.</summary>
    public static object InOrder(List<object> channels)
    {
        List<KeyValuePair<long, IEnumerable<EventRecord>>> records =
            new List<KeyValuePair<long, IEnumerable<EventRecord>>>();
        foreach (object events in channels)
            records.Add(new KeyValuePair<long, IEnumerable<EventRecord>>(0, Records((List<object>)events)));
        List<object> order = new List<object>();
        foreach (EventRecord record in SignIns.InOrder(records))
            order.Add(record.EventId);
        return order;
    }

    /// <summary>
    /// Feed failures of so many accounts at one time; return how many sign-ins come, how many had to before their time,
    /// and the most that waited.
    /// </summary>
    public static object Flood(int count)
    {
        SignIns signIns = new SignIns();
        long early = 0;
        foreach (SignIn signIn in signIns.Of(Flooding(count)))
            early++;
        long waiting = 0;
        foreach (SignIn signIn in signIns.Rest())
            waiting++;
        return new List<object> { early + waiting, signIns.Hurried, waiting };
    }

    public static object Missing(List<object> recorded, bool isDomainController, bool hasOpenSsh)
    {
        return Needs.Missing(Texts(recorded), isDomainController, hasOpenSsh);
    }

    private static IEnumerable<EventRecord> Flooding(int count)
    {
        for (int number = 0; number < count; number++)
        {
            EventRecord record = new EventRecord { Channel = "Security", EventId = 4776, Time = 1000 };
            record.Fields.Add(new KeyValuePair<string, object>("TargetUserName", "user" + number));
            record.Fields.Add(new KeyValuePair<string, object>("Status", "0xc0000064"));
            yield return record;
        }
    }

    private static List<string> Texts(List<object> values)
    {
        return values.ConvertAll(delegate(object value) { return (string)value; });
    }

    private static void Add(List<object> shown, IEnumerable<SignIn> signIns)
    {
        foreach (SignIn signIn in signIns)
        {
            shown.Add(new Dictionary<string, object>
            {
                { "time", signIn.Time / 10000000.0 }, { "view", signIn.View() }, { "evidence", signIn.Evidence() },
                { "records", signIn.Records.Count },
            });
        }
    }

    private static IEnumerable<EventRecord> Records(List<object> events)
    {
        int id = 0;
        foreach (object element in events)
        {
            Dictionary<string, object> given = (Dictionary<string, object>)element;
            EventRecord record = new EventRecord
            {
                Channel = (string)given["channel"],
                EventId = Convert.ToInt32(given["id"]),
                Computer = "SRV1.corp.example",
                RecordId = ++id,
                Time = (long)(Convert.ToDouble(given["at"]) * 10000000),
            };
            foreach (KeyValuePair<string, object> field in (Dictionary<string, object>)given["fields"])
                record.Fields.Add(new KeyValuePair<string, object>(field.Key, field.Value));
            yield return record;
        }
    }
}
