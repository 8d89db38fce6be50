/** Uses of a network interface, from /proc/net (proc(5)); in this process's network namespace. */
import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { readLinkName } from "./attribute.ts";

/** Reasons not to take an interface away: a default route, an address, a master that it belongs to. */
export function interfaceUses(name: string): string[] {
  const routes = readRoutes();
  const master = readLinkName(`/sys/class/net/${name}/master`);
  const isDefault = routes.some((route) => route.name === name && route.mask === 0) || hasDefaultIpv6(name);
  return [
    ...(isDefault ? [`${name} carries the default route`] : []),
    ...addressesOf(name, routes).map((address) => `${name} is up with ${address}`),
    ...(master ? [`${name} is part of ${master}`] : []),
  ];
}

interface Route {
  readonly name: string;
  /** IPv4 addresses, as numbers. */
  readonly destination: number;
  readonly mask: number;
}

function lines(path: string): string[] {
  try {
    return readFileSync(path, "utf8").split("\n").filter(Boolean);
  } catch {
    return [];
  }
}

/**
 * The kernel prints the network-order bytes in memory as a number of this machine, which is little-endian.
 */
const fromTable = (text: string) => Buffer.from(text, "hex").readUInt32LE();
const fromDots = (text: string) => text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);

function readRoutes(): Route[] {
  const rows = lines("/proc/net/route").slice(1);
  return rows.map((line) => {
    const [name, destination, , , , , , mask] = line.split("\t");
    return { name: name!, destination: fromTable(destination!), mask: fromTable(mask!) };
  });
}

function hasDefaultIpv6(name: string): boolean {
  return lines("/proc/net/ipv6_route").some((line) => {
    const fields = line.trim().split(/\s+/);
    return fields.at(-1) === name && /^0{32}$/.test(fields[0]!) && fields[1] === "00";
  });
}

/**
 * Configured addresses only: every interface that is up has a link-local one by itself. The operating
 * system's own list omits interfaces whose cable is unplugged, so the kernel's tables are read as well.
 */
function addressesOf(name: string, routes: readonly Route[]): string[] {
  const own = routes.filter((route) => route.name === name && route.mask !== 0);
  const routed = localAddresses().filter((address) =>
    own.some(({ destination, mask }) => (fromDots(address) & mask) >>> 0 === destination),
  );
  const listed = (networkInterfaces()[name] ?? []).map(({ address }) => address);
  return [...new Set([...routed, ...listed])].filter((address) => !/^fe[89ab].:/i.test(address));
}

/** This machine's IPv4 addresses. /proc/net/fib_trie has a line `|-- ADDRESS` for each, then `/32 host LOCAL`. */
function localAddresses(): string[] {
  const found = new Set<string>();
  let last = "";
  for (const line of lines("/proc/net/fib_trie")) {
    last = /\|-- (\S+)$/.exec(line)?.[1] ?? last;
    if (line.trim() === "/32 host LOCAL") found.add(last);
  }
  return [...found];
}
