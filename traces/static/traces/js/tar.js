// Files with their paths flow in, one tar flows out: a Blob that only refers to the files, so nothing is read into memory.

const BLOCK = 512;
const encoder = new TextEncoder();

export function pack(files) {
  const parts = [];
  for (const { path, file } of files) {
    parts.push(...head(path, file.size), file);
    const rest = file.size % BLOCK;
    if (rest) parts.push(new Uint8Array(BLOCK - rest));
  }
  parts.push(new Uint8Array(2 * BLOCK));
  return new Blob(parts, { type: "application/x-tar" });
}

function head(path, size) {
  const place = split(path);
  if (place && size < 8 ** 11) return [header(place.name, place.prefix, size, "0")];
  // What does not fit into the old fields stands in an extended header before it.
  const records = encoder.encode(record("path", path) + record("size", String(size)));
  const padding = new Uint8Array((BLOCK - (records.length % BLOCK)) % BLOCK);
  return [header("extended", "", records.length, "x"), records, padding, header("file", "", size % 8 ** 11, "0")];
}

function split(path) {
  if (!/^[\x20-\x7e]*$/.test(path)) return null;
  if (path.length <= 100) return { name: path, prefix: "" };
  for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) {
    if (at <= 155 && path.length - at - 1 <= 100) return { name: path.slice(at + 1), prefix: path.slice(0, at) };
  }
  return null;
}

function record(key, value) {
  // "length key=value\n", where the length counts itself.
  const rest = encoder.encode(` ${key}=${value}\n`).length;
  let length = rest + 1;
  while (String(length).length + rest !== length) length = String(length).length + rest;
  return `${length} ${key}=${value}\n`;
}

function header(name, prefix, size, type) {
  const block = new Uint8Array(BLOCK);
  const put = (text, offset) => block.set(encoder.encode(text), offset);
  put(name, 0);
  put("0000644\0", 100);
  put("0000000\0", 108);
  put("0000000\0", 116);
  put(size.toString(8).padStart(11, "0") + "\0", 124);
  put("00000000000\0", 136);
  put("        ", 148);
  put(type, 156);
  put("ustar\x0000", 257);
  put(prefix, 345);
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(sum.toString(8).padStart(6, "0") + "\0 ", 148);
  return block;
}
