// Live page. The server sends an update for each "next" message, so that a slow browser receives fewer pictures.

const TIMELINE_MINUTES = 5;
const RECONNECT_DELAY_MS = 1000;
const JPEG_QUALITY = 0.9; // of uploaded video frames
const DIAGNOSTICS = [ // keys of the detector's diagnostics, in the order shown
  "provider", "input rate (Hz)", "output rate (Hz)", "latency p50 (ms)", "latency p95 (ms)", "skipped", "dropped",
];

const byId = (id) => document.getElementById(id);
const picture = byId("picture"), timeline = byId("timeline");
const timelineEntries = []; // one per second: {second, shares}, the mean probability of each label
let colors = {};
let upload = null; // identifies the picture or video of the visitor that is shown; null: the camera is shown
let lastSummary = "", lastSecond = 0;

const color = (label) => colors[label] ?? colors[""] ?? "#888";

function element(name, text, properties = {}) {
  const created = document.createElement(name);
  if (text !== undefined) created.textContent = text;
  return Object.assign(created, properties);
}

// Camera view

async function drawPicture(blob) {
  const bitmap = await createImageBitmap(blob);
  if (picture.width !== bitmap.width || picture.height !== bitmap.height) {
    [picture.width, picture.height] = [bitmap.width, bitmap.height];
  }
  picture.getContext("2d").drawImage(bitmap, 0, 0);
  bitmap.close();
  picture.dataset.frames = Number(picture.dataset.frames ?? 0) + 1;
}

function drawBoxes(people) {
  const context = picture.getContext("2d");
  const unit = Math.max(Math.min(picture.width, picture.height) / 480, 0.4); // scales line width and text
  context.lineWidth = 2 * unit;
  context.font = `${16 * unit}px sans-serif`;
  for (const { face: [x, y, width, height], label, confidence } of people) {
    const text = `${label} ${confidence.toFixed(2)}`;
    context.strokeStyle = context.fillStyle = color(label);
    context.strokeRect(x, y, width, height);
    const top = y >= 22 * unit ? y - 22 * unit : y; // above the box, or inside it at the top edge of the picture
    context.fillRect(x, top, context.measureText(text).width + 8 * unit, 22 * unit);
    context.fillStyle = "#191919";
    context.fillText(text, x + 4 * unit, top + 16 * unit);
  }
}

// People

const share = (value) => `${Math.round(100 * value)} %`;

function personItem({ id, label, confidence, probabilities, hands, attention, engagement }) {
  const item = element("li");
  const gestures = hands.map((hand) => hand.gesture).filter(Boolean).join(", ");
  item.append(element("h3", `${id}: ${label} ${confidence.toFixed(2)}${gestures ? `, ${gestures}` : ""}`));
  const social = [attention == null ? "" : `attention ${share(attention)}`, engagement].filter(Boolean).join(", ");
  if (social) item.append(element("p", social));
  for (const [name, value] of Object.entries(probabilities)) {
    const row = element("div", undefined, { className: "bar" });
    const bar = element("progress", undefined, { max: 1, value, ariaLabel: `${name} of ${id}` });
    bar.style.setProperty("--color", color(name));
    row.append(element("span", name), bar, element("span", share(value)));
    item.append(row);
  }
  return item;
}

function showPeople(people, group) {
  byId("group").textContent = group?.people ? describeGroup(group) : "";
  byId("people").replaceChildren(...people.map(personItem));
  const summary = people.length ? people.map(({ label }) => label).join(", ") : "no people";
  if (summary !== lastSummary) byId("summary").textContent = lastSummary = summary; // a screen reader announces changes
  picture.ariaLabel = people.length ? `${people.length} in view: ${summary}` : "no people in view";
}

function describeGroup({ people, attending, distribution, valence, valence_trend: trend }) {
  const [[label, value]] = Object.entries(distribution).sort(([, first], [, second]) => second - first);
  const parts = [`${people} in view`, `${attending} attending`, `${label} ${share(value)}`];
  if (valence !== null) parts.push(`valence ${valence.toFixed(2)}`);
  if (trend !== null) parts.push(`${trend < 0 ? "−" : "+"}${Math.abs(trend).toFixed(2)} in 10 s`);
  return parts.join(", ");
}

function eventItem({ id, from, to, peak, duration }) {
  const ended = from ? `${from} (${duration.toFixed(1)} s, up to ${peak.toFixed(2)})` : "comes into view";
  return element("li", `${id}: ${ended} → ${to || "leaves"}`);
}

function showEvents(events) {
  byId("events").replaceChildren(...(events?.length ? events.map(eventItem) : [element("li", "none yet")]));
}

// Timeline

function addToTimeline(people) {
  const second = Math.floor(Date.now() / 1000);
  if (second === lastSecond) return;
  lastSecond = second;
  const shares = {};
  for (const { probabilities } of people) {
    for (const [name, value] of Object.entries(probabilities)) shares[name] = (shares[name] ?? 0) + value / people.length;
  }
  timelineEntries.push({ second, shares });
  while (timelineEntries[0].second < second - 60 * TIMELINE_MINUTES) timelineEntries.shift();
  drawTimeline(second);
}

function drawTimeline(now) {
  const context = timeline.getContext("2d"), { width, height } = timeline, step = width / (60 * TIMELINE_MINUTES);
  context.clearRect(0, 0, width, height);
  const sums = {};
  for (const { second, shares } of timelineEntries) {
    let bottom = height;
    for (const [name, value] of Object.entries(shares)) {
      context.fillStyle = color(name);
      context.fillRect(width - (now - second + 1) * step, bottom - value * height, step + 0.5, value * height);
      bottom -= value * height;
      sums[name] = (sums[name] ?? 0) + value;
    }
  }
  timeline.ariaLabel = describeShares(sums);
  byId("legend").replaceChildren(...Object.keys(sums).map(legendItem));
}

function describeShares(sums) {
  const sorted = Object.entries(sums).sort(([, first], [, second]) => second - first);
  const total = sorted.reduce((sum, [, value]) => sum + value, 0);
  const shares = sorted.map(([name, value]) => `${name} ${Math.round((100 * value) / total)} %`);
  return shares.length ? `shares: ${shares.join(", ")}` : "no people yet";
}

function legendItem(name) {
  const item = element("li"), patch = element("i");
  patch.style.setProperty("--color", color(name));
  item.append(patch, name);
  return item;
}

// Diagnostics and labels

function showDiagnostics({ model, diagnostics = {}, status }) {
  const rows = [["model", model], ...DIAGNOSTICS.map((key) => [key, diagnostics[key]]), ["status", status]];
  const terms = rows.filter(([, value]) => value).flatMap(([name, value]) => [element("dt", name), element("dd", value)]);
  byId("diagnostics").replaceChildren(...terms);
}

function showLabels(labels) {
  const list = byId("labels");
  if (list.childElementCount === labels.length) return;
  list.replaceChildren(...labels.map((value) => element("option", undefined, { value })));
}

// Connection

let socket;

// A browser may keep a page that was left, with its connections, to show it again at once: the detector would go on
// drawing for it. If it is shown again, onclose reconnects.
addEventListener("pagehide", () => socket.close());

function connect() {
  socket = new WebSocket(new URL("live", location.href.replace(/^http/, "ws")));
  socket.binaryType = "blob";
  const requestNext = () => { if (socket.readyState === WebSocket.OPEN) socket.send("next"); };
  socket.onopen = () => { byId("status").textContent = "connected"; };
  socket.onclose = () => {
    byId("status").textContent = "connection lost; reconnecting …";
    setTimeout(connect, RECONNECT_DELAY_MS);
  };
  socket.onmessage = async ({ data }) => {
    if (data instanceof Blob) {
      if (!upload) await drawPicture(data).catch(() => {}); // a broken picture is skipped
      requestNext();
      return;
    }
    const message = JSON.parse(data);
    if (message.colors) colors = message.colors;
    else showState(message.state);
    if (!message.picture) requestNext(); // otherwise the picture follows
  };
}

function showState(state) {
  showDiagnostics(state);
  showLabels(state.labels ?? []);
  byId("capture").hidden = !state.capture;
  if (upload || !state.people) return;
  showPeople(state.people, state.group);
  showEvents(state.events);
  addToTimeline(state.people);
}

// Pictures and videos of the visitor. Video frames are sent one after the other, as fast as the server answers.

async function classify(blob, current) {
  const response = await fetch("v1/detect", { method: "POST", body: blob });
  const answer = await response.json();
  if (upload !== current) return false;
  if (!response.ok) {
    byId("status").textContent = answer.detail;
    return response.status === 429; // go on with the next frame
  }
  await drawPicture(blob);
  drawBoxes(answer.results[0].people);
  showPeople(answer.results[0].people);
  byId("classified-by").textContent = `Model ${answer.model}, ${answer.settings}`;
  return true;
}

async function classifyVideo(file, current) {
  const video = element("video", undefined, { src: URL.createObjectURL(file), muted: true, playsInline: true });
  const frame = document.createElement("canvas");
  try {
    await video.play();
    while (upload === current && !video.ended) {
      [frame.width, frame.height] = [video.videoWidth, video.videoHeight];
      frame.getContext("2d").drawImage(video, 0, 0);
      const blob = await new Promise((resolve) => frame.toBlob(resolve, "image/jpeg", JPEG_QUALITY));
      if (!await classify(blob, current)) break;
    }
  } catch (error) {
    byId("status").textContent = `cannot play ${file.name}: ${error.message}`;
  } finally {
    video.pause();
    URL.revokeObjectURL(video.src);
  }
}

function showView(title, isCamera) {
  byId("view-title").textContent = title;
  byId("back").hidden = byId("classified-by").hidden = isCamera;
  byId("classified-by").textContent = "";
}

async function classifyFile(file) {
  const current = upload = {};
  showView(file.name, false);
  byId("status").textContent = "connected";
  try {
    await (file.type.startsWith("video/") ? classifyVideo(file, current) : classify(file, current));
  } catch (error) {
    byId("status").textContent = `${file.name}: ${error.message}`;
  }
}

byId("file").addEventListener("change", ({ target }) => {
  if (target.files[0]) classifyFile(target.files[0]);
  target.value = "";
});
byId("back").addEventListener("click", () => {
  upload = null;
  showView("Camera", true);
});
const view = byId("view");
for (const name of ["dragover", "drop", "dragleave"]) {
  view.addEventListener(name, (event) => {
    event.preventDefault();
    view.classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files[0]) classifyFile(event.dataTransfer.files[0]);
  });
}

byId("capture").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = JSON.stringify({ label: byId("label").value, count: Number(byId("count").value) });
  const response = await fetch("capture", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  byId("captured").textContent = (await response.json()).detail;
});

connect();
