/**
 * The client of the `client` campaign, as a process that can be killed if it hangs: carries out the scripts that it receives,
 * and reports.
 *
 *     bun child.ts CONTROL SOCKET
 */
import { EventFd } from "../../../src/os/eventfd.ts";
import { connectUnix, FdStream } from "../../../src/os/socket.ts";
import { carryOutScript } from "./calls.ts";
import { receiveText, sendText } from "./control.ts";
import type { Script } from "./script.ts";

const SETTLE_MS = 100;
const [control, socket] = process.argv.slice(2);
// What the event loop opens for good the first time that something is awaited.
{
  using event = new EventFd();
  await event.waitAsync(1);
}
// It closes its copy of the eventfd a moment later.
await Bun.sleep(SETTLE_MS);
const stream = new FdStream(connectUnix(control!));
for (;;) {
  const script = receiveText(stream, -1);
  if (script === undefined) break;
  sendText(stream, JSON.stringify(await carryOutScript(`vfio-user:${socket}`, JSON.parse(script) as Script)));
}
process.exit();
