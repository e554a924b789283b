// The live page. The server sends one picture for each "next" that it is sent: a slow browser asks less often.

const MINUTES = 5;
const RETRY = 1000; // milliseconds after which a lost connection is tried again
const SHOWN = { // names of diagnostics and what they are called here
  "input rate Hz": "images in, Hz", "output rate Hz": "images judged, Hz", "latency p50 ms": "latency p50, ms",
  "latency p95 ms": "latency p95, ms", "dropped": "images dropped", "provider": "provider",
};

const find = (id) => document.getElementById(id);
const picture = find("picture"), timeline = find("timeline");
let colors = {}, trying = null, lastSummary = "", lastSecond = 0;
const history = []; // one entry a second: {second, shares}, the mean probability of each label

const color = (label) => colors[label] ?? colors[""] ?? "#888";

function element(name, text, properties = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  return Object.assign(made, properties);
}

async function drawPicture(blob) {
  const bitmap = await createImageBitmap(blob);
  if (picture.width !== bitmap.width || picture.height !== bitmap.height) {
    [picture.width, picture.height] = [bitmap.width, bitmap.height];
  }
  picture.getContext("2d").drawImage(bitmap, 0, 0);
  bitmap.close();
  picture.dataset.frames = Number(picture.dataset.frames ?? 0) + 1;
}

function outline(people) {
  const context = picture.getContext("2d"), unit = Math.max(Math.min(picture.width, picture.height) / 480, 0.4);
  context.lineWidth = 2 * unit;
  context.font = `${16 * unit}px sans-serif`;
  for (const { face: [x, y, width, height], label, confidence } of people) {
    const text = `${label} ${confidence.toFixed(2)}`;
    context.strokeStyle = context.fillStyle = color(label);
    context.strokeRect(x, y, width, height);
    const top = y >= 22 * unit ? y - 22 * unit : y;
    context.fillRect(x, top, context.measureText(text).width + 8 * unit, 22 * unit);
    context.fillStyle = "#191919";
    context.fillText(text, x + 4 * unit, top + 16 * unit);
  }
}

function person({ id, label, confidence, probabilities, hands }) {
  const item = element("li");
  const gestures = hands.map((hand) => hand.gesture).filter(Boolean).join(", ");
  item.append(element("h3", `${id}: ${label} ${confidence.toFixed(2)}${gestures ? `, ${gestures}` : ""}`));
  for (const [name, value] of Object.entries(probabilities)) {
    const row = element("div", undefined, { className: "bar" });
    const bar = element("progress", undefined, { max: 1, value, ariaLabel: `${name} of ${id}` });
    bar.style.setProperty("--color", color(name));
    row.append(element("span", name), bar, element("span", `${Math.round(100 * value)} %`));
    item.append(row);
  }
  return item;
}

function showPeople(people) {
  find("people").replaceChildren(...people.map(person));
  const summary = people.length ? people.map((one) => one.label).join(", ") : "nobody";
  if (summary !== lastSummary) find("summary").textContent = lastSummary = summary; // read aloud: only what is new
  picture.ariaLabel = people.length ? `${people.length} in view: ${summary}` : "nobody in view";
}

function remember(people) {
  const second = Math.floor(Date.now() / 1000);
  if (second === lastSecond) return;
  lastSecond = second;
  const shares = {};
  for (const one of people) {
    for (const [name, value] of Object.entries(one.probabilities)) shares[name] = (shares[name] ?? 0) + value / people.length;
  }
  history.push({ second, shares });
  while (history[0].second < second - 60 * MINUTES) history.shift();
  drawTimeline(second);
}

function drawTimeline(now) {
  const context = timeline.getContext("2d"), { width, height } = timeline, step = width / (60 * MINUTES);
  context.clearRect(0, 0, width, height);
  const sums = {};
  for (const { second, shares } of history) {
    let bottom = height;
    for (const [name, value] of Object.entries(shares)) {
      context.fillStyle = color(name);
      context.fillRect(width - (now - second + 1) * step, bottom - value * height, step + 0.5, value * height);
      bottom -= value * height;
      sums[name] = (sums[name] ?? 0) + value;
    }
  }
  const ordered = Object.entries(sums).sort((one, other) => other[1] - one[1]);
  const total = ordered.reduce((sum, [, value]) => sum + value, 0);
  timeline.ariaLabel = ordered.length
    ? `shares: ${ordered.map(([name, value]) => `${name} ${Math.round((100 * value) / total)} %`).join(", ")}` : "nobody yet";
  find("legend").replaceChildren(...Object.keys(sums).map((name) => {
    const item = element("li"), patch = element("i");
    patch.style.setProperty("--color", color(name));
    item.append(patch, name);
    return item;
  }));
}

function showFigures(state) {
  const rows = state.model ? [["model", state.model]] : [];
  for (const [key, name] of Object.entries(SHOWN)) if (state.diagnostics?.[key]) rows.push([name, state.diagnostics[key]]);
  if (state.health) rows.push(["detector", state.health]);
  find("figures").replaceChildren(...rows.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
}

function showLabels(labels) {
  const list = find("labels");
  if (list.childElementCount !== labels.length) list.replaceChildren(...labels.map((value) => element("option", undefined, { value })));
}

function connect() {
  const socket = new WebSocket(new URL("live", location.href.replace(/^http/, "ws")));
  socket.binaryType = "blob";
  let waits = false;
  const next = () => { if (socket.readyState === WebSocket.OPEN) socket.send("next"); };
  socket.onopen = () => { find("status").textContent = "connected"; };
  socket.onclose = () => {
    find("status").textContent = "connection lost, trying again …";
    setTimeout(connect, RETRY);
  };
  socket.onmessage = async ({ data }) => {
    if (data instanceof Blob) {
      if (!trying) await drawPicture(data).catch(() => {});
      waits = false;
      next();
      return;
    }
    const message = JSON.parse(data);
    if (message.colors) {
      colors = message.colors;
      next();
      return;
    }
    const { state } = message;
    waits = message.picture;
    showFigures(state);
    find("capture").hidden = !state.capture;
    showLabels(state.labels ?? []);
    if (!trying && state.people) {
      showPeople(state.people);
      remember(state.people);
    }
    if (!waits) next();
  };
}

// Pictures and videos of the visitor: judged one after the other, as fast as the server answers.

async function judge(blob, run) {
  const answer = await fetch("v1/detect", { method: "POST", body: blob });
  const said = await answer.json();
  if (trying !== run) return false;
  if (!answer.ok) {
    find("status").textContent = said.detail;
    return answer.status === 429;
  }
  await drawPicture(blob);
  outline(said.results[0].people);
  showPeople(said.results[0].people);
  return true;
}

async function playVideo(file, run) {
  const video = element("video", undefined, { src: URL.createObjectURL(file), muted: true, playsInline: true });
  const frame = document.createElement("canvas");
  try {
    await video.play();
    while (trying === run && !video.ended) {
      [frame.width, frame.height] = [video.videoWidth, video.videoHeight];
      frame.getContext("2d").drawImage(video, 0, 0);
      const blob = await new Promise((done) => frame.toBlob(done, "image/jpeg", 0.9));
      if (!await judge(blob, run)) break;
    }
  } catch (error) {
    find("status").textContent = `this browser cannot play ${file.name}: ${error.message}`;
  } finally {
    video.pause();
    URL.revokeObjectURL(video.src);
  }
}

async function tryFile(file) {
  const run = trying = {};
  find("back").hidden = false;
  find("view-title").textContent = `What is in ${file.name}`;
  find("status").textContent = "connected";
  try {
    await (file.type.startsWith("video/") ? playVideo(file, run) : judge(file, run));
  } catch (error) {
    find("status").textContent = `${file.name}: ${error.message}`;
  }
}

find("file").addEventListener("change", ({ target }) => { if (target.files[0]) tryFile(target.files[0]); target.value = ""; });
find("back").addEventListener("click", () => {
  trying = null;
  find("back").hidden = true;
  find("view-title").textContent = "What the robot sees";
});
const view = find("view");
for (const name of ["dragover", "drop", "dragleave"]) {
  view.addEventListener(name, (event) => {
    event.preventDefault();
    view.classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files[0]) tryFile(event.dataTransfer.files[0]);
  });
}

find("capture").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = JSON.stringify({ label: find("label").value, count: Number(find("count").value) });
  const answer = await fetch("capture", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  find("captured").textContent = (await answer.json()).detail;
});

connect();
