/** Watches for the kernel's request to give a device back, for which its removal and its unbinding from vfio-pci wait. */
import { EventFd } from "../../os/eventfd.ts";
import { REMOVAL_POLL_MS } from "../limits.ts";
import type { Irqs } from "./irqs.ts";

/**
 * Calls `onRequest` on the event loop, unless the program has enabled the req interrupt itself. Does not keep the process alive:
 * a stream that waits for the eventfd would. Throws SystemError.
 */
export function watchRemoval(irqs: Irqs, onRequest: () => void): Disposable {
  using held = new DisposableStack();
  const requests = held.use(new EventFd());
  irqs.watchRequests(requests);
  const timer = setInterval(() => {
    if (requests.take() > 0) onRequest();
  }, REMOVAL_POLL_MS);
  timer.unref();
  held.defer(() => clearInterval(timer));
  return held.move();
}
