/** docs/encoder.md, made from the tables. */
import { markdownTable, registersMarkdown } from "../../registers/document.ts";
import { DEFAULT, PCI_ID, registerMeaning, registers, WINDOW_BYTES } from "./registers.ts";
import {
  COMPLETION_BYTES,
  completionFields,
  completionStatuses,
  type EntryField,
  opcodes,
  SEGMENT_BYTES,
  SUBMISSION_BYTES,
  segmentFields,
  submissionFields,
} from "./rings.ts";

function entryRows(fields: Readonly<Record<string, EntryField>>): string[][] {
  return Object.entries(fields).map(([name, { offset, bits, about }]) => [
    String(offset),
    String(bits),
    name,
    about,
  ]);
}

function codeRows(
  codes: Readonly<Record<string, { readonly code: number; readonly about: string }>>,
): string[][] {
  return Object.entries(codes).map(([name, { code, about }]) => [String(code), name, about]);
}

/** The whole document, Markdown. `command` is the one that makes it. */
export function encoderDocument(command: string): string {
  const id = [PCI_ID.vendor, PCI_ID.device].map((part) => part.toString(16)).join(":");
  const subsystem = [PCI_ID.subsystemVendor, PCI_ID.subsystem]
    .map((part) => part.toString(16).padStart(4, "0"))
    .join(":");
  const entryHead = ["Offset", "Bits", "Field", "Meaning"];
  const codeHead = ["Code", "Name", "Meaning"];
  return `# The VP9 encoder endpoint

Made by \`${command}\` from the tables in src/vp9/contract, which the driver and the device model are made from, too.

PCI id ${id}, subsystem ${subsystem}, class 0x058000. BAR0 holds the registers below, BAR1 a window of ${WINDOW_BYTES / 2 ** 20} MiB. One MSI
vector. Everything is little-endian; registers are accessed as aligned 32-bit words.

To encode: write the stream registers (0x080 and up) and the ring registers (0x100 and up), write START to COMMAND, and
wait until STATUS.STATE is RUNNING, or FAILED with the reason in ERROR. Clear the completion ring before START: a stream
begins at entry 0 of both rings, with SEQUENCE 1. Then, for each frame, fill the next submission
entry and write the number of entries submitted so far to SQ_TAIL. The endpoint writes a completion for each, and
raises the interrupt if IRQ_ENABLE says so; polling the next completion's SEQUENCE works as well. No more submissions
may be outstanding than the ring has entries, so completions need no acknowledgement. A submission that is refused
completes at once, ahead of frames still in the codec; all others complete in the order of their submission, each with
its TAG and PTS.

With SPACE = HOST all addresses are I/O virtual addresses, and bus mastering must be on. With SPACE = WINDOW they are
offsets into BAR1, and neither DMA nor an interrupt is needed.

A function-level reset, a device reset and COMMAND.RESET bring every register back to its reset value at any moment;
frames under way are dropped, and the window is cleared: read a register after COMMAND.RESET before writing to a mapped
BAR1. DEFAULT is 0x${DEFAULT.toString(16)} and leaves a setting at the codec's own default.

## Registers in BAR0

4 KiB; offsets not listed read as 0 and ignore writes.

Access: ro read only, rw read and write, wo write only, rw1c a written 1 clears the bit.

${registersMarkdown(registers, {
  reset: ({ reset }) => (reset === DEFAULT ? "DEFAULT" : undefined),
  meaning: registerMeaning,
})}

CODEC has no reset value of its own: it says what the endpoint was built with.

## Submission entry, ${SUBMISSION_BYTES} bytes

${markdownTable(entryHead, entryRows(submissionFields))}

Only rings have an alignment. A packet is hardly ever larger than its frame; room for a frame and 64 KiB is enough in
practice. Bytes of entries that no table lists are written as 0 and not looked at.

Opcodes:

${markdownTable(codeHead, codeRows(opcodes))}

A frame in several pieces has a segment list, entries of ${SEGMENT_BYTES} bytes:

${markdownTable(entryHead, entryRows(segmentFields))}

## Completion entry, ${COMPLETION_BYTES} bytes

${markdownTable(entryHead, entryRows(completionFields))}

Status:

${markdownTable(codeHead, codeRows(completionStatuses))}
`;
}
