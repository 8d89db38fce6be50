/** Binds a socket, says so, and listens a moment later; then closes what connects. Arguments: the path, and the moment in ms. */
import { ptr } from "bun:ffi";
import { Fd } from "../../../src/os/fd.ts";
import { libc } from "../../../src/os/libc.ts";
import { acceptUnix } from "../../../src/os/socket.ts";

const [path = "", momentMs = ""] = process.argv.slice(2);
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const address = new Uint8Array(new ArrayBuffer(110));
address[0] = AF_UNIX;
address.set(new TextEncoder().encode(path), 2);
const fd = libc.socket(AF_UNIX, SOCK_STREAM, 0);
if (libc.bind(fd, ptr(address), address.length) !== 0) throw new Error("bind failed");
console.log("bound");
Bun.sleepSync(Number(momentMs));
if (libc.listen(fd, 1) !== 0) throw new Error("listen failed");
acceptUnix(new Fd(fd))[Symbol.dispose]();
