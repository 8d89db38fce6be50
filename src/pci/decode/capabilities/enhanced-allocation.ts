/** Enhanced Allocation: PCIe 6.0, section 7.8.5. Regions with fixed addresses, in entries of 2 to 5 double words. */
import type { CapabilityLayout } from "./capability.ts";
import { choice, flag, number, type RegisterLayout } from "./register-layout.ts";
import type { Scope } from "./scope.ts";

const PROPERTIES: Readonly<Record<number, string>> = {
  0: "memory space, non-prefetchable",
  1: "memory space, prefetchable",
  2: "I/O space",
  3: "VF memory space, prefetchable",
  4: "VF memory space, non-prefetchable",
  5: "allocation behind bridge, non-prefetchable memory",
  6: "allocation behind bridge, prefetchable memory",
  7: "allocation behind bridge, I/O space",
  253: "memory space resource unavailable for use",
  254: "I/O space resource unavailable for use",
  255: "entry unavailable for use",
};
const SECONDARY = { ...PROPERTIES, 255: "entry unavailable for use, PrimaryProperties should be used" };
const unnamed = (raw: number) => `[${raw.toString(16).padStart(2, "0")}]`;

/** Bits 7:4 of an entry: the BAR or other range that its region is equivalent to. */
function equivalent(bei: number): string {
  if (bei < 6) return `BAR ${bei}`;
  if (bei >= 9 && bei < 15) return `VF-BAR ${bei - 9}`;
  return { 6: "resource behind function", 7: "not indicated", 8: "expansion ROM" }[bei] ?? "reserved";
}

const isBridge = (scope: Scope) => scope.headerType === 1;
const hexText = (value: number) => value.toString(16).padStart(8, "0");
/** In base and maximum offset registers: bit 1 says that the upper half follows. */
const hasUpper = (low: number) => (low & 2) !== 0;

function entry(index: number, offset: number, sizeDoubleWords: number): RegisterLayout[] {
  const upper = (scope: Scope, at: number, there: boolean) =>
    there ? scope.read(offset + at, 4).toString(16) : "";
  const base = (scope: Scope) => scope.read(offset + 4, 4);
  const limit = (scope: Scope) => scope.read(offset + 8, 4);
  return [
    {
      name: `entry${index}`,
      offset,
      sizeBytes: 4,
      label: `Entry ${index}:`,
      when: (scope) => scope.has(offset, 4 + 4 * sizeDoubleWords),
      fields: {
        enable: flag(31, "Enable"),
        writable: flag(30, "Writable"),
        entrySize: number(0, 2, "EntrySize={}"),
        barEquivalentIndicator: number(4, 7, "\n BAR Equivalent Indicator: {}", equivalent),
        primaryProperties: choice(8, 15, "\n PrimaryProperties: {}", PROPERTIES, undefined, unnamed),
        secondaryProperties: choice(16, 23, "\n SecondaryProperties: {}", SECONDARY, undefined, unnamed),
        base: {
          ...number(0, 0, "\n Base: {}"),
          value: (_, scope) => upper(scope, 12, hasUpper(base(scope))) + hexText((base(scope) & ~3) >>> 0),
        },
        maxOffset: {
          ...number(0, 0, "\n MaxOffset: {}"),
          value: (_, scope) =>
            upper(scope, hasUpper(base(scope)) ? 16 : 12, hasUpper(limit(scope))) +
            hexText((limit(scope) | 3) >>> 0),
        },
      },
    },
  ];
}

export const enhancedAllocation: CapabilityLayout = {
  title: "Enhanced Allocation (EA):",
  heading: {
    name: "enhancedAllocation",
    offset: 2,
    sizeBytes: 2,
    label: "",
    fields: {
      numEntries: number(0, 5, "NumEntries={}"),
      fixedSecondaryBusNumber: {
        ...number(0, 0, ", secondary={}", undefined, isBridge),
        value: (_, scope) => scope.read(4, 1),
      },
      fixedSubordinateBusNumber: {
        ...number(0, 0, ", subordinate={}", undefined, isBridge),
        value: (_, scope) => scope.read(5, 1),
      },
    },
  },
  registers: (scope) => {
    const registers: RegisterLayout[] = [];
    let offset = isBridge(scope) ? 8 : 4;
    for (let i = 0; i < scope.bits(0, 16, 21) && scope.has(offset, 4); i++) {
      const sizeDoubleWords = scope.bits(offset, 0, 2);
      registers.push(...entry(i, offset, sizeDoubleWords));
      offset += 4 + 4 * sizeDoubleWords;
    }
    return registers;
  },
};
