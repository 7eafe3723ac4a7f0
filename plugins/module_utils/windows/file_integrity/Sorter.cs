// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Sorter
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.LineReader;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Lines;

    /// <summary>Sorts lines in bounded memory: what is more than a run of them goes to temporary files.</summary>
    public sealed class Sorter : IDisposable
    {
        private readonly Func<Stream> _temporary;
        private readonly long _room;
        private readonly List<Stream> _runs = new List<Stream>();
        private List<byte[]> _lines = new List<byte[]>();
        private long _bytes;

        /// <summary>
        /// temporary: makes an empty buffered file to write, read and seek in, gone once it is closed. room: bytes to
        /// keep in memory; each line costs some 40 bytes more.
        /// </summary>
        public Sorter(Func<Stream> temporary, long room)
        {
            _temporary = temporary;
            _room = room;
        }

        /// <summary>Raises IOException when a temporary file cannot be written.</summary>
        public void Add(byte[] line)
        {
            _lines.Add(line);
            _bytes += line.Length + 40;
            if (_bytes > _room)
            {
                Spill();
            }
        }

        /// <summary>Return all lines in order, once.</summary>
        public IEnumerable<byte[]> Sorted()
        {
            _lines.Sort(Lines.Compare);
            if (_runs.Count == 0)
            {
                return _lines;
            }
            return Merged();
        }

        public void Dispose()
        {
            foreach (Stream run in _runs)
            {
                run.Dispose();
            }
            _runs.Clear();
            _lines = new List<byte[]>();
        }

        private void Spill()
        {
            _lines.Sort(Lines.Compare);
            Stream run = _temporary();
            _runs.Add(run);
            byte[] end = { (byte)'\n' };
            foreach (byte[] line in _lines)
            {
                run.Write(line, 0, line.Length);
                run.Write(end, 0, 1);
            }
            run.Flush();
            run.Position = 0;
            _lines = new List<byte[]>();
            _bytes = 0;
        }

        private IEnumerable<byte[]> Merged()
        {
            List<IEnumerator<byte[]>> sources = new List<IEnumerator<byte[]>>();
            foreach (Stream run in _runs)
            {
                sources.Add(Read(run).GetEnumerator());
            }
            sources.Add(_lines.GetEnumerator());
            sources.RemoveAll(delegate(IEnumerator<byte[]> source) { return !source.MoveNext(); });
            while (sources.Count > 0)
            {
                int least = 0;
                for (int i = 1; i < sources.Count; i++)
                {
                    if (Lines.Compare(sources[i].Current, sources[least].Current) < 0)
                    {
                        least = i;
                    }
                }
                yield return sources[least].Current;
                if (!sources[least].MoveNext())
                {
                    sources.RemoveAt(least);
                }
            }
        }

        private static IEnumerable<byte[]> Read(Stream run)
        {
            LineReader reader = new LineReader(run, Lines.Longest, false);
            byte[] line;
            while ((line = reader.Next()) != null)
            {
                yield return line;
            }
        }
    }
}
