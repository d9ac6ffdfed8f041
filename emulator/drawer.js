// The drawer for developers: faults on demand, what was delivered to the bot, what the bot called.

import { h } from "/page/text.js";

const KINDS = {
  ratelimited: "429, try again in 1 s", http_500: "500, no JSON", empty_503: "503, empty", timeout: "done, but no answer",
  drop: "connection lost", error: "refused (internal_error)",
};

/** Fill the drawer; the form is made once, so that what is half chosen stays. */
export function drawDrawer(drawer, engine, act) {
  if (!drawer.children.length) drawer.append(form(engine, act), h("div", { class: "live" }));
  drawer.querySelector(".live").replaceChildren(...live(engine, act));
}

function form(engine, act) {
  const method = h("select", { "aria-label": "Method" }, h("option", { value: "*" }, "any method"),
    engine.methods.map((name) => h("option", { value: name }, name)));
  method.value = "chat.postMessage";
  const kind = h("select", { "aria-label": "What happens" }, engine.kinds.map((name) => h("option", { value: name }, KINDS[name] ?? name)));
  const times = h("input", { type: "number", min: 1, max: 99, value: 1, "aria-label": "How many calls" });
  const arm = () => act("fault", { method: method.value, kind: kind.value, times: Number(times.value) });
  return h("div", {}, h("h2", {}, "Make Slack misbehave"), h("div", { class: "row" }, "The next", times, "calls of", method),
    h("div", { class: "row" }, "answer", kind, h("button", { type: "button", class: "kit primary", onclick: arm }, "Set")));
}

function live(engine, act) {
  const faults = Object.entries(engine.faults).map(([method, kinds]) => `${method}: ${kinds.length} × ${KINDS[kinds[0]]}`);
  const button = (label, run) => h("button", { type: "button", class: "kit", onclick: run }, label);
  return [
    faults.length ? h("div", { class: "row armed" }, h("ul", {}, faults.map((line) => h("li", {}, line))),
      button("Clear", () => act("clear-faults"))) : null,
    h("h2", {}, "Events to the bot"),
    h("div", { class: "row" }, button("Deliver the last event again", () => act("redeliver")),
      button(engine.cut_off ? "Reconnect the bot" : "Cut the bot off", () => act("cut-off", { down: !engine.cut_off }))),
    h("p", { class: "faint" }, engine.cut_off ? "The bot is cut off: nothing reaches it." : where(engine)),
    log(engine.attempts, (a) => [`${a.type}${a.number ? ` (retry ${a.number})` : ""}`, a.reply.status || a.reply.reason,
      a.reply.status >= 200 && a.reply.status < 300]),
    engine.violations.length ? h("h2", {}, "Limits broken") : null,
    engine.violations.length ? h("ul", { class: "log bad" }, engine.violations.toReversed().map((line) => h("li", {}, line))) : null,
    h("h2", {}, "Calls by the bot"),
    log(engine.calls, (c) => [c.method, c.fault || c.error || "ok", !c.fault && !c.error]),
  ].filter(Boolean);
}

function where(engine) {
  if (engine.sockets !== null) return `Socket mode: the bot has ${engine.sockets} connection${engine.sockets === 1 ? "" : "s"} open.`;
  return engine.bot_url ? `The bot is at ${engine.bot_url}.` : "No bot is connected.";
}

function log(entries, read) {
  if (!entries.length) return h("p", { class: "faint" }, "Nothing yet.");
  return h("ul", { class: "log" }, entries.toReversed().slice(0, 20).map((entry) => {
    const [what, result, good] = read(entry);
    const at = new Date(entry.at * 1000).toLocaleTimeString([], { hour12: false });
    return h("li", {}, h("time", {}, at), h("span", {}, what), h("span", { class: good ? "good" : "bad" }, String(result)));
  }));
}
