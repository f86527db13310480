// The other side of worker: answers what is asked; counts what is sent, and tells when all has come.
let want = 0, count = 0, sum = 0, bytes = 0;

self.onmessage = ({ data: m }) => {
  if (m.type === "ping") return self.postMessage({ type: "pong", id: m.id, payload: m.payload });
  if (m.type === "count") {
    want = m.count;
    return self.postMessage("ready");
  }
  sum += m.id;
  bytes += m.payload.length;
  if (++count === want) self.postMessage({ count, sum, bytes });
};
self.postMessage("up");
