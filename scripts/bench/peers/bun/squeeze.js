// squeeze send|take SOCKET COUNT: messages of 200 bytes of JSON text, gathered to 64 KiB and squeezed with zstd at level 1, one way.
import { joined } from "./common.js";
import { args, must, result, seconds } from "../javascript/base.mjs";

const [what, unix, n] = args, count = Number(n), SIZE = 200, PER_BATCH = Math.floor(65536 / (4 + SIZE));

function take() {
  let kept = new Uint8Array(0), messages = 0, bytes = 0, since = 0, wire = 0;
  const decoder = new TextDecoder();
  const server = Bun.listen({
    unix,
    socket: {
      data(_, chunk) {
        if (since === 0) since = seconds();
        wire += chunk.length;
        let all = joined(kept, chunk), at = 0;
        while (all.length - at >= 4) {
          const length = new DataView(all.buffer, all.byteOffset + at).getUint32(0, true);
          if (all.length - at - 4 < length) break;
          const batch = Bun.zstdDecompressSync(all.subarray(at + 4, at + 4 + length));
          const view = new DataView(batch.buffer, batch.byteOffset, batch.length);
          for (let i = 0; i < batch.length;) {
            const size = view.getUint32(i, true), text = decoder.decode(batch.subarray(i + 4, i + 4 + size));
            must(text.charCodeAt(text.length - 1) === 125, "another message came than was sent");
            messages++;
            bytes += text.length;
            i += 4 + size;
          }
          at += 4 + length;
        }
        kept = all.slice(at);
      },
      close() {
        const all = seconds() - since;
        must(messages === count && bytes === count * SIZE, "other messages came than were sent");
        result({ count, seconds: all, wire });
        server.stop(true);
      },
    },
  });
  console.log("ready");
}

function send() {
  const encoder = new TextEncoder(), texts = [], note = "a note of no great length; ".repeat(8);
  for (let i = 0; i < 1024; i++) {
    const head = `{"type":"metric","payload":{"id":${i},"name":"worker-${i * 7}","values":[${i * 31},${i * 17}.5,${i * i}],"note":"`;
    texts.push(head + note.slice(0, SIZE - head.length - 3) + '"}}');
  }
  let made = 0, rest = null;
  const buffer = new Uint8Array(PER_BATCH * (4 + SIZE)), view = new DataView(buffer.buffer);

  function batch() {
    let at = 0;
    for (let i = 0; i < PER_BATCH && made < count; i++, made++) {
      view.setUint32(at, SIZE, true);
      encoder.encodeInto(texts[made & 1023], buffer.subarray(at + 4, at + 4 + SIZE));
      at += 4 + SIZE;
    }
    const squeezed = Bun.zstdCompressSync(buffer.subarray(0, at), { level: 1 }), frame = new Uint8Array(4 + squeezed.length);
    new DataView(frame.buffer).setUint32(0, squeezed.length, true);
    frame.set(squeezed, 4);
    return frame;
  }
  function feed(conn) {
    for (;;) {
      if (rest === null) {
        if (made === count) return conn.end();
        rest = batch();
      }
      const n = Math.max(conn.write(rest), 0);
      if (n < rest.length) {
        rest = rest.slice(n);
        return; // drain goes on
      }
      rest = null;
    }
  }
  Bun.connect({ unix, socket: { open: feed, drain: feed, data() {} } });
}

if (what === "take") take();
else send();
