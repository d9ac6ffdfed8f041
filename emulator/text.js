// Slack's two ways to write text, made into DOM nodes: mrkdwn (section, context, messages) and Markdown (markdown block).
// Nothing here uses innerHTML: text becomes text nodes, so nothing in it can become an element of the page.

/** An element with attributes (on* are listeners) and children: strings, nodes, arrays; null is left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const EMOJI = {
  "+1": "👍", thumbsup: "👍", "-1": "👎", thumbsdown: "👎", eyes: "👀", white_check_mark: "✅", heavy_check_mark: "✔️",
  x: "❌", warning: "⚠️", hourglass: "⌛", hourglass_flowing_sand: "⏳", lock: "🔒", unlock: "🔓", tada: "🎉", wave: "👋",
  robot_face: "🤖", no_entry: "⛔", no_entry_sign: "🚫", mag: "🔍", question: "❓", bulb: "💡", pencil2: "✏️", memo: "📝",
  wastebasket: "🗑️", bust_in_silhouette: "👤", busts_in_silhouette: "👥", rotating_light: "🚨", octagonal_sign: "🛑",
  stopwatch: "⏱️", clock1: "🕐", alarm_clock: "⏰", repeat: "🔁", arrows_counterclockwise: "🔄", information_source: "ℹ️",
  speech_balloon: "💬", heart: "❤️", pray: "🙏", ok_hand: "👌", raised_hands: "🙌", point_right: "👉", key: "🔑", shield: "🛡️",
  large_green_circle: "🟢", large_yellow_circle: "🟡", red_circle: "🔴", white_circle: "⚪", black_square_for_stop: "⏹️",
  grey_question: "❔", exclamation: "❗", zzz: "💤", link: "🔗", calendar: "📅", bell: "🔔", sparkles: "✨", fire: "🔥",
};

export const emoji = (name) => EMOJI[name.split("::")[0]] ?? `:${name}:`;

export const unescape = (text) => text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
const withEmoji = (text) => text.replace(/:([a-z0-9_+-]+):/g, (all, name) => EMOJI[name] ?? all);

/** plain_text: no markup but emoji, and none of those where the object says `emoji: false`. */
export const plain = (text, colons = true) => (colons ? withEmoji(text) : text);

function link(url, label) {
  if (!/^(https?|mailto):/i.test(url)) return label;
  return h("a", { href: url, target: "_blank", rel: "noreferrer noopener" }, label);
}

/** `<...>` of mrkdwn: people, channels, groups, dates, links. */
function reference(inner, names) {
  const [target, label] = inner.split("|");
  const mention = (text) => h("span", { class: "mention" }, text);
  if (target.startsWith("@")) return mention(`@${names.people[target.slice(1)]?.name ?? label ?? target.slice(1)}`);
  if (target.startsWith("#")) return mention(`#${names.channel(target.slice(1)) ?? label ?? target.slice(1)}`);
  if (target.startsWith("!subteam^")) return mention(`@${names.groups[target.slice(9)] ?? label ?? "group"}`);
  if (target.startsWith("!date^")) return date(target, label);
  if (target.startsWith("!")) return mention(`@${target.slice(1)}`);
  return link(unescape(target), unescape(label ?? target.replace(/^mailto:/, "")));
}

function date(target, fallback) {
  const seconds = Number(target.split("^")[1]);
  const shown = Number.isFinite(seconds) ? new Date(seconds * 1000).toLocaleString() : fallback;
  return h("time", { title: fallback }, shown ?? "");
}

// Each rule: what to find, and what it becomes; `go` renders what is inside.
const MRKDWN = [
  [/```\n?([\s\S]*?)\n?```/, (m) => h("pre", {}, unescape(m[1]))],
  [/`([^`\n]+)`/, (m) => h("code", {}, unescape(m[1]))],
  [/<([^<>\s][^<>]*)>/, (m, go, names) => reference(m[1], names)],
  [/(?<![\w*])\*(?=\S)([^*\n]*[^\s*])\*(?![\w*])/, (m, go) => h("b", {}, go(m[1]))],
  [/(?<![\w_])_(?=\S)([^_\n]*[^\s_])_(?![\w_])/, (m, go) => h("i", {}, go(m[1]))],
  [/(?<![\w~])~(?=\S)([^~\n]*[^\s~])~(?![\w~])/, (m, go) => h("s", {}, go(m[1]))],
];

const MARKDOWN = [
  [/(`+)([\s\S]*?[^`])\1(?!`)/, (m) => h("code", {}, m[2].trim() || m[2])],
  [/\\([\\`*_{}[\]()#+\-.!|~>])/, (m) => m[1]],
  [/<([@#!][^<>]+)>/, (m, go, names) => reference(m[1], names)],
  [/<(https?:[^<>\s]+)>/, (m) => link(m[1], m[1])],
  [/!?\[((?:[^[\]\\]|\\.)*)\]\(([^()\s]*(?:\([^()\s]*\))?)(?:\s+"[^"]*")?\)/, (m, go) => link(m[2], go(m[1]))],
  [/\*\*(?=\S)([\s\S]*?\S)\*\*/, (m, go) => h("b", {}, go(m[1]))],
  [/__(?=\S)([\s\S]*?\S)__/, (m, go) => h("b", {}, go(m[1]))],
  [/~~(?=\S)([\s\S]*?\S)~~/, (m, go) => h("s", {}, go(m[1]))],
  [/\*(?=[^\s*])([^*]*[^\s*])\*/, (m, go) => h("i", {}, go(m[1]))],
  [/(?<!\w)_(?=[^\s_])([^_]*[^\s_])_(?!\w)/, (m, go) => h("i", {}, go(m[1]))],
  [/https?:\/\/[^\s<>|]*[^\s<>|.,;:!?)\]}'"]/, (m) => link(m[0], m[0])],
];

/** Apply the rule that matches first, then go on behind it. */
function inline(text, rules, names, finish) {
  const nodes = [];
  while (text) {
    let best = null;
    for (const [pattern, make] of rules) {
      const found = pattern.exec(text);
      if (found && (!best || found.index < best.found.index)) best = { found, make };
    }
    if (!best) break;
    const { found, make } = best;
    if (found.index) nodes.push(finish(text.slice(0, found.index)));
    const made = make(found, (inner) => inline(inner, rules, names, finish), names);
    nodes.push(...[made].flat());
    text = text.slice(found.index + found[0].length);
  }
  if (text) nodes.push(finish(text));
  return nodes;
}

/** Slack's mrkdwn. Quotes are lines that start with "&gt;" or ">". */
export function mrkdwn(text, names) {
  const finish = (part) => withEmoji(unescape(part));
  const nodes = [];
  for (const part of text.split(/((?:^(?:&gt;|>) ?.*(?:\n|$))+)/m)) {
    if (/^(?:&gt;|>)/.test(part)) {
      const quoted = part.replace(/\n$/, "").replace(/^(?:&gt;|>) ?/gm, "");
      nodes.push(h("blockquote", {}, inline(quoted, MRKDWN, names, finish)));
    } else nodes.push(...inline(part, MRKDWN, names, finish));
  }
  return nodes;
}

/** Markdown: headings, lists, tables, code, quotes, rules, paragraphs. */
export function markdown(text, names) {
  const spans = (part) => inline(part, MARKDOWN, names, withEmoji);
  return blocksOf(text.replace(/\r/g, "").split("\n"), spans);
}

const FENCE = /^ {0,3}(```+|~~~+)/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)]) +(.*)$/;
const TABLE_RULE = /^ *\|? *:?-+:? *(\| *:?-+:? *)*\|? *$/;

function blocksOf(lines, spans) {
  const nodes = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    const heading = /^ {0,3}(#{1,6}) +(.*?) *#*$/.exec(line);
    if (!line.trim()) at += 1;
    else if (FENCE.test(line)) at = fenced(lines, at, nodes);
    else if (heading) { nodes.push(h(`h${heading[1].length}`, {}, spans(heading[2]))); at += 1; }
    else if (/^ {0,3}([-*_])( *\1){2,} *$/.test(line)) { nodes.push(h("hr")); at += 1; }
    else if (line.includes("|") && TABLE_RULE.test(lines[at + 1] ?? "")) at = table(lines, at, nodes, spans);
    else if (ITEM.test(line)) at = list(lines, at, nodes, spans);
    else if (/^ {0,3}>/.test(line)) at = quote(lines, at, nodes, spans);
    else at = paragraph(lines, at, nodes, spans);
  }
  return nodes;
}

function fenced(lines, start, nodes) {
  const mark = FENCE.exec(lines[start])[1];
  let end = start + 1;
  while (end < lines.length && !lines[end].trim().startsWith(mark)) end += 1;
  nodes.push(h("pre", {}, lines.slice(start + 1, end).join("\n")));
  return end + 1;
}

function quote(lines, start, nodes, spans) {
  let end = start;
  while (end < lines.length && /^ {0,3}>/.test(lines[end])) end += 1;
  nodes.push(h("blockquote", {}, blocksOf(lines.slice(start, end).map((l) => l.replace(/^ {0,3}> ?/, "")), spans)));
  return end;
}

function paragraph(lines, start, nodes, spans) {
  let end = start + 1;
  const ends = (l) => !l.trim() || FENCE.test(l) || ITEM.test(l) || /^ {0,3}(#{1,6} |>)/.test(l);
  while (end < lines.length && !ends(lines[end])) end += 1;
  nodes.push(h("p", {}, spans(lines.slice(start, end).join("\n"))));
  return end;
}

function list(lines, start, nodes, spans) {
  const [, indent, mark] = ITEM.exec(lines[start]);
  const ordered = /\d/.test(mark);
  const made = h(ordered ? "ol" : "ul", ordered ? { start: parseInt(mark, 10) } : {});
  let at = start;
  while (at < lines.length) {
    const item = ITEM.exec(lines[at]);
    if (!item || item[1].length !== indent.length || /\d/.test(item[2]) !== ordered) break;
    const inner = [item[3].replace(/^\[ \] /, "☐ ").replace(/^\[[xX]\] /, "☑ ")];
    at += 1;
    while (at < lines.length && belongs(lines, at, indent.length)) { inner.push(lines[at].trimStart() === lines[at] ? lines[at] : lines[at].slice(indent.length + 2)); at += 1; }
    const children = blocksOf(inner, spans);
    made.append(h("li", {}, children[0]?.tagName === "P" ? [...children[0].childNodes, ...children.slice(1)] : children));
  }
  nodes.push(made);
  return at;
}

/** Whether a line goes on with the list item above it: indented deeper, or a blank line within. */
function belongs(lines, at, indent) {
  const depth = (line) => /^ */.exec(line)[0].length;
  if (!lines[at].trim()) return lines[at + 1] !== undefined && depth(lines[at + 1]) > indent;
  return depth(lines[at]) > indent;
}

const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim());

function table(lines, start, nodes, spans) {
  const right = cells(lines[start + 1]).map((rule) => (/^-+:$/.test(rule) ? "right" : null));
  const row = (line, tag) => h("tr", {}, cells(line).map((cell, n) => h(tag, { class: right[n] }, spans(cell))));
  let end = start + 2;
  while (end < lines.length && lines[end].includes("|")) end += 1;
  const body = lines.slice(start + 2, end).map((line) => row(line, "td"));
  nodes.push(h("div", { class: "table" }, h("table", {}, h("thead", {}, row(lines[start], "th")), h("tbody", {}, body))));
  return end;
}
