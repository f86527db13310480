// tls serve|ask stream|handshakes DIR COUNT [PORT]: blocks of 64 KiB one way, or handshakes one after another. DIR has the certificate.
import { readFileSync } from "node:fs";
import tls from "node:tls";
import { args, must, result, seconds } from "../javascript/base.mjs";

const [side, what, dir, ...rest] = args, [count, port] = rest.map(Number), BLOCK = 65536, total = count * BLOCK;
const cert = readFileSync(dir + "/tls.pem");

function serve() {
  let got = 0, since = 0, left = count;
  const server = tls.createServer({ cert, key: readFileSync(dir + "/tls.key") }, (socket) => {
    socket.on("error", () => {});
    socket.on("data", (d) => {
      if (what === "handshakes") {
        socket.end(d);
        if (--left === 0) server.close();
        return;
      }
      if (since === 0) since = seconds();
      must(d[0] === (got & 255) && d[d.length - 1] === ((got + d.length - 1) & 255), "other bytes came than were sent");
      got += d.length;
      if (got < total) return;
      result({ count, seconds: seconds() - since });
      socket.end("k");
      server.close();
    });
  });
  server.listen(0, "127.0.0.1", () => console.log("ready " + server.address().port));
}

const connect = (then) => {
  const socket = tls.connect({ host: "127.0.0.1", port, ca: cert, servername: "localhost" }, () => then(socket));
};

function stream() {
  const block = new Uint8Array(BLOCK).map((_, i) => i & 255);
  connect((socket) => {
    let left = count;
    const pump = () => {
      while (left > 0) {
        left--;
        if (!socket.write(block)) return;
      }
    };
    socket.on("drain", pump);
    socket.on("data", () => socket.end());
    pump();
  });
}

async function handshakes() {
  const begun = seconds();
  for (let i = 0; i < count; i++) {
    await new Promise((done) => connect((socket) => {
      socket.on("data", (d) => {
        must(d.length === 1 && d[0] === 120, "other bytes came than were sent");
        socket.end();
        done();
      });
      socket.write("x");
    }));
  }
  result({ count, seconds: seconds() - begun });
}

if (side === "serve") serve();
else if (what === "stream") stream();
else await handshakes();
