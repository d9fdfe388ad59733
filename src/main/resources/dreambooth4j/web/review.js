// The page of a review. The server renders every row; here are keys, requests and what is in focus.
const rows = document.getElementById("rows");
const PAGE = 40;
let version = Number(document.body.dataset.version);
let total = 0;
let loaded = 0;
let loading = false;
let here = null; // the picture in focus
let polling = 0;
let last = Promise.resolve(); // actions go one after the other

const element = (id) => document.getElementById(id);
const spots = (root = rows) => [...root.querySelectorAll("[data-spot]")];
const rowOf = (spot) => spot?.closest("[data-row]");

// Talking to the server.

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The review has ended: the program does not answer. Start dreambooth class-images --review again and open the new address that it prints.");
  }
  const isJson = answer.headers.get("Content-Type")?.startsWith("application/json");
  if (!answer.ok) {
    throw new Error(isJson ? (await answer.json()).error : `${answer.status}: ${await answer.text()}`);
  }
  return isJson ? answer.json() : answer.text();
}

function act(name, body = {}) {
  const done = last.then(() =>
    ask(name, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ...body, since: version }),
    }));
  last = done.catch(() => {});
  return done.then((changes) => {
    apply(changes);
    return changes;
  });
}

function apply(changes) {
  if (changes.reordered) {
    location.reload();
    return;
  }
  version = Math.max(version, changes.version);
  for (const [id, html] of Object.entries(changes.rows)) {
    replace(element(`row-${id}`), html);
  }
  show(changes.summary);
  if (changes.said) say(changes.said);
  if (changes.problem) complain(changes.problem);
}

function replace(row, html) {
  if (!row) return; // not loaded yet
  const index = rowOf(here) === row ? spots(row).indexOf(here) : -1;
  const focused = document.activeElement === here;
  row.insertAdjacentHTML("afterend", html);
  const fresh = row.nextElementSibling;
  row.remove();
  if (index >= 0) {
    const now = spots(fresh);
    enter(now[Math.min(index, now.length - 1)], { scroll: false, focus: focused });
  }
}

function show(summary) {
  total = summary.rows;
  const parts = [`${summary.rows} pictures`, `${summary.kept} of ${summary.images} class images kept`];
  if (summary.missing) parts.push(`${summary.missing} missing`);
  element("summary").textContent = parts.join(" · ");
  const all = element("make-all");
  const idle = summary.missing > 0 && summary.waiting === 0;
  all.hidden = !idle;
  all.textContent = `Make the ${summary.missing} missing`;
  element("making").hidden = summary.waiting === 0;
  if (summary.waiting > 0) {
    const steps = summary.steps ? `, step ${summary.step} of ${summary.steps}` : "";
    element("making").firstElementChild.textContent =
      `${summary.making || "starting"}${steps}; ${summary.waiting} to make`;
    const bar = document.querySelector("#making progress");
    if (summary.steps) bar.value = summary.step / summary.steps;
    else bar.removeAttribute("value");
    clearTimeout(polling);
    polling = setTimeout(poll, 700);
  }
}

function poll() {
  ask(`changes?since=${version}`).then(apply, (error) => complain(error.message));
}

let silence = 0;
function say(text) {
  element("said").textContent = text;
  clearTimeout(silence);
  silence = setTimeout(() => (element("said").textContent = ""), 5000);
}

function complain(text) {
  element("problem").hidden = false;
  element("problem").firstElementChild.textContent = text;
}

// Rows are fetched as they come near.

async function load() {
  if (loading || (total && loaded >= total)) return;
  loading = true;
  try {
    const html = await ask(`rows?from=${loaded}&count=${PAGE}`);
    rows.insertAdjacentHTML("beforeend", html);
    const now = rows.childElementCount;
    if (now === loaded) total = loaded;
    loaded = now;
    element("more").hidden = loaded >= total;
    if (!here) enter(spots().find((spot) => spot.matches(".tile")) ?? spots()[0], { scroll: false });
  } catch (error) {
    complain(error.message);
  } finally {
    loading = false;
  }
}

new IntersectionObserver((seen) => {
  if (seen.some((each) => each.isIntersecting)) fill();
}, { rootMargin: "1500px" }).observe(element("more"));

async function fill() {
  await load();
  const near = element("more").getBoundingClientRect().top < innerHeight + 1500;
  if (loaded < total && near) await fill();
}

// Where one is, and moving on.

function enter(spot, { scroll = true, focus = true } = {}) {
  if (!spot) return;
  here?.classList.remove("here");
  here = spot;
  here.classList.add("here");
  if (focus) here.focus({ preventScroll: true });
  if (scroll) here.scrollIntoView({ block: "nearest" });
}

async function step(by, wanted = () => true) {
  for (;;) {
    const all = spots();
    for (let i = all.indexOf(here) + by; i >= 0 && i < all.length; i += by) {
      if (wanted(all[i])) return enter(all[i]);
    }
    if (by < 0 || loaded >= total) return null;
    await load();
  }
}

async function stepRow(by) {
  const row = rowOf(here);
  if (by > 0 && !row?.nextElementSibling) await load();
  const next = by > 0 ? row?.nextElementSibling : row?.previousElementSibling;
  if (!next) return;
  const index = spots(row).indexOf(here);
  const there = spots(next);
  enter(there[Math.min(index, there.length - 1)]);
  next.scrollIntoView({ block: "nearest" });
}

// To what lies nearest above or below on the screen.
async function stepLine(by) {
  const row = rowOf(here);
  const from = here.getBoundingClientRect();
  if (by > 0 && !row?.nextElementSibling) await load();
  const near = [row?.previousElementSibling, row, row?.nextElementSibling].filter(Boolean);
  const middle = from.left + from.width / 2;
  let best = null;
  let least = Infinity;
  for (const spot of near.flatMap((each) => spots(each))) {
    const box = spot.getBoundingClientRect();
    const gap = by > 0 ? box.top - from.bottom : from.top - box.bottom;
    const distance = gap + 3 * Math.abs(box.left + box.width / 2 - middle);
    if (gap > -4 && spot !== here && distance < least) {
      best = spot;
      least = distance;
    }
  }
  enter(best);
}

// What can be done.

function change(name, body, spot) {
  spot?.classList.add("pending");
  act(name, body).catch((error) => {
    spot?.classList.remove("pending");
    complain(error.message);
  });
}

function keep(spot) {
  const row = rowOf(spot);
  if (spot.dataset.image) {
    change("keep", { image: spot.dataset.image, kept: !spot.matches(".kept") }, spot);
  } else if (spot.matches(".instance")) {
    change("keep-all", { row: row.dataset.row, kept: !!row.querySelector("[data-image]:not(.kept)") }, spot);
  } else {
    return say("This class image is missing, so it cannot be kept: press r to make it.");
  }
  step(1, (each) => each.matches(".tile"));
}

function remove(spot) {
  if (!spot.dataset.image) {
    return say(spot.matches(".instance") ? "Instance pictures are not deleted here." : "This class image is missing, so it cannot be deleted: press r to make it.");
  }
  change("delete", { image: spot.dataset.image }, spot);
  step(1, (each) => each.matches(".tile"));
}

function again(spot) {
  if (spot.dataset.image) change("again", { image: spot.dataset.image });
  else change("make", { row: rowOf(spot).dataset.row });
  if (spot.matches(".tile")) step(1, (each) => each.matches(".tile"));
}

async function undo() {
  try {
    const changes = await act("undo");
    const row = changes.row && element(`row-${changes.row}`);
    if (row && rowOf(here) !== row) enter(spots(row)[1] ?? spots(row)[0]);
  } catch (error) {
    complain(error.message);
  }
}

function edit(spot) {
  const row = rowOf(spot);
  element("edit-file").textContent = row.querySelector("h2").textContent;
  element("edit-text").value = row.dataset.caption;
  element("edit-wrong").textContent = "";
  element("edit").dataset.row = row.dataset.row;
  element("edit").showModal();
}

async function save() {
  const dialog = element("edit");
  const row = element(`row-${dialog.dataset.row}`);
  try {
    await act("caption", { row: dialog.dataset.row, before: row.dataset.caption, text: element("edit-text").value });
    dialog.close();
  } catch (error) {
    element("edit-wrong").textContent = error.message;
  }
}

function view(spot) {
  const link = spot.querySelector("a.picture");
  const image = document.querySelector("#view img");
  if (!link) return say("This class image is missing: press r to make it.");
  image.src = link.href;
  image.alt = link.firstElementChild.alt;
  image.classList.toggle("few-pixels", spot.matches(".few-pixels .tile"));
  if (!element("view").open) element("view").showModal();
}

// Keys and clicks.

const KEYS = {
  ArrowRight: () => step(1),
  ArrowLeft: () => step(-1),
  ArrowDown: () => stepLine(1),
  ArrowUp: () => stepLine(-1),
  j: () => stepRow(1),
  k: () => stepRow(-1),
  n: async () => {
    if ((await step(1, (each) => each.matches(".tile[data-image]:not(.kept)"))) === null) {
      say("All class images from here on are kept.");
    }
  },
  " ": () => keep(here),
  d: () => remove(here),
  Delete: () => remove(here),
  r: () => again(here),
  e: () => edit(here),
  u: undo,
  Enter: () => view(here),
  "?": () => element("help").showModal(),
};

document.addEventListener("keydown", async (event) => {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (element("view").open) {
    event.preventDefault();
    if (key.startsWith("Arrow")) {
      await KEYS[key]();
      view(here);
    } else {
      element("view").close();
    }
    return;
  }
  if (document.querySelector("dialog[open]") || event.target.matches("button, textarea")) return;
  if (KEYS[key] && here) {
    event.preventDefault();
    if (event.repeat && !key.startsWith("Arrow") && !"jkn".includes(key)) return;
    KEYS[key]();
  }
});

rows.addEventListener("click", (event) => {
  const spot = event.target.closest("[data-spot]");
  if (!spot) return;
  event.preventDefault();
  const what = event.target.closest("[data-do]")?.dataset.do;
  enter(spot, { scroll: false });
  if (what) ({ keep, delete: remove, again, edit })[what](spot);
  else if (event.target.closest("a.picture")) view(spot);
});

element("edit-text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    save();
  }
});
element("edit-save").addEventListener("click", (event) => {
  event.preventDefault();
  save();
});
element("edit").addEventListener("close", () => here?.focus({ preventScroll: true }));
element("view").addEventListener("click", () => element("view").close());
element("view").addEventListener("close", () => here?.focus({ preventScroll: true }));
element("make-all").addEventListener("click", () => change("make-all"));
element("cancel").addEventListener("click", () => change("cancel"));
element("undo").addEventListener("click", undo);
element("help-button").addEventListener("click", () => element("help").showModal());
element("dismiss").addEventListener("click", () => (element("problem").hidden = true));

poll();
load();
