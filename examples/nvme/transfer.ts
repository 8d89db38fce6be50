/** A command, how it fails, and the data that it moves: NVM Express Base Specification 1.4, sections 4.2 to 4.6. */
import type { ModelDevice } from "vfiokit/model";

export const PAGE_BYTES = 4096;
/** Section 4.6.1: the status code type, 0 or 1, and the status code. */
export const Status = {
  ...{ SUCCESS: 0x000, INVALID_OPCODE: 0x001, INVALID_FIELD: 0x002, DATA_TRANSFER_ERROR: 0x004 },
  ...{ INVALID_NAMESPACE: 0x00b, COMMAND_SEQUENCE_ERROR: 0x00c, PRP_OFFSET_INVALID: 0x013 },
  ...{ LBA_OUT_OF_RANGE: 0x080, COMPLETION_QUEUE_INVALID: 0x100, INVALID_QUEUE_IDENTIFIER: 0x101 },
  ...{ INVALID_QUEUE_SIZE: 0x102, EVENT_LIMIT_EXCEEDED: 0x105, INVALID_INTERRUPT_VECTOR: 0x108 },
  ...{ INVALID_LOG_PAGE: 0x109, INVALID_QUEUE_DELETION: 0x10c },
} as const;

/** Ends a command: the cause is its status. */
export class Refused extends Error {}
export function refuse(status: number): never {
  throw new Refused(undefined, { cause: status });
}
export function check(holds: boolean, status: number): undefined {
  if (!holds) refuse(status);
}

export type Side = "host" | "device";
export type Command = ReturnType<typeof parseCommand>;
/** Section 4.2, figure 104. An address above 2^53 is not exact, but nothing is mapped there. */
export function parseCommand(entry: Uint8Array<ArrayBuffer>) {
  const view = new DataView(entry.buffer);
  const dword = (index: number) => view.getUint32(4 * index, true);
  const [prp1, prp2] = [Number(view.getBigUint64(24, true)), Number(view.getBigUint64(32, true))];
  const isForeign = (dword(0) & 0xc300) !== 0; // fused, or with SGLs: this controller offers neither
  return { opcode: dword(0) & 0xff, id: dword(0) >>> 16, isForeign, namespace: dword(1), prp1, prp2, dword };
}

/** Copies a command's data from its pages, or to them: section 4.3, Physical Region Page Entry and List. Throws Refused. */
export function transfer(device: ModelDevice, command: Command, data: Uint8Array, to: Side): undefined {
  const { prp1, prp2 } = command;
  const more = Math.ceil((data.byteLength - (PAGE_BYTES - (prp1 % PAGE_BYTES))) / PAGE_BYTES);
  const pages = more <= 0 ? [] : more === 1 ? [prp2] : readList(device, prp2, more);
  for (const address of pages) check(address % PAGE_BYTES === 0, Status.PRP_OFFSET_INVALID);
  check(prp1 % 4 === 0, Status.PRP_OFFSET_INVALID);
  let done = 0;
  for (const address of [prp1, ...pages]) {
    const here = data.subarray(done, done + PAGE_BYTES - (address % PAGE_BYTES));
    done += here.byteLength;
    if (to === "host") check(device.writeMemory(address, here), Status.DATA_TRANSFER_ERROR);
    else here.set(device.readMemory(address, here.byteLength) ?? refuse(Status.DATA_TRANSFER_ERROR));
  }
}

/** The entries of a PRP list. If it goes on in another page, the last entry of its page is that page's address. */
function readList(device: ModelDevice, list: number, count: number): number[] {
  const entries: number[] = [];
  for (let [at, alignment] = [list, 8]; ; alignment = PAGE_BYTES) {
    // A page after the first is whole, so it brings entries: a list of nothing but its own address would never end.
    check(at % alignment === 0, Status.PRP_OFFSET_INVALID);
    const room = (PAGE_BYTES - (at % PAGE_BYTES)) / 8;
    const wanted = count - entries.length;
    const bytes = device.readMemory(at, 8 * Math.min(room, wanted)) ?? refuse(Status.DATA_TRANSFER_ERROR);
    entries.push(...Array.from(new BigUint64Array(bytes.buffer), Number));
    if (wanted <= room) return entries;
    at = entries.pop()!;
  }
}
