// Block Kit as DOM: the blocks of messages, modals and Home. What a press does is given by the caller.

import { emoji, h, markdown, mrkdwn, plain } from "/page/text.js";

/** A text object. */
export function textOf(object, names) {
  return object.type === "mrkdwn" ? mrkdwn(object.text, names) : [plain(object.text, object.emoji)];
}

/** All blocks; `press(element, value)` is called when somebody uses an element, `names` resolve mentions. */
export function blocks(list, names, press) {
  return list.map((block) => {
    const make = BLOCKS[block.type];
    const made = make ? make(block, names, press) : h("pre", { class: "unknown" }, JSON.stringify(block, null, 1));
    made.dataset.block = block.block_id;
    return made;
  });
}

const BLOCKS = {
  section: (block, names, press) => h("div", { class: "section" },
    h("div", { class: "grow" },
      block.text ? h("div", { class: "text" }, textOf(block.text, names)) : null,
      block.fields ? h("div", { class: "fields" }, block.fields.map((f) => h("div", { class: "text" }, textOf(f, names)))) : null),
    block.accessory ? element(block.accessory, names, press) : null),
  header: (block) => h("h3", { class: "header" }, plain(block.text.text)),
  divider: () => h("hr"),
  context: (block, names) => h("div", { class: "context" }, block.elements.map((part) =>
    (part.type === "image" ? picture(part) : h("span", { class: "text" }, textOf(part, names))))),
  actions: (block, names, press) => h("div", { class: "actions" }, block.elements.map((e) => element(e, names, press))),
  context_actions: (block, names, press) => h("div", { class: "actions" }, block.elements.map((e) => element(e, names, press))),
  image: (block) => h("figure", {}, block.title ? h("figcaption", {}, plain(block.title.text)) : null, picture(block)),
  markdown: (block, names) => h("div", { class: "markdown" }, markdown(block.text, names)),
  rich_text: (block, names) => h("div", { class: "rich" }, block.elements.map((part) => rich(part, names))),
  table: (block, names) => h("div", { class: "table" }, h("table", {}, block.rows.map((row, n) =>
    h("tr", {}, row.map((cell) => h(n ? "td" : "th", {}, cell.elements ? cell.elements.map((e) => rich(e, names)) : cell.text)))))),
  task_card: (block, names) => task(block, names),
  plan: (block, names) => h("div", { class: "plan" }, block.title ? h("b", {}, plain(block.title)) : null,
    (block.tasks ?? []).map((one) => task(one, names))),
  input: (block, names, press) => h("label", { class: "input" },
    h("span", { class: "label" }, plain(block.label.text), block.optional ? h("span", { class: "faint" }, " (optional)") : null),
    element(block.element, names, press),
    block.hint ? h("span", { class: "faint" }, plain(block.hint.text)) : null,
    h("span", { class: "error" })),
};

const MARKS = { pending: "○", in_progress: "◐", complete: "✓", error: "✕" };

function task(block, names) {
  const more = [block.details, block.output].filter(Boolean).flatMap((part) => part.elements.map((e) => rich(e, names)));
  const sources = (block.sources ?? []).map((source) => h("span", { class: "faint" }, source.text));
  return h("div", { class: `task ${block.status}` }, h("span", { class: "mark", title: block.status }, MARKS[block.status]),
    h("div", {}, h("div", {}, plain(block.title)), more.length ? h("div", { class: "faint" }, more) : null, sources));
}

// Pictures are named, not loaded: the page asks nothing of other servers.
const picture = (part) => h("span", { class: "picture", title: part.image_url }, `Picture: ${part.alt_text}`);

function rich(part, names) {
  const inner = () => part.elements.map((leaf) => richLeaf(leaf, names));
  switch (part.type) {
    case "rich_text_preformatted": return h("pre", {}, inner());
    case "rich_text_quote": return h("blockquote", {}, inner());
    case "rich_text_list": {
      const items = part.elements.map((item) => h("li", {}, rich(item, names)));
      return h(part.style === "ordered" ? "ol" : "ul", { class: part.indent ? `indent${part.indent}` : null }, items);
    }
    default: return h("div", { class: "text" }, inner());
  }
}

function richLeaf(leaf, names) {
  const style = leaf.style ?? {};
  let node = leafText(leaf, names);
  for (const [name, tag] of [["code", "code"], ["bold", "b"], ["italic", "i"], ["strike", "s"]]) {
    if (style[name]) node = h(tag, {}, node);
  }
  return node;
}

function leafText(leaf, names) {
  switch (leaf.type) {
    case "user": return h("span", { class: "mention" }, `@${names.people[leaf.user_id]?.name ?? leaf.user_id}`);
    case "channel": return h("span", { class: "mention" }, `#${names.channel(leaf.channel_id) ?? leaf.channel_id}`);
    case "usergroup": return h("span", { class: "mention" }, `@${names.groups[leaf.usergroup_id] ?? leaf.usergroup_id}`);
    case "broadcast": return h("span", { class: "mention" }, `@${leaf.range}`);
    case "emoji": return emoji(leaf.name);
    case "link": return h("span", {}, mrkdwn(`<${leaf.url.replace(/[<>|]/g, encodeURIComponent)}>`, names).map((a) => {
      if (leaf.text && a.textContent !== undefined) a.textContent = leaf.text;
      return a;
    }));
    case "date": return new Date(leaf.timestamp * 1000).toLocaleString();
    default: return leaf.text ?? leaf.value ?? "";
  }
}

/** One interactive element. */
function element(e, names, press) {
  switch (e.type) {
    case "button": return button(e, e.text.text, e.value ?? null, press);
    case "icon_button": return button(e, e.text.text, e.value ?? null, press);
    case "workflow_button": return button(e, e.text.text, null, press);
    case "feedback_buttons": return h("span", { class: "feedback" },
      button(e, `👍 ${e.positive_button.text.text}`, e.positive_button.value, press),
      button(e, `👎 ${e.negative_button.text.text}`, e.negative_button.value, press));
    case "image": return picture(e);
    case "overflow": return select(e, e.options, press, "⋯");
    case "users_select": return select(e, people(names), press, e.placeholder?.text ?? "Choose somebody", e.initial_user);
    case "checkboxes": return choices(e, "checkbox", names, press);
    case "radio_buttons": return choices(e, "radio", names, press);
    default:
      if (e.options || e.option_groups) return select(e, e.options ?? e.option_groups.flatMap((g) => g.options), press,
        e.placeholder?.text ?? "Choose an option", e.initial_option?.value);
      return field(e, press);
  }
}

function button(e, label, value, press) {
  const style = e.style ? ` ${e.style}` : "";
  return h("button", { type: "button", class: `kit${style}`, "data-action": e.action_id, "aria-label": e.accessibility_label ?? null,
    onclick: (event) => { event.preventDefault(); press(e, value, event.currentTarget); } }, plain(label));
}

const people = (names) => Object.values(names.people).map((p) => ({ value: p.id, text: { text: p.name } }));

function select(e, options, press, placeholder, initial) {
  const many = e.type.startsWith("multi_");
  const chosen = many ? (e.initial_options ?? []).map((o) => o.value) : [initial];
  return h("select", { "data-action": e.action_id, multiple: many, onchange: (event) => press(e, event.target.value, event.target) },
    many ? null : h("option", { value: "" }, plain(placeholder)),
    options.map((o) => h("option", { value: o.value, selected: chosen.includes(o.value) }, plain(o.text.text))));
}

function choices(e, type, names, press) {
  const chosen = [e.initial_option, ...(e.initial_options ?? [])].filter(Boolean).map((o) => o.value);
  return h("span", { class: "choices", "data-action": e.action_id }, e.options.map((o) => h("label", {},
    h("input", { type, name: e.action_id, value: o.value, checked: chosen.includes(o.value), onchange: () => press(e, o.value) }),
    h("span", {}, textOf(o.text, names), o.description ? h("span", { class: "faint" }, " ", textOf(o.description, names)) : null))));
}

const INPUT_TYPES = { email_text_input: "email", url_text_input: "url", number_input: "number", datepicker: "date", timepicker: "time", datetimepicker: "datetime-local" };

function field(e, press) {
  const initial = e.initial_value ?? e.initial_date ?? e.initial_time ?? "";
  const common = { "data-action": e.action_id, placeholder: e.placeholder?.text, maxlength: e.max_length };
  if (e.type === "plain_text_input" && e.multiline) return h("textarea", { ...common, rows: 4 }, String(initial));
  const step = e.is_decimal_allowed ? "any" : null;
  return h("input", { ...common, type: INPUT_TYPES[e.type] ?? "text", value: initial, step, onchange: (event) => press(e, event.target.value) });
}

/** What is entered in the input blocks under `root`, by block_id. */
export function entered(root, view) {
  const values = {};
  for (const block of view.blocks.filter((b) => b.type === "input")) {
    const box = root.querySelector(`[data-block="${CSS.escape(block.block_id)}"]`);
    values[block.block_id] = valueOf(box, block.element.type);
  }
  return values;
}

function valueOf(box, type) {
  const checked = [...box.querySelectorAll("input:checked")].map((input) => input.value);
  if (type === "checkboxes") return checked;
  if (type === "radio_buttons") return checked[0] ?? null;
  const control = box.querySelector("input, textarea, select");
  if (type.startsWith("multi_")) return [...control.selectedOptions].map((option) => option.value);
  if (type === "datetimepicker") return control.value ? Math.floor(new Date(control.value) / 1000) : null;
  return control.value || null;
}
