// The page: camera, buttons, figures; what they do is in the other modules.

import { ask, Connection } from "./connection.js";
import { Controls } from "./controls.js";
import { look } from "./photo.js";
import { record, snapshot } from "./recording.js";

const byId = (id) => document.getElementById(id);
const video = byId("painted");
let token = new URLSearchParams(location.hash.slice(1)).get("token") ?? sessionStorage.getItem("token");
let controls, connection, stream, recorder;

if (token) {
  // Not left in the address bar, where it would be read over a shoulder or copied along.
  sessionStorage.setItem("token", token);
  history.replaceState(null, "", location.pathname);
}

function say(state, message, { start = "", note = state !== "on" } = {}) {
  byId("status").dataset.state = state;
  byId("status").textContent = message.split(/(?<=\.) /)[0];
  byId("message").textContent = message;
  byId("notice").hidden = !note;
  byId("start").hidden = !start;
  byId("start").textContent = start;
}

function askForToken(message) {
  say("bad", message);
  byId("token-form").hidden = false;
  byId("token").focus();
}

async function load() {
  try {
    const catalogue = await ask("catalogue", token);
    controls ??= new Controls(catalogue, tell);
    byId("token-form").hidden = true;
    say("off", "Your camera's picture is sent to this face parser and comes back painted.", { start: "Start camera" });
    byId("status").textContent = "Camera off";
  } catch (error) {
    if (error.status === 401) askForToken("This page needs its token.");
    else say("bad", `The parser can't be reached (${error.message}).`, { start: "Try again" });
  }
}

function tell() {
  const split = byId("split").value / 100;
  byId("divider").hidden = !split || !connection;
  placeDivider(split);
  connection?.send({ effects: controls.read(), mirror: byId("mirror").ariaPressed === "true", split });
}

// The picture may leave bars beside itself: the line stands in the picture.
function placeDivider(split) {
  const { clientWidth: width, clientHeight: height, videoWidth, videoHeight } = video;
  const shown = videoWidth ? Math.min(width, (height * videoWidth) / videoHeight) : width;
  byId("divider").style.left = `${(width - shown) / 2 + split * shown}px`;
}

const CAMERA_ERRORS = {
  NotAllowedError: "The camera was not allowed. Allow it beside the address, then try again.",
  NotFoundError: "No camera was found. Plug one in, then try again.",
  NotReadableError: "The camera is in use by another program. Close that one, then try again.",
};

async function start() {
  if (!controls) return load();
  if (!navigator.mediaDevices) {
    return say("bad", "A browser gives a page the camera only over HTTPS or on localhost: start with --tls-cert and --tls-key.");
  }
  say("wait", "Asking for the camera …");
  try {
    const deviceId = byId("camera").value;
    stream = await navigator.mediaDevices.getUserMedia({
      video: { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30, max: 30 }, ...(deviceId && { deviceId: { exact: deviceId } }) },
    });
  } catch (error) {
    return say("bad", CAMERA_ERRORS[error.name] ?? `The camera can't be had: ${error.message}`, { start: "Try again" });
  }
  stream.getVideoTracks()[0].addEventListener("ended", () => stop("The camera stopped.", "bad"));
  connection = new Connection(stream, token, { state, figures, picture });
  byId("stop").disabled = false;
  tell();
  await listCameras();
}

function state(name, message, status) {
  if (name === "bad" && status) stop(message, "bad");
  else say(name, message, { note: name === "wait" });
  if (status === 401) askForToken("That token is not the one.");
  const live = name === "on";
  for (const id of ["snapshot", "record"]) byId(id).disabled = !live;
  if (!live) endRecording();
}

function picture(painted) {
  video.srcObject = painted;
}

function figures({ fps, latency, parser, width, height }) {
  byId("fps").textContent = fps.toFixed(0);
  byId("latency").textContent = Number.isFinite(latency) ? `${latency.toFixed(0)} ms` : "–";
  byId("parser").textContent = Number.isFinite(parser) ? `${parser.toFixed(0)} ms` : "–";
  byId("size").textContent = width ? `${width} × ${height}` : "–";
}

function stop(message = "Camera off", name = "off") {
  endRecording();
  connection?.end();
  connection = undefined;
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = video.srcObject = null;
  for (const id of ["snapshot", "record", "stop"]) byId(id).disabled = true;
  for (const id of ["fps", "latency", "parser", "size"]) byId(id).textContent = "–";
  byId("divider").hidden = true;
  say(name, message, { start: name === "bad" ? "Try again" : "Start camera" });
}

function endRecording() {
  if (recorder?.state === "recording") recorder.stop();
  recorder = undefined;
  byId("record").ariaPressed = "false";
  byId("record").textContent = "Record";
}

async function listCameras() {
  const found = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");
  const now = stream?.getVideoTracks()[0]?.getSettings().deviceId;
  byId("camera").replaceChildren(...found.map(({ label, deviceId }, index) =>
    new Option(label || `Camera ${index + 1}`, deviceId, false, deviceId === now)));
  byId("camera").hidden = found.length < 2;
}

byId("start").addEventListener("click", start);
byId("stop").addEventListener("click", () => stop());
byId("snapshot").addEventListener("click", () => snapshot(video));
byId("split").addEventListener("input", tell);
byId("camera").addEventListener("change", () => { stop(); start(); });
byId("mirror").addEventListener("click", ({ currentTarget: button }) => {
  button.ariaPressed = String(button.ariaPressed !== "true");
  tell();
});
byId("record").addEventListener("click", () => {
  if (recorder) return endRecording();
  recorder = record(video.srcObject);
  byId("record").ariaPressed = "true";
  byId("record").textContent = "Stop recording";
});
byId("photo").addEventListener("change", async ({ currentTarget: input }) => {
  const [file] = input.files;
  if (!file || !controls) return;
  const said = byId("photo-said");
  said.textContent = "Reading …";
  try {
    const { effects, left_out: leftOut } = await look(file, token);
    controls.wear(effects, "as in the photo");
    said.textContent = leftOut.join("; ") || (effects.length ? "Read." : "Nothing is painted there.");
  } catch (error) {
    said.textContent = error.message;
  }
  // So that the same photo can be chosen again.
  input.value = "";
});
byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", (token = byId("token").value));
  load();
});
video.addEventListener("resize", () => placeDivider(byId("split").value / 100));
window.addEventListener("resize", () => placeDivider(byId("split").value / 100));
// The server learns at once, and not when nothing has come for a while.
window.addEventListener("pagehide", () => connection && stop());
load();
