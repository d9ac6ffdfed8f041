// What the parts of the page share: who one is and where, what the server said last, and how to ask it for something.

import { h } from "/page/text.js";

/** Where one is: the person, the conversation (or "home"), the open thread. page.js reads it from the address. */
export const ui = { me: "U0ANN", place: "C0HR", thread: "" };

/** The workspace as this person sees it; page.js replaces `world` at every change. */
export const seen = { world: null };

export async function act(name, body = {}) {
  const answer = await fetch(`/page/act/${name}`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ me: ui.me, ...body }) });
  const { result, error } = await answer.json();
  if (error) toast(error);
  return result;
}

/** Be somebody else, or somewhere else: the address changes, and page.js does the rest. */
export function go(changes) {
  const next = { ...ui, ...changes };
  location.hash = [next.me, next.place, next.thread].filter(Boolean).join("/");
}

export function toast(text) {
  const node = h("div", {}, text);
  document.getElementById("toasts").append(node);
  setTimeout(() => node.remove(), 6000);
}

// Names

export const names = {
  get people() { return seen.world.people; },
  get groups() { return seen.world.groups; },
  channel: (id) => seen.world.channels.find((c) => c.id === id)?.name,
};

export const channelOf = (id) => seen.world.channels.find((channel) => channel.id === id);
export const titleOf = (channel) => (channel.im ? "hr-bot" : `# ${channel.name}`);
export const time = (ts) => new Date(Number(ts) * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
export const sessionOf = (channel, thread) => seen.world.sessions[`${channel}/${thread}`];

export function avatar(person) {
  const initials = person.bot ? "hr" : person.name.split(" ").map((word) => word[0]).join("").slice(0, 2);
  return h("span", { class: `avatar ${person.bot ? "bot" : person.id}`, "aria-hidden": "true" }, initials);
}

/** What the bot does in a thread, in words: its line of status, or the sign of its session; "" if nothing. */
export function working(channel, thread) {
  const line = seen.world.statuses[`${channel}/${thread}`];
  if (line) return `hr-bot ${turning(line)}`;
  return { processing: "hr-bot is working …", suspended: "hr-bot waits for you" }[sessionOf(channel, thread)?.status] ?? "";
}

/** Loading messages take turns, four seconds each. */
function turning(status) {
  const all = status.loading_messages;
  return all.length ? all[Math.floor(Date.now() / 4000) % all.length] : status.text;
}

export function stopButton(channel, thread) {
  if (!sessionOf(channel, thread)?.stoppable) return null;
  return h("button", { type: "button", class: "stop", onclick: () => act("stop", { channel, thread_ts: thread }) }, "■ Stop");
}

/** Make `box` show one node per item, keeping the nodes whose item did not change (open menus, half-made choices), and the focus. */
export function keyed(box, items, make) {
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
  if (nodes.length !== box.children.length || nodes.some((node, n) => node !== box.children[n])) {
    const before = focused(box);
    box.replaceChildren(...nodes);
    refocus(box, before);
    toEnd(box);
  }
}

// The focus: a node that is drawn anew loses it, and so does one that is only put in again

const nameOf = (element) => element.dataset.action ?? element.getAttribute("aria-label") ?? element.textContent;

function focused(box) {
  const at = document.activeElement;
  const node = box.contains(at) ? [...box.children].find((child) => child.contains(at)) : null;
  return node ? { at, key: node.dataset.key, name: nameOf(at), whole: node === at } : null;
}

/** Give the focus back to what had it, or to what is drawn in its place; where that is gone, to the box to write in. */
function refocus(box, before) {
  if (!before) return;
  const node = [...box.children].find((child) => child.dataset.key === before.key);
  const inner = node ? [...node.querySelectorAll("button, a, input, select, textarea")] : [];
  const same = before.at.isConnected ? before.at : before.whole ? node : inner.find((one) => nameOf(one) === before.name);
  if (same) same.focus({ preventScroll: true });
  else toComposer();
}

/** Where one writes at the moment: in the thread, if one is open. */
export function toComposer() {
  const thread = document.getElementById("thread");
  const box = (thread.hidden ? document.getElementById("foot") : document.getElementById("thread-foot")).querySelector("textarea");
  if (!box) return;
  box.focus({ preventScroll: true });
  box.setSelectionRange(box.value.length, box.value.length);
}

/** After a dialog or a menu: the browser has given the focus back, unless that element is gone. */
export function afterDialog() {
  if (document.activeElement === document.body) toComposer();
}

// The end of a log: it is followed while its reader is there; who scrolled up is left alone

const shape = (box) => `${box.clientHeight}/${box.scrollHeight}`;

export function followEnd(box) {
  box.atEnd = true;
  // A box that got another shape scrolls by itself: that is no reader who went elsewhere.
  box.addEventListener("scroll", () => {
    if (box.shape === shape(box)) box.atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
  });
  new ResizeObserver(() => toEnd(box)).observe(box);
}

function toEnd(box) {
  if (box.atEnd) box.scrollTop = box.scrollHeight;
  box.shape = shape(box);
}

/** Another conversation is shown in this box: it opens at its newest message. */
export function opensAtEnd(box, what) {
  if (box.dataset.what === what) return;
  box.dataset.what = what;
  box.atEnd = true;
}
