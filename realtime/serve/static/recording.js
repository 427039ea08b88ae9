// Snapshots and recordings, made and kept in the browser.

const TYPES = ["video/mp4;codecs=avc1.42E01F", "video/webm;codecs=vp8", "video/webm", "video/mp4"];

function save(blob, kind) {
  const stamp = new Date().toISOString().slice(0, 19).replace(/[:T]/g, "-");
  const ending = blob.type.split(";")[0].split("/")[1];
  const link = Object.assign(document.createElement("a"), {
    href: URL.createObjectURL(blob), download: `${kind}-${stamp}.${ending}`,
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export function snapshot(video) {
  const canvas = Object.assign(document.createElement("canvas"), { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => blob && save(blob, "snapshot"), "image/png");
}

// Begins to record a stream; returns the recorder, whose `stop` saves the file.
export function record(stream) {
  const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
  const recorder = new MediaRecorder(stream, { mimeType, videoBitsPerSecond: 4_000_000 });
  const parts = [];
  recorder.addEventListener("dataavailable", ({ data }) => data.size && parts.push(data));
  recorder.addEventListener("stop", () => parts.length && save(new Blob(parts, { type: recorder.mimeType }), "recording"));
  recorder.start(1000);
  return recorder;
}
