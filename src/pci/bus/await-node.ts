/** Waits for the rights to open a function. */
import { accessSync, constants, existsSync } from "node:fs";
import { NODE_MS } from "../limits.ts";
import { readFunction } from "./functions.ts";
import { nodesOf } from "./group.ts";

/** The socket of udev's daemon; without it nothing gives a new node to anybody. */
export const UDEV_SOCKET = "/run/udev/control";

/** Waits until this user may open a function's node: udev gives it to its group a moment after it has appeared. */
export async function awaitNode(address: string): Promise<void> {
  if (process.geteuid?.() === 0 || !existsSync(UDEV_SOCKET)) return;
  const nodes = nodesOf(readFunction(address));
  const end = performance.now() + NODE_MS;
  while (performance.now() < end && !mayOpenAll(nodes)) await Bun.sleep(10);
}

/** Of a kernel with both kinds of nodes, either may come first. */
function mayOpenAll(nodes: readonly string[]): boolean {
  const present = nodes.filter((node) => existsSync(node));
  return present.length > 0 && present.every(mayOpen);
}

function mayOpen(node: string): boolean {
  try {
    accessSync(node, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
