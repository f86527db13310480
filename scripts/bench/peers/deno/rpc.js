// rpc serve SOCKET: answers calls.   rpc ask SOCKET COUNT DEPTH: makes so many calls, so many of them unanswered.
import { ask, Peer } from "../javascript/rpc.mjs";
import { put } from "./common.js";
import { args } from "../javascript/base.mjs";

const [what, path, times, lanes] = args, count = Number(times), depth = Number(lanes);
async function read(conn, peer) {
  const room = new Uint8Array(65536), decoder = new TextDecoder();
  for (;;) {
    const n = await conn.read(room).catch(() => null);
    if (n === null) return;
    peer.take(decoder.decode(room.subarray(0, n), { stream: true }));
  }
}

// A write must be over before the next begins.
function open(conn) {
  const encoder = new TextEncoder();
  let last = Promise.resolve(), writing = 0;
  const peer = new Peer((text) => {
    const bytes = encoder.encode(text);
    last = writing++ === 0 ? put(conn, bytes) : last.then(() => put(conn, bytes));
    last = last.then(() => writing--);
  });
  return [peer, read(conn, peer)];
}

if (what === "serve") {
  const listener = Deno.listen({ transport: "unix", path });
  console.log("ready");
  for await (const conn of listener) open(conn);
} else {
  const conn = await Deno.connect({ transport: "unix", path });
  const [peer] = open(conn);
  await ask(peer, count, depth);
  conn.close();
}
