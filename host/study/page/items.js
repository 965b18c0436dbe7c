'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent), say = data.say, PAGE = 40;
  const $ = (id) => document.getElementById(id), list = $('list');
  const make = (tag, text, name) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    if (name) node.className = name;
    return node;
  };
  /* Control characters and marks that turn text around would show a query as another. */
  const clean = (text) => String(text).replace(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, '\ufffd');
  const fill = (select, names, first) => {
    select.replaceChildren();
    if (first !== undefined) select.append(new Option(first, ''));
    names.forEach((name, i) => select.append(new Option(clean(name), i)));
  };
  const letter = (n) => n >= 0 ? 'ABCD'[n] : say.no_letter;
  const first = (answer) => Array.isArray(answer) ? answer[0] : answer;
  const tasks = {
    spider: {
      answers: (item) => item[5],
      verdict: (item, s) => item[5][s] ? item[5][s][0] : null,
      words: (item) => [item[3], item[4], data.spider.names[item[1]]]
        .concat(item[5].map((a) => a ? a[1] : '')),
      draw: (item, box) => {
        box.append(make('h3', item[0] + ' \u00b7 ' + clean(data.spider.names[item[1]]) + ' \u00b7 ' +
          say.hardness[item[2]]), make('p', clean(item[3])));
        box.append(make('p', say.gold), make('pre', clean(item[4])));
        item[5].forEach((a, s) => {
          if (!a) return;
          const line = head(item, s);
          if (a.length > 2) line.append(' \u00b7 ' + say.errors[a[2]] + (a[3] ? ': ' + clean(a[3]) : ''));
          box.append(line, make('pre', clean(a[1])));
        });
      }
    },
    mmlu: {
      answers: (item) => item[3],
      verdict: (item, s) => item[3][s] === null ? null : Number(first(item[3][s]) === item[2]),
      words: (item) => [data.mmlu.names[item[1]], String(item[0])]
        .concat(item[3].map((a) => Array.isArray(a) && typeof a[1] === 'string' ? a[1] : '')),
      draw: (item, box) => {
        box.append(make('h3', clean(data.mmlu.names[item[1]]) + ' \u00b7 ' + item[0]),
          make('p', say.gold + ': ' + letter(item[2])));
        item[3].forEach((a, s) => {
          if (a === null) return;
          const line = head(item, s);
          line.append(' \u00b7 ' + letter(first(a)));
          if (Array.isArray(a) && typeof a[1] === 'number')
            line.append(' \u00b7 ' + say.probability + ' ' + a[1] + ' %');
          box.append(line);
          if (Array.isArray(a) && typeof a[1] === 'string') box.append(make('pre', clean(a[1])));
        });
      }
    }
  };
  let task, items, found, shown;
  const head = (item, s) => {
    const verdict = task.verdict(item, s), line = make('p', clean(data.systems[s]) + ': ');
    line.append(verdict < 0 ? make('span', say.missing)
      : make('span', verdict ? '\u2713 ' + say.right : '\u2717 ' + say.wrong, verdict ? 'right' : 'wrong'));
    return line;
  };
  const more = () => {
    const part = document.createDocumentFragment();
    found.slice(shown, shown + PAGE).forEach((item) => {
      const box = make('article', undefined, 'item');
      task.draw(item, box);
      part.append(box);
    });
    list.append(part);
    shown = Math.min(shown + PAGE, found.length);
    $('more').hidden = shown === found.length;
    $('shown').textContent = say.shown + ': ' + shown + ' ' + say.of + ' ' + found.length;
  };
  const any = (systems, test) => systems.some(test);
  const filter = () => {
    const one = $('system').value, all = data.systems.map((_, s) => s);
    const systems = one === '' ? all : [Number(one)];
    const verdict = $('verdict').value, flip = $('flip').value, search = $('search').value.toLowerCase();
    const hardness = $('hardness').value, name = $('name').value;
    found = items.filter((item) => {
      if (name !== '' && item[1] !== Number(name)) return false;
      if (task === tasks.spider && hardness !== '' && item[2] !== Number(hardness)) return false;
      if (verdict && !any(systems, (s) => task.verdict(item, s) === Number(verdict === 'right'))) return false;
      if (flip && !any(systems, (s) => task.verdict(item, 0) === Number(flip === 'lost') &&
        task.verdict(item, s) === Number(flip === 'won'))) return false;
      return !search || task.words(item).some((w) => w && w.toLowerCase().includes(search));
    });
    shown = 0;
    list.replaceChildren();
    more();
  };
  const choose = () => {
    const key = $('task').value;
    task = tasks[key];
    items = data[key].items;
    fill($('name'), data[key].names, say.any);
    $('name').parentNode.firstChild.textContent = (key === 'mmlu' ? say.subject : say.database) + ' ';
    $('hardness').parentNode.hidden = key === 'mmlu';
    filter();
  };
  fill($('system'), data.systems, say.any);
  fill($('hardness'), say.hardness, say.any);
  if (!data.spider.items.length) $('task').value = 'mmlu';
  $('filters').hidden = false;
  $('filters').addEventListener('submit', (event) => event.preventDefault());
  $('task').addEventListener('change', choose);
  ['system', 'verdict', 'flip', 'hardness', 'name'].forEach((id) => $(id).addEventListener('change', filter));
  let timer;
  $('search').addEventListener('input', () => { clearTimeout(timer); timer = setTimeout(filter, 150); });
  $('more').addEventListener('click', more);
  choose();
})();
