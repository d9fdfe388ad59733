'use strict';
(() => {
  const element = id => document.getElementById(id);
  const make = (name, properties, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };
  const variable = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const HEIGHT = 260;
  const COLOURS = 7;
  const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]];
  let data = JSON.parse(element('data').textContent);
  let drawn = [];

  function shown(value, unit) {
    if (value === null || value === undefined) return '–';
    if (unit === 'bytes') {
      const giga = Math.abs(value) >= 1e10;
      return (value / (giga ? 1e9 : 1e6)).toFixed(giga ? 2 : 0) + (giga ? ' GB' : ' MB');
    }
    const size = Math.abs(value);
    const digits = size !== 0 && (size < 1e-3 || size >= 1e5)
        ? value.toExponential(2) : String(Number(value.toPrecision(4)));
    return unit === '' ? digits : digits + ' ' + unit;
  }

  // Numbers of one axis are all with an exponent or all without.
  function ticksShown(ticks, unit) {
    const small = unit !== 'bytes' && Math.max(...ticks.map(Math.abs)) < 1e-2;
    return ticks.map(tick => tick === null ? ''
        : small && tick !== 0 ? Number(tick.toPrecision(4)).toExponential() + (unit === '' ? '' : ' ' + unit)
        : shown(tick, unit));
  }

  // An exponential mean that begins without a bias towards 0.
  function smoothed(values, weight) {
    let sum = 0, mass = 0;
    return values.map(value => {
      sum = weight * sum + (1 - weight) * value;
      mass = weight * mass + (1 - weight);
      return sum / mass;
    });
  }

  // What uPlot is given: a table of all lines over the steps of any.
  function table(chart) {
    const weight = Number(element('smoothing').value);
    const columns = [];
    chart.lines.forEach((line, i) => {
      const smooth = chart.smooth && weight > 0 && line.y.length > 2;
      const raw = smooth && !line.hidden;
      const colour = variable('--c' + (i % COLOURS + 1));
      const dash = line.level ? [4, 4] : DASHES[Math.floor(i / COLOURS) % DASHES.length];
      const value = (u, v) => shown(v, chart.unit);
      const points = {show: line.x.length < 2, size: 5};
      const common = {spanGaps: true, show: !line.hidden, value};
      if (raw) {
        columns.push([line.x, line.y, {...common, label: line.name + ', raw', stroke: colour + '55', width: 1, points: {show: false}}]);
      }
      columns.push([line.x, smooth ? smoothed(line.y, weight) : line.y,
        {...common, label: line.name, stroke: colour, width: line.level ? 1 : 2, dash, points}]);
    });
    const rows = uPlot.join(columns.map(([x, y]) => [x, y]));
    return {rows, series: columns.map(column => column[2])};
  }

  function fits(chart, logarithmic) {
    return logarithmic && chart.unit !== 'bytes'
        && chart.lines.every(line => line.y.every(y => y > 0));
  }

  function draw(chart, host) {
    const {rows, series} = table(chart);
    const axis = {stroke: variable('--soft'), grid: {stroke: variable('--line'), width: 1},
      ticks: {stroke: variable('--line'), width: 1}, font: '12px system-ui, sans-serif'};
    return new uPlot({
      width: Math.max(200, host.clientWidth),
      height: HEIGHT,
      cursor: {sync: {key: 'steps'}, points: {size: 6}},
      scales: {x: {time: false}, y: fits(chart, element('logarithmic').checked)
        ? {distr: 3} : chart.unit === 'bytes' ? {range: (u, low, high) => [0, high * 1.08]} : {}},
      axes: [{...axis, size: 34},
        {...axis, size: 68, values: (u, ticks) => ticksShown(ticks, chart.unit)}],
      series: [{label: 'step', value: (u, v) => v === null || v === undefined ? '–' : String(v)}, ...series],
    }, rows, host);
  }

  function drawAll() {
    const host = element('drawn');
    drawn.forEach(each => each.plot.destroy());
    host.replaceChildren();
    drawn = [];
    if (typeof uPlot === 'undefined') {
      host.append(make('p', {className: 'warning', textContent: 'The charts cannot be drawn: the program that made this page was built without the library uPlot.'}));
      return;
    }
    drawn = data.charts.map(chart => {
      const place = make('div', {});
      host.append(make('article', {className: 'chart'}, make('h3', {textContent: chart.title}), place));
      return {chart, place, plot: draw(chart, place)};
    });
    if (data.charts.length === 0) {
      host.append(make('p', {className: 'hint', textContent: 'No step is done yet.'}));
    }
  }

  // New numbers in the charts that stand, so that a part that somebody looks at stays enlarged.
  function redraw() {
    const same = drawn.length === data.charts.length && drawn.every((each, i) =>
      each.chart.title === data.charts[i].title
          && each.plot.series.length === table(data.charts[i]).series.length + 1);
    if (!same) return drawAll();
    drawn.forEach((each, i) => {
      each.chart = data.charts[i];
      const x = each.plot.data[0], {min, max} = each.plot.scales.x;
      const whole = min <= x[0] && max >= x[x.length - 1];
      each.plot.setData(table(each.chart).rows, whole);
      if (!whole) each.plot.setScale('x', {min, max});
    });
  }

  function tiles() {
    element('tiles').replaceChildren(...data.tiles.map(tile =>
      make('li', {}, make('b', {textContent: tile.value}), ' ' + tile.name)));
  }

  // A slider over the steps of each prompt, beside what the model drew first.
  function samples() {
    const host = element('samples');
    const chosen = {};
    host.querySelectorAll('.slider').forEach(old => {
      const range = old.querySelector('input');
      if (range && range.value !== range.max) chosen[old.dataset.name] = range.value;
      old.remove();
    });
    const none = element('no-samples');
    if (none) none.hidden = data.samples.length > 0;
    data.samples.forEach(each => {
      const last = each.steps.length - 1;
      const box = make('article', {className: 'slider'}, make('h3', {textContent: each.name}));
      box.dataset.name = each.name;
      const figure = at => make('figure', {},
        make('figcaption', {textContent: 'step ' + each.steps[at].step}),
        make('img', {src: each.steps[at].source, alt: each.name + ' after step ' + each.steps[at].step}));
      const sheets = make('div', {className: 'sheets'}, figure(0));
      box.append(sheets);
      if (last > 0) {
        const at = Math.min(last, Number(chosen[each.name] ?? last));
        const other = figure(at);
        sheets.append(other);
        const range = make('input', {type: 'range', min: 0, max: last, step: 1, value: at});
        const output = make('output', {textContent: 'step ' + each.steps[at].step});
        range.setAttribute('aria-label', 'Step of the samples of ' + each.name);
        range.addEventListener('input', () => {
          const step = each.steps[Number(range.value)];
          other.querySelector('img').src = step.source;
          other.querySelector('img').alt = each.name + ' after step ' + step.step;
          other.querySelector('figcaption').textContent = output.textContent = 'step ' + step.step;
        });
        box.append(make('label', {}, range, output));
      }
      host.append(box);
    });
  }

  element('smoothing').addEventListener('input', () => {
    element('smoothed').textContent = Number(element('smoothing').value).toFixed(2);
    redraw();
  });
  element('logarithmic').addEventListener('change', drawAll);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll);
  let width = innerWidth;
  addEventListener('resize', () => {
    if (innerWidth === width) return;
    width = innerWidth;
    drawn.forEach(each => each.plot.setSize({width: Math.max(200, each.place.clientWidth), height: HEIGHT}));
  });

  tiles();
  drawAll();
  samples();

  // A page that is served asks for what is new; one that is a file has no address to ask.
  const live = document.body.dataset.live;
  if (live) {
    let version = data.version;
    let failures = 0;
    const ask = async () => {
      const asked = performance.now();
      try {
        const answer = await fetch(live + '?since=' + encodeURIComponent(version), {cache: 'no-store'});
        if (answer.status === 200) {
          const before = JSON.stringify(data.samples);
          data = await answer.json();
          version = data.version;
          element('state').textContent = data.state;
          tiles();
          redraw();
          if (JSON.stringify(data.samples) !== before) samples();
        }
        failures = 0;
      } catch (e) {
        failures++;
        if (failures === 3) {
          element('state').textContent = 'The run has ended, or cannot be reached: its page is report.html in its folder.';
        }
      }
      // A run on the same cores is held up for about as long as an answer takes: half a percent of its time.
      const pause = Math.max(2000, 200 * (performance.now() - asked));
      setTimeout(ask, failures > 2 ? 10000 : Math.min(pause, 60000));
    };
    setTimeout(ask, 2000);
  }
})();
