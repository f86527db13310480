// What the programs for Bun, Deno and Node share: nothing here is faster in one of them when written otherwise.
export const HEAD = 5; // kind u8, length u32
export const args = globalThis.Deno ? Deno.args : process.argv.slice(2);

export function must(what, text) {
  if (what) return;
  console.error(text); // an error thrown in a socket's handler would not end every one of them
  if (globalThis.Deno) Deno.exit(1);
  process.exit(1);
}

export function result(numbers) {
  console.log("result " + Object.entries(numbers).map(([key, value]) => `${key}=${value}`).join(" "));
}

export const seconds = () => performance.now() / 1000;

export const lengthOf = (b, at) => (b[at + 1] | (b[at + 2] << 8) | (b[at + 3] << 16) | (b[at + 4] << 24)) >>> 0;
