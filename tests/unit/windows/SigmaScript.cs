// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Secrets;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Addresses;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Casing;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Conditions;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Correlator;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Patterns;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.RuleSet;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.TextTests;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.ThreatLists;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Values;

/// <summary>The C# engine for tests: many views, texts or events in one case.</summary>
public static class SigmaScript
{
    /// <summary>Return for each node the verdict on each of its views.</summary>
    public static List<object> Verdicts(List<object> nodes, List<object> views)
    {
        List<object> verdicts = new List<object>();
        for (int index = 0; index < nodes.Count; index++)
        {
            FieldNames names = new FieldNames();
            Condition condition = Condition.Build(nodes[index], names);
            Values values = new Values(names);
            foreach (object view in (List<object>)views[index])
            {
                values.Reset((Dictionary<string, object>)view);
                verdicts.Add(condition.IsTrue(values));
            }
        }
        return verdicts;
    }

    /// <summary>Match views, each with its source, with one rule set.</summary>
    public static Dictionary<string, object> Match(Dictionary<string, object> compiled, List<object> views)
    {
        RuleSet rules = new RuleSet(compiled);
        List<object> matches = new List<object>();
        foreach (object entry in views)
        {
            List<object> pair = (List<object>)entry;
            Dictionary<string, object> view = (Dictionary<string, object>)pair[1];
            List<object> numbers = new List<object>();
            foreach (int number in rules.Match((string)pair[0], view))
            {
                List<object> indicators = rules.Indicators(number, view).ConvertAll(
                    indicator => (object)new List<object> { indicator.Value, indicator.Note });
                numbers.Add(new List<object>
                {
                    number, rules.Subject(number, view), rules.Message(number, view), indicators,
                });
            }
            matches.Add(numbers);
        }
        return new Dictionary<string, object>
        {
            { "matches", matches }, { "problems", rules.Problems }, { "given_up", rules.GivenUp.Count },
            { "sources", rules.Sources }, { "fields", rules.Fields("log") },
        };
    }

    /// <summary>Say for each expression and each text whether it is found.</summary>
    public static List<object> Search(List<object> patterns, List<object> texts)
    {
        List<object> results = new List<object>();
        foreach (object entry in patterns)
        {
            List<object> pair = (List<object>)entry;
            Pattern pattern = new Pattern((string)pair[0], (string)pair[1]);
            List<object> ofTexts = new List<object>();
            foreach (object text in texts)
            {
                try
                {
                    ofTexts.Add(pattern.Passes((string)text));
                }
                catch (TooLongException)
                {
                    ofTexts.Add("too long");
                }
                catch (ArgumentException error)
                {
                    ofTexts.Add(error.Message);
                }
            }
            results.Add(ofTexts);
        }
        return results;
    }

    /// <summary>Say for each text with wildcards and each text whether it is found.</summary>
    public static List<object> SearchWildcards(List<object> patterns, List<object> texts)
    {
        return patterns.ConvertAll(delegate(object pattern)
        {
            Wildcards wildcards = new Wildcards((string)pattern);
            return (object)texts.ConvertAll(text => (object)wildcards.Passes((string)text));
        });
    }

    /// <summary>Feed matches of rules: [rule, time, view, whether to begin anew from the state].</summary>
    public static Dictionary<string, object> Correlate(Dictionary<string, object> compiled, List<object> feeds)
    {
        Correlator correlator = new Correlator(compiled);
        List<object> results = new List<object>();
        double now = 0;
        foreach (object entry in feeds)
        {
            List<object> feed = (List<object>)entry;
            now = Convert.ToDouble(feed[1], CultureInfo.InvariantCulture);
            Dictionary<string, object> view = (Dictionary<string, object>)feed[2];
            List<object> matches = new List<object>();
            foreach (CorrelationMatch match in correlator.Feed(Convert.ToInt32(feed[0]), now, view))
            {
                matches.Add(new List<object>
                {
                    match.Rule, match.Group, match.View, match.FirstTime, match.LastTime, match.Events,
                    match.IsContinued, match.Values, match.Evidences,
                });
            }
            results.Add(matches);
            if (true.Equals(feed[3]))
            {
                string state = Json.Write(correlator.State(now));
                correlator = new Correlator(compiled, (Dictionary<string, object>)Json.Parse(state));
            }
        }
        return new Dictionary<string, object>
        {
            { "matches", results }, { "problems", correlator.Problems }, { "state", correlator.State(now) },
        };
    }

    public static void Restore(Dictionary<string, object> compiled, Dictionary<string, object> state)
    {
        new Correlator(compiled, state);
    }

    /// <summary>Return each character in lower case, by code point; surrogates are left out.</summary>
    public static List<string> LowerCharacters()
    {
        List<string> lower = new List<string>();
        for (int code = 0; code < 0x110000; code++)
        {
            bool isSurrogate = code >= 0xD800 && code < 0xE000;
            string character = isSurrogate ? "" : Char.ConvertFromUtf32(code);
            string single = Casing.Lower(character);
            // Only what changes: the rest is a million texts.
            lower.Add(single == character ? "" : single);
        }
        return lower;
    }

    public static List<string> Lower(List<string> texts)
    {
        return texts.ConvertAll(Casing.Lower);
    }

    /// <summary>Return for each text what Python's float reads, null for none.</summary>
    public static List<object> Numbers(List<string> texts)
    {
        return texts.ConvertAll(delegate(string text)
        {
            double number;
            return NumberTest.TryParse(text, out number) ? (object)number : null;
        });
    }

    /// <summary>Return each address as its bits and its number, null for none.</summary>
    public static List<object> ReadAddresses(List<string> texts)
    {
        return texts.ConvertAll(delegate(string text)
        {
            Address address = Address.Parse(text);
            return address == null
                ? null
                : (object)(address.Bits + " " + address.High.ToString("x16") + address.Low.ToString("x16"));
        });
    }

    public static List<string> Mask(List<string> texts)
    {
        return texts.ConvertAll(Secrets.Mask);
    }

    /// <summary>Return the expressions that find secrets, and their options; that for hints is the last one.</summary>
    public static List<object> SecretExpressions()
    {
        BindingFlags hidden = BindingFlags.NonPublic | BindingFlags.Static;
        List<Regex> expressions = new List<Regex>((Regex[])typeof(Secrets).GetField("Patterns", hidden).GetValue(null));
        expressions.Add((Regex)typeof(Secrets).GetField("Hints", hidden).GetValue(null));
        return expressions.ConvertAll(expression => (object)new List<object>
        {
            expression.ToString(), (expression.Options & ~RegexOptions.CultureInvariant).ToString(),
        });
    }
}
