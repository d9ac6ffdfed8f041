// The page: fetches what one person sees whenever the workspace changes, and draws it.
// The hash of the address says who one is, where one is and which thread is open, so that two windows can be two people.

import { blocks, entered, textOf } from "/page/blocks.js";
import { drawDrawer } from "/page/drawer.js";
import { emoji, h, mrkdwn, plain } from "/page/text.js";

const $ = (id) => document.getElementById(id);
const ui = { me: "U0ANN", place: "C0HR", thread: "" };
let world = null;
let noticesShown = null;
const seen = {};

// Talking to the server

async function act(name, body = {}) {
  const answer = await fetch(`/page/act/${name}`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ me: ui.me, ...body }) });
  const { result, error } = await answer.json();
  if (error) toast(error);
  return result;
}

async function refresh() {
  world = await (await fetch(`/page/state?me=${encodeURIComponent(ui.me)}`)).json();
  draw();
}

async function follow() {
  for (;;) {
    try {
      const answer = await fetch(`/page/changes?since=${world?.version ?? -1}`);
      await answer.json();
      await refresh();
      document.body.classList.remove("offline");
    } catch {
      document.body.classList.add("offline");
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
}

/** Be somebody else, or somewhere else: the address changes, and readHash does the rest. */
function go(changes) {
  const next = { ...ui, ...changes };
  location.hash = [next.me, next.place, next.thread].filter(Boolean).join("/");
}

function readHash() {
  const [me, place, thread] = location.hash.slice(1).split("/");
  const before = { ...ui };
  Object.assign(ui, { me: me || "U0ANN", place: place || "C0HR", thread: thread || "" });
  if (ui.me !== before.me) noticesShown = null;
  if (ui.place === "home" && (before.place !== "home" || ui.me !== before.me)) act("home");
  refresh();
}

// Names

const names = {
  get people() { return world.people; },
  get groups() { return world.groups; },
  channel: (id) => world.channels.find((c) => c.id === id)?.name,
};

const channelOf = (id) => world.channels.find((channel) => channel.id === id);
const titleOf = (channel) => (channel.im ? "hr-bot" : `# ${channel.name}`);
const time = (ts) => new Date(Number(ts) * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

function avatar(person) {
  const initials = person.bot ? "hr" : person.name.split(" ").map((word) => word[0]).join("").slice(0, 2);
  return h("span", { class: `avatar ${person.bot ? "bot" : person.id}`, "aria-hidden": "true" }, initials);
}

// Drawing

/** Make `box` show one node per item, keeping the nodes whose item did not change (open menus, half-made choices). */
function keyed(box, items, make) {
  const old = new Map([...box.children].map((node) => [node.dataset.key, node]));
  const nodes = items.map((item) => {
    const signature = JSON.stringify(item);
    const node = old.get(item.key);
    if (node?.signature === signature) return node;
    const made = make(item);
    made.dataset.key = item.key;
    made.signature = signature;
    return made;
  });
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
  if (nodes.length !== box.children.length || nodes.some((node, n) => node !== box.children[n])) {
    box.replaceChildren(...nodes);
    if (atEnd) box.scrollTop = box.scrollHeight;
  }
}

function draw() {
  drawPeople();
  drawSidebar();
  if (ui.place === "home") drawHome(); else drawChannel();
  drawThread();
  drawModal();
  drawNotices();
  drawDrawer($("drawer"), world.engine, act);
}

function drawPeople() {
  const people = Object.values(world.people).filter((person) => !person.bot);
  keyed($("people"), people.map((person) => ({ key: person.id, person, on: person.id === ui.me })), ({ person, on }) =>
    h("button", { type: "button", "aria-pressed": String(on), title: person.title,
      onclick: () => go({ me: person.id, place: ui.place.startsWith("D") ? "C0HR" : ui.place, thread: ui.place.startsWith("D") ? "" : ui.thread }) },
    avatar(person), h("span", {}, person.name), person.guest ? h("span", { class: "tag" }, "guest") : null));
}

function drawSidebar() {
  const entry = (key, label, unread) => ({ key, label, on: ui.place === key, unread });
  const rows = world.channels.map((channel) => entry(channel.id, titleOf(channel), isUnread(channel.id)));
  const head = (label) => ({ key: label, head: label });
  const items = [head("Local workspace"), head("Channels"), ...rows.filter((row) => row.key[0] !== "D"),
    head("Direct messages"), ...rows.filter((row) => row.key[0] === "D"), head("Apps"), entry("home", "hr-bot · Home", false)];
  keyed($("sidebar"), items, (item) => {
    if (item.head) return h(item.head === "Local workspace" ? "h1" : "h2", {}, item.head);
    return h("button", { type: "button", class: item.unread ? "unread" : "", "aria-current": item.on ? "page" : null,
      onclick: () => go({ place: item.key, thread: "" }) }, item.label);
  });
}

function isUnread(channel) {
  const last = (world.messages[channel] ?? []).at(-1)?.ts ?? "";
  const key = `${ui.me}/${channel}`;
  if (ui.place === channel || seen[key] === undefined) seen[key] = last;
  return last > seen[key];
}

const isTop = (m) => !m.thread_ts || m.thread_ts === m.ts || m.subtype === "thread_broadcast";

/** Messages and ephemeral ones, oldest first, each with what is drawn around it. */
function rows(channel, thread) {
  const inThread = (m) => (thread ? m.ts === thread || m.thread_ts === thread : isTop(m));
  const hidden = world.ephemerals.filter((m) => m.channel === channel && (thread ? m.thread_ts === thread : !m.thread_ts));
  const all = [...(world.messages[channel] ?? []).filter(inThread), ...hidden].sort((a, b) => (a.ts < b.ts ? -1 : 1));
  return all.map((message) => ({ key: message.ts, message, channel, thread, me: ui.me, open: ui.thread === message.ts,
    status: thread ? null : world.statuses[`${channel}/${message.ts}`]?.text ?? null }));
}

function drawChannel() {
  const channel = channelOf(ui.place);
  if (!channel) return go({ place: "C0HR", thread: "" });
  keyed($("title"), [{ key: channel.id, members: channel.members }], () => h("span", {}, h("b", {}, titleOf(channel)), " ",
    h("span", { class: "faint" }, channel.im ? "direct message" : `${channel.members} members`)));
  const list = rows(channel.id, "");
  keyed($("messages"), list.length ? list : [{ key: `intro ${channel.id}` }], (row) => (row.message ? message(row) : intro(channel)));
  drawFoot($("foot"), channel, "");
}

function intro(channel) {
  const bot = channel.name === "hr-bot" || channel.im;
  return h("div", { class: "intro" }, h("h2", {}, bot ? "Ask the bot something" : `This is #${channel.name}`),
    h("p", {}, bot ? "Pick a question below or write your own. Reading is answered at once; a change is shown as a card first, and "
      + "nothing is sent before somebody presses Approve." : "hr-bot is a member here too, but it works in its own channel."));
}

function message(row) {
  const m = row.message;
  const author = world.people[m.user] ?? { name: "Slackbot", id: "", bot: false };
  const tag = author.bot ? h("span", { class: "tag" }, "APP") : author.guest ? h("span", { class: "tag" }, "guest") : null;
  return h("article", { class: `message${m.is_ephemeral ? " ephemeral" : ""}${row.open ? " open" : ""}`, "data-ts": m.ts },
    avatar(author),
    h("div", { class: "body" },
      m.is_ephemeral ? h("div", { class: "faint" }, "Only visible to you") : null,
      h("div", { class: "by" }, h("b", {}, author.name), tag, h("time", { title: m.ts }, time(m.ts)),
        m.edited ? h("span", { class: "faint" }, "(edited)") : null),
      content(m, row.channel),
      reactions(m), replies(row),
      row.status ? h("div", { class: "thinking" }, `hr-bot ${row.status}`) : null),
    m.is_ephemeral || m.subtype === "tombstone" ? null : menu(row));
}

function content(m, channel) {
  if (!m.blocks?.length || !m.bot_id) return h("div", { class: "text" }, mrkdwn(m.text ?? "", names));
  return h("div", { class: "card" }, blocks(m.blocks, names, (e, value, node) => press(e, value, node, { ts: m.ts, channel })));
}

const reactions = (m) => (m.reactions?.length ? h("div", { class: "reactions" }, m.reactions.map((r) =>
  h("span", { title: r.users.map((user) => world.people[user]?.name).join(", ") }, `${emoji(r.name)} ${r.count}`))) : null);

function replies({ message: m, channel, thread }) {
  if (thread || !m.reply_count) return null;
  return h("button", { type: "button", class: "replies", onclick: () => go({ place: channel, thread: m.ts }) },
    (m.reply_users ?? []).map((user) => avatar(world.people[user])), `${m.reply_count} ${m.reply_count === 1 ? "reply" : "replies"}`);
}

function menu({ message: m, channel, thread }) {
  const item = (label, run) => h("button", { type: "button", onclick: run }, label);
  const shortcuts = Object.entries(world.shortcuts).map(([callback_id, name]) =>
    item(name, () => act("shortcut", { ts: m.ts, channel, callback_id })));
  return h("div", { class: "menu" },
    thread ? null : item("Reply in thread", () => go({ place: channel, thread: m.ts })),
    item("👍", () => act("react", { ts: m.ts, channel, name: "thumbsup" })), shortcuts,
    m.user === ui.me ? item("Delete", () => act("delete", { ts: m.ts, channel })) : null);
}

async function press(element, value, node, where) {
  if (element.confirm && !(await confirmed(element.confirm))) return;
  if (element.url) window.open(element.url, "_blank", "noreferrer");
  node?.classList?.add("pressed");
  await act("click", { ...where, action_id: element.action_id, value });
  node?.classList?.remove("pressed");
}

function confirmed({ title, text, confirm, deny, style }) {
  const box = $("confirm");
  return new Promise((done) => {
    const answer = (yes) => () => { box.close(); done(yes); };
    box.oncancel = () => done(false);
    box.replaceChildren(h("h3", {}, title.text), h("p", {}, textOf(text, names)), h("div", { class: "actions end" },
      h("button", { type: "button", class: "kit", onclick: answer(false) }, deny.text),
      h("button", { type: "button", class: `kit ${style ?? "primary"}`, onclick: answer(true) }, confirm.text)));
    box.showModal();
  });
}

// The composers

function drawFoot(foot, channel, thread) {
  keyed(foot, [{ key: `${channel.id}/${thread}/${ui.me}` }], () => composer(channel, thread));
  const status = foot.querySelector(".status");
  const now = thread ? world.statuses[`${channel.id}/${thread}`] : null;
  status.textContent = now ? `hr-bot ${turning(now)}` : "";
  status.classList.toggle("thinking", Boolean(now));
  const prompts = (world.prompts[`${channel.id}/${thread}`] ?? world.prompts[`${channel.id}/`])?.prompts ?? [];
  const examples = thread ? [] : world.examples.map((text) => ({ title: text, message: text }));
  const chips = channel.name === "hr-bot" || channel.im ? (prompts.length ? prompts : examples) : [];
  keyed(foot.querySelector(".chips"), chips.map((chip) => ({ key: chip.title, ...chip })), (chip) =>
    h("button", { type: "button", onclick: () => { fill(foot, channel, chip.message); } }, chip.title));
}

/** Loading messages take turns, four seconds each. */
function turning(status) {
  const all = status.loading_messages;
  return all.length ? all[Math.floor(Date.now() / 4000) % all.length] : status.text;
}

const prefix = (channel) => (channel.im ? "" : "@hr-bot ");

function fill(foot, channel, text) {
  const box = foot.querySelector("textarea");
  box.value = prefix(channel) + text;
  box.focus();
}

function composer(channel, thread) {
  const box = h("textarea", { rows: 2, "aria-label": thread ? "Reply" : `Message ${titleOf(channel)}`,
    onkeydown: (event) => { if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); send(); } } });
  box.value = prefix(channel);
  async function send() {
    const text = box.value.trim();
    if (!text || text === "@hr-bot") return;
    box.value = prefix(channel);
    const ts = await act("say", { text, channel: channel.id, thread_ts: thread || null });
    // The answer comes in the thread: show it, as a newcomer would not know to look there.
    if (ts && !thread && (channel.im || /@hr-bot/i.test(text))) go({ place: channel.id, thread: ts });
  }
  return h("div", {}, h("div", { class: "status", role: "status" }), h("div", { class: "chips" }),
    h("div", { class: "composer" }, box, h("button", { type: "button", class: "send", "aria-label": "Send", onclick: send }, "➤")));
}

function drawThread() {
  const channel = channelOf(ui.place);
  const list = channel && ui.thread ? rows(channel.id, ui.thread) : [];
  $("thread").hidden = !list.length;
  document.body.classList.toggle("threaded", list.length > 0);
  if (!list.length) return;
  const title = world.sessions[`${channel.id}/${ui.thread}`]?.title;
  $("thread-place").textContent = title || titleOf(channel);
  keyed($("replies"), list, message);
  drawFoot($("thread-foot"), channel, ui.thread);
}

// Home, modals, notices

function drawHome() {
  keyed($("title"), [{ key: "home" }], () => h("span", {}, h("b", {}, "hr-bot"), " ", h("span", { class: "faint" }, "Home")));
  keyed($("messages"), [{ key: "home", view: world.home }], () => h("div", { class: "card home" }, world.home
    ? blocks(world.home.blocks, names, (e, value, node) => press(e, value, node, { view_id: world.home.id }))
    : h("p", { class: "faint" }, "hr-bot has published nothing here yet.")));
  $("foot").replaceChildren();
}

function drawModal() {
  const view = world.modals.at(-1);
  const box = $("modal");
  if (!view) { if (box.open) box.close(); box.signature = null; return; }
  const signature = `${view.id} ${view.hash}`;
  if (box.signature !== signature) {
    box.signature = signature;
    box.replaceChildren(modal(view));
    if (!box.open) box.showModal();
  }
  const errors = world.view_errors[view.id] ?? {};
  for (const input of box.querySelectorAll("[data-block]")) {
    const slot = input.querySelector(":scope > .error");
    if (slot) slot.textContent = errors[input.dataset.block] ?? "";
  }
}

function modal(view) {
  const close = () => act("close", { view_id: view.id });
  $("modal").oncancel = (event) => { event.preventDefault(); close(); };
  const form = h("form", { method: "dialog", novalidate: true, onsubmit: (event) => {
    event.preventDefault();
    if (view.submit) act("submit", { view_id: view.id, values: entered(form, view) });
  } },
  h("div", { class: "title" }, h("b", {}, plain(view.title.text)),
    h("button", { type: "button", class: "quiet", "aria-label": "Close", onclick: close }, "✕")),
  h("div", { class: "card" }, blocks(view.blocks, names, (e, value, node) => {
    const block = view.blocks.find((b) => b.element === e);
    if (!block || block.dispatch_action) press(e, value, node, { view_id: view.id });
  })),
  h("div", { class: "actions end" }, h("button", { type: "button", class: "kit", onclick: close }, view.close?.text ?? "Cancel"),
    view.submit ? h("button", { type: "submit", class: "kit primary" }, plain(view.submit.text)) : null));
  return form;
}

function drawNotices() {
  if (noticesShown !== null) world.notices.slice(noticesShown).forEach(toast);
  noticesShown = world.notices.length;
}

function toast(text) {
  const node = h("div", {}, text);
  $("toasts").append(node);
  setTimeout(() => node.remove(), 6000);
}

$("close-thread").onclick = () => go({ thread: "" });
$("open-drawer").onclick = () => {
  $("drawer").hidden = !$("drawer").hidden;
  $("open-drawer").setAttribute("aria-expanded", String(!$("drawer").hidden));
};
window.addEventListener("hashchange", readHash);
setInterval(() => world && Object.keys(world.statuses).length && draw(), 2000);
readHash();
follow();
