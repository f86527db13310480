// What the Deno programs share.
export async function put(conn, bytes) {
  let n = await conn.write(bytes);
  while (n < bytes.length) n += await conn.write(bytes.subarray(n));
}

// Reads into one buffer, behind what was not used yet. The buffer grows when it is full.
export class Inbox {
  constructor(conn, room) {
    this.conn = conn;
    this.bytes = new Uint8Array(room);
    this.length = 0;
  }
  async more() {
    if (this.length === this.bytes.length) {
      const larger = new Uint8Array(2 * this.length);
      larger.set(this.bytes);
      this.bytes = larger;
    }
    const n = await this.conn.read(this.length === 0 ? this.bytes : this.bytes.subarray(this.length));
    if (n === null) return false;
    this.length += n;
    return true;
  }
  drop(used) {
    if (used > 0 && used < this.length) this.bytes.copyWithin(0, used, this.length);
    this.length -= used;
  }
}
