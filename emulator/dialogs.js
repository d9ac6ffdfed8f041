// What opens over the page: confirmations, a line to edit, the modals of the bot.

import { blocks, entered, textOf } from "/page/blocks.js";
import { act, afterDialog, names, seen } from "/page/state.js";
import { h, plain } from "/page/text.js";

const $ = (id) => document.getElementById(id);

/** The `confirm` of an element: whether the person agreed. */
export function confirmed({ title, text, confirm, deny, style }) {
  return asked(title.text, h("p", {}, textOf(text, names)), deny.text, confirm.text, style);
}

/** Let the person change a text; the new one, or null. */
export async function changed(title, text) {
  const box = h("textarea", { rows: 3, "aria-label": title });
  box.value = text;
  return (await asked(title, h("p", {}, box), "Cancel", "Save")) ? box.value.trim() || null : null;
}

function asked(title, content, no, yes, style) {
  const box = $("confirm");
  return new Promise((done) => {
    const answer = (value) => () => { box.close(); done(value); };
    box.oncancel = () => done(false);
    box.onclose = afterDialog;
    box.replaceChildren(h("h3", {}, title), content, h("div", { class: "actions end" },
      h("button", { type: "button", class: "kit", onclick: answer(false) }, no),
      h("button", { type: "button", class: `kit ${style ?? "primary"}`, onclick: answer(true) }, yes)));
    box.showModal();
  });
}

/** Somebody presses an element of a message or a view. */
export async function press(element, value, node, where) {
  if (element.confirm && !(await confirmed(element.confirm))) return;
  if (element.url) window.open(element.url, "_blank", "noreferrer");
  node?.classList?.add("pressed");
  await act("click", { ...where, action_id: element.action_id, value });
  node?.classList?.remove("pressed");
}

export function drawModal() {
  const view = seen.world.modals.at(-1);
  const box = $("modal");
  if (!view) { if (box.open) { box.close(); afterDialog(); } box.signature = null; return; }
  const signature = `${view.id} ${view.hash}`;
  if (box.signature !== signature) {
    box.signature = signature;
    box.replaceChildren(modal(view));
    if (!box.open) box.showModal();
    box.querySelector(".card :is(input, textarea, select)")?.focus();
  }
  const errors = seen.world.view_errors[view.id] ?? {};
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
