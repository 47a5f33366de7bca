using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.IO;
using System.IO.Compression;
using System.Linq;
using System.Threading;
using QuantConnect;
using QuantConnect.Configuration;
using QuantConnect.Data;
using QuantConnect.Data.Market;
using QuantConnect.Interfaces;
using QuantConnect.Logging;
using QuantConnect.Packets;
using QuantConnect.Util;

namespace Bulkhead
{
    /// <summary>
    /// A live feed without a network: today's minute files of the data folder, played as ticks while their minutes pass.
    /// The bars are then LEAN's own work, as with any live feed.
    /// </summary>
    public class TapeQueue : IDataQueueHandler
    {
        // The open, high, low and close of a minute are heard at these seconds of it.
        private static readonly double[] Seconds = { 4, 19, 34, 49 };

        private readonly IDataAggregator _aggregator;
        private readonly ConcurrentDictionary<SubscriptionDataConfig, Tape> _tapes = new();
        private readonly ConcurrentDictionary<string, IReadOnlyDictionary<string, string[]>> _archives = new();
        private readonly CancellationTokenSource _stop = new();

        public TapeQueue()
        {
            var name = Config.Get("data-aggregator", "QuantConnect.Lean.Engine.DataFeeds.AggregationManager");
            _aggregator = Composer.Instance.GetExportedValueByTypeName<IDataAggregator>(name);
            new Thread(Play) { IsBackground = true, Name = "Tape" }.Start();
        }

        public bool IsConnected => true;

        public void SetJob(LiveNodePacket job)
        {
        }

        public IEnumerator<BaseData> Subscribe(SubscriptionDataConfig config, EventHandler newDataAvailableHandler)
        {
            if (config.Symbol.IsCanonical() || config.IsCustomData)
            {
                return null;
            }
            var enumerator = _aggregator.Add(config, newDataAvailableHandler);
            if (config.Type == typeof(TradeBar) || config.Type == typeof(QuoteBar))
            {
                _tapes.TryAdd(config, new Tape(config, Ticks(config)));
            }
            return enumerator;
        }

        public void Unsubscribe(SubscriptionDataConfig config)
        {
            _tapes.TryRemove(config, out _);
            _aggregator.Remove(config);
        }

        public void Dispose()
        {
            _stop.Cancel();
        }

        private void Play()
        {
            while (!_stop.Token.WaitHandle.WaitOne(50))
            {
                foreach (var tape in _tapes.Values)
                {
                    var now = DateTime.UtcNow.ConvertFromUtc(tape.Config.ExchangeTimeZone);
                    foreach (var tick in tape.Until(now))
                    {
                        _aggregator.Update(tick);
                    }
                }
            }
        }

        private List<Tick> Ticks(SubscriptionDataConfig config)
        {
            var today = DateTime.UtcNow.ConvertFromUtc(config.DataTimeZone).Date;
            var path = LeanData.GenerateZipFilePath(Globals.DataFolder, config.Symbol, today, Resolution.Minute, config.TickType);
            var entry = LeanData.GenerateZipEntryName(config.Symbol, today, Resolution.Minute, config.TickType);
            var ticks = new List<Tick>();
            if (!_archives.GetOrAdd(path, Read).TryGetValue(entry, out var lines))
            {
                Log.Trace($"TapeQueue: nothing on tape for {config.Symbol} {config.TickType}");
                return ticks;
            }
            var reader = config.GetBaseDataInstance();
            foreach (var line in lines.Where(line => line.Length > 0))
            {
                var bar = reader.Reader(config, line, today, false);
                for (var part = 0; part < Seconds.Length; part++)
                {
                    var tick = bar is QuoteBar quote ? Quote(quote, part) : Trade((TradeBar)bar, part);
                    tick.Symbol = config.Symbol;
                    tick.Time = bar.Time.AddSeconds(Seconds[part]);
                    ticks.Add(tick);
                }
            }
            return ticks;
        }

        private static IReadOnlyDictionary<string, string[]> Read(string path)
        {
            var found = new Dictionary<string, string[]>();
            if (!File.Exists(path))
            {
                return found;
            }
            using var archive = ZipFile.OpenRead(path);
            foreach (var entry in archive.Entries)
            {
                using var text = new StreamReader(entry.Open());
                found[entry.FullName] = text.ReadToEnd().Split('\n');
            }
            return found;
        }

        private static Tick Trade(TradeBar bar, int part)
        {
            return new Tick { TickType = TickType.Trade, Value = Part(bar, part), Quantity = Math.Floor(bar.Volume / Seconds.Length) };
        }

        private static Tick Quote(QuoteBar bar, int part)
        {
            var bid = bar.Bid == null ? 0 : Part(bar.Bid, part);
            var ask = bar.Ask == null ? 0 : Part(bar.Ask, part);
            return new Tick
            {
                TickType = TickType.Quote,
                BidPrice = bid,
                AskPrice = ask,
                BidSize = bar.LastBidSize,
                AskSize = bar.LastAskSize,
                Value = bid > 0 && ask > 0 ? (bid + ask) / 2 : Math.Max(bid, ask)
            };
        }

        private static decimal Part(IBar bar, int part)
        {
            return part switch { 0 => bar.Open, 1 => bar.High, 2 => bar.Low, _ => bar.Close };
        }

        private sealed class Tape
        {
            private readonly List<Tick> _ticks;
            private int _next;

            public Tape(SubscriptionDataConfig config, List<Tick> ticks)
            {
                Config = config;
                _ticks = ticks;
                // What was said before somebody listened is not repeated.
                var now = DateTime.UtcNow.ConvertFromUtc(config.ExchangeTimeZone);
                _next = ticks.FindIndex(tick => tick.Time > now);
                _next = _next < 0 ? ticks.Count : _next;
            }

            public SubscriptionDataConfig Config { get; }

            public IEnumerable<Tick> Until(DateTime now)
            {
                while (_next < _ticks.Count && _ticks[_next].Time <= now)
                {
                    yield return _ticks[_next++];
                }
            }
        }
    }
}
