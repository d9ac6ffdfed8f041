// The page: fetches what one person sees whenever the workspace changes, and draws it.
// The hash of the address says who one is, where one is and which thread is open, so that two windows can be two people.

import { blocks } from "/page/blocks.js";
import { drawFoot } from "/page/composer.js";
import { changed, drawModal, press } from "/page/dialogs.js";
import { drawDrawer } from "/page/drawer.js";
import { closeMenuOutside, message, rows, walkable } from "/page/messages.js";
import { act, avatar, channelOf, followEnd, go, keyed, names, opensAtEnd, seen, sessionOf, titleOf, toast, toComposer, ui } from "/page/state.js";
import { h } from "/page/text.js";

const $ = (id) => document.getElementById(id);
const lastRead = {};
let noticesShown = null;

// Following the server

async function refresh() {
  seen.world = await (await fetch(`/page/state?me=${encodeURIComponent(ui.me)}`)).json();
  draw();
}

async function follow() {
  for (;;) {
    try {
      const answer = await fetch(`/page/changes?since=${seen.world?.version ?? -1}`);
      await answer.json();
      await refresh();
      document.body.classList.remove("offline");
    } catch {
      document.body.classList.add("offline");
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
}

/** What time alone changes: lines of status that end, loading messages that take turns, streams that expire. */
function tick() {
  const { sessions, statuses, streams } = seen.world ?? {};
  const busy = (list, key) => Object.values(list ?? {}).some((one) => one[key] === "live" || one[key] === "processing");
  if (Object.keys(statuses ?? {}).length || busy(streams, "state") || busy(sessions, "status")) refresh();
}

async function readHash() {
  const [me, place, thread] = location.hash.slice(1).split("/");
  const before = { ...ui };
  Object.assign(ui, { me: me || "U0ANN", place: place || "C0HR", thread: thread || "" });
  if (ui.me !== before.me) noticesShown = null;
  const arrived = ui.place !== before.place || ui.me !== before.me;
  const elsewhere = ui.place !== before.place || ui.thread !== before.thread;
  showSidebar(false);
  await refresh();
  if (elsewhere) toComposer();
  if (arrived) arrive();
}

/** What Slack tells the bot when somebody goes somewhere. */
function arrive() {
  if (ui.place === "home") act("home", { tab: "home" });
  else if (ui.place.startsWith("D")) act("home", { tab: "messages" });
  else if (seen.world.view) act("look", { channel: ui.place });
}

// Drawing

function draw() {
  drawPeople();
  drawSidebar();
  if (ui.place === "home") drawHome(); else drawChannel();
  drawThread();
  drawModal();
  drawNotices();
  drawDrawer($("drawer"), seen.world.engine, act);
}

function drawPeople() {
  const people = Object.values(names.people).filter((person) => !person.bot);
  keyed($("people"), people.map((person) => ({ key: person.id, person, on: person.id === ui.me })), ({ person, on }) =>
    h("button", { type: "button", "aria-pressed": String(on), title: person.title,
      onclick: () => go({ me: person.id, place: ui.place.startsWith("D") ? "C0HR" : ui.place, thread: ui.place.startsWith("D") ? "" : ui.thread }) },
    avatar(person), h("span", {}, person.name), person.guest ? h("span", { class: "tag" }, "guest") : null,
    person.admin ? h("span", { class: "tag" }, "admin") : null));
}

function drawSidebar() {
  const entry = (key, label, unread) => ({ key, label, on: ui.place === key, unread });
  const all = seen.world.channels.map((channel) => entry(channel.id, titleOf(channel), isUnread(channel.id)));
  const head = (label) => ({ key: label, head: label });
  const items = [head("Local workspace"), head("Channels"), ...all.filter((row) => row.key[0] !== "D"),
    head("Direct messages"), ...all.filter((row) => row.key[0] === "D"), head("Apps"), entry("home", "hr-bot · Home", false)];
  keyed($("sidebar"), items, (item) => {
    if (item.head) return h(item.head === "Local workspace" ? "h1" : "h2", {}, item.head);
    return h("button", { type: "button", class: item.unread ? "unread" : "", "aria-current": item.on ? "page" : null,
      onclick: () => go({ place: item.key, thread: "" }) }, item.label);
  });
}

function isUnread(channel) {
  const last = (seen.world.messages[channel] ?? []).at(-1)?.ts ?? "";
  const key = `${ui.me}/${channel}`;
  if (ui.place === channel || lastRead[key] === undefined) lastRead[key] = last;
  return last > lastRead[key];
}

function drawChannel() {
  const channel = channelOf(ui.place);
  if (!channel) return go({ place: "C0HR", thread: "" });
  const chats = channel.im && seen.world.view === "assistant_view";
  keyed($("title"), [{ key: channel.id, members: channel.members, chats }], () => h("div", { class: "title-row" },
    h("span", {}, h("b", {}, titleOf(channel)), " ", h("span", { class: "faint" }, channel.im ? surface() : `${channel.members} members`)),
    chats ? h("button", { type: "button", class: "kit", onclick: newChat }, "New chat") : null));
  opensAtEnd($("messages"), `${ui.me}/${channel.id}`);
  const list = rows(channel.id, "");
  keyed($("messages"), list.length ? list : [{ key: `intro ${channel.id}` }], (row) => (row.message ? message(row) : intro(channel)));
  drawFoot($("foot"), channel, "");
}

const surface = () => ({ assistant_view: "assistant", agent_view: "agent" }[seen.world.view] ?? "direct message");

async function newChat() {
  const thread = await act("open-assistant");
  if (thread) go({ thread });
}

function intro(channel) {
  const bot = channel.name === "hr-bot" || channel.im;
  return h("div", { class: "intro" }, h("h2", {}, bot ? "Ask the bot something" : `This is #${channel.name}`),
    h("p", {}, bot ? "Pick a question below or write your own. Reading is answered at once; what changes or removes something "
      + "is shown as a card first, and is not sent before somebody presses Approve." : "hr-bot is a member here too, but it works in its own channel."));
}

function drawThread() {
  const channel = channelOf(ui.place);
  const root = channel && ui.thread ? seen.world.messages[channel.id]?.find((m) => m.ts === ui.thread) : null;
  $("thread").hidden = !root;
  document.body.classList.toggle("threaded", Boolean(root));
  if (!root) return;
  const session = sessionOf(channel.id, ui.thread);
  const chat = root.subtype === "assistant_app_thread";
  const title = session?.title || (chat ? "New chat" : "Thread");
  keyed($("thread-title"), [{ key: ui.thread, title, named: Boolean(session) }], ({ named }) =>
    h("span", {}, h("b", {}, title), " ", h("span", { class: "faint" }, titleOf(channel)),
      named ? h("button", { type: "button", class: "quiet", "aria-label": "Rename", title: "Rename", onclick: () => rename(channel, session.title) }, "✎") : null));
  opensAtEnd($("replies"), `${ui.me}/${channel.id}/${ui.thread}`);
  // The message that Slack itself posts at the head of a chat is its title, which stands above.
  const list = rows(channel.id, ui.thread).filter((row) => !(chat && row.message === root));
  keyed($("replies"), list.length ? list : [{ key: `intro ${ui.thread}` }], (row) => (row.message ? message(row) : intro(channel)));
  drawFoot($("thread-foot"), channel, ui.thread);
}

async function rename(channel, before) {
  const title = await changed("Rename this conversation", before ?? "");
  if (title) await act("rename", { channel: channel.id, thread_ts: ui.thread, title });
}

function drawHome() {
  const home = seen.world.home;
  $("messages").dataset.what = "home";
  $("messages").atEnd = false;
  keyed($("title"), [{ key: "home" }], () => h("span", {}, h("b", {}, "hr-bot"), " ", h("span", { class: "faint" }, "Home")));
  keyed($("messages"), [{ key: "home", view: home }], () => h("div", { class: "card home" }, home
    ? blocks(home.blocks, names, (e, value, node) => press(e, value, node, { view_id: home.id }))
    : h("p", { class: "faint" }, "hr-bot has published nothing here yet.")));
  $("foot").replaceChildren();
}

function drawNotices() {
  if (noticesShown !== null) seen.world.notices.slice(noticesShown).forEach(toast);
  noticesShown = seen.world.notices.length;
}

function showSidebar(open) {
  document.body.classList.toggle("sidebar", open);
  $("open-sidebar").setAttribute("aria-expanded", String(open));
  if (open) $("sidebar").querySelector("[aria-current]")?.focus();
}

/** Escape closes what is open: the list of conversations, else the thread. Dialogs and menus see to themselves. */
function escape(event) {
  if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]")) return;
  if (document.body.classList.contains("sidebar")) showSidebar(false);
  else if (!$("drawer").hidden) $("open-drawer").click();
  else if (ui.thread) return go({ thread: "" });
  toComposer();
}

$("close-thread").onclick = () => go({ thread: "" });
$("open-sidebar").onclick = () => showSidebar(!document.body.classList.contains("sidebar"));
for (const log of [$("messages"), $("replies")]) { followEnd(log); walkable(log); }
document.addEventListener("keydown", escape);
$("open-drawer").onclick = () => {
  $("drawer").hidden = !$("drawer").hidden;
  $("open-drawer").setAttribute("aria-expanded", String(!$("drawer").hidden));
};
window.addEventListener("hashchange", readHash);
closeMenuOutside();
setInterval(tick, 2000);
ui.place = "";
readHash();
follow();
