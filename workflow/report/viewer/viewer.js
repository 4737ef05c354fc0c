// The viewer: fills Bokeh's empty plots, and answers clicks by sound, pictures and marks. It fetches nothing.
"use strict";
(() => {
  const PALETTE = ["#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161", "#fbafe4", "#949494", "#ece133", "#56b4e9"];
  const MARKERS = ["circle", "square", "triangle", "diamond", "inverted_triangle", "hex", "star", "plus", "square_pin", "triangle_pin"];
  const SHAPES = {
    circle: "M6 1.5a4.5 4.5 0 1 1 0 9a4.5 4.5 0 1 1 0-9z", square: "M2 2h8v8H2z", triangle: "M6 1.2L11 10H1z", diamond: "M6 .8L10 6L6 11.2L2 6z",
    inverted_triangle: "M6 10.8L1 2h10z", hex: "M6 1L10.3 3.5v5L6 11L1.7 8.5v-5z", star: "M6 .8L7.4 4.4L11.2 4.6L8.2 7L9.2 10.8L6 8.7L2.8 10.8L3.8 7L.8 4.6L4.6 4.4z",
    plus: "M5 1h2v4h4v2H7v4H5V7H1V5h4z", square_pin: "M1 1Q6 4 11 1Q8 6 11 11Q6 8 1 11Q4 6 1 1z",
    triangle_pin: "M6 .8Q7 6 11 10Q6 8 1 10Q5 6 6 .8z",
  };
  const RIGHT = { name: "right", colour: "#0173b2", marker: "circle" };
  const WRONG = { name: "wrong", colour: "#d55e00", marker: "diamond" };
  const UNASKED = { name: "not held out, or no label", colour: "#949494", marker: "circle", faint: true };
  const SHOWN_KEYS = 100; // of the largest groups; the others keep their colours
  const REACH = 18; // pixels from a click to the dot that is meant
  const MAGMA = [[0, 0, 4], [28, 16, 68], [79, 18, 123], [129, 37, 129], [181, 54, 122], [229, 80, 100], [251, 135, 97], [254, 194, 135], [252, 253, 191]];

  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("viewer-data").textContent);
  let parsed = null;
  const media = () => (parsed ??= JSON.parse(byId("viewer-media").textContent)); // most of the page; not before it is needed
  const root = byId("viewer");
  const audio = byId("viewer-audio");
  const panel = byId("viewer-panel");
  const numberField = byId("viewer-tile");

  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const whole16 = (text) => new Uint16Array(bytes(text).buffer);
  const element = (tag, words, className) => {
    const made = document.createElement(tag);
    if (words !== undefined) made.textContent = words;
    if (className) made.className = className;
    return made;
  };

  const columns = {};
  for (const [name, column] of Object.entries(data.points)) {
    columns[name] = Array.isArray(column) ? { values: column } : { names: column.names, codes: whole16(column.codes) };
  }
  const count = columns.start_s.values.length;
  const of = (name, tile) => (columns[name].names ? columns[name].names[columns[name].codes[tile]] : columns[name].values[tile]);
  const spaces = data.spaces.map((space) => {
    const near = whole16(space.near);
    const views = {};
    for (const [name, view] of Object.entries(space.views)) {
      const pairs = new Int16Array(bytes(view.xy).buffer);
      views[name] = {
        x: Float32Array.from({ length: count }, (_, i) => pairs[2 * i] / 32767),
        y: Float32Array.from({ length: count }, (_, i) => pairs[2 * i + 1] / 32767),
        share: view.share, onePoint: view.one_point,
      };
    }
    return {
      run: space.run, words: data.words[space.run], views, predicted: whole16(space.predicted),
      near: (tile) => near.slice(tile * space.k, (tile + 1) * space.k),
    };
  });
  const state = { view: Object.keys(spaces[0].views)[0], by: byId("viewer-colour").value, alone: null, tile: null, clicked: 0 };

  // --- colours -------------------------------------------------------------------------------------------------------

  // Groups of a colouring: looks, largest first, and for each space the group of every tile.
  function grouping(by) {
    if (!by) return { looks: [{ name: "", colour: PALETTE[0], marker: "circle" }], of: () => new Uint16Array(count) };
    if (by === "correct") {
      const truth = columns.label;
      const right = (space) => Uint16Array.from({ length: count }, (_, i) =>
        space.predicted[i] === 0 ? 2 : data.classes[space.predicted[i] - 1] === truth.names[truth.codes[i]] ? 0 : 1);
      return { looks: [RIGHT, WRONG, UNASKED], of: right };
    }
    const { names, codes } = columns[by];
    const sizes = new Array(names.length).fill(0);
    for (const code of codes) sizes[code] += 1;
    const looks = names.map((name, i) => ({
      name: name || "no " + (by === "label" ? "class" : by), colour: PALETTE[i % 10], marker: MARKERS[(i + Math.floor(i / 10)) % 10],
      size: sizes[i], faint: name === "",
    }));
    return { looks, of: () => codes };
  }

  const shown = new Map();
  function current() {
    if (!shown.has(state.by)) {
      const made = grouping(state.by);
      made.groups = spaces.map((space) => made.of(space));
      shown.set(state.by, made);
    }
    return shown.get(state.by);
  }

  function looksOf(index) {
    const { looks, groups } = current();
    const codes = groups[index];
    const colour = new Array(count), marker = new Array(count), alpha = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      const look = looks[codes[i]];
      colour[i] = look.colour;
      marker[i] = look.marker;
      alpha[i] = state.alone !== null && codes[i] !== state.alone ? 0.06 : look.faint ? 0.35 : 0.78;
    }
    return { colour, marker, alpha };
  }

  function drawKey() {
    const key = byId("viewer-key");
    const { looks } = current();
    key.replaceChildren();
    const order = looks.map((_, i) => i);
    if (looks.length > SHOWN_KEYS) order.sort((a, b) => looks[b].size - looks[a].size);
    for (const i of state.by ? order.slice(0, SHOWN_KEYS) : []) {
      const button = element("button");
      button.type = "button";
      button.setAttribute("aria-pressed", String(state.alone === i));
      button.append(mark(looks[i]), element("span", looks[i].name));
      button.addEventListener("click", () => {
        state.alone = state.alone === i ? null : i;
        for (const other of key.children) other.setAttribute("aria-pressed", String(other === button && state.alone === i));
        recolour();
      });
      key.append(button);
    }
    if (looks.length > SHOWN_KEYS) key.append(element("span", `and ${looks.length - SHOWN_KEYS} smaller ones; colours come again`, "note"));
    else if (looks.length > PALETTE.length) key.append(element("span", "colours come again, with other shapes", "note"));
  }

  function mark(look) {
    const space = "http://www.w3.org/2000/svg";
    const picture = document.createElementNS(space, "svg");
    const path = document.createElementNS(space, "path");
    for (const [name, value] of Object.entries({ width: 12, height: 12, viewBox: "0 0 12 12", "aria-hidden": "true" })) picture.setAttribute(name, value);
    path.setAttribute("d", SHAPES[look.marker]);
    path.setAttribute("fill", look.colour);
    picture.append(path);
    return picture;
  }

  // --- maps ----------------------------------------------------------------------------------------------------------

  const texts = { class: "label", session: "session", node: "node", clip: "clip" };
  const said = {};
  function tooltip(name) {
    if (!said[name]) {
      said[name] = name === "start"
        ? Array.from(columns.start_s.values, (start, i) => `${seconds(start)} (tile ${i})`)
        : Array.from({ length: count }, (_, i) => of(texts[name], i));
    }
    return said[name];
  }
  const seconds = (start) => `${+start.toFixed(2)} s`;

  function place(index) {
    const space = spaces[index];
    const view = space.views[state.view];
    const source = space.sources.points;
    const fixed = Object.fromEntries(Object.keys(source.data).filter((name) => name in texts || name === "start").map((name) => [name, tooltip(name)]));
    source.data = { x: view.x, y: view.y, ...looksOf(index), ...fixed };
    for (const range of [space.plot.x_range, space.plot.y_range]) range.setv({ start: -space.edge, end: space.edge });
    space.figure.querySelector(".viewer-share").textContent = view.onePoint ? "all tiles on one point"
      : view.share ? `${percent(view.share[0])} and ${percent(view.share[1])} of the variance` : "";
  }
  const percent = (share) => `${Math.round(100 * share)} %`;

  function recolour() {
    spaces.forEach((space, index) => {
      space.sources.points.data = { ...space.sources.points.data, ...looksOf(index) };
    });
  }

  function theme() {
    const ink = getComputedStyle(root).color;
    for (const { plot } of spaces) {
      for (const renderer of plot.renderers) if (renderer.name === "ink") renderer.glyph.line_color = ink;
    }
  }

  function nearestTo(index, event) {
    const space = spaces[index], view = space.views[state.view], codes = current().groups[index];
    const frame = space.figure.querySelector(".viewer-plot").clientWidth;
    const perPixel = (space.plot.x_range.end - space.plot.x_range.start) / frame;
    let best = null, least = (REACH * perPixel) ** 2;
    for (let i = 0; i < count; i++) {
      if (state.alone !== null && codes[i] !== state.alone) continue; // faded out
      const distance = (view.x[i] - event.x) ** 2 + (view.y[i] - event.y) ** 2;
      if (distance <= least) [best, least] = [i, distance];
    }
    return best;
  }

  // --- one tile ------------------------------------------------------------------------------------------------------

  function select(tile, clicked, sounded = true) {
    state.tile = tile;
    state.clicked = clicked;
    numberField.value = tile;
    markNeighbours();
    panel.hidden = false;
    byId("viewer-now").classList.add("viewer-held");
    facts(tile);
    drawNear(tile);
    paint(byId("viewer-picture"), tile);
    byId("viewer-silent").hidden = canPlay(tile);
    if (sounded) play(tile, null);
  }

  function markNeighbours() {
    if (state.tile === null) return;
    const elsewhere = new Set(spaces[state.clicked].near(state.tile));
    spaces.forEach((space, index) => {
      const { x, y } = space.views[state.view];
      const near = Array.from(space.near(state.tile));
      const lost = [...elsewhere].filter((tile) => !near.includes(tile));
      const at = (tiles) => ({ x: tiles.map((tile) => x[tile]), y: tiles.map((tile) => y[tile]) });
      space.sources.self.data = at([state.tile]);
      space.sources.ring.data = at(near);
      space.sources.cross.data = at(lost);
      space.sources.line.data = {
        x0: near.map(() => x[state.tile]), y0: near.map(() => y[state.tile]), x1: near.map((tile) => x[tile]), y1: near.map((tile) => y[tile]),
      };
      space.figure.classList.toggle("viewer-clicked", index === state.clicked);
      space.figure.dataset.ringed = near.join(" ");
      const kept = near.filter((tile) => elsewhere.has(tile)).length;
      space.figure.querySelector(".viewer-kept").textContent = near.length === 0 ? "no neighbours: all tiles are on one point"
        : index === state.clicked ? alike(state.tile, near) : `${kept} of ${near.length} the same; ${alike(state.tile, near)}`;
    });
  }

  function alike(tile, near) {
    const label = of("label", tile);
    return label ? `${near.filter((other) => of("label", other) === label).length} of ${near.length} of its class` : `${near.length} neighbours`;
  }

  function facts(tile) {
    const list = byId("viewer-facts");
    const rows = [["Tile", `${tile}, from ${seconds(of("start_s", tile))}`], ["Clip", of("clip", tile)], ["Class", of("label", tile)],
      ["Session", of("session", tile)], ["Node", of("node", tile)], ["Split", of("split", tile)]];
    const predicted = spaces[state.clicked].predicted[tile];
    if (predicted) rows.push(["Prediction of the probe", `${data.classes[predicted - 1]}, in ${spaces[state.clicked].words}`]);
    list.replaceChildren(...rows.filter(([, words]) => words !== "").flatMap(([name, words]) => [element("dt", name), element("dd", words)]));
  }

  function drawNear(tile) {
    const box = byId("viewer-near");
    box.replaceChildren(...spaces.map((space) => {
      const part = element("div");
      const title = element("h3", `Neighbours in the space: ${space.words}`);
      const list = element("ol");
      for (const other of space.near(tile)) {
        const item = element("li");
        const button = element("button");
        const picture = element("canvas");
        const label = of("label", other);
        const own = of("label", tile);
        const different = Boolean(label && own && label !== own);
        button.type = "button";
        button.title = `${of("clip", other)}, from ${seconds(of("start_s", other))}`;
        button.className = (different ? "viewer-other" : "") + (canPlay(other) ? "" : " viewer-mute");
        button.setAttribute("aria-label", `Play tile ${other}${label ? `, ${label}` : ""}${different ? ", another class" : ""}`);
        button.append(picture, element("span", label || of("session", other) || of("clip", other), "viewer-name"), element("span", `▸ ${other}`));
        button.addEventListener("click", () => play(other, button));
        paint(picture, other);
        item.append(button);
        list.append(item);
      }
      part.append(title, space.near(tile).length ? list : element("p", "none", "note"));
      return part;
    }));
  }

  // --- pictures ------------------------------------------------------------------------------------------------------

  const sheet = new Image();
  const sheetReady = new Promise((resolve) => sheet.addEventListener("load", resolve, { once: true }));
  const magma = Array.from({ length: 256 }, (_, level) => {
    const at = (level / 255) * (MAGMA.length - 1), low = Math.min(Math.floor(at), MAGMA.length - 2), part = at - low;
    return MAGMA[low].map((value, i) => Math.round(value + part * (MAGMA[low + 1][i] - value)));
  });

  async function paint(canvas, tile) {
    const [width, height, across] = data.picture;
    if (!sheet.src) sheet.src = media().sheet;
    canvas.width = width;
    canvas.height = height;
    await sheetReady;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(sheet, -(tile % across) * width, -Math.floor(tile / across) * height);
    const image = context.getImageData(0, 0, width, height);
    for (let i = 0; i < image.data.length; i += 4) [image.data[i], image.data[i + 1], image.data[i + 2]] = magma[image.data[i]];
    context.putImageData(image, 0, 0);
  }

  // --- sound ---------------------------------------------------------------------------------------------------------

  const files = new Map(); // path of a clip to the user's own file
  let address = null, startAt = null, stopAt = null; // seconds of a file that is played in part
  const canPlay = (tile) => String(tile) in media().sound || files.has(of("path", tile));

  function play(tile, button) {
    for (const other of root.querySelectorAll(".viewer-playing")) other.classList.remove("viewer-playing");
    if (address) URL.revokeObjectURL(address);
    address = startAt = stopAt = audio.onloadedmetadata = null;
    audio.pause();
    const words = `tile ${tile}, ${[of("label", tile), of("clip", tile), seconds(of("start_s", tile))].filter(Boolean).join(", ")}`;
    if (!canPlay(tile)) {
      audio.removeAttribute("src");
      say(`No sound here: ${words}.`);
      return;
    }
    if (button) button.classList.add("viewer-playing");
    const mp3 = media().sound[tile];
    if (mp3) audio.src = `data:audio/mpeg;base64,${mp3}`;
    else {
      startAt = of("start_s", tile);
      stopAt = startAt + data.tile_s;
      address = URL.createObjectURL(files.get(of("path", tile)));
      audio.src = `${address}#t=${startAt}`;
      audio.onloadedmetadata = () => { audio.currentTime = startAt; };
    }
    audio.dataset.tile = tile;
    audio.play().then(() => say(`Playing ${words}.`), (error) => say(error.name === "AbortError" ? "" : `The browser cannot play ${words}.`));
  }
  audio.addEventListener("timeupdate", () => { if (stopAt !== null && audio.currentTime >= stopAt) audio.pause(); });
  audio.addEventListener("play", () => { // again: from the start of the tile, not on into the file
    if (stopAt !== null && (audio.currentTime >= stopAt || audio.currentTime < startAt)) audio.currentTime = startAt;
  });
  const say = (words) => { byId("viewer-said").textContent = words; };

  function takeFiles(chosen) {
    const wanted = new Map();
    for (const path of columns.path.names) {
      const name = path.split("/").pop();
      wanted.set(name, [...(wanted.get(name) || []), path]);
    }
    for (const file of chosen) {
      const place = file.webkitRelativePath || file.name;
      for (const path of wanted.get(file.name) || []) {
        const ends = place === path || place.endsWith(`/${path}`);
        if (ends || (wanted.get(file.name).length === 1 && !files.has(path))) files.set(path, file);
      }
    }
    byId("viewer-found").textContent = `${files.size} of ${columns.path.names.length} files found`;
    if (state.tile !== null) select(state.tile, state.clicked, false);
  }

  // --- start ---------------------------------------------------------------------------------------------------------

  function listen() {
    for (const choice of root.querySelectorAll('input[name="viewer-view"]')) {
      choice.addEventListener("change", () => {
        state.view = choice.value;
        spaces.forEach((_, index) => place(index));
        markNeighbours();
      });
    }
    byId("viewer-colour").addEventListener("change", (event) => {
      [state.by, state.alone] = [event.target.value, null];
      drawKey();
      recolour();
    });
    root.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
    numberField.addEventListener("change", () => {
      const tile = Math.round(Number(numberField.value));
      if (numberField.value === "") return;
      if (tile >= 0 && tile < count) select(tile, state.clicked);
      else say(`There are tiles 0 to ${count - 1}.`);
    });
    for (const button of root.querySelectorAll("[data-step]")) {
      button.addEventListener("click", () => {
        const step = Number(button.dataset.step);
        const next = step ? (((state.tile ?? (step > 0 ? -1 : 0)) + step) % count + count) % count : Math.floor(Math.random() * count);
        select(next, state.clicked);
      });
    }
    for (const button of root.querySelectorAll("[data-tile]")) {
      button.addEventListener("click", () => {
        select(Number(button.dataset.tile), state.clicked);
        byId("viewer-now").scrollIntoView({ block: "nearest" });
      });
    }
    const chooser = byId("viewer-files");
    if (chooser) chooser.addEventListener("change", () => takeFiles(chooser.files));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", theme);
    new MutationObserver(theme).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "class", "style"] });
  }

  async function start() {
    await Promise.all(data.plots.map((item, index) => Bokeh.embed.embed_item(item, `viewer-plot-${index}`)));
    for (const [index, item] of data.plots.entries()) {
      const space = spaces[index];
      const made = Bokeh.documents.find((held) => held.roots().some((held) => held.id === item.root_id));
      space.figure = byId(`viewer-map-${index}`);
      space.plot = made.roots()[0];
      space.sources = Object.fromEntries(["points", "ring", "cross", "self", "line"].map((name) => [name, made.get_model_by_name(name)]));
      space.edge = space.plot.x_range.end;
      place(index);
      space.plot.on_event("tap", (event) => {
        const tile = nearestTo(index, event);
        if (tile !== null) select(tile, index);
      });
    }
    theme();
    drawKey();
    listen();
    root.dataset.ready = String(Math.round(performance.now())); // milliseconds after the page was asked for
  }
  start();
})();
