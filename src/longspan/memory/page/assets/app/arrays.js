// Arrays that travel in the page: {type, shape, base64}, and for 8 or 16 bits {low, high}, between which they are spread.

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const ARRAYS = { f4: Float32Array, f8: Float64Array, u1: Uint8Array, u2: Uint16Array };

function decodeBase64(text) {
  if (typeof atob === "function") {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let k = 0; k < binary.length; k++) bytes[k] = binary.charCodeAt(k);
    return bytes;
  }
  const clean = text.replace(/=+$/, "");
  const bytes = new Uint8Array(Math.floor((clean.length * 3) / 4));
  let bits = 0;
  let held = 0;
  let at = 0;
  for (const letter of clean) {
    bits = ((bits << 6) | ALPHABET.indexOf(letter)) & 0xffffff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes[at++] = (bits >> held) & 0xff;
    }
  }
  return bytes;
}

/** Numbers of a packed array, as a Float64Array. */
function unpack(packed) {
  const values = new ARRAYS[packed.type](decodeBase64(packed.base64).buffer);
  if (packed.low === undefined) return Float64Array.from(values);
  const top = packed.type === "u1" ? 255 : 65535;
  return Float64Array.from(values, (value) => packed.low + (value / top) * (packed.high - packed.low));
}
