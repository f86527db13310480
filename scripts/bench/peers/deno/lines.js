// lines SOCKET echo|count: answers each line with itself, or all of them with their number at the end.
import { put } from "./common.js";
import { args } from "../javascript/base.mjs";

const [path, how] = args, echo = how === "echo";
const encoder = new TextEncoder();

async function serve(conn) {
  const buffer = new Uint8Array(65536), decoder = new TextDecoder("latin1");
  let kept = "", lines = 0, bytes = 0, n;
  while ((n = await conn.read(buffer)) !== null) {
    let text = decoder.decode(buffer.subarray(0, n)), at = 0, stop, answer = "";
    if (kept !== "") text = kept + text;
    while ((stop = text.indexOf("\n", at)) >= 0) {
      const line = text.slice(at, stop);
      lines++;
      bytes += line.length;
      if (echo) answer += line + "\n";
      at = stop + 1;
    }
    kept = text.slice(at);
    if (answer !== "") await put(conn, encoder.encode(answer));
  }
  if (!echo) await put(conn, encoder.encode(`${lines} lines, ${bytes} bytes\n`));
  conn.close();
}

const listener = Deno.listen({ transport: "unix", path });
console.log("ready");
for await (const conn of listener) serve(conn).catch(() => {});
