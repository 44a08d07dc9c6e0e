// One image after the other: each answer names the image it is about, so that none counts twice.

import { Viewer } from "./viewer.js";

const REST = 250; // ms after an image appears; a double click must not answer an image that nobody has seen
const { base, image: images } = document.body.dataset;
const element = (id) => document.getElementById(id);

let state = null;
let busy = true;

const viewer = new Viewer(element("view"), ({ window, level, zoom }) => {
  element("window").value = window;
  element("level").value = level;
  element("window-value").value = Math.round(window);
  element("level-value").value = Math.round(level);
  element("zoom-value").value = `${Math.round(100 * zoom)} %`;
});

function tell(sentence) {
  element("notice").textContent = sentence;
  element("notice").hidden = !sentence;
}

function allow() {
  const judging = !busy && Boolean(state?.image);
  element("real").disabled = element("synthetic").disabled = !judging;
  element("undo").disabled = busy || !state?.last;
  element("finish").disabled = busy;
  document.body.dataset.ready = String(!busy);
}

async function show(next) {
  if (next.finished) {
    location.assign(`${base}/summary`);
    return;
  }
  viewer.clear();
  element("progress").textContent = next.image ? `${next.answered + 1} of ${next.total}` : `${next.total} of ${next.total}`;
  element("bar").value = next.answered;
  element("end").hidden = Boolean(next.image);
  if (next.image) {
    const response = await fetch(images + next.image);
    if (!response.ok) throw new Error(`image: ${response.status}`);
    viewer.show(new Uint8Array(await response.arrayBuffer()));
    await new Promise((resolve) => setTimeout(resolve, REST));
  }
  state = next;
}

// What the server says to a request is shown; if it says nothing, the image stays, and may be answered again.
async function ask(path, options, unsaved) {
  busy = true;
  allow();
  try {
    const response = await fetch(base + path, { ...options, headers: { Accept: "application/json", "Content-Type": "application/json" } });
    const said = await response.json();
    if (said.error) {
      tell(said.error);
    } else {
      tell(response.status === 409 ? "Another window of yours was quicker; here is what is next." : "");
      await show(said);
    }
  } catch {
    tell(`The server does not answer.${unsaved} Start it again, then answer again or reload this page.`);
  }
  busy = false;
  allow();
}

function act(kind, image, answer) {
  if (busy) return;
  ask("/act", { method: "POST", body: JSON.stringify({ act: kind, image, answer }) }, " The last answer was perhaps not saved.");
}

const judge = (answer) => state?.image && act("answer", state.image, answer);
const undo = () => state?.last && act("undo", state.last);

// A button keeps no focus: Enter after a click would answer the next image.
function onClick(id, action) {
  element(id).addEventListener("click", () => {
    element(id).blur();
    action();
  });
}

onClick("real", () => judge("real"));
onClick("synthetic", () => judge("synthetic"));
onClick("undo", undo);
onClick("finish", () => act("finish"));
onClick("reset", () => viewer.reset());
for (const id of ["window", "level"]) {
  element(id).addEventListener("input", () => viewer.setWindow(element("window").valueAsNumber, element("level").valueAsNumber));
}

const KEYS = { r: () => judge("real"), s: () => judge("synthetic"), u: undo, 0: () => viewer.reset() };
document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  KEYS[event.key.toLowerCase()]?.();
});

ask("/state", {}, "");
