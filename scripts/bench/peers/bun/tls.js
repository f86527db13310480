// tls serve|ask stream|handshakes DIR COUNT [PORT]: blocks of 64 KiB one way, or handshakes one after another. DIR has the certificate.
import { args, must, result, seconds } from "../javascript/base.mjs";

const [side, what, dir, ...rest] = args, [count, port] = rest.map(Number), BLOCK = 65536, total = count * BLOCK;
const cert = await Bun.file(dir + "/tls.pem").text();

async function serve() {
  let got = 0, since = 0, left = count;
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    tls: { cert, key: await Bun.file(dir + "/tls.key").text() },
    socket: {
      data(socket, d) {
        if (what === "handshakes") {
          socket.write(d);
          socket.end();
          if (--left === 0) setTimeout(() => server.stop(true), 50);
          return;
        }
        if (since === 0) since = seconds();
        must(d[0] === (got & 255) && d[d.length - 1] === ((got + d.length - 1) & 255), "other bytes came than were sent");
        got += d.length;
        if (got < total) return;
        result({ count, seconds: seconds() - since });
        socket.write("k");
        socket.end();
        setTimeout(() => server.stop(true), 50);
      },
      error() {},
    },
  });
  console.log("ready " + server.port);
}

const connect = (socket) =>
  Bun.connect({ hostname: "127.0.0.1", port, tls: { ca: cert, rejectUnauthorized: true, serverName: "localhost" }, socket });

async function stream() {
  const block = new Uint8Array(BLOCK).map((_, i) => i & 255);
  let sent = 0;
  const pump = (socket) => {
    while (sent < total) {
      const from = sent % BLOCK, n = socket.write(block, from, BLOCK - from);
      if (n > 0) sent += n;
      if (n < BLOCK - from) return;
    }
  };
  await connect({
    handshake(socket, ok, error) {
      must(ok && !error, "no handshake: " + error);
      pump(socket);
    },
    drain: pump,
    data(socket) {
      socket.end();
    },
    close() {
      process.exit(0);
    },
  });
}

async function handshakes() {
  const begun = seconds();
  for (let i = 0; i < count; i++) {
    await new Promise((done, failed) => {
      connect({
        handshake(socket, ok, error) {
          must(ok && !error, "no handshake: " + error);
          socket.write("x");
        },
        data(socket, d) {
          must(d.length === 1 && d[0] === 120, "other bytes came than were sent");
          socket.end();
          done();
        },
        error(_, e) {
          failed(e);
        },
      }).catch(failed);
    });
  }
  result({ count, seconds: seconds() - begun });
  process.exit(0);
}

if (side === "serve") await serve();
else if (what === "stream") await stream();
else await handshakes();
