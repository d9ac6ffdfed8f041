// Under a conversation: what the bot does there and its Stop button, suggested prompts, and the box to write in.

import { act, go, keyed, seen, stopButton, titleOf, ui, working } from "/page/state.js";
import { h } from "/page/text.js";

export function drawFoot(foot, channel, thread) {
  keyed(foot, [{ key: `${channel.id}/${thread}/${ui.me}` }], () => composer(channel, thread));
  // A message that grows says so itself, and has the button.
  const grows = Object.entries(seen.world.streams).some(([key, one]) =>
    one.state === "live" && one.thread_ts === thread && key.startsWith(`${channel.id}/`));
  const doing = thread && !grows ? working(channel.id, thread) : "";
  const busy = Boolean(doing) && !doing.endsWith("for you");
  const stop = doing ? stopButton(channel.id, thread) : null;
  foot.querySelector(".status").replaceChildren(...[
    doing ? h("span", { class: busy ? "thinking" : "" }, doing) : null, stop].filter(Boolean));
  drawChips(foot, channel, thread);
}

function drawChips(foot, channel, thread) {
  const asked = channel.im ? seen.world.prompts[`${channel.id}/${thread}`] : null;
  const examples = thread || asked || !(channel.name === "hr-bot" || channel.im) ? [] : seen.world.examples;
  const items = [...(asked?.title ? [{ key: "title", label: asked.title }] : []),
    ...(asked?.prompts ?? []).map((prompt) => ({ key: `prompt ${prompt.title}`, ...prompt, sends: true })),
    ...examples.map((text) => ({ key: text, title: text, message: text }))];
  keyed(foot.querySelector(".chips"), items, (item) => {
    if (item.label) return h("span", { class: "faint" }, item.label);
    return h("button", { type: "button", title: item.message,
      onclick: () => (item.sends ? say(channel, thread, item.message) : fill(foot, channel, item.message)) }, item.title);
  });
}

const prefix = (channel) => (channel.im ? "" : "@hr-bot ");

function fill(foot, channel, text) {
  const box = foot.querySelector("textarea");
  box.value = prefix(channel) + text;
  box.focus();
}

/** In an app with assistant_view whatever is said to the bot is said in a chat. */
async function say(channel, thread, text) {
  const chat = channel.im && !thread && seen.world.view === "assistant_view" ? await act("open-assistant") : null;
  const ts = await act("say", { text, channel: channel.id, thread_ts: thread || chat || null });
  // The answer comes in the thread: show it, as a newcomer would not know to look there.
  if (ts && !thread && (channel.im || /@hr-bot/i.test(text))) go({ place: channel.id, thread: chat ?? ts });
}

function composer(channel, thread) {
  const box = h("textarea", { rows: 2, "aria-label": thread ? "Reply" : `Message ${titleOf(channel)}`,
    onkeydown: (event) => { if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); send(); } } });
  box.value = prefix(channel);
  function send() {
    const text = box.value.trim();
    if (!text || text === "@hr-bot") return;
    box.value = prefix(channel);
    document.getElementById(thread ? "replies" : "messages").atEnd = true; // one wants to see what one said
    say(channel, thread, text);
  }
  return h("div", {}, h("div", { class: "status", role: "status" }), h("div", { class: "chips" }),
    h("div", { class: "composer" }, box, h("button", { type: "button", class: "send", "aria-label": "Send", onclick: send }, "➤")));
}
