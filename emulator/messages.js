// Messages: one row each, with what grows, what was edited or deleted, the reactions, the thread and the menu.

import { blocks } from "/page/blocks.js";
import { changed, press } from "/page/dialogs.js";
import { act, afterDialog, avatar, go, names, seen, sessionOf, stopButton, time, ui, working } from "/page/state.js";
import { emoji, h, mrkdwn, unescape } from "/page/text.js";

const isTop = (m) => !m.thread_ts || m.thread_ts === m.ts || m.subtype === "thread_broadcast";

/** Messages and ephemeral ones, oldest first, each with what is drawn around it. */
export function rows(channel, thread) {
  const { messages, ephemerals, streams } = seen.world;
  const inThread = (m) => (thread ? m.ts === thread || m.thread_ts === thread : isTop(m));
  const hidden = ephemerals.filter((m) => m.channel === channel && (thread ? m.thread_ts === thread : !m.thread_ts));
  const all = [...(messages[channel] ?? []).filter(inThread), ...hidden].sort((a, b) => (a.ts < b.ts ? -1 : 1));
  return all.map((message) => ({ key: message.ts, message, channel, thread, me: ui.me, open: ui.thread === message.ts,
    stream: streams[`${channel}/${message.ts}`]?.state ?? null,
    stoppable: Boolean(sessionOf(channel, message.thread_ts ?? message.ts)?.stoppable),
    title: sessionOf(channel, message.ts)?.title ?? "",
    status: thread ? "" : working(channel, message.ts) }));
}

export function message(row) {
  const m = row.message;
  if (m.subtype === "tombstone") return deleted(row);
  const author = names.people[m.user] ?? { name: m.username ?? "Slackbot", id: "", bot: Boolean(m.bot_id) };
  const tag = author.bot ? h("span", { class: "tag" }, "APP") : author.guest ? h("span", { class: "tag" }, "guest") : null;
  return h("article", { class: `message${m.is_ephemeral ? " ephemeral" : ""}${row.open ? " open" : ""}`, "data-ts": m.ts, tabindex: -1 },
    avatar(author),
    h("div", { class: "body" },
      m.is_ephemeral ? h("div", { class: "faint" }, "Only visible to you") : null,
      m.subtype === "thread_broadcast" && !row.thread ? h("div", { class: "faint" }, "replied to a thread") : null,
      h("div", { class: "by" }, h("b", {}, author.name), tag, h("time", { title: m.ts }, time(m.ts)),
        m.edited ? h("span", { class: "faint" }, "(edited)") : null),
      content(m, row), files(m), growth(row), reactions(m), replies(row),
      row.status ? h("div", { class: "thinking" }, row.status) : null),
    m.is_ephemeral ? null : menu(row));
}

const deleted = (row) => h("article", { class: "message deleted", "data-ts": row.message.ts, tabindex: -1 },
  h("span", { class: "avatar gone", "aria-hidden": "true" }, "–"),
  h("div", { class: "body" }, h("div", { class: "faint" }, row.message.text), replies(row)));

function content(m, row) {
  if (m.subtype === "assistant_app_thread") {
    return h("div", { class: "chat" }, row.title || m.assistant_app_thread.title);
  }
  if (!m.blocks?.length || !m.bot_id) return h("div", { class: "text" }, mrkdwn(m.text ?? "", names));
  return h("div", { class: `card${row.stream === "live" ? " growing" : ""}` },
    blocks(m.blocks, names, (e, value, node) => press(e, value, node, { ts: m.ts, channel: row.channel })));
}

const files = (m) => (m.files?.length ? h("div", { class: "files" }, m.files.map((file) =>
  h("span", { class: "picture", title: file.mimetype }, file.name))) : null);

/** How it stands with a message that was streamed; nothing about one that came to its end. */
function growth(row) {
  if (row.stream === "live") {
    return h("div", { class: "growth" }, h("span", { class: "thinking" }, "writing …"),
      row.stoppable ? stopButton(row.channel, row.message.thread_ts) : null);
  }
  if (row.stream === "stopped_by_user") return h("div", { class: "growth faint" }, "■ stopped");
  if (row.stream === "expired") return h("div", { class: "growth bad" }, "Cut off: Slack ends a stream after five minutes.");
  return null;
}

const reactions = (m) => (m.reactions?.length ? h("div", { class: "reactions" }, m.reactions.map((r) =>
  h("span", { title: r.users.map((user) => names.people[user]?.name).join(", ") }, `${emoji(r.name)} ${r.count}`))) : null);

function replies({ message: m, channel, thread }) {
  if (thread || !m.reply_count) return null;
  return h("button", { type: "button", class: "replies", onclick: () => go({ place: channel, thread: m.ts }) },
    (m.reply_users ?? []).map((user) => avatar(names.people[user])), `${m.reply_count} ${m.reply_count === 1 ? "reply" : "replies"}`);
}

function menu({ message: m, channel, thread }) {
  const item = (label, name, run) => h("button", { type: "button", "aria-label": name, title: name, onclick: run }, label);
  return h("div", { class: "menu" },
    item("👍", "React with a thumbs-up", () => act("react", { ts: m.ts, channel, name: "thumbsup" })),
    thread ? null : item("Reply in thread", "Reply in thread", () => go({ place: channel, thread: m.ts })),
    item("⋯", "More actions", (event) => openMenu(event.currentTarget, m, channel)));
}

/** The list under ⋯. It hangs over the page, so that it stays while its message grows. */
function openMenu(button, m, channel) {
  const list = document.getElementById("menu");
  const item = (label, run, kind = "") => h("button", { type: "button", role: "menuitem", class: kind,
    onclick: () => { closeMenu(); run(); } }, label);
  const mine = m.user === ui.me;
  const shortcuts = seen.world.shortcuts.map(({ callback_id, name }) =>
    item(h("span", {}, name, h("span", { class: "faint" }, " hr-bot")), () => act("shortcut", { ts: m.ts, channel, callback_id })));
  list.replaceChildren(...shortcuts,
    ...(mine ? [item("Edit message", () => edit(m, channel))] : []),
    ...(mine || names.people[ui.me].admin ? [item("Delete message …", () => act("delete", { ts: m.ts, channel }), "bad")] : []));
  if (!list.children.length) list.append(h("span", { class: "faint" }, "Nothing to do here"));
  list.hidden = false;
  list.opener = button;
  const at = button.getBoundingClientRect();
  list.style.top = `${Math.min(at.bottom + 4, innerHeight - list.offsetHeight - 8)}px`;
  list.style.left = `${Math.max(8, at.right - list.offsetWidth)}px`;
  list.querySelector("button")?.focus();
}

function closeMenu() {
  const list = document.getElementById("menu");
  if (list.hidden) return;
  const had = list.contains(document.activeElement);
  list.hidden = true;
  if (!had) return;
  list.opener?.closest("article")?.focus(); // which shows the button again
  list.opener?.focus();
  afterDialog();
}

async function edit(m, channel) {
  const text = await changed("Edit message", unescape(m.text).replace(/<@(\w+)>/g, (all, id) => `@${names.people[id]?.name ?? id}`));
  if (text) await act("edit", { ts: m.ts, channel, text });
}

export function closeMenuOutside() {
  const list = document.getElementById("menu");
  document.addEventListener("pointerdown", (event) => {
    if (!list.contains(event.target) && !event.target.closest(".menu")) closeMenu();
  });
  list.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { event.preventDefault(); closeMenu(); } else walk(event, [...list.querySelectorAll("button")]);
  });
}

/** Lets the arrows go from message to message; Tab goes on into the one that has the focus. */
export function walkable(log) {
  log.addEventListener("keydown", (event) => {
    if (event.target === log || event.target.matches("article")) walk(event, [...log.querySelectorAll(":scope > article")]);
  });
}

function walk(event, all) {
  const at = all.indexOf(document.activeElement);
  const next = { ArrowUp: at < 0 ? all.length - 1 : at - 1, ArrowDown: at + 1, Home: 0, End: all.length - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  all[Math.max(0, Math.min(next, all.length - 1))]?.focus();
}
