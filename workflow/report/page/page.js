"use strict";
// The page is whole without this: it adds sorting, a filter, rows that fold and the choice of light or dark.
(() => {
  const root = document.documentElement;
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  const made = (name, given = {}, text = "") => {
    const element = Object.assign(document.createElement(name), given);
    element.append(text);
    return element;
  };

  // Light or dark: as the system has it until the button is pressed; kept for the next visit where the browser allows.
  const button = document.getElementById("theme");
  const remember = (value) => { try { localStorage.setItem("lambdascape-theme", value); } catch { /* not allowed */ } };
  const remembered = () => { try { return localStorage.getItem("lambdascape-theme"); } catch { return null; } };
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const show = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Show the page ${isDark() ? "light" : "dark"}`);
    root.dispatchEvent(new CustomEvent("themechange", { bubbles: true, detail: { dark: isDark() } }));
  };
  if (["light", "dark"].includes(remembered())) root.dataset.theme = remembered();
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remember(root.dataset.theme);
    show();
  });
  system.addEventListener("change", show);
  show();

  // A table of class `sortable` has one tbody for each entry: its row, and what lies behind it.
  const value = (entry, column) => {
    const cell = entry.rows[0].cells[column];
    return "value" in cell.dataset ? (cell.dataset.value === "" ? NaN : Number(cell.dataset.value)) : cell.textContent.trim();
  };
  const isMissing = (one) => one === "" || one === "–" || Number.isNaN(one);
  // Numbers inside words count as numbers: l2~0.01 comes before l2~0.1, and seed~2 before seed~10.
  const pieces = (words) => words.split(/(\d+(?:\.\d+)?(?:e[-+]?\d+)?)/);
  const order = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    const [left, right] = [pieces(String(a)), pieces(String(b))];
    const at = left.findIndex((piece, place) => piece !== right[place]);
    if (at < 0) return left.length - right.length;
    return at % 2 && right.length > at ? Number(left[at]) - Number(right[at]) : left[at].localeCompare(right[at] ?? "");
  };

  const sortable = (table, status) => {
    const heads = all("thead th", table);
    heads.forEach((head, column) => {
      const press = made("button", { type: "button" }, head.textContent);
      head.replaceChildren(press);
      press.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const entries = [...table.tBodies].map((entry, place) => ({ entry, place, key: value(entry, column) }));
        entries.sort((a, b) => {
          const missing = isMissing(a.key) - isMissing(b.key);
          if (missing || (isMissing(a.key) && isMissing(b.key))) return missing || a.place - b.place;
          return (down ? -1 : 1) * order(a.key, b.key) || a.place - b.place;
        });
        table.append(...entries.map(({ entry }) => entry));
        status.textContent = `Sorted by ${press.textContent}, ${down ? "descending" : "ascending"}.`;
      });
    });
  };

  const firstName = (table) => table.tBodies[0]?.rows[0].cells[0].textContent.trim() ?? "";

  const filterable = (table, box, status) => {
    const noun = table.dataset.noun || "rows";
    const field = made("input", { type: "search", id: `${table.id}-filter`, autocomplete: "off", spellcheck: false });
    if (firstName(table)) field.placeholder = `such as ${firstName(table)}`;
    const label = made("label", { htmlFor: field.id }, `Filter the ${noun}`);
    const bar = made("div", { className: "filter" });
    bar.append(label, field, status);
    box.before(bar);
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      const entries = [...table.tBodies];
      entries.forEach((entry) => {
        const text = entry.rows[0].textContent.toLowerCase();
        entry.hidden = !words.every((word) => text.includes(word));
      });
      const left = entries.filter((entry) => !entry.hidden).length;
      status.textContent = words.length ? `${left} of ${entries.length} ${noun}` : "";
    });
  };

  all("table.sortable").forEach((table) => {
    const status = made("span");
    status.setAttribute("role", "status");
    filterable(table, table.closest(".scroll") || table, status);
    sortable(table, status);
  });

  // What lies behind a row is folded away, with a button in the row's first cell.
  all("tr.behind").forEach((behind) => {
    const head = behind.previousElementSibling.cells[0].querySelector(".opens");
    const press = made("button", { type: "button", className: "opener" }, head.textContent);
    press.setAttribute("aria-expanded", "false");
    press.setAttribute("aria-controls", behind.id);
    head.replaceChildren(press);
    behind.hidden = true;
    press.addEventListener("click", () => {
      behind.hidden = !behind.hidden;
      press.setAttribute("aria-expanded", String(!behind.hidden));
    });
  });

  // A box that has nothing to scroll, as it is now, is no stop for the keyboard and no region.
  const named = new Map(all("[role=region][tabindex]").map((box) => [
    box, { tabindex: "0", role: "region", "aria-label": box.getAttribute("aria-label") }]));
  const sized = new ResizeObserver((entries) => entries.forEach(({ target }) => {
    if (!target.clientWidth) return; // folded away
    const scrolls = target.scrollWidth > target.clientWidth;
    Object.entries(named.get(target)).forEach(([name, value]) => (
      scrolls ? target.setAttribute(name, value) : target.removeAttribute(name)));
  }));
  named.forEach((_, box) => sized.observe(box));

  // A link into something folded unfolds it.
  const unfold = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
    target.querySelector(":scope > details")?.setAttribute("open", "");
  };
  addEventListener("hashchange", unfold);
  unfold();

  // On paper everything is unfolded, also where the style sheet alone cannot do it.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = all("details:not([open])");
    folded.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => folded.forEach((one) => { one.open = false; }));

  // The table of contents says where one is.
  const links = new Map(all("nav a").map((link) => [link.hash.slice(1), link]));
  const seen = new Set();
  const watch = new IntersectionObserver((entries) => {
    entries.forEach(({ target, isIntersecting }) => (isIntersecting ? seen.add(target.id) : seen.delete(target.id)));
    const here = [...links.keys()].find((id) => seen.has(id));
    links.forEach((link, id) => (id === here ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current")));
  }, { rootMargin: "-10% 0px -70% 0px" });
  links.forEach((_, id) => { const part = document.getElementById(id); if (part) watch.observe(part); });
})();
