'use strict';
/* The browser of single items. It makes text nodes only: nothing that data or models wrote is ever markup. What is
 * filtered stands in the address, so that a link can lead there. */
(() => {
  const PAGE = 25, data = JSON.parse(document.getElementById('data').textContent), say = data.say;
  const $ = (id) => document.getElementById(id), list = $('list'), filters = $('filters');
  const keys = ['task', 'system', 'flip', 'verdict', 'name', 'hardness', 'miss', 'search'];

  /* --- text --- */

  /* Control characters and marks that turn text around would show a query as another. */
  const clean = (text) => String(text).replace(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, '\ufffd');
  const make = (tag, text, name) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = clean(text);
    if (name) node.className = name;
    return node;
  };
  const put = (node, ...children) => { node.append(...children); return node; };
  const portuguese = document.documentElement.lang === 'pt-BR';
  const percent = (thousandths) =>
    portuguese ? (thousandths / 10).toFixed(1).replace('.', ',') : (thousandths / 10).toFixed(1);
  const letter = (n) => n >= 0 ? 'ABCD'[n] : say.no_letter;
  const plain = (name) => name.replace(/_/g, ' ');

  /* --- verdicts: 1 right, 0 wrong, -1 database missing, null not done --- */

  const chip = (verdict, base) => {
    const line = make('span', undefined, 'chips');
    if (verdict === null) return put(line, make('span', say.not_done, 'chip'));
    if (verdict < 0) return put(line, make('span', say.missing, 'chip'));
    put(line, make('span', verdict ? '\u2713 ' + say.right : '\u2717 ' + say.wrong, verdict ? 'chip right' : 'chip wrong'));
    if (base !== undefined && base !== null && base >= 0 && base !== verdict)
      put(line, ' ', make('span', verdict ? '\u25b2 ' + say.won : '\u25bc ' + say.lost, verdict ? 'chip won' : 'chip lost'));
    return line;
  };

  /* --- rows that a query returned: [rows, columns, first rows] --- */

  const cell = (value) => {
    if (value === null) return make('td', 'NULL', 'null');
    if (typeof value === 'number') return make('td', value, 'n');
    if (typeof value === 'string') return make('td', value);
    if ('number' in value) return make('td', value.number, 'n');
    if ('blob' in value) return make('td', 'BLOB, ' + value.blob + ' ' + say.bytes, 'null');
    return put(make('td', value.text), make('span', '\u2026 ' + value.bytes + ' ' + say.bytes, 'null'));
  };
  const count = (rows) => rows[0] === 0 ? say.no_rows : rows[0] + ' ' + (rows[0] === 1 ? say.row : say.rows);
  const rows_note = (rows) => {
    let text = count(rows);
    if (rows[2].length < rows[0]) text = rows[2].length + ' ' + say.of + ' ' + text;
    if (rows[2].length && rows[2][0].length < rows[1])
      text += ', ' + rows[2][0].length + ' ' + say.of + ' ' + rows[1] + ' ' + say.columns;
    return text;
  };
  const draw_rows = (rows) => {
    const box = make('div', undefined, 'rows'), table = make('table'), body = make('tbody');
    rows[2].forEach((row) => put(body, put(make('tr'), ...row.map(cell))));
    if (rows[2].length) put(box, put(table, body));
    return put(box, make('p', rows_note(rows), 'soft'));
  };

  /* --- the two tasks --- */

  const spider = {
    hardness: (item) => item[2],
    answer: (item, s) => item[8][s],
    verdict: (item, s) => item[8][s] ? item[8][s][0] : null,
    miss: (item, s) => item[8][s] && item[8][s][0] === 0 ? item[8][s][4] : null,
    words: (item) => [item[0], item[3], item[4], data.spider.names[item[1]]].concat(item[6]),
    head: (item) => [data.spider.names[item[1]], say.hardness[item[2]]],
    draw: (item, sides) => {
      const gold = make('section', undefined, 'side gold');
      put(gold, make('h4', say.gold), make('pre', item[4]));
      if (item[5]) put(gold, draw_rows(item[5]));
      put(sides, gold);
      data.systems.forEach((name, s) => {
        const answer = item[8][s], side = make('section', undefined, 'side');
        put(sides, put(side, put(make('h4', name), ' ', chip(spider.verdict(item, s), s ? spider.verdict(item, 0) : undefined))));
        if (!answer) return;
        const [, query, rows, reply, miss, message, distinct] = answer;
        put(side, item[6][query] ? make('pre', item[6][query]) : make('p', say.no_query, 'soft'));
        if (miss !== undefined)
          put(side, make('p', say.misses[miss] + (message ? ': ' + message : '') + (distinct ? '; ' + say.only_distinct : ''), 'why'));
        if (reply >= 0) put(side, put(make('details'), make('summary', say.reply), make('pre', item[6][reply])));
        if (rows === -2) put(side, make('p', count(item[5]) + ', ' + say.same_rows, 'soft'));
        else if (rows >= 0) put(side, draw_rows(item[7][rows]));
      });
    },
  };

  const first = (answer) => Array.isArray(answer) ? answer[0] : answer;
  const mmlu = {
    hardness: () => null,
    miss: () => null,
    answer: (item, s) => item[5][s],
    verdict: (item, s) => item[5][s] === null ? null : Number(first(item[5][s]) === item[2]),
    words: (item) => [item[0], item[3] || '', data.mmlu.names[item[1]]].concat(item[4].filter((c) => c !== null),
      item[5].map((a) => Array.isArray(a) && typeof a[1] === 'string' ? a[1] : '')),
    head: (item) => [plain(data.mmlu.names[item[1]])],
    draw: (item, sides) => {
      const known = item[4][0] !== null, table = make('table', undefined, 'choices'), head = make('tr');
      sides.className = '';
      put(head, make('th', known ? '' : say.answer + ': ' + letter(item[2])));
      data.systems.forEach((name, s) => put(head, put(make('th', name), make('br'),
        chip(mmlu.verdict(item, s), s ? mmlu.verdict(item, 0) : undefined))));
      put(table, put(make('thead'), head));
      const body = make('tbody');
      for (let c = 0; c < 4; c++) {
        const row = make('tr', undefined, c === item[2] ? 'answer' : '');
        put(row, put(make('th'), make('b', letter(c)), known ? ' ' + clean(item[4][c]) : '', c === item[2] ? ' \u2190 ' + say.answer : ''));
        item[5].forEach((answer) => {
          const chosen = answer !== null && first(answer) === c;
          const share = Array.isArray(answer) && Array.isArray(answer[1]) ? percent(answer[1][c]) + ' %' : chosen ? letter(c) : '';
          const box = make('td', undefined, chosen ? 'n chosen' : 'n');
          if (Array.isArray(answer) && Array.isArray(answer[1])) {
            const bar = make('span', undefined, 'bar');
            bar.style.width = answer[1][c] / 10 + '%';
            put(box, bar);
          }
          put(row, put(box, make('span', share)));
        });
        put(body, row);
      }
      put(sides, put(make('div', undefined, 'wide'), put(table, body)));
      item[5].forEach((answer, s) => {
        if (Array.isArray(answer) && typeof answer[1] === 'string')
          put(sides, make('p', data.systems[s] + ':', 'soft'), make('pre', answer[1]));
      });
    },
  };
  const tasks = { spider, mmlu };

  /* --- the list --- */

  let task, items, found, shown;
  const draw = (item) => {
    const box = make('article', undefined, 'item'), sides = make('div', undefined, 'sides');
    box.tabIndex = 0;
    const key = task === spider ? 'spider' : 'mmlu', link = make('a', '#' + item[0]);
    link.href = '#items?' + new URLSearchParams({ task: key, name: data[key].names[item[1]], search: '#' + item[0] });
    put(box, put(make('h3'), link, ' \u00b7 ' + task.head(item).map(clean).join(' \u00b7 ')));
    if (item[3] !== null) put(box, make('p', item[3], 'question'));
    put(box, sides);
    task.draw(item, sides);
    return box;
  };
  const more = () => {
    const part = document.createDocumentFragment();
    found.slice(shown, shown + PAGE).forEach((item) => part.append(draw(item)));
    list.append(part);
    shown = Math.min(shown + PAGE, found.length);
    $('more').hidden = shown === found.length;
    $('shown').firstChild.textContent = found.length ? shown + ' ' + say.of + ' ' + found.length + ' ' + say.shown : say.nothing;
  };

  /* --- filters --- */

  /* In lower case; made when the first search asks for it. */
  const haystacks = new Map();
  const haystack = (item) => {
    let text = haystacks.get(item);
    if (text === undefined) haystacks.set(item, text = task.words(item).join('\n').toLowerCase());
    return text;
  };
  const flipped = (item, s, flip) => {
    const before = task.verdict(item, 0), after = task.verdict(item, s);
    if (s === 0 || before === null || after === null || before < 0 || after < 0 || before === after) return false;
    return flip === 'any' || (flip === 'won') === (after === 1);
  };
  const verdicts = { right: 1, wrong: 0, missing: -1 };
  const read = () => Object.fromEntries(keys.map((key) => [key, $(key).value]));
  const filter = () => {
    const f = read(), search = f.search.trim().toLowerCase();
    const systems = f.system === '' ? data.systems.map((_, s) => s) : [Number(f.system)];
    const number = /^#\d+$/.test(search) ? Number(search.slice(1)) : null;
    found = items.filter((item) =>
      (number === null || item[0] === number) &&
      (f.name === '' || item[1] === Number(f.name)) &&
      (f.hardness === '' || task.hardness(item) === Number(f.hardness)) &&
      (f.miss === '' || systems.some((s) => task.miss(item, s) === Number(f.miss))) &&
      (f.verdict === '' || systems.some((s) => task.verdict(item, s) === verdicts[f.verdict])) &&
      (f.flip === '' || systems.some((s) => flipped(item, s, f.flip))) &&
      (search === '' || number !== null || haystack(item).includes(search)));
    shown = 0;
    list.replaceChildren();
    $('reset').hidden = keys.every((key) => key === 'task' || f[key] === '');
    more();
  };

  /* In the address a name stands as itself: numbers are this page's own. */
  const remember = () => {
    const f = read(), parts = new URLSearchParams();
    keys.forEach((key) => { if (f[key] !== '') parts.set(key, key === 'name' ? data[f.task].names[f.name] : f[key]); });
    try { history.replaceState(null, '', '#items?' + parts); } catch (error) { /* some readers have no history */ }
  };
  const changed = () => { filter(); remember(); };

  const fill = (select, names) => {
    const kept = select.value;
    select.replaceChildren(new Option(say.any, ''), ...names.map(([name, value]) => new Option(clean(name), value)));
    select.value = kept;
    if (select.selectedIndex < 0) select.value = '';
  };
  const numbered = (names) => names.map((name, i) => [name, i]);
  const choose = (key) => {
    const spiders = key === 'spider';
    $('task').value = key;
    task = tasks[key];
    items = data[key].items;
    haystacks.clear();
    $('name').value = $('hardness').value = $('miss').value = '';
    fill($('name'), numbered(data[key].names.map(spiders ? String : plain)).sort((a, b) => a[0] < b[0] ? -1 : 1));
    $('name').parentNode.firstElementChild.textContent = spiders ? say.database : say.subject;
    $('hardness').parentNode.hidden = $('miss').parentNode.hidden = !spiders;
  };
  const reset = () => { keys.forEach((key) => { if (key !== 'task') $(key).value = ''; }); changed(); };

  /* A link to "#items?task=mmlu&flip=lost&..." */
  const follow = () => {
    if (!location.hash.startsWith('#items?')) return false;
    const parts = new URLSearchParams(location.hash.slice('#items?'.length));
    choose(parts.get('task') === 'mmlu' ? 'mmlu' : 'spider');
    keys.slice(1).forEach((key) => {
      const value = parts.get(key) || '';
      $(key).value = key !== 'name' || value === '' ? value : data[$('task').value].names.indexOf(value);
      if ($(key).selectedIndex < 0) $(key).value = '';
    });
    filter();
    $('items').scrollIntoView();
    return true;
  };

  /* --- keys --- */

  const step = (by) => {
    const boxes = [...list.children], at = boxes.indexOf(document.activeElement.closest('.item'));
    const next = at < 0 ? 0 : at + by;
    if (next >= boxes.length && !$('more').hidden) more();
    const box = list.children[Math.max(0, Math.min(next, list.children.length - 1))];
    if (!box) return;
    box.focus({ preventScroll: true });
    box.scrollIntoView({ block: 'nearest' });
  };
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.activeElement.closest('input, select')) return;
    if (event.key === 'j') step(1);
    else if (event.key === 'k') step(-1);
    else if (event.key === '/') { event.preventDefault(); $('search').focus(); }
  });

  const present = (key) => [...new Set(data.spider.items.flatMap(key))].filter((n) => n !== null).sort((a, b) => a - b);
  fill($('system'), numbered(data.systems));
  fill($('hardness'), present((item) => [item[2]]).map((h) => [say.hardness[h], h]));
  fill($('miss'), present((item) => item[8].map((_, s) => spider.miss(item, s))).map((m) => [say.misses[m], m]));
  filters.hidden = false;
  filters.addEventListener('submit', (event) => event.preventDefault());
  $('task').addEventListener('change', () => { choose($('task').value); changed(); });
  keys.slice(1, -1).forEach((key) => $(key).addEventListener('change', changed));
  let timer;
  $('search').addEventListener('input', () => { clearTimeout(timer); timer = setTimeout(changed, 200); });
  $('more').addEventListener('click', more);
  $('reset').addEventListener('click', reset);
  window.addEventListener('hashchange', follow);
  window.addEventListener('beforeprint', () => document.querySelectorAll('details').forEach((box) => { box.open = true; }));
  if (!follow()) { choose(data.spider.items.length ? 'spider' : 'mmlu'); filter(); }
})();
