// Dropped or chosen files and folders flow in; uploads with their progress flow out. A folder becomes one tar.
// Without this module the form sends chosen archives by itself.
import { pack } from "./tar.js";

const AT_ONCE = 2;
const BATCH = 64; // files of a folder that are looked up at the same time
const form = document.querySelector("[data-upload]");
const zone = document.querySelector("[data-drop]");
const queue = document.querySelector("#uploads");
const news = document.querySelector("#upload-news");
const waiting = [];
let sending = 0;

// Rows -------------------------------------------------------------------------------------------------------------

function row(template, name) {
  const item = document.querySelector(template).content.firstElementChild.cloneNode(true);
  item.querySelector(".name").textContent = name;
  item.querySelector("progress")?.setAttribute("aria-label", `Uploading ${name}`);
  return item;
}

function fail(item, name, sentence) {
  const failed = row("#upload-failed", name);
  failed.querySelector(".said").textContent = sentence;
  item.replaceWith(failed);
  news.textContent = `${name}: ${sentence}`;
}

function megabytes(bytes) {
  return (bytes / 1e6).toFixed(1);
}

function left(loaded, total, since) {
  const seconds = ((performance.now() - since) / 1000 / loaded) * (total - loaded);
  return seconds > 1 ? ` · ${Math.ceil(seconds)} s left` : "";
}

// Sending: XMLHttpRequest, because fetch tells nothing about its progress --------------------------------------------

function enqueue(name, body) {
  const item = row("#upload-row", name);
  queue.append(item);
  waiting.push({ name, body, item });
  item.querySelector("[data-cancel]").addEventListener("click", () => {
    const at = waiting.findIndex((one) => one.item === item);
    if (at >= 0) waiting.splice(at, 1);
    item.remove();
  });
  next();
}

function next() {
  while (sending < AT_ONCE && waiting.length) {
    sending += 1;
    send(waiting.shift()).finally(() => {
      sending -= 1;
      next();
    });
  }
}

async function send({ name, body, item }) {
  try {
    const blob = await body();
    const answer = await post(name, blob, item);
    if (answer === null) return; // cancelled
    const arrived = document.createRange().createContextualFragment(answer).querySelector("li");
    item.replaceWith(arrived);
    window.htmx.process(arrived);
  } catch (error) {
    fail(item, name, error.message);
  }
}

function post(name, blob, item) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const bar = item.querySelector("progress");
    const said = item.querySelector(".said");
    const since = performance.now();
    request.open("POST", `${form.action}?name=${encodeURIComponent(name)}`);
    request.setRequestHeader("X-CSRFToken", form.elements.csrfmiddlewaretoken.value);
    request.setRequestHeader("HX-Request", "true");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = ({ loaded, total }) => {
      bar.value = (loaded / total) * 100;
      const sent = loaded < total;
      const words = `Uploading · ${megabytes(loaded)} of ${megabytes(total)} MB${left(loaded, total, since)}`;
      said.textContent = sent ? words : `Sent · ${megabytes(total)} MB · waits for an answer`;
    };
    request.onload = () => {
      if (request.status === 200) resolve(request.responseText);
      else reject(new Error(request.getResponseHeader("X-Sentence") ?? `The site refused it (${request.status}).`));
    };
    request.onerror = () => reject(new Error("The connection broke before everything was sent, or a file changed. Try again."));
    request.onabort = () => resolve(null);
    item.querySelector("[data-cancel]").addEventListener("click", () => request.abort());
    request.send(blob);
  });
}

// Folders ------------------------------------------------------------------------------------------------------------

async function filesOf(folder) {
  const found = [];
  const ahead = [{ entry: folder, path: "" }];
  while (ahead.length) {
    const { entry, path } = ahead.pop();
    for (const child of await children(entry)) {
      const place = path ? `${path}/${child.name}` : child.name;
      if (child.isDirectory) ahead.push({ entry: child, path: place });
      else found.push({ path: place, entry: child });
    }
  }
  return opened(found);
}

async function children(folder) {
  const reader = folder.createReader();
  const all = [];
  for (;;) {
    // A reader gives a hundred at a time and an empty list at the end.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return all;
    all.push(...some);
  }
}

async function opened(entries) {
  const files = [];
  for (let at = 0; at < entries.length; at += BATCH) {
    const batch = entries.slice(at, at + BATCH);
    const open = ({ path, entry }) =>
      new Promise((resolve, reject) => entry.file((file) => resolve({ path, file }), reject));
    files.push(...(await Promise.all(batch.map(open))));
  }
  return files;
}

function packed(files) {
  if (!files.length) throw new Error("The folder is empty.");
  files.sort((one, other) => (one.path < other.path ? -1 : 1));
  return pack(files);
}

function takeFolder(entry) {
  enqueue(entry.name, async () => packed(await filesOf(entry)));
}

function takeFiles(files) {
  for (const file of files) enqueue(file.name, async () => file);
}

function takeChosenFolder(files) {
  const first = files[0]?.webkitRelativePath ?? "";
  if (!first) return;
  const name = first.slice(0, first.indexOf("/"));
  enqueue(name, async () =>
    packed(files.map((file) => ({ path: file.webkitRelativePath.slice(name.length + 1), file }))),
  );
}

function take(transfer) {
  // Entries must be asked for at once: after the event the transfer is empty.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const files = [...transfer.files];
  for (const entry of entries) if (entry.isDirectory) takeFolder(entry);
  const folders = new Set(entries.filter((entry) => entry.isDirectory).map((entry) => entry.name));
  takeFiles(files.filter((file) => !folders.has(file.name)));
}

// Wiring -------------------------------------------------------------------------------------------------------------

function wireForm() {
  const files = form.querySelector("[name=files]");
  const folder = form.querySelector("[data-folder]");
  const choose = form.querySelector("[data-choose-files]");
  const chooseFolder = form.querySelector("[data-choose-folder]");
  form.classList.add("scripted");
  files.required = false;
  files.tabIndex = -1;
  choose.type = "button";
  choose.lastElementChild.textContent = "Choose files";
  choose.addEventListener("click", () => files.click());
  chooseFolder.hidden = false;
  chooseFolder.addEventListener("click", () => folder.click());
  files.addEventListener("change", () => {
    takeFiles([...files.files]);
    form.reset();
  });
  folder.addEventListener("change", () => {
    takeChosenFolder([...folder.files]);
    form.reset();
  });
}

function wireDrop() {
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    zone.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) zone.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    zone.classList.remove("over");
    take(event.dataTransfer);
  });
}

if (form && zone) {
  wireForm();
  wireDrop();
}
document.addEventListener("click", (event) => {
  event.target.closest("[data-dismiss]")?.closest("li").remove();
});
document.body.addEventListener("upload-finished", (event) => {
  if (!news) return;
  news.textContent = event.detail.sentence;
  if (event.detail.opened) zone.classList.replace("hero", "drop");
});
