// A photo's look: its pixels go to the parser, the effects come back.

import { ask } from "./connection.js";

// Enough for lips and lids, and quickly sent.
const LONGEST_SIDE = 1024;

export async function look(file, token) {
  const picture = await createImageBitmap(file).catch(() => {
    throw new Error(`${file.name} can't be read as an image.`);
  });
  const scale = Math.min(1, LONGEST_SIDE / Math.max(picture.width, picture.height));
  const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, Math.round(scale * side)));
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, width, height);
  picture.close();
  const { data } = context.getImageData(0, 0, width, height);
  return ask(`like?width=${width}&height=${height}`, token, {
    method: "POST",
    headers: { "Content-Type": "application/octet-stream" },
    body: data,
  });
}
