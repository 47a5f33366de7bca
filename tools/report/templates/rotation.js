(() => {
  if (!rotation) return;
  const colours = { T: "#12805a", Q: "#86cfae", ".": "rgba(128,140,152,.18)", P: "#f2a3a9", S: "#cf3542" };
  const names = { T: "TQQQ", Q: "QQQ", ".": "cash", P: "PSQ", S: "SQQQ" };
  const code = { S: 0, P: 1, ".": 2, Q: 3, T: 4 };
  const grid = "rgba(128,140,152,.22)", ink = "#7a8794", narrow = innerWidth < 620;
  const days = rotation.days, limits = rotation.settings;
  const byId = name => document.getElementById(name);
  const clock = minute => `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
  const usd = value => (value < 0 ? "-$" : "$") + Math.abs(value).toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const longest = Math.max(...days.map(day => day.held.length)), open = days[0].open;
  const hours = [];
  for (let minute = Math.ceil(open / 60) * 60; minute <= open + longest; minute += narrow ? 120 : 60) hours.push(minute);
  const layout = (height, more) => Object.assign({
    height, margin: { l: narrow ? 44 : 56, r: 22, t: 6, b: 30 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: ink, size: 12 }, showlegend: false,
    xaxis: { tickvals: hours, ticktext: hours.map(clock), range: [open, open + longest], gridcolor: grid, zeroline: false, fixedrange: narrow },
  }, more);
  const config = { responsive: true, displayModeBar: false };

  // All sessions: one row each, one column a minute.
  const steps = ["S", "P", ".", "Q", "T"];
  const scale = steps.flatMap((step, at) => [[at / 5, colours[step]], [(at + 1) / 5, colours[step]]]);
  const padded = day => day.held.padEnd(longest, " ");
  Plotly.newPlot("rotation-all", [{
    type: "heatmap", zmin: -0.5, zmax: 4.5, colorscale: scale, showscale: false, ygap: days.length > 80 ? 0 : 1, xgap: 0,
    x: Array.from({ length: longest }, (_, at) => open + at + 0.5), y: days.map(day => day.date),
    z: days.map(day => [...padded(day)].map(letter => letter in code ? code[letter] : null)),
    text: days.map(day => [...padded(day)].map((letter, at) => `${clock(open + at + 1)} ${names[letter] || ""}`)),
    hovertemplate: "%{y} %{text}<extra></extra>", hoverongaps: false,
  }], layout(Math.min(640, Math.max(110, 50 + days.length * (days.length > 30 ? 9 : 18))), {
    yaxis: { type: "category", autorange: "reversed", automargin: true, gridcolor: grid, fixedrange: true,
      tickfont: { size: 10 }, nticks: narrow ? 8 : 20, ticktext: days.map(day => narrow ? day.date.slice(5) : day.date), tickvals: every(days.map(day => day.date)) },
  }), config);
  function every(dates) { const step = Math.ceil(dates.length / (narrow ? 10 : 20)); return dates.filter((_, at) => at % step === 0); }
  Plotly.relayout("rotation-all", { "yaxis.ticktext": every(days.map(day => day.date)).map(date => narrow ? date.slice(5) : date) });
  byId("rotation-all").on("plotly_click", event => show(days.findIndex(day => day.date === event.points[0].y)));

  // One session.
  const select = byId("rotation-day");
  days.forEach((day, at) => select.add(new Option(`${day.date}   ${usd(day.pnl)}`, at)));
  select.addEventListener("change", () => show(Number(select.value)));
  byId("rotation-before").addEventListener("click", () => show(Math.max(0, Number(select.value) - 1)));
  byId("rotation-after").addEventListener("click", () => show(Math.min(days.length - 1, Number(select.value) + 1)));

  const line = (at, dash) => ({ type: "line", xref: "paper", x0: 0, x1: 1, yref: "y", y0: at, y1: at, line: { color: ink, width: 1, dash } });
  const zone = (low, high, colour) => ({ type: "rect", xref: "paper", x0: 0, x1: 1, yref: "y", y0: low, y1: high, line: { width: 0 }, fillcolor: colour, layer: "below" });
  const label = (at, text) => ({ xref: "paper", x: 0.004, xanchor: "left", yref: "y", y: at, yanchor: "middle", text, showarrow: false, font: { size: 10, color: ink } });
  const { enter_1x_prob: one, enter_3x_prob: three, leave_1x_prob: leave, leave_3x_prob: ease } = limits;
  const shapes = [
    zone(three, 1, "rgba(18,128,90,.16)"), zone(one, three, "rgba(18,128,90,.07)"),
    zone(0, 1 - three, "rgba(207,53,66,.16)"), zone(1 - three, 1 - one, "rgba(207,53,66,.07)"),
    line(one, "solid"), line(three, "solid"), line(1 - one, "solid"), line(1 - three, "solid"),
    line(leave, "dot"), line(ease, "dot"), line(1 - leave, "dot"), line(1 - ease, "dot"),
  ];
  const labels = [label((three + 1) / 2, "3 × long"), label((one + three) / 2, "long"), label(0.5, "stay out"),
    label(1 - (one + three) / 2, "inverse"), label((1 - three) / 2, "3 × inverse")];

  function show(at) {
    const day = days[at], x = day.p.map((_, minute) => day.open + minute + 1);
    select.value = at;
    const data = [{ type: "scatter", mode: "lines", x, y: day.p.map(value => value === null ? null : value / 1000), line: { color: "#2f7de1", width: 1.6 },
      text: x.map(clock), hovertemplate: "%{text} p %{y:.3f}<extra></extra>", connectgaps: false },
    { type: "bar", x: x.map(minute => minute - 0.5), y: day.used, width: 1, yaxis: "y3", marker: { color: "rgba(133,97,197,.75)", line: { width: 0 } },
      text: x.map(clock), textposition: "none", hovertemplate: "%{text} %{y} % of the target value held<extra></extra>" }];
    for (let from = 0; from < day.held.length;) {
      let to = from;
      while (to < day.held.length && day.held[to] === day.held[from]) to += 1;
      const left = day.open + from, right = day.open + to, letter = day.held[from];
      data.push({ type: "scatter", mode: "lines", fill: "toself", line: { width: 0 }, fillcolor: colours[letter], yaxis: "y2", hoverinfo: "text", hoveron: "fills",
        x: [left, right, right, left, left], y: [0, 0, 1, 1, 0], text: `${clock(left)} to ${clock(right)} ${names[letter]}` });
      from = to;
    }
    Plotly.react("rotation-one", data, layout(narrow ? 400 : 460, {
      hovermode: "closest", bargap: 0, shapes, annotations: labels,
      xaxis: { tickvals: hours, ticktext: hours.map(clock), range: [day.open, day.open + day.held.length], gridcolor: grid, zeroline: false, anchor: "y3", fixedrange: narrow },
      yaxis: { domain: [0.42, 1], range: [0, 1], title: { text: 'p of "up"' }, gridcolor: grid, tickvals: [0, 0.25, 0.4, 0.5, 0.6, 0.75, 1], fixedrange: true },
      yaxis2: { domain: [0.29, 0.37], range: [0, 1], showticklabels: false, title: { text: "held", standoff: 4 }, fixedrange: true, showgrid: false, zeroline: false },
      yaxis3: { domain: [0, 0.23], title: { text: "% of target" }, rangemode: "tozero", gridcolor: grid, fixedrange: true },
    }), config);
    byId("rotation-facts").textContent = `${usd(day.pnl)} after ${usd(day.fees)} fees · ${day.opens} openings`;
    fill("rotation-rounds", [["Symbol", "From", "To", "Shares", "Paid", "Got", "Result", "Why it left"], ...day.rounds.map(row => [
      row[0], row[1], row[2] || "open", row[3], row[4] === null ? "–" : row[4].toFixed(2), row[5] === null ? "–" : row[5].toFixed(2), row[6], row[7]])], [3, 4, 5, 6], 6, "No holding in this session.");
    fill("rotation-why", [["In words", "Minutes"], ...day.why], [1], -1, "Nothing.");
  }
  function fill(name, rows, numbers, money, empty) {
    const table = byId(name);
    table.textContent = "";
    if (rows.length === 1) { table.insertRow().insertCell().textContent = empty; return; }
    rows.forEach((row, at) => {
      const line = table.insertRow();
      row.forEach((value, column) => {
        const cell = line.appendChild(document.createElement(at ? "td" : "th"));
        if (numbers.includes(column)) cell.className = "n";
        if (at && column === money) { cell.textContent = value === null ? "–" : usd(value); cell.className += value > 0 ? " good" : " bad"; }
        else cell.textContent = value;
      });
    });
  }
  show(days.length - 1);
})();
