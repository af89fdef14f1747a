// A file of the user as what the API takes: base64 of an encoded image. Knows no page and no server.

const LARGE_BYTES = 1_000_000; // sent with every change, so larger photos are made smaller first
const LONGEST_SIDE = 1536;
const JPEG_QUALITY = 0.92;

/** {image, name}; a file that the browser cannot read goes to the server as it is. */
export async function readPhoto(file) {
  const blob = file.size > LARGE_BYTES ? await smaller(file) : file;
  return { image: await base64(blob), name: file.name || "pasted image" };
}

/** A URL of the image for an <img>, or null if the browser cannot read it. */
export async function preview(file) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  return bitmap && URL.createObjectURL(file);
}

async function smaller(file) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return file;
  const scale = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = new OffscreenCanvas(bitmap.width * scale, bitmap.height * scale);
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas.convertToBlob({ type: "image/jpeg", quality: JPEG_QUALITY });
}

function base64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
