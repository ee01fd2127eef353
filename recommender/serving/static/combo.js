// A field with suggestions, by the ARIA combobox pattern.

import { h, toast } from "./dom.js";

/**
 * @typedef {{value: any, label: string, note?: string}} Option
 */

/**
 * Give a field suggestions.
 * @param {HTMLInputElement} field
 * @param {HTMLElement} list the listbox
 * @param {{find: (query: string) => Promise<Option[]>, pick: (value: any) => void, resting: () => string,
 *   free?: (text: string) => void}} how `find` suggests, `pick` takes one, `resting` is what the field shows when it
 *   is left, `free` takes what was typed
 */
export function combobox(field, list, { find, pick, resting, free }) {
  let asked = 0;
  list.tabIndex = -1; // else Tab stops at it where it can be scrolled, and is lost when it closes

  async function suggest(query) {
    const mine = ++asked;
    let found;
    try {
      found = await find(query);
    } catch (error) {
      if (error.name !== "AbortError") toast(error.message);
      return;
    }
    // an answer that comes after the list was closed must not open it again
    if (mine !== asked || document.activeElement !== field) return;
    list.replaceChildren(...found.map(option));
    list.hidden = found.length === 0;
    field.setAttribute("aria-expanded", String(!list.hidden));
    field.removeAttribute("aria-activedescendant");
  }

  function option(each, place) {
    const item = h(
      "li",
      { role: "option", id: `${list.id}-${place}`, "aria-selected": "false", onmousedown: (event) => event.preventDefault(), onclick: () => take(each.value) },
      h("span", { dir: "auto" }, each.label),
      h("span", { className: "note" }, each.note ?? ""),
    );
    item.option = each;
    return item;
  }

  function close() {
    asked += 1;
    list.hidden = true;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  }

  function take(value) {
    close();
    pick(value);
    field.value = resting();
  }

  function step(by) {
    const all = [...list.children];
    const at = all.findIndex((item) => item.getAttribute("aria-selected") === "true");
    const next = all[at < 0 && by < 0 ? all.length - 1 : (at + by + all.length) % all.length];
    all.forEach((item) => item.setAttribute("aria-selected", String(item === next)));
    if (!next) return;
    field.setAttribute("aria-activedescendant", next.id);
    next.scrollIntoView({ block: "nearest" });
  }

  field.addEventListener("focus", () => {
    field.select();
    suggest("");
  });
  field.addEventListener("input", () => suggest(field.value.trim()));
  field.addEventListener("blur", () => {
    close();
    field.value = resting();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      field.value = resting();
      close();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) suggest("");
      else step(event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Enter") {
      event.preventDefault();
      const active = list.querySelector('[aria-selected="true"]');
      const typed = field.value.trim();
      if (active) take(active.option.value);
      else if (typed && free) {
        close();
        free(typed);
        field.value = resting();
      } else if (typed && !list.hidden && list.firstElementChild) take(list.firstElementChild.option.value);
    }
  });
}
